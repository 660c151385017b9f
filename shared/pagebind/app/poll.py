"""Poll: list the subscriptions, judge every volume, and hand out what is due.

A poll is a walk (`Poll.look`) followed by steps (`Poll.step`). In the cloud there is one step: what is left waits for
the next poll. On one machine steps follow until nothing is due any more.

A walk may have a budget; the next poll's then goes on where it stopped. The walks from one that begins at the start to
the one that comes to the end are a *round*: only at its end it is told what is gone.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app import inventory as inventories
from pagebind.app.agenda import Budget
from pagebind.app.assess import Assessment, Assessor
from pagebind.app.hand_out import fetch_task
from pagebind.app.inventory import CLOCK_TOLERANCE, is_waived, load_manifest
from pagebind.app.report import problem_of, rfc3339
from pagebind.app.sighting import Sighting, remembered
from pagebind.app.survey import Survey, Surveyor
from pagebind.core import keys
from pagebind.core.keys import SentMark
from pagebind.core.planner import Action, Policy, Problem, Seen, State, is_due
from pagebind.core.walk_order import EVERYTHING
from pagebind.errors import ConditionFailed, ListingFailed, PagebindError, ServerUnreachable
from pagebind.ports.dispatch import Dispatch, FetchTask, FinalizeTask, Held
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from pagebind.app.inventory import Inventory
    from pagebind.core.history import History
    from pagebind.core.manifest import Page
    from pagebind.core.watch import Watch
    from pagebind.ports.clock import Clock
    from pagebind.ports.progress import Progress
    from pagebind.ports.source import Source

log = logging.getLogger(__name__)

_AHEAD = 2.0
"""Back-pressure: so many poll intervals' worth of pages may be under way."""


class Walked(NamedTuple):
    """What a walk has covered of all that is subscribed, as it stands in the record of its poll.

    Attributes:
        begin, end: as in `pagebind.core.walk_order.Stretch`.
        config: digest of the configuration by which it went.
        unlisted: folders that could not be listed.
        elsewhere: ids of volumes that were judged though the walk did not meet them.
    """

    begin: str
    end: str
    config: str
    unlisted: Sequence[str]
    elsewhere: Sequence[str]


_SLACK = 1.25
"""A book is looked for a quarter later than its pages should be through, which come after those handed out before.

A look that comes too early costs as much as six writes.
"""


class Round(NamedTuple):
    """What one step did: everything judged, how many volumes were handed out, and whether anything was queued."""

    assessments: list[Assessment]
    volumes: int
    queued: bool


class _Allowance:
    """How much one step may still hand out. With nothing under way (``idle``) the first volume always fits.

    A book whose pages are all here has no pages to wait for, and takes no other volume's place as the first.
    """

    def __init__(self, pages: float, volumes: int | None, *, under_way: int) -> None:
        self.pages = pages - under_way
        self.volumes = volumes
        self.under_way = under_way
        self.idle = not under_way
        self.sent = False
        self.volumes_used = 0
        self.tasks = 0

    def admits(self, pages: int) -> bool:
        if self.volumes is not None and self.volumes_used >= self.volumes:
            return False
        return self.idle or pages <= max(0.0, self.pages)

    def bind(self) -> None:
        self.volumes_used += 1

    def send(self, pages: int) -> None:
        self.volumes_used += 1
        self.pages -= pages
        self.under_way += pages
        self.idle, self.sent = False, True


