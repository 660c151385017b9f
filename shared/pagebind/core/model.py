"""The words of the trade as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

COMICINFO = "ComicInfo.xml"
"""Name of the description that readers look for, in a folder and at the root of a book: exactly this."""

LARGEST_COMICINFO = 2**20
"""Bytes of one that is kept; a larger one is none."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a listing, as the server gave it.

    The field names are those of `fs/list`, so that a decoder can fill it without a second pass. ``modified`` is the
    server's RFC 3339 text; ``sign`` opens the file, and is not shown; ``hash_info`` maps kinds (``md5``, ``sha1``,
    ``sha256``) to hex digests.
    """

    name: str
    size: int = 0
    is_dir: bool = False
    modified: str = ""
    sign: str = field(default="", repr=False)
    hash_info: dict[str, str] | None = None


HASH_DIGITS = {"sha256": 64, "sha1": 40, "md5": 32}
"""Hex digits of the kinds of hashes that are compared."""

HASH_KINDS = tuple(HASH_DIGITS)
"""Kinds of hashes that servers list, the one that counts first."""

LARGEST_PAGE = 2**31
"""Bytes of a picture: no reader opens one of 2 GiB, and a server that lists more is wrong."""

LARGEST_ARCHIVE = 2**38
"""Bytes of an archive that is copied, 256 GiB: an endless body ends there, whatever size is listed."""


def listed_hash(hashes: Mapping[str, str]) -> tuple[str, str]:
    """Kind and hex digits, in lower case, of the listed hash that counts; two empty texts where none is listed."""
    kind = next((kind for kind in HASH_KINDS if hashes.get(kind)), "")
    return kind, hashes[kind].lower() if kind else ""


class About(NamedTuple):
    """What a book says of itself, from names on the server and the subscription's settings; kept in its manifest.

    Attributes:
        series, title: as readers show them.
        number: of the chapter or issue, e.g. ``12.5``; empty where there is none.
        volume: number of the volume, only for readers that want it said.
        language: ISO 639-1, or empty.
        direction: ``ltr``, ``rtl`` or empty.
        comicinfo: whether the book holds a ComicInfo.xml at all.
    """

    series: str = ""
    title: str = ""
    number: str = ""
    volume: str = ""
    language: str = ""
    direction: str = ""
    comicinfo: bool = True
