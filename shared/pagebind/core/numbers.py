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

_HAN_DIGITS: Final = {
    character: value
    for digits in ("零一二三四五六七八九", "〇壹贰叁肆伍陆柒捌玖")
    for value, character in enumerate(digits)
} | {"两": 2, "貳": 2, "參": 3, "陸": 6}
_HAN_UNITS: Final = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100, "仟": 1000}
_HAN_TENS: Final = str.maketrans({"廿": "二十", "卅": "三十"})
_HAN: Final = "".join([*_HAN_DIGITS, *_HAN_UNITS, *map(chr, _HAN_TENS)])

_FIRST_YEAR, _LAST_YEAR = 1900, 2099
_RESOLUTIONS: Final = frozenset({"1080", "1440", "2160"})

# The pieces. All repetitions are bounded, so that a search takes time in proportion to the name's length.
_FRACTION: Final = r"(?:\.[0-9]{1,3}|,[0-9](?![0-9]|,[0-9]))?"
_END: Final = r"(?![0-9]|\.[0-9])"
_ARABIC: Final = rf"(?>[0-9]{{1,4}}{_FRACTION}){_END}"
_LONG: Final = rf"(?>[0-9]{{1,5}}{_FRACTION}){_END}"
"""Web comics have chapters beyond 9999."""
_EITHER: Final = rf"(?:{_LONG}|(?>[{_HAN}]{{1,7}}))"
_IN_MARKS: Final = rf"(?:(?>[0-9]{{1,5}}\s?(?:\.\s?[0-9]{{1,3}}|,\s?[0-9])){_END}|{_EITHER})"
_TO: Final = "[-\u2010\u2013\u2014~〜&+]"
_HAN_TO: Final = "[-\u2010\u2013\u2014~〜&+至到]"
_NO_UNIT: Final = "(?!(?!(?-i:[A-Ca-e])(?![A-Za-z0-9]))[a-z]{1,2}(?![a-z0-9]))"
"""Not 1080p, 3rd; but 12a, the second half of a chapter, and v01c005."""
_NO_LETTER: Final = "(?<![0-9A-Za-zÀ-ɏЀ-ӿ'\u2019])"
_NO_COUNT: Final = r"(?<![全共至到总總计計総총전])(?<![全共至到总總计計総총전]\s)"
"""Not 全12巻 (complete in 12), 更新至1101话 (updated to 1101)."""
_NO_SET: Final = r"(?(last)|(?!\s?(?:セット|套|装|裝|組|组)))"
"""Not 8巻セット (a set of 8); but 1-8巻セット."""
_GAP: Final = r"[\s._:-]{0,3}(?:n[°ºo]\.?|nr\.?|#)?\s?"


def _latin(word: str, gap: str = _GAP, number: str = _ARABIC) -> str:
    """A number after a word; in a range the word may stand again. Blanks around the sign: only at the name's end."""
    at_end = rf"{number}\s{{0,3}}(?:\Z|[(\[])"
    again = rf"(?:{word}){gap}{number}"
    to = rf"(?P<to>{_TO}|\s(?:to|{_TO}(?=\s(?:{at_end}|{again})))\s)"
    return rf"{_NO_LETTER}(?:{word}){gap}(?P<first>{number})(?:{to}(?:(?:{word}){gap})?(?P<last>{number}))?{_NO_UNIT}"


def _marked(before: str, after: str) -> str:
    """A number between two characters, as in 第3巻; in a range both may stand again."""
    more = rf"{after}?\s?(?P<to>{_HAN_TO})\s?{before}?\s?(?P<last>{_EITHER})"
    return rf"{_NO_COUNT}{before}\s?(?P<first>{_IN_MARKS})(?:{more})?\s?{after}"


def _followed(number: str, after: str) -> str:
    """A number before a character, as in 3卷."""
    more = rf"(?:{after})?\s?(?P<to>{_HAN_TO})\s?(?P<last>{number})"
    return rf"{_NO_COUNT}(?<![0-9.第제{_HAN}])(?<![0-9],)(?<![第제]\s)(?P<first>{number})(?:{more})?\s?{after}{_NO_SET}"


