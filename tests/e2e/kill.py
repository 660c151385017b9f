"""Kills runs at every moment and starts them again at once: the books must be those of a run that nobody disturbed.

A server in another process holds the volumes. A run of the command is measured; then, for each kill, a fresh store gets
a run that dies by SIGKILL at its moment, and another run right after it. Between the two, whatever stands in the
library must be a whole book already; after them, all books must be there, byte for byte, and nothing else be left.

The moments are spread evenly over the measured length. Some phases take a few milliseconds, so a share of the kills is
aimed instead: at the n-th manifest, entry, book that is being written, and book that has just appeared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pagebind.adapters.stores.folder import FolderStore
from pagebind.config import template
from pagebind.core import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_START = "from pagebind.cli.main import entry; entry()"
_TOKEN = "PAGEBIND_KILL_TOKEN"
_LONGEST_RUN = 120.0
_MANIFESTS = "work/manifests/*/*.json"
_ENTRIES = "work/staging/*/*.entry"
_BOOKS_BEGUN = "library/*.part"
_BOOKS = "library/*/*.cbz"
_RECEIPTS = "work/done/*/*.json"
_AIMS = (_MANIFESTS, _ENTRIES, _BOOKS_BEGUN, _BOOKS)
"""What aimed kills wait for, in turn: poll, fetch, and two moments of finalize."""

FINALIZE = ("put together", "receipt", "clear")
PHASES = ("start", "poll", "fetch", *FINALIZE, "end")
"""Before the store was touched; poll; fetch with no finalize under way; three parts of finalize; all was done."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many volumes of how many pages, of how many bytes; how long the server waits before each answer."""

    volumes: int = 20
    pages: int = 60
    size: int = 1000
    delay: float = 0.001


@dataclass(frozen=True, slots=True)
class Server:
    """A demo server in a process of its own."""

    url: str
    token: str
    process: subprocess.Popen[str]


@dataclass(slots=True)
class Site:
    """One fresh store with its configuration."""

    home: Path
    server: Server

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def library(self) -> Path:
        return self.home / "library"

    def start(self) -> subprocess.Popen[bytes]:
        """Start `pagebind run --settle 0`."""
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "pagebind.toml"
        values = {
            "source.url": self.server.url,
            "source.token": f"env:{_TOKEN}",
            "source.list_per_second": 0,
            "store.library": self.library.as_uri(),
            "subscription.path": "/comics",
        }
        config.write_text(template(self.work.as_uri(), values), encoding="utf-8")
        words = [sys.executable, "-c", _START, "run", "--settle", "0", "--json", "--config", str(config)]
        env = {**os.environ, _TOKEN: self.server.token}
        return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self) -> None:
        """A run from its start to its end, which must be a good one."""
        process = self.start()
        try:
            out, err = process.communicate(timeout=_LONGEST_RUN)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise Wrong(f"the run had not ended after {_LONGEST_RUN:.0f} s: {err.decode()}") from None
        if process.returncode != 0:
            raise Wrong(f"the run ended with status {process.returncode}: {out.decode()}{err.decode()}")
        document = json.loads(out)
        if document["waiting"] or document["held"] or document["problems"]:
            raise Wrong(f"the run left something undone: {out.decode()}")

    def books(self) -> dict[str, bytes]:
        """Every book in the library, read."""
        return {book.relative_to(self.library).as_posix(): book.read_bytes() for book in self.library.rglob("*.cbz")}

    def count(self, pattern: str) -> int:
        """How many files and folders of this site fit."""
        return sum(1 for _ in self.home.glob(pattern))

    def phase(self) -> str:
        """What a run that died here was at, as far as the store tells."""
        volumes, books, receipts = self.count("work/manifests/*"), self.count(_BOOKS), self.count(_RECEIPTS)
        if not self.work.is_dir():
            return "start"
        if not self.count("work/sent/*/*"):
            return "poll"
        if self.count(_BOOKS_BEGUN):
            return "put together"
        if books > receipts:
            return "receipt"
        if any(self.count(f"work/staging/{done.name}/*") for done in self.work.glob("done/*")):
            return "clear"
        return "end" if receipts == volumes else "fetch"

    def check_between(self, expected: Mapping[str, bytes]) -> None:
        """What stands in the library after a kill is whole. Raises: Wrong."""
        for key, content in self.books().items():
            if content != expected.get(key):
                raise Wrong(f"{key} is not the book that it should be")
            with zipfile.ZipFile(self.library / key) as archive:
                if archive.testzip() is not None or archive.namelist()[0] != "0001.jpg":
                    raise Wrong(f"{key} lacks its first page or cannot be read")

    def check_after(self, expected: Mapping[str, bytes]) -> None:
        """All is done, and nothing else is left. Raises: Wrong."""
        if self.books() != expected:
            raise Wrong("the books are not those of a run that nobody disturbed")
        self._demand_only_books()
        versions = self._versions()
        for volume in self.work.glob("manifests/*"):
            receipts = [keys.parse_receipt(path.name) for path in self.work.glob(f"done/{volume.name}/*")]
            if len(receipts) != 1 or receipts[0] is None:
                raise Wrong(f"{volume.name} has {len(receipts)} receipts")
            if receipts[0].version_digest not in versions:
                raise Wrong(f"the receipt of {volume.name} is not that of its book")

    def _demand_only_books(self) -> None:
        left = [path for path in self.library.rglob("*") if path.is_file() and path.suffix != ".cbz"]
        left += [path for name in ("staging", ".tmp") for path in (self.work / name).rglob("*") if path.is_file()]
        if left:
            raise Wrong(f"left over: {left[:5]}")

    def _versions(self) -> set[str]:
        """The digests of the versions of all books in the library."""
        library = FolderStore(self.library, work=FolderStore(self.work))
        return {keys.version_digest(book.version) for book in library.list()}