class Poll:
    """One poll. Not for use by several threads.

    Args:
        watches: the subscriptions.
        policy: the settings that the state table needs; ``policy.rate`` also bounds what is handed out.
        interval: seconds between polls.
        concurrency: listings under way at once.
        write: False for `plan`: nothing is recorded or handed out.

    Attributes:
        volumes: the histories of all volumes, as the store was listed last; None: it was not yet.
    """

    def __init__(
        self,
        source: Source,
        work: Store,
        library: Store,
        dispatch: Dispatch,
        clock: Clock,
        progress: Progress,
        *,
        watches: Sequence[Watch],
        policy: Policy,
        interval: float,
        concurrency: int,
        write: bool,
        sent_here: set[tuple[str, int]] | None = None,
    ) -> None:
        self._source = source
        self._work = work
        self._library = library
        self._dispatch = dispatch
        self._clock = clock
        self._progress = progress
        self._policy = policy
        self._write = write
        self._ahead = policy.rate * _AHEAD * interval
        self._sent_here = sent_here if sent_here is not None else set()
        self._finalized: set[tuple[str, int | None, State]] = set()
        self._watches = {watch.path: watch for watch in watches}
        existing = {watch.path: watch.existing for watch in watches}
        self._assessor = Assessor(work, library, policy, existing, self._sent_here, self._no_longer_there)
        self._surveyor = Surveyor(
            source,
            work,
            library,
            watches,
            policy,
            clock,
            progress,
            concurrency=concurrency,
            write=write,
            keep=int(self._ahead),
        )
        self._inventory: Inventory | None = None
        self.volumes: Mapping[str, History] | None = None
        self.survey = Survey()
        self._id = uuid.uuid4().hex
        self._restricted = False
        self.walked: Walked | None = None
        self.cursor: str | None = None

    def look(
        self,
        paths: Sequence[str] = (),
        *,
        cursor: str = "",
        until: float | None = None,
        listings: int | None = None,
        config: str = "",
        rest_at: float | None = None,
    ) -> None:
        """List the stores and walk the subscriptions, or only ``paths`` inside them; record what is new.

        Args:
            paths: none: everything.
            cursor: where the walk of the poll before this one stopped (`cursor`); it has no meaning for ``paths``.
            until: a time of the monotonic clock. No folder is begun after it, unless the walk has not got on yet; half
                a minute later it ends in any case.
            listings: so many folders are begun at most, with the same exception.
            rest_at: a time of the monotonic clock at which a walk without a budget rests: see `rests`.
            config: digest of the configuration. Without, or where it changes within a round, that round does not tell
                what is gone.

        Raises:
            AuthRefused, ServerUnreachable, StoreError: the run is over.
            ListingFailed: not one of the subscriptions' roots could be listed.
        """
        self._restricted = bool(paths)
        self.walked, self.cursor = None, None if paths else cursor
        self._inventory = self._take()
        self._inventory.demand_a_library()
        budget = Budget(until, listings)
        start = "" if paths else cursor
        self.survey = self._surveyor.survey(
            self._inventory, paths, cursor=start, budget=budget, config=config, rest_at=rest_at
        )
        if not paths:
            begin, self.cursor = self.survey.stretch
            unlisted, elsewhere = sorted(self.survey.failed), sorted(self.survey.elsewhere)
            self.walked = Walked(begin, self.cursor, config, unlisted, elsewhere)
        self.survey.demand_a_root()

    def look_on(self, rest_at: float) -> None:
        """Go on with a walk that `rests`. Raises as `look`."""
        self._inventory = self._take()
        self._surveyor.go_on(self._inventory, rest_at)
        self.survey.demand_a_root()

    @property
    def rests(self) -> bool:
        """Whether the walk is to go on: what it has seen may be handed out meanwhile, and nothing is gone yet."""
        return self.survey.rests

    def recall(self, volumes: Sequence[str]) -> None:
        """Take volumes as their newest manifests have them, by their ids, without asking the server.

        Raises:
            StoreError: the run is over.
        """
        self._restricted = True
        self.walked = self.cursor = None
        self._inventory = self._take()
        self._inventory.demand_a_library()
        self.survey = Survey()
        for volume in volumes:
            head = self._inventory.history(volume).head
            if head is not None:
                recorded = load_manifest(self._work, volume, head)
                self.survey.sightings[volume] = remembered(recorded, Seen.UNKNOWN)

    @property
    def complete(self) -> bool:
        """Whether everything that is subscribed was looked at, in one walk."""
        return not (self._restricted or self.survey.rests) and self.survey.stretch == EVERYTHING

    def told_of_budget(self) -> list[Problem]:
        """What is to be said where the budget of a walk of its own ended before everything was listed."""
        end = self.survey.stretch.end
        if not end:
            return []
        what = f"the budget ended before {end}: that, and what comes after it, was not listed"
        return [Problem("listing_failed", what, "ask for less, or raise [poll] budget", end, retryable=True)]

    def assess(self) -> list[Assessment]:
        """Judge every volume that was seen."""
        if self._inventory is None:
            self._inventory = self._take()
        inventory, self._inventory = self._inventory, None
        sightings = dict(self.survey.sightings)  # a walk that failed may still be adding to it
        return self._assessor.assess(sightings, inventory, self._clock.now(), restricted=not self.complete)

    def _take(self) -> Inventory:
        inventory = inventories.take(self._work, self._library)
        self.volumes = inventory.volumes
        return inventory

    def _no_longer_there(self) -> Container[str]:
        """What the polls before this one found gone. Few volumes are asked about it, so the records are read then."""
        from pagebind.app import runs

        return runs.no_longer_there(self._work, self._clock.now() + CLOCK_TOLERANCE)

    def step(self, limit: int | None = None, until: float | None = None) -> Round:
        """Judge every volume and hand out what is due, at most ``limit`` volumes of it.

        ``until``: a time of the monotonic clock, after which no further volume is begun, unless none is under way.

        Raises:
            QueueUnavailable: some of what was handed out is not queued; its next epoch makes up for it.
            AuthRefused, StoreError.
        """
        assessments = self.assess()
        if not self._write:
            return Round(assessments, 0, queued=False)
        allowance = self._hand_out(assessments, limit, until)
        return Round(assessments, allowance.volumes_used, queued=allowance.tasks > 0)

    def _hand_out(self, assessments: Sequence[Assessment], limit: int | None, until: float | None) -> _Allowance:
        under_way = self._under_way(assessments)
        allowance = _Allowance(self._ahead, limit, under_way=under_way)
        for assessment in assessments:
            if not allowance.idle and until is not None and self._clock.monotonic() >= until:
                break
            if assessment.verdict.action is Action.FETCH:
                self._send(assessment, allowance)
            elif assessment.verdict.action is Action.BIND or assessment.verdict.tidy:
                self._finalize(assessment, allowance)
        self._dispatch.flush()
        return allowance

    def _under_way(self, assessments: Sequence[Assessment]) -> int:
        """Pages that are sent and neither staged nor failed. A queue that dies with its process holds none by now."""
        if not self._policy.durable:
            return 0
        return sum(
            _awaited(a)
            for a in assessments
            if a.verdict.state is State.FETCHING and a.verdict.action is Action.NONE and not self._has_stalled(a)
        )

    def _has_stalled(self, assessment: Assessment) -> bool:
        """Whether it would be handed out again if it were listed now; what is not listed is not under way for ever."""
        head = assessment.history.head
        epochs = assessment.history.epochs(head) if head else []
        return bool(epochs) and is_due(epochs, assessment.facts, self._policy, self._clock.now())

    def _finalize(self, assessment: Assessment, allowance: _Allowance) -> None:
        head = assessment.history.head
        once = (assessment.sighting.volume, head.seq if head else None, assessment.verdict.state)
        binds = assessment.verdict.action is Action.BIND
        if head is None or once in self._finalized or (binds and not allowance.admits(0)):
            return
        self._finalized.add(once)
        allowance.tasks += 1
        task = self._finalize_task(assessment, len(assessment.history.epochs(head)))
        self._dispatch.finalize(task._replace(asker=self._id), delay=0.0)
        if binds:
            allowance.bind()

    def _finalize_task(self, assessment: Assessment, epoch: int) -> FinalizeTask:
        sighting, head = assessment.sighting, assessment.history.head
        assert head is not None
        watch = self._watches.get(sighting.subscription)
        return FinalizeTask(
            sighting.volume,
            head.seq,
            epoch,
            existing=watch.existing if watch else "keep",
            hash_check=watch.hash_check if watch else "warn",
            without_info=assessment.facts.without_info,
        )

    def _send(self, assessment: Assessment, allowance: _Allowance) -> None:
        """Record the epoch first, then queue the pages: a crash in between costs a repetition, never a page."""
        sighting, history, head = assessment.sighting, assessment.history, assessment.history.head
        expected = sighting.pages if assessment.missing is None else assessment.missing.files
        if head is None or not allowance.admits(expected):
            return
        pages = self._pages(sighting)
        if pages is None:
            return
        mark = SentMark(head.seq, head.revision, len(history.epochs(head)) + 1)
        missing = [page for page in pages if page.id not in history.staged and not is_waived(page, assessment.waived)]
        tasks = self._fetch_tasks(sighting, history, pages, missing, mark)
        self._dispatch.open()
        self._sent_here.add((sighting.volume, head.seq))
        try:
            self._work.put(keys.sent_key(sighting.volume, mark), b"", condition=ABSENT)
        except ConditionFailed:
            return  # another poll hands it out
        first = not allowance.sent
        allowance.send(expected)
        allowance.tasks += 1
        log.info(
            "handed out", extra={"volume": sighting.volume, "seq": head.seq, "epoch": mark.epoch, "pages": len(missing)}
        )
        self._progress.planned(len(missing), sum(page.size for page in missing))
        sighting.content = None
        for task in tasks:
            self._dispatch.fetch(task)
        through = _SLACK * allowance.under_way / self._policy.rate
        self._dispatch.finalize(self._finalize_task(assessment, mark.epoch), delay=through)
        if first:  # a queue that takes nothing is to cost one volume its epoch, not all
            self._dispatch.flush()

    def _fetch_tasks(
        self,
        sighting: Sighting,
        history: History,
        pages: Sequence[Page],
        missing: Sequence[Page],
        mark: SentMark,
    ) -> list[FetchTask]:
        held = self._held(sighting.volume, history, missing)
        alone = self._renamable(sighting, pages)
        return [
            task._replace(
                link="" if page.id in held else self._source.link(task.path),
                held=held.get(page.id),
                rename=page.id in alone,
                anew=_is_anew(history, page),
            )
            for page in missing
            for task in (fetch_task(sighting, page, mark),)
        ]

    def _held(self, volume: str, history: History, missing: Sequence[Page]) -> dict[str, Held]:
        """Where pages stand already; a volume that is new has none."""
        if not (history.proofs or history.staged):
            return {}
        from pagebind.app.held import held_pages

        return held_pages(self._work, volume, history, missing)

    def _renamable(self, sighting: Sighting, pages: Sequence[Page]) -> set[str]:
        """Pages whose names in the book may get another suffix: no other page is called the same but for its own."""
        watch = self._watches.get(sighting.subscription)
        if watch is None or not watch.fix_extensions:
            return set()
        stems = Counter(page.book_name.rpartition(".")[0].lower() for page in pages)
        return {page.id for page in pages if stems[page.book_name.rpartition(".")[0].lower()] == 1}

    def _pages(self, sighting: Sighting) -> tuple[Page, ...] | None:
        if sighting.content is not None:
            return sighting.content
        try:
            return self._surveyor.relist(sighting)
        except (ListingFailed, ServerUnreachable) as error:
            self.survey.problems.append(problem_of(error))
            return None


