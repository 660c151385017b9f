"""Signals at any instant of `run` and `serve`, on every kind of store: ended in time, nothing half-written.

As systemd, docker, Cloud Run and Kubernetes send them: SIGTERM, some seconds of grace, SIGKILL. What is tried is spread
evenly over the measured length of a run that nobody disturbs. For more instants than CI has time for::

    PAGEBIND_TEST_INSTANTS=30 pytest tests/faults/test_signals.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.command import until
from tests.faults.crash_forks import Forks
from tests.faults.crash_looks import at_end
from tests.faults.crash_marks import Marks
from tests.faults.crash_sites import BOOKS, KINDS, Ground, ground

from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.crash_child import Order
    from tests.faults.crash_sites import Site

    from pagebind.demo.object_stores import GcsServer, S3Server

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")

INSTANTS = int(os.environ.get("PAGEBIND_TEST_INSTANTS", "2"))
EARLY = (0.0, 0.15, 0.3, 0.45, 0.6)
"""Parts of the length of a command that only says that it has no configuration."""

GRACE = 10.0
"""Seconds that Cloud Run and docker leave before they kill; Kubernetes leaves thirty."""

WAYS: Sequence[tuple[signal.Signals, ...]] = (
    (signal.SIGTERM,),
    (signal.SIGINT,),
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGHUP,),
)


def ends(way: Sequence[signal.Signals], command: str, phase: str) -> set[int]:
    """The statuses with which a command may end that was in this phase then.

    Caught; or as the system ends a process: by a second signal, by that of a closed terminal, and where the command's
    own handlers do not stand yet, or do not stand any more. Or it was through.
    """
    caught = set() if way[0] == signal.SIGHUP else {128 + way[0]}
    bare = len(way) > 1 or not caught or phase == "start" or (command, phase) == ("run", "end")
    return caught | ({-way[0]} if bare else set()) | ({0} if command == "run" else set())


@dataclass(slots=True)
class Field:
    """Where runs are disturbed.

    ``lengths``: seconds of an undisturbed `run`, and of the first round of `serve`; ``right``: its books.
    """

    ground: Ground
    forks: Forks
    folder: Path
    right: dict[str, bytes]
    lengths: dict[str, float]
    number: int = 0

    def site(self) -> Site:
        self.number += 1
        return self.ground.site(self.folder / f"site{self.number}")

    def start(self, site: Site, command: str) -> int:
        """Begin the command, and wait until it is called. Its process id."""
        pid = self.forks.start(self.order(site, command))
        marks = Marks(site.home / "marks")
        until(lambda: marks.begun() > 0)
        return pid

    def end(self) -> int:
        """Wait for its end, and for that of what it had asked of the store. Its status."""
        status = self.forks.wait()
        self.ground.settle()
        return status

    def order(self, site: Site, command: str) -> Order:
        Marks(site.home / "marks", new=True).close()
        words = {"run": ["--settle", "0"], "serve": ["--every", "1h"]}[command]
        return {
            "argv": ["pagebind", command, "--json", "--config", str(site.config), *words],
            "env": {**site.environment, "PAGEBIND_BIND_SETTLE": "0s"},
            "marks": str(site.home / "marks"),
            "output": str(site.home / "output"),
        }

    def run(self, site: Site) -> int:
        """The status of an undisturbed run."""
        self.start(site, "run")
        return self.end()


def documents(site: Site) -> list[dict[str, Any]]:
    """What was said on standard output: whole lines of JSON, and nothing else."""
    text = (site.home / "output").read_text()
    assert not text or text.endswith("\n"), text
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module", params=KINDS)
def field(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """One of each kind of store, and what an undisturbed run over it makes."""
    folder = tmp_path_factory.mktemp(request.param)
    server: GcsServer | S3Server | None = None
    if request.param != "folder":
        server = request.getfixturevalue(f"{request.param}_server")
    try:
        with ground(request.param, folder, server) as there, Forks() as forks:
            yield measured(Field(there, forks, folder, {}, {}))
    except ConfigError as error:
        pytest.skip(f"{error}: {error.fix}")


def measured(field: Field) -> Field:
    """Twice: the first run loads what all later ones need not load again."""
    for _ in range(2):
        site = field.site()
        begun = time.monotonic()
        field.forks.start({**field.order(site, "run"), "learn": str(field.folder / "learned")})
        assert field.end() == 0
        field.lengths["run"] = time.monotonic() - begun
        field.right = site.books()
        site.remove()
    assert len(field.right) == BOOKS
    site = field.site()
    begun = time.monotonic()
    pid = field.start(site, "serve")
    until(lambda: (site.home / "output").exists() and len(documents(site)) == 1)
    field.lengths["serve"] = time.monotonic() - begun
    os.kill(pid, signal.SIGTERM)
    assert field.end() == 143
    assert site.books() == field.right
    site.remove()
    return field


@pytest.mark.parametrize("command", ["run", "serve"])
def test_at_any_instant(field: Field, command: str) -> None:
    said = []
    for number in range(INSTANTS):
        part = (number + 0.5) / INSTANTS
        site = field.site()
        way = WAYS[(number + KINDS.index(field.ground.kind) + (command == "serve")) % len(WAYS)]
        pid = field.start(site, command)
        time.sleep(part * field.lengths[command])  # it is the instant that is tried
        status, seconds = send(field, pid, way)
        where = f"{command} {part:.2f} {[one.name for one in way]}: {status} after {seconds:.1f} s"
        where += f" {(site.home / 'output.errors').read_text()[-2000:]}"
        assert seconds < GRACE, where
        assert status in ends(way, command, Marks(site.home / "marks").phase()), where
        said.append(check_said(site, command, status, where))
        assert site.books().items() <= field.right.items(), where
        assert field.run(site) == 0, where
        assert list(at_end(site, field.right)) == [], where
        site.remove()
    assert any(said)


def send(field: Field, pid: int, way: Sequence[signal.Signals]) -> tuple[int, float]:
    """The status with which it ended, and how long after the signals that was."""
    begun = time.monotonic()
    for one in way:
        with suppress(ProcessLookupError):  # it was through, or the first one was enough
            os.kill(pid, one)
    return field.end(), time.monotonic() - begun


def check_said(site: Site, command: str, status: int, where: str) -> bool:
    """What was on standard output; whether it told of the interruption."""
    told = documents(site)
    errors = (site.home / "output.errors").read_text()
    assert "Traceback" not in errors, where + errors
    if status < 0:  # ended in the middle of whatever it was at
        return True
    assert len(told) == 1 or (command == "serve" and len(told) == 2), where
    return {"bound", "waiting", "problems"} <= told[-1].keys()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started can be interrupted, also where these tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A real process of the command, in which `pagebind.__main__` is at work; what it does ends with status 2."""
    words = [sys.executable, "-m", "pagebind", "run", "--json", "--config", str(folder / "none.toml")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder)
    until(lambda: interrupted_by_python(process.pid))
    until(lambda: not interrupted_by_python(process.pid))
    return process


def interrupted_by_python(pid: int) -> bool:
    """Whether a process catches SIGINT, as Python does from its start until it is told otherwise."""
    told = Path(f"/proc/{pid}/status").read_text()
    caught = next((line for line in told.splitlines() if line.startswith("SigCgt:")), "SigCgt: 0")
    return bool(int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="nothing tells what a process catches")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("interruptible")
def test_while_the_command_loads(tmp_path: Path, number: signal.Signals) -> None:
    begun = time.monotonic()
    with started(tmp_path) as process:
        process.communicate()
    assert process.returncode == 2
    length = time.monotonic() - begun
    for part in EARLY:
        with started(tmp_path) as process:
            time.sleep(part * length)  # it is the instant that is tried
            process.send_signal(number)
            out, errors = process.communicate(timeout=GRACE)
        where = f"{part}: {process.returncode} {errors.decode()}"
        assert process.returncode in {-number, 128 + number, 2}, where
        assert b"Traceback" not in errors, where
        assert b"SyntaxError" not in errors, where
        if part == 0:
            assert (process.returncode, out, errors) == (-number, b"", b""), where
        assert not out or json.loads(out)["schema"] == 1, where
        assert out or process.returncode == -number, where
