"""One world: the use cases as the functions and the command drive them, over stores, queues and a drive in memory."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from tests.simulation.drive import CACHE, Library, SourceOnTheWire, Trouble
from tests.simulation.memory_store import MemoryStore
from tests.simulation.operators import Operators, Site
from tests.simulation.queues import CloudQueue, DispatchOnTheWire, Punctuality, Request
from tests.simulation.rules import Rules
from tests.simulation.schedule import Process, Schedule
from tests.simulation.wire import ClockOfTheSchedule, StoreOnTheWire, Weather, Wire

from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.adapters.stores.retrying import RetryingStore
from pagebind.app.result import run_document
from pagebind.config.settings import BindSettings, PollSettings, QueueSettings, Settings, SourceSettings, StoreSettings
from pagebind.core.planner import Policy
from pagebind.core.watch import Watch
from pagebind.local import Runner, RunRequest
from pagebind.serverless import fetch, finalize, poll
from pagebind.serverless.instance import Kept
from pagebind.wiring import Configuration, Parts

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.profile import Profile

    from pagebind.adapters.dispatch.local import HandleFetch, HandleFinalize
    from pagebind.ports.dispatch import FetchTask
    from pagebind.ports.store import Store
    from pagebind.serverless.instance import Instance

ROOT = "/c"
SERIES = f"{ROOT}/S"
_START = 1_800_000_000.0
_TEMPLATE = "{series}/{volume}.cbz"
_WEEKS = 40 * 86400.0
_CONFIGURATION = Configuration("", "the simulation")
_HOLDS = 6
"""So many holds may a volume have, one after the other."""
_STRANGER = "Others/made by somebody else.cbz"
"""Stands in the library from the start: an empty one that held books would be taken for a disk that is not mounted."""


class OneProcess:
    """Stands in for `pagebind.serverless.instance.Instance`: parts that nobody else has."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def for_poll(self) -> Kept:
        return self._kept

    def for_task(self, config: str) -> Kept:
        del config
        return self._kept


