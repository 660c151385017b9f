"""The number of a volume or a chapter, read from its name.

A table of patterns of our own, for the names that people really give to folders: those of European and American
comics, of scanlations, and of Chinese, Japanese and Korean drives. A number is taken only beside a word or sign that
says what it counts, or where nothing else stands in the name. Numbers that count other things (years, resolutions, how
many volumes there are, how far a series has been updated) are none.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple
from unicodedata import normalize


class Number(NamedTuple):
    """What a name counts.

    Attributes:
        kind: ``volume`` or ``chapter``.
        text: without leading zeros: ``1``, ``12.5``, or a range, ``1-3``.
    """

    kind: Literal["volume", "chapter"]
    text: str


_WIDE: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
"""Full-width forms and the wide space. Not NFKC: that makes 121/2 of 12½."""

_HAN_DIGITS: Final = {character: value for value, character in enumerate("零一二三四五六七八九")} | {
    "\u3007": 0,
    "两": 2,
}
_HAN_UNITS: Final = {"十": 10, "百": 100, "千": 1000}
_HAN: Final = "".join([*_HAN_DIGITS, *_HAN_UNITS])

_FIRST_YEAR, _LAST_YEAR = 1900, 2099

# The pieces. All repetitions are bounded, so that a search takes time in proportion to the name's length.
_ARABIC: Final = r"(?>[0-9]{1,4}(?:\.[0-9]{1,3})?)(?![0-9]|\.[0-9])"
_EITHER: Final = rf"(?:{_ARABIC}|(?>[{_HAN}]{{1,7}}))"
_TO: Final = "[-\u2010\u2013\u2014~〜&+]"
_HAN_TO: Final = "[-\u2010\u2013\u2014~〜&+至到]"
_NO_UNIT: Final = "(?![a-z]{1,2}(?![a-z0-9]))"
"""Not 1080p, 3rd, 12a; but v01c005."""
_NO_LETTER: Final = "(?<![0-9A-Za-zÀ-ɏ'\u2019])"
_NO_COUNT: Final = r"(?<![全共至到总總計计総총전])(?<![全共至到总總計计総총전]\s)"
"""Not 全12巻 (complete in 12), 更新至1101话 (updated to 1101)."""
_GAP: Final = r"[\s._:-]{0,3}(?:n[°ºo]\.?|nr\.?|#)?\s?"


def _latin(word: str, gap: str = _GAP) -> str:
    """A number after a word; in a range the word may stand again. Blanks around the sign: only at the name's end."""
    at_end = rf"{_ARABIC}\s{{0,3}}(?:\Z|[(\[])"
    again = rf"(?:{word}){gap}{_ARABIC}"
    to = rf"(?:(?P<to>{_TO})|\s{_TO}\s(?={at_end}|{again}))"
    return rf"{_NO_LETTER}(?:{word}){gap}(?P<first>{_ARABIC})(?:{to}(?:(?:{word}){gap})?(?P<last>{_ARABIC}))?{_NO_UNIT}"


def _marked(before: str, after: str) -> str:
    """A number between two characters, as in 第3巻; in a range both may stand again."""
    more = rf"{after}?\s?(?P<to>{_HAN_TO})\s?{before}?\s?(?P<last>{_EITHER})"
    return rf"{_NO_COUNT}{before}\s?(?P<first>{_EITHER})(?:{more})?\s?{after}"


def _followed(number: str, after: str) -> str:
    """A number before a character, as in 3卷."""
    more = rf"(?:{after})?\s?(?P<to>{_HAN_TO})\s?(?P<last>{number})"
    return rf"{_NO_COUNT}(?<![0-9.第제{_HAN}])(?<![第제]\s)(?P<first>{number})(?:{more})?\s?{after}"


_BARE: Final = rf"(?P<first>{_EITHER})(?:\s?(?P<to>{_HAN_TO})\s?(?P<last>{_EITHER}))?"

