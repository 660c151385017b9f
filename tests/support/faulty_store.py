"""A store that fails where a test says so: before a call, after it, or in the middle of what it yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pagebind.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pagebind.ports.store import Condition, ObjectInfo, Part, Store

    Choose = Callable[[str, str], "Fault | None"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure.

    Attributes:
        lost: the call happens, only its answer is lost.
        after: so many bytes of a stream, or items of a listing, still come.
        error: what is raised; by default a `StoreUnavailable` with the key.
    """

    lost: bool = False
    after: int = 0
    error: StoreError | None = None

    def raised(self, operation: str, key: str) -> StoreError:
        return self.error or StoreUnavailable(f"{operation} {key}: no answer", path=key)


class FaultyStore:
    """Implements `pagebind.ports.store.Store`: ``choose`` is asked at every call, with operation and key."""

    def __init__(self, inner: Store, choose: Choose | None = None) -> None:
        self._inner = inner
        self.choose: Choose = choose or _never

    def _do(self, operation: str, key: str, call: Callable[[], T]) -> T:
        fault = self.choose(operation, key)
        if fault is None:
            return call()
        if fault.lost:
            call()
        raise fault.raised(operation, key)

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        return self._do("put", key, lambda: self._inner.put(key, data, condition=condition, metadata=metadata))

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        def call() -> ObjectInfo:
            return self._inner.put_stream(key, chunks, condition=condition, metadata=metadata)

        return self._do("put_stream", key, call)

    def get(self, key: str) -> bytes:
        return self._do("get", key, lambda: self._inner.get(key))

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        fault = self.choose("stream", key)
        chunks = self._inner.stream(key, start=start, length=length)
        if fault is None:
            yield from chunks
            return
        left = fault.after
        while left > 0 and (chunk := next(chunks, None)) is not None:
            yield chunk[:left]
            left -= len(chunk)
        raise fault.raised("stream", key)

    def head(self, key: str) -> ObjectInfo | None:
        return self._do("head", key, lambda: self._inner.head(key))

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        fault = self.choose("list", prefix)
        for number, info in enumerate(self._inner.list(prefix, metadata=metadata, after=after)):
            if fault and number >= fault.after:
                break
            yield info
        if fault:
            raise fault.raised("list", prefix)

    def delete(self, key: str, *, version: str | None = None) -> None:
        self._do("delete", key, lambda: self._inner.delete(key, version=version))

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        self._do("delete_all", "", lambda: self._inner.delete_all(objects))

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
        def call() -> ObjectInfo:
            return self._inner.assemble(
                key, parts, crc32c=crc32c, condition=condition, metadata=metadata, content_type=content_type
            )

        return self._do("assemble", key, call)

    def abandon(self, key: str) -> None:
        self._do("abandon", key, lambda: self._inner.abandon(key))

    def sweep(self) -> None:
        self._do("sweep", "", self._inner.sweep)

    def lacks(self) -> tuple[str, ...]:
        return self._do("lacks", "", self._inner.lacks)


def _never(operation: str, key: str) -> Fault | None:
    """Go on."""
    return None
