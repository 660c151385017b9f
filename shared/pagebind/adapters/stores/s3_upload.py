"""Writing an object in parts of equal size, several on their way at once.

S3 takes up to 10,000 parts of 5 MiB to 5 GiB, of which only the last may be smaller; Cloudflare R2 wants all others
of one size.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import deque
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import google_crc32c

from pagebind.adapters.stores.no_answer import NotTheStore
from pagebind.adapters.stores.retrying import again
from pagebind.adapters.stores.s3_bucket import Block, SentPart
from pagebind.adapters.stores.s3_errors import OutcomeUnknown, UploadGone
from pagebind.adapters.workers import Workers
from pagebind.core.crc32c import combine_all
from pagebind.errors import ConditionFailed, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from pagebind.adapters.stores.s3_bucket import Bucket, Content, UploadId
    from pagebind.ports.store import ObjectInfo

log = logging.getLogger(__name__)

PART_SIZE: Final = 8 * 2**20
"""Bytes of a part; an object that would have too many parts gets larger ones."""

MOST_PARTS: Final = 10_000

_AT_ONCE: Final = 3
_MEBIBYTE: Final = 2**20


def part_size(size: int) -> int:
    """Bytes of each part but the last, for an object of ``size`` bytes: whole mebibytes."""
    return max(PART_SIZE, -(-size // (MOST_PARTS * _MEBIBYTE)) * _MEBIBYTE)


def blocks(chunks: Iterable[bytes], size: int) -> Iterator[tuple[Block, bool]]:
    """The chunks as blocks of ``size`` bytes, each with whether it is the last, which may be smaller or empty."""
    data, crc32c = bytearray(), 0
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            if len(data) == size:
                yield Block(data, crc32c), False
                data, crc32c = bytearray(), 0
            piece = chunk[at : at + size - len(data)]
            data += piece
            crc32c = google_crc32c.extend(crc32c, piece)
            at += len(piece)
    yield Block(data, crc32c), True


class Upload:
    """One multipart upload, from its beginning to `complete` or `abort`; nothing can be seen of it before."""

    def __init__(self, bucket: Bucket, key: str, content: Content) -> None:
        self._bucket = bucket
        self._content = content
        self._id = again(partial(_begun, bucket, key, content), f"begin the upload of {key}")
        self._pool = Workers(_AT_ONCE, thread_name_prefix="s3-upload")
        self._under_way: deque[Future[SentPart]] = deque()
        self._sent: list[SentPart] = []
        self._count = 0

    def send(self, block: Block) -> None:
        """Send the next part in the background; waits while too many are on their way. Raises: StoreError: of any."""
        while len(self._under_way) >= _AT_ONCE:
            self._sent.append(self._under_way.popleft().result())
        self._count += 1
        self._under_way.append(self._pool.submit(self._send, self._count, block))

    def _send(self, number: int, block: Block) -> SentPart:
        send = partial(self._bucket.send_part, self._id, number, block)
        return again(send, f"send part {number} of {self._id.key}")

    def crc32c(self) -> int:
        """Of all bytes sent, when the last part has arrived."""
        while self._under_way:
            self._sent.append(self._under_way.popleft().result())
        return combine_all((part.crc32c, part.size) for part in self._sent)

    def complete(self, conditions: Mapping[str, str]) -> ObjectInfo:
        """Let the object be seen, if the conditions hold.

        Asked again after a lost answer, the store finds no upload any more, or that something stands there: if it is
        exactly this object, it was the first request that made it.
        """
        key, crc32c, lost = self._id.key, self.crc32c(), False

        def ask() -> ObjectInfo | StoreError:
            nonlocal lost
            try:
                with _may_be_cut():
                    return self._bucket.complete(self._id, self._sent, crc32c, self._content, conditions)
            except OutcomeUnknown:
                lost = True
                raise
            except StoreError as error:
                return error

        done = again(ask, f"complete {key}")
        if isinstance(done, StoreError):
            found = self._own(crc32c) if lost and isinstance(done, ConditionFailed | UploadGone) else None
            if found is None:
                raise done
            done = found
        self._pool.shutdown()
        return done

    def _own(self, crc32c: int) -> ObjectInfo | None:
        """What stands under the key, if it is what this upload makes."""
        found = again(partial(self._bucket.head, self._id.key), f"head {self._id.key}")
        if found is None or dict(found.metadata or {}) != dict(self._content.metadata):
            return None
        same = found.crc32c == crc32c or found.version == _version_of(self._sent)
        return found._replace(crc32c=crc32c) if same else None

    def abort(self) -> None:
        """Drop it, once nothing of it is on its way any more. Of what goes wrong, only the log tells."""
        self._pool.shutdown(cancel_futures=True)
        with suppress(UploadGone):
            try:
                self._bucket.abort(self._id)
            except UploadGone:
                raise
            except StoreError as error:
                log.warning("upload left", extra={"key": self._id.key, "reason": error.message})


def _begun(bucket: Bucket, key: str, content: Content) -> UploadId:
    with _may_be_cut():
        return bucket.begin_upload(key, content)


@contextmanager
def _may_be_cut() -> Iterator[None]:
    """An answer that lacks everything may have been cut behind its head: AWS sends that before it has completed."""
    try:
        yield
    except NotTheStore as error:
        raise OutcomeUnknown(error.message, fix=error.fix, path=error.path) from error


def _version_of(parts: Iterable[SentPart]) -> str | None:
    """The ETag that S3 gives an object of these parts: the MD5 of their MD5s, and their count."""
    etags = [part.etag.strip('"') for part in parts]
    if not all(re.fullmatch(r"[0-9a-f]{32}", etag) for etag in etags):
        return None
    whole = hashlib.md5(b"".join(map(bytes.fromhex, etags)), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(etags)}"
