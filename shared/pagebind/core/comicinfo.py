"""`ComicInfo.xml`, the description that comic readers look for at the root of a book.

Written by ComicRack's schema 2.0, whose order of elements is fixed; the 2.1 draft, which adds a few, accepts it too.
What the schema leaves open (what a reader makes of ``Number`` and ``Volume``) is decided where a volume is named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.model import COMICINFO, LARGEST_COMICINFO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pagebind.core.model import About

NAME, LARGEST = COMICINFO, LARGEST_COMICINFO

ELEMENTS = (
    *("Title", "Series", "Number", "Count", "Volume", "AlternateSeries", "AlternateNumber", "AlternateCount"),
    *("Summary", "Notes", "Year", "Month", "Day", "Writer", "Penciller", "Inker", "Colorist", "Letterer"),
    *("CoverArtist", "Editor", "Translator", "Publisher", "Imprint", "Genre", "Tags", "Web", "PageCount"),
    *("LanguageISO", "Format", "BlackAndWhite", "Manga", "Characters", "Teams", "Locations", "ScanInformation"),
    *("StoryArc", "StoryArcNumber", "SeriesGroup", "AgeRating", "Pages", "CommunityRating"),
    *("MainCharacterOrTeam", "Review", "GTIN"),
)
"""All elements of the schema in its order, those of the 2.1 draft in their places."""

_LARGEST_INT = 2**31 - 1  # xs:int
_MOST_DIGITS = 32  # leading zeros and all; Python refuses to read numbers of thousands
_DIRECTIONS = {"rtl": "YesAndRightToLeft", "ltr": "No"}
_SPACING = re.compile(r"[\t\n\r]+")
_NO_XML_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


class PageFacts(NamedTuple):
    """What is known of one page.

    Attributes:
        size: bytes.
        width: pixels, or None.
        height: pixels, or None.
        cover: named as a cover.
    """

    size: int
    width: int | None = None
    height: int | None = None
    cover: bool = False


class Kept(NamedTuple):
    """What a ComicInfo.xml says that somebody else wrote.

    Attributes:
        texts: of the schema's elements, by name; an element that is there but empty has an empty text.
        others: elements that the schema does not know, each as well-formed XML with its own namespaces, in their order.
    """

    texts: Mapping[str, str]
    others: tuple[str, ...] = ()


def comicinfo(about: About, pages: Iterable[PageFacts], *, notes: str = "", kept: Kept | None = None) -> bytes:
    """The document for one book. The same facts give the same bytes.

    Characters that XML 1.0 cannot hold are dropped; an element of ours that would be empty is left out, and so is a
    volume that is no number, which the schema does not allow.

    Args:
        about: what the book says of itself.
        pages: in the order of the book.
        notes: one line about this very book, such as which pages it lacks.
        kept: what it says goes before ``about``, and ``notes`` come below its own; its page count and pages are not
            taken over.
    """
    page_lines = _page_lines(pages)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<ComicInfo>",
        *_element_lines(_texts(about, notes, kept), page_lines),
        *(kept.others if kept else ()),
        "</ComicInfo>",
        "",
    ]
    return "\n".join(lines).encode()


def _element_lines(texts: Mapping[str, str], page_lines: list[str]) -> Iterator[str]:
    for name in ELEMENTS:
        if name == "PageCount":
            yield f"  <PageCount>{len(page_lines)}</PageCount>"
        elif name == "Pages":
            yield "  <Pages>"
            yield from page_lines
            yield "  </Pages>"
        elif name in texts:
            text = _NO_XML_CHARACTER.sub("", texts[name]).translate(_ESCAPES)
            yield f"  <{name}>{text}</{name}>"


def _texts(about: About, notes: str, kept: Kept | None) -> dict[str, str]:
    """The text of each element that the document will have."""
    texts = dict(kept.texts) if kept else {}
    ours = {
        "Title": _one_line(about.title),
        "Series": _one_line(about.series),
        "Number": _one_line(about.number),
        "Volume": _integer(about.volume),
        "LanguageISO": _one_line(about.language),
        "Manga": _DIRECTIONS.get(about.direction, ""),
    }
    texts.update({name: text for name, text in ours.items() if text and not texts.get(name, "").strip()})
    if note := _one_line(notes):
        theirs = texts.get("Notes", "").rstrip()
        texts["Notes"] = f"{theirs}\n{note}" if theirs else note
    return texts


def _one_line(text: str) -> str:
    return _NO_XML_CHARACTER.sub("", _SPACING.sub(" ", text)).strip()


def _integer(text: str) -> str:
    """``text`` as xs:int has it, or nothing: a volume may be called ``1-3``."""
    digits = text.isdecimal() and len(text) <= _MOST_DIGITS
    return str(number) if digits and (number := int(text)) <= _LARGEST_INT else ""


def _page_lines(pages: Iterable[PageFacts]) -> list[str]:
    lines: list[str] = []
    covered = False
    for number, page in enumerate(pages):
        lines.append(_page_line(number, page, front=page.cover and not covered))
        covered = covered or page.cover
    return lines


def _page_line(number: int, page: PageFacts, *, front: bool) -> str:
    kind = ' Type="FrontCover"' if front else ""
    width = _pixels("ImageWidth", page.width)
    height = _pixels("ImageHeight", page.height)
    return f'    <Page Image="{number}"{kind} ImageSize="{page.size}"{width}{height} />'


def _pixels(attribute: str, value: int | None) -> str:
    """Nothing for an unknown or impossible measure: it comes from a file that may say anything."""
    return f' {attribute}="{value}"' if value is not None and 0 < value <= _LARGEST_INT else ""
