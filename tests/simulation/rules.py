"""What must hold in every world: one function for each sentence, and what it is held against.

Nothing here asks the product what it thinks: books are read by `zipfile`, and what a settled revision is follows from
the listings that the drive gave, and when. Of the product's own objects only keys and times are read, and what was
decided.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter, defaultdict
from io import BytesIO
from math import log2
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.drive import Heard, Pages, differing

from pagebind.core import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.simulation.drive import Library
    from tests.simulation.memory_store import Kept, MemoryStore
    from tests.simulation.schedule import Process, Schedule

    from pagebind.core.keys import DecisionMark, SentMark
    from pagebind.core.planner import Policy
    from pagebind.ports.dispatch import FetchTask, FinalizeTask

_HOUR = 3600.0
_STAGING_MEMORY = 30 * 86400.0


class Broken(NamedTuple):
    """A rule that does not hold: when, and what shows it."""

    rule: str
    when: float
    what: str


class Book(NamedTuple):
    """A book of ours as it stands in the library: what its metadata says, and its pages as Python reads them."""

    volume: str
    seq: int
    version: str
    pages: Pages


class Published(NamedTuple):
    """A book that was published, and when."""

    when: float
    book: Book


class Rules:
    """Watches a world.

    Attributes:
        broken: the first rule that did not hold; None: all have held.
        books, tasks: how many were published, and queued.
    """

    def __init__(
        self, schedule: Schedule, drive: Library, work: MemoryStore, library: MemoryStore, policy: Policy
    ) -> None:
        self.broken: Broken | None = None
        self.books = self.tasks = 0
        self._schedule = schedule
        self._drive = drive
        self._work = work
        self._library = library
        self._policy = policy
        self._published: dict[str, Published] = {}
        self._tasks: Counter[tuple[str, str, int]] = Counter()
        self._ended: dict[Process, float] = {}
        self._meddled: defaultdict[str, set[str]] = defaultdict(set)
        work.changed = self._work_changed
        library.changed = self._library_changed

    # -- what they are told

    def poll_ended_well(self, process: Process) -> None:
        """It came to its end without an error: what it was shown, it knows."""
        self._ended[process] = self._schedule.now

    def somebody_meddled(self, key: str) -> None:
        """What stands under a key is not what Pagebind put there."""
        standing = self._library.head(key)
        self._meddled[key].add(standing.version if standing else "")

    def task_was_queued(self, task: FetchTask | FinalizeTask) -> None:
        """A queue took a task."""
        self.tasks += 1
        page = getattr(task, "page", None)
        if page is not None:
            self._tasks[task.volume, page, task.seq] += 1
            self._hold(no_flood_of_tasks, task.volume, page, task.seq)

    def _work_changed(self, key: str, before: Kept | None, after: Kept | None) -> None:
        prefix, volume = key.partition("/")[0] + "/", keys.volume_of(key)
        if prefix == keys.SENT and after is not None:
            self._hold(no_flood_of_epochs, volume)
        if prefix == keys.STAGING and after is None and before is not None and keys.page_of(key) is not None:
            self._hold(no_entry_lost, volume, before)

    def _library_changed(self, key: str, before: Kept | None, after: Kept | None) -> None:
        if self._schedule.process is None:  # the world itself meddles
            if after is None:  # a finalize that looked before the first book came finds the place free once more
                self._published.pop(key, None)
            return
        if before is not None:
            self._hold(no_book_lost, key, before, after)
        if after is not None:
            self.books += 1
            self._hold(one_settled_revision, key)
            self._hold(never_older, key)
            self._note_published(key)

    def _hold(self, rule: Callable[..., str], *about: object) -> None:
        what = rule(self, *about)
        if what and self.broken is None:
            self.broken = Broken(rule.__name__, self._schedule.now, what)
            self._schedule.tell(f"BROKEN {rule.__name__}: {what}")
            self._schedule.over = True

    def _note_published(self, key: str) -> None:
        book = self.book(key)
        if book is not None:
            self._published[key] = Published(self._schedule.now, book)

    # -- the end

    def polls_before_the_last(self, epochs: int) -> int:
        """So many polls bring every page that fails to its end, and every volume its share of back-pressure.

        A page fails in so many epochs, after one poll that lists it, and one that finds it settled.
        """
        volumes = len(self._drive.folders)
        rounds = 1 + epochs if self._drive.has_broken_pages() or any(self._work.list(keys.FAILURES)) else 0
        return rounds if self._policy.rate >= 1.0 else (rounds + 1) * volumes

    def next_due(self) -> float:
        """When everything that is under way may be handed out again."""
        due = [self._schedule.now]
        for volume in self._volumes():
            sent = self.sent(volume)
            if sent:
                last = max(sent, key=lambda mark: (mark.seq, mark.epoch))
                due.append(last.created + _HOUR * 2.0 ** (last.epoch - 1))
        return max(due)

    def all_came_to_an_end(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """It is the end of the world, and the last poll said this."""
        for path in sorted(self._drive.folders):
            self._hold(bound_or_held, path, told)

    # -- what they know

    def _volumes(self) -> set[str]:
        return {keys.volume_of(info.key) for info in self._work.list(keys.MANIFESTS)}

    def book(self, key: str) -> Book | None:
        """What stands under a key; None where it is nothing, or not ours."""
        if self._library.head(key) is None:
            return None
        kept = self._library.kept(key)
        said = kept.info.metadata or {}
        if "volume" not in said:
            return None
        with zipfile.ZipFile(BytesIO(kept.data)) as file:
            assert file.testzip() is None, f"{key} is damaged"
            pages = {name: file.read(name) for name in file.namelist() if name != "ComicInfo.xml"}
        return Book(said["volume"], int(said["seq"]), kept.info.version, pages)

    def sent(self, volume: str) -> list[SentMark]:
        """Every handing out of a volume."""
        marks = (keys.parse_sent(info.key, info.created) for info in self._work.list(f"{keys.SENT}{volume}/"))
        return [mark for mark in marks if mark]

    def decisions(self, volume: str) -> list[DecisionMark]:
        """Every decision about a volume."""
        found = self._work.list(f"{keys.DECISIONS}{volume}/")
        marks = (keys.parse_decision(info.key, info.created) for info in found)
        return [mark for mark in marks if mark]

    def path_of(self, volume: str) -> str:
        """The path of a volume that was ever listed; empty: it never was."""
        return next((heard.path for heard in self._drive.heard if keys.volume_id(heard.path) == volume), "")

    def waived(self, volume: str) -> set[tuple[str, int]]:
        """Name and size of every file that an operator ever waived."""
        found = self._work.list(f"{keys.DECISIONS}{volume}/")
        waiving = (json.loads(self._work.get(info.key)) for info in found if ".without-missing." in info.key)
        return {(name, size) for document in waiving for name, size, _ in document["pages"]}

    def is_whole(self, book: Book, pages: Pages) -> bool:
        """Whether a book holds exactly these pages, less what was waived."""
        waived = self.waived(book.volume)
        absent = {name for name in pages.keys() - book.pages.keys() if (name, len(pages[name])) in waived}
        return bool(book.pages) and book.pages == {name: data for name, data in pages.items() if name not in absent}

    def is_receipted(self, book: Book) -> bool:
        """Whether a receipt names this version of it."""
        version = keys.version_digest(book.version)
        return any(f".{version}." in info.key for info in self._work.list(f"{keys.DONE}{book.volume}/"))

    def has_settled(self, book: Book) -> bool:
        """Whether a book is a revision that was settled in some listing of its folder.

        An empty listing says nothing: drives in trouble give some.
        """
        path = self.path_of(book.volume)
        heard = [one for one in self._drive.heard if one.path == path and one.pages and not one.again]
        return any(
            self.is_whole(book, last.pages) and self._is_settled(last, heard[:place])
            for place, last in enumerate(heard)
        )

    def _is_settled(self, last: Heard, before: list[Heard]) -> bool:
        """Whether a listing shows what had stood for long enough.

        What a poll saw counts up to the time when it had written it down, which is when it ended: others cannot know
        any better. A poll may judge later than it listed; that matters where only time can tell.
        """
        settle = self._policy.settle
        if settle <= 0:
            return True
        if not last.fresh and self._drive.may_refresh:
            return False
        seen = last.when if last.fresh else max(last.when, self._end_of(last.by))
        same = [one for one in before if one.pages == last.pages]
        others = [one for one in before if one.pages != last.pages and self._end_of(one.by) <= last.by.began]
        changed = max((one.when for one in others), default=0.0)
        since = (when for one in same for when in (one.when, self._end_of(one.by)))
        return any(changed < when <= seen - settle for when in since)

    def _end_of(self, process: Process) -> float:
        """When a poll came to its end; one that did not, or not well, may have written down nothing."""
        return self._ended.get(process, self._schedule.now + 1.0)


# -- safety


def one_settled_revision(rules: Rules, key: str) -> str:
    """Never a book that is not exactly one settled revision (less what was waived)."""
    book = rules.book(key)
    if book is None:
        return f"{key} says of no volume that it is its book"
    if rules.has_settled(book):
        return ""
    listed = [one.pages for one in rules._drive.heard if one.path == rules.path_of(book.volume)]
    if any(rules.is_whole(book, pages) for pages in listed):
        return f"{key}, seq {book.seq}, is a listing that had not settled"
    nearest = min(listed, key=lambda pages: len(pages.items() ^ book.pages.items()), default={})
    return f"{key}, seq {book.seq}, is no listing; against the nearest it {differing(nearest, book.pages)}"


def never_older(rules: Rules, key: str) -> str:
    """The bound seq never falls without a decision."""
    book, before = rules.book(key), rules._published.get(key)
    if book is None or before is None:
        return ""
    if any(mark.created >= before.when for mark in rules.decisions(book.volume)):
        return ""
    if book.volume == before.book.volume and book.seq < before.book.seq:
        return f"{key} has seq {book.seq} after {before.book.seq}"
    return ""


def no_book_lost(rules: Rules, key: str, before: Kept, after: Kept | None) -> str:
    """Nothing lost: what stands in the library goes only for a newer revision, or because it was decided."""
    published = rules._published.get(key)
    decided = {
        mark.subject
        for volume in rules._volumes()
        for mark in rules.decisions(volume)
        if mark.kind in ("replace", "forget")
    }
    if keys.version_digest(before.info.version) in decided:
        return ""
    if after is None:
        # That a volume is forgotten with its book is meant of one, too, that was published meanwhile.
        meant = any(mark.kind == "forget" and mark.subject for mark in rules.decisions(_volume_of(before)))
        return "" if meant else f"{key} was deleted, and nobody had decided that"
    if published is None or published.book.version != before.info.version:
        return f"{key} was not ours, and nobody had decided that ours may go over it"
    return ""


def no_entry_lost(rules: Rules, volume: str, before: Kept) -> str:
    """Nothing lost: a page that was staged goes only when a receipt says where else its bytes stand."""
    page = keys.page_of(before.info.key) or ""
    if before.info.created < rules._schedule.now - _STAGING_MEMORY:
        return ""
    receipts = [rules._work.get(info.key) for info in rules._work.list(f"{keys.DONE}{volume}/")]
    held = {row[0] for content in receipts for row in json.loads(content)["pages"]}
    if not receipts:
        return f"page {page} of {volume} goes, and no receipt says what became of it"
    listed = sorted(rules._work.list(f"{keys.MANIFESTS}{volume}/"), reverse=True)
    # Of two that got one seq, from two polls at once, one counts. What was here before a listing came may go with the
    # book that is put together at that moment (ADR 19).
    ambiguous = len({info.key.rpartition("/")[2].partition(".")[0] for info in listed[:2]}) < len(listed[:2])
    if ambiguous or page in held or not listed or before.info.created < listed[0].created:
        return ""
    wanted = page in _pages_of(rules._work.get(listed[0].key))
    return f"page {page} of {volume} goes, and the newest listing still wants it" if wanted else ""


def _volume_of(kept: Kept) -> str:
    return (kept.info.metadata or {}).get("volume", "")


def _pages_of(manifest: bytes) -> Iterator[str]:
    for _, book_name, size, mark, *_ in json.loads(manifest)["pages"]:
        yield keys.digest(f"{book_name}\0{size}\0{mark}", 20)


# -- no flood


def no_flood_of_tasks(rules: Rules, volume: str, page: str, seq: int) -> str:
    """At most 1 + epochs tasks per page."""
    epochs = sum(mark.seq == seq for mark in rules.sent(volume))
    tasks = rules._tasks[volume, page, seq]
    return f"page {page} of {volume}, seq {seq}: {tasks} tasks in {epochs} epochs" if tasks > 1 + epochs else ""


def no_flood_of_epochs(rules: Rules, volume: str) -> str:
    """On a durable queue epochs are at most 1 + log2(1 + age / 1 h) since the first, one more for each decision."""
    if not rules._policy.durable:
        return ""
    sent = rules.sent(volume)
    # Two polls at once may give one seq to two revisions.
    for seq, revision in sorted({(mark.seq, mark.revision) for mark in sent}):
        marks = [mark for mark in sent if (mark.seq, mark.revision) == (seq, revision)]
        first = min(mark.created for mark in marks)
        decisions = sum(mark.created >= first for mark in rules.decisions(volume))
        most = 1 + log2(1 + (rules._schedule.now - first) / _HOUR) + decisions
        if len(marks) > most + 1e-6:
            return f"{volume}, seq {seq}: {len(marks)} epochs, where {most:.2f} are the most"
    return ""


# -- liveness


def bound_or_held(rules: Rules, path: str, told: Mapping[str, Mapping[str, Any]]) -> str:
    """Three polls after everything was due, each volume is bound, or held with a reason."""
    volume, pages = keys.volume_id(path), rules._drive.pages(path)
    if "" in told:
        return f"{path}: the last poll failed: {told['']['message']}"
    said = told.get(volume)
    if said is None:
        return f"{path}: the last poll says nothing of it"
    book = rules.book(said["key"])
    if book is not None and rules.is_whole(book, pages) and rules.is_receipted(book):
        return ""
    if said["state"] == "held":
        return _reason_is_true(rules, path, said)
    if said["state"] == "ignored":
        forgotten = any(mark.kind == "forget" for mark in rules.decisions(volume))
        return "" if forgotten else f"{path} is ignored: {said['reason']}"
    found = "is not there" if book is None else differing(pages, book.pages)
    return f"{path} is {said['state']} ({said['reason']}), and its book {found}"


def _reason_is_true(rules: Rules, path: str, said: Mapping[str, Any]) -> str:
    """Whether a volume is held for something that did happen."""
    code, key = said["problem"]["code"], said["key"]
    standing = rules._library.head(key)
    meddled = rules._meddled[key]
    earlier = {name for heard in rules._drive.heard if heard.path == path for name in heard.pages}
    true = {
        "shrunk": bool(earlier - rules._drive.folders[path].keys()),
        "page_failed": any(rules._drive.failed.get(f"{path}/{name}") for name in rules._drive.folders[path]),
        "foreign": standing is not None and standing.version in meddled,
        "changed": standing is not None and standing.version in meddled,
        "removed": standing is None and bool(meddled),
    }
    return "" if true.get(code) else f"{path} is held as {code}, which is not so: {said['reason']}"
