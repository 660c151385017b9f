"""A store that lies: says that it has written, or lists what is not there, or gives other bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import google_crc32c

from pagebind.ports.store import ObjectInfo, StoredPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pagebind.ports.store import Condition, Part, Store

    Lie = Callable[[str], bool]


def never(_: str) -> bool:
    """The truth."""
    return False


class LyingStore:
    """Implements `pagebind.ports.store.Store`, but for what it lies about: each lie is asked for a key.

    Attributes:
        loses: a write is answered as done and keeps nothing.
        flips: what is read has another byte in its middle.
        cuts: what is read ends in its middle, as if that were its end.
        hides: a listing lacks the key.
        ghosts: a listing goes on showing the key after it was deleted.
    """

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.loses: Lie = never
        self.flips: Lie = never
        self.cuts: Lie = never
        self.hides: Lie = never
        self.ghosts: Lie = never
        self.told: list[str] = []
        self._deleted: dict[str, ObjectInfo] = {}

    def truth(self) -> None:
        """Lie no more."""
        self.loses = self.flips = self.cuts = self.hides = self.ghosts = never

    def _lies(self, lie: Lie, key: str) -> bool:
        told = lie(key)
        if told:
            self.told.append(key)
        return told

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        if self._lies(self.loses, key):
            return _invented(key, len(data), metadata)
        return self._inner.put(key, data, condition=condition, metadata=metadata)

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        if self._lies(self.loses, key):
            return _invented(key, sum(map(len, chunks)), metadata)
        return self._inner.put_stream(key, chunks, condition=condition, metadata=metadata)

    def get(self, key: str) -> bytes:
        return self._told(key, self._inner.get(key))

    def _told(self, key: str, content: bytes) -> bytes:
        middle = len(content) // 2
        if self._lies(self.cuts, key):
            return content[:middle]
        if self._lies(self.flips, key):
            return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        return content

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        content = b"".join(self._inner.stream(key, start=start, length=length))
        yield self._told(key, content)

    def head(self, key: str) -> ObjectInfo | None:
        return self._inner.head(key)

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        found = {info.key: info for info in self._inner.list(prefix, metadata=metadata, after=after)}
        for key, info in self._deleted.items():
            if key.startswith(prefix) and key > after and self._lies(self.ghosts, key):
                found.setdefault(key, info)
        for key in sorted(found):
            if not self._lies(self.hides, key):
                yield found[key]

    def delete(self, key: str, *, version: str | None = None) -> None:
        info = self._inner.head(key)
        self._inner.delete(key, version=version)
        if info is not None:
            self._deleted[key] = info

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        everything = list(objects)
        self._inner.delete_all(everything)
        self._deleted.update({info.key: info for info in everything})

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
        if self._lies(self.loses, key):
            size = sum(part.size if isinstance(part, StoredPart) else len(part) for part in parts)
            return _invented(key, size, metadata)
        return self._inner.assemble(
            key, parts, crc32c=crc32c, condition=condition, metadata=metadata, content_type=content_type
        )

    def abandon(self, key: str) -> None:
        self._inner.abandon(key)

    def sweep(self) -> None:
        self._inner.sweep()

    def lacks(self) -> tuple[str, ...]:
        return self._inner.lacks()


def _invented(key: str, size: int, metadata: Mapping[str, str] | None) -> ObjectInfo:
    """What a store says of an object that it does not have."""
    version = f"{google_crc32c.value(key.encode()):x}-{size:x}"
    return ObjectInfo(key, size, version, 1_800_000_000.0, dict(metadata or {}))
