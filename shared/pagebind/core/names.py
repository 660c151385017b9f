"""The order of the pages of a book, and what they are called in it.

Readers put pages in order by their names, each in its own way. So a book's names are such that plain order (code
points), order without case and natural order all give the one order that was meant.

Where a volume merges chapters, the names that come in are paths (``Ch 2/001.jpg``); those in the book are flat.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import zip_longest
from operator import lt
from typing import TYPE_CHECKING
from unicodedata import normalize

from pagebind.errors import NOT_IN_A_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MAX_NAME_BYTES = 200
"""Longest name in a book, UTF-8: file systems take 255, and tools that unpack want room for a suffix of their own."""

NaturalKey = tuple[str, str]

_COVER_STEMS = frozenset({"cover", "front", "folder", "封面", "表紙"})
_COVER_PREFIX = "0000_"
_MIN_WIDTH = 4  # with fewer digits, the hundredth or the thousandth page would rename all others
_MAX_SUFFIX_BYTES = 16
_JOINT = " - "
"""Between a chapter and its page. A blank sorts before all that may follow in a longer chapter's name (1, 1.5, 1b)."""

_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"([0-9]+)")
_TO_SHAPE = str.maketrans("123456789", "000000000")
_UNSAFE = re.compile(rf"[/\\:{NOT_IN_A_LINE}]")
"""Separators, those of drives on Windows too (``C:x.jpg`` leaves the folder that is unpacked into)."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\.|$)", re.IGNORECASE)


@lru_cache(maxsize=4096)  # the same page names come back in every folder
def natural_key(text: str) -> NaturalKey:
    """A sort key for natural order: without case, numbers by their value; equal ones by the raw text.

    The order is total: no two different texts are equal, so nothing depends on the order in which they came. As in
    Komga (java-nat-sort), a number comes before any other character; decimal digits of all scripts count, and Chinese
    numerals where they are marked as ordinals (第十页).
    """
    folded = _folded(text)
    return _DIGITS.sub(_by_value, _with_digits(folded) if "第" in folded else folded), text


def is_cover(name: str) -> bool:
    """Whether the name is exactly that of a cover, whatever its suffix and case: cover, front, folder, 封面, 表紙."""
    return _folded(name.rpartition(".")[0] or name) in _COVER_STEMS


def order_pages(names: Sequence[str]) -> list[int]:
    """The indices of ``names`` in page order: covers first, then natural order.

    Any permutation of different names gives the same order. Of paths, what lies directly in a folder comes before the
    folders in it. These follow by the numbers of their chapters (``Ch 1``, ``Ch.3``, ``chapter 4``, ``Ch 10``) where
    words or signs say the number of each, else in natural order; that also decides between equal numbers.
    """
    if _shape_of_all(names) is not None:
        return sorted(range(len(names)), key=names.__getitem__)
    if _any_paths(names):
        paths = _path_keys(names)
        return sorted(range(len(names)), key=paths.__getitem__)
    keys = [(not is_cover(name), natural_key(name)) for name in names]
    return sorted(range(len(names)), key=keys.__getitem__)


def _any_paths(names: Sequence[str]) -> bool:
    return "/" in "".join(names)


_Step = tuple[int, tuple[float, ...], NaturalKey]
"""One level of a path: a cover, a page or a folder; for a folder, the numbers of its chapter; natural order."""


def _path_keys(paths: Sequence[str]) -> list[list[_Step]]:
    split = [path.split("/") for path in paths]
    steps = _folder_steps({tuple(folders) for *folders, _name in split})
    return [[*steps[tuple(folders)], (int(not is_cover(name)), (), natural_key(name))] for *folders, name in split]


def _folder_steps(folders: set[tuple[str, ...]]) -> dict[tuple[str, ...], list[_Step]]:
    """The way to each folder."""
    beside: dict[tuple[str, ...], set[str]] = {}
    for folder in folders:
        for depth, name in enumerate(folder):
            beside.setdefault(folder[:depth], set()).add(name)
    orders = {parent: _chapter_orders(names) for parent, names in beside.items()}
    return {
        folder: [(2, orders[folder[:depth]][name], natural_key(name)) for depth, name in enumerate(folder)]
        for folder in folders
    }


def _chapter_orders(names: set[str]) -> dict[str, tuple[float, ...]]:
    """The numbers that order folders beside each other; none where not each one is known to be a chapter's.

    What stands before it, such as a season's, comes before the chapter's own where all have as many.
    """
    if len(names) == 1:
        return dict.fromkeys(names, ())
    from pagebind.core.numbers import chapter_order  # here, not above: few volumes have chapters

    found = {name: chapter_order(name) for name in names}
    known = {name: order for name, order in found.items() if order is not None}
    if len(known) < len(names) or len({kind for kind, _before, _number in known.values()}) > 1:
        return dict.fromkeys(names, ())
    alike = len({len(before) for _kind, before, _number in known.values()}) == 1
    return {name: (*(before if alike else ()), number) for name, (_kind, before, number) in known.items()}


def book_names(ordered_names: Sequence[str]) -> list[str]:
    """What the pages are called in the book, in the same order.

    A name is first made safe: Unicode NFC, no separators, control characters or marks of direction, no dot in front,
    none that Windows reserves, at most `MAX_NAME_BYTES` with its suffix kept. Then the first of these that keeps the
    order everywhere:

    1. The names as they are.
    2. The number that counts the pages is padded with zeros to the widest one, at least 4 digits, and a cover gets
       ``0000_`` before its name. That number is sought by its place among the numbers of a name, from the left: the
       place where the most different values stand (``Title 2 - 1.jpg``: the second), the leftmost of several, for it
       decides the order. Where nothing varies, as with a single page, it is the last number. Of paths, the number that
       counts the chapters is padded likewise.
    3. Each name with its place in the book before it: ``0001_name``.

    No two names are equal, even without case. A page that is appended changes no other name, except where it makes
    another of the three rules, or another width, necessary.

    Args:
        ordered_names: different names, in the order that `order_pages` gives.
    """
    are_paths = _any_paths(ordered_names)
    safe = _all_safe(list(map(_flat, ordered_names)) if are_paths else ordered_names)
    if _agrees(safe):
        return safe
    padded = _all_safe(_padded_paths(ordered_names)) if are_paths else _padded(safe)
    if _agrees(padded):
        return padded
    width = max(_MIN_WIDTH, len(str(len(safe))))
    return [_fitted(f"{place:0{width}}_{name}") for place, name in enumerate(safe, 1)]


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else normalize("NFC", text).lower()


def _with_digits(text: str) -> str:
    from pagebind.core.numbers import with_digits  # here, not above: few names have such numerals

    return with_digits(text)


def _by_value(digits: re.Match[str]) -> str:
    """Text that sorts as the number does: a mark below all characters, how many digits, the digits."""
    run = digits[0]
    significant = (run if run.isascii() else "".join(str(int(digit)) for digit in run)).lstrip("0")
    return f"\0{chr(len(significant))}{significant}"


def _shape_of_all(names: Sequence[str]) -> str | None:
    """The one text, its digits made 0, that all names have in common, or None.

    Such names (``001.jpg`` to ``200.jpg``, the usual case) have numbers of equal width at equal places: every order of
    names is the plain one.
    """
    if len(set(map(len, names))) != 1:
        return None
    shape = names[0].translate(_TO_SHAPE)
    return shape if "".join(names).translate(_TO_SHAPE) == shape * len(names) else None


def _agrees(names: Sequence[str]) -> bool:
    """Whether all orders are the given one, with no two names equal in any of them.

    Readers fold case to lower or to upper, which differ about ``_`` beside a letter. Beyond ASCII, file systems fold
    more, and most readers do not know the digits of other scripts.
    """
    if _shape_of_all(names) is not None:
        return _increasing(names)
    orders: list[Callable[[str], str]] = [str, str.lower, str.upper, _natural]
    if not all(map(str.isascii, names)):
        orders += [str.casefold, _natural_by_ascii_digits]
    return all(_increasing(list(map(order, names))) for order in orders)


def _natural(name: str) -> str:
    return natural_key(name)[0]


def _natural_by_ascii_digits(name: str) -> str:
    return _NUMBER.sub(_by_value, _folded(name))


def _increasing(keys: Sequence[str]) -> bool:
    return all(map(lt, keys, keys[1:]))


def _padded(names: Sequence[str]) -> list[str]:
    pages = [[] if is_cover(name) else _NUMBER.split(name) for name in names]
    place = _counting_place(pages)
    width = max((len(parts[place]) for parts in pages if len(parts) > place), default=0)
    width = max(_MIN_WIDTH, width)
    return [_pad(name, parts, place, width) for name, parts in zip(names, pages, strict=True)]


def _padded_paths(paths: Sequence[str]) -> list[str]:
    """The paths, flat, with chapters and pages padded apart from each other."""
    folders = [path.rpartition("/")[0] for path in paths]
    chapters = list(dict.fromkeys(folders))
    titles = dict(zip(chapters, map(_flat, _padded(chapters)), strict=True))
    pages = _padded([path.rpartition("/")[2] for path in paths])
    return [f"{titles[folder]}{_JOINT}{page}" if folder else page for folder, page in zip(folders, pages, strict=True)]


def _flat(path: str) -> str:
    return path.replace("/", _JOINT)


def _pad(name: str, parts: list[str], place: int, width: int) -> str:
    """``name``, split into ``parts``, with the number at ``place`` padded; a cover has no parts."""
    if not parts:
        return _fitted(_COVER_PREFIX + name)
    if len(parts) <= place:
        return name
    return _fitted("".join([*parts[:place], parts[place].zfill(width), *parts[place + 1 :]]))


def _counting_place(pages: Iterable[list[str]]) -> int:
    """Where in the parts of a name (text and number by turns) the number that counts the pages stands."""
    columns = list(zip_longest(*(parts[1::2] for parts in pages)))
    varieties = [len({number.lstrip("0") for number in column if number is not None}) for column in columns]
    most = max(varieties, default=0)
    column = varieties.index(most) if most > 1 else max(0, len(varieties) - 1)
    return 2 * column + 1


def _all_safe(names: Sequence[str]) -> list[str]:
    shape = _shape_of_all(names)
    if shape is not None and _safe(shape) == shape:
        return list(names)
    return [_safe(name) for name in names]


def _safe(name: str) -> str:
    """``name`` as any system and any archive takes it, at most `MAX_NAME_BYTES` long."""
    if not name.isascii():
        name = normalize("NFC", name)
    name = _UNSAFE.sub("_", name)
    if name.endswith((".", " ")):
        name = name.rstrip(". ") + "_"
    if not name or name.startswith(".") or _RESERVED.match(name):
        name = f"_{name}"
    return _fitted(name)


def _fitted(name: str) -> str:
    """``name``, its stem cut so that it has at most `MAX_NAME_BYTES`."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = dot + suffix
    if not stem or len(tail.encode()) > _MAX_SUFFIX_BYTES:
        stem, tail = name, ""
    return stem.encode()[: MAX_NAME_BYTES - len(tail.encode())].decode(errors="ignore") + tail
