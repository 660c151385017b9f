"""The run that is killed: the command itself, in a forked process that marks its phases and dies as it was told."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from tests.faults import crash_timer
from tests.faults.crash_marks import Marks
from tests.support.faulty_store import FaultyStore

from pagebind import wiring
from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.app.fetch import Fetch
from pagebind.app.finalize import Finalize
from pagebind.app.poll import Poll
from pagebind.cli.main import entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import NoReturn

    from pagebind.config import Settings
    from pagebind.ports.store import Condition, ObjectInfo, Part, Store

T = TypeVar("T")

_PIECES = 8

OF_THE_SYSTEM = "os"
_CHANGES = ("fsync", "link", "mkdir", "rename", "replace", "rmdir", "unlink", "utime", "write")


class Order(TypedDict, total=False):
    """What a child is to do, as it goes through a pipe.

    ``argv`` and ``env`` of the command; files for its ``marks`` and ``output``; ``learn``: a file for the names of all
    modules that it loaded. Killed: ``seconds`` after it began, or after the ``visit``-th beginning of ``phase``; or at
    the ``call``-th call to the store, before it or ``after`` it, counting those named ``only``, e.g. ``library put``;
    with ``os`` not these count, but all that is asked of the system that changes a file or a folder.
    ``broken``: books are written at their final key, bit by bit.
    """

    argv: list[str]
    env: dict[str, str]
    marks: str
    output: str
    learn: str
    seconds: float
    phase: str
    visit: int
    call: int
    after: bool
    only: str
    broken: bool


def run(order: Order) -> NoReturn:
    """Be the command, to its end or to that of this process."""
    status = 1
    try:
        _redirect(order["output"])
        os.environ.update(order["env"])
        sys.argv = order["argv"]
        marks = Marks(Path(order["marks"]))
        _mark_phases(marks)
        _wrap_stores(order, marks)
        _arm(order, marks)
        status = _command()
        if "learn" in order:
            Path(order["learn"]).write_text("\n".join(sys.modules))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # the end of Python itself belongs to nobody here


def _command() -> int:
    try:
        entry()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0


def _redirect(path: str) -> None:
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(file, 1)
    errors = os.open(f"{path}.errors", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(errors, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)


def _arm(order: Order, marks: Marks) -> None:
    """Set the timer, now or when its phase begins."""
    marks.enter("start")
    marks.begin()
    if "phase" in order:

        def strike(phase: str, number: int) -> None:
            if (phase, number) == (order["phase"], order["visit"]):
                crash_timer.kill_in(order["seconds"])

        marks.on_enter = strike
    elif "seconds" in order:
        crash_timer.kill_in(order["seconds"])


# -- phases


def _mark_phases(marks: Marks) -> None:
    """Let the parts of the program that begin and end a phase say so."""
    enter, leave = marks.enter, marks.leave
    _around(Poll, "look", lambda _: enter("poll"))
    _around(LocalDispatch, "drain", lambda _: marks.stand("fetch"), lambda: enter("end"))
    _around(Fetch, "__call__", lambda _: enter("fetch"), leave)
    _around(Finalize, "__call__", lambda _: enter("put together"), leave)
    for owner, name in _publishing():
        _around(owner, name, lambda store: enter("publish") if store._work is not None else None)
    _around(Finalize, "_clear", lambda _: enter("clear"))


def _publishing() -> Iterator[tuple[type, str]]:
    """Of each kind of store that is loaded, what lets a whole object be seen."""
    for module, store, name in (
        ("folder", "FolderStore", "_publish"),
        ("gcs", "GcsStore", "_publish"),
        ("s3", "S3Store", "_under"),
    ):
        loaded = sys.modules.get(f"pagebind.adapters.stores.{module}")
        if loaded is not None:
            yield getattr(loaded, store), name


def _around(owner: type, name: str, before: Callable[[Any], None], after: Callable[[], None] | None = None) -> None:
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def marked(self: Any, *words: Any, **named: Any) -> Any:
        before(self)
        try:
            return plain(self, *words, **named)
        finally:
            if after is not None:
                after()

    setattr(owner, name, marked)


# -- stores


def _wrap_stores(order: Order, marks: Marks) -> None:
    """Let the stores that the command gets kill it, or write books as nobody should."""
    plain = wiring.stores
    calls = Calls(order)

    def stores(settings: Settings) -> tuple[Store, Store]:
        work, library = plain(settings)
        if "call" in order and order.get("only") != OF_THE_SYSTEM:
            work, library = DyingStore(work, calls, "work"), DyingStore(library, calls, "library")
        return work, BitByBit(library, work, marks) if order.get("broken") else library

    wiring.stores = stores
    if order.get("only") == OF_THE_SYSTEM:
        _wrap_system(calls)


def _wrap_system(calls: Calls) -> None:
    """Let whatever changes a file or a folder kill this process: what a folder store does inside one call."""
    for name in _CHANGES:
        setattr(os, name, _deadly(calls, getattr(os, name)))


def _deadly(calls: Calls, plain: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(plain)
    def change(*words: Any, **named: Any) -> T:
        last = calls.begin(OF_THE_SYSTEM)
        done = plain(*words, **named)
        if last:
            die()
        return done

    return change


class Calls:
    """Counts the calls to both stores, and kills this process at one of them."""

    def __init__(self, order: Order) -> None:
        self._at, self._after, self._only = order.get("call", 0), order.get("after", False), order.get("only", "")
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def begin(self, operation: str) -> bool:
        """Before a call. Whether to `die` after it."""
        if self._only not in {"", operation}:
            return False
        with self._lock:
            struck = next(self._numbers) == self._at
        if struck and not self._after:
            die()
        return struck


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # another thread of a process that is being killed may still get here


class DyingStore(FaultyStore):
    """Kills this process before or after a call."""

    def __init__(self, inner: Store, calls: Calls, name: str) -> None:
        super().__init__(inner)
        self._calls, self._name = calls, name

    def _do(self, operation: str, key: str, call: Callable[[], T]) -> T:
        last = self._calls.begin(f"{self._name} {operation}")
        done = call()
        if last:
            die()
        return done

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        last = self._calls.begin(f"{self._name} stream")
        try:
            yield from self._inner.stream(key, start=start, length=length)
        finally:  # not all read everything
            if last:
                die()

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        last = self._calls.begin(f"{self._name} list")
        try:
            yield from self._inner.list(prefix, metadata=metadata, after=after)
        finally:
            if last:
                die()


class BitByBit(FaultyStore):
    """A library that does what must never be done: a book grows at its final key. The checks have to find that."""

    def __init__(self, inner: Store, work: Store, marks: Marks) -> None:
        super().__init__(inner)
        self._work, self._marks = work, marks

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
        whole = b"".join(part if isinstance(part, bytes) else self._work.get(part.key) for part in parts)
        self._marks.enter("publish")
        for piece in range(1, _PIECES):
            self._inner.put(key, whole[: len(whole) * piece // _PIECES], metadata=metadata)
        return self._inner.put(key, whole, metadata=metadata)
