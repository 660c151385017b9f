"""One object out of many in Google Cloud Storage: a tree of compose calls, each result checked by its CRC-32C.

No byte of a part passes through: the store tells size and CRC-32C of what it has put together, and both follow from
those that the parts were recorded with. A part that is not what it should be shows in the first call that takes it.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from functools import partial
from itertools import count, groupby
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

import google_crc32c

from pagebind.adapters.stores.retrying import again, recognising
from pagebind.adapters.workers import Workers
from pagebind.core import compose_plan
from pagebind.core import crc32c as crc32c_math
from pagebind.errors import ConditionFailed, KeyMissing, PartDamaged, StoreError, StoreUnavailable
from pagebind.ports.store import ABSENT, Condition, ObjectInfo, Part, StoredPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

T = TypeVar("T")
R = TypeVar("R")

PARALLEL: Final = 8
"""Requests that one call of the store has under way at once."""

_SUFFIX: Final = ".composite"


class Bucket(Protocol):
    """What it takes of a store."""

    def put(self, key: str, data: bytes, *, condition: Condition | None = None) -> ObjectInfo:
        """See `Store.put`."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        ...

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        ...

    def compose(self, key: str, sources: Sequence[StoredPart]) -> ObjectInfo:
        """See `GcsStore.compose`."""
        ...


class Composition:
    """Parts on their way to one object in ``work``, the store that holds them.

    What it writes has names that are nobody else's, and goes at the end of the ``with`` block, whatever happened.

    Args:
        target: key of the object that it is all for; only for errors.
        parts: one of them stored at least; as `joined` gives them.
    """

    def __init__(self, work: Bucket, target: str, parts: list[Part]) -> None:
        self._work = work
        self._target = target
        self._parts = parts
        self._stored = [part for part in self._parts if isinstance(part, StoredPart)]
        folder, slash, _ = self._stored[0].key.rpartition("/")
        self._temporary = f"{folder}{slash}{uuid.uuid4().hex[:12]}"
        self._numbers = count()
        self._written: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        in_parallel(self._remove, self._written)

    def whole(self, crc32c: int) -> StoredPart:
        """All parts as one object of work, proved to have this CRC-32C.

        Raises:
            PartDamaged: see `Store.assemble`.
            StoreUnavailable: this time.
        """
        nodes = [_claimed(part) for part in self._parts]
        if crc32c_math.combine_all((node.crc32c, node.size) for node in nodes) != crc32c:
            raise self._damaged(self._stored)
        if len(nodes) == 1:
            self._demand_sound(self._stored)
        self._upload(nodes)
        for _, level in groupby(compose_plan.plan(len(nodes)), key=lambda call: call.level):
            nodes += in_parallel(self._compose, [[nodes[number] for number in call.sources] for call in level])
        return nodes[-1]

    def explain(self, error: KeyMissing | ConditionFailed) -> None:
        """Look why `whole`'s object could not be copied; returns if it is the target that stood otherwise.

        Raises:
            PartDamaged: it is a part, and not what was recorded any more.
            StoreUnavailable: it is gone.
        """
        if not self._written:
            self._demand_sound(self._stored)
        if isinstance(error, KeyMissing):
            raise _disturbed(self._target) from error

    def _upload(self, nodes: list[StoredPart]) -> None:
        """Put the parts that are bytes into work."""
        for number, part in enumerate(self._parts):
            if isinstance(part, bytes):
                wanted = nodes[number]._replace(key=self._new_key())
                made = self._make(wanted, partial(self._work.put, wanted.key, part, condition=ABSENT))
                nodes[number] = wanted._replace(version=made.version)

    def _compose(self, sources: list[StoredPart]) -> StoredPart:
        """One call: its sources as one object, as large and with the CRC-32C that follow from theirs."""
        size = sum(source.size for source in sources)
        crc32c = crc32c_math.combine_all((source.crc32c, source.size) for source in sources)
        wanted = StoredPart(self._new_key(), "", size, crc32c)
        try:
            made = self._make(wanted, partial(self._work.compose, wanted.key, sources))
        except (KeyMissing, ConditionFailed) as error:
            self._demand_sound(sources)
            raise _disturbed(self._target) from error
        if (made.size, made.crc32c) != (size, crc32c):
            raise self._damaged(sources)
        return wanted._replace(version=made.version)

    def _make(self, wanted: StoredPart, write: Callable[[], ObjectInfo]) -> ObjectInfo:
        """Write one temporary, by as many requests as it takes; so no other has to be written again for it.

        The name is nobody else's: what stands there already was made by a request whose answer was lost.
        """

        def own() -> ObjectInfo | None:
            standing = again(partial(self._work.head, wanted.key), f"head {wanted.key}")
            alike = standing is not None and (standing.size, standing.crc32c) == (wanted.size, wanted.crc32c)
            return standing if alike else None

        return again(recognising(write, own), f"write {wanted.key}")

    def _damaged(self, suspects: Iterable[StoredPart]) -> PartDamaged:
        """The error that names the whole; raises the one that names a part if a suspect is one that is damaged."""
        self._demand_sound(suspects)
        return PartDamaged.whole_differs(self._target)

    def _demand_sound(self, suspects: Iterable[StoredPart]) -> None:
        """Look at stored parts one by one. Raises: PartDamaged: of the first that is not what was recorded."""
        in_parallel(self._look, [part for part in suspects if part.key not in self._written])

    def _look(self, part: StoredPart) -> None:
        standing = self._work.head(part.key)
        if standing is None:
            raise PartDamaged.gone(part.key)
        if (standing.version, standing.size, standing.crc32c) != part[1:]:
            raise PartDamaged.differs(part.key)

    def _new_key(self) -> str:
        """A name of its own for what is about to be written."""
        key = f"{self._temporary}-{next(self._numbers)}{_SUFFIX}"
        self._written.append(key)
        return key

    def _remove(self, key: str) -> None:
        with suppress(StoreError):  # what cannot be removed now is cleared with the parts
            again(partial(self._work.delete, key), f"delete {key}")


def joined(parts: Iterable[Part]) -> list[Part]:
    """The same parts without empty bytes, and bytes that follow each other as one."""
    whole: list[Part] = []
    waiting: list[bytes] = []
    for part in (*parts, None):
        if isinstance(part, bytes):
            waiting.append(part)
            continue
        if data := b"".join(waiting):
            whole.append(data)
        waiting.clear()
        if part is not None:
            whole.append(part)
    return whole


def in_parallel(act: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What ``act`` makes of each; after the first error no more are begun, and it is raised when all have ended."""
    if len(items) <= 1:
        return [act(item) for item in items]
    with Workers(min(PARALLEL, len(items))) as pool:
        return list(pool.map(act, items))


def _claimed(part: Part) -> StoredPart:
    """What a part says of itself; bytes have no place in work yet."""
    return part if isinstance(part, StoredPart) else StoredPart("", "", len(part), google_crc32c.value(part))


def _disturbed(key: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"what {key} was being put together from was removed meanwhile", fix="try again later", path=key
    )
