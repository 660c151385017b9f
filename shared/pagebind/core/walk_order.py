"""The order in which every walk meets folders, and stretches of it: a folder, then what lies below it, name by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

Place = tuple[str, ...]
"""Where a path stands in the order; places are compared as they are."""


def place(path: str) -> Place:
    """The place of a path on the server."""
    return tuple(part for part in path.split("/") if part)


def above(path: str) -> Iterator[str]:
    """The folders that a path lies in, the nearest first."""
    while path != "/":
        path = layout.parent(path)
        yield path


class Stretch(NamedTuple):
    """All paths from ``begin`` on and before ``end``. Empty: from the first one on, or to the last one."""

    begin: str = ""
    end: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it ends where it begins, or before."""
        return bool(self.end) and place(self.end) <= place(self.begin)

    def touches(self, folder: str) -> bool:
        """Whether the folder, or something that may lie below it, does not come before its begin."""
        begin, here = place(self.begin), place(folder)
        return here >= begin or begin[: len(here)] == here

    def holds_all_of(self, folder: str) -> bool:
        """Whether the folder is in it with everything below."""
        begin, end, here = place(self.begin), place(self.end), place(folder)
        return here >= begin and (not self.end or (end > here and end[: len(here)] != here))


EVERYTHING = Stretch()


def left_over(gaps: list[Stretch], walked: Stretch) -> list[Stretch]:
    """What is left of some stretches when another one has been walked."""
    left = []
    for gap in gaps:
        if walked.begin:
            left.append(Stretch(gap.begin, min(filter(None, (gap.end, walked.begin)), key=place)))
        if walked.end:
            left.append(Stretch(max(gap.begin, walked.end, key=place), gap.end))
    return [stretch for stretch in left if not stretch.is_empty]
