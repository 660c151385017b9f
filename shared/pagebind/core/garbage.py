"""What no state of a volume needs any more, told from the keys of its objects alone.

Removing it changes no answer that `History` gives about what still counts, whichever part of it has been removed when
something dies: not the newest manifest, nor the next seq, nor which book stands in the library, nor which pages have
failed for good, nor which sent manifest is to become a book next. Decisions are never named.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pagebind.core import keys
from pagebind.core.manifest import SHRINK_MEMORY
from pagebind.core.shelf import Shelf, ShelfView, is_bound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pagebind.core.history import History
    from pagebind.core.keys import FailureMark, ManifestMark, NoticeMark, ReceiptMark

YOUNG = 86400.0
"""Seconds for which nothing is touched, whatever it is: somebody may be at work on it."""

RECEIPT_MEMORY = 30 * 86400.0
"""Seconds for which a receipt is kept after a newer one has come: an older book may be put back."""

STAGING_MEMORY = 30 * 86400.0
"""Seconds for which a page is kept that no manifest wants."""

RUN_MEMORY = 90 * 86400.0
"""Seconds for which the record of a run is kept."""

NOTICE_MEMORY = 2 * 86400.0
"""Seconds for which a notice is kept that is not the newest: after a day nobody sends it any more. Each poll that tells
people something lists all of them.
"""

MOST_EPOCHS = 1000
"""So many failures of a page are looked at by any setting of `give_up_epochs`."""

_MANY_FAILURES = 100
"""More of one volume are worth a look at which pages it wants still."""


def needless(
    volume: str,
    history: History,
    view: ShelfView,
    now: float,
    wanted: Collection[str] | None = None,
    *,
    epochs: int = MOST_EPOCHS,
) -> Iterator[str]:
    """Keys of a volume's receipts, markers, failures and manifests, in the order in which they are to be removed.

    Args:
        volume: its id.
        history: all that there is of it.
        view: what stands in the library under its key.
        now: seconds since the epoch.
        wanted: ids of the pages of its newest manifest. None, where nobody has read it: any page may be one of them.
        epochs: in so many a page must have failed to be given up.
    """
    head = history.head
    if head is None:
        return
    receipts = _superseded_receipts(history, head, view, now)
    past = _superseded_seqs(history, head, view, receipts, now)
    standing = {mark.seq for mark in history.manifests} - past
    for receipt in receipts:
        yield keys.receipt_key(volume, receipt)
    for failure in _needless_failures(history, head, view, standing, wanted, epochs):
        if _is_old(failure.created, now):
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
    past = _superseded_seqs(history, head, view, _superseded_receipts(history, head, view, now), now)
    return [mark for mark in history.manifests if mark.seq not in past]


def is_orphan(key: str, created: float, now: float, wanted: Collection[str]) -> bool:
    """Whether an object in staging is to go: old, and the entry of no ``wanted`` page, or no entry at all."""
    return created < now - STAGING_MEMORY and keys.page_of(key) not in wanted


def may_be_littered(history: History, pages: int, now: float) -> bool:
    """Whether it pays to list a volume's staging and read its manifests, which has ``pages`` pages by the newest.

    There are more entries than it and its ComicInfo.xml can have, or they have lain there for long; or it has failed
    very often.
    """
    head = history.head
    if head is None or len(history.failures) > _MANY_FAILURES:
        return head is not None
    sent = [mark.created for mark in history.epochs(head)] if history.staged or history.debris else []
    return len(history.staged) > pages + 1 or (bool(sent) and max(sent) < now - STAGING_MEMORY)


def needless_notices(marks: Iterable[NoticeMark], now: float) -> Iterator[NoticeMark]:
    """Old notices and what is marked on them, but nothing of the newest one, which says what people know.

    A notice goes before its marks: it would be sent again without them.
    """
    ordered = sorted(marks, key=lambda mark: (mark.number, mark.whom))
    newest = max((mark.number for mark in ordered if not mark.whom), default=0)
    return (mark for mark in ordered if mark.number < newest and mark.created < now - NOTICE_MEMORY)


def needless_calls(calls: Iterable[tuple[str, float]], now: float) -> Iterator[str]:
    """Keys of the old calls of hooks, but of the newest one of each, of all keys with their times of creation."""
    seen: set[str] = set()
    for key, created in sorted(calls):
        hook = key.rpartition("/")[0]
        if hook in seen and _is_old(created, now):
            yield key
        seen.add(hook)


def _needless_failures(
    history: History,
    head: ManifestMark,
    view: ShelfView,
    standing: Collection[int],
    wanted: Collection[str] | None,
    epochs: int,
) -> Iterator[FailureMark]:
    """Failures that the book has made up for, of pages that nobody wants, and those that say nothing new.

    A refusal to adopt a book counts for the newest listing and the version that stands there.
    """
    bound = is_bound(history, view, head)
    surplus = _surplus(history, epochs)
    refusal = keys.adoption(view.version)
    for failure in history.failures:
        past = failure.seq < head.seq
        if bound and failure.seq <= head.seq:
            yield failure
        elif failure.page.startswith(_ADOPTION):
            if past or failure.page != refusal:
                yield failure
        elif past and (
            failure in surplus or (wanted is not None and failure.seq not in standing and failure.page not in wanted)
        ):
            yield failure


_ADOPTION = keys.adoption("")


def _surplus(history: History, epochs: int) -> set[FailureMark]:
    """Of each page all failures but the newest ``epochs`` and the first since the last `retry`: these tell enough."""
    by_page: dict[str, list[FailureMark]] = {}
    for failure in history.failures:
        by_page.setdefault(failure.page, []).append(failure)
    retried = history.standing.retried
    surplus: set[FailureMark] = set()
    for failures in by_page.values():
        ordered = sorted(failures, key=lambda mark: mark.created)
        counting = [mark for mark in ordered if mark.created > retried] or ordered[-1:]
        surplus.update({*ordered} - {counting[0], *counting[-epochs:]})
    return surplus


def _superseded_receipts(history: History, head: ManifestMark, view: ShelfView, now: float) -> list[ReceiptMark]:
    """Receipts with a newer one that is old enough, but never that of the book that stands in the library.

    Those from before the book was handed on to another volume say nothing of this one after the same time.
    """
    if not history.receipts:
        return []
    proofs, standing = history.proofs, history.standing
    others = () if standing.handed_at >= now - RECEIPT_MEMORY else (m for m in history.receipts if m not in proofs)
    handed_on = [mark for mark in others if mark.seq <= head.seq and _is_old(mark.created, now)]
    if view.elsewhere:
        return handed_on
    return handed_on + [
        mark
        for mark in proofs
        if mark.version_digest != view.version
        and _is_old(mark.created, now)
        and any(
            (other.seq, other.decision) > (mark.seq, mark.decision) and other.created < now - RECEIPT_MEMORY
            for other in proofs
        )
    ]


def _superseded_seqs(
    history: History, head: ManifestMark, view: ShelfView, gone: Collection[ReceiptMark], now: float
) -> set[int]:
    """Seqs whose manifests say nothing any more: superseded for long, never to be published, and not the book's.

    Of those above the book that were sent only the last one is to be published, once the ones before had their time.
    """
    if len(history.manifests) < 2:  # noqa: PLR2004  one alone is the newest
        return set()
    created: dict[int, float] = {}
    for mark in history.manifests:
        created[mark.seq] = max(mark.created, created.get(mark.seq, mark.created))
    published = _published(history, view)
    sent = {mark.seq for mark in history.sent} - _outdone(history, now)
    needed = _needed_seqs(history, head, view, gone) | {published}
    return {
        seq
        for seq, following in pairwise(sorted(created))
        if seq not in needed
        and created[following] < now - SHRINK_MEMORY
        and _is_old(created[seq], now)
        and (seq < published or seq not in sent)
    }


def _outdone(history: History, now: float) -> set[int]:
    """Seqs after which a newer one was sent long ago: had their pages been complete, there would be a book of them."""
    marks = (history.of_seq(seq) for seq in sorted({mark.seq for mark in history.sent}))
    sent = [(mark.seq, epochs[0].created) for mark in marks if mark and (epochs := history.epochs(mark))]
    return {seq for (seq, _), (_, following) in pairwise(sent) if following < now - SHRINK_MEMORY}


def _published(history: History, view: ShelfView) -> int:
    """The newest seq that the book in the library is as new as: nothing older will ever go over it. 0: no book."""
    if view.shelf is not Shelf.OURS:
        return 0
    same = [mark.seq for mark in history.manifests if history.revision_of(mark.seq) == view.revision]
    return max([view.seq or 0, *same])


def _needed_seqs(history: History, head: ManifestMark, view: ShelfView, gone: Collection[ReceiptMark]) -> set[int]:
    """The newest manifest, the book's, those of receipts that stay; the newest of each key, and the one accepted.

    Keys that the volume had lead to the book that may still stand there; before an accepted listing nothing is lost,
    and one that is listed once more later is another.
    """
    needed = {head.seq, view.seq or 0, *(mark.seq for mark in history.receipts if mark not in gone)}
    newest: dict[str, int] = {}
    for mark in history.manifests:
        newest[mark.key_digest] = max(mark.seq, newest.get(mark.key_digest, 0))
    standing = history.standing
    same = [mark for mark in history.manifests if mark.revision == standing.accepted]
    accepted = [mark.seq for mark in same if mark.created <= standing.accepted_at]
    return {*needed, *newest.values(), max((mark.seq for mark in same), default=0), max(accepted, default=0)}


def _is_old(created: float, now: float) -> bool:
    return created < now - YOUNG
