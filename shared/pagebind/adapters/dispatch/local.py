"""A queue in the process, with threads that work on it. It dies with the process: what it held is sent again."""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING

from pagebind.errors import PagebindError, PageFailed, ServerUnreachable
from pagebind.ports.dispatch import FetchTask, FinalizeTask

if TYPE_CHECKING:
    from pagebind.ports.clock import Clock

log = logging.getLogger(__name__)

HandleFetch = Callable[[FetchTask, bool], None]
"""Stage one page; the flag says that nobody will try again."""

HandleFinalize = Callable[[FinalizeTask], None]

_ATTEMPTS = 3
_BACKOFF_SECONDS = 0.5
_LONGEST_WAIT = 60.0
_AHEAD = 16
"""Tasks that wait in memory, for each worker; whoever queues more is made to wait."""


class LocalDispatch:
    """Implements `pagebind.ports.dispatch.Dispatch` with ``workers`` threads for pages and one for books.

    A volume's finalize runs when none of its pages is queued or under way any more. A page's temporary fault is tried
    again with backoff and jitter; a server or store that is out of order ends everything: `drain` raises it.
    """

    durable = False

    def __init__(
        self,
        fetch: HandleFetch,
        finalize: HandleFinalize,
        clock: Clock,
        *,
        workers: int,
        backoff: float = _BACKOFF_SECONDS,
    ) -> None:
        self._handle_fetch = fetch
        self._handle_finalize = finalize
        self._clock = clock
        self._workers = workers
        self._backoff = backoff
        self._changed = threading.Condition()
        self._ready: deque[tuple[FetchTask, int]] = deque()
        self._later: list[tuple[float, int, FetchTask, int]] = []
        self._ticket = itertools.count()
        self._pages: Counter[str] = Counter()
        self._waiting: dict[str, FinalizeTask] = {}
        self._books: deque[FinalizeTask] = deque()
        self._binding = 0
        self._fatal: BaseException | None = None
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def open(self) -> None:
        """See `Dispatch.open`: it always is."""

    def fetch(self, task: FetchTask) -> None:
        """See `Dispatch.fetch`. Blocks while the queue is full; does nothing once the work is over."""
        with self._changed:
            self._start()
            self._changed.wait_for(lambda: len(self._ready) < _AHEAD * self._workers or self._over)
            if not self._over:
                self._pages[task.volume] += 1
                self._ready.append((task, 0))
                self._changed.notify_all()

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:  # noqa: ARG002  the end is known, not guessed
        """See `Dispatch.finalize`."""
        with self._changed:
            self._start()
            self._waiting[task.volume] = task
            self._release(task.volume)

    def flush(self) -> None:
        """See `Dispatch.flush`: all is queued at once."""

    def drain(self) -> None:
        """Wait until everything is done.

        Raises:
            PagebindError: the server or the store is out of order; the rest was dropped.
        """
        with self._changed:
            while not self._over and (self._pages or self._waiting or self._books or self._binding):
                self._changed.wait()
            if self._fatal is not None:
                raise self._fatal

    def stop(self) -> None:
        """Drop what is queued and let the threads end after the page that they are at."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait for the threads to end after `stop`, but no longer than ``seconds``. Whether all have ended."""
        deadline = self._clock.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def _over(self) -> bool:
        return self._stopped or self._fatal is not None

    def _start(self) -> None:
        if self._threads:
            return
        self._threads = [
            *(_thread(self._fetch_loop, f"pagebind-fetch-{n}") for n in range(self._workers)),
            _thread(self._finalize_loop, "pagebind-finalize"),
        ]
        for thread in self._threads:
            thread.start()

    def _release(self, volume: str) -> None:
        """Let a volume's finalize run once none of its pages is under way."""
        if not self._pages[volume]:
            del self._pages[volume]
            task = self._waiting.pop(volume, None)
            if task is not None:
                self._books.append(task)
            self._changed.notify_all()

    def _fetch_loop(self) -> None:
        while (taken := self._take_page()) is not None:
            task, attempt = taken
            last = attempt + 1 >= _ATTEMPTS
            try:
                self._handle_fetch(task, last)
            except (PageFailed, ServerUnreachable) as error:
                if last or not error.retryable:
                    self._fail(error)
                    return
                self._again(task, attempt, error)
                continue
            except BaseException as error:  # noqa: BLE001  drain raises it in the thread that waits
                self._fail(error)
                return
            with self._changed:
                self._pages[task.volume] -= 1
                self._release(task.volume)

    def _take_page(self) -> tuple[FetchTask, int] | None:
        with self._changed:
            while not self._over:
                now = self._clock.monotonic()
                while self._later and self._later[0][0] <= now:
                    _, _, task, attempt = heapq.heappop(self._later)
                    return task, attempt
                if self._ready:
                    taken = self._ready.popleft()
                    self._changed.notify_all()
                    return taken
                self._changed.wait(self._later[0][0] - now if self._later else None)
        return None

    def _again(self, task: FetchTask, attempt: int, error: PagebindError) -> None:
        delay = self._backoff * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311  jitter, not a secret
        if error.retry_after is not None:
            delay = max(delay, min(error.retry_after, _LONGEST_WAIT))
        log.info(
            "page put off",
            extra={
                "volume": task.volume,
                "seq": task.seq,
                "epoch": task.epoch,
                "page": task.path,
                "code": error.code,
                "reason": error.message,
                "wait": round(delay, 2),
            },
        )
        with self._changed:
            due = self._clock.monotonic() + delay
            heapq.heappush(self._later, (due, next(self._ticket), task, attempt + 1))
            self._changed.notify_all()

    def _finalize_loop(self) -> None:
        while (task := self._take_book()) is not None:
            try:
                self._handle_finalize(task)
            except BaseException as error:  # noqa: BLE001  as above
                self._fail(error)
                return
            with self._changed:
                self._binding -= 1
                self._changed.notify_all()

    def _take_book(self) -> FinalizeTask | None:
        with self._changed:
            self._changed.wait_for(lambda: self._books or self._over)
            if self._over:
                return None
            self._binding += 1
            return self._books.popleft()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._fatal = self._fatal or error
            self._changed.notify_all()


def _thread(work: Callable[[], None], name: str) -> threading.Thread:
    """One that knows the context of whoever makes it, and with it the trace of a request."""
    return threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
