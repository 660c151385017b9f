"""A whole folder from its pages, with nothing in it that cannot be true."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final
from unicodedata import combining

from pagebind.core.model import HASH_DIGITS, HASH_KINDS
from pagebind.errors import ListingFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pagebind.adapters.alist.envelope import ListData
    from pagebind.core.model import Item

PER_PAGE: Final = 200
"""The size of page that every server since 3.30 understands in the same way."""

MOST_ENTRIES: Final = 100_000
"""Entries of one folder. All of them are in memory at once, some 60 MB of these; a book has a few hundred pages, and so
many are a drive's mistake or a server that never ends."""

_MOST_PAGES: Final = 2_000
"""Requests for one folder: a server may give pages of 50 where 200 are asked for."""

_LONGEST_LISTING: Final = 600.0
"""Seconds for all requests of one listing together. 100,000 entries are 500 requests, and a server takes about a second
for each that it has to ask a drive for. Without this limit one that answers just before each time-out is listed for
days, and the walk ends when its slowest folder does."""

_MOST_NUMBER: Final = 2**63 - 1
"""The servers count in 64 bits with a sign."""

_LONG_NAME: Final = 255
"""Characters; file systems take as many bytes."""
_LONGEST_NAME: Final = 10_000
_MOST_MARKS: Final = 30
"""On one letter. Source: Unicode's stream-safe text format, UAX 15."""
_NO_NAME: Final = "\N{REPLACEMENT CHARACTER}"
_KEPT: Final = 60
"""Characters at each end of a name that is too long to be read."""

_LONGEST_TIME: Final = 64
_LONGEST_SIGN: Final = 1024
"""Real ones have some 60 characters; a task takes no longer one."""

_MOST_HASHES: Final = 8
_LONGEST_KIND: Final = 32
_LONGEST_HASH: Final = 128
"""Hex digits of SHA-512."""


@dataclass(slots=True)
class _Reading:
    items: dict[str, Item] = field(default_factory=dict)
    count: int = 0
    totals: tuple[int | None, int | None] = (None, None)
    steady: bool = True
    given: int = 0
    barren: bool = False

    def most(self, data: ListData) -> int:
        """How many entries there are at least, with this page, by what came and by what the server says."""
        said = min((total for total in (data.total, data.filtered_total) if total is not None), default=0)
        return max(_number(said), self.given + len(data.content or ()))

    def add(self, data: ListData, *, first: bool) -> bool:
        """Take one page in; whether it brought anything."""
        content = [item if _is_one_name(item.name) else _renamed(item) for item in data.content or ()]
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


def _no_time() -> float:
    return 0.0


def list_folder(
    ask: Callable[[int, bool], ListData], path: str, *, refresh: bool, taken: Callable[[], float] = _no_time
) -> list[Item]:
    """Everything in the folder, each name once, by asking ``ask(page, refresh)`` for pages from 1 on.

    ``taken`` tells how many seconds the server has taken until now.

    Pages are trusted only if the total stood still, no name came back on a later page, and as many came as the total
    says; else the folder is read once more, without ``refresh``, and counts if it reads the same. A drive may hold one
    name several times: the first is taken, as the server does. Entries that lead nowhere (empty, ``.``, ``..``) are
    left out; of a name that is none see `_renamed`, of what else is odd `_plain`.

    Raises:
        ListingFailed: both readings were contradictory, it holds more than `MOST_ENTRIES`, or the server takes longer
            than 10 minutes.
    """

    def ask_in_time(page: int, refresh_now: bool) -> ListData:
        if taken() > _LONGEST_LISTING:
            raise _too_slow(path)
        return ask(page, refresh_now)

    reading = earlier = _read(ask_in_time, path, refresh=refresh)
    if not reading.whole:
        reading = _read(ask_in_time, path, refresh=False)
    if not reading.whole and not reading.repeats(earlier):
        raise ListingFailed(
            f"cannot list {path}: the server says that it holds {_number(reading.totals[0])} entries,"
            f" and gave {reading.count}",
            fix="the folder may be changing: wait; if this stays, look at the drive behind it",
            path=path,
        )
    return [_plain(item) for item in reading.items.values() if item.name not in _NOWHERE]


