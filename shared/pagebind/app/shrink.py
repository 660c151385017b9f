"""Protection against listings that lack pages: a drive in trouble lists too little."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pagebind.core import manifest as manifests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.app.recorder import Recorder
    from pagebind.app.sighting import Sighting
    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark
    from pagebind.core.manifest import Manifest, Page
    from pagebind.core.shelf import ShelfView
    from pagebind.core.watch import Watch


def lost_pages(
    sighting: Sighting, watch: Watch, pages: Sequence[Page], view: ShelfView, recorder: Recorder, now: float
) -> tuple[str, ...]:
    """Names that the newest listing, not sent yet, lacks against the bound book or a larger listing of the last days.

    What the user's own filters leave out now is not lost.
    """
    history = recorder.inventory.history(sighting.volume)
    newest = sighting.planned or history.head
    if newest is None or history.epochs(newest):
        return ()
    missing = {
        name: None
        for reference in _references(sighting.volume, history, newest, view, recorder, now)
        for name in manifests.lacking(
            pages, reference.pages, explained=lambda name: watch.leaves_out(sighting.path, name, False)
        )
    }
    return tuple(missing)


def _references(
    volume: str, history: History, newest: ManifestMark, view: ShelfView, recorder: Recorder, now: float
) -> Iterator[Manifest]:
    """What a listing must not lack: the largest that stood within the last days, and the bound book.

    Nothing from before a listing that the operator accepted counts, nor from before the book was handed on.
    """
    since = now - manifests.SHRINK_MEMORY
    first = _first_that_counts(history)
    older = sorted((m for m in history.manifests if first <= m.seq < newest.seq), key=lambda mark: mark.seq)
    stood = [mark for mark, following in pairwise([*older, newest]) if following.created >= since]
    recent = [manifest for mark in stood if (manifest := recorder.recorded(volume, mark))]
    if recent:
        yield max(recent, key=lambda manifest: len(manifest.pages))
    bound = _bound(history, view)
    book = recorder.recorded(volume, bound) if bound and first <= bound.seq < newest.seq else None
    if book:
        yield book


def _bound(history: History, view: ShelfView) -> ManifestMark | None:
    """What the book was made from, also where it stands under a former key or was removed."""
    made = history.receipt
    seq = made.seq if view.seq is None and made is not None else view.seq
    return history.of_seq(seq) if seq is not None else None


def _first_that_counts(history: History) -> int:
    standing = history.standing
    accepted = (
        mark.seq
        for mark in history.manifests
        if mark.revision == standing.accepted and mark.created <= standing.accepted_at
    )
    handed_on = (mark.seq + 1 for mark in history.manifests if mark.created <= standing.handed_at)
    return max((*accepted, *handed_on), default=0)
