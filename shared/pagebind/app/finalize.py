"""Finalize: put a volume's book together from its entries, prove it, publish it, write the receipt, clean up.

Two at once do no harm: what is published is published under the version of the book that was looked at first, and
everything after that may be done twice.
"""

from __future__ import annotations

import logging
import zlib
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app import inventory as inventories
from pagebind.app.inventory import ShelfView, load_manifest, look_at_shelf
from pagebind.core import comicinfo, crc32c, entry, keys, names, receipt, zip_layout
from pagebind.core.entry import EntryFacts
from pagebind.core.keys import ReceiptMark
from pagebind.core.planner import Shelf
from pagebind.core.receipt import BoundPage, Receipt
from pagebind.errors import ConditionFailed, KeyMissing, PartDamaged, StoreUnavailable
from pagebind.ports.store import ABSENT, Condition, ObjectInfo, Part, Store, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark
    from pagebind.core.manifest import Manifest, Page
    from pagebind.ports.dispatch import FinalizeTask

log = logging.getLogger(__name__)

_ROUNDS = 8
"""So often is everything looked at anew when the world moves meanwhile; more means that something is wrong."""


class Outcome(StrEnum):
    """How a finalize ended."""

    BOUND = "bound"
    NOTHING = "nothing"
    INCOMPLETE = "incomplete"
    HELD = "held"


class Finalized(NamedTuple):
    """What a finalize did.

    Attributes:
        outcome: how it ended.
        key: the book's, once it is known.
        pages: in the book.
        refetch: pages whose entries were damaged and are gone now: their tasks are to be made again.
        missing: pages that are not staged yet.
    """

    outcome: Outcome
    key: str = ""
    pages: int = 0
    refetch: tuple[Page, ...] = ()
    missing: int = 0


class _Staged(NamedTuple):
    """A page with its entry, checked against what fetch recorded."""

    page: Page
    facts: EntryFacts
    part: StoredPart