_VOLUME: Final = (_latin("volumes?|vols?|tomes?|tomo|band|bd"),)
_VOLUME_IN_EAST_ASIA: Final = (
    _marked("第", "[巻卷册冊]"),
    _marked("제", "권"),
    _followed(_EITHER, "[巻卷册冊]"),
    _followed(_ARABIC, "권(?![가-힣])"),
    rf"[巻卷册冊][のノ之]?\s?{_BARE}",
)
_VOLUME_BY_LETTER: Final = (_latin("v", r"[._]?\s?"), _latin("t", r"\.?\s?"))
_CHAPTER: Final = (
    _latin("chapters?|chapitre|chaps?|ch|kapitel|episodes?|ep"),
    rf"#\s?(?P<first>{_ARABIC})(?:(?P<to>{_TO})#?(?P<last>{_ARABIC}))?{_NO_UNIT}",
    # In lower case, for (C99) is an edition of Comiket; and never one digit alone.
    rf"(?<![(\[])(?=(?-i:c)[0-9]{{2}}){_latin('c', '')}",
)
_CHAPTER_IN_EAST_ASIA: Final = (
    _marked("第", "[話话回章]"),
    _marked("제", "[화장]"),
    _followed(_ARABIC, "[話话]"),
    _followed(_ARABIC, "화(?![가-힣])"),
)


@lru_cache(maxsize=4096)  # "Vol 01" comes back in every series
def number_of(name: str, *, chapter_first: bool = False) -> Number | None:
    """The number that a name says, or None.

    Of a volume's and a chapter's, the volume's counts; a single letter (``v2``) after a chapter is that chapter's
    second version. A name that is nothing but a number is a volume's.

    Args:
        name: of a folder, or of a file without its suffix.
        chapter_first: the name is known to be a chapter's: its number counts.
    """
    text = _plain(name)
    if not _compiled(f"[0-9{_HAN}]").search(text):
        return None
    bare = _compiled(_BARE).fullmatch(text)
    if bare is not None:
        found = _read(bare, years=False)
        return Number("chapter" if chapter_first else "volume", found) if found else None
    volume, chapter = _volume_in(text), _chapter_in(text)
    if chapter and (chapter_first or not volume or (volume.by_letter and chapter.place < volume.place)):
        return Number("chapter", chapter.text)
    return Number("volume", volume.text) if volume else None


class _Found(NamedTuple):
    text: str
    place: int
    by_letter: bool = False


def _volume_in(text: str) -> _Found | None:
    patterns = _VOLUME if text.isascii() else _VOLUME + _VOLUME_IN_EAST_ASIA
    found = _first(patterns, text, years=False)
    if found is None:
        found = _first(_VOLUME_BY_LETTER, text, years=False)
        return found and found._replace(by_letter=True)
    return found


def _chapter_in(text: str) -> _Found | None:
    patterns = _CHAPTER if text.isascii() else _CHAPTER + _CHAPTER_IN_EAST_ASIA
    return _first(patterns, text, years=True)


def _plain(name: str) -> str:
    return name.strip() if name.isascii() else normalize("NFC", name).translate(_WIDE).strip()


@cache  # at first use, not at import: the cold path of a poll without new folders needs none
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _first(patterns: tuple[str, ...], text: str, *, years: bool) -> _Found | None:
    """What the first fitting pattern finds."""
    for pattern in patterns:
        for match in _compiled(pattern).finditer(text):
            number = _read(match, years=years)
            if number is not None:
                return _Found(number, match.start("first"))
    return None


def _read(match: re.Match[str], *, years: bool) -> str | None:
    """The number or range of a match in plain digits; None where it is a year and ``years`` are not wanted."""
    first, last = _digits(match["first"]), _digits(match["last"] or "")
    if not years and _is_year(first):
        return None
    if not last or (not years and _is_year(last)):
        return first
    if float(last) > float(first):
        return f"{first}-{last}"
    # Many write 12-5 for 12.5, as the point is awkward in names.
    return f"{first}.{last}" if match["to"] == "-" and len(last) == 1 and "." not in first else first


def _is_year(digits: str) -> bool:
    return digits.isdecimal() and _FIRST_YEAR <= int(digits) <= _LAST_YEAR


def _digits(number: str) -> str:
    """``012.0`` as ``12``, 十二 as ``12``."""
    if not number:
        return ""
    if number[0] in _HAN:
        return str(_han(number))
    whole, _, fraction = number.partition(".")
    return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction.strip("0") else "")


def _han(number: str) -> int:
    """By units (一百二十), or digit by digit (一二〇)."""
    if not set(number) & _HAN_UNITS.keys():
        return int("".join(str(_HAN_DIGITS[character]) for character in number))
    total = digit = 0
    for character in number:
        if character in _HAN_UNITS:
            total += (digit or 1) * _HAN_UNITS[character]
            digit = 0
        else:
            digit = _HAN_DIGITS[character]
    return total + digit
