"""Calls that are made again while their failure looks like one that passes."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypeVar

import stamina
import stamina.instrumentation

from pagebind.adapters.alist.envelope import Refusal, Remedy

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Its default hooks write to whatever logging the process has, which for a command means the user's terminal.
stamina.instrumentation.set_on_retry_hooks([])

LONGEST_WAIT: Final = 60.0
"""Seconds; a server that asks for more gets its error passed on with ``retry_after``."""


def with_retries(work: Callable[[], T], *, attempts: int) -> T:
    """The result of ``work``, made again up to ``attempts`` times in all after a `Refusal` that says so."""
    for attempt in stamina.retry_context(
        on=_wait_for, attempts=attempts, timeout=None, wait_initial=0.2, wait_max=5.0, wait_jitter=0.5
    ):
        with attempt:
            return work()
    raise AssertionError  # pragma: no cover  # the last attempt returns or raises


def retry_after(header: str, now: float) -> float | None:
    """Seconds from ``now`` (since the epoch) that a `Retry-After` header asks for: a number or an HTTP date."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _wait_for(error: Exception) -> bool | float:
    if not isinstance(error, Refusal) or error.remedy is not Remedy.AGAIN:
        return False
    asked = error.error.retry_after
    if asked is None:
        return True
    return asked if asked <= LONGEST_WAIT else False
