"""Adopting a book that another tool put where a volume's own belongs: does it hold exactly the volume's pages?

First a look at its directory, which refuses most books that differ for two small reads. Only then is the whole book
read, once, from its first byte to its last: nothing is adopted that is cut, damaged or not what the server lists. Every
byte that the zip holds must be of an entry, because readers that do not look at the directory see those of others too.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import names
from pagebind.core.image_end import ImageEnd
from pagebind.core.image_kind import HEAD_BYTES, PAGE_EXTENSIONS, kind_of
from pagebind.core.layout import JUNK_FOLDERS
from pagebind.core.manifest import pictures
from pagebind.core.model import listed_hash
from pagebind.core.receipt import BoundPage
from pagebind.errors import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from zipfile import ZipInfo

    from pagebind.core.manifest import Manifest, Page
    from pagebind.ports.store import ObjectInfo, Store

PACKED = -1
"""Offset of a page that is deflated in the book: its bytes do not stand there as they are."""

_TAIL = 2**17  # bytes: in most books it holds the whole directory
_PIECE = 2**18
_DIRECTORY = 2**18  # bytes; and for each page
_DIRECTORY_A_PAGE = 2**10
_MOST_BESIDES = 2**26  # bytes of all that are no pages
_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1 << 0 | 1 << 6
_SIZES_FOLLOW = 1 << 3
_UTF8_NAME = 1 << 11
_GAP = 24  # bytes: a data descriptor of zip64, which may follow an entry; no other entry fits into it


class Adopted(NamedTuple):
    """The book holds the volume's pages: rows for its receipt, its size in bytes, and its CRC-32C.

    The rows have the names that the pages have in the book; the offset of one that is deflated there is `PACKED`.
    """

    pages: tuple[BoundPage, ...]
    size: int
    crc32c: int


class Refused(NamedTuple):
    """The book is something else; ``reason`` says what, in one line about ``it``."""

    reason: str


class _DiffersError(Exception):
    """Its text is the reason."""


def adopt(library: Store, book: ObjectInfo, manifest: Manifest, *, hash_check: str) -> Adopted | Refused:
    """Whether ``book`` holds exactly the pages of ``manifest``. Reads the library only, in bounded memory.

    Pages have the listed sizes in the order of the book, and the listed hashes; their names may differ, as long as
    hashes or sizes tell them apart. An archive is adopted whole, by its size and hash.

    Args:
        library: holds the book.
        book: as `Store.head` shows it.
        manifest: what is listed; its ComicInfo.xml does not matter.
        hash_check: ``off`` leaves the listed hashes aside, as some drives make them up.

    Raises:
        StoreError: it cannot be read now, or is gone.
    """
    try:
        if manifest.pages[0].kind == "archive":
            found = _whole_archive(library, book, manifest.pages[0], hash_check)
        else:
            found = _pages(library, book, pictures(manifest.pages), hash_check)
    except _DiffersError as error:
        return Refused(str(error))
    now = library.head(book.key)
    if now is None or now.version != book.version:
        return Refused("it changed while it was read")
    return found


def _whole_archive(library: Store, book: ObjectInfo, page: Page, hash_check: str) -> Adopted:
    if book.size != page.size:
        raise _DiffersError(f"it has {book.size} bytes, the server lists {page.size}")
    whole, content = _Whole(library.stream(book.key)), _Content(_listed(page, hash_check))
    for piece in whole.pieces(book.size):
        content.take(piece)
    content.check_hash("it")
    return Adopted((BoundPage(page.id, page.book_name, 0, page.size, content.crc32),), book.size, whole.crc32c)


def _pages(library: Store, book: ObjectInfo, pages: Sequence[Page], hash_check: str) -> Adopted:
    entries, directory = _directory(library, book, len(pages))
    wanted = _matched(entries, pages, hash_check)
    whole = _Whole(library.stream(book.key))
    rows: dict[str, BoundPage] = {}
    for entry in sorted(entries, key=lambda one: one.header_offset):
        number_and_page = wanted.get(entry.filename)
        if number_and_page is None:
            _read_entry(whole, entry, "what it holds besides its pages", _Content({}))
            continue
        number, page = number_and_page
        offset, crc32 = _read_page(whole, entry, f"page {number} ({on_one_line(page.name)})", _listed(page, hash_check))
        rows[page.id] = BoundPage(page.id, entry.filename, offset, page.size, crc32)
    whole.pass_gap(directory)
    whole.rest()
    return Adopted(tuple(rows[page.id] for page in pages), book.size, whole.crc32c)


# -- the look at the directory


def _directory(library: Store, book: ObjectInfo, pages: int) -> tuple[list[ZipInfo], int]:
    """The entries, and where the directory begins."""
    from zipfile import BadZipFile, ZipFile

    reader = _Seekable(library, book, _DIRECTORY + pages * _DIRECTORY_A_PAGE)
    try:
        with ZipFile(reader) as archive:
            return archive.infolist(), archive.start_dir
    except (BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error) as error:
        raise _DiffersError("it is no zip, or a damaged or unfinished one") from error


def _matched(entries: Sequence[ZipInfo], pages: Sequence[Page], hash_check: str) -> dict[str, tuple[int, Page]]:
    """Which page, and the how manyth, each entry must be, by the entries' names; as far as the directory says."""
    for entry in entries:
        _check_kind(entry)
    found = [entry for entry in entries if _is_picture(entry.filename)]
    if len(found) != len(pages):
        of_them = f"of {len(pages)} pages" if len(found) < len(pages) else f"pages, the server lists {len(pages)}"
        raise _DiffersError(f"it holds {len(found)} {of_them}")
    if len({entry.filename for entry in entries}) != len(entries):
        raise _DiffersError("it has two entries of one name")
    if sum(entry.file_size for entry in entries) - sum(entry.file_size for entry in found) > _MOST_BESIDES:
        raise _DiffersError(f"it holds more than {_MOST_BESIDES >> 20} MiB besides its pages")
    ordered = [found[place] for place in names.order_pages([entry.filename for entry in found])]
    pairs = list(zip(ordered, pages, strict=True))
    for number, (entry, page) in enumerate(pairs, 1):
        if entry.file_size != page.size:
            raise _DiffersError(f"page {number} ({on_one_line(page.name)}) has another size")
    if not _told_apart(pairs, hash_check):
        raise _DiffersError("its pages have other names, and sizes that do not tell them apart")
    return {entry.filename: (number, page) for number, (entry, page) in enumerate(pairs, 1)}


