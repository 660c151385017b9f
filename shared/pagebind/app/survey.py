"""The first half of a poll: walk the subscriptions and record every listing that is new.

Each folder is looked at in the thread that listed it and boiled down to a `Sighting` at once, so that memory holds the
volumes and not their pages.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from pagebind.app.inventory import CLOCK_TOLERANCE, Inventory, load_manifest, look_at_shelf
from pagebind.app.report import problem_of
from pagebind.app.sighting import Sighting, remembered
from pagebind.app.walk import Folder, Found, Start, Unlisted, Walk, starts
from pagebind.core import keys, layout, naming
from pagebind.core import manifest as manifests
from pagebind.core.history import History
from pagebind.core.keys import ManifestMark
from pagebind.core.manifest import Manifest, Page
from pagebind.core.planner import Policy, Problem, Seen, Shelf
from pagebind.core.wording import counted
from pagebind.errors import ConditionFailed, KeyMissing, PagebindError
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.core.watch import Watch
    from pagebind.ports.clock import Clock
    from pagebind.ports.progress import Progress
    from pagebind.ports.source import Source

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Survey:
    """What a walk saw: volumes by id, and what could not be listed."""

    sightings: dict[str, Sighting] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    roots: int = 0
    failed_roots: list[PagebindError] = field(default_factory=list)

    def demand_a_root(self) -> None:
        """Raise the first root's error if not one of them could be listed."""
        if self.roots and len(self.failed_roots) == self.roots:
            raise self.failed_roots[0]


