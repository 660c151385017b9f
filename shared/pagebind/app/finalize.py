"""Finalize: put a volume's book together from its entries, prove it, publish it, write the receipt, clean up.

Two at once do no harm: what is published is published under the version of the book that was looked at first, and
everything after that may be done twice.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app import inventory as inventories
from pagebind.app.book import Content, put_together
from pagebind.app.inventory import is_waived, load_manifest, look_at_shelf, waived_contents
from pagebind.app.staging import object_of, take_staging
from pagebind.core import keys, layout, receipt
from pagebind.core.keys import FailureMark, ReceiptMark
from pagebind.core.receipt import Receipt
from pagebind.core.shelf import Shelf, ShelfView, is_condemned, may_be_adopted, may_go_over
from pagebind.errors import ConditionFailed, KeyMissing, PartDamaged, StoreUnavailable
from pagebind.ports.store import ABSENT, Condition, ObjectInfo, Store, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pagebind.app.book import Staged
    from pagebind.app.staging import Staging
    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark, SentMark
    from pagebind.core.manifest import Manifest, Page
    from pagebind.core.reuse import Content as FileContent
    from pagebind.ports.dispatch import FinalizeTask
    from pagebind.ports.store import StoredPart

log = logging.getLogger(__name__)

_LISTED = (keys.MANIFESTS, keys.SENT, keys.DECISIONS, keys.DONE)
"""With staging the five listings of a finalize: on object stores each costs as much as a write."""

_ROUNDS = 8
"""So often is everything looked at anew when the world moves meanwhile; more means that something is wrong."""


class Outcome(StrEnum):
    """How a finalize ended."""

    BOUND = "bound"
    ADOPTED = "adopted"
    NOTHING = "nothing"
    INCOMPLETE = "incomplete"
    HELD = "held"


class Finalized(NamedTuple):
    """What a finalize did.

    Attributes:
        outcome: how it ended.
        key: the book's, once it is known.
        pages: in the book.
        refetch: pages whose entries were damaged, or vanished under way: their tasks are to be made again.
        missing: pages that are not staged yet.
        pending: those of them that have not failed in the newest epoch either: they may be on their way.
        listed: pages of the revision that lacks some.
        sent: its newest epoch, where pages are pending.
    """

    outcome: Outcome
    key: str = ""
    pages: int = 0
    refetch: tuple[Page, ...] = ()
    missing: int = 0
    pending: int = 0
    listed: int = 0
    sent: SentMark | None = None


class _EntryVanished(Exception):
    """An entry that was listed has gone, or been replaced: another finalize may have bound the book."""

    def __init__(self, page: str) -> None:
        super().__init__(page)
        self.page = page


class _World(NamedTuple):
    """A volume as one look found it.

    ``book`` is what stands under its key, ``former`` its own book under the key that it had before; ``begun``: when the
    look began, by `time.perf_counter`.
    """

    history: History
    staging: Staging
    newest: Manifest
    book: ObjectInfo | None
    former: ObjectInfo | None
    view: ShelfView
    waived: frozenset[FileContent]
    begun: float


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
        vanished: set[str] = set()
        for _ in range(_ROUNDS):
            try:
                return self._once(task, vanished)
            except _EntryVanished as error:
                vanished.add(error.page)
            except ConditionFailed:
                continue  # the book has another version by now: look again
            except KeyMissing as error:
                log.warning("not bound", extra={"volume": task.volume, "reason": error.message})
                return Finalized(Outcome.HELD)
        raise StoreUnavailable(
            "the book under this key keeps changing while it is being written",
            fix="see who else writes there",
            path=task.volume,
        )

    def _once(self, task: FinalizeTask, vanished: set[str]) -> Finalized:
        world = self._look(task)
        if world is None:
            return Finalized(Outcome.NOTHING)
        aside = self._set_aside(world, task)
        if aside is not None:
            return aside
        chosen = self._choose(world, without_info=task.without_info)
        if chosen is None:
            return self._settle_bound(world)
        return self._complete(world, chosen, task, vanished)

    def _complete(self, world: _World, chosen: Manifest, task: FinalizeTask, vanished: set[str]) -> Finalized:
        """Bind what was chosen, if every entry of it is there and good."""
        staged, missing, damaged = world.staging.pick(chosen.pages)
        missing = _wanted(missing, world.waived, without_info=task.without_info)
        if missing:
            lost = tuple(page for page in missing if page.id in vanished)
            pending, sent = self._pending(world, chosen, task, missing)
            return Finalized(
                Outcome.INCOMPLETE,
                chosen.key,
                refetch=lost,
                missing=len(missing),
                pending=pending,
                listed=len(chosen.pages),
                sent=sent,
            )
        if damaged:
            return self._discard(chosen, damaged)
        if not any(one.page.kind != "info" for one in staged):
            log.warning("held", extra={"volume": chosen.volume, "key": chosen.key, "reason": "every page is waived"})
            return Finalized(Outcome.HELD, chosen.key)  # a book needs a page
        return self._bind(world, chosen, staged)

    def _pending(
        self, world: _World, chosen: Manifest, task: FinalizeTask, missing: Sequence[Page]
    ) -> tuple[int, SentMark | None]:
        """How many of the missing pages this task's epoch may still bring; none, if there is a newer one."""
        mark = world.history.of_seq(chosen.seq)
        newest = world.history.newest_epoch(mark) if mark is not None else None
        if newest is None or task.seq != chosen.seq or task.epoch < newest.epoch:
            return 0, None
        failed = inventories.take_one(self._work, chosen.volume, (keys.FAILURES,)).failed_in(newest)
        return sum(page.id not in failed for page in missing), newest

    def _set_aside(self, world: _World, task: FinalizeTask) -> Finalized | None:
        """What happens to a volume that is not to be bound now; None: it is."""
        history, view = world.history, world.view
        if history.standing.forgotten:
            return self._forget(world)
        if may_be_adopted(history, view, task.existing):
            return self._adopt(world, task)
        if view.shelf in (Shelf.FREE, Shelf.OURS) or may_go_over(history, view, task.existing):
            return None
        log.warning("held", extra={"volume": task.volume, "key": world.newest.key, "code": view.shelf.value})
        return Finalized(Outcome.HELD, world.newest.key)

    def _look(self, task: FinalizeTask) -> _World | None:
        volume, begun = task.volume, time.perf_counter()
        # First: whatever is staged by now, the manifest that wants it is listed too.
        staging = take_staging(self._work, volume)
        refusals = (keys.FAILURES,) if task.existing == "adopt" else ()
        history = inventories.take_one(self._work, volume, (*_LISTED, *refusals))
        head = history.head
        if head is None:
            return None
        newest = load_manifest(self._work, volume, head)
        book = self._library.head(newest.key)
        former = self._former_book(volume, history, newest)
        view = look_at_shelf(volume, history, book, lambda _: book, elsewhere=former is not None)
        waived = waived_contents(self._work, volume, history)
        return _World(history, staging, newest, book, former, view, waived, begun)

    def _former_book(self, volume: str, history: History, newest: Manifest) -> ObjectInfo | None:
        """The volume's book under another key than that of its newest manifest, as a receipt names it."""
        if len({mark.key_digest for mark in history.manifests}) <= 1:
            return None
        for mark in sorted(history.proofs, reverse=True):
            with suppress(KeyMissing, ValueError):
                bound = receipt.load(self._work.get(keys.receipt_key(volume, mark)))
                standing = self._library.head(bound.key) if bound.key != newest.key else None
                if standing is not None and standing.version == bound.version:
                    return standing
        return None

    def _choose(self, world: _World, *, without_info: bool) -> Manifest | None:
        """The newest sent manifest that is newer than the book, complete if there is a complete one."""
        history, newest = world.history, world.newest
        book_seq = _seq_of_book(history, world.view)
        first: Manifest | None = None
        for mark in _sent_manifests(history):
            if mark.seq <= book_seq:
                break
            if mark.key_digest != keys.library_digest(newest.key):
                continue
            manifest = newest if mark.seq == newest.seq else load_manifest(self._work, newest.volume, mark)
            absent = [page for page in manifest.pages if page.id not in world.staging.entries]
            if not _wanted(absent, world.waived, without_info=without_info):
                return manifest
            first = first or manifest
        return first

    def _discard(self, manifest: Manifest, damaged: Sequence[tuple[Page, ObjectInfo]]) -> Finalized:
        for page, info in damaged:
            path = layout.join(manifest.path, page.name)
            log.warning("entry damaged", extra={"volume": manifest.volume, "seq": manifest.seq, "page": path})
            with suppress(ConditionFailed):  # somebody fetched it anew meanwhile
                self._work.delete(info.key, version=info.version)
        return Finalized(Outcome.INCOMPLETE, manifest.key, refetch=tuple(page for page, _ in damaged))

    def _bind(self, world: _World, manifest: Manifest, staged: Sequence[Staged]) -> Finalized:
        decision = world.history.standing.newest
        condition: Condition = Version(world.book.version) if world.book else ABSENT
        try:
            book = put_together(manifest, staged, self._work)
            published = self._library.assemble(
                manifest.key,
                book.parts,
                crc32c=book.content.crc32c,
                condition=condition,
                metadata={
                    "volume": manifest.volume,
                    "seq": str(manifest.seq),
                    "revision": manifest.revision,
                    "decision": str(decision),
                    "size": str(book.content.size),
                    "crc32c": f"{book.content.crc32c:08x}",
                },
                content_type=book.content_type,
            )
        except PartDamaged as error:
            return self._discard_part(manifest, staged, error)
        self._write_receipt(manifest, book.content, published.version, decision)
        self._library.abandon(manifest.key)
        self._clear(manifest, world)
        log.info(
            "bound",
            extra={
                "volume": manifest.volume,
                "seq": manifest.seq,
                "key": manifest.key,
                "pages": book.pages,
                "bytes": book.content.size,
                "seconds": round(time.perf_counter() - world.begun, 3),
                "of_another_type": sum(bool(one.facts.kind) for one in staged),
            },
        )
        return Finalized(Outcome.BOUND, manifest.key, book.pages)

    def _discard_part(self, manifest: Manifest, staged: Sequence[Staged], error: PartDamaged) -> Finalized:
        """Make sure that a damaged entry is fetched anew; one that has gone meanwhile is a reason to look again."""
        bad = next((one for one in staged if one.part.key == error.path), None)
        if bad is None:
            raise error
        standing = self._work.head(bad.part.key)
        if standing is None or standing.version != bad.part.version:
            raise _EntryVanished(bad.page.id) from error
        others = (one for one in staged if one is not bad and not self._is_sound(one.part))  # seldom is it one alone
        return self._discard(manifest, [(one.page, object_of(one.part)) for one in (bad, *others)])

    def _is_sound(self, part: StoredPart) -> bool:
        """Whether an entry holds what was recorded of it."""
        try:
            return self._crc32c_of(self._work, part.key) == part.crc32c
        except KeyMissing:
            return True  # the next look finds it missing

    @staticmethod
    def _crc32c_of(store: Store, key: str) -> int:
        """Read all of an object."""
        import google_crc32c

        crc32c = 0
        for chunk in store.stream(key):
            crc32c = google_crc32c.extend(crc32c, chunk)
        return crc32c

    def _write_receipt(self, manifest: Manifest, content: Content, version: str, decision: int) -> None:
        document = Receipt(
            manifest.volume,
            manifest.path,
            manifest.key,
            manifest.seq,
            manifest.revision,
            version,
            content.size,
            content.crc32c,
            tuple(content.rows),
            content.kind,
        )
        mark = ReceiptMark(manifest.seq, keys.version_digest(version), decision)
        with suppress(ConditionFailed):  # another finalize of the same book wrote it
            self._work.put(keys.receipt_key(manifest.volume, mark), receipt.dump(document), condition=ABSENT)

    def _settle_bound(self, world: _World) -> Finalized:
        """Nothing to bind: write the receipt that a crash left out, and clear what the book has used."""
        history, view, newest, book = world.history, world.view, world.newest, world.book
        mark = next((m for m in history.manifests if (m.seq, m.revision) == (view.seq, view.revision)), None)
        if mark is None or book is None:
            return Finalized(Outcome.NOTHING, newest.key)
        bound = newest if mark.seq == newest.seq else load_manifest(self._work, newest.volume, mark)
        if not view.receipted:
            content = self._content_of(world, bound, book)
            if content is None:
                return self._bind_again(world, bound)
            self._write_receipt(bound, content, book.version, view.decision)
        self._library.abandon(bound.key)
        self._clear(bound, world)
        return Finalized(Outcome.NOTHING, newest.key)

    def _content_of(self, world: _World, bound: Manifest, book: ObjectInfo) -> Content | None:
        """What the receipt of a book is to say; None: the book is damaged.

        Where the store itself tells the book's CRC-32C, its entries prove it, else all of it is read back.
        """
        whole = int((book.metadata or {}).get("crc32c", "0"), 16)
        if book.crc32c is not None and (content := self._content_of_entries(world, bound, book)) is not None:
            return content
        from pagebind.app.read_back import rows_in

        if self._crc32c_of(self._library, book.key) != whole:
            return None
        try:
            rows = rows_in(self._library, book, bound)
        except ValueError:
            return None
        return Content(iter(rows), whole, book.size, "archive" if bound.pages[0].kind == "archive" else "bound")

    def _content_of_entries(self, world: _World, bound: Manifest, book: ObjectInfo) -> Content | None:
        """The same by the entries that stand, if the book was made of them."""
        staged, missing, damaged = world.staging.pick(bound.pages)
        if not staged or damaged or _wanted(missing, world.waived):
            return None
        try:
            content = put_together(bound, staged, self._work).content
        except PartDamaged:
            return None
        return content if (content.size, content.crc32c) == (book.size, book.crc32c) else None

    def _bind_again(self, world: _World, bound: Manifest) -> Finalized:
        """The book was damaged before its receipt was written; its entries still stand, if nobody took them."""
        staged, missing, damaged = world.staging.pick(bound.pages)
        if damaged or _wanted(missing, world.waived):
            log.warning("book damaged", extra={"volume": bound.volume, "key": bound.key})
            return Finalized(Outcome.HELD, bound.key)
        return self._bind(world, bound, staged)

    def _clear(self, bound: Manifest, world: _World) -> None:
        """Empty the volume's staging, unless a newer listing may still want some of it; remove a book that moved."""
        former, history = world.former, world.history
        made_from = history.receipt_for(former.version) if former else None
        renamed = history.standing.renamed == keys.library_digest(bound.key)
        if former is not None and made_from is not None and renamed and made_from.seq <= bound.seq:
            with suppress(ConditionFailed):  # somebody changed it meanwhile: then it is theirs
                self._library.delete(former.key, version=former.version)
        head = history.head
        if self._keep_pages or head is None or head.revision != bound.revision:
            return
        self._work.abandon(f"{keys.STAGING}{bound.volume}/")
        self._work.delete_all(world.staging.objects())

    def _forget(self, world: _World) -> Finalized:
        """Leave the volume alone, and delete its book if that was decided."""
        book, view = world.book, world.view
        if book is not None and is_condemned(world.history, view):
            self._library.delete(book.key, version=book.version)
            log.info("deleted", extra={"volume": world.newest.volume, "key": book.key})
        return Finalized(Outcome.NOTHING, world.newest.key)

    def _adopt(self, world: _World, task: FinalizeTask) -> Finalized:
        """Make a book that another tool made ours, if it holds exactly the listed pages; else say why not."""
        from pagebind.app.adopt import Adopted, adopt

        newest, view = world.newest, world.view
        if world.book is None or newest.seq != task.seq:  # a newer listing has to settle first
            return Finalized(Outcome.NOTHING, newest.key)
        found = adopt(self._library, world.book, newest, hash_check=task.hash_check)
        if isinstance(found, Adopted):
            content = Content(iter(found.pages), found.crc32c, found.size, "adopted")
            self._write_receipt(newest, content, world.book.version, world.history.standing.newest)
            log.info("adopted", extra={"volume": newest.volume, "key": newest.key, "pages": len(found.pages)})
            return Finalized(Outcome.ADOPTED, newest.key, len(found.pages))
        log.warning("not adopted", extra={"volume": newest.volume, "key": newest.key, "reason": found.reason})
        mark = FailureMark(keys.adoption(view.version), newest.seq, 0)
        document = {"schema": 1, "path": newest.path, "code": "foreign", "message": found.reason, "fix": ""}
        key = keys.failure_key(newest.volume, mark)
        self._work.delete(key)  # one that `retry` has voided
        self._work.put(key, json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return Finalized(Outcome.HELD, newest.key)


def _wanted(missing: Iterable[Page], waived: frozenset[FileContent], *, without_info: bool = False) -> list[Page]:
    """Those of the missing files that the book cannot go without."""
    return [page for page in missing if not (is_waived(page, waived) or (without_info and page.kind == "info"))]


def _sent_manifests(history: History) -> list[ManifestMark]:
    """Sent manifests, the newest first."""
    seqs = sorted({mark.seq for mark in history.sent}, reverse=True)
    marks = (history.of_seq(seq) for seq in seqs)
    return [mark for mark in marks if mark is not None and history.epochs(mark)]


def _seq_of_book(history: History, view: ShelfView) -> int:
    """The seq that a manifest must be above to become a book.

    The book is as new as the newest listing that it equals: nothing seen before that is published over it. It is out of
    date, too, if a decision since changed what it should hold. Where no book of ours stands, the newest one that was
    made may be made again, and none older.
    """
    if view.shelf is not Shelf.OURS:
        return history.receipt.seq - 1 if history.receipt else 0
    seq = max([view.seq or 0, *_seqs_of(history, view.revision)])
    return seq - 1 if view.decision < history.standing.shape else seq


def _seqs_of(history: History, revision: str | None) -> Iterator[int]:
    return (mark.seq for mark in history.manifests if history.revision_of(mark.seq) == revision)
