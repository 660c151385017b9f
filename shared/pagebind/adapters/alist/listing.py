"""A whole folder from its pages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pagebind.errors import ListingFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagebind.adapters.alist.envelope import ListData
    from pagebind.core.model import Item

PER_PAGE: Final = 200
"""The size of page that every server since 3.30 understands in the same way."""

_MOST_PAGES: Final = 10_000


@dataclass(slots=True)
class _Reading:
    items: dict[str, Item] = field(default_factory=dict)
    count: int = 0
    totals: tuple[int | None, int | None] = (None, None)
    steady: bool = True
    given: int = 0
    barren: bool = False

    def add(self, data: ListData, *, first: bool) -> bool:
        """Take one page in; whether it brought anything."""
        content = data.content or []
        new = [item for item in content if item.name not in self.items]
        totals = (data.total, data.filtered_total)
        self.steady = first or (self.steady and totals == self.totals and len(new) == len(content))
        self.totals = totals
        self.count += len(new)
        self.given += len(content)
        self.barren = self.barren or (bool(content) and not new)
        for item in new:
            self.items.setdefault(item.name, item)
        return bool(new)

    @property
    def whole(self) -> bool:
        return self.steady and (self.totals[0] is None or self.count in self.totals)

    def repeats(self, earlier: _Reading) -> bool:
        """Whether both readings gave all entries, and the same names: then the drive has some names several times.

        A page that brought nothing new is another thing: a server that gives one page again and again.
        """
        return (
            not self.barren
            and self.given in self.totals
            and self.totals == earlier.totals
            and self.items.keys() == earlier.items.keys()
        )

    @property
    def reached(self) -> bool:
        return self.totals[0] is not None and self.count >= min(total for total in self.totals if total is not None)


def list_folder(ask: Callable[[int, bool], ListData], path: str, *, refresh: bool) -> list[Item]:
    """Everything in the folder, each name once, by asking ``ask(page, refresh)`` for pages from 1 on.

    Pages are trusted only if the total stood still, no name came back on a later page, and as many came as the total
    says; else the folder is read once more, without ``refresh``, and counts if it reads the same. A drive may hold one
    name several times: the first is taken, as the server does. Entries that no path can name (empty, ``.``, ``..``,
    with ``/`` or NUL) are left out; a negative size, which stands for an unknown one, is 0.

    Raises:
        ListingFailed: both readings were contradictory.
    """
    reading = earlier = _read(ask, path, refresh=refresh)
    if not reading.whole:
        reading = _read(ask, path, refresh=False)
    if not reading.whole and not reading.repeats(earlier):
        raise ListingFailed(
            f"cannot list {path}: the server says that it holds {reading.totals[0]} entries, and gave {reading.count}",
            fix="the folder may be changing: wait; if this stays, look at the drive behind it",
            path=path,
        )
    return [_plain(item) for item in reading.items.values() if _can_be_named(item.name)]


def _read(ask: Callable[[int, bool], ListData], path: str, *, refresh: bool) -> _Reading:
    reading = _Reading()
    page, last = 1, _MOST_PAGES
    while page <= last:
        data = ask(page, refresh and page == 1)
        if data.content is None and data.total is None:
            raise ListingFailed(
                f"cannot list {path}: the server answered without entries and without a total", path=path
            )
        if not reading.add(data, first=page == 1) or reading.reached:
            break
        if page == 1 and data.total is not None:
            # Twice what a steady folder needs: a total that runs away ends here.
            last = 2 * -(-data.total // reading.count) + 2
        page += 1
    return reading


def _can_be_named(name: str) -> bool:
    return name not in {"", ".", ".."} and "/" not in name and "\0" not in name


def _plain(item: Item) -> Item:
    return item if item.size >= 0 else replace(item, size=0)
