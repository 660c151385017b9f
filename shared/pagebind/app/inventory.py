"""What the stores hold, from one listing per prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pagebind.core import keys
from pagebind.core import manifest as manifests
from pagebind.core.history import History
from pagebind.core.planner import Shelf
from pagebind.errors import KeyMissing, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pagebind.core.keys import ManifestMark
    from pagebind.core.manifest import Manifest
    from pagebind.ports.store import ObjectInfo, Store

_Mark = TypeVar("_Mark")

_PREFIXES = (keys.MANIFESTS, keys.SENT, keys.STAGING, keys.FAILURES, keys.DECISIONS, keys.DONE)
"""What a history is made of."""

CLOCK_TOLERANCE = 86400.0
"""Seconds by which the clocks of a store and of this machine may differ."""


class Inventory(NamedTuple):
    """All volumes' histories and the library's objects by the digest of their keys, at one moment.

    Where a store tells case apart, several objects may share a digest.
    """

    volumes: Mapping[str, History]
    books: Mapping[str, Sequence[ObjectInfo]]

    def history(self, volume: str) -> History:
        """A volume's history; an empty one where nothing is known of it."""
        return self.volumes.get(volume) or History()

    def book(self, key_digest: str, history: History) -> ObjectInfo | None:
        """What stands under a volume's key: of several, the one that a receipt of the volume names."""
        standing = self.books.get(key_digest, ())
        ours = (book for book in standing if history.receipt_for(book.version))
        return next(ours, next(iter(standing), None))

    def demand_a_library(self) -> None:
        """Refuse to work on an empty library that had books: most likely its disk is not mounted.

        Raises:
            StoreUnavailable: it is so. A single missing book may have been removed by somebody; that is held.
        """
        bound = sum(bool(history.receipts) for history in self.volumes.values())
        if bound > 1 and not self.books:
            raise StoreUnavailable(
                f"the library is empty, but {bound} volumes were bound in it",
                fix="mount it; if you removed all books on purpose, delete the folder done/ in the store",
            )


class ShelfView(NamedTuple):
    """What stands under a volume's key, and if it is the volume's own book, which."""

    shelf: Shelf
    bound_seq: int | None = None
    bound_revision: str | None = None
    bound_at: float | None = None
    receipted: bool = False
    owner: str = ""


def take(work: Store, library: Store) -> Inventory:
    """List work and library: one listing per prefix, no object read."""
    volumes: dict[str, History] = {}
    for prefix in _PREFIXES:
        for info in work.list(prefix):
            volume = keys.volume_of(info.key)
            if volume:
                _note(volumes.setdefault(volume, History()), prefix, info)
    books: dict[str, list[ObjectInfo]] = {}
    for info in library.list():
        books.setdefault(keys.library_digest(info.key), []).append(info)
    return Inventory(volumes, books)


def take_one(work: Store, volume: str) -> History:
    """One volume's history."""
    history = History()
    for prefix in _PREFIXES:
        for info in work.list(f"{prefix}{volume}/"):
            _note(history, prefix, info)
    return history


def _note(history: History, prefix: str, info: ObjectInfo) -> None:
    match prefix:
        case keys.MANIFESTS:
            _append(history.manifests, keys.parse_manifest(info.key, info.created))
        case keys.SENT:
            _append(history.sent, keys.parse_sent(info.key, info.created))
        case keys.FAILURES:
            _append(history.failures, keys.parse_failure(info.key, info.created))
        case keys.DECISIONS:
            _append(history.decisions, keys.parse_decision(info.key, info.created))
        case keys.DONE:
            _append(history.receipts, keys.parse_receipt(info.key, info.created))
        case _:
            page = keys.page_of(info.key)
            if page is None:
                history.debris += 1
            else:
                history.staged.add(page)


def _append(marks: list[_Mark], mark: _Mark | None) -> None:
    if mark is not None:
        marks.append(mark)


def look_at_shelf(
    volume: str, history: History, book: ObjectInfo | None, read: Callable[[str], ObjectInfo | None]
) -> ShelfView:
    """Say whose the object under a volume's key is.

    By a receipt that names its version; only where none does, by the object's own metadata, for which ``read`` is
    called with its key.
    """
    if book is None:
        return ShelfView(Shelf.REMOVED if history.receipts else Shelf.FREE)
    receipt = history.receipt_for(book.version)
    if receipt is not None:
        revision = history.revision_of(receipt.seq)
        return ShelfView(Shelf.OURS, receipt.seq, revision, receipt.created, receipted=True)
    described = book if book.metadata is not None else read(book.key)
    said = (described.metadata if described else None) or {}
    if said.get("volume") == volume and said.get("seq", "").isdigit():
        return ShelfView(Shelf.OURS, int(said["seq"]), said.get("revision"), book.created)
    if history.receipts:
        return ShelfView(Shelf.CHANGED)
    return ShelfView(Shelf.TAKEN if said.get("volume") else Shelf.FOREIGN, owner=said.get("volume", ""))


def load_manifest(work: Store, volume: str, mark: ManifestMark) -> Manifest:
    """Read a manifest.

    Raises:
        KeyMissing: it is not there, or is not a manifest any more.
    """
    key = keys.manifest_key(volume, mark)
    try:
        return manifests.load(work.get(key))
    except ValueError as error:
        raise KeyMissing(
            f"{key} is not readable: {error}", fix="delete it: the next run records the listing anew", path=key
        ) from error
