"""The bytes of a book, other than its pages: one zip profile that every reader tried accepts.

Nothing here is chosen at run time; the same entries always give the same bytes. The choices, each with its reason:

- **Stored, not deflated.** Pages are compressed already, and only stored pages can be put together by a store.
- **Sizes and CRC-32 in the local header, no data descriptor.** Java's ``ZipInputStream`` refuses a stored entry with a
  descriptor, and a reader that streams could not tell where a page ends.
- **Bit 11 only where a name is not ASCII.** Without it readers show mojibake; with it on ASCII names nothing is gained.
- **One timestamp, the earliest that DOS knows.** Times of files on drives are made up and would change the bytes.
- **Unix as the host, mode 0644.** Extracted by ``unzip``, pages are files that their owner can read.
- **Zip64 only where a size, an offset or the count demands it.** Old readers know no zip64.
- **No comment, no prefix, no directories, no name twice.** Each of them makes some reader refuse or misread a book.

Source of the records: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")
_ZIP64_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_EXTRA_HEADER = struct.Struct("<2H")

_LOCAL_SIGNATURE = b"PK\x03\x04"
_ZIP64_TAG = 0x0001
_STORED = 0
_UTF8_NAME = 1 << 11
_NEEDS_NOTHING_NEW = 10  # version 1.0: a stored file
_NEEDS_ZIP64 = 45  # version 4.5
_MADE_BY = 3 << 8 | _NEEDS_ZIP64  # host Unix, so that the mode below is read
_MODE = 0o100644 << 16
_DOS_TIME = 0
_DOS_DATE = 1 << 5 | 1  # 1 January 1980

_FULL16 = 0xFFFF
_FULL32 = 0xFFFFFFFF
_FULL64 = 0xFFFFFFFFFFFFFFFF


class Entry(NamedTuple):
    """One file in a book. Where it begins follows from the entries before it: they lie one after another.

    Attributes:
        name: as it stands in the book; ``/`` separates folders.
        crc32: of the file's bytes, as zlib computes it.
        size: bytes.
    """

    name: str
    crc32: int
    size: int


def local_header(name: str, crc32: int, size: int) -> bytes:
    """What stands before the file's bytes. Its length depends on ``name`` and ``size`` only.

    Raises:
        ValueError: a name, checksum or size that no safe zip can hold.
    """
    raw_name = _encoded(name)
    _check_numbers(crc32, size)
    extra = _zip64_extra(size, size) if size >= _FULL32 else b""
    fixed = _LOCAL.pack(
        _LOCAL_SIGNATURE,
        _needed(extra),
        _flags(name),
        _STORED,
        _DOS_TIME,
        _DOS_DATE,
        crc32,
        min(size, _FULL32),
        min(size, _FULL32),
        len(raw_name),
        len(extra),
    )
    return fixed + raw_name + extra


def parse_local_header(data: bytes) -> tuple[str, int, int, int]:
    """The strict inverse of `local_header`: name, CRC-32, size, and the header's own length in bytes.

    ``data`` may go on after the header.

    Raises:
        ValueError: ``data`` does not begin with exactly what `local_header` writes.
    """
    if len(data) < _LOCAL.size:
        raise ValueError("too short for a local file header")
    if not data.startswith(_LOCAL_SIGNATURE):
        raise ValueError("not a local file header")
    *_, crc32, size, _size_again, name_length, extra_length = _LOCAL.unpack_from(data)
    length = _LOCAL.size + name_length + extra_length
    if len(data) < length:
        raise ValueError("the local file header is cut short")
    if extra_length == _EXTRA_HEADER.size + 16:
        size = int.from_bytes(data[length - 8 : length], "little")
    name = data[_LOCAL.size : _LOCAL.size + name_length].decode()
    if local_header(name, crc32, size) != data[:length]:
        raise ValueError("not a local file header of a book")
    return name, crc32, size, length


def entry_size(entry: Entry) -> int:
    """Bytes of the entry as it stands in the book: local header and content."""
    return len(local_header(entry.name, entry.crc32, entry.size)) + entry.size


def offsets(entries: Iterable[Entry]) -> Iterator[int]:
    """Where in the book each entry's local header begins, in bytes."""
    offset = 0
    for entry in entries:
        yield offset
        offset += entry_size(entry)