class Finalize:
    """The use case.

    Args:
        work: where the entries are.
        library: where the books go.
        keep_pages: leave the entries in work after the book is bound.
    """

    def __init__(self, work: Store, library: Store, *, keep_pages: bool) -> None:
        self._work = work
        self._library = library
        self._keep_pages = keep_pages

    def __call__(self, task: FinalizeTask) -> Finalized:
        """Bind the volume's newest complete revision, if it is newer than the book.

        Raises:
            StoreError: nothing half-done is visible; call again.
        """
        for _ in range(_ROUNDS):
            try:
                return self._once(task)
            except ConditionFailed:
                continue  # the book has another version by now: look again
            except KeyMissing as error:
                log.warning("held: %s", error.message, extra={"volume": task.volume})
                return Finalized(Outcome.HELD)
        raise StoreUnavailable(
            "the book under this key keeps changing while it is being written",
            fix="see who else writes there",
            path=task.volume,
        )

    def _once(self, task: FinalizeTask) -> Finalized:
        history = inventories.take_one(self._work, task.volume)
        head = history.head
        if head is None:
            return Finalized(Outcome.NOTHING)
        manifest = load_manifest(self._work, task.volume, head)
        book = self._library.head(manifest.key)
        view = look_at_shelf(task.volume, history, book, lambda _: book)
        if view.shelf not in (Shelf.FREE, Shelf.OURS):
            log.info("held", extra={"volume": task.volume, "reason": view.shelf.value})
            return Finalized(Outcome.HELD, manifest.key)
        chosen = self._choose(history, view, manifest)
        if chosen is None:
            return self._settle_bound(manifest, history, view, book)
        staged, missing, damaged = self._entries(chosen)
        if missing:
            return Finalized(Outcome.INCOMPLETE, chosen.key, missing=missing)
        if damaged:
            return self._discard(chosen, damaged)
        return self._bind(chosen, staged, book)

    def _choose(self, history: History, view: ShelfView, newest: Manifest) -> Manifest | None:
        """The newest sent manifest that is newer than the book, complete if there is a complete one.

        The book is as new as the newest listing that it equals: nothing seen before that is published over it.
        """
        book_seq = max([view.bound_seq or 0, *_seqs_of(history, view.bound_revision)])
        first: Manifest | None = None
        for mark in _sent_manifests(history):
            if mark.seq <= book_seq:
                break
            manifest = newest if mark.seq == newest.seq else load_manifest(self._work, newest.volume, mark)
            if all(page.id in history.staged for page in manifest.pages):
                return manifest
            first = first or manifest
        return first

    def _entries(self, manifest: Manifest) -> tuple[list[_Staged], int, list[tuple[Page, ObjectInfo]]]:
        """The pages whose entries hold what fetch recorded of them, how many have none, and those that are damaged.

        Each entry is boiled down as it is listed, so that memory never holds the metadata of all.
        """
        absent = {page.id: page for page in manifest.pages}
        staged: dict[str, _Staged] = {}
        damaged: list[tuple[Page, ObjectInfo]] = []
        for info in self._work.list(f"{keys.STAGING}{manifest.volume}/", metadata=True):
            page_id = keys.page_of(info.key)
            page = absent.pop(page_id, None) if page_id is not None else None
            if page_id is None or page is None:
                continue
            facts = entry.parse(info.metadata)
            if facts is None or facts.page != page_id or not _fits(page, facts, info):
                damaged.append((page, info))
            else:
                staged[page_id] = _Staged(page, facts, StoredPart(info.key, info.version, info.size, facts.crc32c))
        return [staged[page.id] for page in manifest.pages if page.id in staged], len(absent), damaged

    def _discard(self, manifest: Manifest, damaged: Sequence[tuple[Page, ObjectInfo]]) -> Finalized:
        for page, info in damaged:
            log.warning("entry damaged", extra={"volume": manifest.volume, "page": page.name})
            with suppress(ConditionFailed):  # somebody fetched it anew meanwhile
                self._work.delete(info.key, version=info.version)
        return Finalized(Outcome.INCOMPLETE, manifest.key, refetch=tuple(page for page, _ in damaged))

    def _bind(self, manifest: Manifest, staged: Sequence[_Staged], book: ObjectInfo | None) -> Finalized:
        parts, whole, size = _layout(manifest, staged)
        condition: Condition = Version(book.version) if book else ABSENT
        try:
            published = self._library.assemble(
                manifest.key,
                parts,
                crc32c=whole,
                condition=condition,
                metadata={
                    "volume": manifest.volume,
                    "seq": str(manifest.seq),
                    "revision": manifest.revision,
                    "crc32c": f"{whole:08x}",
                },
                content_type=keys.BOOK_TYPE,
            )
        except PartDamaged as error:
            return self._discard_part(manifest, staged, error)
        self._write_receipt(manifest, staged, published.version, size, whole)
        self._clear(manifest)
        log.info(
            "bound", extra={"volume": manifest.volume, "seq": manifest.seq, "key": manifest.key, "pages": len(staged)}
        )
        return Finalized(Outcome.BOUND, manifest.key, len(staged))

    def _discard_part(self, manifest: Manifest, staged: Sequence[_Staged], error: PartDamaged) -> Finalized:
        bad = [one for one in staged if one.part.key == error.path]
        if not bad:
            raise error
        return self._discard(
            manifest, [(one.page, ObjectInfo(one.part.key, one.part.size, one.part.version, 0.0)) for one in bad]
        )

    def _write_receipt(
        self, manifest: Manifest, staged: Sequence[_Staged], version: str, size: int, whole: int
    ) -> None:
        document = Receipt(
            manifest.volume,
            manifest.path,
            manifest.key,
            manifest.seq,
            manifest.revision,
            version,
            size,
            whole,
            tuple(_bound_pages(staged)),
        )
        with suppress(ConditionFailed):  # another finalize of the same book wrote it
            self._work.put(
                keys.receipt_key(manifest.volume, ReceiptMark(manifest.seq, keys.version_digest(version))),
                receipt.dump(document),
                condition=ABSENT,
            )

    def _settle_bound(self, newest: Manifest, history: History, view: ShelfView, book: ObjectInfo | None) -> Finalized:
        """Nothing to bind: write the receipt that a crash left out, and clear what the book has used."""
        mark = history.of_seq(view.bound_seq) if view.bound_seq is not None else None
        if mark is None or book is None:
            return Finalized(Outcome.NOTHING, newest.key)
        bound = newest if mark.seq == newest.seq else load_manifest(self._work, newest.volume, mark)
        try:
            if not view.receipted:
                self._recover_receipt(bound, book)
        except ValueError:
            return self._bind_again(bound, book)
        self._clear(bound)
        return Finalized(Outcome.NOTHING, newest.key)

    def _bind_again(self, bound: Manifest, book: ObjectInfo) -> Finalized:
        """The book was damaged before its receipt was written; its entries still stand, if nobody took them."""
        staged, missing, damaged = self._entries(bound)
        if missing or damaged:
            log.warning("held: the book is damaged", extra={"volume": bound.volume, "key": bound.key})
            return Finalized(Outcome.HELD, bound.key)
        return self._bind(bound, staged, book)

    def _recover_receipt(self, bound: Manifest, book: ObjectInfo) -> None:
        """The crash came between book and receipt. The book says itself which revision it is, and its checksum.

        Raises:
            ValueError: its local headers are not those that were written.
        """
        whole = int((book.metadata or {}).get("crc32c", "0"), 16)
        self._write_receipt(bound, list(self._read_back(bound, book)), book.version, book.size, whole)

    def _read_back(self, bound: Manifest, book: ObjectInfo) -> Iterator[_Staged]:
        """The facts of a book's pages from the book itself: its local headers, one after another."""
        offset = 0
        for page in bound.pages:
            room = zip_layout.entry_size(zip_layout.Entry(page.book_name, 0, page.size)) - page.size
            header = b"".join(self._library.stream(book.key, start=offset, length=room))
            _, crc, size, length = zip_layout.parse_local_header(header)
            yield _Staged(page, EntryFacts(page.id, crc, size, 0), StoredPart("", "", length + size, 0))
            offset += length + size

    def _clear(self, bound: Manifest) -> None:
        """Empty the volume's staging, unless a newer listing may still want some of it."""
        head = inventories.take_one(self._work, bound.volume).head
        if self._keep_pages or head is None or head.revision != bound.revision:
            return
        for info in self._work.list(f"{keys.STAGING}{bound.volume}/"):
            self._work.delete(info.key)