class Surveyor:
    """Walks, and turns folders into sightings.

    Args:
        write: record new listings as manifests; without, they are only planned.
        keep: so many pages may be kept in memory for handing out.
    """

    def __init__(
        self,
        source: Source,
        work: Store,
        library: Store,
        watches: Sequence[Watch],
        policy: Policy,
        clock: Clock,
        progress: Progress,
        *,
        concurrency: int,
        write: bool,
        keep: int,
    ) -> None:
        self._source = source
        self._work = work
        self._library = library
        self._watches = watches
        self._roots = {watch.path for watch in watches}
        self._policy = policy
        self._clock = clock
        self._progress = progress
        self._concurrency = concurrency
        self._write = write
        self._keep = keep
        self._lock = threading.Lock()
        self._room = keep
        self._loose: list[Folder] = []
        self._excluded: list[str] = []
        self._inventory = Inventory({}, {})
        self._survey = Survey()

    def survey(self, inventory: Inventory, paths: Sequence[str]) -> Survey:
        """Walk the subscriptions, or only ``paths`` inside them.

        Raises:
            AuthRefused: the credentials.
            ServerUnreachable: folder after folder is not answered at all.
        """
        self._inventory, self._survey = inventory, Survey()
        self._room, self._loose, self._excluded = self._keep, [], []
        begin = list(starts(self._watches, paths))
        self._survey.roots = len(begin)
        roots = {start.path for start in begin}

        def look(found: Found) -> None:
            if isinstance(found, Unlisted) and found.path in roots:
                self._survey.failed_roots.append(found.error)
            self._look(found)

        Walk(self._source, begin, wants_fresh=self._wants_fresh, look=look, concurrency=self._concurrency).run()
        self._decide_loose()
        self._account_for_unseen(begin, restricted=bool(paths))
        return self._survey

    def relist(self, sighting: Sighting) -> tuple[Page, ...] | None:
        """The pages of a volume once more, with fresh signs; None if they are no longer those of its manifest."""
        watch = self._watch(sighting.subscription)
        items = self._source.list(sighting.path, password=watch.password())
        contents = layout.sort_out(items, watch.filter_in(sighting.path))
        pages = manifests.pages_of(contents.pages)
        head = self._inventory.history(sighting.volume).head
        if head is not None and manifests.revision_of(pages) != head.revision:
            pages = manifests.keep_identities(pages, self._recorded_pages(sighting.volume, head))
        return pages if manifests.revision_of(pages) == sighting.revision else None

    def _watch(self, path: str) -> Watch:
        return next(watch for watch in self._watches if watch.path == path)

    def _wants_fresh(self, path: str) -> bool:
        """Only a listing that would settle a volume has to be fresh."""
        if self._policy.settle <= 0 or not self._write:
            return False
        history = self._inventory.volumes.get(keys.volume_id(path))
        head = history.head if history else None
        if history is None or head is None or history.epochs(head):
            return False
        return self._clock.now() - head.created >= self._policy.settle and not self._is_bound(path, history, head)

    def _is_bound(self, path: str, history: History, head: ManifestMark) -> bool:
        book = self._inventory.book(head.key_digest, history)
        view = look_at_shelf(keys.volume_id(path), history, book, self._library.head)
        return view.shelf is Shelf.OURS and view.bound_revision == head.revision

    def _look(self, found: Found) -> None:
        if isinstance(found, Unlisted):
            self._unlisted(found)
            return
        contents = found.contents
        self._progress.listed(found.path, len(contents.pages))
        for name in contents.excluded_folders:
            path = layout.join(found.path, name)
            if path not in self._roots:
                self._exclude(found.watch, path)
        if not contents.pages:
            self._without_pages(found)
        elif layout.is_loose(contents):
            with self._lock:
                self._loose.append(found)
        else:
            self._observe(found)

    def _unlisted(self, found: Unlisted) -> None:
        error = found.error
        log.info("listing failed", extra={"path": found.path, "reason": error.message})
        with self._lock:
            self._survey.failed.append(found.path)
            self._survey.problems.append(
                Problem("listing_failed", _about(found.path, error.message), error.fix, found.path, error.retryable)
            )
        volume = keys.volume_id(found.path)
        if volume in self._inventory.volumes:
            self._remember(found.watch, found.path, Seen.UNKNOWN, "its folder could not be listed")

    def _without_pages(self, found: Folder) -> None:
        contents = found.contents
        known = self._inventory.volumes.get(keys.volume_id(found.path))
        if contents.excluded_pages and not contents.folders:
            left_out = counted(contents.excluded_pages, "page")
            self._ignore(found.watch, found.path, f"`exclude` leaves out all that it has: {left_out}")
        elif known is not None and known.head is not None:
            self._remember(found.watch, found.path, Seen.GONE, "listed without pages; nothing is deleted")
        elif contents.archives:
            archives = counted(len(contents.archives), "archive")
            self._ignore(found.watch, found.path, f'{archives}: `archives = "ignore"`')

    def _ignore(self, watch: Watch, path: str, why: str) -> None:
        self._remember(watch, path, Seen.IGNORED, why)

    def _exclude(self, watch: Watch, path: str) -> None:
        with self._lock:
            self._excluded.append(path)
        self._ignore(watch, path, "left out by `exclude`")

    def _remember(self, watch: Watch, path: str, seen: Seen, why: str) -> None:
        """Note a volume that is not observed: as its newest manifest has it, if there is one."""
        volume = keys.volume_id(path)
        head = self._inventory.history(volume).head
        recorded = self._recorded(volume, head) if head else None
        if recorded is not None:
            self._add(remembered(recorded, seen, why))
            return
        sighting = self._named(watch, path)
        sighting.seen, sighting.why = seen, why
        self._add(sighting)

    def _named(self, watch: Watch, path: str) -> Sighting:
        """A volume by its names alone. The first manifest has fixed its key, else the settings give it."""
        volume = keys.volume_id(path)
        called = naming.call(watch, layout.name_volume(watch.path, path))
        key = called.key
        head = self._inventory.history(volume).head
        if head is not None and keys.library_digest(key) != head.key_digest:
            recorded = self._recorded(volume, head)
            key = recorded.key if recorded else key
        return Sighting(volume, path, watch.path, key, called.about)

    def _add(self, sighting: Sighting) -> None:
        with self._lock:
            self._survey.sightings[sighting.volume] = sighting

    def _observe(self, folder: Folder) -> None:
        """Turn a folder with pages into a sighting, and record its listing if it is new."""
        sighting = self._named(folder.watch, folder.path)
        history = self._inventory.history(sighting.volume)
        head = history.head
        pages = manifests.pages_of(folder.contents.pages)
        revision = manifests.revision_of(pages)
        if head is not None and revision != head.revision:
            before = self._recorded_pages(sighting.volume, head)
            pages = manifests.keep_identities(pages, before)
            revision = manifests.revision_of(pages)
            if revision != head.revision and _look_alike(pages, before):
                sighting.why = "waits to settle: the same names and sizes, but other times or hashes than before"
        sighting.revision, sighting.pages, sighting.size = revision, len(pages), sum(page.size for page in pages)
        sighting.fresh = folder.fresh or not self._write  # a plan shows what a run would find
        sighting.may_refresh = folder.may_refresh
        if head is None or head.revision != revision or history.ambiguous or self._is_spoilt(sighting, history, head):
            self._append(sighting, history.next_seq, pages)
        self._protect(sighting, folder.watch, pages)
        self._retain(sighting, pages)
        self._add(sighting)

    def _is_spoilt(self, sighting: Sighting, history: History, head: ManifestMark) -> bool:
        """Whether an equal manifest must be written anew: it is damaged, or is dated by a clock that ran ahead."""
        if self._is_bound(sighting.path, history, head):
            return False
        ahead = head.created > self._clock.now() + CLOCK_TOLERANCE
        return ahead or self._recorded(sighting.volume, head) is None

    def _append(self, sighting: Sighting, seq: int, pages: tuple[Page, ...]) -> None:
        revision = sighting.revision or ""
        mark = ManifestMark(seq, revision, keys.library_digest(sighting.key), self._clock.now())
        sighting.planned = mark
        if not self._write:
            return
        document = Manifest(
            sighting.volume,
            sighting.path,
            sighting.subscription,
            sighting.key,
            sighting.about,
            seq,
            revision,
            pages,
        )
        try:
            info = self._work.put(keys.manifest_key(sighting.volume, mark), manifests.dump(document), condition=ABSENT)
        except ConditionFailed:
            return  # another poll saw the same
        log.info("new listing", extra={"volume": sighting.volume, "seq": seq, "pages": len(pages)})
        sighting.planned = None
        with self._lock:
            volumes = self._inventory.volumes
            assert isinstance(volumes, dict)
            volumes.setdefault(sighting.volume, History()).manifests.append(
                ManifestMark(seq, revision, mark.key_digest, info.created)
            )

    def _protect(self, sighting: Sighting, watch: Watch, pages: Sequence[Page]) -> None:
        """Notice a listing that lacks what the bound book, or a larger listing of the last days, has."""
        history = self._inventory.history(sighting.volume)
        newest = sighting.planned or history.head
        if newest is None or history.epochs(newest):
            return
        book = self._inventory.book(newest.key_digest, history)
        view = look_at_shelf(sighting.volume, history, book, self._library.head)
        if view.bound_revision == sighting.revision:
            return
        bound = history.of_seq(view.bound_seq) if view.bound_seq is not None else None
        references = self._references(sighting.volume, history, newest, bound)
        missing = {
            name: None
            for reference in references
            for name in manifests.lacking(
                pages,
                reference.pages,
                explained=lambda name: watch.leaves_out(sighting.path, name, False),
            )
        }
        sighting.shrunk = tuple(missing)

    def _references(
        self, volume: str, history: History, newest: ManifestMark, bound: ManifestMark | None
    ) -> list[Manifest]:
        """What a listing must not lack: the bound book, and the largest listing that stood within the last days."""
        since = self._clock.now() - manifests.SHRINK_MEMORY
        older = sorted((mark for mark in history.manifests if mark.seq < newest.seq), key=lambda mark: mark.seq)
        stood = [mark for mark, following in pairwise([*older, newest]) if following.created >= since]
        recent = [manifest for mark in stood if (manifest := self._recorded(volume, mark))]
        largest = max(recent, key=lambda manifest: len(manifest.pages), default=None)
        book = self._recorded(volume, bound) if bound else None
        return [manifest for manifest in (largest, book) if manifest]

    def _retain(self, sighting: Sighting, pages: tuple[Page, ...]) -> None:
        """Keep the pages of what may be handed out in this run, and of what has entries already."""
        history = self._inventory.history(sighting.volume)
        head = history.head
        started = bool(history.staged) or (head is not None and bool(history.epochs(head)))
        if started and head is not None and self._is_bound(sighting.path, history, head):
            return
        ready = self._write and (
            self._policy.settle <= 0 or (head is not None and self._clock.now() - head.created >= self._policy.settle)
        )
        if not (started or ready) or sighting.shrunk:
            return
        with self._lock:
            if self._room >= len(pages):
                self._room -= len(pages)
                sighting.content = pages

    def _decide_loose(self) -> None:
        """Pictures beside subfolders are no book if a folder below holds pages, and undecided if one is unknown.

        The deepest first: what they turn out to be decides about those above.
        """
        with_pages = {
            above for s in self._survey.sightings.values() if s.seen is Seen.LISTED for above in _above(s.path)
        }
        for folder in sorted(self._loose, key=lambda folder: folder.path.count("/"), reverse=True):
            if folder.path in with_pages:
                pictures = counted(len(folder.contents.pages), "loose picture")
                self._ignore(folder.watch, folder.path, f"{pictures} beside folders with pages")
            elif any(layout.is_below(path, folder.path) for path in self._survey.failed):
                self._remember(folder.watch, folder.path, Seen.UNKNOWN, "a folder below could not be listed")
            else:
                self._observe(folder)
                with_pages.update(_above(folder.path))

    def _account_for_unseen(self, begin: Sequence[Start], *, restricted: bool) -> None:
        """What this walk did not meet: gone only if everything that could show it was listed."""
        if restricted:
            return
        for volume, history in list(self._inventory.volumes.items()):
            head = history.head
            if volume in self._survey.sightings or head is None:
                continue
            recorded = self._recorded(volume, head)
            if recorded is not None:
                self._add(remembered(recorded, *self._absence(recorded.path, begin)))

    def _absence(self, path: str, begin: Sequence[Start]) -> tuple[Seen, str]:
        def covering(folder: str) -> bool:
            return layout.is_below(path, folder)

        if any(covering(folder) for folder in self._survey.failed):
            return Seen.UNKNOWN, "a folder above could not be listed"
        if not any(covering(start.path) for start in begin):
            return Seen.UNSUBSCRIBED, ""
        if any(covering(folder) for folder in self._excluded):
            return Seen.IGNORED, "left out by `exclude`"
        return Seen.GONE, ""

    def _recorded(self, volume: str, mark: ManifestMark) -> Manifest | None:
        """A manifest, or None where it is damaged: that is noted, and the volume is recorded anew when it is listed."""
        try:
            return load_manifest(self._work, volume, mark)
        except KeyMissing as error:
            with self._lock:
                self._survey.problems.append(problem_of(error))
            return None

    def _recorded_pages(self, volume: str, mark: ManifestMark) -> tuple[Page, ...]:
        recorded = self._recorded(volume, mark)
        return recorded.pages if recorded else ()


def _above(path: str) -> Iterator[str]:
    """The folders that a path lies in, the nearest first."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path


def _look_alike(pages: Sequence[Page], before: Sequence[Page]) -> bool:
    """Whether only times or hashes tell two listings apart, as on drives that make times up."""
    return [(page.name, page.size) for page in pages] == [(page.name, page.size) for page in before]


def _about(path: str, message: str) -> str:
    """The message, with the folder that it is about."""
    return message if path in message else f"{path}: {message}"
