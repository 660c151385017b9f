"""Whether a file is an archive or book of a known kind that is whole: zip (also cbz, epub), rar, 7z or pdf.

Suffixes lie, so the kind is told by the first bytes. That a file is whole is told by what each kind says of itself at
its head and at its end; nothing is unpacked. Sources: PKWARE APPNOTE 6.3.10, 4.3.14 to 4.3.16; the RAR 5.0 archive
format and technote.txt of RAR 4; 7zFormat.txt; ISO 32000-1, 7.5.5.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


HEAD = 1024

_ZIP_END = struct.Struct("<4s4H2IH")
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")
_ZIP64_LOCATOR = struct.Struct("<4sIQI")
_LONGEST_COMMENT = 0xFFFF
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP_DIRECTORY = b"PK\x01\x02"

_RAR4, _RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_MOST_BLOCKS = 100_000
_RAR_HEAD = 64
"""Bytes of a block's header that tell its length, and more."""

_7Z = struct.Struct("<6s2sIQQI")
_LARGEST_CHECKED = 2**20

_STARTXREF = re.compile(rb"startxref\s+(\d{1,20})\s+%%EOF")

_CUT = "ends before its last block does"
_NO_DIRECTORY = "has no whole directory at its end"


def fault(size: int, read: Callable[[int, int], bytes]) -> str | None:
    """What is wrong with an archive, as a predicate about it (``ends before ...``), or None if it is whole.

    Where a rar's own headers are encrypted, its end cannot be told: that counts as whole.

    Args:
        size: bytes of the file.
        read: gives as many bytes as its second argument says from the offset that is its first, fewer at the end.
    """
    head = read(0, HEAD)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_fault(size, read)
    if head.startswith(_RAR5):
        return _rar_fault(size, len(_RAR5), lambda at: _rar5_block(read(at, _RAR_HEAD)), may_just_end=False)
    if head.startswith(_RAR4):
        return _rar_fault(size, len(_RAR4), lambda at: _rar4_block(read(at, _RAR_HEAD)), may_just_end=True)
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return _7z_fault(size, head, read)
    if b"%PDF-" in head:
        return _pdf_fault(size, read)
    return "is empty" if not head else "is no archive known here"


