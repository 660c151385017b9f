"""Volumes that moved on the server: the same pages under a new path, the old one gone. Their books stay ours.

The old volume gets a mark that its book was handed on: from then on its receipts prove nothing, and its path may be
used by something else.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from pagebind.core import decisions, keys, receipt
from pagebind.core.decisions import Decision, Kind
from pagebind.core.keys import DecisionMark, ReceiptMark
from pagebind.core.planner import Seen
from pagebind.errors import ConditionFailed, StoreError
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pagebind.app.recorder import Recorder
    from pagebind.app.sighting import Sighting
    from pagebind.core.history import History
    from pagebind.core.receipt import Receipt

log = logging.getLogger(__name__)


def recognise(sightings: Mapping[str, Sighting], recorder: Recorder, work: Store) -> None:
    """Hand the books of volumes that are gone on to the new volumes that have exactly their pages.

    Call it when everything has been walked. The book keeps its key; `bind --rename` moves it. Nothing is downloaded:
    the new volume gets a manifest with the old key, and a receipt for the book that stands there. What was forgotten
    stays so.
    """
    handing = _Handing(recorder, work)
    gone = [s for s in sightings.values() if s.seen in (Seen.GONE, Seen.UNSUBSCRIBED) and handing.has_something(s)]
    if not gone:
        return
    listed = [s for s in sightings.values() if s.seen is Seen.LISTED]
    gone = handing.finish(gone, listed)
    for sighting in listed:
        former = handing.same_pages(sighting, gone) if handing.is_new(sighting) else None
        if former is not None and handing.hand_on(sighting, former):
            gone.remove(former)


class _Handing:
    def __init__(self, recorder: Recorder, work: Store) -> None:
        self._recorder = recorder
        self._work = work

    def _history(self, sighting: Sighting) -> History:
        return self._recorder.inventory.history(sighting.volume)

    def finish(self, gone: Iterable[Sighting], listed: Iterable[Sighting]) -> list[Sighting]:
        """Mark those whose book was handed on when something died; give those that are left."""
        owners = {self._book(s): s for s in listed if self._history(s).proofs}
        left = []
        for former in gone:
            owner = owners.get(self._book(former)) if self._history(former).proofs else None
            if owner is None:
                left.append(former)
            else:
                self._decide(former, Kind.MOVED, owner.volume)
        return left

    def _book(self, sighting: Sighting) -> tuple[str, str]:
        """Which book is its newest: several under different keys may have one version, if it is a time."""
        newest = self._history(sighting).receipt
        return (newest.version_digest if newest else "", keys.library_digest(sighting.key))

    def is_new(self, sighting: Sighting) -> bool:
        """Whether it has no book of its own and the operator has decided nothing about it since it was here."""
        history = self._history(sighting)
        since = history.standing.handed_on
        ours = (Kind.MOVED, Kind.WITHOUT_MISSING)  # a waiver may have been carried over when something died
        return not history.proofs and all(mark.kind in ours for mark in history.decisions if mark.number >= since)

    def has_something(self, sighting: Sighting) -> bool:
        """Whether its book stands in the library as it was made from the newest listing, or it was forgotten."""
        history = self._history(sighting)
        if history.standing.handed_on and not history.proofs:
            return False
        if history.standing.forgotten:
            return True
        book = self._recorder.inventory.book(keys.library_digest(sighting.key), history)
        mark = history.receipt_for(book.version) if book else None
        return mark is not None and history.revision_of(mark.seq) == sighting.revision

    def same_pages(self, sighting: Sighting, gone: Iterable[Sighting]) -> Sighting | None:
        """Of several equal ones the one that is called the same, else the first by path."""
        own_name = sighting.path.rpartition("/")[2]
        alike = [
            former
            for former in gone
            if former.revision == sighting.revision
            or (former.size == sighting.size and self._is_same_archive(sighting, former))
        ]
        return min(alike, key=lambda former: (former.path.rpartition("/")[2] != own_name, former.path), default=None)

    def _is_same_archive(self, sighting: Sighting, former: Sighting) -> bool:
        """Whether both are archives of one size, and one hash or time: they may be called otherwise."""
        head = self._history(former).head
        pages = self._recorder.pages(former.volume, head) if head and sighting.archive else ()
        return any(page.kind == "archive" and page.mark == sighting.archive for page in pages)

    def hand_on(self, sighting: Sighting, former: Sighting) -> bool:
        """Give the former volume's book, or its being forgotten, to the new one; False if it cannot be read."""
        old = self._history(former)
        if old.standing.forgotten:
            self._decide(sighting, Kind.FORGET)
            self._decide(former, Kind.MOVED, sighting.volume)
            return True
        newest = old.receipt
        if newest is None:
            return False
        if not self._recorder.write:
            sighting.moved_from, sighting.key = former.path, former.key
            self._decide(former, Kind.MOVED, sighting.volume)
            return True
        try:
            bound = receipt.load(self._work.get(keys.receipt_key(former.volume, newest)))
        except (ValueError, StoreError):
            return False
        self._take_key(sighting, former)
        self._carry_waivers(sighting, bound)
        self._write_receipt(sighting, bound, newest)
        if newest.decision < old.standing.shape:  # a better book was asked for
            self._decide(sighting, Kind.RETRY)
        self._decide(former, Kind.MOVED, sighting.volume)
        log.info("moved", extra={"volume": sighting.volume, "former": former.volume, "key": former.key})
        return True

    def _take_key(self, sighting: Sighting, former: Sighting) -> None:
        """Record the listing under the key of the book, where it was recorded under another."""
        sighting.key = former.key
        head = self._history(sighting).head
        if head is not None and head.key_digest != keys.library_digest(former.key):
            self._recorder.append(sighting, self._recorder.pages(sighting.volume, head))

    def _carry_waivers(self, sighting: Sighting, bound: Receipt) -> None:
        """Pages that the book goes without are waived for the new volume too."""
        head = self._history(sighting).head
        held = {row.page for row in bound.pages}
        pages = self._recorder.pages(sighting.volume, head) if head else ()
        lacking = tuple((p.name, p.size, p.mark) for p in pages if p.kind == "page" and p.id not in held)
        if lacking:
            self._decide(sighting, Kind.WITHOUT_MISSING, pages=lacking)

    def _write_receipt(self, sighting: Sighting, bound: Receipt, old: ReceiptMark) -> None:
        history = self._recorder.history_to_extend(sighting.volume)
        seq = history.head.seq if history.head else 1
        mark = ReceiptMark(seq, old.version_digest, history.standing.newest)
        own = bound._replace(volume=sighting.volume, path=sighting.path, key=sighting.key, seq=seq)
        with suppress(ConditionFailed):  # another poll wrote it
            self._work.put(keys.receipt_key(sighting.volume, mark), receipt.dump(own), condition=ABSENT)
        history.receipts.append(mark._replace(created=old.created))

    def _decide(
        self, sighting: Sighting, kind: Kind, subject: str = "", pages: tuple[tuple[str, int, str], ...] = ()
    ) -> None:
        history = self._recorder.history_to_extend(sighting.volume)
        mark = DecisionMark(history.standing.newest + 1, kind, subject)
        if self._recorder.write:
            decision = decisions.dump(Decision(kind, sighting.path, pages))
            with suppress(ConditionFailed):  # another poll wrote it
                info = self._work.put(keys.decision_key(sighting.volume, mark), decision, condition=ABSENT)
                mark = mark._replace(created=info.created)
        history.decisions.append(mark)
