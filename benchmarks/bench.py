"""What the benchmarks share: the server, the command and the bare client, each in a process of its own, and results."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagebind.config.template import template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    Beside = Callable[[int], AbstractContextManager[object]]
    """What is held while a process runs, made from its id."""

MIB = 2**20
ROOT = "/comics"
CONCURRENCY = 8
"""That of the configuration, given to the bare client as well."""

CHANGED: dict[str, object] = {"source.list_per_second": 0}
"""Keys that differ from what `init` writes, apart from those that say where server, store and subscription are."""

_COMPILED = tempfile.TemporaryDirectory(prefix="pagebind-bench-")
"""Byte code, ours and the libraries': an installed program has it, whatever this process was told about writing it."""

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Result:
    """One measured figure beside its limit. ``detail`` says what it was made of."""

    what: str
    figure: float
    limit: float
    unit: str
    detail: str
    at_least: bool = False

    @property
    def passed(self) -> bool:
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    @property
    def bound(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.limit:.4g}{self.unit}"

    @property
    def verdict(self) -> str:
        return "PASS" if self.passed else "FAIL"

    def line(self) -> str:
        return f"{self.verdict}  {self.what}: {self.figure:.2f}{self.unit} ({self.bound}); {self.detail}"

    def row(self) -> str:
        return f"| {self.what} | {self.figure:.2f}{self.unit} | {self.bound} | {self.verdict} | {self.detail} |"


@dataclass(frozen=True, slots=True)
class Child:
    """A process that has ended.

    Attributes:
        seconds: from its start to its end.
        processor: seconds of processor time, of the system's on its behalf too.
        resident: peak resident bytes.
        out: what it wrote.
    """

    seconds: float
    processor: float
    resident: int
    out: str

    @property
    def peak(self) -> int:
        """The kernel counts what the parent held at the start into it, so the parent has to be the smaller one."""
        assert self.resident > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        return self.resident


def run_child(words: Sequence[str], env: Mapping[str, str], beside: Beside = nullcontext) -> Child:
    """Run a program of ours to its end."""
    return run_program([sys.executable, *words], _environment(env), beside)


def run_program(words: Sequence[str], env: Mapping[str, str] | None = None, beside: Beside = nullcontext) -> Child:
    """Run a program to its end."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        begun = time.perf_counter()
        process = subprocess.Popen(words, stdout=out, env=env)
        with beside(process.pid):
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(words)} ended with status {process.returncode}")
        out.seek(0)
        return Child(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT, out.read())


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "PYTHONPYCACHEPREFIX": _COMPILED.name, **env}


@dataclass(frozen=True, slots=True)
class Server:
    """The demo server in another process."""

    url: str
    token: str

    @property
    def env(self) -> dict[str, str]:
        return {"ALIST_TOKEN": self.token}

    def requests(self) -> list[dict[str, Any]]:
        """What was asked since the last call."""
        with urllib.request.urlopen(f"{self.url}/__demo__/requests?reset=1") as reply:
            answered: list[dict[str, Any]] = json.load(reply)["requests"]
        return answered

    def pagebind(self, home: Path, *words: str, beside: Beside = nullcontext, **changed: object) -> Child:
        """Run the command with store and configuration in ``home``; ``changed``: keys of [source]."""
        config = str(self.config(home, **changed))
        return run_child(["-m", "pagebind", words[0], "--config", config, *words[1:]], self.env, beside)

    def bare(self, *words: str) -> Child:
        """Run the bare client."""
        client = str(Path(__file__).with_name("bare_client.py"))
        return run_child([client, self.url, ROOT, *words], self.env)

    def walk(self) -> Child:
        """The bare client's walk; the first one also makes the server render its listings."""
        return self.bare("walk", str(CONCURRENCY))

    def config(self, home: Path, **changed: object) -> Path:
        file = home / "pagebind.toml"
        if not file.exists():
            home.mkdir(parents=True, exist_ok=True)
            where = {"source.url": self.url, "source.token": "env:ALIST_TOKEN", "subscription.path": ROOT}
            source = {f"source.{key}": value for key, value in changed.items()}
            file.write_text(template((home / "store").as_uri(), {**where, **CHANGED, **source}), encoding="utf-8")
        return file


@contextmanager
def serving(volumes: str, *, delay: float = 0.0) -> Iterator[Server]:
    """Serve made-up ``volumes``: FOLDERSxFILESxBYTES."""
    words = ["-m", "pagebind.demo.server", "--virtual", volumes, "--mount", ROOT, "--delay", str(delay)]
    with started(*words) as ready:
        yield Server(ready["url"], ready["token"])


@contextmanager
def started(*words: str) -> Iterator[dict[str, str]]:
    """A server of ours in a process of its own, and what it tells when it is ready."""
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def place() -> Iterator[Path]:
    """A folder for one benchmark."""
    with tempfile.TemporaryDirectory(prefix="pagebind-bench-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of the best of each side's rounds, which the machine's other work has disturbed least."""

    ours: float
    bare: float
    medians: str

    @property
    def detail(self) -> str:
        return f"best {self.ours:.2f} s against {self.bare:.2f} s, {self.medians}"


def compare(ours: Callable[[], Child], bare: Callable[[], Child], *, rounds: int) -> Compared:
    """Time both in turns."""
    theirs, own = ([child.seconds for child in side] for side in in_turns(bare, ours, rounds=rounds))
    medians = f"medians of {rounds} {statistics.median(own):.2f} s and {statistics.median(theirs):.2f} s"
    return Compared(min(own), min(theirs), medians)


def in_turns(*sides: Callable[[], Child], rounds: int) -> list[list[Child]]:
    """Run each side once in each round; the children of each side."""
    turns = [[side() for side in sides] for _ in range(rounds)]
    return [list(side) for side in zip(*turns, strict=True)]


def machine() -> str:
    """What this was measured on."""
    return (
        f"{platform.system()} {platform.release()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores, "
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB memory, "
        f"{platform.python_implementation()} {platform.python_version()}, stores on {_file_system()}, "
        f"load before the run {os.getloadavg()[0]:.1f}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def _file_system() -> str:
    """The kind of file system that temporary folders lie on: its syncs are a part of what is measured."""
    found = subprocess.run(
        ["stat", "-f", "-c", "%T", tempfile.gettempdir()], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "an unknown file system"
