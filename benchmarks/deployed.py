"""The functions as they are deployed, for the benchmarks: processes of functions-framework whose time is read."""

from __future__ import annotations

import http.client
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.rehearsal.processes import FunctionProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Fields of /proc/PID/stat, counted behind the process's name: see proc(5)."""


class Answered(NamedTuple):
    """What a function answered."""

    status: int
    document: dict[str, Any]


class Function:
    """One instance of a function."""

    def __init__(self, target: str, home: Path, env: Mapping[str, str], *, threads: int) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        # As it is to be deployed: threads that wait for a store keep less of what they have given back (ADR 26).
        kept["MALLOC_ARENA_MAX"] = "2"
        cloud = {"K_SERVICE": f"pagebind-{target}", "GOOGLE_CLOUD_PROJECT": "benchmark", "LOG_EXECUTION_ID": "true"}
        self.process = FunctionProcess(target, home, {**kept, **cloud, **env, "THREADS": str(threads)})
        self._threads = threads

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process.start()
        self.process.wait()

    def deliver(self, bodies: Sequence[bytes]) -> list[Answered]:
        """Requests as a queue makes them, as many at a time as the function has threads."""
        left: SimpleQueue[bytes] = SimpleQueue()
        for body in bodies:
            left.put(body)
        with ThreadPoolExecutor(self._threads) as pool:
            workers = [pool.submit(self._deliver, left) for _ in range(min(self._threads, len(bodies)))]
            return [answered for worker in workers for answered in worker.result()]

    def _deliver(self, left: SimpleQueue[bytes]) -> list[Answered]:
        answers = []
        with closing(http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=600)) as connection:
            while not left.empty():
                body = left.get()
                connection.request("POST", "/", body, _headers())
                answer = connection.getresponse()
                answers.append(Answered(answer.status, json.loads(answer.read())))
        return answers

    def cpu(self) -> float:
        """Seconds of processor time, in user mode and for its system calls, of all its processes since the start."""
        spent = 0.0
        for folder in self._folders():
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[-1].split()
            spent += (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK
        return spent

    def peak(self) -> int:
        """Bytes that it held at most: of its largest process, and what the one that watches it has for itself."""
        peaks = {folder: _kib(folder / "status", "VmHWM") for folder in self._folders()}
        largest = max(peaks, key=lambda folder: peaks[folder])
        others = (
            _kib(folder / "smaps_rollup", "Private_Clean", "Private_Dirty") for folder in peaks if folder != largest
        )
        return (peaks[largest] + sum(others)) * 1024

    def log(self) -> list[bytes]:
        """The lines that it wrote."""
        return [line for log in self.process.logs for line in log.read_bytes().splitlines()]

    def _folders(self) -> list[Path]:
        """Those of its processes below /proc: they alone have its port."""
        ours = f"\0--port\0{self.process.port}\0".encode()
        return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and ours in _command(folder)]


def _kib(file: Path, *names: str) -> int:
    """The sum of these fields."""
    fields = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    return sum(int(field[1]) for field in fields if field[0].removesuffix(":") in names)


def _command(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def _headers() -> dict[str, str]:
    trace = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    return {
        "Content-Type": "application/json",
        "User-Agent": "Google-Cloud-Tasks",
        "X-CloudTasks-QueueName": "queue",
        "X-CloudTasks-TaskName": os.urandom(16).hex(),
        "X-CloudTasks-TaskRetryCount": "0",
        "traceparent": trace,
    }


@contextmanager
def running(target: str, home: Path, env: Mapping[str, str], *, threads: int) -> Iterator[Function]:
    """A function, up while the context is."""
    function = Function(target, home / target, env, threads=threads)
    try:
        function.start()
        yield function
    finally:
        function.process.stop()
