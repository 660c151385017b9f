"""The first half of a poll: walk the subscriptions and record every listing that is new.

Each folder is looked at in the thread that listed it and boiled down to a `Sighting` at once, so that memory holds the
volumes and not their pages.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from pagebind.app.agenda import WITHOUT_END, Budget
from pagebind.app.inventory import CLOCK_TOLERANCE, Inventory, is_waived, waived_contents
from pagebind.app.recorder import Recorder
from pagebind.app.sighting import Sighting, called_at, remembered
from pagebind.app.walk import Folder, Found, Unlisted, Walk, starts, volume_of, whole_of
from pagebind.core import keys, layout
from pagebind.core import manifest as manifests
from pagebind.core.planner import Policy, Problem, Seen
from pagebind.core.shelf import is_bound
from pagebind.core.walk_order import EVERYTHING, Stretch, above, place
from pagebind.core.wording import counted
from pagebind.errors import on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pagebind.app.absence import Earlier
    from pagebind.app.gather import Gatherer
    from pagebind.app.walk import Start
    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark
    from pagebind.core.manifest import Page
    from pagebind.core.model import Item
    from pagebind.core.watch import Watch
    from pagebind.errors import PagebindError
    from pagebind.ports.clock import Clock
    from pagebind.ports.dispatch import Held
    from pagebind.ports.progress import Progress
    from pagebind.ports.source import Source
    from pagebind.ports.store import Store

log = logging.getLogger(__name__)


class Survey:
    """What a walk saw: volumes by id, and what could not be listed. ``roots`` counts where it began.

    Attributes:
        stretch: what was walked of the whole order. Of what lies outside nothing is said, but what was met by chance.
        elsewhere: ids of volumes that were not met, and stand here because they are under way.
        rests: the walk is to go on: nothing is known of what is not here.
    """

    def __init__(self, problems: list[Problem] | None = None) -> None:
        self.sightings: dict[str, Sighting] = {}
        self.problems: list[Problem] = [] if problems is None else problems
        self.failed: list[str] = []
        self.roots = 0
        self.failed_roots: list[PagebindError] = []
        self.stretch = EVERYTHING
        self.elsewhere: set[str] = set()
        self.rests = False

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
        self._begin(Inventory({}, {}))

    def _begin(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._recorder = Recorder(self._work, inventory, self._clock, write=self._write)
        self._survey = Survey(self._recorder.problems)
        self._room = self._keep
        self._loose: list[Folder] = []
        self._shadows: dict[str, str] = {}
        self._gatherer: Gatherer | None = None
        self._walk: Walk | None = None
        self._conclude: Callable[[str], None]

    def survey(
        self,
        inventory: Inventory,
        paths: Sequence[str],
        *,
        cursor: str = "",
        budget: Budget = WITHOUT_END,
        config: str = "",
        rest_at: float | None = None,
    ) -> Survey:
        """Walk the subscriptions, or only ``paths`` inside them, until a time of the monotonic clock: then `go_on`.

        Args:
            inventory: what the stores hold.
            paths: none: everything.
            cursor: where the walk before this one stopped.
            budget: how much the walk may take.
            config: digest of the configuration. What is gone can be told at the end of a round only if all its walks
                went by the same one.
            rest_at: None: no rest. It has no meaning for a walk with a budget.

        Raises:
            AuthRefused: the credentials.
            ServerUnreachable: folder after folder is not answered at all.
        """
        self._begin(inventory)
        begin = sorted(starts(self._watches, paths), key=lambda start: place(start.path))
        self._survey.roots = len(begin)
        roots = {start.path for start in begin}

        def look(found: Found) -> None:
            if isinstance(found, Unlisted) and found.path in roots:
                self._survey.failed_roots.append(found.error)
            self._look(found)

        cursor = self._where_to_begin(begin, cursor)
        walk = Walk(
            self._source,
            self._watches,
            begin,
            wants_fresh=self._wants_fresh,
            look=look,
            concurrency=self._concurrency,
            clock=self._clock,
            cursor=cursor,
            budget=budget,
        )

        def conclude(end: str) -> None:
            self._survey.stretch = Stretch(cursor, end)
            self._decide_loose(cursor or (begin[0].path if begin else ""))
            if not paths:
                self._account_for_unseen(begin, config)

        self._walk, self._conclude = walk, conclude
        return self._run_on(rest_at)

    def go_on(self, inventory: Inventory, rest_at: float | None) -> Survey:
        """Go on after a rest, with the same survey; ``inventory``: what the stores hold by now. Raises as `survey`."""
        kept = sum(len(sighting.content or ()) for sighting in self._survey.sightings.values())
        self._inventory = self._recorder.inventory = inventory
        self._room = max(0, self._keep - kept)
        return self._run_on(rest_at)

    def _run_on(self, rest_at: float | None) -> Survey:
        assert self._walk is not None, "a walk was begun"
        end = self._walk.run(rest_at)
        self._survey.rests = end is None
        if end is not None:
            self._conclude(end)
        return self._survey

    def _account_for_unseen(self, begin: Sequence[Start], config: str) -> None:
        # Here, not above: only a poll that walks needs it.
        from pagebind.app import absence

        survey, recorder = self._survey, self._recorder
        earlier = self._earlier(config)
        if earlier is not None:
            absence.account_for_unseen(survey, recorder, begin, earlier)
            absence.recognise_moved(survey, recorder, self._work, earlier)
        if survey.stretch != EVERYTHING:
            absence.recall_under_way(survey, recorder, self._is_under_way, self._room)

    def _earlier(self, config: str) -> Earlier | None:
        """What was seen before in the round that this walk has ended; None where it has not, or nobody knows."""
        if self._survey.stretch.end:
            return None
        if not self._survey.stretch.begin:
            from pagebind.app.absence import NOTHING_BEFORE

            return NOTHING_BEFORE
        from pagebind.app import runs

        return runs.earlier(self._work, self._clock.now() + CLOCK_TOLERANCE, self._survey.stretch.begin, config)

    def _where_to_begin(self, begin: Sequence[Start], cursor: str) -> str:
        """The cursor, or the beginning of the volume around it; at the start where nothing comes after it."""
        if not cursor or not any(Stretch(cursor).touches(start.path) for start in begin):
            return ""
        return whole_of(self._watches, cursor)

    def relist(self, sighting: Sighting) -> tuple[Page, ...] | None:
        """The files of a volume once more, with fresh signs; None if they are no longer those of its manifest."""
        watch = self._watch(sighting.subscription)
        head = self._inventory.history(sighting.volume).head
        before = self._recorder.pages(sighting.volume, head) if head else ()
        pages = self._list_again(sighting.path, watch, before)
        if head is not None and manifests.revision_of(pages) != head.revision:
            pages = manifests.keep_identities(pages, before)
        return pages if manifests.revision_of(pages) == sighting.revision else None

    def _list_again(self, path: str, watch: Watch, before: Sequence[Page]) -> tuple[Page, ...]:
        def contents(folder: str) -> layout.Contents:
            items = self._source.list(folder, password=watch.password())
            return layout.sort_out(items, watch.filter_in(folder))

        if before and before[0].kind == "archive":
            archives = contents(layout.parent(path)).archives
            return next((manifests.archive_of(item) for item in archives if item.name == before[0].name), ())
        from pagebind.app.gather import merge

        below = sorted({layout.parent(layout.join(path, page.name)) for page in before} | {path})
        folders = [Folder(watch, folder, contents(folder), fresh=False, may_refresh=False) for folder in below]
        return _pages_of(merge(path, folders))

    def _watch(self, path: str) -> Watch:
        return next(watch for watch in self._watches if watch.path == path)

    def _wants_fresh(self, watch: Watch, path: str) -> bool:
        """Only a listing that would settle a volume has to be fresh."""
        if self._policy.settle <= 0 or not self._write:
            return False
        volume = keys.volume_id(volume_of(watch, path))
        history = self._inventory.volumes.get(volume)
        head = history.head if history else None
        if history is None or head is None or history.epochs(head) or history.standing.forgotten:
            return False
        return self._clock.now() - head.created >= self._policy.settle and not self._is_bound(volume, history, head)

    def _is_under_way(self, volume: str, history: History, head: ManifestMark) -> bool:
        standing = history.standing
        stopped = standing.forgotten or (standing.handed_on and not history.proofs)
        return bool(history.epochs(head)) and not stopped and not self._is_bound(volume, history, head)

    def _is_bound(self, volume: str, history: History, head: ManifestMark) -> bool:
        return is_bound(history, self._inventory.view(volume, head.key_digest, self._library.head), head)

    def _look(self, found: Found) -> None:
        if isinstance(found, Unlisted):
            self._unlisted(found)
            return
        contents = found.contents
        self._progress.listed(found.path, len(contents.pages))
        for name in contents.excluded_folders:
            path = layout.join(found.path, name)
            if path not in self._roots:
                self._ignore(found.watch, path, "left out by `exclude`")
        for item in contents.archives:
            self._look_at_archive(found, item)
        placed = found.watch.layout.place(found.watch.path, found.path)
        if placed is not None and found.watch.layout.merges:
            self._gather(placed.volume, found)
        else:
            self._look_at_pages(found, fits=placed is not None)

    def _gather(self, volume: str, found: Folder) -> None:
        members = [start.path for start in found.below if volume_of(found.watch, start.path) == volume]
        parts = self._gathering().add(volume, found, members)
        if parts is not None and parts.failed:
            self._remember(found.watch, volume, Seen.UNKNOWN, "a folder of it could not be listed")
        elif parts is not None:
            from pagebind.app.gather import merge

            self._look_at_pages(merge(volume, parts.folders), fits=True)

    def _gathering(self) -> Gatherer:
        with self._lock:
            if self._gatherer is None:
                from pagebind.app.gather import Gatherer

                self._gatherer = Gatherer()
            return self._gatherer

    def _look_at_pages(self, found: Folder, *, fits: bool) -> None:
        contents = found.contents
        if not contents.pages:
            self._without_pages(found)
        elif not fits:
            self._ignore(found.watch, found.path, "its place does not fit `layout`")
        elif shadow := self._shadow_over(found.path):
            self._ignore(found.watch, found.path, f"shadowed: {shadow} stands for it")
        elif layout.is_loose(contents):
            with self._lock:
                self._loose.append(found)
        else:
            self._observe(found)

    def _look_at_archive(self, found: Folder, item: Item) -> None:
        """An archive is a volume of its own where it is copied. One with a folder's name stands for that folder."""
        path = layout.join(found.path, item.name)
        if found.watch.archives != "copy":
            if keys.volume_id(path) in self._inventory.volumes:
                self._ignore(found.watch, path, '`archives = "ignore"`', archive=True)
            return
        stem = item.name.rpartition(".")[0]
        folder = layout.join(found.path, stem)
        if stem in found.contents.folders and self._inventory.history(keys.volume_id(folder)).proofs:
            self._ignore(found.watch, path, f"shadowed: the folder {stem} is a book already", archive=True)
            return
        if stem in found.contents.folders:
            with self._lock:
                self._shadows[folder] = item.name
        sighting = self._named(found.watch, path, archive=True)
        if sighting is None:
            self._ignore(found.watch, path, "its place does not fit `layout`", archive=True)
            return
        sighting.archive = manifests.archive_of(item)[0].mark
        self._record(found, sighting, manifests.archive_of(item))

    def _shadow_over(self, path: str) -> str:
        """The archive that stands for this folder, or for one above it."""
        with self._lock:
            return next((name for folder, name in self._shadows.items() if layout.is_below(path, folder)), "")

    def _unlisted(self, found: Unlisted) -> None:
        if not found.told:
            self._tell(found.path, found.error)
        volume = volume_of(found.watch, found.path)
        if volume != found.path:
            parts = self._gathering().fail(volume, found.path)
            if parts is None:
                return
        if keys.volume_id(volume) in self._inventory.volumes:
            self._remember(found.watch, volume, Seen.UNKNOWN, "its folder could not be listed")

    def _tell(self, path: str, error: PagebindError) -> None:
        log.warning("listing failed", extra={"path": path, "reason": error.message})
        problem = Problem("listing_failed", _about(path, error.message), error.fix, path, error.retryable)
        with self._lock:
            self._survey.failed.append(error.path or path)  # where the walk ended, that may be a folder above
            self._survey.problems.append(problem)

    def _without_pages(self, found: Folder) -> None:
        contents = found.contents
        known = self._inventory.volumes.get(keys.volume_id(found.path))
        if contents.excluded_pages and not contents.folders:
            left_out = counted(contents.excluded_pages, "page")
            self._ignore(found.watch, found.path, f"`exclude` leaves out all that it has: {left_out}")
        elif known is not None and known.head is not None:
            self._remember(found.watch, found.path, Seen.GONE, "listed without pages; nothing is deleted")
        elif contents.archives and found.watch.archives != "copy":
            archives = counted(len(contents.archives), "archive")
            self._ignore(found.watch, found.path, f'{archives}: `archives = "ignore"`')

    def _ignore(self, watch: Watch, path: str, why: str, *, archive: bool = False) -> None:
        self._remember(watch, path, Seen.IGNORED, why, archive=archive)

    def _remember(self, watch: Watch, path: str, seen: Seen, why: str, *, archive: bool = False) -> None:
        """Note a volume that is not observed: as its newest manifest has it, if there is one."""
        volume = keys.volume_id(path)
        head = self._inventory.history(volume).head
        recorded = self._recorder.recorded(volume, head) if head else None
        if recorded is not None:
            self._add(remembered(recorded, seen, why))
            return
        automatic = watch._replace(layout=layout.AUTO)
        sighting = self._named(watch, path, archive=archive) or self._named(automatic, path, archive=archive)
        assert sighting is not None, "the automatic layout has a place for everything"
        sighting.seen, sighting.why = seen, why
        self._add(sighting)

    def _named(self, watch: Watch, path: str, *, archive: bool = False) -> Sighting | None:
        """A volume by its names alone; None where the layout has no place for it.

        The first manifest has fixed its key, unless it was decided since to go by the settings.
        """
        called = called_at(watch, path, archive=archive)
        if called is None:
            return None
        volume, key = keys.volume_id(path), called.key
        history, computed = self._inventory.history(volume), keys.library_digest(called.key)
        head = history.head
        if head is not None and computed not in (head.key_digest, history.standing.renamed):
            recorded = self._recorder.recorded(volume, head)
            key = recorded.key if recorded else key
        return Sighting(volume, path, watch.path, key, called.about)

    def _add(self, sighting: Sighting) -> None:
        with self._lock:
            self._survey.sightings[sighting.volume] = sighting

    def _observe(self, folder: Folder) -> None:
        """Turn a folder with pages into a sighting, and record its listing if it is new."""
        sighting = self._named(folder.watch, folder.path)
        assert sighting is not None, "it was placed before"
        self._record(folder, sighting, _pages_of(folder))

    def _record(self, folder: Folder, sighting: Sighting, pages: tuple[Page, ...]) -> None:
        history = self._inventory.history(sighting.volume)
        head = history.head
        revision = manifests.revision_of(pages)
        if head is not None and revision != head.revision:
            before = self._recorder.pages(sighting.volume, head)
            pages = manifests.keep_identities(pages, before)
            revision = manifests.revision_of(pages)
            if revision != head.revision and _look_alike(pages, before):
                sighting.why = "waits to settle: the same names and sizes, but other times or hashes than before"
        sighting.revision, sighting.pages = revision, len(manifests.pictures(pages))
        sighting.size = sum(page.size for page in pages)
        sighting.fresh = folder.fresh or not self._write  # a plan shows what a run would find
        sighting.may_refresh, sighting.asked = folder.may_refresh, folder.asked
        if self._is_news(sighting, history):
            self._recorder.append(sighting, pages)
        sighting.shrunk = self._lost_pages(folder.watch, sighting, pages)
        self._retain(sighting, pages)
        if not self._write and (history.proofs or history.staged):
            sighting.to_ask = self._to_ask(sighting, history, pages)
        self._add(sighting)

    def _lost_pages(self, watch: Watch, sighting: Sighting, pages: Sequence[Page]) -> tuple[str, ...]:
        newest = sighting.planned or self._inventory.history(sighting.volume).head
        assert newest is not None, "the listing was recorded, or planned"
        if self._inventory.history(sighting.volume).epochs(newest):
            return ()  # handed out already: nobody looks at the library for it
        view = self._inventory.view(sighting.volume, newest.key_digest, self._library.head)
        if view.revision == sighting.revision:
            return ()
        from pagebind.app.shrink import lost_pages

        return lost_pages(sighting, watch, pages, view, self._recorder, self._clock.now())

    def _to_ask(self, sighting: Sighting, history: History, pages: Sequence[Page]) -> tuple[int, int]:
        """How many files, and bytes of them, are not here in any form."""
        if sighting.planned is not None:
            history = replace(history, manifests=[*history.manifests, sighting.planned])
        waived = waived_contents(self._work, sighting.volume, history)
        missing = [page for page in pages if page.id not in history.staged and not is_waived(page, waived)]
        from pagebind.app.held import held_pages

        held = held_pages(self._work, sighting.volume, history, missing)
        asked = [page.size for page in missing if page.id not in held or not self._stands(held[page.id])]
        return len(asked), sum(asked)

    def _stands(self, held: Held) -> bool:
        """Whether what a page could be copied from is still there; a receipt outlives its book."""
        if not held.version:
            return True  # an entry, which was listed
        books = self._inventory.books.get(keys.library_digest(held.key), ())
        return any((book.key, book.version) == (held.key, held.version) for book in books)

    def _is_news(self, sighting: Sighting, history: History) -> bool:
        head = history.head
        if head is None or history.ambiguous:
            return True
        same = (head.revision, head.key_digest) == (sighting.revision, keys.library_digest(sighting.key))
        return not same or self._is_spoilt(sighting, history, head)

    def _is_spoilt(self, sighting: Sighting, history: History, head: ManifestMark) -> bool:
        """Whether an equal manifest must be written anew: it is damaged, or is dated by a clock that ran ahead."""
        if self._is_bound(sighting.volume, history, head):
            return False
        ahead = head.created > self._clock.now() + CLOCK_TOLERANCE
        return ahead or self._recorder.recorded(sighting.volume, head) is None

    def _retain(self, sighting: Sighting, pages: tuple[Page, ...]) -> None:
        """Keep the pages of what may be handed out in this run, and of what has entries already."""
        history = self._inventory.history(sighting.volume)
        head = history.head
        started = bool(history.staged) or (head is not None and bool(history.epochs(head)))
        if started and head is not None and self._is_bound(sighting.volume, history, head):
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

    def _decide_loose(self, first: str) -> None:
        """Pictures beside subfolders are no book if a folder below holds pages, and undecided if one is unknown.

        The deepest first: what they turn out to be decides about those above. Where the walk ended among the subfolders
        the next one begins at their folder, unless this one, ``first``, did so too, or even below.
        """
        survey = self._survey
        with_pages = {folder for s in survey.sightings.values() if s.seen is Seen.LISTED for folder in above(s.path)}
        again = []
        for folder in sorted(self._loose, key=lambda folder: folder.path.count("/"), reverse=True):
            if folder.path in with_pages:
                pictures = counted(len(folder.contents.pages), "loose picture")
                self._ignore(folder.watch, folder.path, f"{pictures} beside folders with pages")
            elif any(layout.is_below(path, folder.path) for path in survey.failed):
                self._remember(folder.watch, folder.path, Seen.UNKNOWN, "a folder below could not be listed")
            elif survey.stretch.holds_all_of(folder.path):
                self._observe(folder)
                with_pages.update(above(folder.path))
            elif place(folder.path) > place(first):
                again.append(folder.path)
            elif keys.volume_id(folder.path) in self._inventory.volumes:
                self._remember(folder.watch, folder.path, Seen.UNKNOWN, "not all folders below were listed in this run")
        ends = [end for end in (survey.stretch.end, *again) if end]
        survey.stretch = Stretch(survey.stretch.begin, min(ends, key=place, default=""))


def _pages_of(folder: Folder) -> tuple[Page, ...]:
    return manifests.pages_of(folder.contents.pages, folder.contents.info if folder.watch.comicinfo else None)


def _look_alike(pages: Sequence[Page], before: Sequence[Page]) -> bool:
    """Whether only times or hashes tell two listings apart, as on drives that make times up."""
    return [(page.name, page.size) for page in pages] == [(page.name, page.size) for page in before]


def _about(path: str, message: str) -> str:
    """The message, with the folder that it is about."""
    shown = on_one_line(path)
    return message if shown in message else f"{shown}: {message}"
