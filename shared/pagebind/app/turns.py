"""Folders that are listed in turns: whatever lies in one of them, those beside it come as often as it does."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from pagebind.core.walk_order import Place, place

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagebind.app.walk import Start

_CHAPTERS = 2
"""Levels below a volume of several folders that go before all else, so that few such volumes are half known at once."""


class _Node:
    """One folder: waiting itself, or with ``turns`` of what waits below it: how often each came, the rarest first."""

    __slots__ = ("below", "came", "start", "turns")

    def __init__(self) -> None:
        self.start: Start | None = None
        self.came = 0
        self.below: dict[str, _Node] = {}
        self.turns: list[tuple[int, int, _Node]] = []

    @property
    def waits(self) -> bool:
        return self.start is not None or bool(self.turns)


class Turns:
    """What waits to be listed. The folders in one folder take turns, at each level; a tree without end is one of them.

    Args:
        whole: gives the path that has to be walked in one go with a folder, which may be the folder itself.
    """

    def __init__(self, whole: Callable[[str], str]) -> None:
        self._whole = whole
        self._root = _Node()
        self._chapters: list[tuple[Place, int, Start]] = []
        self._order = count()

    def add(self, start: Start) -> None:
        """Let a folder wait for its turn."""
        here = place(start.path)
        if 0 < len(here) - len(place(self._whole(start.path))) <= _CHAPTERS:
            heappush(self._chapters, (here, next(self._order), start))
            return
        line = [self._root]
        for name in here:
            line.append(line[-1].below.setdefault(name, _Node()))
        waited = [node.waits for node in line]
        line[-1].start = start
        for above, node, was_there in zip(line, line[1:], waited[1:], strict=False):
            if not was_there:
                heappush(above.turns, (node.came, next(self._order), node))

    def take(self) -> Start | None:
        """The folder whose turn it is; None: nothing waits."""
        if self._chapters:
            return heappop(self._chapters)[-1]
        line = [self._root]
        while line[-1].start is None:
            if not line[-1].turns:
                return None
            line.append(heappop(line[-1].turns)[-1])
        start, line[-1].start = line[-1].start, None
        for above, node in zip(reversed(line[:-1]), reversed(line[1:]), strict=True):
            node.came += 1
            if node.waits:
                heappush(above.turns, (node.came, next(self._order), node))
        return start
