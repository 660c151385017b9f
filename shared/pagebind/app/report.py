"""Volumes and problems as people and machines get to see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.core.planner import Action, Problem, State
from pagebind.core.wording import counted

if TYPE_CHECKING:
    from pagebind.errors import PagebindError

SCHEMA = 1

_FIRST = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST = datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()
"""What a date can be, in seconds since the epoch: the years 1 to 9999."""


class VolumeReport(NamedTuple):
    """One volume. Times are seconds since the epoch; sizes are bytes; ``staged`` counts the pages safely in work."""

    volume: str
    path: str
    key: str
    state: State
    seq: int | None
    revision: str | None
    pages: int
    staged: int
    bytes: int
    settles_at: float | None
    bound_at: float | None
    action: Action
    reason: str
    problem: Problem | None

    def staged_text(self) -> str:
        """``12/200 pages``; a bound book's pages are all in it."""
        if self.state is State.BOUND:
            return counted(self.pages, "page")
        return f"{self.staged}/{counted(self.pages, 'page')}"

    def document(self) -> dict[str, Any]:
        """As it stands in ``--json``."""
        return {
            "volume": self.volume,
            "path": self.path,
            "key": self.key,
            "state": self.state.value,
            "seq": self.seq,
            "revision": self.revision,
            "pages": self.pages,
            "staged": self.staged,
            "bytes": self.bytes,
            "settles_at": rfc3339(self.settles_at),
            "bound_at": rfc3339(self.bound_at),
            "action": self.action.value,
            "reason": self.reason,
            "problem": self.problem._asdict() if self.problem else None,
        }


def rfc3339(instant: float | None) -> str | None:
    """Seconds since the epoch as ``2026-11-22T03:10:58Z``, as far as the years 1 to 9999 go."""
    if instant is None:
        return None
    dated = datetime.fromtimestamp(min(max(_FIRST, instant), _LAST), UTC)  # in this order also for NaN
    return dated.isoformat(timespec="seconds").replace("+00:00", "Z")


def problem_of(error: PagebindError) -> Problem:
    """The problem that an error is."""
    fix = error.fix or ("the next run tries again; if this stays, look at the server" if error.retryable else "")
    return Problem(error.code, error.message, fix, error.path, error.retryable)
