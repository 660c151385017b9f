"""`ComicInfo.xml`, the description that comic readers look for at the root of a book.

Written by ComicRack's schema 2.0, whose order of elements is fixed; the 2.1 draft accepts it too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "ComicInfo.xml"
"""Its name in the book; readers look for exactly this."""

_LARGEST_INT = 2**31 - 1  # xs:int
_SPACING = re.compile(r"[\t\n\r]+")
_NO_XML_CHARACTER = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


LARGEST = 2**20
"""Bytes of a ComicInfo.xml that is kept; a larger one is none."""


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


def comicinfo(series: str, title: str, pages: Iterable[PageFacts]) -> bytes:
    """The document for one book. The same facts give the same bytes.

    Characters that XML 1.0 cannot hold are dropped; an element that would be empty is left out.
    """
    page_lines = _page_lines(pages)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<ComicInfo>",
        *_text_line("Title", title),
        *_text_line("Series", series),
        f"  <PageCount>{len(page_lines)}</PageCount>",
        "  <Pages>",
        *page_lines,
        "  </Pages>",
        "</ComicInfo>",
        "",
    ]
    return "\n".join(lines).encode()


def _text_line(element: str, text: str) -> list[str]:
    clean = _NO_XML_CHARACTER.sub("", _SPACING.sub(" ", text)).strip()
    return [f"  <{element}>{clean.translate(_ESCAPES)}</{element}>"] if clean else []


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
