"""The embedded runner: poll, fetch and finalize on one machine until nothing is left to do now."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pagebind.app.fetch import Fetch, Outcome
from pagebind.app.finalize import Finalize, Finalized
from pagebind.app.finalize import Outcome as FinalizeOutcome
from pagebind.app.poll import Poll, record_run, refetch_tasks
from pagebind.app.report import VolumeReport, problem_of
from pagebind.core.planner import Action, Problem, State
from pagebind.errors import PagebindError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from pagebind.adapters.dispatch.local import LocalDispatch
    from pagebind.app.assess import Assessment
    from pagebind.ports.dispatch import FetchTask, FinalizeTask
    from pagebind.wiring import Parts

_REFETCHES = 5
"""So often are damaged entries of one volume fetched anew in one run; more means that the disk is bad."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run: server ``paths`` (none: everything), at most ``limit`` volumes, ``wait`` for what settles."""

    paths: tuple[str, ...] = ()
    limit: int | None = None
    wait: bool = False


@dataclass(slots=True)
class RunResult:
    """What a run did. Each volume stands in exactly one list; ``error`` is what ended the run early."""

    bound: list[VolumeReport] = field(default_factory=list)
    up_to_date: list[VolumeReport] = field(default_factory=list)
    waiting: list[VolumeReport] = field(default_factory=list)
    held: list[VolumeReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    pages_fetched: int = 0
    pages_reused: int = 0
    bytes_fetched: int = 0
    seconds: float = 0.0
    error: PagebindError | None = None


class Runner:
    """One run on one machine; its threads and connections end with it."""

    def __init__(self, parts: Parts, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._parts = parts
        self._lock = lock
        self._fetch = Fetch(
            parts.source,
            parts.work,
            {watch.path: watch for watch in parts.watches},
            downloads=parts.settings.source.concurrency,
        )
        self._finalize = Finalize(parts.work, parts.library, keep_pages=parts.policy.keep_pages)
        self._dispatch = parts.local_dispatch(self._handle_fetch, self._handle_finalize)
        self._tally = threading.Lock()
        self.result = RunResult()
        self._fetched: Counter[str] = Counter()
        self._bound: dict[str, int] = {}
        self._failures: dict[str, Problem] = {}

    @property
    def dispatch(self) -> LocalDispatch:
        """The queue, to be stopped when the process is told to end."""
        return self._dispatch

    def run(self, request: RunRequest) -> RunResult:
        """Do all that can be done now. An error that ends the run is in the result, with what was done before."""
        clock = self._parts.clock
        begun, started = clock.monotonic(), clock.now()
        assessments: list[Assessment] = []
        poll: Poll | None = None
        try:
            with self._lock():
                self._parts.work.sweep()
                self._parts.library.sweep()
                poll = self._parts.poll(self._dispatch, write=True)
                try:
                    assessments = self._rounds(poll, request)
                except StoreError:
                    raise
                except PagebindError as error:
                    self.result.error = error
                    assessments = poll.assess()
                self._record(started, assessments, poll)
        except PagebindError as error:
            self.result.error = self.result.error or error
        finally:
            self._dispatch.stop()
            self._parts.source.close()
        self._sum_up(assessments, poll)
        self.result.seconds = round(clock.monotonic() - begun, 3)
        return self.result

    def _rounds(self, poll: Poll, request: RunRequest) -> list[Assessment]:
        left = request.limit
        while True:
            poll.look(request.paths)
            while True:
                done = poll.step(left)
                left = None if left is None else left - done.volumes
                if not done.queued:
                    break
                self._dispatch.drain()
            settles = [
                a.verdict.settles_at
                for a in done.assessments
                if a.verdict.action is Action.SETTLE and a.verdict.settles_at is not None
            ]
            if not (request.wait and settles and left != 0):
                return done.assessments
            clock = self._parts.clock
            self._parts.progress.note("waiting for folders to settle")
            clock.wait(max(1.0, min(settles) - clock.now()))

    def _handle_fetch(self, task: FetchTask, last_attempt: bool) -> None:
        fetched = self._fetch(task, last_attempt=last_attempt)
        with self._tally:
            if fetched.outcome is Outcome.STAGED:
                self.result.pages_fetched += 1
                self.result.bytes_fetched += task.size
                self._fetched[task.volume] += 1
            if fetched.error is not None:
                self._failures[f"{task.volume}/{task.page}"] = problem_of(fetched.error)
        self._parts.progress.fetched(task.size if fetched.outcome is Outcome.STAGED else 0)

    def _handle_finalize(self, task: FinalizeTask) -> None:
        finalized = self._finalize(task)
        if finalized.outcome is FinalizeOutcome.BOUND:
            with self._tally:
                self._bound[task.volume] = finalized.pages
            self._parts.progress.bound(finalized.key, finalized.pages)
        elif finalized.refetch and task.attempt < _REFETCHES:
            self._refetch(task, finalized)

    def _refetch(self, task: FinalizeTask, finalized: Finalized) -> None:
        self._parts.progress.planned(len(finalized.refetch), sum(page.size for page in finalized.refetch))
        for again in refetch_tasks(self._parts.work, task, finalized.refetch):
            self._dispatch.fetch(again)
        self._dispatch.finalize(replace(task, attempt=task.attempt + 1), delay=0.0)

    def _record(self, started: float, assessments: Sequence[Assessment], poll: Poll | None) -> None:
        problems = [*(poll.survey.problems if poll else ()), *self._failures.values()]
        record_run(
            self._parts.work,
            self._parts.clock,
            started=started,
            assessments=assessments,
            problems=problems,
            error=self.result.error,
        )

    def _sum_up(self, assessments: Sequence[Assessment], poll: Poll | None) -> None:
        result = self.result
        failed = {key.partition("/")[0]: problem for key, problem in self._failures.items()}
        for assessment in assessments:
            report = assessment.report()
            if report.problem is None and report.state is State.FETCHING:
                report = replace(report, problem=failed.get(report.volume))
            self._list_for(report).append(report)
        found = [
            *([problem_of(result.error)] if result.error else ()),
            *(
                p
                for p in (poll.survey.problems if poll else ())
                if not result.error or p.message != result.error.message
            ),
            *self._failures.values(),
            *(report.problem for report in result.held if report.problem),
        ]
        result.problems = list(dict.fromkeys(found))
        result.pages_reused = sum(max(0, pages - self._fetched[volume]) for volume, pages in self._bound.items())

    def _list_for(self, report: VolumeReport) -> list[VolumeReport]:
        match report.state:
            case State.BOUND:
                return self.result.bound if report.volume in self._bound else self.result.up_to_date
            case State.HELD:
                return self.result.held
            case _:
                return self.result.waiting
