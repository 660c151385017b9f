"""Pictures made in code: small real ones, and big ones that only look real."""

from __future__ import annotations

import base64
import hashlib
import random
import struct
import zlib
from functools import lru_cache

_WIDTH, _HEIGHT = 1200, 1800
_FILLER_BYTES = 1 << 20

_GIF = "R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
_JPEG = (
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////"
    "////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AKp//2Q=="
)
_WEBP = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"


def png(seed: str, width: int = 24, height: int = 36) -> bytes:
    """A valid PNG: stripes in two colours that ``seed`` chooses."""
    colours = hashlib.sha256(seed.encode()).digest()
    first, second = colours[0:3], colours[3:6]
    step = 2 + colours[6] % 5
    rows = b"".join(b"\0" + (first if row // step % 2 else second) * width for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"tEXt", b"Title\0" + colours.hex().encode())
    return b"\x89PNG\r\n\x1a\n" + chunks + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(seed: str) -> bytes:
    """A valid JPEG of one pixel; a comment makes the bytes those of ``seed``."""
    data = base64.b64decode(_JPEG)
    comment = hashlib.sha256(seed.encode()).hexdigest().encode()
    return data[:2] + _segment(0xFE, comment) + data[2:]


def gif(seed: str) -> bytes:
    """A valid GIF of one pixel; a comment block makes the bytes those of ``seed``."""
    data = base64.b64decode(_GIF)
    comment = hashlib.sha256(seed.encode()).hexdigest().encode()
    return data[:-1] + b"\x21\xfe" + bytes([len(comment)]) + comment + b"\0" + data[-1:]


def webp(seed: str) -> bytes:
    """A valid WebP of one pixel; an unknown chunk, which readers skip, makes the bytes those of ``seed``."""
    chunks = base64.b64decode(_WEBP)[12:]
    comment = hashlib.sha256(seed.encode()).digest()
    chunks += b"seed" + struct.pack("<I", len(comment)) + comment
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def seeming_jpeg(seed: str, size: int) -> list[memoryview]:
    """The pieces of ``size`` bytes that every check of a JPEG's frame accepts, always the same for one seed.

    It has a size in pixels and an end, but no picture inside. The pieces share one filler, so that they cost next to
    nothing.

    Raises:
        ValueError: the frame alone is longer than ``size``.
    """
    head = (
        b"\xff\xd8"
        + _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + _segment(0xFE, hashlib.sha256(seed.encode()).hexdigest().encode())
        + _segment(0xC0, struct.pack(">BHHB", 8, _HEIGHT, _WIDTH, 1) + b"\1\x11\0")
        + _segment(0xDA, b"\1\1\0\0\x3f\0")
    )
    inside = size - len(head) - 2
    if inside < 0:
        raise ValueError(f"a seeming JPEG has at least {len(head) + 2} bytes")
    filler = _filler()
    pieces = [filler] * (inside // len(filler)) + [filler[: inside % len(filler)]]
    return [memoryview(head), *pieces, memoryview(b"\xff\xd9")]


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


@lru_cache(maxsize=1)
def _filler() -> memoryview:
    """Bytes that do not compress and hold no JPEG marker."""
    return memoryview(random.Random(1).randbytes(_FILLER_BYTES).replace(b"\xff", b"\xfe"))