def _read(ask: Callable[[int, bool], ListData], path: str, *, refresh: bool) -> _Reading:
    reading = _Reading()
    page, last = 1, _MOST_PAGES
    while page <= last:
        data = ask(page, refresh and page == 1)
        if data.content is None and data.total is None:
            raise ListingFailed(
                f"cannot list {path}: the server answered without entries and without a total", path=path
            )
        if reading.most(data) > MOST_ENTRIES:
            raise _too_many(path, f"{reading.most(data):,} entries")
        if not reading.add(data, first=page == 1) or reading.reached:
            return reading
        if page == 1 and data.total is not None:
            # Twice what a steady folder needs: a total that runs away ends here.
            last = min(_MOST_PAGES, 2 * -(-data.total // reading.count) + 2)
        page += 1
    if data.total is None:
        raise _too_many(path, f"more than {reading.count:,} entries, {page - 1:,} pages of them,")
    return reading


def _too_slow(path: str) -> ListingFailed:
    return ListingFailed(
        f"cannot list {path}: its listing takes longer than {_LONGEST_LISTING / 60:.0f} minutes",
        fix="see why the server answers so slowly; leave the folder out by `exclude`, or split it",
        path=path,
    )


def _too_many(path: str, what: str) -> ListingFailed:
    return ListingFailed(
        f"cannot list {path}: it holds {what} where {MOST_ENTRIES:,} are the most",
        fix="leave it out by `exclude`, or split it into several folders",
        path=path,
    )


_NOWHERE: Final = frozenset({"", ".", ".."})


def _is_one_name(name: str) -> bool:
    return "/" not in name and "\0" not in name and (len(name) <= _LONG_NAME or _can_be_read(name))


def _can_be_read(name: str) -> bool:
    """Whether a long name costs no more than its length: putting marks on one letter in order takes their square."""
    if len(name) > _LONGEST_NAME:
        return False
    marks = 0
    for character in name:
        marks = marks + 1 if combining(character) else 0
        if marks > _MOST_MARKS:
            return False
    return True


def _renamed(item: Item) -> Item:
    """An entry whose name is none, under one that nothing has: it is missed, and never taken for another.

    Left out, it would be missing from a book without a word.
    """
    name = item.name.replace("/", _NO_NAME).replace("\0", _NO_NAME)
    if len(name) > _LONG_NAME:
        name = f"{name[:_KEPT]}{_NO_NAME}{name[-_KEPT:]}"
    return replace(item, name=name)


def _number(given: int | None) -> int:
    """A number of the server's, as far as it may be one: others need more digits than anything here is made for."""
    return min(max(given or 0, 0), _MOST_NUMBER)


def _plain(item: Item) -> Item:
    """The entry without what cannot be true, so that nothing of it is kept, written or sent on.

    A negative size stands for an unknown one, and is 0. A time or sign that is too long, or holds control characters,
    is none, and so is a hash that has not the digits of its kind.
    """
    size, modified, sign, hashes = item.size, item.modified, item.sign, item.hash_info
    if not (_is_time(modified) and _is_sign(sign)):
        item = replace(item, modified=modified if _is_time(modified) else "", sign=sign if _is_sign(sign) else "")
    if not 0 <= size <= _MOST_NUMBER:
        item = replace(item, size=_number(size))
    if hashes and not _are_plain(hashes):
        item = replace(item, hash_info=_plain_hashes(hashes))
    return item


def _is_time(text: str) -> bool:
    return len(text) <= _LONGEST_TIME and text.isprintable()


def _is_sign(text: str) -> bool:
    return len(text) <= _LONGEST_SIGN and text.isascii() and text.isprintable()


def _are_plain(hashes: Mapping[str, str]) -> bool:
    if len(hashes) > _MOST_HASHES:
        return False
    for kind, value in hashes.items():  # noqa: SIM110  `all` takes twice the time, for each of a million files
        if not _is_hash(kind, value):
            return False
    return True


def _plain_hashes(hashes: Mapping[str, str]) -> dict[str, str] | None:
    kinds = [*HASH_KINDS, *(kind for kind in islice(hashes, _MOST_HASHES) if kind not in HASH_DIGITS)]
    return {kind: hashes[kind] for kind in kinds if kind in hashes and _is_hash(kind, hashes[kind])} or None


def _is_hash(kind: str, value: str) -> bool:
    digits = HASH_DIGITS.get(kind)
    if digits is not None:
        return len(value) == digits and _HEX(value) is not None
    return len(kind) <= _LONGEST_KIND and len(value) <= _LONGEST_HASH and (kind + value).isprintable()


_HEX: Final = re.compile("[0-9a-fA-F]*").fullmatch
