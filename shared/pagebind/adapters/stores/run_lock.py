"""Locks of the operating system: whoever dies, however it dies, lets go of them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import TYPE_CHECKING

from pagebind.adapters.stores.durable import make_folder, speaking_plainly
from pagebind.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

RUN_LOCK = ".run.lock"
"""Name of the lock of runs in a work folder."""

_POLL_SECONDS = 0.25


class RunLock:
    """One run at a time on this machine: who holds the lock file ``path``.

    ``optional``: where the file cannot be had, runs go on without it, for the store is safe without and only work
    would be done twice.
    """

    def __init__(self, path: Path, *, optional: bool = False) -> None:
        self._path = path
        self._optional = optional

    def is_held(self) -> bool:
        """Whether somebody holds the lock now; nobody is made to wait, and nothing is written.

        Raises:
            StoreUnavailable: the lock's file may not be opened, and is not optional.
        """
        try:
            return self._is_held()
        except StoreUnavailable:
            if not self._optional:
                raise
            return False

    def _is_held(self) -> bool:
        from filelock import Timeout

        with speaking_plainly(self._path.parent, "read"):
            if not self._path.exists():
                return False
        lock = _file_lock(self._path)
        with speaking_plainly(self._path.parent, "read"):
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return True
        lock.release()
        return False

    @contextmanager
    def acquire(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the lock in a ``with`` block; ``on_wait`` is called once, before waiting for another process.

        Raises:
            StoreUnavailable: the folder cannot be made or written, and the lock is not optional.
        """
        with ExitStack() as held:
            try:
                held.callback(self._acquired(on_wait).release)
            except StoreUnavailable:
                if not self._optional:
                    raise
            yield

    def _acquired(self, on_wait: Callable[[], None]) -> BaseFileLock:
        from filelock import Timeout

        lock = _file_lock(self._path)
        with speaking_plainly(self._path.parent, "write"):
            try:
                lock.acquire(blocking=False)
            except Timeout:
                on_wait()
                lock.acquire(poll_interval=_POLL_SECONDS)
        return lock


class Exclusive:
    """Mutual exclusion of threads and processes by the lock file ``path``; may be entered again by its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = RLock()
        self._lock: BaseFileLock | None = None
        self._depth = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for it, and hold it in a ``with`` block. Raises: StoreUnavailable."""
        with self._threads:
            if self._depth == 0:
                self._lock = self._lock or _file_lock(self._path, thread_local=False)
                with speaking_plainly(self._path.parent, "write"):
                    self._lock.acquire(poll_interval=0.01)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0 and self._lock is not None:
                    self._lock.release()


def _file_lock(path: Path, *, thread_local: bool = True) -> BaseFileLock:
    from filelock import FileLock

    with speaking_plainly(path.parent, "write"):
        if not path.parent.is_dir():
            make_folder(path.parent)
    return FileLock(path, thread_local=thread_local)
