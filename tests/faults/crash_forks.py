"""A process that has loaded everything and does nothing but fork: a run then begins in milliseconds.

It has no threads and no connections, which would not survive a fork.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults import crash_child

if TYPE_CHECKING:
    from typing import Self

    from tests.faults.crash_child import Order

_LONGEST_RUN = 60.0
_ROOT = Path(__file__).parents[2]


class Hung(Exception):  # it is a finding
    """A run had not ended after a minute."""


class Forks:
    """The process that forks, up while the context is. One child at a time."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crash_forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,  # where the tests are found
        )
        self._unread = b""
        self.pid = 0
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, order: Order) -> int:
        """Begin a run. Its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        self.pid = self._said()["pid"]
        return self.pid

    def wait(self) -> int:
        """The status that a run ended with; negative: the signal that killed it. Raises: Hung: it was killed here."""
        try:
            return int(self._said()["status"])
        except TimeoutError:
            os.kill(self.pid, signal.SIGKILL)
            self._said()
            raise Hung from None

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        deadline = time.monotonic() + _LONGEST_RUN
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            some = os.read(self._process.stdout.fileno(), 4096)
            if not some:
                raise RuntimeError("the process that forks has ended")
            self._unread += some
        line, _, self._unread = self._unread.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said


def _serve() -> None:
    """Fork for each line that comes in. Ctrl-C ends a child as it ends a command that has only begun."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for line in sys.stdin:
        order: Order = json.loads(line)
        gc.freeze()  # or a child that collects garbage would copy all memory
        pid = os.fork()
        if not pid:
            crash_child.run(order)
        _say(pid=pid)
        _, status = os.waitpid(pid, 0)
        if "learn" in order and not status:
            _load(Path(order["learn"]))
        _say(status=os.waitstatus_to_exitcode(status))


def _load(names: Path) -> None:
    """Load what a child had to load."""
    for name in names.read_text().split("\n"):
        with suppress(ImportError):
            importlib.import_module(name)
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"{threads} threads: what was loaded began some, which no child would have")


def _say(**what: int) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve()