def _check_kind(entry: ZipInfo) -> None:
    if entry.flag_bits & _ENCRYPTED:
        raise _DiffersError("it is encrypted")
    if entry.compress_type not in (_STORED, _DEFLATED):
        raise _DiffersError("it is compressed by a method that few readers know")
    name = entry.orig_filename
    if "\\" in name or "\0" in name or name.startswith("/") or ".." in name.split("/"):
        raise _DiffersError("it has an entry whose name leads out of it")


def _is_picture(name: str) -> bool:
    *folders, last = name.lower().split("/")
    junk = last.startswith("._") or not JUNK_FOLDERS.isdisjoint(folders)
    _, dot, suffix = last.rpartition(".")
    return bool(dot) and suffix in PAGE_EXTENSIONS and not junk


def _told_apart(pairs: Sequence[tuple[ZipInfo, Page]], hash_check: str) -> bool:
    """Whether names, hashes or sizes show that no two pages have changed places."""
    if all(_stem(entry.filename) in (_stem(page.name), _stem(page.book_name)) for entry, page in pairs):
        return True
    if all(_listed(page, hash_check) for _, page in pairs):
        return True
    return len({page.size for _, page in pairs}) * 2 > len(pairs)


def _stem(name: str) -> str:
    last = name.rpartition("/")[2]
    return (last.rpartition(".")[0] or last).lower()


def _listed(page: Page, hash_check: str) -> Mapping[str, str]:
    """The hash that its bytes must have, by its kind; of several the strongest."""
    if hash_check == "off":
        return {}
    kind, value = listed_hash(page.hashes)
    return {kind: value} if kind else {}


# -- the book read through


def _read_page(whole: _Whole, entry: ZipInfo, called: str, listed: Mapping[str, str]) -> tuple[int, int]:
    """Where its bytes begin, and their CRC-32."""
    content = _Picture(listed)
    offset = _read_entry(whole, entry, called, content)
    content.check_hash(called)
    if kind_of(content.head) is None:
        raise _DiffersError(f"{called} is no known kind of image")
    if not content.end.whole:
        raise _DiffersError(f"{called} ends in the middle of the picture")
    return (offset if entry.compress_type == _STORED else PACKED), content.crc32


def _read_entry(whole: _Whole, entry: ZipInfo, called: str, content: _Content) -> int:
    """Read it all through ``content``; where its bytes begin."""
    whole.pass_gap(entry.header_offset)
    _check_header(whole, entry, called)
    offset = whole.position
    try:
        for piece in _unpacked(whole, entry):
            content.take(piece)
            if content.size > entry.file_size:
                break
    except zlib.error as error:
        raise _DiffersError(f"{called} is damaged") from error
    if (content.size, content.crc32) != (entry.file_size, entry.CRC):
        raise _DiffersError(f"{called} is damaged")
    return offset


