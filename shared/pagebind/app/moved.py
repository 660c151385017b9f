"""Volumes that moved on the server: the same pages under a new path, the old one gone. Their books stay ours."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from pagebind.core import keys, receipt
from pagebind.core.keys import ReceiptMark
from pagebind.core.planner import Seen
from pagebind.errors import ConditionFailed, StoreError
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pagebind.app.inventory import Inventory
    from pagebind.app.recorder import Recorder
    from pagebind.app.sighting import Sighting
    from pagebind.core.history import History

log = logging.getLogger(__name__)


def recognise(sightings: Mapping[str, Sighting], recorder: Recorder, work: Store) -> None:
    """Hand the books of volumes that are gone on to the new volumes that have exactly their pages.

    Call it after a complete walk. The book keeps its key; `bind --rename` moves it. Nothing is downloaded: the new
    volume gets a manifest with the old key, and a receipt for the book that stands there.
    """
    gone = [s for s in sightings.values() if s.seen is Seen.GONE and recorder.inventory.history(s.volume).receipts]
    if not gone:
        return
    listed = [s for s in sightings.values() if s.seen is Seen.LISTED]
    _tell_where(gone, listed, recorder.inventory)
    left = [s for s in gone if s.seen is Seen.GONE and _has_book(s, recorder.inventory)]
    for sighting in listed:
        if recorder.inventory.history(sighting.volume).receipts:
            continue
        former = _same_pages(sighting, left, recorder)
        if former is not None and _take_over(sighting, former, recorder, work):
            left.remove(former)
            former.seen, former.why = Seen.MOVED, f"moved to {sighting.path}"


def _tell_where(gone: Iterable[Sighting], listed: Iterable[Sighting], inventory: Inventory) -> None:
    """A volume whose book was handed on in an earlier run has moved."""
    owners = {
        book_of(history, mark): sighting.path
        for sighting in listed
        for history in (inventory.history(sighting.volume),)
        for mark in history.receipts
    }
    for sighting in gone:
        history = inventory.history(sighting.volume)
        path = owners.get(book_of(history, history.receipt)) if history.receipt else None
        if path is not None:
            sighting.seen, sighting.why = Seen.MOVED, f"moved to {path}"


def book_of(history: History, mark: ReceiptMark) -> tuple[str, str]:
    """Which book a volume's receipt is about: several under different keys may have one version, if it is a time."""
    manifest = history.of_seq(mark.seq)
    return (mark.version_digest, manifest.key_digest if manifest else "")


def _has_book(sighting: Sighting, inventory: Inventory) -> bool:
    """Whether the newest manifest's book stands in the library as it was made."""
    history = inventory.history(sighting.volume)
    book = inventory.book(keys.library_digest(sighting.key), history)
    mark = history.receipt_for(book.version) if book else None
    return mark is not None and history.revision_of(mark.seq) == sighting.revision and not history.standing.forgotten


def _same_pages(sighting: Sighting, gone: Iterable[Sighting], recorder: Recorder) -> Sighting | None:
    """Of several equal ones the one that is called the same, else the first by path."""
    own_name = sighting.path.rpartition("/")[2]
    alike = [
        former
        for former in gone
        if former.revision == sighting.revision
        or (former.size == sighting.size and _is_same_archive(sighting, former, recorder))
    ]
    return min(alike, key=lambda former: (former.path.rpartition("/")[2] != own_name, former.path), default=None)


def _is_same_archive(sighting: Sighting, former: Sighting, recorder: Recorder) -> bool:
    """Whether both are archives of one size, and one hash or time: they may be called otherwise."""

    def marks(one: Sighting) -> list[str]:
        head = recorder.inventory.history(one.volume).head
        pages = recorder.pages(one.volume, head) if head else ()
        return [page.mark for page in pages if page.kind == "archive"]

    return bool(marks(former)) and marks(sighting) == marks(former)


def _take_over(sighting: Sighting, former: Sighting, recorder: Recorder, work: Store) -> bool:
    if not recorder.write:
        sighting.moved_from = former.path
        return True
    old = recorder.inventory.history(former.volume).receipt
    head = recorder.inventory.history(sighting.volume).head
    if old is None or head is None:
        return False
    try:
        bound = receipt.load(work.get(keys.receipt_key(former.volume, old)))
    except (ValueError, StoreError):
        return False
    sighting.key = former.key
    if head.key_digest != keys.library_digest(former.key):
        recorder.append(sighting, recorder.pages(sighting.volume, head))
        head = recorder.inventory.history(sighting.volume).head or head
    mark = ReceiptMark(head.seq, old.version_digest)
    bound = bound._replace(volume=sighting.volume, path=sighting.path, seq=head.seq)
    with suppress(ConditionFailed):  # another poll wrote it
        work.put(keys.receipt_key(sighting.volume, mark), receipt.dump(bound), condition=ABSENT)
    recorder.history_to_extend(sighting.volume).receipts.append(mark._replace(created=old.created))
    log.info("moved", extra={"volume": sighting.volume, "from": former.path, "key": former.key})
    return True
