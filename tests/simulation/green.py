"""Threads for the use cases that are strands of the schedule: the same interface, every order decided by the seed."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.schedule import Schedule, Strand

_USERS = ("app.walk", "app.agenda", "app.survey", "app.recorder", "app.fetch", "adapters.dispatch.local", "local")
"""The modules that start threads, or wait for each other, while they call ports."""


class Threading:
    """Stands in for the module `threading`, as far as the use cases use it."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def Lock(self) -> Latch:  # noqa: N802  as in `threading`
        return Latch(self._schedule)

    def Condition(self, lock: Latch | None = None) -> Condition:  # noqa: N802
        return Condition(self._schedule, lock or self.Lock())

    def BoundedSemaphore(self, value: int) -> Latch:  # noqa: N802
        return Latch(self._schedule, value)

    def Thread(self, *, target: Callable[..., object], args: tuple[Any, ...] = (), **_: object) -> Thread:  # noqa: N802
        return Thread(self._schedule, target, args)


class Latch:
    """A lock, or a semaphore: it may be held while a port is called."""

    def __init__(self, schedule: Schedule, value: int = 1) -> None:
        self._schedule = schedule
        self._free = value
        self._waiting: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        while not self._free:
            self._waiting.append(self._schedule.waker())
            self._schedule.park()
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1
        if self._waiting:
            self._waiting.pop(0)()


class Condition:
    """What is waited for under a lock, which is let go of meanwhile."""

    def __init__(self, schedule: Schedule, lock: Latch) -> None:
        self._schedule = schedule
        self._lock = lock
        self._waiting: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    def wait(self, timeout: float | None = None) -> None:
        wake = self._schedule.waker()
        self._waiting.append(wake)
        if timeout is not None:
            self._schedule.at(self._schedule.now + timeout, wake)
        self._lock.__exit__()
        self._schedule.park()
        self._lock.__enter__()

    def wait_for(self, predicate: Callable[[], object]) -> None:
        while not predicate():
            self.wait()

    def notify_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()


class Thread:
    """A strand of the process that starts it."""

    def __init__(self, schedule: Schedule, target: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._schedule = schedule
        self._target = target
        self._args = args
        self._strand: Strand | None = None

    def start(self) -> None:
        process = self._schedule.strand.process
        self._strand = self._schedule.spawn(process, lambda: self._target(*self._args))

    def is_alive(self) -> bool:
        return self._strand is not None and not self._strand.dead

    def join(self, seconds: float | None = None) -> None:
        """Nobody waits for one here: a run without grace leaves its threads to their page."""
        del seconds


@contextmanager
def threads(schedule: Schedule) -> Iterator[None]:
    """Let the use cases have these threads."""
    with ExitStack() as patches:
        for module in _USERS:
            patches.enter_context(patch(f"pagebind.{module}.threading", Threading(schedule)))
        yield
