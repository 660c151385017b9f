"""Kills of one kind of store, one after the other: what they were aimed at, what they hit, and what was found."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from statistics import median
from typing import TYPE_CHECKING

from tests.faults.crash_forks import Forks, Hung
from tests.faults.crash_looks import NOTHING, Fault, at_end, pages_in, right_after
from tests.faults.crash_marks import COUNTED, Marks
from tests.faults.crash_sites import BOOKS, Executioner, ground
from tests.faults.crash_strikes import AtCall, AtTime, InPhase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from tests.faults.crash_child import Order
    from tests.faults.crash_sites import Site
    from tests.faults.crash_strikes import Strike

    from pagebind.demo.object_stores import GcsServer, S3Server

SHARE = 0.1
"""Of the kills, in each phase at least."""

_WANTED_SHARE = 0.125
_REMEASURED = 40
_REMEMBERED = 15
_VISITS = {"poll": 1, "fetch": 36}
_BEYOND = 2
_SIGKILL = -9
_TENTHS = 10


@dataclass(slots=True)
class Findings:
    """What kills showed.

    Attributes:
        kind: of store.
        instants: runs killed at some instant, or at a phase.
        calls: runs killed before or after a call.
        phases, tenths: where instants struck: phases of a run, tenths of its length.
        faults: how many of each of `crash_looks.FAULTS`.
        told: of each kill that found something, what, and how to bring it back.
        seconds: of all, what lies between kills included.
        lengths: of undisturbed runs in seconds.
    """

    kind: str
    instants: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    tenths: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    seconds: float = 0.0
    lengths: list[float] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.instants + self.calls.total()

    @property
    def lacking(self) -> list[str]:
        """Phases that have less than their share of the instants."""
        return [phase for phase in COUNTED if self.phases[phase] < int(SHARE * self.instants)]

    def __iadd__(self, other: Findings) -> Self:
        for each in fields(self)[1:]:
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self


class Campaign:
    """Kills on one ground. Use it as a context.

    Args:
        kind: of store.
        home: a folder for all that it makes.
        seed: of the instants.
        broken: whether books are written bit by bit at their final key, so that the checks can show that they bite.
        store: the store's server, if it is up already.
        tell: called after each kill.
    """

    def __init__(
        self,
        kind: str,
        home: Path,
        seed: str,
        *,
        broken: bool = False,
        store: GcsServer | S3Server | None = None,
        tell: Callable[[], None] | None = None,
    ) -> None:
        self.findings = Findings(kind)
        self._kind, self._home, self._store, self._broken = kind, home, store, broken
        self._seed = seed
        self._dice = random.Random(f"{kind} {seed}")
        self._tell = tell or (lambda: None)
        self._lengths: deque[float] = deque(maxlen=_REMEMBERED)
        self._visits: dict[str, deque[float]] = {phase: deque(maxlen=_REMEMBERED) for phase in COUNTED}
        self._stack = ExitStack()
        self._count = 0
        self._since_measured = 0
        self._expected: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        """Bring everything up, and measure a run that nobody disturbs, once all is loaded and warm."""
        self._begun = time.monotonic()
        self._ground = self._stack.enter_context(ground(self._kind, self._home, self._store))
        self._forks = self._stack.enter_context(Forks())
        self._measure(learn=True)
        self._lengths.clear()
        self._measure()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.findings.seconds += time.monotonic() - self._begun

    # -- what is struck

    def instants(self, kills: int) -> None:
        """Kill so many runs at random instants: of all their length, and in phases that have been hit too seldom."""
        aimed_well = True
        while self.findings.instants < kills:
            aimed_well = self.strike(self._chosen() if aimed_well else self._anywhere())
            self._since_measured += 1
            if self._since_measured >= _REMEASURED:
                self._measure()

    def _chosen(self) -> Strike:
        phases, wanted = self.findings.phases, _WANTED_SHARE * (self.findings.instants + 1)
        rarest = min(COUNTED, key=lambda phase: phases[phase])
        if phases[rarest] >= wanted:
            return self._anywhere()
        return InPhase(rarest, self._dice.randint(1, _VISITS.get(rarest, BOOKS)), self._dice.random())

    def _anywhere(self) -> Strike:
        return AtTime(self._dice.random())

    def calls(self, first: int = 1, step: int = 1) -> None:
        """Kill a run before, and one after, its call ``first``, and so on in steps, until runs have no such calls.

        The number of calls varies a little: two that are not come to are the end.
        """
        number, beyond = first, 0
        while beyond < _BEYOND:
            struck = [self.strike(AtCall(number, after=after)) for after in (False, True)]
            beyond = 0 if any(struck) else beyond + 1
            number += step

    def strike(self, strike: Strike) -> bool:
        """Kill one run, run on, and look at what there is. Whether it was killed at all."""
        with self._new_site() as site:
            try:
                status = self._struck(site, strike)
                killed = status == _SIGKILL
                found = (
                    [*right_after(site.books(), self._expected, NOTHING), *self._after(site)]
                    if killed
                    else self._ended(site, status)
                )
            except Hung:
                killed, found = False, [Fault("failed", "a run did not end")]
        if found:
            self.findings.faults.update({fault for fault, _ in found})
            words = f"--store {self._kind} --kill '{strike}'" + " --broken" * self._broken
            what = "; ".join(f"{fault}: {text}" for fault, text in found[:5])
            self.findings.told.append(
                f"kill {self.findings.kills} of {self._kind}: {what}\n  again: tests/crash {words}"
            )
        self._tell()
        return killed

    def _struck(self, site: Site, strike: Strike) -> int:
        """Do a run that is to be killed. The status that it ended with."""
        order, executioner = self._order(site), None
        order["broken"] = self._broken
        match strike:
            case AtTime(part):
                order["seconds"] = part * median(self._lengths)
            case InPhase(phase, visit, part):
                order |= {"phase": phase, "visit": visit, "seconds": part * median(self._visits[phase] or (0.0,))}
            case AtCall(number, after, only) if self._ground.proxy is None:
                order |= {"call": number, "after": after, "only": only}
            case AtCall(number, after, _):
                executioner = Executioner(number, after=after)
        status, seconds = self._run(order, executioner)
        if status == _SIGKILL:
            self._count_kill(site, strike, seconds)
        elif isinstance(strike, AtTime):
            self._lengths.append(seconds)
        return status

    def _count_kill(self, site: Site, strike: Strike, seconds: float) -> None:
        phase = self._note_visits(site)
        if isinstance(strike, AtCall):
            self.findings.calls["after" if strike.after else "before"] += 1
            return
        self.findings.instants += 1
        self.findings.phases[phase] += 1
        self.findings.tenths[min(_TENTHS - 1, int(_TENTHS * seconds / median(self._lengths)))] += 1

    def _note_visits(self, site: Site) -> str:
        """Remember how long phases took. The phase that the run was in at the end."""
        marks = Marks(site.home / "marks")
        for phase, lengths in self._visits.items():
            visits, seconds = marks.visit(phase)
            if visits:
                lengths.append(seconds)
        last = marks.phase()
        marks.close()
        return last

    # -- runs

    def _new_site(self) -> _Removed:
        self._count += 1
        return _Removed(self._ground.site(self._home / f"{self._kind}-{self._seed}-{self._count}"))

    def _measure(self, *, learn: bool = False) -> None:
        """A run that nobody disturbs; the first one shows what the books are. Raises: RuntimeError: it went wrong."""
        self._since_measured = 0
        with self._new_site() as site:
            order = self._order(site)
            if learn:
                order["learn"] = str(site.home / "modules")
            status, seconds = self._run(order, None)
            self._note_visits(site)
            self._expected = self._expected or site.books()
            found = self._ended(site, status)
            if found or {key: pages_in(book) for key, book in self._expected.items()} != self._ground.right():
                raise RuntimeError(f"an undisturbed run made {sorted(self._expected)}: {found}")
        self._lengths.append(seconds)
        self.findings.lengths.append(seconds)

    def _order(self, site: Site) -> Order:
        marks = site.home / "marks"
        Marks(marks, new=True).close()
        argv = ["pagebind", "run", "--settle", "0", "--json", "--config", str(site.config)]
        return {"argv": argv, "env": site.environment, "marks": str(marks), "output": str(site.home / "output")}

    def _run(self, order: Order, executioner: Executioner | None) -> tuple[int, float]:
        """Status and length of a run."""
        if self._ground.proxy is not None:
            self._ground.proxy.reset()
            if executioner is not None:
                self._ground.proxy.on_call = executioner
        begun = time.monotonic()
        pid = self._forks.start(order)
        if executioner is not None:
            executioner.condemn(pid)
        status = self._forks.wait()
        seconds = time.monotonic() - begun
        self._ground.settle()
        return status, seconds

    # -- what is looked at

    def _after(self, site: Site) -> list[Fault]:
        """One run later all is as if nothing had been."""
        order = self._order(site)
        order["broken"] = self._broken
        status, _ = self._run(order, None)
        return self._ended(site, status)

    def _ended(self, site: Site, status: int) -> list[Fault]:
        """What is wrong after a run that nobody killed."""
        if said := _wrong(site, status):
            return [Fault("failed", said)]
        return list(at_end(site, self._expected))


class _Removed:
    """A site that is gone afterwards."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __enter__(self) -> Site:
        return self._site

    def __exit__(self, *_: object) -> None:
        self._site.remove()


def _wrong(site: Site, status: int) -> str:
    """Why a run was no good one; empty: it was."""
    said = (site.home / "output").read_text()
    errors = (site.home / "output.errors").read_text()
    if status != 0:
        return f"the run ended with status {status}: {said[-2000:]}{errors[-2000:]}".replace("\n", " ")
    document = json.loads(said)
    return said if document["waiting"] or document["held"] or document["problems"] else ""
