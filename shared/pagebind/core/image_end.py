"""Whether a picture is whole at its end: JPEG, PNG, GIF and WebP say where that is.

A drive in trouble, or an uploader that was interrupted, leaves pictures that end in the middle; readers show the rest
of the page grey. Bytes after a picture's end are harmless and tolerated: cameras and editors append things.

Sources: ITU-T T.81, annex B; the PNG specification, 5.2 and 5.3; the GIF89a specification; the WebP container
specification (RIFF).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Generator

_EOI, _SOI, _SOS = 0xD9, 0xD8, 0xDA
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""A marker that ends or interrupts a scan: neither a stuffed FF, nor a restart, nor one of the reserved ones."""

_GIF_TRAILER = b";"
_GIF_HAS_COLOURS = 0x80
_NEVER = 1 << 62
"""More bytes than any file has."""


class ImageEnd:
    """Is told a file's bytes as they pass, in chunks of any size, and keeps next to none of them.

    Attributes:
        whole: the picture's end has passed, or it is of a kind whose end cannot be told.
    """

    def __init__(self) -> None:
        self._feed = _Feed()
        self._walk = _picture(self._feed)
        self.whole = False

    def take(self, chunk: bytes) -> None:
        """The next bytes of the file."""
        if self.whole:
            return
        self._feed.add(chunk)
        self.whole = next(self._walk, True) is True


class _Feed:
    """Bytes that have come and are not used up. Each method gives control back while it wants more of them."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def add(self, chunk: bytes) -> None:
        self._data = self._data[self._at :] + chunk
        self._at = 0

    def bytes(self, count: int) -> Generator[None, None, bytes]:
        while len(self._data) - self._at < count:
            yield
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, count: int, order: Literal["big", "little"]) -> Generator[None, None, int]:
        return int.from_bytes((yield from self.bytes(count)), order)

    def skip(self, count: int) -> Generator[None, None, None]:
        while (there := len(self._data) - self._at) < count:
            count -= there
            self._at = len(self._data)
            yield
        self._at += count

    def marker(self) -> Generator[None, None, int]:
        """The second byte of the next JPEG marker."""
        while (found := _MARKER.search(self._data, self._at)) is None:
            self._at = max(self._at, len(self._data) - self._data.endswith(b"\xff"))
            yield
        self._at = found.end()
        return self._data[self._at - 1]


def _picture(feed: _Feed) -> Generator[None, None, None]:
    """Runs to its end when the picture's end has passed, and at once where that cannot be told."""
    match (yield from feed.bytes(2)):
        case b"\xff\xd8":
            yield from _jpeg(feed)
        case b"\x89P":
            yield from _png(feed)
        case b"GI":
            yield from _gif(feed)
        case b"RI":
            yield from _webp(feed)


def _jpeg(feed: _Feed) -> Generator[None, None, None]:
    """Segments are skipped by their lengths, so that the end of a thumbnail inside one does not count."""
    scanned = False
    while (marker := (yield from feed.marker())) != _EOI or not scanned:
        if marker in (_SOI, _EOI):
            continue
        length = yield from feed.number(2, "big")
        yield from feed.skip(max(0, length - 2))
        scanned = scanned or marker == _SOS


def _png(feed: _Feed) -> Generator[None, None, None]:
    yield from feed.skip(6)  # the rest of the signature
    kind = b""
    while kind != b"IEND":
        length = yield from feed.number(4, "big")
        kind = yield from feed.bytes(4)
        yield from feed.skip(length + 4)  # with the checksum


def _gif(feed: _Feed) -> Generator[None, None, None]:
    yield from feed.skip(8)  # the rest of the signature, width, height
    colours = yield from _gif_colours(feed)
    yield from feed.skip(2 + colours)  # background, aspect ratio
    while (block := (yield from feed.bytes(1))) != _GIF_TRAILER:
        match block:
            case b",":
                yield from feed.skip(8)  # place and measures
                colours = yield from _gif_colours(feed)
                yield from feed.skip(colours)
                yield from _gif_pieces(feed)
            case b"!":
                yield from _gif_pieces(feed)
            case b"\0":  # some encoders leave one too many
                pass
            case _:
                yield from feed.skip(_NEVER)


def _gif_colours(feed: _Feed) -> Generator[None, None, int]:
    """Bytes of the table of colours that these flags announce."""
    flags = yield from feed.number(1, "big")
    return 3 * 2 ** (1 + flags % 8) if flags & _GIF_HAS_COLOURS else 0


def _gif_pieces(feed: _Feed) -> Generator[None, None, None]:
    yield from feed.skip(1)  # an extension's label, or the size of an image's codes
    while length := (yield from feed.number(1, "big")):
        yield from feed.skip(length)


def _webp(feed: _Feed) -> Generator[None, None, None]:
    yield from feed.skip(2)  # the rest of RIFF
    length = yield from feed.number(4, "little")
    yield from feed.skip(length)
