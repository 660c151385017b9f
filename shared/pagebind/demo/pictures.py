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


def jpeg(seed: str, width: int = 24, height: int = 36) -> bytes:
    """A valid JPEG: squares in shades of grey that ``seed`` chooses."""
    shades = hashlib.sha256(seed.encode()).digest()
    blocks = -(-width // 8) * -(-height // 8)
    # One coefficient a square: its category in three bits, its value, then one bit for "nothing more".
    bits, before = "", 0
    for number in range(blocks):
        value = shades[number % len(shades)] // 8 - 16
        bits += _difference(value - before) + "0"
        before = value
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return (
        b"\xff\xd8"
        + _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + _segment(0xFE, shades.hex().encode())
        + _segment(0xDB, b"\0" + bytes([64] * 64))
        + _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
        + _segment(0xC4, b"\0" + bytes([0, 0, 6, *[0] * 13]) + bytes(range(6)))
        + _segment(0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\0")
        + _segment(0xDA, b"\1\1\0\0\x3f\0")
        + data
        + b"\xff\xd9"
    )


def _difference(value: int) -> str:
    category = abs(value).bit_length()
    shown = value if value > 0 else value + (1 << category) - 1
    return f"{category:03b}" + (f"{shown:0{category}b}" if category else "")


def gif(seed: str) -> bytes:
    """A valid GIF of one pixel, in a colour that ``seed`` chooses; a comment holds the rest of it."""
    digest = hashlib.sha256(seed.encode()).digest()
    data = base64.b64decode(_GIF)
    return data[:13] + digest[:6] + data[19:-1] + b"\x21\xfe" + bytes([len(digest)]) + digest + b"\0" + data[-1:]


def webp(seed: str, width: int = 24, height: int = 36) -> bytes:
    """A valid lossless WebP of one colour that ``seed`` chooses."""
    red, green, blue = hashlib.sha256(seed.encode()).digest()[:3]
    # (value, bits), the lowest bit first: sizes, no alpha, version 0; no transform, no colour cache, no meta codes;
    # then five codes of one symbol, which take no bits in the picture itself: green, red, blue, alpha, distance.
    fields = [(width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 3)]
    fields += [(0b101 | symbol << 3, 11) for symbol in (green, red, blue, 255)] + [(0b0001, 4)]
    number, bits = 0, 0
    for value, length in fields:
        number |= value << bits
        bits += length
    data = b"\x2f" + number.to_bytes(-(-bits // 8), "little")
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


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
