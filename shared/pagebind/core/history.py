"""What the keys of the work store tell about one volume, without reading an object."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from pagebind.core import decisions, keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pagebind.core.decisions import Standing
    from pagebind.core.keys import DecisionMark, FailureMark, ManifestMark, ReceiptMark, SentMark


@dataclass(slots=True)
class History:
    """One volume's objects by kind, each list in the order of its keys. ``staged`` holds the pages with an entry.

    ``debris`` counts other objects in staging: pages that were too large for memory, on their way when something died.
    """

    manifests: list[ManifestMark] = field(default_factory=list)
    sent: list[SentMark] = field(default_factory=list)
    staged: set[str] = field(default_factory=set)
    failures: list[FailureMark] = field(default_factory=list)
    receipts: list[ReceiptMark] = field(default_factory=list)
    decisions: list[DecisionMark] = field(default_factory=list)
    debris: int = 0

    @property
    def head(self) -> ManifestMark | None:
        """The newest manifest. Where two polls wrote the same seq, the one that was sent, else the first by key."""
        if not self.manifests:
            return None
        top = max(mark.seq for mark in self.manifests)
        return self.of_seq(top)

    def of_seq(self, seq: int) -> ManifestMark | None:
        """The manifest that counts for a seq."""
        marks = [mark for mark in self.manifests if mark.seq == seq]
        sent = self._sent_as(seq)
        return next((mark for mark in marks if mark.revision in sent), marks[0] if marks else None)

    @property
    def next_seq(self) -> int:
        """The seq of the next manifest: above all that was ever given, also where a manifest has been lost."""
        given = [mark.seq for mark in self.manifests]
        given += [mark.seq for mark in self.sent]
        given += [mark.seq for mark in self.receipts]
        return 1 + max(given, default=0)

    @property
    def ambiguous(self) -> bool:
        """Whether the newest seq stands twice and neither was sent, or both were: then neither settles."""
        head = self.head
        if head is None:
            return False
        revisions = {mark.revision for mark in self.manifests if mark.seq == head.seq}
        return len(revisions) > 1 and len(self._sent_as(head.seq)) != 1

    def _sent_as(self, seq: int) -> set[str]:
        """The revisions that were handed out as this seq: one, unless two polls at once found different listings."""
        return {mark.revision for mark in self.sent if mark.seq == seq}

    @property
    def standing(self) -> Standing:
        """What its decisions amount to."""
        return decisions.standing(self.decisions) if self.decisions else decisions.UNDECIDED

    @property
    def proofs(self) -> list[ReceiptMark]:
        """The receipts that still say what is this volume's: not those from before its book was handed on."""
        since = self.standing.handed_on
        return [mark for mark in self.receipts if mark.decision >= since] if since else self.receipts

    @property
    def receipt(self) -> ReceiptMark | None:
        """The newest receipt of its own book, whatever stands in the library now."""
        return max(self.proofs, key=_order, default=None)

    @property
    def book_was_deleted(self) -> bool:
        """Whether the newest book was deleted by a decision that is younger than it: nobody else removed it.

        A book that was made again later may have the same version, where versions are named by content.
        """
        newest = self.receipt
        return newest is not None and any(
            version == newest.version_digest and number > newest.decision for version, number in self.standing.deleted
        )

    def epochs(self, mark: ManifestMark) -> list[SentMark]:
        """How often this manifest's missing pages were handed out."""
        return [sent for sent in self.sent if (sent.seq, sent.revision) == (mark.seq, mark.revision)]

    def newest_epoch(self, mark: ManifestMark) -> SentMark | None:
        """When this manifest's missing pages were handed out last."""
        return max(self.epochs(mark), key=lambda sent: sent.epoch, default=None)

    def failed_in(self, sent: SentMark) -> set[str]:
        """The pages that have failed in an epoch, by id."""
        return {mark.page for mark in self.failures if (mark.seq, mark.epoch) == (sent.seq, sent.epoch)}

    def receipt_for(self, version: str) -> ReceiptMark | None:
        """The newest receipt that names this version of the book."""
        wanted = keys.version_digest(version)
        return max((mark for mark in self.proofs if mark.version_digest == wanted), key=_order, default=None)

    def was_bound(self, mark: ManifestMark) -> bool:
        """Whether the newest book that was made is this very revision, under whatever key: then it has settled."""
        newest = self.receipt
        return newest is not None and self.revision_of(newest.seq) == mark.revision

    def revision_of(self, seq: int) -> str | None:
        """The revision that a seq stands for.

        None if its manifest is no longer there, or if two were handed out as this seq: a book may be either.
        """
        mark = self.of_seq(seq)
        return mark.revision if mark and len(self._sent_as(seq)) <= 1 else None


def _order(mark: ReceiptMark) -> tuple[int, int]:
    return mark.seq, mark.decision


def final_failures(
    failures: Iterable[FailureMark], *, now: float, epochs: int, after: float, since: float = -inf
) -> set[str]:
    """Pages that have failed for good: in at least ``epochs`` epochs, the first at least ``after`` seconds ago.

    Failures up to ``since`` do not count: they were voided by a decision.
    """
    by_page: dict[str, list[FailureMark]] = {}
    for mark in failures:
        if mark.created > since:
            by_page.setdefault(mark.page, []).append(mark)
    return {
        page
        for page, marks in by_page.items()
        if len({(mark.seq, mark.epoch) for mark in marks}) >= epochs
        and now - min(mark.created for mark in marks) >= after
    }
