"""How one queue of Cloud Tasks delivers: its rate, its retries, its doubts."""

from __future__ import annotations

import heapq
import http.client
import itertools
import socket
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_SCATTER_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class QueueRules:
    """The configuration of a queue.

    Attributes:
        per_second, burst: a bucket of so many tokens, filled at that rate; each delivery takes one.
        concurrent: deliveries under way at once.
        max_attempts: after so many a task is dropped.
        min_backoff, max_backoff: seconds; doubled from retry to retry, from the one up to the other.
        deadline: seconds after which an answer is not waited for; None: what the task says.
    """

    per_second: float = 500.0
    burst: int = 10
    concurrent: int = 100
    max_attempts: int = 100
    min_backoff: float = 0.1
    max_backoff: float = 3600.0
    deadline: float | None = None


class Created(NamedTuple):
    """A task that was created.

    Attributes:
        queue, name: short names.
        url, headers, body: what is sent.
        schedule: when it is due, seconds since the epoch; None: at once.
        deadline: seconds.
        account, audience: of its identity; empty without one.
    """

    queue: str
    name: str
    url: str
    headers: dict[str, str]
    body: bytes
    schedule: float | None
    deadline: float
    account: str
    audience: str


@dataclass(slots=True)
class Delivery:
    """One call of a target.

    Attributes:
        queue, name: short names of queue and task.
        attempt: how often the task was tried before.
        echo: the queue's second delivery of the same attempt.
        status: of the answer; None: there was none.
        started, ended: by the monotonic clock; None: it is under way.
    """

    queue: str
    name: str
    attempt: int
    echo: bool
    started: float
    status: int | None = None
    ended: float | None = None


class _Due(NamedTuple):
    """A delivery to come. ``answered``: so many answers till now were no 5xx; ``previous``: the last one's status."""

    task: Created
    body: bytes
    attempt: int = 0
    answered: int = 0
    previous: int | None = None
    echo: bool = False


class Records:
    """What happened in all queues, and what is still to come."""

    def __init__(self) -> None:
        self.created: list[Created] = []
        self.deliveries: list[Delivery] = []
        self.dropped: list[Created] = []
        self.pending: Counter[str] = Counter()
        self.changed = threading.Condition()

    def begin(self, queue: str) -> None:
        """Something is to come."""
        with self.changed:
            self.pending[queue] += 1

    def drop(self, task: Created) -> None:
        """It was tried often enough."""
        with self.changed:
            self.dropped.append(task)

    def end(self, queue: str) -> None:
        """It has come, or never will."""
        with self.changed:
            self.pending[queue] -= 1
            self.changed.notify_all()