_BARE: Final = rf"(?P<first>{_EITHER})(?:\s?(?P<to>{_HAN_TO})\s?(?P<last>{_EITHER}))?"

_VOLUME: Final = (_latin("volumes?|volumen|vols?|tomes?|tomo|band|bd|том"),)
_VOLUME_IN_EAST_ASIA: Final = (
    _marked("第", "[巻卷册冊]"),
    _marked("제", "권"),
    _followed(_EITHER, "[巻卷册冊]"),
    _followed(_ARABIC, "권(?![가-힣])"),
    rf"[巻卷册冊][のノ之]?\s?{_BARE}",
    _latin("volumes?|vols?", r"[\s.]{0,2}", rf"(?>[{_HAN}]{{1,7}})(?![\u3400-\u9fff])"),
)
_VOLUME_BY_LETTER: Final = (_latin("v", r"[._]?\s?"), _latin("t", r"\.?\s?"))
_CHAPTER_WORDS: Final = (
    "chapters?|chapitre|chaps?|ch|kapitel|episodes?|ep|issues?|heft|cap[ií]tulo|capitolo|cap|rozdział|глава"
)
_CHAPTER: Final = (
    _latin(_CHAPTER_WORDS, number=_LONG),
    rf"#\s?(?P<first>{_LONG})(?:(?P<to>{_TO})#?(?P<last>{_LONG}))?{_NO_UNIT}",
    rf"{_NO_LETTER}s[0-9]{{1,2}}[\s._-]?e(?P<first>{_LONG})(?:(?P<to>{_TO})e?(?P<last>{_LONG}))?{_NO_UNIT}",
)
# In lower case, for (C99) is an edition of Comiket; and never one digit alone.
_CHAPTER_BY_LETTER: Final = (rf"(?<![(\[])(?=(?-i:c)[0-9]{{2}}){_latin('c', '', _LONG)}",)
_CHAPTER_IN_EAST_ASIA: Final = (
    _marked("第", "[話话回章集]"),
    _marked("제", "[화장]"),
    _followed(_LONG, "[話话]"),
    _followed(_LONG, "화(?![가-힣])"),
)

# Words that titles have as well (No. 6; Part 2 of a series in volumes): they count where no other does.
_CHAPTER_OR_TITLE: Final = (_latin(r"no(?=\.)|nr|n[°º]|№|act|lesson"),)
_VOLUME_OR_TITLE: Final = (_latin("books?|parts?|album"),)

# A bare number behind the title: an issue whose name has no # cannot be told from a volume, so it counts as a volume.
_IN_LAST_BRACKETS: Final = r"[(\[【](?P<first>[0-9]{1,3})(?:(?P<to>-)(?P<last>[0-9]{1,3}))?[)\]】]\Z"
_LEADING_BRACKETS: Final = r"(?:[(\[【][^(\[【)\]】]{0,200}[)\]】]\s{0,9}){1,9}"
_BRACKET: Final = r"[(\[{【「『《]"
_COUNTED: Final = (
    r"(?:volumes?|vols?|books?|tomes?|chapters?|issues?|pages?|p|px|dpi|years?|days?|nights?)(?![a-z])"
    "|[巻卷册冊話话回章集頁页季部本年月日권화]"
)
_ALONE: Final = rf"(?<=\s)(?P<first>{_ARABIC})(?:(?P<to>{_TO})(?P<last>{_ARABIC}))?(?=\s|\Z)(?!\s{{1,3}}(?:{_COUNTED}))"
_NOT_BEHIND: Final = frozenset(["of", "season", "staffel", "saison", "year", "version", "ver", "rev", "top", "시즌"])
"""Words that say what else the next number counts."""
_BEFORE_A_COUNT: Final = tuple("全共至到总總计計総총")
_BETWEEN: Final = " \t-_.,:;~·・、\u2010\u2013\u2014"
"""Between a title and its number."""
_DASHES: Final = ("-", "\u2010", "\u2013", "\u2014")
_ASIDE: Final = r"番外|特典|特別|特别|外[传傳伝]|おまけ|(?<![a-z])(?:extras?|omake|specials?|bonus|side)(?![a-z])"
_COUNTERS: Final = "话話回章集页頁巻卷册冊季部"


