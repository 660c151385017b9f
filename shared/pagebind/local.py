"""The embedded runner: poll, fetch and finalize on one machine until nothing is left to do now."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.fetch import Fetch, Outcome
from pagebind.app.finalize import Finalize, Finalized
from pagebind.app.finalize import Outcome as FinalizeOutcome
from pagebind.app.hand_out import refetch_tasks
from pagebind.app.poll import Poll, Round, record_run
from pagebind.app.report import problem_of
from pagebind.app.result import RunResult, all_problems
from pagebind.core import keys
from pagebind.core.planner import Action, Problem, State
from pagebind.core.wording import counted
from pagebind.errors import AccessDenied, KeyBusy, KeyRefused, PagebindError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pagebind.app.assess import Assessment
    from pagebind.app.report import VolumeReport
    from pagebind.ports.dispatch import FetchTask, FinalizeTask
    from pagebind.wiring import Parts

_STOCK_SECONDS = 1.5
"""So long, at least, may it take to judge and write down what a run has done that a signal broke off."""

_STRETCH_SECONDS = 480.0
"""After so long a walk rests, and what it has seen is handed out and bound; few walks take longer, some have no end."""

_LEADS_TO_A_BOOK = (Action.FETCH, Action.BIND)

_REFETCHES = 5
"""So often are damaged entries of one volume fetched anew in one run; more means that the store is bad."""


class RunRequest(NamedTuple):
    """What to run.

    Attributes:
        paths: on the server; none: everything.
        limit: hand out at most so many volumes.
        wait: for what settles.
        volumes: what can be done for these, by their ids, without the server is done first; if that is all, the server
            is not asked.
        look: ask the server at all.
        expects: so many volumes were in the store before; with none left in it, it is not the same store.
    """

    paths: tuple[str, ...] = ()
    limit: int | None = None
    wait: bool = False
    volumes: tuple[str, ...] = ()
    look: bool = True
    expects: int = 0


class Runner:
    """One run on one machine; its threads end with it. Whoever made the parts closes them.

    Args:
        parts: what it works with.
        lock: lets one run at a time work on the store.
        grace: seconds that pages under way have to end when the run ends early. With 0 nobody waits for them, and a
            run that is broken off leaves no record. After a signal nobody waits for the store longer than for them and
            some moments.
    """

    def __init__(self, parts: Parts, lock: Callable[[], AbstractContextManager[None]], *, grace: float = 0.0) -> None:
        self._parts = parts
        self._lock = lock
        self._grace = grace
        self._fetch = Fetch(
            parts.source,
            parts.work,
            parts.library,
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
        self._forbidden: set[str] = set()
        self._in_the_way: set[str] = set()
        self._poll: Poll | None = None
        self._assessments: list[Assessment] = []
        self._outdated = False
        self._looked_at_all = False
        self._telling = False
        self._begun = parts.clock.monotonic()
        self._ended: float | None = None

    def run(self, request: RunRequest) -> RunResult:
        """Do all that can be done now, and tell what is new.

        An error that ends the run is in the result, with what was done before.
        """
        clock = self._parts.clock
        self._begun, started = clock.monotonic(), clock.now()
        try:
            with self._lock():
                self._run_alone(request, started)
        except PagebindError as error:
            self.result.error = self.result.error or error
        self._ended = clock.monotonic()
        self._tell(request)
        return self._sum_up()

    def interrupted(self) -> RunResult:
        """What was done until now, after `run` was broken off by a signal."""
        self.result.interrupted = True
        if not self._grace:
            self._parts.clock.cancel()
            self._take_stock(_STOCK_SECONDS, None)
        return self._sum_up()

    def _run_alone(self, request: RunRequest, started: float) -> None:
        try:
            self._parts.work.sweep()
            self._demand_a_store(request.expects)
            self._parts.library.sweep()
            self._poll = self._parts.poll(self._dispatch, write=True)
            self._assessments = self._rounds(self._poll, request)
            self._looked_at_all = self._poll.complete
        except PagebindError as error:
            self.result.error = error
            self._end_threads()
            self._assess_what_was_done()
        except BaseException:
            self._break_off(started)
            raise
        self._end_threads()
        if not isinstance(self.result.error, StoreError):
            self._collect_garbage()
            self._record(started, self._assessments)

    def _demand_a_store(self, volumes: int) -> None:
        """Refuse to begin anew in a store that held ``volumes`` volumes: most likely it is another one."""
        if volumes and next(iter(self._parts.work.list(keys.MANIFESTS)), None) is None:
            raise StoreUnavailable(
                f"the store is empty, but held {counted(volumes, 'volume')} before",
                fix="mount it if it is a folder, or correct [store]; if it was emptied on purpose, restart pagebind",
            )

    def _break_off(self, started: float) -> None:
        """A signal came: begin no page any more, let those under way end in time, and write down what was done."""
        self.result.interrupted = True
        self._dispatch.stop()
        if self._grace:
            clock = self._parts.clock
            clock.cancel()
            deadline = clock.monotonic() + self._grace
            self._end_threads()
            self._take_stock(max(_STOCK_SECONDS, deadline - clock.monotonic()), started)

    def _take_stock(self, seconds: float, started: float | None) -> None:
        """Judge all once more, and record it where ``started`` is given; go on without where the store takes longer.

        The signal counts, whatever else is wrong. A thread that hangs in the store ends with the process.
        """
        judged: list[list[Assessment]] = []

        def attempt() -> None:
            assessments = self._assessments
            with suppress(PagebindError):
                if self._poll is not None:
                    assessments = self._poll.assess()
                    judged.append(assessments)
            if started is not None:
                with suppress(PagebindError):
                    self._record(started, assessments)

        thread = threading.Thread(target=attempt, name="pagebind-stock", daemon=True)
        thread.start()
        thread.join(seconds)
        if judged:
            self._assessments, self._outdated = judged[0], False

    def _end_threads(self) -> None:
        self._dispatch.stop()
        self._dispatch.join(self._grace)

    def _begin_telling(self, poll: Poll) -> None:
        """Before the first book, once: see `pagebind.app.notices.begin`."""
        parts = self._parts
        if self._telling or not parts.settings.notify.urls or poll.volumes is None:
            return
        from pagebind.app import notices

        self._telling = True
        notices.begin(parts.work, parts.clock, poll.volumes)

    def _tell(self, request: RunRequest) -> None:
        """Tell people and readers what is new; others may work on the store meanwhile."""
        parts = self._parts
        if self._poll is None or not parts.settings.anybody_is_told:
            return
        from pagebind.app import notices

        run = notices.Run(self._poll, self._assessments, self.result.error, request.paths, self._bound)
        notices.tell(parts.news, parts.work, parts.clock, run)

    def _collect_garbage(self) -> None:
        """Remove a little of what no state needs any more: a full `gc` is a command of its own."""
        from pagebind.app.gc import collect_after

        parts = self._parts
        try:
            collect_after(parts.work, self._assessments, parts.clock.now(), epochs=parts.policy.give_up_epochs)
        except StoreError as error:
            self._note("/", problem_of(error))

    def _assess_what_was_done(self) -> None:
        if self._poll is not None:
            with suppress(PagebindError):
                self._assessments, self._outdated = self._poll.assess(), False

    def _rounds(self, poll: Poll, request: RunRequest) -> list[Assessment]:
        left, clock = request.limit, self._parts.clock
        if request.volumes or not request.look:
            poll.recall(request.volumes)
            self._steps(poll, left)
            if not request.look or all(a.verdict.state is State.BOUND for a in self._assessments):
                return self._assessments
        while True:
            poll.look(request.paths, rest_at=clock.monotonic() + _STRETCH_SECONDS)
            while True:
                done = self._steps(poll, left)
                left = None if left is None else left - done.volumes
                if not poll.rests:
                    break
                poll.look_on(clock.monotonic() + _STRETCH_SECONDS)
            settles = [
                a.verdict.settles_at
                for a in done.assessments
                if a.verdict.action is Action.SETTLE and a.verdict.settles_at is not None
            ]
            if not (request.wait and settles and left != 0):
                return done.assessments
            self._parts.progress.note("waiting for folders to settle")
            clock.wait(max(1.0, min(settles) - clock.now()))

    def _steps(self, poll: Poll, limit: int | None) -> Round:
        """Judge and hand out, until nothing is handed out any more."""
        self._begin_telling(poll)
        volumes = 0
        while True:
            done = poll.step(None if limit is None else limit - volumes)
            volumes += done.volumes
            self._assessments, self._outdated = done.assessments, done.queued
            if not done.queued:
                return done._replace(volumes=volumes)
            self._dispatch.drain()

    def _handle_fetch(self, task: FetchTask, last_attempt: bool) -> None:
        if task.volume in self._in_the_way:  # its pages could not be kept, and without this one there is no book
            return
        try:
            fetched = self._fetch(task, last_attempt=last_attempt)
        except KeyRefused as error:
            self._in_the_way.add(task.volume)
            self._note(f"{task.volume}/", problem_of(error))
            return
        with self._tally:
            self.result.bytes_fetched += fetched.bytes
            if fetched.outcome is Outcome.STAGED and task.kind != "info":
                self.result.pages_fetched += 1
                self._fetched[task.volume] += 1
            if fetched.error is not None:
                self._failures[f"{task.volume}/{task.page}"] = problem_of(fetched.error)
        self._parts.progress.fetched(fetched.bytes)

    def _handle_finalize(self, task: FinalizeTask) -> None:
        try:
            finalized = self._finalize(task)
        except (KeyBusy, KeyRefused) as error:
            self._note(f"{task.volume}/", problem_of(error))
            return
        except AccessDenied as error:
            self._forbidden.add(task.volume)
            if len(self._forbidden) > 1:  # more than a hold or a policy on one book
                raise
            self._note(f"{task.volume}/", problem_of(error))
            return
        if finalized.outcome in (FinalizeOutcome.BOUND, FinalizeOutcome.ADOPTED):
            with self._tally:
                self._bound[task.volume] = finalized.pages
            self._parts.progress.bound(finalized.key, finalized.pages)
        elif finalized.refetch and task.attempt < _REFETCHES:
            self._refetch(task, finalized)
        elif finalized.refetch:
            message = f"{finalized.key}: staged pages are damaged again and again"
            self._note(
                f"{task.volume}/", Problem("store", message, "check the disk or the service that holds the store")
            )

    def _note(self, what: str, problem: Problem) -> None:
        with self._tally:
            self._failures[what] = problem

    def _refetch(self, task: FinalizeTask, finalized: Finalized) -> None:
        self._parts.progress.planned(len(finalized.refetch), sum(page.size for page in finalized.refetch))
        for again in refetch_tasks(self._parts.work, task, finalized.refetch):
            self._dispatch.fetch(again)
        self._dispatch.finalize(task._replace(attempt=task.attempt + 1), delay=0.0)

    def _record(self, started: float, assessments: list[Assessment]) -> None:
        record_run(
            self._parts.work,
            self._parts.clock,
            started=started,
            assessments=assessments,
            problems=self._problems(assessments),
            error=self.result.error,
            complete=self._looked_at_all,
            interrupted=self.result.interrupted,
        )

    def _problems(self, assessments: list[Assessment]) -> list[Problem]:
        unlisted = self._poll.survey.problems if self._poll else ()
        error, failures = self.result.error, dict(self._failures)
        if isinstance(error, AccessDenied):  # of books that a right lacks for nothing more is to be said
            failures = {what: said for what, said in failures.items() if what.rstrip("/") not in self._forbidden}
        return all_problems(error, unlisted, failures.values(), assessments)

    def _sum_up(self) -> RunResult:
        result = self.result
        failed = {key.partition("/")[0]: problem for key, problem in self._failures.items()}
        for assessment in self._assessments:
            report = assessment.report()
            if self._outdated and report.volume in self._bound and report.action in _LEADS_TO_A_BOOK:
                report = report._replace(state=State.BOUND, action=Action.NONE, reason="bound in this run")
            if report.problem is None and report.state is State.FETCHING:
                report = _with_failure(report, failed.get(report.volume))
            result.file(report, self._bound)
        result.problems = self._problems(self._assessments)
        result.pages_reused = sum(max(0, pages - self._fetched[volume]) for volume, pages in self._bound.items())
        ended = self._parts.clock.monotonic() if self._ended is None else self._ended
        result.seconds = round(ended - self._begun, 3)
        return result


def _with_failure(report: VolumeReport, problem: Problem | None) -> VolumeReport:
    """A volume of which something failed in this run."""
    if problem is None:
        return report
    missing = counted(report.pages - report.staged, "page")
    return report._replace(problem=problem, reason=f"{missing} missing: the next run tries again")
