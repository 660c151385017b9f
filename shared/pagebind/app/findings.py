"""What a poll or run has found, as notices need it."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import keys, layout, notices, receipt
from pagebind.core.notices import Book, Changes, Found, Item, Topic
from pagebind.core.planner import Seen, State
from pagebind.core.walk_order import place
from pagebind.core.wording import counted
from pagebind.errors import KeyMissing, ListingFailed, PagebindError, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pagebind.app.assess import Assessment
    from pagebind.app.poll import Poll
    from pagebind.core.history import History
    from pagebind.core.keys import FailureMark
    from pagebind.ports.store import Store

_ON_THE_WAY = (State.WAITING, State.FETCHING, State.COMPLETE)


class Run(NamedTuple):
    """A poll or run at its end.

    Attributes:
        poll: which has listed the stores, and asked the server or not.
        assessments: all that was judged last.
        error: what ended it early.
        paths: on the server, that it was for; none: everything.
        made_here: ids of volumes whose books it has bound itself.
    """

    poll: Poll
    assessments: Sequence[Assessment]
    error: PagebindError | None
    paths: Sequence[str] = ()
    made_here: Collection[str] = ()


def found(run: Run, volumes: Mapping[str, History], now: float) -> Found:
    """What it has found. ``volumes``: all histories."""
    judged = {a.sighting.volume: a for a in run.assessments}
    return Found(
        books=books_of(volumes),
        taken_over=_taken_over(volumes),
        made_here=run.made_here,
        known=volumes.keys() | judged.keys(),
        held={volume: _why_held(a) for volume, a in judged.items() if _was_looked_at(a)},
        failing={volume: failed[0].seq for volume, a in judged.items() if (failed := _failed(a))},
        on_the_way={volume: _seq_on_the_way(a) for volume, a in judged.items()},
        unlisted=set(_unlisted(run)),
        walked=_walked(run),
        trouble=_trouble(run),
        now=now,
    )


def books_of(volumes: Mapping[str, History]) -> list[Book]:
    """All receipts that there are."""
    return [Book(volume, mark) for volume, history in volumes.items() for mark in history.receipts]


def _taken_over(volumes: Mapping[str, History]) -> set[str]:
    """Receipts for books that another volume's receipts name too, which was moved to where this one is."""
    return {
        Book(heir, mark).id
        for history in volumes.values()
        if history.decisions and (heir := history.standing.handed_to) in volumes
        for mark in volumes[heir].receipts
        if any(mark.version_digest == former.version_digest for former in history.receipts)
    }


def _was_looked_at(assessment: Assessment) -> bool:
    """Whether it is known if the volume is held; of a book that is up to date it is in any case."""
    return assessment.sighting.seen is not Seen.UNKNOWN or assessment.verdict.state is State.BOUND


def _why_held(assessment: Assessment) -> str | None:
    """It is another case by another reason or decision; the listing may come and go."""
    problem = assessment.verdict.problem
    if assessment.verdict.state is not State.HELD or problem is None:
        return None
    return f"{problem.code}.{assessment.history.standing.newest}"


def _failed(assessment: Assessment) -> list[FailureMark]:
    """The failures of its newest epoch that have not been made up for since, where that goes on by itself."""
    history, head = assessment.history, assessment.history.head
    newest = history.newest_epoch(head) if head is not None else None
    if newest is None or assessment.verdict.state is not State.FETCHING:
        return []
    retried, staged = history.standing.retried, history.staged
    return [
        mark
        for mark in history.failures
        if (mark.seq, mark.epoch) == (newest.seq, newest.epoch) and mark.created > retried and mark.page not in staged
    ]


def _seq_on_the_way(assessment: Assessment) -> int | None:
    head = assessment.history.head
    return head.seq if head is not None and assessment.verdict.state in _ON_THE_WAY else None


def _has_walked(run: Run) -> bool:
    """Whether its survey is that of a walk that came to its end, or to that of its budget."""
    came_to_its_end = run.error is None or isinstance(run.error, ListingFailed | QueueUnavailable)
    return came_to_its_end and run.poll.survey.roots > 0


def _unlisted(run: Run) -> Iterator[str]:
    if _has_walked(run):
        for problem in run.poll.survey.problems:
            if problem.code == ListingFailed.code and problem.path is not None:
                yield problem.path


