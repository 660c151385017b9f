"""A store that tells of every call, so that tests can die, or let others act, between any two of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pagebind.errors import ConditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pagebind.ports.store import Condition, ObjectInfo, Part, Store

Hook = Callable[[str, str], None]


class Died(BaseException):
    """The process was killed here. No `Exception`, so that nothing recovers from it."""


class Death:
    """A hook: lets ``calls`` calls happen and kills at the next one, and at every one after it."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.struck = False

    def __call__(self, operation: str, key: str) -> None:
        self.left -= 1
        if self.left < 0:
            self.struck = True
            raise Died(f"{operation} {key}")


class WatchedStore:
    """Implements `pagebind.ports.store.Store`: ``before`` and ``after`` are called with operation and key."""

    def __init__(self, inner: Store, *, before: Hook | None = None, after: Hook | None = None) -> None:
        self._inner = inner
        self.before: Hook = before or _nothing
        self.after: Hook = after or _nothing
        self.calls: list[tuple[str, str]] = []

    def _begin(self, operation: str, key: str) -> None:
        self.before(operation, key)
        self.calls.append((operation, key))

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        self._begin("put", key)
        info = self._inner.put(key, data, condition=condition, metadata=metadata)
        self.after("put", key)
        return info

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        self._begin("put_stream", key)
        info = self._inner.put_stream(key, chunks, condition=condition, metadata=metadata)
        self.after("put_stream", key)
        return info

    def get(self, key: str) -> bytes:
        self._begin("get", key)
        return self._inner.get(key)

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._begin("stream", key)
        return self._inner.stream(key, start=start, length=length)

    def head(self, key: str) -> ObjectInfo | None:
        self._begin("head", key)
        found = self._inner.head(key)
        self.after("head", key)
        return found

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        self._begin("list", prefix)
        return self._inner.list(prefix, metadata=metadata, after=after)

    def delete(self, key: str, *, version: str | None = None) -> None:
        self._begin("delete", key)
        self._inner.delete(key, version=version)
        self.after("delete", key)

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
        self._begin("assemble", key)
        info = self._inner.assemble(
            key, parts, crc32c=crc32c, condition=condition, metadata=metadata, content_type=content_type
        )
        self.after("assemble", key)
        return info

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        """As single deletes, so that a death can come between any two of them."""
        for info in objects:
            with suppress(ConditionFailed):
                self.delete(info.key, version=info.version)

    def abandon(self, key: str) -> None:
        self._begin("abandon", key)
        self._inner.abandon(key)
        self.after("abandon", key)

    def sweep(self) -> None:
        self._inner.sweep()

    def lacks(self) -> tuple[str, ...]:
        return self._inner.lacks()


def _nothing(operation: str, key: str) -> None:
    """Go on."""
