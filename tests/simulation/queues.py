"""A queue as Cloud Tasks keeps one: each name once for ever, each task at least once, in any order, tried again."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pagebind.adapters.dispatch import task_body, task_names
from pagebind.errors import QueueUnavailable
from pagebind.ports.dispatch import FetchTask, FinalizeTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.schedule import Schedule
    from tests.simulation.wire import Wire

ATTEMPTS = 4
"""So often is a task tried: fewer than in the cloud, so that a page is given up within a few hours."""

_FIRST_BACKOFF, _LONGEST_BACKOFF = 2.0, 300.0

Task = FetchTask | FinalizeTask


class Request:
    """As much of Flask's request as the functions read."""

    method, mimetype = "POST", "application/json"

    def __init__(self, body: bytes, retries: int | None = None) -> None:
        self.content_length = len(body)
        self.stream = io.BytesIO(body)
        self.headers: dict[str, str] = {}
        if retries is not None:
            self.headers = {"X-CloudTasks-QueueName": "q", "X-CloudTasks-TaskRetryCount": str(retries)}


@dataclass(slots=True)
class Punctuality:
    """How a queue delivers: chances from 0 to 1. ``late``: by up to ten minutes; ``twice``: a second time as well."""

    late: float = 0.0
    twice: float = 0.0


class Queued(NamedTuple):
    """A task that the queue has taken."""

    kind: str
    body: bytes
    attempt: int = 0


class CloudQueue:
    """Both queues of a deployment.

    Args:
        call: what is called for a delivery: gives the status of the answer to a kind and a request.
        taken: is told of each task that is new.
    """

    def __init__(self, schedule: Schedule, call: Callable[[str, Request], int], taken: Callable[[Task], None]) -> None:
        self.punctuality = Punctuality()
        self._schedule = schedule
        self._call = call
        self._taken = taken
        self._names: set[str] = set()

    def create(self, task: Task, delay: float) -> None:
        """Take a task, unless its name was used before."""
        is_page = isinstance(task, FetchTask)
        name = task_names.fetch_name(task) if is_page else task_names.finalize_name(task)  # type: ignore[arg-type]
        if name in self._names:
            self._schedule.tell("... whose name is used already")
            return
        self._names.add(name)
        self._taken(task)
        self._later(Queued("fetch" if is_page else "finalize", task_body.dump(task, config="")), delay)

    def _later(self, task: Queued, delay: float) -> None:
        schedule, dice = self._schedule, self._schedule.dice
        delay += dice.random()
        if dice.random() < self.punctuality.late:
            delay += dice.random() * 600.0
            schedule.counts["a late delivery"] += 1
        schedule.at(schedule.now + delay, lambda: self._deliver(task, echo=False))
        if dice.random() < self.punctuality.twice:
            schedule.counts["a second delivery"] += 1
            schedule.at(schedule.now + delay + dice.random() * 60.0, lambda: self._deliver(task, echo=True))

    def _deliver(self, task: Queued, *, echo: bool) -> None:
        status = 0

        def work() -> None:
            nonlocal status
            try:
                status = self._call(task.kind, Request(task.body, task.attempt))
            finally:
                self._settle(task, status, echo=echo)

        self._schedule.begin(task.kind, work)

    def _settle(self, task: Queued, status: int, *, echo: bool) -> None:
        """Done, once more, or dropped. What becomes of a second delivery is nobody's concern."""
        if echo or 200 <= status < 300:
            return
        if task.attempt + 1 < ATTEMPTS:
            backoff = min(_FIRST_BACKOFF * 4.0**task.attempt, _LONGEST_BACKOFF)
            self._later(task._replace(attempt=task.attempt + 1), backoff)


class DispatchOnTheWire:
    """Implements `pagebind.ports.dispatch.Dispatch`: that queue as a process sees it."""

    durable = True

    def __init__(self, wire: Wire, queue: CloudQueue) -> None:
        self._wire = wire
        self._queue = queue

    def open(self) -> None:
        """It always is."""

    def fetch(self, task: FetchTask) -> None:
        what = f"queue: page {task.path}, seq {task.seq}, epoch {task.epoch}"
        self._wire.call(what, lambda: self._queue.create(task, 0.0), QueueUnavailable)

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:
        what = f"queue: book {task.volume}, seq {task.seq}, epoch {task.epoch}, attempt {task.attempt}"
        what += " for a poll" if task.asker else ""
        self._wire.call(what, lambda: self._queue.create(task, delay), QueueUnavailable)

    def flush(self) -> None:
        """Each was queued at once."""