def _walked(run: Run) -> Callable[[str], bool]:
    """Whether a folder would have been listed in this run."""
    if not _has_walked(run):
        return lambda _: False
    if run.paths:
        return lambda path: any(layout.is_below(path, asked) for asked in run.paths)
    begin, end = map(place, run.poll.survey.stretch)
    return lambda path: begin <= place(path) and (not end or place(path) < end)


def _trouble(run: Run) -> str | None:
    if run.error is not None and run.error.code in notices.TROUBLES:
        return run.error.code
    return "" if _has_walked(run) else None


class Namer:
    """Names what is new, by a few reads.

    Args:
        limit: so many of each kind are named.
        in_time: whether there is still time to read; what was not read in time is named by what is known of it.
    """

    def __init__(self, work: Store, run: Run, *, limit: int, in_time: Callable[[], bool]) -> None:
        self._work = work
        self._run = run
        self._limit = limit
        self._in_time = in_time
        self._judged = {a.sighting.volume: a for a in run.assessments}

    def topics(self, changes: Changes, on: Collection[str], now: float) -> Iterator[Topic]:
        """What is to be told, of the kinds ``on``.

        Raises:
            StoreUnavailable: the store cannot be read now.
        """
        if "source" in on and changes.begun is not None:
            fix = notices.harmless(self._run.error.fix) if self._run.error else ""
            yield notices.of_trouble(changes.begun, fix, changes.ended)
        elif "source" in on and changes.ended is not None:
            yield notices.of_recovery(changes.ended, now)
        if "bound" in on and changes.books:
            named = sorted(self._book(book) for book in changes.books[: self._limit])
            yield notices.of_books(len(changes.books), named)
        if "held" in on and changes.held:
            yield notices.of_held(len(changes.held), [self._held(a) for a in self._first(changes.held)])
        if "failed" in on and changes.failing:
            yield notices.of_failing(len(changes.failing), [self._failing(a) for a in self._first(changes.failing)])
        if "failed" in on and changes.unlisted:
            yield notices.of_unlisted(len(changes.unlisted), self._folders(changes.unlisted))

    def _first(self, volumes: Sequence[str]) -> list[Assessment]:
        return sorted((self._judged[volume] for volume in volumes), key=lambda a: a.sighting.path)[: self._limit]

    def _book(self, book: Book) -> Item:
        again = " (new revision)" if self._is_new_revision(book) else ""
        try:
            made = receipt.load(self._read(keys.receipt_key(book.volume, book.mark)))
        except (KeyMissing, ValueError):
            return Item(f"{book.volume}{again}")
        return Item(f"{made.key}{again}", "adopted: another tool had made it" if made.kind == "adopted" else "")

    def _is_new_revision(self, book: Book) -> bool:
        """Whether the volume had a book before this one."""
        history = (self._run.poll.volumes or {}).get(book.volume)
        made = (book.mark.seq, book.mark.decision)
        return history is not None and any((mark.seq, mark.decision) < made for mark in history.proofs)

    @staticmethod
    def _held(assessment: Assessment) -> Item:
        problem = assessment.verdict.problem
        assert problem is not None
        path = assessment.sighting.path
        return Item(path, problem.message, re.sub(r"\bVOLUME\b", lambda _: shlex.quote(path), problem.fix))

    def _failing(self, assessment: Assessment) -> Item:
        failed, path = _failed(assessment), assessment.sighting.path
        pages = counted(len(failed), "page")
        try:
            told = json.loads(self._read(keys.failure_key(assessment.sighting.volume, failed[0])))
            reason = str(told["message"]).removeprefix(f"{path}/")
        except (KeyMissing, ValueError, KeyError, TypeError):
            return Item(path, pages)
        return Item(path, f"{pages}: {reason}")

    def _folders(self, paths: Sequence[str]) -> list[Item]:
        known = {problem.path: problem for problem in self._run.poll.survey.problems}
        return [Item(path, known[path].message, known[path].fix) for path in paths[: self._limit]]

    def _read(self, key: str) -> bytes:
        """Raises: KeyMissing: it is not there, or there is no time."""
        if not self._in_time():
            raise KeyMissing(f"{key} was not read: there was no time", path=key)
        return self._work.get(key)