class World:
    """Everything that a seed decides about, and what came of it.

    Attributes:
        rules: watch all of it.
        paths: of all volumes that there ever are.
        told: what the newest poll said of each volume, by id; its error under an empty id.
    """

    def __init__(self, dice: random.Random, profile: Profile) -> None:
        self.dice = dice
        self.profile = profile
        self.schedule = Schedule(dice, _START)
        self.wire = Wire(self.schedule)
        self.drive = Library(
            self.schedule, ROOT, hashes=profile.hashes, may_refresh=profile.may_refresh, cache=profile.cache
        )
        now = lambda: self.schedule.now  # noqa: E731  a clock
        self.work = MemoryStore(profile.kind, now=now)
        self.library = MemoryStore(profile.kind, work=self.work, now=now)
        self.queue = CloudQueue(self.schedule, self._call, self._taken)
        self.policy = Policy(
            settle=profile.settle,
            give_up_epochs=profile.give_up[0],
            give_up_after=profile.give_up[1],
            rate=profile.rate,
            durable=profile.durable,
        )
        self.told: dict[str, dict[str, Any]] = {}
        ahead = profile.rate * 2.0 * profile.interval
        self.rules = Rules(self.schedule, self.drive, self.work, self.library, self.policy, ahead)
        site = Site(self.schedule, self.drive, self.library, self.rules, self.told)
        self.operators = Operators(dice, site, self._parts)
        self._running: Process | None = None
        self._numbers = 0
        self._former: dict[str, list[dict[str, Any]]] = {}
        self.library.put(_STRANGER, b"a book")
        self.paths = [f"{SERIES}/{number}" for number, _ in enumerate(profile.volumes, 1)]
        for path, pages in zip(self.paths, profile.volumes, strict=True):
            names = [f"{page:03}.png" for page in range(1, pages + 1)]
            folder = {name: self.drive.another(name, sound=dice.random() >= profile.lost) for name in names}
            self.drive.folders[path] = folder

    # -- processes

    def _parts(self) -> Parts:
        profile = self.profile
        settings = Settings(
            SourceSettings("http://localhost", None, None, None, None, 0, 0, 0, 2, {}, 1, 1),
            StoreSettings("file:///w", "file:///l"),
            PollSettings(profile.interval, 480.0, profile.listings),
            QueueSettings("q" if profile.durable else None, None, None, None, None, 4),
            BindSettings(profile.settle, *profile.give_up, keep_pages=False),
            (),
        )
        hash_check = "strict" if profile.hashes else "warn"
        return Parts(
            settings,
            SourceOnTheWire(self.wire, self.drive),
            self._store(self.work, "work"),
            self._store(self.library, "library"),
            ClockOfTheSchedule(self.schedule),
            (Watch(ROOT, _TEMPLATE, hash_check=hash_check, comicinfo=profile.comicinfo),),
            self.policy,
            cast("Any", _Silent()),
            cast("Any", None),
        )

    def _store(self, store: MemoryStore, name: str) -> Store:
        on_the_wire = StoreOnTheWire(self.wire, store, name)
        return RetryingStore(on_the_wire) if self.profile.retries else on_the_wire

    def _instance(self) -> Instance:
        kept = Kept(_CONFIGURATION, self._parts(), DispatchOnTheWire(self.wire, self.queue))
        return cast("Instance", OneProcess(kept))

    def _call(self, kind: str, request: Request) -> int:
        """What a function answers to the queue."""
        function = fetch if kind == "fetch" else finalize
        answer = function.answer(cast("Any", request), self._instance())
        self.schedule.tell(f"answers {int(answer.status)}: {answer.document.get('outcome')}")
        return int(answer.status)

    def _taken(self, task: Any) -> None:
        self.rules.task_was_queued(task)

    def poll(self) -> None:
        """Begin a poll, or, where the queue is a process's own, a run, unless one is at work."""
        if self.profile.durable:
            self.schedule.begin("poll", self._poll)
        elif self._running is None or self._running.dead or self._running.ended is not None:
            self._running = self.schedule.begin("run", self._run)

    def _poll(self) -> None:
        answer = poll.answer(cast("Any", Request(b"")), self._instance())
        self._note(answer.document)

    def _run(self) -> None:
        result = Runner(_counted(self._parts(), self._taken), nullcontext).run(RunRequest())
        self._note(run_document(result))

    def _note(self, document: dict[str, Any]) -> None:
        """What a poll has found."""
        lists = ("bound", "up_to_date", "waiting", "held")
        said = {one["volume"]: one for name in lists for one in document[name]}
        self.schedule.tell("; ".join(f"{one['path']}: {one['state']}" for one in said.values()) or "saw nothing")
        self.told.pop("", None)
        if document["problems"] and not said:
            self.told[""] = document["problems"][0]
        else:
            self.told.update(said)
            self.rules.poll_ended_well(self.schedule.strand.process)
            self._perhaps_decide(document["held"])

    def _perhaps_decide(self, held: list[dict[str, Any]]) -> None:
        """Somebody reads what a poll has found held, while there is still trouble."""
        for one in held:
            self.schedule.counts[f"held: {one['problem']['code']}"] += 1
            when = self.schedule.now + self.dice.random() * self.profile.interval
            if self.dice.random() < self.profile.watchful and when < _START + self.profile.horizon:
                self.schedule.at(when, lambda path=one["path"]: self.operators.decide(path))  # type: ignore[misc]

    def decide(self) -> None:
        """Let an operator decide something about some volume, rather one that waits for it."""
        paths = sorted(self.drive.folders) or [SERIES]
        waiting = [path for path in paths if self.operators.stands(path) not in ("", "bound", "waiting", "fetching")]
        self.operators.decide(self.dice.choice(waiting or paths))

    # -- what happens to it

    def live(self) -> None:
        """Let it all happen, then all go well, and hold it against the rules."""
        profile, schedule, dice = self.profile, self.schedule, self.dice
        self.wire.weather = profile.weather
        self.queue.punctuality = profile.punctuality
        for number in range(profile.polls):
            when = _START + (number + 0.3 * dice.random()) * profile.interval
            schedule.at(when, self.poll)
            if dice.random() < profile.two_polls:
                schedule.at(when + dice.random() * 3.0, self.poll)
        for often, act in (
            (profile.changes, self.change),
            (profile.decisions, self.decide),
            (profile.meddling, self.meddle),
        ):
            for _ in range(often):
                schedule.at(_START + dice.random() * profile.horizon, act)
        self._plan_trouble()
        if dice.random() < profile.leap:
            schedule.at(_START + dice.random() * profile.horizon, lambda: self._leap(dice.random() * _WEEKS))
        schedule.at(_START + profile.horizon, self.calm)
        schedule.run()
        if not schedule.over:
            self._quiet()

    def _plan_trouble(self) -> None:
        dice, horizon = self.dice, self.profile.horizon
        for _ in range(dice.randrange(3)):
            begin = _START + dice.random() * horizon
            self.schedule.at(begin, lambda: self._trouble(self.profile.trouble))
            self.schedule.at(begin + dice.random() * horizon / 3, lambda: self._trouble(Trouble()))

    def _trouble(self, trouble: Trouble) -> None:
        self.schedule.tell(f"the drive: {trouble}")
        self.drive.trouble = trouble

    def _leap(self, seconds: float) -> None:
        self.schedule.now += seconds
        self.schedule.tell(f"{seconds / 86400:.1f} days pass", "a leap")

    def calm(self) -> None:
        """From now on nothing goes wrong, and the drive stays as it is."""
        self.schedule.tell("from now on nothing goes wrong")
        self.wire.weather, self.drive.trouble, self.queue.punctuality = Weather(), Trouble(), Punctuality()

    def _quiet(self) -> None:
        """Give everything its time; then three further polls have to do. What is held after them is lifted."""
        self.calm()
        for _ in range(_HOLDS):
            self._give_time()
            self._polls(3)
            self.rules.all_came_to_an_end(self.told)
            if self.schedule.over or not self.operators.resolve():
                break
            self._let_it_take_effect()
            if self.operators.try_once_more():
                self._let_it_take_effect()
            if self.rules.are_bound(self.told):
                break
        if not self.schedule.over:
            self.rules.nothing_is_held(self.told)

    def _let_it_take_effect(self) -> None:
        """Three polls, and the volume's share, are enough for what was decided, however soon that was."""
        self.schedule.run()
        self._polls(3 + self.rules.polls_for_a_share())
        self.rules.decisions_took_effect(self.told)

    def _give_time(self) -> None:
        """What is under way comes to its end, what fails is given up, and every volume gets its share."""
        schedule, rules = self.schedule, self.rules
        for _ in range(rules.polls_before_the_last()):
            schedule.now = max(schedule.now, rules.next_due())
            self._polls(1)
        schedule.now = max(schedule.now + max(CACHE, self.policy.give_up_after), rules.next_due()) + 1.0

    def _polls(self, number: int) -> None:
        for _ in range(number):
            self.schedule.now += self._pause
            self._round()
            if self.schedule.over:
                return

    def _round(self) -> None:
        """As many polls as it takes to list everything."""
        for _ in range(self.profile.round(2 + len(self.profile.volumes))):
            self.poll()
            self.schedule.run()
            self.schedule.now += 1.0

    @property
    def _pause(self) -> float:
        """Seconds between two polls in which what was listed settles."""
        return max(self.profile.interval, self.profile.patience) + 60.0

    def change(self) -> None:
        """Something happens to a folder of the drive."""
        drive, dice = self.drive, self.dice
        path = dice.choice(self.paths)
        before = dict(drive.folders.get(path, {}))
        former = cast("list[Any]", self._former.setdefault(path, []))
        after: dict[str, Any] = dict(before)
        name = dice.choice(sorted(before) or ["001.png"])
        what = dice.choice(self.profile.kinds)
        match what:
            case "add":
                name = f"{len(before) + 1:03}.png"
                after[name] = drive.another(name)
            case "replace" | "break":
                after[name] = drive.another(name, sound=what == "replace")
            case "remove":
                after.pop(name, None)
            case "revert" if former:
                after = dice.choice(former)
            case "touch":
                after = {n: file._replace(modified=self.schedule.now) for n, file in before.items()}
            case "gone":
                after = {}
            case _:
                return
        former.append(before)
        self._put(path, after, what)
        if dice.random() < 0.5:  # and back again: A, B, A
            later = self.schedule.now + dice.random() * 3.0 * self.profile.interval
            if later < _START + self.profile.horizon:
                self.schedule.at(later, lambda: self._put(path, before, "back"))

    def _put(self, path: str, folder: dict[str, Any], what: str) -> None:
        self.schedule.tell(f"the drive: {what} in {path}: {', '.join(sorted(folder)) or 'nothing'}", f"drive: {what}")
        if folder:
            self.drive.folders[path] = folder
        else:
            self.drive.folders.pop(path, None)

    def meddle(self) -> None:
        """Somebody who knows nothing of Pagebind works in the library."""
        path = self.dice.choice(self.paths)
        key = f"S/{path.rpartition('/')[2]}.cbz"
        standing = self.library.head(key)
        if standing is not None and self.dice.random() < 0.4:
            self.schedule.tell(f"somebody removes {key}", "a book that is removed")
            self.library.delete(key)
        else:
            self.schedule.tell(f"somebody puts something else under {key}", "a book that is changed")
            self._numbers += 1
            self.library.put(key, b"somebody's book %d" % self._numbers)
        self.rules.somebody_meddled(key)


class _Silent:
    """Nobody watches the progress."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class _Counted(LocalDispatch):
    """A process's own queue, whose tasks are counted."""

    taken: Callable[[FetchTask], None]

    def fetch(self, task: FetchTask) -> None:
        self.taken(task)
        super().fetch(task)


def _counted(parts: Parts, taken: Callable[[FetchTask], None]) -> Parts:
    """Parts of a run whose tasks are counted."""

    class Counting(Parts):
        def local_dispatch(self, fetch: HandleFetch, finalize: HandleFinalize) -> LocalDispatch:
            made = _Counted(fetch, finalize, self.clock, workers=3)
            made.taken = taken
            return made

    return Counting(*parts)
