"""S3 and its relatives (AWS, R2, MinIO, SeaweedFS, Backblaze B2, Garage) as an object store: `S3Store`.

- **Version**: the ETag. The same bytes, sent in the same parts, have the same one.
- **Conditions**: ``If-None-Match`` and ``If-Match`` of single writes and of completed uploads. Where the store does not
  know them, a work object is written after a look, which loses nothing: equal keys of work mean equal content. A book
  is published under a claim (see `s3_claims`) that keeps other processes of Pagebind away; against a foreign writer
  there is the look that precedes the completing request immediately.
- **Deletes of exact versions** look first, and send ``If-Match`` besides: where the store ignores that, a replacement
  in the moment between would be deleted. In lists of deletes each object is named with its ETag; where the store does
  not know that, by its key alone: what is deleted so, entries in staging, is its content by its key.
- **Assembling** reads stored parts ahead, proves them on the way (`s3_parts`) and sends them in equal parts
  (`s3_upload`). Nothing is seen before the whole is proved, here and, where it can, by the store.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Final

import google_crc32c

from pagebind.adapters.stores.retrying import again, recognising
from pagebind.adapters.stores.s3_bucket import Block, Bucket, Content, conditions_of
from pagebind.adapters.stores.s3_claims import Claims
from pagebind.adapters.stores.s3_client import connect
from pagebind.adapters.stores.s3_conditions import Conditions
from pagebind.adapters.stores.s3_errors import NotOffered, UploadGone, WriteConflict
from pagebind.adapters.stores.s3_parts import proved
from pagebind.adapters.stores.s3_upload import PART_SIZE, Upload, blocks, part_size
from pagebind.adapters.workers import Workers
from pagebind.core.crc32c import combine_all
from pagebind.core.keys import BOOK_RECORDS, STAGING, is_key
from pagebind.errors import (
    AccessDenied,
    ConditionFailed,
    KeyMissing,
    KeyRefused,
    PartDamaged,
    StoreError,
    StoreUnavailable,
)
from pagebind.ports.store import Absent, Condition, ObjectInfo, Part, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from pagebind.adapters.stores.s3_bucket import UploadId
    from pagebind.adapters.stores.s3_client import Client

__all__ = ["S3Store", "connect"]

_DELETES: Final = 1000
_AHEAD: Final = 2
"""Heads that are asked for ahead, as a multiple of those that are under way at once."""

_STALE: Final = 24 * 3600.0
"""Seconds after which `S3Store.sweep` takes an upload for one that nobody will complete."""

_UPLOADED: Final = (STAGING, BOOK_RECORDS)
"""Where a work store has objects that are uploaded in parts."""


class S3Store:
    """A `Store` in one bucket, below a prefix that is empty or ends in ``/``. Safe for many threads and processes.

    Args:
        client: see `connect`.
        bucket: its name.
        prefix: what all keys begin with there.
        work: makes it a library, whose work store ``work`` is; in the same place of S3.
        conditional_writes: ``on`` and ``off`` say whether the store knows them; ``auto``: AWS does, and of others a
            library finds out before it first publishes a book. A refusal as unknown (501) is believed at any time. A
            library does as its work store does.
    """

    def __init__(
        self,
        client: Client,
        bucket: str,
        prefix: str = "",
        *,
        work: S3Store | None = None,
        conditional_writes: str = "auto",
    ) -> None:
        self.bucket = Bucket(client, bucket, prefix)
        self._work = work
        self.conditions: Conditions = work.conditions if work else Conditions(self.bucket, conditional_writes)
        self._claims = Claims(work.bucket, self.bucket) if work else None

    # -- writing

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """See `Store.put`. One request."""
        self._demand_key(key)
        block = Block(data, google_crc32c.value(data))
        return _once_more(lambda: self._put(key, block, condition, Content(metadata or {})))

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """See `Store.put_stream`. Up to 78 GiB: S3 takes 10,000 parts, and all have one size."""
        self._demand_key(key)
        return self._write(key, chunks, PART_SIZE, condition, Content(metadata or {}))

    def assemble(
        self,
        key: str,
        parts: Sequence[Part],
        *,
        crc32c: int,
        condition: Condition,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        """See `Store.assemble`."""
        self._demand_key(key)
        sums = [_sums(part) for part in parts]
        if combine_all(sums) != crc32c:
            raise PartDamaged.whole_differs(key)
        content, size = Content(metadata or {}, content_type), part_size(sum(length for _, length in sums))
        source = (self._work or self).bucket

        def write() -> ObjectInfo:
            with closing(proved(source, parts)) as chunks:
                return self._write(key, chunks, size, condition, content, crc32c=crc32c)

        return _once_more(write)

    def _write(
        self,
        key: str,
        chunks: Iterator[bytes],
        size: int,
        condition: Condition | None,
        content: Content,
        *,
        crc32c: int | None = None,
    ) -> ObjectInfo:
        """Write in one request what fits one part, else as an upload, which any failure drops."""
        upload: Upload | None = None
        try:
            for block, is_last in blocks(chunks, size):
                if is_last and upload is None:
                    return self._put_surely(key, block, condition, content, crc32c)
                upload = upload or self._begin(key, condition, content)
                upload.send(block)
            return self._under(key, condition, partial(_finish, upload, key, crc32c))
        except BaseException as error:
            if upload is not None:
                upload.abort()
            if isinstance(error, UploadGone):
                raise StoreUnavailable(f"the upload of {key} was aborted by another process", path=key) from error
            raise

    def _begin(self, key: str, condition: Condition | None, content: Content) -> Upload:
        with self._telling_apart(key, condition):
            return Upload(self.bucket, key, content)

    def _put_surely(
        self, key: str, block: Block, condition: Condition | None, content: Content, crc32c: int | None
    ) -> ObjectInfo:
        """As `_put`, repeated here: of a stream nobody else has the bytes, and an assembly would read them again."""
        if crc32c not in {None, block.crc32c}:
            raise PartDamaged.whole_differs(key)
        put, own = partial(self._put, key, block, condition, content), partial(self._own, key, block, content)
        written = again(recognising(put, own), f"put {key}")
        return written if crc32c is None else written._replace(crc32c=crc32c)

    def _put(self, key: str, block: Block, condition: Condition | None, content: Content) -> ObjectInfo:
        return self._under(key, condition, partial(self.bucket.put, key, block, content))

    def _own(self, key: str, block: Block, content: Content) -> ObjectInfo | None:
        """What stands there, if it is what was to be written: then a request did that whose answer was lost."""
        found = again(partial(self.head, key), f"head {key}")
        if found is None or (found.size, dict(found.metadata or {})) != (len(block.data), dict(content.metadata)):
            return None
        if found.crc32c is None:
            return found if again(partial(self.get, key), f"get {key}") == block.data else None
        return found if found.crc32c == block.crc32c else None

    def _under(
        self, key: str, condition: Condition | None, write: Callable[[Mapping[str, str]], ObjectInfo]
    ) -> ObjectInfo:
        """Do the one request that lets an object be seen, under its condition."""
        if condition is None:
            return write({})
        if self._claims:
            self.conditions.make_sure()
        if not self.conditions.lacking:
            try:
                with self._telling_apart(key, condition):
                    return write(conditions_of(condition))
            except NotOffered:
                self.conditions.found_lacking()
            except KeyMissing as error:  # so AWS answers where a version is to be replaced and nothing stands
                raise _condition_failed(key) from error
        return self._after_a_look(key, condition, write)

    def _after_a_look(
        self, key: str, condition: Condition, write: Callable[[Mapping[str, str]], ObjectInfo]
    ) -> ObjectInfo:
        if self._claims is None:
            self._demand(key, condition)
            return write({})
        with self._claims.held(key) as about_to_publish:
            self._demand(key, condition)
            about_to_publish()
            return write({})

    def _demand(self, key: str, condition: Condition) -> None:
        standing = again(partial(self.head, key), f"head {key}")
        wanted = None if isinstance(condition, Absent) else condition.version
        if (standing.version if standing else None) != wanted:
            raise _condition_failed(key)

    @contextmanager
    def _telling_apart(self, key: str, condition: Condition | None) -> Iterator[None]:
        """A refusal of a create-only write for what stands there is `ConditionFailed`, as far as one may look."""
        try:
            yield
        except AccessDenied as error:
            if isinstance(condition, Absent) and self._seems_to_stand(key):
                raise _condition_failed(key) from error
            raise

    def _seems_to_stand(self, key: str) -> bool:
        try:
            return self.head(key) is not None
        except StoreError:
            return False

    # -- reading

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        self._demand_key(key)
        return self.bucket.get(key)

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `Store.stream`."""
        self._demand_key(key)
        if length == 0:
            return self._nothing_of(key)
        return self.bucket.stream(key, start, length)

    def _nothing_of(self, key: str) -> Iterator[bytes]:
        if self.head(key) is None:
            raise KeyMissing(f"nothing stands under {key}", path=key)
        yield from ()

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        self._demand_key(key)
        return self.bucket.head(key)

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`. Metadata takes a request an object, several at once; what vanishes meanwhile is left out.

        SeaweedFS lists what is in a folder before its neighbours ``folder!`` and ``folder ``.
        """
        folder = prefix[: prefix.rfind("/") + 1]
        if not is_key(prefix + "x") or (after > folder and not after.startswith(folder)):
            return iter(())
        found = self.bucket.list(prefix, after if after > folder else "")
        return self._with_metadata(found) if metadata else found

    def _with_metadata(self, listed: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        at_once = self.bucket.connections
        ahead: deque[Future[ObjectInfo | None]] = deque()
        pool = Workers(at_once, thread_name_prefix="s3-head")
        try:
            for info in chain(listed, repeat(None)):
                if info is not None:
                    ahead.append(pool.submit(again, partial(self.bucket.head, info.key), f"head {info.key}"))
                    if len(ahead) < _AHEAD * at_once:
                        continue
                if not ahead:
                    return
                if (found := ahead.popleft().result()) is not None:
                    yield found
        finally:
            pool.shutdown(cancel_futures=True)

    # -- removing

    def delete(self, key: str, *, version: str | None = None) -> None:
        """See `Store.delete`."""
        self._demand_key(key)
        if version is None:
            self.bucket.delete(key, {})
            return
        standing = self.head(key)
        if standing is None:
            return
        if standing.version != version:
            raise _condition_failed(key)
        try:
            self._delete_version(key, version)
        except (ConditionFailed, KeyMissing):
            if self.head(key) is not None:
                raise

    def _delete_version(self, key: str, version: str) -> None:
        if not self.conditions.lacking:
            try:
                self.bucket.delete(key, conditions_of(Version(version)))
            except NotOffered:
                pass
            else:
                return
        self.bucket.delete(key, {})

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        """See `Store.delete_all`. A request for each 1,000."""
        left = iter(objects)
        while some := tuple(islice(left, _DELETES)):
            self.bucket.delete_many(some, by_version=not self.conditions.lacking)

    def abandon(self, key: str) -> None:
        """See `Store.abandon`: aborts the unfinished uploads."""
        self._demand_key(key.removesuffix("/"))
        for upload in self.bucket.uploads(key):
            if upload.key == key or key.endswith("/"):
                self._abort(upload)

    def sweep(self) -> None:
        """See `Store.sweep`: a day after they were begun it aborts uploads into work, and removes claims.

        Of uploads below other keys nothing tells whose they are: the next finalize of a book aborts what is left of it.
        """
        long_ago = time.time() - _STALE
        if self._claims:
            self._claims.sweep(long_ago)
            return
        for upload in chain.from_iterable(self.bucket.uploads(prefix) for prefix in _UPLOADED):
            if upload.begun < long_ago:
                self._abort(upload)

    def _abort(self, upload: UploadId) -> None:
        with suppress(UploadGone):
            self.bucket.abort(upload)

    def lacks(self) -> tuple[str, ...]:
        """See `Store.lacks`."""
        offered = self.conditions.offered()
        sent = "" if self.bucket.sends_checksums else " (not asked for: see `checksums`)"
        lines = (
            (offered.writes, "conditional writes: not offered; books are published under a claim in the work store"),
            (offered.deletes, "conditional deletes: not offered; what stands there is looked at right before"),
            (offered.checksums, f"checksums of whole objects: not offered{sent}; each part is proved as it is sent"),
        )
        return tuple(line for is_offered, line in lines if not is_offered)

    @staticmethod
    def _demand_key(key: str) -> None:
        if not is_key(key):
            raise KeyRefused.of_no_key(key)


def _once_more(write: Callable[[], ObjectInfo]) -> ObjectInfo:
    """The write, begun anew after a conflict with another, as S3 wants it: if that was completed, this one will see."""
    try:
        return write()
    except WriteConflict:
        return write()


def _sums(part: Part) -> tuple[int, int]:
    """CRC-32C and size of a part, as it should be."""
    if isinstance(part, StoredPart):
        return part.crc32c, part.size
    return google_crc32c.value(part), len(part)


def _finish(upload: Upload | None, key: str, crc32c: int | None, conditions: Mapping[str, str]) -> ObjectInfo:
    """Complete an upload of exactly these bytes."""
    assert upload is not None
    if crc32c is not None and upload.crc32c() != crc32c:
        raise PartDamaged.whole_differs(key)
    return upload.complete(conditions)


def _condition_failed(key: str) -> ConditionFailed:
    return ConditionFailed(f"{key} exists, or holds another version", path=key)
