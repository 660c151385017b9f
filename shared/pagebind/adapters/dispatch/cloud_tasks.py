"""Google Cloud Tasks: one task for each page, and one for each book that may be ready.

Tasks are created in parallel by a pool of threads, for one at a time takes a round trip. Google's library is imported
by the first of them: a poll that finds nothing new pays nothing for it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pagebind.adapters.dispatch import task_body
from pagebind.adapters.dispatch.task_names import fetch_name, finalize_name
from pagebind.adapters.installed import installed
from pagebind.adapters.workers import Workers
from pagebind.errors import ConfigError, PagebindError

if TYPE_CHECKING:
    from pagebind.adapters.dispatch.cloud_tasks_api import CloudTasksApi
    from pagebind.ports.clock import Clock
    from pagebind.ports.dispatch import FetchTask, FinalizeTask

log = logging.getLogger(__name__)

FETCH_DEADLINE: Final = 900.0
"""Seconds that the queue waits for fetch: an archive of a gigabyte comes in that time at 1.2 MB/s.

The function's own time limit must not be longer, or the queue sends a task again while it is still worked on.
"""

FINALIZE_DEADLINE: Final = 1800.0
"""Seconds that it waits for finalize: the longest it can, for the largest book takes as long as it takes."""

_AT_ONCE: Final = 1.0
"""Seconds; a finalize that is due sooner is not scheduled, for that costs the queue more than it gives."""

_FARTHEST: Final = 29 * 86_400.0
"""Seconds; the queue takes no task that is due in more than 30 days."""

_WORKERS: Final = 32
"""Tasks created at once: 1,000 take about 2 s where the queue answers after 50 ms."""

_AHEAD: Final = 256
"""Tasks in memory that are not created yet: at most 25 MB. Whoever gives more is made to wait."""


class Queues(NamedTuple):
    """Where tasks go.

    Attributes:
        fetch, finalize: names of the queues, ``projects/P/locations/L/queues/Q``.
        fetch_url, finalize_url: of the functions; they are also the audience of the calls' identity.
        service_account: whose identity that is; empty: calls carry none.
    """

    fetch: str
    finalize: str
    fetch_url: str
    finalize_url: str
    service_account: str = ""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to create.

    Attributes:
        queue: full name of its queue.
        name: of the task, within the queue.
        url: what the queue calls.
        account: whose identity the call carries; empty: none.
        body: JSON.
        due: when the queue is to call, seconds since the epoch; None: at once.
        deadline: seconds that the queue waits for the answer.
        sign: what must not be quoted, should the queue say it back; empty where there is none.
    """

    queue: str
    name: str
    url: str
    account: str
    body: bytes = field(repr=False)
    due: float | None
    deadline: float
    sign: str = field(default="", repr=False)


@dataclass(slots=True)
class Batch:
    """What one thread has given since it last learned how that went.

    Attributes:
        unfinished: tasks that are neither created nor given up.
        error: why one could not be created; all that follow it are given up.
    """

    unfinished: int = 0
    error: PagebindError | None = None


class CloudTasksDispatch:
    """Implements `pagebind.ports.dispatch.Dispatch`.

    Threads that share it, as requests to one warm process do, learn each of their own tasks only.
    """

    durable = True

    def __init__(self, queues: Queues, clock: Clock, *, config: str) -> None:
        self._queues = queues
        self._clock = clock
        self._config = config
        self._lock = threading.Lock()
        self._finished = threading.Condition(self._lock)
        self._room = threading.BoundedSemaphore(_AHEAD)
        self._batches: dict[int, Batch] = {}
        self._api: CloudTasksApi | None = None
        self._pool = Workers(_WORKERS, thread_name_prefix="pagebind-tasks")

    def open(self) -> None:
        """See `Dispatch.open`. Raises: ConfigError: the library or credentials are missing."""
        self._connected()

    def fetch(self, task: FetchTask) -> None:
        """See `Dispatch.fetch`.

        A task that is too large for the queue is logged as an error and left out: only its own book waits for it.

        Raises:
            QueueUnavailable: the queue is out of reach or overloaded, for 20 s now.
            ConfigError: the library or credentials are missing, or the queue does not exist or takes no such task.
        """
        queues = self._queues
        new = NewTask(
            queue=queues.fetch,
            name=fetch_name(task),
            url=queues.fetch_url,
            account=queues.service_account,
            body=task_body.dump(task, config=self._config),
            due=None,
            deadline=FETCH_DEADLINE,
            sign=task.sign,
        )
        self._give(new, {"volume": task.volume, "page": task.path})

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:
        """See `Dispatch.finalize`. Raises: as `fetch`."""
        queues = self._queues
        new = NewTask(
            queue=queues.finalize,
            name=finalize_name(task),
            url=queues.finalize_url,
            account=queues.service_account,
            body=task_body.dump(task, config=self._config),
            due=self._clock.now() + min(delay, _FARTHEST) if delay >= _AT_ONCE else None,
            deadline=FINALIZE_DEADLINE,
        )
        self._give(new, {"volume": task.volume})

    def flush(self) -> None:
        """See `Dispatch.flush`: it is about what this thread gave. Raises: as `fetch`."""
        with self._finished:
            batch = self._batches.pop(threading.get_ident(), None)
            if batch is None:
                return
            self._finished.wait_for(lambda: not batch.unfinished)
        if batch.error is not None:
            raise batch.error

    def close(self) -> None:
        """Give back threads and connections, when what was given is done with. Nothing can be queued after it."""
        self._pool.shutdown()
        if self._api is not None:
            self._api.close()

    def _give(self, new: NewTask, about: dict[str, str]) -> None:
        """Hand a task to the pool. Raises: what became of one before, or of the library."""
        api = self._connected()
        self._room.acquire()
        with self._lock:
            batch = self._batches.setdefault(threading.get_ident(), Batch())
            if batch.error is None:
                batch.unfinished += 1
            else:
                del self._batches[threading.get_ident()]
        if batch.error is not None:
            self._room.release()
            raise batch.error
        self._pool.submit(self._create, api, new, about, batch)

    def _connected(self) -> CloudTasksApi:
        """The client, made when it is first needed. Raises: ConfigError."""
        with self._lock:
            if self._api is None:
                with installed("functions", "Cloud Tasks needs"):
                    from pagebind.adapters.dispatch.cloud_tasks_api import CloudTasksApi
                self._api = CloudTasksApi(self._clock)
            return self._api

    def _create(self, api: CloudTasksApi, new: NewTask, about: dict[str, str], batch: Batch) -> None:
        """Runs in the pool. What goes wrong is told to the thread that gave the task."""
        error: PagebindError | None = None
        try:
            if not api.create(new, lambda: batch.error is not None):
                log.error("task too large", extra={**about, "bytes": len(new.body)})
        except PagebindError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001  nobody looks at the pool's futures: flush must not wait for ever
            error = ConfigError(f"Cloud Tasks takes no such task: {type(failure).__name__}")
            error.__cause__ = failure
        finally:
            with self._finished:
                batch.error = batch.error or error
                batch.unfinished -= 1
                self._finished.notify_all()
            self._room.release()