def _sent_manifests(history: History) -> list[ManifestMark]:
    """Sent manifests, the newest first."""
    seqs = sorted({mark.seq for mark in history.sent}, reverse=True)
    marks = (history.of_seq(seq) for seq in seqs)
    return [mark for mark in marks if mark is not None and history.epochs(mark)]


def _seqs_of(history: History, revision: str | None) -> Iterator[int]:
    return (mark.seq for mark in history.manifests if history.revision_of(mark.seq) == revision)


def _fits(page: Page, facts: EntryFacts, info: ObjectInfo) -> bool:
    expected = zip_layout.entry_size(zip_layout.Entry(page.book_name, facts.crc32, facts.size))
    return info.size == expected and info.crc32c in (None, facts.crc32c)


def _layout(manifest: Manifest, staged: Sequence[_Staged]) -> tuple[list[Part], int, int]:
    """The book as parts, with its CRC-32C and size: the entries, then ComicInfo and the central directory in one."""
    info = comicinfo.comicinfo(
        manifest.about,
        (
            comicinfo.PageFacts(one.facts.size, one.facts.width, one.facts.height, names.is_cover(one.page.name))
            for one in staged
        ),
    )
    tail = _tail(staged, info)
    entries = crc32c.combine_all((one.facts.crc32c, one.part.size) for one in staged)
    whole = crc32c.combine(entries, _crc32c(tail), len(tail))
    size = sum(one.part.size for one in staged) + len(tail)
    return [*(one.part for one in staged), tail], whole, size


def _tail(staged: Sequence[_Staged], info: bytes) -> bytes:
    entries = [zip_layout.Entry(one.page.book_name, one.facts.crc32, one.facts.size) for one in staged]
    last = zip_layout.Entry(comicinfo.NAME, zlib.crc32(info), len(info))
    header = zip_layout.local_header(last.name, last.crc32, last.size)
    return b"".join([header, info, zip_layout.central_directory([*entries, last])])


def _crc32c(content: bytes) -> int:
    import google_crc32c

    value: int = google_crc32c.value(content)
    return value


def _bound_pages(staged: Sequence[_Staged]) -> Iterator[BoundPage]:
    offset = 0
    for one in staged:
        offset += one.part.size
        yield BoundPage(one.page.id, one.page.book_name, offset - one.facts.size, one.facts.size, one.facts.crc32)