def _check_header(whole: _Whole, entry: ZipInfo, called: str) -> None:
    """Read the local header, which must say what the directory says: there are readers that know it alone."""
    header = _LOCAL.unpack(whole.take(_LOCAL.size))
    signature, _, flags, method, _, _, crc32, _, _, name_length, extra_length = header
    name = whole.take(name_length)
    whole.take(extra_length)
    same_name = name.decode("utf-8" if flags & _UTF8_NAME else "cp437", "replace") == entry.orig_filename
    same_crc = crc32 == entry.CRC or flags & _SIZES_FOLLOW
    if signature != _LOCAL_SIGNATURE or method != entry.compress_type or not same_name or not same_crc:
        raise _DiffersError(f"{called} is damaged")


def _unpacked(whole: _Whole, entry: ZipInfo) -> Iterator[bytes | memoryview]:
    if entry.compress_type == _STORED:
        yield from whole.pieces(entry.compress_size)
        return
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    for packed in whole.pieces(entry.compress_size):
        rest: bytes | memoryview = packed
        while rest:
            yield unpacker.decompress(rest, _PIECE)
            rest = unpacker.unconsumed_tail
    yield unpacker.flush()


class _Content:
    """What one file holds, as it passes. ``listed``: the hash that it must have, by its kind; empty: any."""

    def __init__(self, listed: Mapping[str, str]) -> None:
        self.size = self.crc32 = 0
        self._listed = [(hashlib.new(kind, usedforsecurity=False), kind, value) for kind, value in listed.items()]

    def take(self, piece: bytes | memoryview) -> None:
        self.size += len(piece)
        self.crc32 = zlib.crc32(piece, self.crc32)
        for running, _, _ in self._listed:
            running.update(piece)

    def check_hash(self, called: str) -> None:
        for running, kind, value in self._listed:
            if running.hexdigest() != value:
                raise _DiffersError(f"{called} has another {kind} than the server lists")


class _Picture(_Content):
    """A page: its first bytes are kept, and its end is looked for."""

    def __init__(self, listed: Mapping[str, str]) -> None:
        super().__init__(listed)
        self.head = b""
        self.end = ImageEnd()

    def take(self, piece: bytes | memoryview) -> None:
        super().take(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(piece[: HEAD_BYTES - len(self.head)])
        if not self.end.whole:
            self.end.take(bytes(piece))


class _Whole:
    """A book's bytes from the first to the last, summed while they pass."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        import google_crc32c

        self._extend = google_crc32c.extend
        self._chunks = chunks
        self._held = memoryview(b"")
        self.position = 0
        self.crc32c = 0

    def pieces(self, length: int) -> Iterator[memoryview]:
        """The next ``length`` bytes."""
        while length > 0:
            if not self._held and not self._next():
                raise _DiffersError("it is cut short")
            piece, self._held = self._held[:length], self._held[length:]
            self.position += len(piece)
            length -= len(piece)
            yield piece

    def take(self, length: int) -> bytes:
        return b"".join(self.pieces(length))

    def pass_gap(self, end: int) -> None:
        """Go on to byte ``end``, if no entry can be hidden before it."""
        gap = end - self.position
        if gap < 0:
            raise _DiffersError("its entries overlap")
        if gap > _GAP:
            raise _DiffersError(f"it has {gap:,} bytes that belong to no entry, as interrupted downloads leave them")
        self.take(gap)

    def rest(self) -> None:
        while self._next():
            pass

    def _next(self) -> bool:
        chunk = next(self._chunks, b"")
        self.crc32c = self._extend(self.crc32c, chunk)
        self._held = memoryview(chunk)
        return bool(chunk)


class _Seekable(io.RawIOBase):
    """The book as a file for `zipfile`, which reads its end and its directory. ``most``: bytes of one read."""

    def __init__(self, library: Store, book: ObjectInfo, most: int) -> None:
        super().__init__()
        self._library = library
        self._key = book.key
        self._size = book.size
        self._most = max(most, _TAIL)
        self._at = 0
        self._tail_at = max(0, book.size - _TAIL)
        self._tail = self._stream(self._tail_at, book.size - self._tail_at)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if self._at < 0:
            raise ValueError("before the first byte")
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        there = max(0, self._size - self._at)
        length = there if size is None or size < 0 else min(size, there)
        if length > self._most:
            raise _DiffersError("its directory is far larger than its pages need")
        start, self._at = self._at, self._at + length
        if start >= self._tail_at:
            return self._tail[start - self._tail_at :][:length]
        return self._stream(start, length)

    def _stream(self, start: int, length: int) -> bytes:
        return b"".join(self._library.stream(self._key, start=start, length=length))