@lru_cache(maxsize=4096)  # "Vol 01" comes back in every series
def number_of(name: str, *, chapter_first: bool = False, title: str = "") -> Number | None:
    """The number that a name says, or None.

    Of a volume's and a chapter's, the volume's counts; a single letter (``v2``) after a chapter is that chapter's
    second version. A name that is nothing but a number is a volume's, and so is a number that stands alone behind a
    title (``Saga 012 (2013)``): the last before any brackets, with two digits at least, as ``Fantastic 4`` is a title.

    Args:
        name: of a folder, or of a file without its suffix.
        chapter_first: the name is known to be a chapter's: its number counts.
        title: what the name is known to begin with: numbers in it count only where a word says so.
    """
    text = _plain(name)
    if not _compiled(f"[0-9{_HAN}]").search(text):
        return None
    bare = _all_bare(text)
    if bare:
        return Number("chapter" if chapter_first else "volume", bare)
    found = _by_word(text, chapter_first=chapter_first) or _beside_title(text, _plain(title))
    return found and Number(found.kind, found.text)


def chapter_order(name: str) -> tuple[str, tuple[int, ...], float] | None:
    """By what a chapter's folder is put among its siblings, or None where no word or sign says its number.

    Returns: its kind; the numbers that stand before it in the name, such as that of a season; the number, of a range
    the first. Extras have none: their numbers do not continue those of the chapters.
    """
    text = _plain(name)
    bare = _all_bare(text)
    if bare:
        return "chapter", (), _first_of(bare)
    if _compiled(_ASIDE).search(text):
        return None
    found = _by_word(text, chapter_first=True) or _by_word_of_titles(text)
    if found is None:
        return None
    before = _compiled("[0-9]{1,9}").findall(with_digits(text[: found.place]))
    return found.kind, tuple(map(int, before)), _first_of(found.text)


def with_digits(text: str) -> str:
    """``text`` with Chinese numerals as digits where they count: 第10页 for 第十页. It has to be NFC."""
    pattern = rf"(?<=第)(?P<gap>\s?)(?P<number>[{_HAN}]{{1,7}})(?=\s?[{_COUNTERS}])"
    return _compiled(pattern).sub(lambda match: f"{match['gap']}{_han(match['number'])}", text)


class _Found(NamedTuple):
    kind: Literal["volume", "chapter"]
    text: str
    place: int
    start: int
    by_letter: bool = False


def _all_bare(text: str) -> str | None:
    """The number of a name that is nothing else."""
    bare = _compiled(_BARE).fullmatch(text)
    return bare and _read(bare, years=False)


def _by_word(text: str, *, chapter_first: bool) -> _Found | None:
    volume, chapter = _volume_in(text), _chapter_in(text)
    if chapter and (chapter_first or not volume or _is_mere_version(volume, chapter, text)):
        return chapter
    return volume


def _is_mere_version(volume: _Found, chapter: _Found, text: str) -> bool:
    """Whether the letter's number says nothing beside the chapter's.

    ``Ch 7 v2`` is a second version; ``T2 Judgment Day #5`` has a title that begins like a volume. But in ``c001 (v01)``
    both are letters.
    """
    if not volume.by_letter:
        return False
    if chapter.start < volume.start:
        return not (chapter.by_letter and text[volume.start - 1] in "([")
    return not chapter.by_letter and not text[: volume.start].strip("([【")


def _volume_in(text: str) -> _Found | None:
    patterns = _VOLUME if text.isascii() else _VOLUME + _VOLUME_IN_EAST_ASIA
    found = _first("volume", patterns, text)
    if found is None:
        found = _first("volume", _VOLUME_BY_LETTER, text)
        return found and found._replace(by_letter=True)
    return found


