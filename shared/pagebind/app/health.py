"""Whether runs succeed, told from their records alone: for health checks."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.app.inventory import CLOCK_TOLERANCE
from pagebind.app.report import rfc3339
from pagebind.core import keys
from pagebind.core.planner import Problem
from pagebind.errors import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pagebind.ports.clock import Clock
    from pagebind.ports.store import Store

_FIX = "see that `pagebind serve`, or the timer that starts `pagebind run`, is up, and what it says"


class Health(NamedTuple):
    """``problem`` is None while all is well. ``last_run`` is the record of the newest run, None where there is none."""

    problem: Problem | None
    last_run: Mapping[str, Any] | None


def check(work: Store, clock: Clock, *, max_age: float, at_work: Callable[[], bool]) -> Health:
    """Well is who has ended a run without an error within ``max_age`` seconds, or is at work right now.

    A run that a signal broke off is neither good nor bad.

    Reads records from the newest on, up to the first good one or the first that is too old. Held volumes are none of
    its business.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    now = clock.now()
    newest: Mapping[str, Any] | None = None
    last_to_end: Mapping[str, Any] | None = None
    for info in work.list(keys.RUNS):
        ended = keys.run_time(info.key)
        if ended > now + CLOCK_TOLERANCE:
            continue  # dated by a clock that ran ahead
        record = _read(work, info.key)
        newest = newest if newest is not None else record
        if ended < now - max_age:
            break
        if record is None or record.get("interrupted"):
            continue
        if record.get("error") is None:
            return Health(None, newest)
        last_to_end = last_to_end if last_to_end is not None else record
    if at_work():
        return Health(None, newest)
    return Health(_problem(last_to_end if last_to_end is not None else newest, now - max_age), newest)


def _read(work: Store, key: str) -> Mapping[str, Any] | None:
    """A record, or None where it has gone or is damaged."""
    try:
        record = json.loads(work.get(key))
    except (ValueError, KeyMissing):
        return None
    return record if isinstance(record, dict) else None


def _problem(newest: Mapping[str, Any] | None, since: float) -> Problem:
    if newest is None:
        return Problem("store", "no run has ended yet", _FIX)
    error = newest.get("error")
    if error and _instant(newest) >= since:
        told = Problem(**error)
        return told._replace(
            message=f"no run has succeeded since {rfc3339(since)}; the last one failed: {told.message}"
        )
    if newest.get("interrupted"):
        how = f"no run has succeeded since {rfc3339(since)}; the last one was interrupted at {newest['ended']}"
        return Problem("store", how, _FIX)
    failed = ", and it failed" if error else ""
    return Problem(
        "store", f"no run has ended since {rfc3339(since)}; the last one did at {newest['ended']}{failed}", _FIX
    )


def _instant(record: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(record["ended"]).timestamp()
