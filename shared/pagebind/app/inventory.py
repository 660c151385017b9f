"""What the stores hold, from one listing per prefix."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pagebind.core import decisions, keys
from pagebind.core import manifest as manifests
from pagebind.core.history import History
from pagebind.core.shelf import Shelf, ShelfView
from pagebind.errors import KeyMissing, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pagebind.core.keys import ManifestMark
    from pagebind.core.manifest import Manifest, Page
    from pagebind.core.reuse import Content
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

    def view(self, volume: str, key_digest: str, read: Callable[[str], ObjectInfo | None]) -> ShelfView:
        """What stands under a volume's key; see `look_at_shelf`."""
        history = self.history(volume)
        elsewhere = self.former_book(history, key_digest) is not None
        return look_at_shelf(volume, history, self.book(key_digest, history), read, elsewhere=elsewhere)

    def former_book(self, history: History, key_digest: str) -> ObjectInfo | None:
        """The volume's book under a key that it had before this one."""
        former = {mark.key_digest for mark in history.manifests} - {key_digest}
        standing = (book for digest in sorted(former) for book in self.books.get(digest, ()))
        return next((book for book in standing if history.receipt_for(book.version)), None)

    def demand_a_library(self) -> None:
        """Refuse to work on an empty library that had books: most likely its disk is not mounted.

        Raises:
            StoreUnavailable: it is so. A single missing book may have been removed by somebody; that is held.
        """
        bound = sum(_should_have_a_book(history) for history in self.volumes.values())
        if bound > 1 and not self.books:
            raise StoreUnavailable(
                f"the library is empty, but {bound} volumes were bound in it",
                fix="mount it if it is a folder, or correct [store]; if you removed all books on purpose, "
                "delete all that is below done/ in the store",
            )


def _should_have_a_book(history: History) -> bool:
    return history.receipt is not None and not history.standing.forgotten and not history.book_was_deleted


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


def take_one(work: Store, volume: str, prefixes: Iterable[str] = _PREFIXES) -> History:
    """One volume's history, as far as it lies under these prefixes: one listing each."""
    history = History()
    for prefix in prefixes:
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
    volume: str,
    history: History,
    book: ObjectInfo | None,
    read: Callable[[str], ObjectInfo | None],
    *,
    elsewhere: bool = False,
) -> ShelfView:
    """Say whose the object under a volume's key is.

    By a receipt that names its version; only where none does, by the object's own metadata, for which ``read`` is
    called with its key. ``elsewhere``: the volume's book stands under its former key.
    """
    if book is None:
        removed = history.receipt is not None and not elsewhere and not history.book_was_deleted
        return ShelfView(Shelf.REMOVED if removed else Shelf.FREE, elsewhere=elsewhere)
    version = keys.version_digest(book.version)
    receipt = history.receipt_for(book.version)
    if receipt is not None:
        revision = history.revision_of(receipt.seq)
        return ShelfView(Shelf.OURS, version, receipt.seq, revision, receipt.decision, receipt.created, receipted=True)
    described = book if book.metadata is not None else read(book.key)
    said = (described.metadata if described else None) or {}
    decision = int(said["decision"]) if said.get("decision", "").isdigit() else 0
    standing = history.standing
    ours = said.get("volume") == volume and said.get("seq", "").isdigit() and decision >= standing.handed_on
    if ours and described is not None and _is_what_it_says(described, said, history):
        return ShelfView(Shelf.OURS, version, int(said["seq"]), said.get("revision"), decision, book.created)
    if history.proofs and not elsewhere:
        return ShelfView(Shelf.CHANGED, version)
    owner = standing.handed_to if said.get("volume") == volume else said.get("volume", "")
    return ShelfView(Shelf.TAKEN if owner else Shelf.FOREIGN, version, owner=owner)


def _is_what_it_says(book: ObjectInfo, said: Mapping[str, str], history: History) -> bool:
    """Whether a book is the one that its metadata was written for: tools that replace objects may keep that.

    It has the size that is told there, and the CRC-32C. Where the store knows none, no receipt names another version
    of the same book: whoever made that one wrote the receipt for it.
    """
    if said.get("size", str(book.size)) != str(book.size):
        return False
    if book.crc32c is not None:
        return said.get("crc32c") == f"{book.crc32c:08x}"
    same = (said["seq"], said.get("decision", "0"))
    return all((str(mark.seq), str(mark.decision)) != same for mark in history.receipts)


def waived_contents(work: Store, volume: str, history: History) -> frozenset[Content]:
    """The files that the volume's book may go without; their decisions are read where there are any."""
    if not history.standing.waivers:
        return frozenset()
    from pagebind.core.reuse import content_of

    waived: set[Content] = set()
    for mark in history.standing.waivers:
        with suppress(KeyMissing, ValueError):  # a damaged decision waives nothing
            decision = decisions.load(work.get(keys.decision_key(volume, mark)))
            waived.update(content_of(*page) for page in decision.pages)
    return frozenset(waived)


def is_waived(page: Page, waived: frozenset[Content]) -> bool:
    """Whether a file is one of these, whatever it is called in the book."""
    if not waived:
        return False
    from pagebind.core.reuse import content

    return content(page) in waived


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
