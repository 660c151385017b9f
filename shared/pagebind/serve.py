"""Runs on a schedule, in one process: round after round over the same parts, until somebody ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.report import problem_of
from pagebind.app.result import RunResult
from pagebind.errors import AuthRefused, PagebindError
from pagebind.local import Runner, RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pagebind.core.planner import Problem
    from pagebind.wiring import Parts

_GRACE = 7.0
"""Seconds that pages under way have to end after a signal: a container is killed ten seconds after it, and what was
done has to be written down too."""


class Rounds:
    """An endless iterator over the results of runs.

    A round begins ``every`` seconds after the one before it began, at once if that took longer. What goes wrong in a
    round is in its result, and the next one begins as if nothing had been.

    Args:
        build: makes the parts. The same ones are used in all rounds, but for those after one whose credentials were
            refused: a source that was refused once asks nobody again.
        lock: the run lock of these parts; held for each round.
        every: seconds between the beginnings of two rounds.

    Raises:
        PagebindError: the parts cannot be made.
    """

    def __init__(
        self, build: Callable[[], Parts], lock: Callable[[Parts], AbstractContextManager[None]], *, every: float
    ) -> None:
        self._build = build
        self._lock = lock
        self._every = every
        self._parts = build()
        self._refused = False
        self._runner: Runner | None = None
        self._volumes = 0

    def __iter__(self) -> Iterator[RunResult]:
        """The rounds; each wait comes when the next one is asked for."""
        while True:
            begun = self._parts.clock.monotonic()
            yield self._round()
            clock = self._parts.clock
            if (left := begun + self._every - clock.monotonic()) > 0:
                clock.wait(left)

    def _round(self) -> RunResult:
        try:
            self._renew()
        except PagebindError as error:
            return RunResult(problems=[problem_of(error)], error=error)
        parts = self._parts
        self._runner = Runner(parts, lambda: self._lock(parts), grace=_GRACE)
        result = self._runner.run(RunRequest(expects=self._volumes))
        self._runner = None
        if result.error is None:
            self._volumes = _recorded(result)
        self._refused = isinstance(result.error, AuthRefused)
        return result

    def _renew(self) -> None:
        """Make the source anew after its credentials were refused, so that mended ones count."""
        if self._refused:
            source = self._build().source
            self._parts.source.close()
            self._parts = self._parts._replace(source=source)
            self._refused = False

    def broken_off(self) -> RunResult | None:
        """What the round has done that a signal broke off; None if it came between two rounds."""
        return self._runner.interrupted() if self._runner is not None else None

    def close(self) -> None:
        """Give back the connections."""
        self._parts.source.close()


def _recorded(result: RunResult) -> int:
    """How many volumes the store holds after a round."""
    lists = (result.bound, result.up_to_date, result.waiting, result.held)
    return sum(report.seq is not None for reports in lists for report in reports)


class Said(NamedTuple):
    """What is worth saying after a round.

    Attributes:
        problems: those that were not there in the round before.
        again: so many rounds have failed as this one does; 0 after one that did not fail.
        back: so many rounds had failed before this one, which did not.
    """

    problems: list[Problem]
    again: int = 0
    back: int = 0


class Memory:
    """Tells what is new in a round from what was said before, so that hours of one trouble fill no log."""

    def __init__(self) -> None:
        self._known: frozenset[Problem] = frozenset()
        self._trouble: object = None
        self._failed = 0

    def compare(self, result: RunResult) -> Said:
        """What is new in this round's result."""
        if result.interrupted:  # it has shown neither that a trouble is there nor that it is over
            return Said([problem for problem in result.problems if problem not in self._known])
        if result.error is not None:
            return self._failing(problem_of(result.error))
        back, self._failed, self._trouble = self._failed, 0, None
        new = [problem for problem in result.problems if problem not in self._known]
        self._known = frozenset(result.problems)
        return Said(new, back=back)

    def _failing(self, problem: Problem) -> Said:
        """A server that is down gives its trouble ever new words: its code tells enough."""
        trouble = problem.code if problem.code == "server" else problem
        new = [] if trouble == self._trouble else [problem]
        self._trouble = trouble
        self._failed += 1
        return Said(new, again=self._failed)