def begins_like_one(head: bytes) -> bool:
    """Whether the first `HEAD` bytes of a file are those of an archive: if it is not whole, it was cut."""
    return head.startswith((b"PK", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")) or b"%PDF-" in head


# -- zip


def _zip_fault(size: int, read: Callable[[int, int], bytes]) -> str | None:
    start = max(0, size - _LONGEST_COMMENT - _ZIP_END.size)
    tail = read(start, size - start)
    at = len(tail)
    while (at := tail.rfind(b"PK\x05\x06", 0, at)) >= 0:
        end = _zip_end(tail[at : at + _ZIP_END.size], start + at, size, read)
        if end is not None:
            return _directory_fault(*end, read)
    return _NO_DIRECTORY


def _zip_end(record: bytes, place: int, size: int, read: Callable[[int, int], bytes]) -> tuple[int, int, int] | None:
    """Where the directory ends, its size and its offset as the end record says them; None if it is no end record.

    It must reach to the file's end with its comment. Bytes after it are tolerated where offsets are right without a
    prefix: so a zip that lies unpacked inside one that was cut is not taken for the whole.
    """
    if len(record) < _ZIP_END.size:
        return None
    _, disk, _, _, count, length, offset, comment = _ZIP_END.unpack(record)
    if disk not in (0, _FULL16) or place + _ZIP_END.size + comment > size:
        return None
    end = place
    if _FULL32 in (length, offset) or count == _FULL16:
        end, length, offset = _zip64_end(place, read) or (place, length, offset)
    if place + _ZIP_END.size + comment < size and offset + length != end:
        return None
    return end, length, offset


def _zip64_end(place: int, read: Callable[[int, int], bytes]) -> tuple[int, int, int] | None:
    """As `_zip_end`, from the zip64 record that its locator before ``place`` leads to; None if there is none."""
    before = place - _ZIP64_LOCATOR.size
    locator = read(before, _ZIP64_LOCATOR.size) if before >= 0 else b""
    if not locator.startswith(b"PK\x06\x07"):
        return None
    said = _ZIP64_LOCATOR.unpack(locator)[2]
    for at in (said, before - _ZIP64_END.size):  # a prefix makes the first one wrong
        record = read(at, _ZIP64_END.size) if 0 <= at <= before - _ZIP64_END.size else b""
        if record.startswith(b"PK\x06\x06"):
            *_, length, offset = _ZIP64_END.unpack(record)
            return at, length, offset
    return None


def _directory_fault(end: int, length: int, offset: int, read: Callable[[int, int], bytes]) -> str | None:
    if not length:
        return "holds nothing"
    start = end - length
    if start < offset:
        return "lacks bytes in its middle"
    return None if read(start, 4) == _ZIP_DIRECTORY else _NO_DIRECTORY


# -- rar


class _Block(NamedTuple):
    """One block of a rar: its bytes with its data, and whether it is the last one or hides all that follow."""

    size: int
    last: bool


def _rar_fault(size: int, at: int, block_at: Callable[[int], _Block | None], *, may_just_end: bool) -> str | None:
    """Walk from block to block until the one that ends the archive.

    Before RAR 3 there was none: such an archive may end behind any file.
    """
    for number in range(_MOST_BLOCKS):
        if at == size and number > 1 and may_just_end:
            return None
        block = block_at(at) if at < size else None
        if block is None:
            return _CUT if at >= size else "holds a block that is none"
        at += block.size
        if at > size:
            return _CUT
        if block.last:
            return None
    return f"has more than {_MOST_BLOCKS} blocks"


_RAR4_HEAD = struct.Struct("<HBHH")
_RAR4_MAIN, _RAR4_FILE, _RAR4_SERVICE, _RAR4_END = 0x73, 0x74, 0x7A, 0x7B
_RAR4_HAS_DATA, _RAR4_ENCRYPTED, _RAR4_LARGE = 0x8000, 0x0080, 0x0100


def _rar4_block(head: bytes) -> _Block | None:
    if len(head) < _RAR4_HEAD.size:
        return None
    _, kind, flags, size = _RAR4_HEAD.unpack_from(head)
    if not _RAR4_MAIN <= kind <= _RAR4_END or size < _RAR4_HEAD.size:
        return None
    data = int.from_bytes(head[7:11], "little") if flags & _RAR4_HAS_DATA else 0
    if kind in (_RAR4_FILE, _RAR4_SERVICE) and flags & _RAR4_LARGE:
        data += int.from_bytes(head[32:36], "little") << 32
    return _Block(size + data, kind == _RAR4_END or (kind == _RAR4_MAIN and bool(flags & _RAR4_ENCRYPTED)))


_RAR5_ENCRYPTION, _RAR5_END = 4, 5
_RAR5_HAS_EXTRA, _RAR5_HAS_DATA = 1, 2


def _rar5_block(head: bytes) -> _Block | None:
    numbers = _vints(head, 4)
    try:
        header, begins = next(numbers)
        kind, _ = next(numbers)
        flags, _ = next(numbers)
        if flags & _RAR5_HAS_EXTRA:
            next(numbers)
        data = next(numbers)[0] if flags & _RAR5_HAS_DATA else 0
    except StopIteration:
        return None
    if not header or not 1 <= kind <= _RAR5_END:
        return None
    return _Block(begins + header + data, kind in (_RAR5_END, _RAR5_ENCRYPTION))


def _vints(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The numbers from there on, seven bits a byte, the lowest first; each with the place behind it."""
    value = shift = 0
    for place in range(at, len(data)):
        value |= (data[place] & 0x7F) << shift
        shift += 7
        if data[place] < 0x80:  # noqa: PLR2004 - the highest bit says that more follow
            yield value, place + 1
            value = shift = 0


# -- 7z and pdf


def _7z_fault(size: int, head: bytes, read: Callable[[int, int], bytes]) -> str | None:
    if len(head) < _7Z.size:
        return "ends within its header"
    _, _, start_crc, offset, length, crc = _7Z.unpack_from(head)
    if zlib.crc32(head[12 : _7Z.size]) != start_crc:
        return "has a damaged header"
    if not length:
        return "holds nothing"
    if _7Z.size + offset + length != size:
        return f"has {size} bytes where its header says {_7Z.size + offset + length}"
    if length <= _LARGEST_CHECKED and zlib.crc32(read(_7Z.size + offset, length)) != crc:
        return "has a damaged directory"
    return None


def _pdf_fault(size: int, read: Callable[[int, int], bytes]) -> str | None:
    """The end of a linearized file's first page is an end too, but says 0."""
    tail = read(max(0, size - HEAD), HEAD)
    said = list(_STARTXREF.finditer(tail))
    return None if said and 0 < int(said[-1][1]) < size else "has no whole end of a PDF"