def _awaited(assessment: Assessment) -> int:
    """How many pages of a volume may still come in its newest epoch."""
    history, head, missing = assessment.history, assessment.history.head, assessment.missing
    newest = history.newest_epoch(head) if head is not None else None
    if newest is None or missing is None:
        return 0
    return max(0, missing.files - len(history.failed_in(newest) - history.staged))


def _is_anew(history: History, page: Page) -> bool:
    """Whether the page failed before the last `retry` and not since: then nothing of it that is here counts."""
    failed = [mark.created for mark in history.failures if mark.page == page.id]
    return bool(failed) and max(failed) <= history.standing.retried


def record_run(
    work: Store,
    clock: Clock,
    *,
    started: float,
    assessments: Sequence[Assessment],
    problems: Sequence[Problem],
    error: PagebindError | None = None,
    complete: bool = True,
    interrupted: bool = False,
    cursor: str | None = None,
    walked: Walked | None = None,
) -> None:
    """Write down what a poll saw: every volume that is not simply bound, and whether the credentials worked.

    ``complete``: it looked at all that is subscribed; what it does not name is bound, or was never seen. Else the bound
    ones that it looked at are named too. ``interrupted``: a signal broke it off: it neither succeeded nor failed.
    ``cursor``: where the next poll begins, ``walked``: what this one covered, as `Poll` has them; of a run of some
    paths there is neither.
    """
    now = clock.now()
    complete = complete and error is None
    document: dict[str, object] = {
        "schema": 1,
        "started": rfc3339(started),
        "ended": rfc3339(now),
        "seconds": round(now - started, 3),
        "complete": complete,
        "interrupted": interrupted,
        "cursor": "" if complete else cursor,
        "walk": None if walked is None or complete else _stretch_document(walked),
        "credentials": error is None or error.code != "auth",
        "error": problem_of(error)._asdict() if error else None,
        "problems": [problem._asdict() for problem in problems],
        "volumes": {
            a.sighting.volume: a.report().document() for a in assessments if a.verdict.state is not State.BOUND
        },
    }
    if not complete:  # else there may be thousands, and what is not named above is bound
        document["bound"] = [a.sighting.volume for a in assessments if a.verdict.state is State.BOUND]
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    work.put(keys.run_key(now, uuid.uuid4().hex[:8]), body, condition=ABSENT)


def _stretch_document(walked: Walked) -> dict[str, object]:
    begin, end, config, unlisted, elsewhere = walked
    return {"from": begin, "to": end, "config": config, "unlisted": unlisted, "elsewhere": elsewhere}
