"""Stored parts, read ahead in order by several threads and proved on the way.

A part is right if it has its size and its CRC-32C, which fetch computed over the very bytes that it wrote. Where it
is a zip entry, its bytes are compared with the CRC-32 in its own header as well: that is what a reader of the book will
go by, and it was computed before, in another pass over the page.
"""

from __future__ import annotations

import zlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import google_crc32c

from pagebind.adapters.stores.retrying import again
from pagebind.adapters.workers import Workers
from pagebind.core.zip_layout import parse_local_header
from pagebind.errors import KeyMissing, PartDamaged
from pagebind.ports.store import Part, StoredPart

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from concurrent.futures import Future

    from pagebind.adapters.stores.s3_bucket import Bucket

_SEGMENT: Final = 4 * 2**20
_AHEAD: Final = 8 * 2**20
"""Bytes that may be read and not yet used."""

_READERS: Final = 12


class Segment(NamedTuple):
    """A stretch of a stored part that is read in one request."""

    part: StoredPart
    start: int
    length: int


def segments(parts: Sequence[Part]) -> Iterator[bytes | Segment]:
    """What the parts are made of, in order; an empty one is read as well, for it may be missing."""
    for part in parts:
        if isinstance(part, StoredPart):
            for start in range(0, max(part.size, 1), _SEGMENT):
                yield Segment(part, start, min(_SEGMENT, part.size - start))
        else:
            yield part


def proved(bucket: Bucket, parts: Sequence[Part]) -> Generator[bytes, None, None]:
    """The bytes of all parts in order.

    Raises:
        PartDamaged: at the end of a part that is not what it should be; ``path`` is its key.
        StoreError: it cannot be read now.
    """
    pool = Workers(min(_READERS, bucket.connections), thread_name_prefix="s3-read")
    proof: _Proof | None = None
    try:
        for segment, content in _read_ahead(bucket, pool, segments(parts)):
            yield content
            if segment is None:
                continue
            if segment.start == 0:
                proof = _Proof(segment.part, content)
            assert proof is not None
            proof.take(content)
            if segment.start + segment.length == segment.part.size:
                proof.settle()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_ahead(
    bucket: Bucket, pool: Workers, wanted: Iterator[bytes | Segment]
) -> Iterator[tuple[Segment | None, bytes]]:
    ahead: deque[tuple[Segment | None, Future[bytes] | bytes]] = deque()
    held = 0
    following = next(wanted, None)
    while ahead or following is not None:
        while following is not None and (not ahead or held + _weight(following) <= _AHEAD):
            held += _weight(following)
            if isinstance(following, Segment):
                ahead.append((following, pool.submit(_read, bucket, following)))
            else:
                ahead.append((None, following))
            following = next(wanted, None)
        segment, coming = ahead.popleft()
        content = coming if isinstance(coming, bytes) else coming.result()
        held -= segment.length if segment else 0
        yield segment, content


def _weight(wanted: bytes | Segment) -> int:
    return wanted.length if isinstance(wanted, Segment) else 0


def _read(bucket: Bucket, segment: Segment) -> bytes:
    part = segment.part
    read = partial(bucket.get_range, part.key, segment.start, segment.length, of=part.size)
    try:
        content = again(read, f"read {part.key}")
    except KeyMissing as error:
        raise PartDamaged.gone(part.key) from error
    if content is None:
        raise PartDamaged.differs(part.key)
    return content


class _Proof:
    """What has come of a part, compared with what was to come."""

    def __init__(self, part: StoredPart, beginning: bytes) -> None:
        self._part = part
        self._crc32c = 0
        self._crc32 = 0
        self._header_left, self._crc32_wanted = _header(beginning, part.size)

    def take(self, content: bytes) -> None:
        self._crc32c = google_crc32c.extend(self._crc32c, content)
        if self._crc32_wanted is not None:
            self._crc32 = zlib.crc32(memoryview(content)[self._header_left :], self._crc32)
            self._header_left = 0

    def settle(self) -> None:
        if self._crc32c != self._part.crc32c or self._crc32_wanted not in {None, self._crc32}:
            raise PartDamaged.differs(self._part.key)


def _header(beginning: bytes, size: int) -> tuple[int, int | None]:
    """Bytes of the local file header and the CRC-32 that it holds; (0, None) for a part that is no single entry."""
    try:
        _, crc32, content, length = parse_local_header(beginning)
    except ValueError:
        return 0, None
    return (length, crc32) if length + content == size else (0, None)
