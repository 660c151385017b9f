"""Kills of one kind of store, one after the other: what they were aimed at, what they hit, and what was found."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.faults.crash_forks import Forks, Hung
from tests.faults.crash_looks import NOTHING, Fault, Former, at_end, former, pages_in, right_after, wrong_downloads
from tests.faults.crash_marks import COUNTED, Marks
from tests.faults.crash_sites import BOOKS, SUBSCRIPTION, Executioner, FolderSite, ground
from tests.faults.crash_strikes import AtCall, AtTime, InPhase

if TYPE_CHECKING:
    from collections.abc import Callable
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
PAST = _TENTHS
_ENOUGH = 200
"""Of so few chance alone may leave a tenth bare."""

_AGAIN_EVERY = 4


@dataclass(slots=True)
class Findings:
    """What kills showed.

    Attributes:
        kind: of store.
        instants: runs killed at some instant, or at a phase.
        calls: runs killed before or after a call.
        phases: where instants struck.
        uniform, aimed: at which tenths of the length of a run, `PAST` being later than the last: those drawn evenly
            over it, and those aimed at a phase.
        again: how many kills met books of an earlier revision.
        faults: how many of each of `crash_looks.FAULTS`.
        told: of each kill that found something, what, and how to bring it back.
        seconds: of all, what lies between kills included.
        lengths: of undisturbed runs in seconds.
    """

    kind: str
    instants: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    uniform: Counter[int] = field(default_factory=Counter)
    aimed: Counter[int] = field(default_factory=Counter)
    again: int = 0
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

    @property
    def uneven(self) -> list[int]:
        """Tenths of the length with far fewer or more than their share of the kills that were drawn evenly."""
        share = sum(self.uniform[tenth] for tenth in range(_TENTHS)) / _TENTHS
        if share < _ENOUGH / _TENTHS:
            return []
        return [tenth for tenth in range(_TENTHS) if not share / 3 <= self.uniform[tenth] <= share * 2]

    def __iadd__(self, other: Findings) -> Self:
        for each in fields(self)[1:]:
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self


@dataclass(slots=True)
class Course:
    """Runs that begin alike.

    Attributes:
        again: whether they meet books of an earlier revision.
        lengths: of the last ones that nobody disturbed, in seconds.
        visits: by phase, how long the last visits took.
        asked: the pages that a run asks the server for if nobody disturbs it.
    """

    again: bool
    lengths: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    visits: dict[str, deque[float]] = field(
        default_factory=lambda: {phase: deque(maxlen=_REMEMBERED) for phase in COUNTED}
    )
    asked: frozenset[str] = frozenset()


@dataclass(slots=True)
class Place:
    """Where one run is killed: a new site, and what stood there before. As a context it is gone afterwards."""

    site: Site
    course: Course
    before: Former

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.site.remove()


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
        self._courses = {again: Course(again) for again in (False, True)}
        self._stack = ExitStack()
        self._count = 0
        self._since_measured = 0
        self.expected: dict[str, bytes] = {}
        self._template: tuple[Site, Former] | None = None

    def __enter__(self) -> Self:
        """Bring everything up, and measure a run that nobody disturbs, once all is loaded and warm."""
        self._begun = time.monotonic()
        self._ground = self._stack.enter_context(ground(self._kind, self._home, self._store))
        self._forks = self._stack.enter_context(Forks())
        self._measure(learn=True)
        for course in self._courses.values():
            course.lengths.clear()
            self._measure(course.again)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.findings.seconds += time.monotonic() - self._begun

    # -- what is struck

    def instants(self, kills: int) -> None:
        """Kill so many runs at random instants: of all their length, and in phases that have been hit too seldom.

        Every fourth meets books of an earlier revision.
        """
        aimed_well = True
        while self.findings.instants < kills:
            again = self.findings.instants % _AGAIN_EVERY == _AGAIN_EVERY - 1
            aimed_well = self.strike(self._chosen() if aimed_well else self._anywhere(), again=again)
            self._since_measured += 1
            if self._since_measured >= _REMEASURED:
                for either in self._courses:
                    self._measure(either)

    def _chosen(self) -> Strike:
        phases, wanted = self.findings.phases, _WANTED_SHARE * (self.findings.instants + 1)
        rarest = min(COUNTED, key=lambda phase: phases[phase])
        if phases[rarest] >= wanted:
            return self._anywhere()
        return InPhase(rarest, self._dice.randint(1, _VISITS.get(rarest, BOOKS)), self._dice.random())

    def _anywhere(self) -> Strike:
        return AtTime(self._dice.random())

    def calls(self, first: int = 1, step: int = 1, *, again: bool = False, only: str = "") -> None:
        """Kill a run before, and one after, its call ``first``, and so on in steps, until runs have no such calls.

        The number of calls varies a little: some that are not come to are the end. Of calls of the system (``only``)
        one is killed before each: after the one is before the next.
        """
        number, beyond = first, 0
        sides = (False,) if only else (False, True)
        while beyond < _BEYOND:
            struck = [self.strike(AtCall(number, after=after, only=only), again=again) for after in sides]
            beyond = 0 if any(struck) else beyond + 1
            number += step

    def strike(self, strike: Strike, *, again: bool = False) -> bool:
        """Kill one run, run on, and look at what there is. Whether it was killed at all."""
        with self._place(again=again) as place:
            try:
                status = self._struck(place, strike)
                killed = status == _SIGKILL
                found = self._after_kill(place) if killed else self._ended(place, status)
            except Hung:
                killed, found = False, [Fault("failed", "a run did not end")]
        if found:
            self._tell_of(found, strike, again=again)
        self._tell()
        return killed

    def _tell_of(self, found: list[Fault], strike: Strike, *, again: bool) -> None:
        self.findings.faults.update({fault.kind for fault in found})
        words = f"--store {self._kind} --kill '{strike}'" + " --again" * again + " --broken" * self._broken
        what = "; ".join(f"{fault.kind}: {fault.text}" for fault in found[:5])
        self.findings.told.append(f"kill {self.findings.kills} of {self._kind}: {what}\n  again: tests/crash {words}")

    def _struck(self, place: Place, strike: Strike) -> int:
        """Do a run that is to be killed. The status that it ended with."""
        order, executioner, course = self._order(place.site), None, place.course
        order["broken"] = self._broken
        match strike:
            case AtTime(part):
                order["seconds"] = part * median(course.lengths)
            case InPhase(phase, visit, part):
                order |= {"phase": phase, "visit": visit, "seconds": part * median(course.visits[phase] or (0.0,))}
            case AtCall(number, after, only) if self._ground.proxy is None:
                order |= {"call": number, "after": after, "only": only}
            case AtCall(number, after, _):
                executioner = Executioner(number, after=after)
        status, seconds = self._run(order, executioner)
        if status == _SIGKILL:
            self._count_kill(place, strike, seconds)
        elif isinstance(strike, AtTime):
            course.lengths.append(seconds)
        return status

    def _count_kill(self, place: Place, strike: Strike, seconds: float) -> None:
        phase = self._note_visits(place)
        self.findings.again += place.course.again
        if isinstance(strike, AtCall):
            self.findings.calls["of the system" if strike.only else "after" if strike.after else "before"] += 1
            return
        self.findings.instants += 1
        self.findings.phases[phase] += 1
        tenths = self.findings.uniform if isinstance(strike, AtTime) else self.findings.aimed
        tenths[min(PAST, int(_TENTHS * seconds / median(place.course.lengths)))] += 1

    def _note_visits(self, place: Place) -> str:
        """Remember how long phases took. The phase that the run was in at the end."""
        marks = Marks(place.site.home / "marks")
        for phase, lengths in place.course.visits.items():
            visits, seconds = marks.visit(phase)
            if visits:
                lengths.append(seconds)
        last = marks.phase()
        marks.close()
        return last

    # -- runs

    def _place(self, *, again: bool = False) -> Place:
        """A new place; ``again``: in which a run has made the books of the old revision."""
        site, before = self._new_site(), NOTHING
        if again:
            before = self._made_before(site)
        return Place(site, self._courses[again], before)

    def _new_site(self) -> Site:
        self._count += 1
        return self._ground.site(self._home / f"{self._kind}-{self._seed}-{self._count}")

    def _made_before(self, site: Site) -> Former:
        """Let the books of the old revision stand in a site: of folders there is one to copy. What stands then."""
        if not isinstance(site, FolderSite):
            return self._make_old(site)
        if self._template is None:
            made = self._ground.site(self._home / "template")
            self._template = made, self._make_old(made)
        made, before = self._template
        assert isinstance(made, FolderSite)
        site.copy(made)
        return before

    def _make_old(self, site: Site) -> Former:
        """Raises: RuntimeError: an undisturbed run went wrong."""
        self._ground.show("old")
        try:
            status, _ = self._run(self._order(site), None)
        finally:
            self._ground.show("new")
        before = former(site)
        if status or {key: pages_in(book) for key, book in before.books.items()} != self._ground.right("old"):
            raise RuntimeError(f"a run over the old revision made {sorted(before.books)}: {_wrong(site, status)}")
        return before

    def _measure(self, again: bool = False, *, learn: bool = False) -> None:
        """A run that nobody disturbs; the first one shows what the books are. Raises: RuntimeError: it went wrong."""
        self._since_measured = 0
        with self._place(again=again) as place:
            order = self._order(place.site)
            if learn:
                order["learn"] = str(place.site.home / "modules")
            status, seconds = self._run(order, None)
            self._note_visits(place)
            self.expected = self.expected or place.site.books()
            place.course.asked = frozenset(self._ground.asked(self._began))
            found = self._ended(place, status)
            if found or {key: pages_in(book) for key, book in self.expected.items()} != self._ground.right():
                raise RuntimeError(f"an undisturbed run made {sorted(self.expected)}: {found}")
        place.course.lengths.append(seconds)
        if not again:
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
        pid = self._forks.start(order)
        if executioner is not None:
            executioner.condemn(pid)
        status = self._forks.wait()
        ended = time.monotonic()
        marks = Marks(Path(order["marks"]))
        self._began = marks.begun() or ended
        marks.close()
        self._ground.settle()
        return status, ended - self._began

    # -- what is looked at

    def _after_kill(self, place: Place) -> list[Fault]:
        """What it left, and what is wrong one run later, when all should be as if nothing had been."""
        site, books = place.site, place.site.books()
        found = list(right_after(books, self.expected, place.before))
        there = site.staged() | {
            f"{SUBSCRIPTION}/{key.removesuffix('.cbz')}/{page}"
            for key, pages in self._ground.right().items()
            if books.get(key) == self.expected[key]
            for page in pages
        }
        order = self._order(site)
        order["broken"] = self._broken
        status, _ = self._run(order, None)
        asked = self._ground.asked(self._began)
        return [*found, *wrong_downloads(asked, place.course.asked, there), *self._ended(place, status)]

    def _ended(self, place: Place, status: int) -> list[Fault]:
        """What is wrong after a run that nobody killed."""
        if said := _wrong(place.site, status):
            return [Fault("failed", said)]
        return list(at_end(place.site, self.expected, place.before))


def _wrong(site: Site, status: int) -> str:
    """Why a run was no good one; empty: it was."""
    said = (site.home / "output").read_text()
    errors = (site.home / "output.errors").read_text()
    if status != 0:
        return f"the run ended with status {status}: {said[-2000:]}{errors[-2000:]}".replace("\n", " ")
    document = json.loads(said)
    return said if document["waiting"] or document["held"] or document["problems"] else ""
