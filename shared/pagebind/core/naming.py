"""What a volume is called: its key in the library, and what its book says of itself."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.layout import name_of
from pagebind.core.library_key import library_key
from pagebind.core.model import About

if TYPE_CHECKING:
    from pagebind.core.layout import Placed
    from pagebind.core.numbers import Number
    from pagebind.core.watch import Watch

_SEPARATORS = " \t\u3000-_.,:;|~+&·・、，：；—–\uff5e"  # noqa: RUF001 - as they stand in names
_EMPTY_BRACKETS = r"\(\s*\)|\[\s*\]|\{\s*\}|（\s*）|［\s*］|【\s*】|「\s*」|《\s*》"  # noqa: RUF001 - likewise
_BLANKS = r"\s\s+"


class Called(NamedTuple):
    """A volume's key in the library, as its settings give it now, and what its book says of itself."""

    key: str
    about: About


def call(watch: Watch, placed: Placed, *, suffix: str = "cbz") -> Called:
    """Name a volume.

    Args:
        watch: its subscription.
        placed: where the layout puts it.
        suffix: of the file, without the dot: ``cbz``, or an archive's own. A ``zip`` is called ``cbz``: it is one.
    """
    series = watch.series or without(placed.series, watch.strip)
    name = without(placed.name, watch.strip)
    number = _number(placed, series, name)
    fields = {
        "series": series,
        "volume": name,
        "number": number.text if number else name,
        "chapter": without(placed.chapter, watch.strip) or name,
        "subscription": name_of(watch.path),
        "parent": without(placed.parent, watch.strip),
    }
    own = suffix.lower()
    key = library_key(watch.template, fields, suffix="cbz" if own == "zip" else own)
    return Called(key, _about(watch, series, name, number))


def without(name: str, patterns: tuple[str, ...]) -> str:
    """A name without what the patterns match, tidied; as it is where none matches or nothing would be left.

    Args:
        name: of a series, volume or chapter.
        patterns: regular expressions; case is ignored.
    """
    left = name
    for pattern in patterns:
        left = _compiled(pattern).sub("", left)
    if left == name:
        return name
    left = _compiled(_EMPTY_BRACKETS).sub("", left)
    left = _compiled(_BLANKS).sub(" ", left).strip(_SEPARATORS)
    return left or name


@lru_cache(maxsize=256)  # at first use, not at import: most subscriptions strip nothing
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _number(placed: Placed, series: str, name: str) -> Number | None:
    """The number of the chapter that the layout knows of, else what the name says behind the series' own."""
    # Here, not above: what starts a process and names no volume does without.
    from pagebind.core.numbers import number_of

    title = series if name.startswith(series) else ""  # without it, "Vol 01" is read once for all series
    if placed.chapter:
        found = number_of(name, chapter_first=True, title=title)
        return found and found._replace(kind="chapter")
    return number_of(name, title=title)


def _about(watch: Watch, series: str, title: str, number: Number | None) -> About:
    about = About(series, title, language=watch.language, direction=watch.direction, comicinfo=watch.comicinfo)
    if number is None:
        return about
    if number.kind == "chapter" or watch.reader == "komga":
        return about._replace(number=number.text)
    if watch.reader == "kavita" and number.text.isdecimal():  # ComicInfo's Volume is a whole number
        return about._replace(volume=number.text)
    return about