class Wrong(Exception):  # it is a finding
    """Something that a kill must never bring about."""


@dataclass(slots=True)
class Findings:
    """What the kills showed: how often which phase was hit, and the length of the undisturbed run in seconds."""

    phases: Counter[str] = field(default_factory=Counter)
    measured: float = 0.0
    cycles: list[float] = field(default_factory=list)

    def histogram(self) -> str:
        """A line for each phase."""
        titles = {name: f"finalize: {name}" if name in FINALIZE else name for name in PHASES}
        lines = [f"{titles[name]:>22} {self.phases[name]:4} {'#' * self.phases[name]}" for name in PHASES]
        return "\n".join(lines)


@contextmanager
def serving(plan: Plan) -> Iterator[Server]:
    """A server of made-up volumes in another process."""
    words = [sys.executable, "-m", "pagebind.demo.server", "--delay", str(plan.delay)]
    words += ["--virtual", f"{plan.volumes}x{plan.pages}x{plan.size}"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Server(said["url"], said["token"], process)
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def campaign(plan: Plan, kills: int, home: Path, *, aimed: float = 0.25, say: bool = False) -> Findings:
    """Kill ``kills`` runs, of which the share ``aimed`` waits for a file to appear. Raises: Wrong."""
    findings = Findings()
    with serving(plan) as server:
        calm = Site(home / "calm", server)
        findings.measured = _length(calm)
        shutil.rmtree(calm.home)
        findings.measured = min(findings.measured, _length(calm))  # the first one also warmed the machine's caches
        expected = calm.books()
        if len(expected) != plan.volumes:
            raise Wrong(f"the undisturbed run made {len(expected)} books")
        calm.check_after(expected)
        targets = round(kills * aimed)
        for number in range(kills):
            site = Site(home / f"kill-{number}", server)
            begun = time.monotonic()
            if number < targets:
                nth = 1 + number * plan.volumes // (2 * targets)
                phase = _killed_at(site, _AIMS[number % len(_AIMS)], nth)
            else:
                phase = _killed_after(site, findings.measured * (number - targets + 0.5) / (kills - targets))
            site.check_between(expected)
            site.run()
            site.check_after(expected)
            findings.phases[phase] += 1
            findings.cycles.append(time.monotonic() - begun)
            shutil.rmtree(site.home)
            if say:
                print(f"kill {number + 1}/{kills}: {phase}, {findings.cycles[-1]:.1f} s", flush=True)  # noqa: T201
    return findings


def _length(site: Site) -> float:
    """Seconds that a whole run takes."""
    begun = time.monotonic()
    site.run()
    return time.monotonic() - begun


def _killed_after(site: Site, seconds: float) -> str:
    """Kill a run so long after its start."""
    process = site.start()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return _kill(site, process)
    _close(process)
    return "end"


def _killed_at(site: Site, pattern: str, nth: int) -> str:
    """Kill a run when so many files that fit have been there."""
    process = site.start()
    seen: set[Path] = set()
    deadline = time.monotonic() + _LONGEST_RUN
    while process.poll() is None:
        seen.update(site.home.glob(pattern))
        if len(seen) >= nth or time.monotonic() > deadline:
            return _kill(site, process)
        time.sleep(0.0005)  # or this process would take the time that it watches
    _close(process)
    return "end"


def _kill(site: Site, process: subprocess.Popen[bytes]) -> str:
    process.send_signal(signal.SIGKILL)
    process.wait()
    _close(process)
    return site.phase()


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    usual = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.kill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=100, help="how many runs are killed (100)")
    parser.add_argument("--volumes", type=int, default=usual.volumes, help="volumes on the server (20)")
    parser.add_argument("--pages", type=int, default=usual.pages, help="pages of a volume (60)")
    parser.add_argument("--size", type=int, default=usual.size, help="bytes of a page (1000)")
    parser.add_argument("--delay", type=float, default=usual.delay, help="seconds before each answer (0.001)")
    parser.add_argument("--aimed", type=float, default=0.25, help="share of kills that are aimed (0.25)")
    parser.add_argument("--folder", type=Path, help="where the stores are made; else a temporary folder")
    chosen = parser.parse_args(arguments)
    plan = Plan(chosen.volumes, chosen.pages, chosen.size, chosen.delay)
    with tempfile.TemporaryDirectory(prefix="pagebind-kill-", dir=chosen.folder) as home:
        findings = campaign(plan, chosen.kills, Path(home), aimed=chosen.aimed, say=True)
    summary = (
        f"undisturbed: {findings.measured:.2f} s; {chosen.kills} kills, each mended by one run; when they struck:\n"
        f"{findings.histogram()}"
    )
    print(summary)  # noqa: T201


if __name__ == "__main__":
    main()
