"""A store in memory that keeps the contract, of the kind that a seed asks for."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

import google_crc32c

from pagebind.core import keys
from pagebind.errors import ConditionFailed, KeyMissing, KeyRefused, PartDamaged
from pagebind.ports.store import Absent, Condition, ObjectInfo, Part, StoredPart

_CHUNK = 2**20


class Kind(NamedTuple):
    """How stores differ. ``by_content``: versions are named so, as by S3; ``sums``: it tells CRC-32Cs, as GCS does."""

    by_content: bool = False
    sums: bool = False


class Kept(NamedTuple):
    """One version of an object."""

    info: ObjectInfo
    data: bytes


Change = Callable[[str, Kept | None, Kept | None], None]
"""Is told of each change of a key: what stood there before, and what stands there now."""


class MemoryStore:
    """Implements `pagebind.ports.store.Store`. Safe for use by many threads.

    Args:
        work: where the parts of `assemble` are; None: here.
        now: tells when an object came to be.
        changed: is told of every change.
    """

    def __init__(
        self,
        kind: Kind = Kind(),  # noqa: B008  immutable
        *,
        work: MemoryStore | None = None,
        now: Callable[[], float] = time.time,
        changed: Change = lambda *_: None,
    ) -> None:
        self.changed = changed
        self._kind = kind
        self._work = work or self
        self._now = now
        self._lock = Lock()
        self._objects: dict[str, Kept] = {}
        self._writes = 0

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        _demand_key(key)
        with self._lock:
            before = self._objects.get(key)
            _demand(condition, key, before)
            self._writes += 1
            sum_ = int(google_crc32c.value(data)) if self._kind.sums else None
            version = self.version_to_come(data)
            info = ObjectInfo(key, len(data), version, self._now(), dict(metadata or {}), sum_)
            kept = self._objects[key] = Kept(info, bytes(data))
        self.changed(key, before, kept)
        return info

    def version_to_come(self, data: bytes) -> str:
        """What the next write, of these bytes, is going to be called if nobody writes before."""
        return hashlib.md5(data).hexdigest() if self._kind.by_content else f"{self._writes:09d}"

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        _demand_key(key)
        return self.put(key, b"".join(chunks), condition=condition, metadata=metadata)

    def get(self, key: str) -> bytes:
        return self.kept(key).data

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = self.kept(key).data
        end = len(data) if length is None else min(len(data), start + length)
        return (data[at : min(at + _CHUNK, end)] for at in range(start, end, _CHUNK))

    def kept(self, key: str) -> Kept:
        """What stands there. Raises: KeyMissing."""
        _demand_key(key)
        found = self._objects.get(key)
        if found is None:
            raise KeyMissing(f"{key} is not there", path=key)
        return found

    def head(self, key: str) -> ObjectInfo | None:
        _demand_key(key)
        found = self._objects.get(key)
        return found.info if found else None

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        with self._lock:
            found = [kept.info for key, kept in self._objects.items() if key.startswith(prefix) and key > after]
        found.sort()
        return iter(found if metadata else [info._replace(metadata=None) for info in found])

    def delete(self, key: str, *, version: str | None = None) -> None:
        _demand_key(key)
        with self._lock:
            before = self._objects.get(key)
            if before is None:
                return
            if version is not None and before.info.version != version:
                raise ConditionFailed(f"{key} has another version", path=key)
            del self._objects[key]
        self.changed(key, before, None)

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        for info in objects:
            found = self._objects.get(info.key)
            if found is not None and found.info.version == info.version:
                self.delete(info.key)

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
        _demand_key(key)
        return self.publish(key, self.content_of(parts), crc32c=crc32c, condition=condition, metadata=metadata)

    def content_of(self, parts: Sequence[Part]) -> bytes:
        """What parts make. Raises: PartDamaged."""
        return b"".join(self._work.proved(part) if isinstance(part, StoredPart) else part for part in parts)

    def publish(
        self, key: str, content: bytes, *, crc32c: int, condition: Condition, metadata: Mapping[str, str] | None
    ) -> ObjectInfo:
        """The second half of `assemble`."""
        if int(google_crc32c.value(content)) != crc32c:
            raise PartDamaged.whole_differs(key)
        return self.put(key, content, condition=condition, metadata=metadata)._replace(crc32c=crc32c)

    def proved(self, part: StoredPart) -> bytes:
        """The bytes of a part. Raises: PartDamaged."""
        found = self._objects.get(part.key)
        if found is None:
            raise PartDamaged.gone(part.key)
        if (found.info.size, int(google_crc32c.value(found.data))) != (part.size, part.crc32c):
            raise PartDamaged.differs(part.key)
        return found.data

    def abandon(self, key: str) -> None:
        """Nobody leaves anything unfinished here."""

    def sweep(self) -> None:
        """Nor half-written."""

    def lacks(self) -> tuple[str, ...]:
        return ()


def _demand_key(key: str) -> None:
    if not keys.is_key(key):
        raise KeyRefused.of_no_key(key)


def _demand(condition: Condition | None, key: str, before: Kept | None) -> None:
    if condition is None:
        return
    standing = before.info.version if before else None
    wanted = None if isinstance(condition, Absent) else condition.version
    if standing != wanted:
        raise ConditionFailed(f"{key} holds another version", path=key)
