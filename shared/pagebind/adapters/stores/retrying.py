"""Requests to an object store, made again while their failure looks like one that passes.

`RetryingStore` is a store around another one; `again` is its policy, which a backend asks for the parts of a long
upload and the further pages of a listing. Nothing else repeats a request: the libraries' own retries are off.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import google_crc32c
import stamina
import stamina.instrumentation

from pagebind.errors import ConditionFailed, StoreError
from pagebind.ports.store import StoredPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pagebind.ports.store import Condition, ObjectInfo, Part, Store

T = TypeVar("T")

log = logging.getLogger(__name__)

# Its default hooks write to whatever logging the process has, which for a command means the user's terminal.
stamina.instrumentation.set_on_retry_hooks([])

ATTEMPTS: Final = 4
"""Of one request in all."""

LONGEST_WAIT: Final = 20.0
"""Seconds; a store that asks for more gets its error passed on with ``retry_after``."""

_FIRST_WAIT: Final = 0.2
_LONGEST_BACKOFF: Final = 8.0
_NO_ATTEMPT_AFTER: Final = 40.0
"""Seconds since the first attempt began: two that end by a time-out of 20 to 25 s give their error within a minute."""


def again(call: Callable[[], T], what: str, *, attempts: int = ATTEMPTS) -> T:
    """The result of ``call``, made up to ``attempts`` times while it raises a `StoreError` that is ``retryable``.

    Waits between attempts, longer each time and by chance, or as long as the store asked for. After forty seconds no
    attempt begins. ``what`` names the call in the log, e.g. ``put staging/volume/page.entry``.
    """
    failure = ""

    def once(number: int) -> T:
        nonlocal failure
        if number > 1:
            log.info("store asked again", extra={"call": what, "attempt": number, "reason": failure})
        try:
            return call()
        except StoreError as error:
            failure = error.message
            raise

    for attempt in stamina.retry_context(
        on=_wait_for,
        attempts=attempts,
        timeout=_NO_ATTEMPT_AFTER,
        wait_initial=_FIRST_WAIT,
        wait_max=_LONGEST_BACKOFF,
        wait_jitter=0.5,
    ):
        with attempt:
            return once(attempt.num)
    raise AssertionError  # pragma: no cover  # the last attempt returns or raises


def _wait_for(error: Exception) -> bool | float:
    if not isinstance(error, StoreError) or not error.retryable:
        return False
    if error.retry_after is None:
        return True
    return max(error.retry_after, _FIRST_WAIT) if error.retry_after <= LONGEST_WAIT else False


class RetryingStore:
    """A `Store` that makes the calls of ``inner`` again, up to ``attempts`` times, as `again` does.

    A conditional write whose answer was lost finds its own work when it is repeated. So `ConditionFailed` after such a
    failure is not believed before a look at what stands there: exactly what was to be written is taken for it, also
    where somebody else has written the same.
    """

    def __init__(self, inner: Store, *, attempts: int = ATTEMPTS) -> None:
        self._inner = inner
        self._attempts = attempts

    # -- writing

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """See `Store.put`."""

        def ours() -> ObjectInfo | None:
            found = self._found(key, len(data), metadata)
            return found if found and self._holds(found, data) else None

        write = partial(self._inner.put, key, data, condition=condition, metadata=metadata)
        return self._again(recognising(write, ours), f"put {key}")

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """See `Store.put_stream`. Not repeated: after a failure ``chunks`` are used up."""
        return self._inner.put_stream(key, chunks, condition=condition, metadata=metadata)

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
        """See `Store.assemble`. Where the store does not know checksums, size and metadata tell its own work."""

        def ours() -> ObjectInfo | None:
            size = sum(part.size if isinstance(part, StoredPart) else len(part) for part in parts)
            found = self._found(key, size, metadata)
            return found._replace(crc32c=crc32c) if found and found.crc32c in {None, crc32c} else None

        write = partial(
            self._inner.assemble,
            key,
            parts,
            crc32c=crc32c,
            condition=condition,
            metadata=metadata,
            content_type=content_type,
        )
        return self._again(recognising(write, ours), f"assemble {key}")

    # -- reading

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        return self._again(partial(self._inner.get, key), f"get {key}")

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `Store.stream`. Goes on at the byte that it had reached; attempts are counted from there.

        Of an object that is replaced meanwhile it may give the beginning of one and the end of the other.
        """
        reached = start
        chunks: Iterator[bytes] | None = None

        def next_chunk() -> bytes | None:
            nonlocal chunks
            left = None if length is None else start + length - reached
            try:
                chunks = chunks or self._inner.stream(key, start=reached, length=left)
                return next(chunks, None)
            except StoreError:
                chunks = None  # one that has failed gives nothing more
                raise

        while (chunk := self._again(next_chunk, f"stream {key}")) is not None:
            reached += len(chunk)
            yield chunk

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        return self._again(partial(self._inner.head, key), f"head {key}")

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`. Repeated only while nothing has been yielded: a backend repeats its further pages."""

        def begin() -> tuple[ObjectInfo | None, Iterator[ObjectInfo]]:
            found = self._inner.list(prefix, metadata=metadata, after=after)
            return next(found, None), found

        first, others = self._again(begin, f"list {prefix}")
        if first is not None:
            yield first
            yield from others

    # -- removing

    def delete(self, key: str, *, version: str | None = None) -> None:
        """See `Store.delete`. A version that is gone after an answer was lost counts as deleted by this call."""

        def gone() -> bool | None:
            return True if self.head(key) is None else None

        def remove() -> bool:
            self._inner.delete(key, version=version)
            return True

        self._again(recognising(remove, gone), f"delete {key}")

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        """See `Store.delete_all`."""
        everything = tuple(objects)
        self._again(lambda: self._inner.delete_all(everything), f"delete {len(everything)} objects")

    def abandon(self, key: str) -> None:
        """See `Store.abandon`."""
        self._again(partial(self._inner.abandon, key), f"abandon {key}")

    def sweep(self) -> None:
        """See `Store.sweep`."""
        self._again(self._inner.sweep, "sweep")

    def lacks(self) -> tuple[str, ...]:
        """See `Store.lacks`."""
        return self._again(self._inner.lacks, "try out the store")

    # -- its own work

    def _again(self, call: Callable[[], T], what: str) -> T:
        return again(call, what, attempts=self._attempts)

    def _found(self, key: str, size: int, metadata: Mapping[str, str] | None) -> ObjectInfo | None:
        """What stands there, if it looks like what was to be written."""
        found = self.head(key)
        alike = found is not None and (found.size, dict(found.metadata or {})) == (size, dict(metadata or {}))
        return found if alike else None

    def _holds(self, found: ObjectInfo, data: bytes) -> bool:
        if found.crc32c is not None:
            return found.crc32c == int(google_crc32c.value(data))
        return self.get(found.key) == data


def recognising(write: Callable[[], T], ours: Callable[[], T | None]) -> Callable[[], T]:
    """A conditional write that may be made again: `again` it, and it finds its own work after a lost answer.

    `ConditionFailed` after a failure of an earlier attempt gives what ``ours`` finds, if that is not None.
    """
    lost = False

    def call() -> T:
        nonlocal lost
        try:
            return write()
        except ConditionFailed:
            if lost and (found := ours()) is not None:
                return found
            raise
        except StoreError:
            lost = True
            raise

    return call
