"""Metadata that appears with its object: a trailer behind the content, in the same file.

::

    content | JSON object | u32 length of the JSON | u32 CRC-32 of JSON and length | 8 bytes magic

A file that ends with the magic has a trailer; content without metadata that happens to end so gets an empty one, hence
there is no doubt. Content without metadata is otherwise a plain file. A trailer that is not right, or lies on a bad
sector, reads as if there were none: all of the file is content then, which no recorded checksum will match.
"""

from __future__ import annotations

import json
import os
import zlib
from struct import Struct
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"\x89PBm\r\n\x1a\n"
_FOOT = Struct("<II8s")
_LENGTH = Struct("<I")
_GUESS = 1024  # covers the trailer of an ordinary entry, so that one read is enough


class Framed(NamedTuple):
    """How much of a file is content, in bytes, and the metadata behind it."""

    size: int
    metadata: Mapping[str, str] = MappingProxyType({})


def encode(metadata: Mapping[str, str], *, content_end: bytes) -> bytes:
    """The trailer for content that ends with ``content_end`` (its last 8 bytes at least); often empty."""
    if not metadata and not content_end.endswith(MAGIC):
        return b""
    text = json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return text + _FOOT.pack(len(text), _checksum(text), MAGIC)


def read(fd: int, size: int) -> Framed:
    """What stands in the open file of ``size`` bytes. Moves the file's position."""
    try:
        return _read(fd, size)
    except OSError:
        return Framed(size)


def _read(fd: int, size: int) -> Framed:
    tail = _read_at(fd, max(size - _GUESS, 0), _GUESS)
    if not tail.endswith(MAGIC) or len(tail) < _FOOT.size:
        return Framed(size)
    length, checksum, _ = _FOOT.unpack(tail[-_FOOT.size :])
    start = size - _FOOT.size - length
    if start < 0:
        return Framed(size)
    text = tail[-_FOOT.size - length : -_FOOT.size] if length + _FOOT.size <= len(tail) else _read_at(fd, start, length)
    if len(text) != length or _checksum(text) != checksum:
        return Framed(size)
    return Framed(start, _decode(text))


def _checksum(text: bytes) -> int:
    return zlib.crc32(_LENGTH.pack(len(text)), zlib.crc32(text))


def _decode(text: bytes) -> dict[str, str]:
    try:
        found = json.loads(text.decode("utf-8", "surrogatepass"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read_at(fd: int, start: int, length: int) -> bytes:
    os.lseek(fd, start, os.SEEK_SET)
    pieces = []
    while length > 0 and (piece := os.read(fd, length)):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)
