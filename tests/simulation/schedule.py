"""Who goes on when: processes that are never at work at once, and a clock that jumps from one event to the next.

Each strand of a process is a greenlet. It runs until it waits, which it does before every call of a port; then whatever
comes next, by the time that the seed gave it, goes on. So a seed decides every order that there is.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import greenlet

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


_MOST_EVENTS = 30_000
"""A world has some thousands; one that has more does not come to an end."""


class EndlessError(Exception):
    """A world does not come to an end."""


class Died(BaseException):
    """What a strand of a process that has died gets to see: it unwinds, and reaches no port any more."""


class Line(NamedTuple):
    """One line of the trace: when, who, and what, in words."""

    when: float
    who: str
    what: str


class Process:
    """Strands that die together.

    Attributes:
        began: when.
        ended: when its first strand came to its end; None: it has not, or died before.
    """

    def __init__(self, name: str, began: float) -> None:
        self.name = name
        self.began = began
        self.ended: float | None = None
        self.dead = False
        self.strands: list[Strand] = []


class Strand(greenlet.greenlet):
    """A thread of a process."""

    def __init__(self, process: Process, work: Callable[[], object], hub: greenlet.greenlet) -> None:
        super().__init__(self._run, hub)
        self.process = process
        self._work = work

    def _run(self) -> None:
        with suppress(Died):
            self._work()


class Schedule:
    """The one thread of control.

    Attributes:
        now: seconds since the epoch.
        trace: all that happened.
        counts: how often what happened that the world has for its inhabitants: faults, changes, decisions.
        over: somebody has seen enough.
    """

    def __init__(self, dice: random.Random, now: float) -> None:
        self.dice = dice
        self.now = now
        self.trace: list[Line] = []
        self.counts: Counter[str] = Counter()
        self.events = 0
        self.over = False
        self._hub = greenlet.getcurrent()
        self._ticket = itertools.count()
        self._later: list[tuple[float, int, Callable[[], object]]] = []

    def tell(self, what: str, kind: str = "") -> None:
        """A line of the trace, by whoever is at work; counted if it is of some kind."""
        self.trace.append(Line(self.now, self.who, what))
        if kind:
            self.counts[kind] += 1

    @property
    def who(self) -> str:
        """The name of the process that is at work."""
        process = self.process
        return process.name if process else "the world"

    @property
    def process(self) -> Process | None:
        """The one that is at work; None: none, the world itself is."""
        current = greenlet.getcurrent()
        return current.process if isinstance(current, Strand) else None

    def at(self, when: float, act: Callable[[], object]) -> None:
        """Let something happen, between two calls of ports."""
        heapq.heappush(self._later, (max(when, self.now), next(self._ticket), act))

    def begin(self, name: str, work: Callable[[], object]) -> Process:
        """A new process, whose first strand does this."""
        process = Process(name, self.now)

        def all_of_it() -> None:
            work()
            process.ended = self.now

        self.spawn(process, all_of_it)
        return process

    def spawn(self, process: Process, work: Callable[[], object]) -> Strand:
        """A further strand of a process."""
        strand = Strand(process, work, self._hub)
        process.strands.append(strand)
        self.at(self.now, lambda: self._go_on(strand))
        return strand

    def run(self) -> None:
        """Until nothing is left to happen. Raises: EndlessError."""
        while self._later and not self.over:
            self.events += 1
            if self.events > _MOST_EVENTS:
                raise EndlessError(f"{_MOST_EVENTS} events, and there is no end")
            when, _, act = heapq.heappop(self._later)
            self.now = max(self.now, when)
            act()

    def pause(self, seconds: float) -> None:
        """Let time pass for the strand at work, and others go on meanwhile."""
        strand = self.strand
        self.at(self.now + seconds, lambda: self._go_on(strand))
        self._hub.switch()
        _demand_life(strand.process)

    @property
    def strand(self) -> Strand:
        """The one at work."""
        current = greenlet.getcurrent()
        assert isinstance(current, Strand), "only a process waits"
        return current

    def park(self) -> None:
        """Wait until somebody calls what `waker` gave."""
        strand = self.strand
        self._hub.switch()
        _demand_life(strand.process)

    def waker(self) -> Callable[[], None]:
        """Lets the strand at work go on after `park`, once, however often it is called."""
        strand = self.strand
        woken = False

        def wake() -> None:
            nonlocal woken
            if not woken:
                woken = True
                self.at(self.now, lambda: self._go_on(strand))

        return wake

    def kill(self, process: Process) -> None:
        """From now on it does nothing more. Its strands unwind, as soon as the one at work has let go."""
        if not process.dead:
            process.dead = True
            self.at(self.now, lambda: self._reap(process))

    def _reap(self, process: Process) -> None:
        for strand in process.strands:
            if not strand.dead:
                strand.throw(Died)

    def _go_on(self, strand: Strand) -> None:
        if not strand.dead:
            strand.switch()


def _demand_life(process: Process) -> None:
    if process.dead:
        raise Died