class TaskQueue:
    """Delivers what it is given, in threads of its own, until it is closed.

    Attributes:
        duplicate: every delivery is made twice.
        dice: deliveries are scattered and shuffled by it; None: they are not.
    """

    def __init__(self, name: str, rules: QueueRules, records: Records, time_scale: float) -> None:
        self.duplicate = False
        self.dice: random.Random | None = None
        self._name = name
        self._rules = rules
        self._records = records
        self._scale = time_scale
        self._changed = threading.Condition()
        self._later: list[tuple[float, int, _Due]] = []
        self._ticket = itertools.count()
        self._ready: deque[_Due] = deque()
        self._tokens = float(rules.burst)
        self._filled = time.monotonic()
        self._slow_until = 0.0
        self._under_way = 0
        self._paused = False
        self._closed = False
        self._connections: set[http.client.HTTPConnection] = set()
        self._pool = ThreadPoolExecutor(rules.concurrent, thread_name_prefix=f"queue {name}")
        self._thread = threading.Thread(target=self._run, name=f"queue {name}")
        self._thread.start()

    def add(self, task: Created, body: bytes) -> None:
        """Deliver a task that is due."""
        self._put(_Due(task, body), 0.0)

    def pause(self, *, paused: bool) -> None:
        """Deliver nothing while it is paused."""
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def close(self) -> None:
        """Forget what is to come and cut what is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for connection in self._connections:
                _cut(connection)
        self._thread.join()
        self._pool.shutdown()

    def _put(self, due: _Due, seconds: float) -> None:
        with self._changed:
            if self.dice is not None:
                seconds += self.dice.uniform(0.0, _SCATTER_SECONDS)
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._ticket), due))
            self._changed.notify_all()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            if self.duplicate and not due.echo:
                self._records.begin(self._name)
                self._put(due._replace(echo=True), 0.0)
            self._pool.submit(self._deliver, due)

    def _next(self) -> _Due | None:
        """The next delivery, when rate, concurrency and slowness allow it; None when closed."""
        with self._changed:
            while not self._closed:
                wait = self._wait(time.monotonic())
                if wait == 0.0:
                    return self._taken()
                self._changed.wait(wait)
        return None

    def _wait(self, now: float) -> float | None:
        """Seconds until there may be something to do; None: until somebody says so."""
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        rules = self._rules
        self._tokens = min(float(rules.burst), self._tokens + (now - self._filled) * rules.per_second)
        self._filled = now
        if self._paused or self._under_way >= rules.concurrent:
            return None
        if now < self._slow_until:
            return self._slow_until - now
        if not self._ready:
            return self._later[0][0] - now if self._later else None
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / rules.per_second

    def _taken(self) -> _Due:
        self._tokens -= 1.0
        self._under_way += 1
        if self.dice is not None:
            self._ready.rotate(self.dice.randrange(len(self._ready)))
        return self._ready.popleft()

    def _deliver(self, due: _Due) -> None:
        delivery = Delivery(self._name, due.task.name, due.attempt, due.echo, time.monotonic())
        with self._records.changed:
            self._records.deliveries.append(delivery)
            self._records.changed.notify_all()
        status, retry_after = self._called(due)
        with self._records.changed:
            delivery.status, delivery.ended = status, time.monotonic()
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()
        self._settle(due, status, retry_after)

    def _settle(self, due: _Due, status: int | None, retry_after: float) -> None:
        """Done, once more, or dropped. What becomes of an echo is nobody's concern."""
        rules = self._rules
        backoff = min(rules.min_backoff * 2.0**due.attempt, rules.max_backoff)
        if status in {429, 503}:
            with self._changed:
                until = time.monotonic() + (retry_after or backoff) * self._scale
                self._slow_until = max(self._slow_until, until)
        done = status is not None and status in range(200, 300)
        if not done and not due.echo and due.attempt + 1 < rules.max_attempts:
            answered = due.answered + (status is not None and status < 500)
            again = due._replace(attempt=due.attempt + 1, answered=answered, previous=status)
            self._put(again, backoff * self._scale)
            return
        if not done and not due.echo:
            self._records.drop(due.task)
        self._records.end(self._name)

    def _called(self, due: _Due) -> tuple[int | None, float]:
        """The status of the answer, and the seconds after which it wants to be asked again."""
        url = urlsplit(due.task.url)
        deadline = self._rules.deadline or due.task.deadline
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=deadline)
        with self._changed:
            self._connections.add(connection)
        try:
            connection.connect()
            if self._closed:
                return None, 0.0
            target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
            connection.request("POST", target, due.body, dict(_headers(due)))
            answer = connection.getresponse()
            answer.read()
            return answer.status, _seconds(answer.getheader("Retry-After", ""))
        except (OSError, http.client.HTTPException):
            return None, 0.0
        finally:
            with self._changed:
                self._connections.discard(connection)
            connection.close()


def _headers(due: _Due) -> Iterator[tuple[str, str]]:
    """As the service sends them: cloud.google.com/tasks/docs/creating-http-target-tasks#handler."""
    task = due.task
    yield from task.headers.items()
    yield "User-Agent", "Google-Cloud-Tasks"
    yield "X-CloudTasks-QueueName", task.queue
    yield "X-CloudTasks-TaskName", task.name
    yield "X-CloudTasks-TaskRetryCount", str(due.attempt)
    yield "X-CloudTasks-TaskExecutionCount", str(due.answered)
    yield "X-CloudTasks-TaskETA", f"{task.schedule or time.time():.6f}"
    if due.previous is not None:
        yield "X-CloudTasks-TaskPreviousResponse", str(due.previous)
    if task.account:
        yield "Authorization", f"Bearer made-up-identity-of-{task.account}"


def _seconds(text: str) -> float:
    """The value of Retry-After; 0: there is none."""
    return float(text) if text.isdigit() else 0.0


def _cut(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError):
        if connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)
