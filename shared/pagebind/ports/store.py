"""The object store: what every backend promises.

- **Keys** are ``/``-separated paths without empty, ``.`` or ``..`` parts; a backslash, NUL or invalid Unicode is
  refused, and so are the store's own names.
- **Objects** are immutable bytes with a small string map of metadata, whose keys are lower case. An object is visible
  whole or not at all, whatever dies when.
- **Versions**: replacing an object gives it another version. Where a store names versions by content (the ETags of S3),
  the same bytes under the same key are the same version.
- **Consistency** is strong: what a call has returned, every later call of any process sees, listings included.
- **Conditions** are checked in the same atomic step as the write. Where a store cannot do that, its backend makes up
  for it and says so (`Store.lacks`).
- **Errors** are those of `pagebind.errors.StoreError`, with the key as their path and the library's error as their
  cause. What raised an error may nevertheless have happened, if only its answer was lost: repeating a conditional write
  may then find its own work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class ObjectInfo(NamedTuple):
    """One object as a listing or a write shows it.

    Attributes:
        key: its key.
        size: bytes of the content; in a listing without metadata it may include what the backend keeps with it.
        version: the store's name for exactly these bytes under this key; opaque.
        created: when this version came to be, seconds since the epoch, UTC, by the store's clock.
        metadata: as written, or None where the call does not carry it (see `Store.list`).
        crc32c: of the whole content where the store knows it without reading, else None.
    """

    key: str
    size: int
    version: str
    created: float
    metadata: Mapping[str, str] | None = None
    crc32c: int | None = None


class StoredPart(NamedTuple):
    """A whole object of the work store, to stand inside another: exactly ``size`` bytes with this CRC-32C.

    A backend may accept the same bytes under another version.
    """

    key: str
    version: str
    size: int
    crc32c: int


Part = bytes | StoredPart


class Absent:
    """Condition of a write: nothing stands under the key (create-only)."""


class Version(NamedTuple):
    """Condition of a write: exactly this version stands under the key."""

    version: str


Condition = Absent | Version

ABSENT = Absent()


class Store(Protocol):
    """One bucket with a prefix, or one folder."""

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """Write one object that fits in memory, durably, in one atomic step.

        Raises:
            ConditionFailed: the condition does not hold; nothing was written.
            StoreUnavailable: nothing was written, or its answer was lost.
            AccessDenied: this account may not. Where it may not because something stands there: `ConditionFailed`.
        """
        ...

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """As `put`, for content of unknown length in bounded memory. An error raised by ``chunks`` leaves nothing."""
        ...

    def get(self, key: str) -> bytes:
        """The whole content.

        Raises:
            KeyMissing: nothing stands there.
            StoreUnavailable: it cannot be read now.
        """
        ...

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The content from byte ``start``, ``length`` bytes or up to the end, in chunks of at most 1 MiB.

        Raises:
            KeyMissing: nothing stands there (raised at the first chunk at the latest).
        """
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """The object's info with its metadata, or None."""
        ...

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose keys begin with ``prefix``, in the order of their keys' code points, paged inside.

        A store may order folders among their neighbours in another way (SeaweedFS does); what stands directly in one
        folder is always in order. Only those whose keys are greater than ``after``, which need not be one and, where
        it is given, lies in the folder that ``prefix`` ends in; a backend reads nothing of the others.
        With ``metadata`` each info carries its metadata (an unreadable one reads as an empty map); without, a backend
        may leave it None to save reads.
        """
        ...

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Delete it; nothing there is success.

        Raises:
            ConditionFailed: a version was named and another one stands there.
        """
        ...

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        """Delete exactly these versions, as far as they still stand. Cheaper than one call each.

        Raises:
            StoreUnavailable: some of them may still stand; call again.
        """
        ...

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
        """Put an object together from parts, prove it, and only then let it be seen, in one atomic step.

        ``StoredPart``s are taken from the work store that this store was made with (for the work store: itself), which
        may be another bucket. Each part's size and CRC-32C are checked on the way, and ``crc32c`` against the whole.
        What a backend needs to write on the way stands in the work store beside the first stored part, under names that
        end in ``.composite``; of what this very call has written nothing stays.

        Raises:
            PartDamaged: a part is missing or not what it should be; ``path`` is its key. A whole that differs raises it
                with this object's own key. Nothing was written.
            ConditionFailed: the condition does not hold (any more). Nothing was written.
            StoreUnavailable: nothing was written.
        """
        ...

    def abandon(self, key: str) -> None:
        """Undo what writers have begun under ``key`` (or below it, if it ends in ``/``) and not finished.

        Of a writer that still lives the write fails, and has to begin again: call it when what was to be written
        stands.
        """
        ...

    def sweep(self) -> None:
        """Remove what dead processes left half-written. Call it only while nobody else writes on this machine."""
        ...

    def lacks(self) -> tuple[str, ...]:
        """What this store does not offer and how that is made up for, a line each, for people.

        May try it out with real operations, which are cleaned up.
        """
        ...