def central_directory(entries: Iterable[Entry]) -> bytes:
    """Everything that follows the last entry: the central directory and its end records.

    Raises:
        ValueError: a name stands twice, or an entry that no safe zip can hold.
    """
    directory = io.BytesIO()  # hands out its buffer without a copy: nothing but the result grows with the pages
    for record in _tail(entries):
        directory.write(record)
    return directory.getvalue()


def _tail(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The records after the last entry, one by one."""
    names: set[str] = set()
    start = size = 0
    for entry in entries:
        if entry.name in names:
            raise ValueError(f"the name {entry.name!r} stands twice")
        names.add(entry.name)
        record = _central_header(entry, start)
        yield record
        size += len(record)
        start += entry_size(entry)
    yield from _end_records(len(names), size, start)


def _central_header(entry: Entry, offset: int) -> bytes:
    raw_name = _encoded(entry.name)
    _check_numbers(entry.crc32, entry.size)
    too_large = [entry.size, entry.size] if entry.size >= _FULL32 else []
    if offset >= _FULL32:
        too_large.append(offset)
    extra = _zip64_extra(*too_large) if too_large else b""
    fixed = _CENTRAL.pack(
        b"PK\x01\x02",
        _MADE_BY,
        _needed(extra),
        _flags(entry.name),
        _STORED,
        _DOS_TIME,
        _DOS_DATE,
        entry.crc32,
        min(entry.size, _FULL32),
        min(entry.size, _FULL32),
        len(raw_name),
        len(extra),
        0,  # comment
        0,  # disk
        0,  # internal attributes
        _MODE,
        min(offset, _FULL32),
    )
    return fixed + raw_name + extra


def _end_records(count: int, size: int, start: int) -> Iterator[bytes]:
    if count >= _FULL16 or size >= _FULL32 or start >= _FULL32:
        yield _zip64_end(count, size, start)
        yield _zip64_locator(start + size)
    yield _end(count, size, start)


def _zip64_end(count: int, size: int, start: int) -> bytes:
    following = _ZIP64_END.size - 12  # the record's own length leaves out the signature and itself
    return _ZIP64_END.pack(b"PK\x06\x06", following, _MADE_BY, _NEEDS_ZIP64, 0, 0, count, count, size, start)


def _zip64_locator(zip64_end_at: int) -> bytes:
    return _ZIP64_LOCATOR.pack(b"PK\x06\x07", 0, zip64_end_at, 1)


def _end(count: int, size: int, start: int) -> bytes:
    few = min(count, _FULL16)
    return _END.pack(b"PK\x05\x06", 0, 0, few, few, min(size, _FULL32), min(start, _FULL32), 0)


def _zip64_extra(*values: int) -> bytes:
    """The zip64 extra field: exactly the values that did not fit, for Java refuses one that holds more."""
    return _EXTRA_HEADER.pack(_ZIP64_TAG, 8 * len(values)) + struct.pack(f"<{len(values)}Q", *values)


def _needed(extra: bytes) -> int:
    return _NEEDS_ZIP64 if extra else _NEEDS_NOTHING_NEW


def _flags(name: str) -> int:
    return 0 if name.isascii() else _UTF8_NAME


def _encoded(name: str) -> bytes:
    raw_name = name.encode()
    if not 0 < len(raw_name) <= _FULL16:
        raise ValueError("a name in a zip has 1 to 65,535 bytes")
    if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"{name!r} is not a safe name in a zip")
    return raw_name


def _check_numbers(crc32: int, size: int) -> None:
    if not (0 <= crc32 <= _FULL32 and 0 <= size <= _FULL64):
        raise ValueError(f"no such file: CRC-32 {crc32}, {size} bytes")