def _chapter_in(text: str) -> _Found | None:
    found = _first("chapter", _CHAPTER, text, years=True)
    if found is None:
        found = _first("chapter", _CHAPTER_BY_LETTER, text, years=True)
        found = found and found._replace(by_letter=True)
    if found is None and not text.isascii():
        return _first("chapter", _CHAPTER_IN_EAST_ASIA, text, years=True)
    return found


def _by_word_of_titles(text: str) -> _Found | None:
    return _first("chapter", _CHAPTER_OR_TITLE, text) or _first("volume", _VOLUME_OR_TITLE, text)


def _beside_title(text: str, title: str) -> _Found | None:
    """What stands behind the title, known or not."""
    rest = _behind(text, title)
    if rest is None:
        return _without_a_word(text)
    if not rest:  # a book with its series' name
        return _by_word_of_titles(text)
    bare = _all_bare(rest)
    if bare:
        return _Found("volume", bare, 0, 0)
    return _by_word(rest, chapter_first=False) or _without_a_word(rest, titled=True)


def _without_a_word(text: str, *, titled: bool = False) -> _Found | None:
    """The number beside a word that titles have as well, or beside none."""
    word, alone = _by_word_of_titles(text), _alone(text, titled=titled)
    if word and alone and alone.place > word.place and text[alone.place] == "0":  # Part 4 - Diamond is Unbreakable 03
        return alone
    return word or _in_last_brackets(text) or alone


def _behind(text: str, title: str) -> str | None:
    """What follows the title in the name; None where the name does not begin with it."""
    if not title or not text.startswith(title):
        return None
    rest = text[len(title) :]
    return None if title[-1].isdigit() and rest[:1].isdigit() else rest.strip(_BETWEEN)


def _in_last_brackets(text: str) -> _Found | None:
    """進撃の巨人(34)."""
    return _first("volume", (_IN_LAST_BRACKETS,), text)


def _alone(text: str, *, titled: bool = False) -> _Found | None:
    """The last number of the title that counts nothing else; where the title is known, the text is what follows it."""
    leading = _compiled(_LEADING_BRACKETS).match(text)
    begin = leading.end() if leading else 0
    bracket = _compiled(_BRACKET).search(text, begin)
    part = " " * titled + text[begin : bracket.start() if bracket else None].rstrip()
    for match in reversed(list(_compiled(_ALONE).finditer(part))):
        number = _read(match, years=False)
        if number and number not in _RESOLUTIONS and _is_clear(match, part):
            return _Found("volume", number, begin - titled + match.start("first"), match.start())
    return None


def _is_clear(match: re.Match[str], text: str) -> bool:
    """Whether a number that stands alone is neither a title's (``Fantastic 4``) nor said to count something else."""
    before = text[max(0, match.start() - 20) : match.start()].rstrip().lower()
    if before.endswith(_BEFORE_A_COUNT) or before.rpartition(" ")[2] in _NOT_BEHIND:
        return False
    if len(match["last"] or match["first"].partition(".")[0]) > 1:
        return True
    after = text[match.end() : match.end() + 3].lstrip()
    return not (before or after) or (before.endswith(_DASHES) and (not after or after.startswith(_DASHES)))


def _first_of(number: str) -> float:
    return float(number.partition("-")[0])


def _plain(name: str) -> str:
    return name.strip() if name.isascii() else normalize("NFC", name).translate(_WIDE).strip()


@cache  # at first use, not at import: the cold path of a poll without new folders needs none
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _first(
    kind: Literal["volume", "chapter"], patterns: tuple[str, ...], text: str, *, years: bool = False
) -> _Found | None:
    """What the first fitting pattern finds."""
    for pattern in patterns:
        for match in _compiled(pattern).finditer(text):
            number = _read(match, years=years)
            if number is not None:
                return _Found(kind, number, match.start("first"), match.start())
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
    whole, _, fraction = "".join(number.split()).replace(",", ".").partition(".")
    return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction.strip("0") else "")


def _han(number: str) -> int:
    """By units (一百二十), or digit by digit (一二〇)."""
    number = number.translate(_HAN_TENS)
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
