"""What a walk has still to list: the next folder in the order of the walk, as long as the budget lasts."""

from __future__ import annotations

import threading
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.walk_order import Place, Stretch, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pagebind.app.turns import Turns
    from pagebind.app.walk import Start
    from pagebind.ports.clock import Clock

_PATIENCE = 30.0
"""Seconds after the end of the budget for which listings under way are waited for; one that stalls may take minutes."""

_IN_ORDER = 10_000
"""So many folders are listed in order; of more, in a walk without a budget, those left take turns. Libraries have
some thousands. What has more may have no end, and is not to keep from being listed what comes after it."""

_TICK = 1.0
"""Seconds between two looks at the clock while the walk is waited for."""


class Budget(NamedTuple):
    """How much a walk may take. When it is used up, what is under way is finished and no further folder is begun.

    ``until``: a time of the monotonic clock. ``listings``: so many folders. None: without end.
    """

    until: float | None = None
    listings: int | None = None


WITHOUT_END = Budget()


class Agenda:
    """Safe for use by many threads, which `take`, `admit` and `finish` folders until there are none.

    A folder at which the walk begins, or that leads to it, is begun in any case, so that no walk ends where it began.
    A walk without a budget may rest: see `wait`.

    Args:
        starts: where the walk begins; those that lie before ``cursor`` are passed over.
        cursor: the first folder that is wanted; empty: all are.
        whole: gives the path that has to be walked in one go with a folder, which may be the folder itself.
    """

    def __init__(
        self, starts: Sequence[Start], cursor: str, whole: Callable[[str], str], budget: Budget, clock: Clock
    ) -> None:
        self._wanted = Stretch(cursor)
        self._whole = whole
        self._budget = budget
        self._clock = clock
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._todo: list[tuple[Place, int, Start]] = []
        self._turns: Turns | None = None
        self._waiting = 0
        self._rest_at: float | None = None
        self._resting = False
        self._order = count()
        self._under_way: dict[str, Start] = {}
        self._admitted: set[str] = set()
        self._begun = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._add(starts)
        self._first: Place = place(cursor) if cursor else min((place(whole(s.path)) for s in starts), default=())

    def _add(self, starts: Iterable[Start]) -> None:
        for start in starts:
            if not self._wanted.touches(start.path):
                continue
            self._waiting += 1
            if self._turns is not None:
                self._turns.add(start)
            else:
                heappush(self._todo, (place(start.path), next(self._order), start))
        if self._begun + self._waiting > _IN_ORDER:
            self._take_turns()

    def _take_turns(self) -> None:
        if self._turns is not None or self._budget != WITHOUT_END or self._wanted.begin:
            return  # with a budget the next walk begins where this one ends, so there has to be an order
        # Here, not above: few walks come to this.
        from pagebind.app.turns import Turns

        self._turns = Turns(self._whole)
        while self._todo:
            self._turns.add(heappop(self._todo)[-1])

    def take(self) -> Start | None:
        """The next folder to list, when there is one; None: the walk is over, or rests."""
        with self._lock:
            while not self._closed:
                if self._waiting and self._has_to_rest():
                    break
                start = self._next()
                if start is not None:
                    self._waiting -= 1
                    self._under_way[start.path] = start
                    self._begun += 1
                    return start
                if not self._under_way:
                    self._close()
                    break
                self._more.wait()
            return None

    def _next(self) -> Start | None:
        if self._turns is not None:
            return self._turns.take()
        return heappop(self._todo)[-1] if self._todo and self._may_begin(self._todo[0][-1].path) else None

    def _has_to_rest(self) -> bool:
        if not self._resting and self._rest_at is not None and self._clock.monotonic() >= self._rest_at:
            self._resting = True
            self._take_turns()
            self._more.notify_all()
            self._ended.notify_all()
        return self._resting

    def admit(self, start: Start) -> bool:
        """Whether what a folder's listing brought still counts; if so, the walk does not end before `finish`."""
        with self._lock:
            if not self._closed:
                self._admitted.add(start.path)
            return not self._closed

    def finish(self, start: Start, below: Iterable[Start]) -> int:
        """Note that a folder is done, and which are to be listed below it; returns how many are left now."""
        with self._lock:
            del self._under_way[start.path]
            self._admitted.discard(start.path)
            self._add(below)
            self._more.notify_all()
            if self._closed or self._resting:
                self._ended.notify_all()
            return self._waiting + len(self._under_way)

    def fail(self, start: Start, failure: BaseException) -> None:
        """End the walk at once, because of what happened to a folder."""
        with self._lock:
            if not self._closed or start.path in self._admitted:
                self._failure = self._failure or failure
            self._admitted.discard(start.path)
            self._close()

    def close(self) -> None:
        """Begin no folder any more; what is under way counts for nothing, unless it was admitted."""
        with self._lock:
            self._close()

    def begin(self, rest_at: float | None) -> None:
        """Let folders be begun until that time of the monotonic clock, from the start or after a rest."""
        with self._lock:
            self._rest_at, self._resting = rest_at, False

    def wait(self) -> bool:
        """Wait for the end of the walk, or until what is under way has stalled for too long after its budget.

        Or until the walk rests: nothing is under way, and more is to be listed after the next `begin`. From then on the
        folders that are left take turns.

        Returns: whether the walk is over.

        Raises: what the walk failed with.
        """
        with self._lock:
            while not self._closed:
                if self._resting and self._waiting and not self._under_way:
                    return False
                self._ended.wait(None if self._budget.until is None else _TICK)
                if self._is_late(_PATIENCE):
                    self._close()
            while self._admitted:
                self._ended.wait()
        if self._failure is not None:
            raise self._failure
        return True

    def unfinished(self) -> tuple[set[str], set[str]]:
        """What has to be walked yet, by the paths that are walked in one go: stuck where the walk began, and others."""
        with self._lock:
            left = {self._whole(s.path) for s in (*self._under_way.values(), *(todo[-1] for todo in self._todo))}
        stuck = {path for path in left if place(path) <= self._first}
        return stuck, left - stuck

    def _may_begin(self, path: str) -> bool:
        spent = self._budget.listings is not None and self._begun >= self._budget.listings
        return not (spent or self._is_late()) or place(self._whole(path)) <= self._first

    def _is_late(self, by: float = 0.0) -> bool:
        return self._budget.until is not None and self._clock.monotonic() >= self._budget.until + by

    def _close(self) -> None:
        self._closed = True
        self._more.notify_all()
        self._ended.notify_all()
