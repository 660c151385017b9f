"""Between a process and the ports: here time passes, calls fail, answers are lost, and processes die."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tests.simulation.schedule import Died

from pagebind.adapters.clock import SystemClock
from pagebind.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tests.simulation.memory_store import MemoryStore
    from tests.simulation.schedule import Schedule

    from pagebind.errors import PagebindError
    from pagebind.ports.store import Condition, ObjectInfo, Part

T = TypeVar("T")

_SHORT = 0.1


@dataclass(slots=True)
class Weather:
    """How often what goes wrong, of all calls of ports: chances from 0 to 1.

    Attributes:
        death: the process dies, before the call or after it.
        refusal: a call of a store or queue fails, and has done nothing.
        lost: it has done its work, and its answer is lost.
        stall: a call takes long; ``longest`` seconds at most.
    """

    death: float = 0.0
    refusal: float = 0.0
    lost: float = 0.0
    stall: float = 0.0
    longest: float = 60.0


@dataclass(slots=True)
class Wire:
    """All calls of ports go through here."""

    schedule: Schedule
    weather: Weather = field(default_factory=Weather)

    def wait(self) -> None:
        """So long takes a call on its way."""
        dice, weather = self.schedule.dice, self.weather
        seconds = dice.random() * _SHORT
        if weather.stall and dice.random() < weather.stall:
            seconds = dice.random() * weather.longest
            self.schedule.tell(f"is held up for {seconds:.0f} s", "a stall")
        self.schedule.pause(seconds)
        self._perhaps_die("before it")

    def call(self, what: str, act: Callable[[], T], error: type[PagebindError] = StoreUnavailable) -> T:
        """One call, which may fail with this error."""
        self.wait()
        dice, weather, schedule = self.schedule.dice, self.weather, self.schedule
        if weather.refusal and dice.random() < weather.refusal:
            schedule.tell(f"{what}: refused", "a refusal")
            raise error("out of order")
        try:
            answer = act()
        except Exception as failure:
            schedule.tell(f"{what}: {type(failure).__name__}")
            raise
        schedule.tell(what)
        self._perhaps_die("after it")
        if weather.lost and dice.random() < weather.lost:
            schedule.tell("... whose answer is lost", "a lost answer")
            raise error("no answer")
        return answer

    def _perhaps_die(self, when: str) -> None:
        if self.weather.death and self.schedule.dice.random() < self.weather.death:
            self.die(when)

    def die(self, when: str) -> None:
        """The process at work is killed. Raises: Died."""
        self.schedule.tell(f"is killed {when}", "a death")
        self.schedule.kill(self.schedule.strand.process)
        raise Died


class StoreOnTheWire:
    """Implements `pagebind.ports.store.Store`: one store as a process sees it."""

    def __init__(self, wire: Wire, store: MemoryStore, name: str) -> None:
        self.store = store
        self._wire = wire
        self._name = name

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        return self._call(f"put {key}", lambda: self.store.put(key, data, condition=condition, metadata=metadata))

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        return self.put(key, b"".join(chunks), condition=condition, metadata=metadata)

    def get(self, key: str) -> bytes:
        return self._call(f"get {key}", lambda: self.store.get(key))

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        yield from self._call(f"stream {key}", lambda: self.store.stream(key, start=start, length=length))

    def head(self, key: str) -> ObjectInfo | None:
        return self._call(f"head {key}", lambda: self.store.head(key))

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        yield from self._call(f"list {prefix}", lambda: self.store.list(prefix, metadata=metadata, after=after))

    def delete(self, key: str, *, version: str | None = None) -> None:
        self._call(f"delete {key}", lambda: self.store.delete(key, version=version))

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        """One after the other: what dies in the middle of it has deleted some."""
        for info in objects:
            self._call(f"delete {info.key}", lambda info=info: self.store.delete_all([info]))  # type: ignore[misc]

    def assemble(
        self,
        key: str,
        parts: Sequence[Part],
        *,
        crc32c: int,
        condition: Condition,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        """Two steps, between which others are at work: the parts are read, then what they make is published."""
        content = self._call(f"read the parts of {key}", lambda: self.store.content_of(parts))
        return self._call(
            f"publish {key}",
            lambda: self.store.publish(key, content, crc32c=crc32c, condition=condition, metadata=metadata),
        )

    def abandon(self, key: str) -> None:
        self._call(f"abandon {key}", lambda: self.store.abandon(key))

    def sweep(self) -> None:
        self._call("sweep", self.store.sweep)

    def lacks(self) -> tuple[str, ...]:
        return ()

    def _call(self, what: str, act: Callable[[], T]) -> T:
        return self._wire.call(f"{self._name}: {what}", act)


class ClockOfTheSchedule(SystemClock):
    """The schedule's time. A `SystemClock` by type, so that it fits into the wiring."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def now(self) -> float:
        return self._schedule.now

    def monotonic(self) -> float:
        return self._schedule.now

    def wait(self, seconds: float) -> None:
        self._schedule.pause(seconds)
