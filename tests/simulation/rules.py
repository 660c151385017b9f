"""What must hold in every world: one function for each sentence, and what it is held against.

Nothing here asks the product what it thinks: books are read by `zipfile`, and what a settled revision is follows from
the listings that the drive gave, and when. Of the product's own objects only keys and times are read, and what was
decided.
"""

from __future__ import annotations

import hashlib
import json
import traceback
import zipfile
from collections import Counter, defaultdict
from io import BytesIO
from math import log2
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.drive import CACHE, Heard, Pages, differing
from tests.simulation.effects import (
    Decided,
    decided,
    decision_takes_effect,
    held_as,
    is_forgotten,
    kind_of,
    newest,
    reason_is_true,
)

from pagebind.core import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.simulation.drive import Library
    from tests.simulation.memory_store import Kept, MemoryStore
    from tests.simulation.schedule import Process, Schedule

    from pagebind.core.keys import DecisionMark, ManifestMark, SentMark
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


class OnTheWay(NamedTuple):
    """A page that was handed out, and neither came nor failed since: when, and as which seq."""

    when: float
    seq: int


class Rules:
    """Watches a world.

    Attributes:
        broken: the first rule that did not hold; None: all have held.
        books, tasks: how many were published, and queued.
        ahead: so many pages may be under way.
        decided: all decisions of operators, by volume.
        handed: how many pages of which volumes each poll handed out, the first volume first.
        meddled: versions under a key that others put there, empty for none; `meddled_at`: when, last.
    """

    def __init__(
        self,
        schedule: Schedule,
        drive: Library,
        work: MemoryStore,
        library: MemoryStore,
        policy: Policy,
        ahead: float,
    ) -> None:
        self.broken: Broken | None = None
        self.books = self.tasks = 0
        self.schedule = schedule
        self.drive = drive
        self.work = work
        self.library = library
        self.policy = policy
        self._published: dict[str, Published] = {}
        self._tasks: Counter[tuple[str, str, int]] = Counter()
        self._ended: dict[Process, float] = {}
        self.ahead = ahead
        self.meddled: defaultdict[str, set[str]] = defaultdict(set)
        self.meddled_at: dict[str, float] = {}
        self.decided: defaultdict[str, list[Decided]] = defaultdict(list)
        self._removed: dict[str, float] = {}
        self.handed: defaultdict[Process, Counter[str]] = defaultdict(Counter)
        self._on_the_way: dict[tuple[str, str], OnTheWay] = {}
        work.changed = self._work_changed
        library.changed = self._library_changed

    # -- what they are told

    def poll_ended_well(self, process: Process) -> None:
        """It came to its end without an error: what it was shown, it knows."""
        self._ended[process] = self.schedule.now

    def somebody_meddled(self, key: str) -> None:
        """What stands under a key is not what Pagebind put there."""
        standing = self.library.head(key)
        self.meddled[key].add(standing.version if standing else "")
        self.meddled_at[key] = self.schedule.now

    def exception(self, error: Exception) -> None:
        """Something in this world has come to nothing."""
        if self.broken is None:
            *_, where = traceback.extract_tb(error.__traceback__)
            what = f"{type(error).__name__}: {error}, in {where.name}, {where.filename}:{where.lineno}"
            self._note_broken("exception", what)

    def task_was_queued(self, task: FetchTask | FinalizeTask) -> None:
        """A queue took a task."""
        self.tasks += 1
        page = getattr(task, "page", None)
        if page is not None:
            self._tasks[task.volume, page, task.seq] += 1
            self._hold(no_flood_of_tasks, task.volume, page, task.seq)
            self._hold(what_is_staged_is_kept, task.volume, page)
            self._note_handed_out(task.volume, page, task.seq)

    def _note_handed_out(self, volume: str, page: str, seq: int) -> None:
        process = self.schedule.process
        assert process is not None
        if process.name == "poll":  # a run's own queue is empty whenever it hands out
            self.handed[process][volume] += 1
            self._hold(back_pressure_is_kept, process)
        self._on_the_way[volume, page] = OnTheWay(self.schedule.now, seq)

    def _work_changed(self, key: str, before: Kept | None, after: Kept | None) -> None:
        prefix, volume = key.partition("/")[0] + "/", keys.volume_of(key)
        if prefix in (keys.STAGING, keys.FAILURES) and after is not None:
            self._on_the_way.pop((volume, _page_of(key)), None)
        if prefix == keys.DECISIONS and after is not None:
            self._note_decision(volume, after)
        if prefix == keys.SENT and after is not None:
            self._hold(no_flood_of_epochs, volume)
        if prefix == keys.STAGING and after is None and before is not None and keys.page_of(key) is not None:
            self._hold(no_entry_lost, volume, before)

    def _library_changed(self, key: str, before: Kept | None, after: Kept | None) -> None:
        if after is None:
            self._removed[key] = self.schedule.now
        if self.schedule.process is None:  # the world itself meddles
            return
        if before is not None:
            self._hold(no_book_lost, key, before, after)
        if after is not None:
            self.books += 1
            self._hold(one_settled_revision, key)
            self._hold(never_older, key)
            self._hold(no_book_of_what_is_forgotten, key)
            self._note_published(key)

    def _hold(self, rule: Callable[..., str], *about: object) -> None:
        what = rule(self, *about)
        if what and self.broken is None:
            self._note_broken(rule.__name__, what)

    def _note_broken(self, rule: str, what: str) -> None:
        self.broken = Broken(rule, self.schedule.now, what)
        self.schedule.tell(f"BROKEN {rule}: {what}")
        self.schedule.over = True

    def _note_decision(self, volume: str, kept: Kept) -> None:
        mark = keys.parse_decision(kept.info.key, kept.info.created)
        assert mark is not None
        if mark.kind != "moved":  # that is a poll's
            self.decided[volume].append(decided(self, self.path_of(volume), mark, kept.data))
            self.schedule.counts[f"decided: {kind_of(mark)}"] += 1

    def _note_published(self, key: str) -> None:
        book = self.book(key)
        if book is not None:
            self._published[key] = Published(self.schedule.now, book)
            path = self.path_of(book.volume)
            if all(book.pages != heard.pages for heard in self.drive.heard if heard.path == path):
                self.schedule.counts["a book without what was waived"] += 1

    # -- the end

    def polls_before_the_last(self) -> int:
        """So many polls bring every page that fails to its end, and every volume its share of back-pressure.

        A page fails in so many epochs, after one poll that lists it, and one that finds it settled.
        """
        rounds = 1 + self.policy.give_up_epochs if any(map(self.drive.lost, self.drive.folders)) else 0
        return rounds if self.policy.rate >= 1.0 else (rounds + 1) * self.polls_for_a_share()

    def polls_for_a_share(self) -> int:
        """So many polls, beside those that hand out at once, bring every volume its share of back-pressure."""
        return 0 if self.policy.rate >= 1.0 else len(self.drive.folders)

    def next_due(self) -> float:
        """When everything that is under way may be handed out again."""
        due = [self.schedule.now]
        for volume in self._volumes():
            sent = self.sent(volume)
            if sent:
                last = max(sent, key=lambda mark: (mark.seq, mark.epoch))
                wait = max(_HOUR, 4.0 * len(self.newest_pages(volume)) / self.policy.rate)
                due.append(last.created + wait * 2.0 ** (last.epoch - 1))
        return max(due)

    def all_came_to_an_end(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Everything had its time, and the last poll said this."""
        self.decisions_took_effect(told)
        for path in sorted(self.drive.folders):
            self._hold(bound_or_held, path, told)

    def decisions_took_effect(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Three polls have ended since the last decision, and the last said this."""
        for path in sorted(self.drive.folders):
            self._hold(decision_takes_effect, path, told)

    def are_bound(self, told: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether every volume has its book, or is left alone; or a rule is broken, and nothing matters any more."""
        return self.broken is not None or not any(bound(self, path, told) for path in self.drive.folders)

    def nothing_is_held(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """It is the end of the world: operators have lifted every hold, and the last poll said this."""
        for path in sorted(self.drive.folders):
            self._hold(bound, path, told)
            self._hold(staging_ends_empty, path, told)

    # -- what they know

    def _volumes(self) -> set[str]:
        return {keys.volume_of(info.key) for info in self.work.list(keys.MANIFESTS)}

    def book(self, key: str) -> Book | None:
        """What stands under a key; None where it is nothing, or not ours."""
        if self.library.head(key) is None:
            return None
        kept = self.library.kept(key)
        said = kept.info.metadata or {}
        if "volume" not in said:
            return None
        with zipfile.ZipFile(BytesIO(kept.data)) as file:
            assert file.testzip() is None, f"{key} is damaged"
            pages = {name: file.read(name) for name in file.namelist() if name != "ComicInfo.xml"}
        return Book(said["volume"], int(said["seq"]), kept.info.version, pages)

    def sent(self, volume: str) -> list[SentMark]:
        """Every handing out of a volume."""
        marks = (keys.parse_sent(info.key, info.created) for info in self.work.list(f"{keys.SENT}{volume}/"))
        return [mark for mark in marks if mark]

    def decisions(self, volume: str) -> list[DecisionMark]:
        """Every decision about a volume."""
        found = self.work.list(f"{keys.DECISIONS}{volume}/")
        marks = (keys.parse_decision(info.key, info.created) for info in found)
        return [mark for mark in marks if mark]

    def path_of(self, volume: str) -> str:
        """The path of a volume that was ever listed; empty: it never was."""
        return next((heard.path for heard in self.drive.heard if keys.volume_id(heard.path) == volume), "")

    def newest_listing(self, volume: str) -> ManifestMark | None:
        """The newest one on record; None: there is none, or two have its seq."""
        found = (keys.parse_manifest(info.key, info.created) for info in self.work.list(f"{keys.MANIFESTS}{volume}/"))
        marks = sorted((mark for mark in found if mark), key=lambda mark: mark.seq)
        alone = marks and sum(mark.seq == marks[-1].seq for mark in marks) == 1
        return marks[-1] if alone else None

    def newest_pages(self, volume: str) -> dict[str, str]:
        """Names and ids of the pages of that listing."""
        mark = self.newest_listing(volume)
        return {} if mark is None else dict(_pages_of(self.work.get(keys.manifest_key(volume, mark))))

    def surely_under_way(self, process: Process) -> int:
        """How many pages a poll has to count as under way: nothing else could be said of them since it began."""
        heard = {one.path: one for one in self.drive.heard if one.by is process and one.pages}
        return sum(
            self._is_under_way(volume, seq, heard[path])
            for (volume, _), (when, seq) in self._on_the_way.items()
            if when < process.began and (path := self.path_of(volume)) in heard
        )

    def _is_under_way(self, volume: str, seq: int, heard: Heard) -> bool:
        """Whether the poll that heard this has to find that this seq is handed out, and goes on."""
        head, sent = self.newest_listing(volume), [mark for mark in self.sent(volume) if mark.seq == seq]
        key = f"S/{heard.path.rpartition('/')[2]}.cbz"
        if head is None or head.seq != seq or self.decided[volume] or self.meddled[key]:
            return False
        last = max(sent, key=lambda mark: mark.epoch)
        standing = self.library.head(key)
        has_it = standing is not None and (standing.metadata or {}).get("revision") == head.revision
        return not has_it and self.schedule.now < last.created + _HOUR * 2.0 ** (last.epoch - 1)

    def is_nothing_left(self, volume: str) -> bool:
        """Whether the book may go without all files of the newest listing, and none of them is here."""
        pages = self.newest_pages(volume)
        staged = (self.work.head(keys.entry_key(volume, page)) for page in pages.values())
        return pages.keys() <= self.waived(volume) and not any(staged)

    def seen_since(self, path: str, when: float) -> set[str]:
        """Names of a volume that polls saw which ended after some time."""
        heard = (one for one in self.drive.heard if one.path == path and self._end_of(one.by) > when)
        return {name for one in heard for name in one.pages}

    def waived(self, volume: str) -> set[str]:
        """Names of the files of the newest listing that the book may go without now."""
        retried, mark = newest(self, volume, "retry"), self.newest_listing(volume)
        made = (one for one in self.decided[volume] if retried is None or one.order > retried.order)
        files = {file for one in made for file in one.waived}
        listed = files and mark and json.loads(self.work.get(keys.manifest_key(volume, mark)))["pages"]
        return {name for name, _, size, about, *_ in listed or () if (name, size, about) in files}

    def may_lack(self, volume: str, name: str, data: bytes) -> bool:
        """Whether an operator ever waived this file, told by its hash or, where none is listed, by its size."""
        waived = {(file, size, about) for one in self.decided[volume] for file, size, about in one.waived}
        by_hash = f"md5:{hashlib.md5(data).hexdigest()}"
        return any(
            (file, size) == (name, len(data)) and (about == by_hash or not self.drive.hashes)
            for file, size, about in waived
        )

    def is_whole(self, book: Book, pages: Pages) -> bool:
        """Whether a book holds exactly these pages, less what was waived."""
        lacking = pages.keys() - book.pages.keys()
        absent = {name for name in lacking if self.may_lack(book.volume, name, pages[name])}
        return bool(book.pages) and book.pages == {name: data for name, data in pages.items() if name not in absent}

    def is_receipted(self, book: Book) -> bool:
        """Whether a receipt names this version of it."""
        version = keys.version_digest(book.version)
        return any(f".{version}." in info.key for info in self.work.list(f"{keys.DONE}{book.volume}/"))

    def has_settled(self, book: Book) -> bool:
        """Whether a book is a revision that was settled in some listing of its folder.

        An empty listing says nothing: drives in trouble give some.
        """
        path = self.path_of(book.volume)
        heard = [one for one in self.drive.heard if one.path == path and one.pages and not one.again]
        return any(
            self.is_whole(book, last.pages) and self._is_settled(last, heard[:place])
            for place, last in enumerate(heard)
        )

    def _is_settled(self, last: Heard, before: list[Heard]) -> bool:
        """Whether a listing shows what had stood for long enough.

        What a poll saw counts up to the time when it had written it down, which is when it ended: others cannot know
        any better. Where nobody may ask for a fresh listing, one may be as old as the cache lets it be.
        """
        settle = self.policy.settle
        if settle <= 0:
            return True
        if not last.fresh and self.drive.may_refresh:
            return False
        patience = settle + (0.0 if self.drive.may_refresh else CACHE)
        same = [one for one in before if one.pages == last.pages]
        others = [one for one in before if one.pages != last.pages and self._end_of(one.by) <= last.by.began]
        changed = max((one.when for one in others), default=0.0)
        since = (when for one in same for when in (one.when, self._end_of(one.by)))
        return any(changed < when <= last.when - patience for when in since)

    def _end_of(self, process: Process) -> float:
        """When a poll came to its end; one that did not, or not well, may have written down nothing."""
        return self._ended.get(process, self.schedule.now + 1.0)


# -- safety


def one_settled_revision(rules: Rules, key: str) -> str:
    """Never a book that is not exactly one settled revision (less what was waived)."""
    book = rules.book(key)
    if book is None:
        return f"{key} says of no volume that it is its book"
    if rules.has_settled(book):
        return ""
    listed = [one.pages for one in rules.drive.heard if one.path == rules.path_of(book.volume)]
    if any(rules.is_whole(book, pages) for pages in listed):
        return f"{key}, seq {book.seq}, is a listing that had not settled"
    nearest = min(listed, key=lambda pages: len(pages.items() ^ book.pages.items()), default={})
    return f"{key}, seq {book.seq}, is no listing; against the nearest it {differing(nearest, book.pages)}"


def never_older(rules: Rules, key: str) -> str:
    """The bound seq never falls without a decision, nor with one.

    But for one whose process had looked before the book was removed: it found the place free.
    """
    book, before, process = rules.book(key), rules._published.get(key), rules.schedule.process
    if book is None or before is None or process is None or process.began <= rules._removed.get(key, 0.0):
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
    if before.info.created < rules.schedule.now - _STAGING_MEMORY:
        return ""
    receipts = [rules.work.get(info.key) for info in rules.work.list(f"{keys.DONE}{volume}/")]
    held = {row[0] for content in receipts for row in json.loads(content)["pages"]}
    if not receipts:
        return f"page {page} of {volume} goes, and no receipt says what became of it"
    listed = sorted(rules.work.list(f"{keys.MANIFESTS}{volume}/"), reverse=True)
    # Of two that got one seq, from two polls at once, one counts. What was here before a listing came may go with the
    # book that is put together at that moment (ADR 19).
    ambiguous = len({info.key.rpartition("/")[2].partition(".")[0] for info in listed[:2]}) < len(listed[:2])
    if ambiguous or page in held or not listed or before.info.created < listed[0].created:
        return ""
    wanted = page in dict(_pages_of(rules.work.get(listed[0].key))).values()
    return f"page {page} of {volume} goes, and the newest listing still wants it" if wanted else ""


def _page_of(key: str) -> str:
    """The page whose entry or failure this is."""
    failure = keys.parse_failure(key)
    return (failure.page if failure else keys.page_of(key)) or ""


def _volume_of(kept: Kept) -> str:
    return (kept.info.metadata or {}).get("volume", "")


def _pages_of(manifest: bytes) -> Iterator[tuple[str, str]]:
    for name, book_name, size, mark, *_ in json.loads(manifest)["pages"]:
        yield name, keys.digest(f"{book_name}\0{size}\0{mark}", 20)


def no_book_of_what_is_forgotten(rules: Rules, key: str) -> str:
    """Of what was forgotten no book is published by whoever began after that."""
    book, process = rules.book(key), rules.schedule.process
    forgotten = is_forgotten(rules, book.volume) if book else None
    if forgotten is None or process is None or process.began <= forgotten.when:
        return ""
    return f"{key} is published, though its volume was forgotten"


# -- no flood


def no_flood_of_tasks(rules: Rules, volume: str, page: str, seq: int) -> str:
    """At most 1 + epochs tasks per page."""
    epochs = sum(mark.seq == seq for mark in rules.sent(volume))
    tasks = rules._tasks[volume, page, seq]
    return f"page {page} of {volume}, seq {seq}: {tasks} tasks in {epochs} epochs" if tasks > 1 + epochs else ""


def no_flood_of_epochs(rules: Rules, volume: str) -> str:
    """On a durable queue epochs are at most 1 + log2(1 + age / 1 h) since the first, one more for each decision."""
    if not rules.policy.durable:
        return ""
    sent = rules.sent(volume)
    # Two polls at once may give one seq to two revisions.
    for seq, revision in sorted({(mark.seq, mark.revision) for mark in sent}):
        marks = [mark for mark in sent if (mark.seq, mark.revision) == (seq, revision)]
        first = min(mark.created for mark in marks)
        decisions = sum(mark.created >= first for mark in rules.decisions(volume))
        most = 1 + log2(1 + (rules.schedule.now - first) / _HOUR) + decisions
        if len(marks) > most + 1e-6:
            return f"{volume}, seq {seq}: {len(marks)} epochs, where {most:.2f} are the most"
    return ""


def what_is_staged_is_kept(rules: Rules, volume: str, page: str) -> str:
    """No page is asked for again that was here already before anybody began who could ask."""
    entry, process = rules.work.head(keys.entry_key(volume, page)), rules.schedule.process
    if entry is None or process is None or entry.created >= process.began:
        return ""
    return f"page {page} of {volume} is handed out, and is staged since {process.began - entry.created:.0f} s before"


def back_pressure_is_kept(rules: Rules, process: Process) -> str:
    """No poll hands out more than may be under way, but for the first volume where nothing is."""
    under_way, volumes = rules.surely_under_way(process), rules.handed[process]
    first, total = next(iter(volumes.values())), volumes.total()
    most = max(0.0, rules.ahead - under_way) if under_way else max(first, rules.ahead)
    if total <= most:
        return ""
    return f"{total} pages are handed out at once and {under_way} are under way, where {rules.ahead:.1f} are the most"


# -- liveness


def bound_or_held(rules: Rules, path: str, told: Mapping[str, Mapping[str, Any]]) -> str:
    """Three polls after everything was due, each volume is bound, or held with a reason."""
    said = told.get(keys.volume_id(path))
    if "" not in told and said is not None and held_as(said):
        return reason_is_true(rules, path, said)
    return bound(rules, path, told)


def bound(rules: Rules, path: str, told: Mapping[str, Mapping[str, Any]]) -> str:
    """A volume has the book that it is to have, with its receipt, unless it is forgotten."""
    volume, pages = keys.volume_id(path), rules.drive.pages(path)
    if "" in told:
        return f"{path}: the last poll failed: {told['']['message']}"
    said = told.get(volume)
    if said is None:
        return f"{path}: the last poll says nothing of it"
    if said["state"] == "ignored" and is_forgotten(rules, volume):
        return ""
    book = rules.book(said["key"])
    may_be = said["state"] not in ("held", "ignored")  # it may have been bound after the poll that says so
    if book is not None and may_be and rules.is_whole(book, pages) and rules.is_receipted(book):
        return ""
    found = "is not there" if book is None else differing(pages, book.pages)
    return f"{path} is {said['state']} ({said['reason']}), and its book {found}"


def staging_ends_empty(rules: Rules, path: str, told: Mapping[str, Mapping[str, Any]]) -> str:
    """Nothing is staged any more of a volume that has its book."""
    volume = keys.volume_id(path)
    left = [info.key for info in rules.work.list(f"{keys.STAGING}{volume}/")]
    return f"{path} is bound, and {', '.join(left)} still stand" if told[volume]["state"] == "bound" and left else ""
