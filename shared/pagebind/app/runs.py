"""The records of polls and runs, the newest first: where the next poll goes on, and what a round of polls has seen."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from pagebind.core import keys
from pagebind.core.planner import State
from pagebind.core.walk_order import EVERYTHING, Stretch, left_over
from pagebind.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pagebind.app.absence import Earlier
    from pagebind.ports.store import Store

_MOST = 100
"""So many records are read at most."""

_NOT_THERE = (State.GONE, State.MOVED, State.UNSUBSCRIBED)


def records(work: Store, latest: float) -> Iterator[Mapping[str, Any]]:
    """The readable records, the newest first; none that ended after ``latest``, by a clock that ran ahead."""
    recent = (info for info in work.list(keys.RUNS) if keys.run_time(info.key) <= latest)
    for info in islice(recent, _MOST):
        try:
            record = json.loads(work.get(info.key))
        except (ValueError, StoreError):
            continue
        if isinstance(record, dict):
            yield record


def newest_cursor(work: Store, latest: float) -> str:
    """Where the next walk begins, by the newest record that says so; empty: at the start.

    ``latest``: as for `records`. A run of some paths says nothing of it.
    """
    cursors = (record.get("cursor") for record in records(work, latest))
    return next((cursor for cursor in cursors if isinstance(cursor, str)), "")


def stretch_of(record: Mapping[str, Any]) -> Stretch | None:
    """What the walk of a record has covered of all that is subscribed; None where it says nothing of that."""
    if record.get("complete"):
        return EVERYTHING
    walk = record.get("walk")
    return Stretch(walk["from"], walk["to"]) if walk and not record.get("error") else None


def earlier(work: Store, latest: float, begin: str, config: str) -> Earlier | None:
    """What the polls up to ``begin`` saw in the round that is ending; None where that is not known of every folder.

    Args:
        work: the store.
        latest: as for `records`.
        begin: where the walk began that ended the round.
        config: digest of the configuration. By another one, other things are looked for.
    """
    # Here, not above: most who read records are not at the end of a round, and it brings the walk with it.
    from pagebind.app.absence import Earlier

    seen: dict[str, str] = {}
    unlisted: list[str] = []
    gaps = [Stretch("", begin)]
    for record in records(work, latest):
        walked = stretch_of(record)
        if walked is None:
            continue
        walk = record.get("walk")
        if not walk or not config or walk["config"] != config:
            return None
        seen = _seen(record) | seen
        unlisted += walk["unlisted"]
        gaps = left_over(gaps, walked)
        if not gaps:
            return Earlier(seen, unlisted)
    return None


def _seen(record: Mapping[str, Any]) -> dict[str, str]:
    """The states of all volumes that the walk of a record met; what it met without pages is no longer there."""
    seen = {volume: told["state"] for volume, told in record["volumes"].items() if told["state"] != State.GONE}
    seen |= dict.fromkeys(record.get("bound", ()), State.BOUND)
    for volume in record["walk"]["elsewhere"]:
        seen.pop(volume, None)
    return seen


def whole_round(work: Store, latest: float) -> Iterator[Mapping[str, Any]]:
    """Records, the newest first, back to where all that is subscribed has been walked."""
    gaps = [EVERYTHING]
    for record in records(work, latest):
        yield record
        walked = stretch_of(record)
        if walked is not None:
            gaps = left_over(gaps, walked)
        if not gaps:
            return


def told_by(runs: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """What the newest record that looked at a volume says of it, unless that found it bound."""
    told: dict[str, Mapping[str, Any]] = {}
    for run in reversed(runs):
        if not run.get("error"):
            walk = run.get("walk") or {}
            elsewhere = {volume: told[volume] for volume in walk.get("elsewhere", ()) if volume in told}
            told.update(run.get("volumes", {}))
            for volume in run.get("bound", ()):
                told.pop(volume, None)
            told.update(elsewhere)
    return told


def no_longer_there(work: Store, latest: float) -> set[str]:
    """The volumes of which the newest word is that they are gone, have moved or are of no subscription any more.

    ``latest``: as for `records`.
    """
    newest = told_by(list(whole_round(work, latest)))
    return {volume for volume, told in newest.items() if told["state"] in _NOT_THERE}
