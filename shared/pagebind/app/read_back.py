"""The facts of a book's pages from the book itself, where a crash came between the book and its receipt."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from pagebind.core import comicinfo, names, zip_layout
from pagebind.core.receipt import BoundPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagebind.core.manifest import Manifest, Page
    from pagebind.ports.store import ObjectInfo, Store

_DIRECTORY = b"PK\x01\x02"
_LONGEST_HEADER = 30 + names.MAX_NAME_BYTES + 16 + 20
"""Bytes: fixed part, a name with another suffix than its own, zip64."""


def rows_in(library: Store, book: ObjectInfo, manifest: Manifest) -> tuple[BoundPage, ...]:
    """The pages of a book that was made from this manifest, by its local headers, one after another.

    Raises:
        ValueError: its local headers are not those that were written.
    """
    if manifest.pages[0].kind == "archive":
        crc = 0
        for chunk in library.stream(book.key):
            crc = zlib.crc32(chunk, crc)
        return (BoundPage(manifest.pages[0].id, manifest.pages[0].book_name, 0, book.size, crc),)
    return tuple(_rows(library, book, manifest))


def _rows(library: Store, book: ObjectInfo, manifest: Manifest) -> Iterator[BoundPage]:
    """Pages that the book goes without are passed over."""
    offset = 0
    for page in manifest.pages:
        if page.kind != "page":
            continue
        header = _header(library, book, offset)
        if header is None:
            break
        name, crc, size, length = header
        if not _is(page, name, size):
            continue
        yield BoundPage(page.id, name, offset + length, size, crc)
        offset += length + size
    following = _header(library, book, offset)
    if following is not None and following[0] != comicinfo.NAME:
        raise ValueError("another page stands in the book")


def _header(library: Store, book: ObjectInfo, offset: int) -> tuple[str, int, int, int] | None:
    """The local header there, as `zip_layout.parse_local_header` gives it; None where the directory begins."""
    data = b"".join(library.stream(book.key, start=offset, length=_LONGEST_HEADER))
    return None if data.startswith(_DIRECTORY) else zip_layout.parse_local_header(data)


def _is(page: Page, name: str, size: int) -> bool:
    return size == page.size and name.rpartition(".")[0] == page.book_name.rpartition(".")[0]
