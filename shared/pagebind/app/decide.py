"""Decide: what the operator wants of a volume, written down for every poll to obey.

Each decision is refused, in one line, where the volume is not in the state that it is about. Writing it is one atomic
step; what follows from it is the planner's to say.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app import inventory as inventories
from pagebind.app.inventory import is_waived, load_manifest, look_at_shelf, waived_contents
from pagebind.app.recorder import Recorder
from pagebind.app.shrink import lost_pages
from pagebind.app.sighting import called_at, remembered
from pagebind.core import decisions, keys
from pagebind.core.decisions import Decision, Kind
from pagebind.core.keys import DecisionMark
from pagebind.core.planner import Seen
from pagebind.core.shelf import Shelf, ShelfView, is_bound
from pagebind.errors import ConditionFailed, KeyMissing, StoreUnavailable, UsageError
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagebind.core.history import History
    from pagebind.core.manifest import Manifest, Page
    from pagebind.core.planner import Policy
    from pagebind.core.watch import Watch
    from pagebind.ports.clock import Clock

log = logging.getLogger(__name__)

_TRIES = 8
_SHELF = {
    Shelf.FREE: "nothing stands under its key",
    Shelf.OURS: "its book is ours already",
}


class Decided(NamedTuple):
    """A decision that was made: about which volume, and which."""

    volume: str
    path: str
    key: str
    kind: str


class _Case(NamedTuple):
    """A volume at the moment of the decision."""

    history: History
    manifest: Manifest
    view: ShelfView
    former: bool


class Decide:
    """The use case."""

    def __init__(self, work: Store, library: Store, policy: Policy, clock: Clock) -> None:
        self._work = work
        self._library = library
        self._policy = policy
        self._clock = clock

    def retry(self, volume: str) -> Decided:
        """Void failures, waivers and `forget`.

        Raises:
            UsageError: nothing is to be tried again.
        """

        def about(case: _Case) -> tuple[str, Decision]:
            if not _retriable(case):
                path = case.manifest.path
                raise UsageError(f"{path}: nothing is to be tried again", fix="`pagebind status` says why")
            return "", Decision(Kind.RETRY, case.manifest.path)

        return self._decide(volume, about)

    def without_missing(self, volume: str) -> Decided:
        """Waive the pages that have failed for good.

        Raises:
            UsageError: none has.
        """

        def about(case: _Case) -> tuple[str, Decision]:
            lost, left = self._lost_for_good(case)
            pages = tuple((page.name, page.size, page.mark) for page in lost)
            if not pages:
                raise UsageError(
                    f"{case.manifest.path}: no page has failed for good",
                    fix=f"a page is given up after {self._policy.give_up_epochs} failed rounds"
                    f" and {self._policy.give_up_after / 3600:g} hours (see [bind])",
                )
            if not left:
                raise UsageError(
                    f"{case.manifest.path}: nothing would be left without what is missing",
                    fix="`pagebind forget` leaves it alone",
                )
            return "", Decision(Kind.WITHOUT_MISSING, case.manifest.path, pages)

        return self._decide(volume, about)

    def accept_shrink(self, volume: str, watch: Watch) -> Decided:
        """The newest listing is right, although it lacks pages.

        Raises:
            UsageError: it lacks none, or was handed out already.
        """

        def about(case: _Case) -> tuple[str, Decision]:
            if not self._shrunk(case, watch):
                raise UsageError(
                    f"{case.manifest.path}: its newest listing lacks no page", fix="`pagebind run` lists it anew"
                )
            return case.manifest.revision, Decision(Kind.ACCEPT_SHRINK, case.manifest.path)

        return self._decide(volume, about)

    def replace(self, volume: str) -> Decided:
        """Put ours over the foreign or changed book that stands there now, or where ours was removed.

        Raises:
            UsageError: there is nothing of that kind.
        """

        def about(case: _Case) -> tuple[str, Decision]:
            if case.view.shelf in _SHELF:
                raise UsageError(f"{case.manifest.path}: {_SHELF[case.view.shelf]}", fix="`pagebind status` says more")
            return case.view.version or decisions.ABSENT, Decision(Kind.REPLACE, case.manifest.path)

        return self._decide(volume, about)

    def rename(self, volume: str, watch: Watch) -> Decided:
        """Move the book to the key that the settings give now.

        Raises:
            UsageError: it has that key, or the settings have no place for it.
        """

        def about(case: _Case) -> tuple[str, Decision]:
            manifest = case.manifest
            called = called_at(watch, manifest.path, archive=manifest.pages[0].kind == "archive")
            if called is None:
                raise UsageError(f"{manifest.path}: its place does not fit `layout`", fix="change [[subscription]]")
            if keys.library_digest(called.key) == keys.library_digest(manifest.key) and not case.former:
                raise UsageError(f"{manifest.path}: its key is {manifest.key} already", fix="nothing needs to be done")
            return keys.library_digest(called.key), Decision(Kind.RENAME, manifest.path)

        return self._decide(volume, about)

    def forget(self, volume: str, *, delete_book: bool) -> Decided:
        """Leave the volume alone; with ``delete_book`` delete the book that stands there now, if it is ours.

        Raises:
            UsageError: there is no such book.
        """

        def about(case: _Case) -> tuple[str, Decision]:
            if delete_book and case.view.shelf is not Shelf.OURS:
                raise UsageError(
                    f"{case.manifest.path}: no book of ours stands under {case.manifest.key}",
                    fix="leave out --delete-book; what others put there is theirs",
                )
            return case.view.version if delete_book else "", Decision(Kind.FORGET, case.manifest.path)

        return self._decide(volume, about)

    def _decide(self, volume: str, about: Callable[[_Case], tuple[str, Decision]]) -> Decided:
        for _ in range(_TRIES):
            case = self._case(volume)
            subject, decision = about(case)
            _refuse_what_is_over(case, decision.kind)
            mark = DecisionMark(case.history.standing.newest + 1, decision.kind, subject)
            try:
                self._work.put(keys.decision_key(volume, mark), decisions.dump(decision), condition=ABSENT)
            except ConditionFailed:
                continue  # somebody decided the same at the same time
            log.info("decided", extra={"volume": volume, "decision": str(decision.kind)})
            return Decided(volume, decision.path, case.manifest.key, decision.kind)
        raise StoreUnavailable("others keep deciding about the same volume", fix="see who else works on this store")

    def _case(self, volume: str) -> _Case:
        history = inventories.take_one(self._work, volume)
        head = history.head
        if head is None:
            raise KeyMissing(f"{volume} has no manifest any more", fix="`pagebind run` records it anew", path=volume)
        manifest = load_manifest(self._work, volume, head)
        former = self._former_keys(history, manifest)
        book = self._library.head(manifest.key)
        return _Case(history, manifest, look_at_shelf(volume, history, book, lambda _: book, elsewhere=former), former)

    def _former_keys(self, history: History, manifest: Manifest) -> bool:
        """Whether the volume's book stands under a key that it had before."""
        former = {mark.key_digest for mark in history.manifests} - {keys.library_digest(manifest.key)}
        if not former:
            return False
        books = (info for info in self._library.list() if keys.library_digest(info.key) in former)
        return any(history.receipt_for(info.version) for info in books)

    def _lost_for_good(self, case: _Case) -> tuple[list[Page], bool]:
        """The files that have failed for good, and whether a book without them, and what is waived, has any page."""
        history, manifest = case.history, case.manifest
        final = self._policy.given_up(history, self._clock.now())
        waived = waived_contents(self._work, manifest.volume, history)
        wanted = [page for page in manifest.pages if not is_waived(page, waived)]
        lost = [page for page in wanted if page.id in final and page.id not in history.staged]
        return lost, any(page.kind != "info" and page not in lost for page in wanted)

    def _shrunk(self, case: _Case, watch: Watch) -> tuple[str, ...]:
        inventory = inventories.Inventory({case.manifest.volume: case.history}, {})
        recorder = Recorder(self._work, inventory, self._clock, write=False)
        sighting = remembered(case.manifest, Seen.UNKNOWN)
        return lost_pages(sighting, watch, case.manifest.pages, case.view, recorder, self._clock.now())


def _refuse_what_is_over(case: _Case, kind: str) -> None:
    standing, path = case.history.standing, case.manifest.path
    if standing.forgotten and kind not in (Kind.RETRY, Kind.FORGET):
        raise UsageError(f"{path} is forgotten", fix="`pagebind retry` takes it back first")
    if standing.handed_on and not case.history.proofs and case.view.shelf is Shelf.TAKEN:
        raise UsageError(
            f"{path} has moved: its book belongs to another volume now",
            fix="`pagebind status` says to which; decide about that one",
        )


def _retriable(case: _Case) -> bool:
    history, standing = case.history, case.history.standing
    head = history.head
    unfinished = head is not None and bool(history.epochs(head)) and not is_bound(history, case.view, head)
    return unfinished or bool(standing.forgotten) or _failed_or_waived(history)


def retriable(history: History) -> bool:
    """Whether `retry` without a name means this volume: something failed, or is waived; forgotten ones want a name."""
    return not history.standing.forgotten and _failed_or_waived(history)


def _failed_or_waived(history: History) -> bool:
    standing = history.standing
    return bool(standing.waivers) or any(mark.created > standing.retried for mark in history.failures)
