"""What no state of a volume needs any more, told from the keys of its objects alone.

Removing it changes no answer that `History` gives about what still counts, whichever part of it has been removed when
something dies: not the newest manifest, nor the next seq, nor which book stands in the library, nor which sent manifest
may still become one. Decisions are never named.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pagebind.core import keys
from pagebind.core.manifest import SHRINK_MEMORY
from pagebind.core.shelf import Shelf, ShelfView, is_bound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark, ReceiptMark

YOUNG = 86400.0
"""Seconds for which nothing is touched, whatever it is: somebody may be at work on it."""

RECEIPT_MEMORY = 30 * 86400.0
"""Seconds for which a receipt is kept after a newer one has come: an older book may be put back."""

STAGING_MEMORY = 30 * 86400.0
"""Seconds for which a page is kept that no manifest wants."""

RUN_MEMORY = 90 * 86400.0
"""Seconds for which the record of a run is kept."""


def needless(
    volume: str, history: History, view: ShelfView, now: float, wanted: Collection[str] | None = None
) -> Iterator[str]:
    """Keys of a volume's receipts, markers, failures and manifests, in the order in which they are to be removed.

    Args:
        volume: its id.
        history: all that there is of it.
        view: what stands in the library under its key.
        now: seconds since the epoch.
        wanted: ids of the pages of its newest manifest. None, where nobody has read it: any page may be one of them.
    """
    head = history.head
    if head is None:
        return
    receipts = _superseded_receipts(history, view, now)
    past = _superseded_seqs(history, head, view, receipts, now)
    standing = {mark.seq for mark in history.manifests} - past
    bound = is_bound(history, view, head)
    for receipt in receipts:
        yield keys.receipt_key(volume, receipt)
    for failure in history.failures:
        in_the_past = failure.seq < head.seq and failure.seq not in standing
        unwanted = in_the_past and wanted is not None and failure.page not in wanted
        if (unwanted or (bound and failure.seq <= head.seq)) and _is_old(failure.created, now):
            yield keys.failure_key(volume, failure)
    for sent in history.sent:
        if sent.seq < head.seq and sent.seq not in standing and _is_old(sent.created, now):
            yield keys.sent_key(volume, sent)
    for manifest in history.manifests:
        if manifest.seq in past:
            yield keys.manifest_key(volume, manifest)


def kept_manifests(history: History, view: ShelfView, now: float) -> list[ManifestMark]:
    """The manifests that `needless` does not name: entries of their pages are to stay."""
    head = history.head
    if head is None:
        return []
    past = _superseded_seqs(history, head, view, _superseded_receipts(history, view, now), now)
    return [mark for mark in history.manifests if mark.seq not in past]


def is_orphan(key: str, created: float, now: float, wanted: Collection[str]) -> bool:
    """Whether an object in staging is to go: old, and the entry of no ``wanted`` page, or no entry at all."""
    return created < now - STAGING_MEMORY and keys.page_of(key) not in wanted


def _superseded_receipts(history: History, view: ShelfView, now: float) -> list[ReceiptMark]:
    """Receipts with a newer one that is old enough, but never that of the book that stands in the library."""
    if len(history.receipts) < 2 or view.elsewhere:  # noqa: PLR2004  one alone is the newest
        return []
    return [
        mark
        for mark in history.receipts
        if mark.version_digest != view.version
        and _is_old(mark.created, now)
        and any(
            (other.seq, other.decision) > (mark.seq, mark.decision) and other.created < now - RECEIPT_MEMORY
            for other in history.receipts
        )
    ]


def _superseded_seqs(
    history: History, head: ManifestMark, view: ShelfView, gone: Collection[ReceiptMark], now: float
) -> set[int]:
    """Seqs whose manifests say nothing any more: superseded for long, never to be published, and not the book's."""
    if len(history.manifests) < 2:  # noqa: PLR2004  one alone is the newest
        return set()
    created: dict[int, float] = {}
    for mark in history.manifests:
        created[mark.seq] = max(mark.created, created.get(mark.seq, mark.created))
    published = _published(history, view)
    sent = {mark.seq for mark in history.sent}
    needed = _needed_seqs(history, head, view, gone) | {published}
    return {
        seq
        for seq, following in pairwise(sorted(created))
        if seq not in needed
        and created[following] < now - SHRINK_MEMORY
        and _is_old(created[seq], now)
        and (seq < published or seq not in sent)
    }


def _published(history: History, view: ShelfView) -> int:
    """The newest seq that the book in the library is as new as: nothing older will ever go over it. 0: no book."""
    if view.shelf is not Shelf.OURS:
        return 0
    same = [mark.seq for mark in history.manifests if history.revision_of(mark.seq) == view.revision]
    return max([view.seq or 0, *same])


def _needed_seqs(history: History, head: ManifestMark, view: ShelfView, gone: Collection[ReceiptMark]) -> set[int]:
    """The newest manifest, the book's, those of receipts that stay; the newest of each key, and the one accepted.

    Keys that the volume had lead to the book that may still stand there; before an accepted listing nothing is lost.
    """
    needed = {head.seq, view.seq or 0, *(mark.seq for mark in history.receipts if mark not in gone)}
    newest: dict[str, int] = {}
    for mark in history.manifests:
        newest[mark.key_digest] = max(mark.seq, newest.get(mark.key_digest, 0))
    accepted = [mark.seq for mark in history.manifests if mark.revision == history.standing.accepted]
    return {*needed, *newest.values(), max(accepted, default=0)}


def _is_old(created: float, now: float) -> bool:
    return created < now - YOUNG
