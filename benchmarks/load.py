"""A long run: what grows while 100,000 pages become 500 books, and whether a rate holds that is set."""

from __future__ import annotations

import bisect
import itertools
import json
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.bench import CONCURRENCY, MIB, Result, place, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Server

_VOLUMES, _PAGES, _SIZE = 500, 200, 2_000
_TENTHS = 10
_THOUSAND = 1_000
_PER_SECOND, _RATED_PAGES = 50, 400
_LOOK_EVERY = 0.5
_MORE_MIB = 4.0
"""A row in the result for each book comes to half a MiB; the rest is for malloc, and for which moments are seen."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """How a process stood at a ``moment`` of the monotonic clock: resident bytes, seconds of processor time so far."""

    moment: float
    resident: int
    files: int
    threads: int
    processor: float


class Observer:
    """Looks at a process from outside while it runs, and has the server tell when pages were asked for."""

    def __init__(self, server: Server, pid: int) -> None:
        self._server = server
        self._process = Path(f"/proc/{pid}")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self.samples: list[Sample] = []
        self.pages: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._count()
        self.pages.sort()

    def _look_on(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            sample = _sample(self._process)
            if sample is not None:
                self.samples.append(sample)
                self._count()

    def _count(self) -> None:
        self.pages += [asked["at"] for asked in self._server.requests() if asked["kind"] == "file"]

    def after(self, page: int) -> float:
        """The moment at which so many pages had been asked for."""
        return self.pages[page - 1]

    def within(self, first: int, last: int) -> list[Sample]:
        """How it stood while these pages were asked for."""
        moments = [sample.moment for sample in self.samples]
        return self.samples[bisect.bisect(moments, self.after(first)) : bisect.bisect(moments, self.after(last))]

    def processor_of_a_page(self, first: int, last: int) -> float:
        """Seconds of processor time for each of these pages."""
        begin, *_, end = self.within(first, last)
        pages = bisect.bisect(self.pages, end.moment) - bisect.bisect(self.pages, begin.moment)
        return (end.processor - begin.processor) / pages


def _sample(process: Path) -> Sample | None:
    """How it stands now; None: it has ended."""
    try:
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        used = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        files = len(list((process / "fd").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return None
    if "VmRSS" not in status:
        return None
    resident, threads = int(status["VmRSS"].split()[0]) * 1024, int(status["Threads"])
    return Sample(time.monotonic(), resident, files, threads, sum(map(int, used)) / _TICKS)


def load() -> Iterator[Result]:
    """All of it from listing to book, without rates; then a rate, held."""
    yield from _long_run(_VOLUMES, _PAGES)
    yield from _rate()


def _long_run(volumes: int, pages: int) -> Iterator[Result]:
    observers: list[Observer] = []
    with place() as folder, serving(f"{volumes}x{pages}x{_SIZE}") as server:

        def observed(pid: int) -> Observer:
            observers.append(Observer(server, pid))
            return observers[0]

        child = server.pagebind(folder, "run", "--settle", "0", "--json", beside=observed)
    document, observer, every = json.loads(child.out), observers[0], volumes * pages
    assert (len(document["bound"]), document["pages_fetched"], len(observer.pages)) == (volumes, every, every)
    about = f"`run --settle 0`, {every:,} pages of {_SIZE // 1000} kB in {volumes} volumes"
    yield from _sizes(about, observer, every // _TENTHS)
    yield from _times(about, observer, every)
    yield Result(
        f"{about}: processor time of a page",
        1000 * child.processor / every,
        4.0,
        " ms",
        f"{child.seconds:.0f} s in all, {1000 * child.seconds / every:.2f} ms a page; peak memory "
        f"{child.peak / MIB:.1f} MiB",
    )


def _sizes(about: str, observer: Observer, tenth: int) -> Iterator[Result]:
    """The most of each in the last tenth of the pages, beside the second: in the first it still lists and imports."""
    second, last = observer.within(tenth, 2 * tenth), observer.within((_TENTHS - 1) * tenth, _TENTHS * tenth)

    def grown(what: str, limit: float, unit: str, of: Callable[[Sample], float]) -> Result:
        before, after = max(map(of, second)), max(map(of, last))
        every = ", ".join(f"{most:.4g}" for most in _most_of_each(observer, tenth, of))
        return Result(f"{about}: {what}, last tenth above the second", after - before, limit, unit, f"{every}")

    yield grown("memory", _MORE_MIB, " MiB", lambda sample: sample.resident / MIB)
    yield grown("open files", CONCURRENCY, "", lambda sample: sample.files)
    yield grown("threads", 0, "", lambda sample: sample.threads)


def _most_of_each(observer: Observer, tenth: int, of: Callable[[Sample], float]) -> list[float]:
    edges = range(1, _TENTHS * tenth + 1, tenth)
    return [max(map(of, observer.within(edge, edge + tenth - 1)), default=0.0) for edge in edges]


def _times(about: str, observer: Observer, every: int) -> Iterator[Result]:
    ends = [observer.after(page) for page in range(_THOUSAND, every + 1, _THOUSAND)]
    seconds = [later - earlier for earlier, later in itertools.pairwise(ends)]
    yield Result(
        f"{about}: time of the last thousand pages, of the second thousand",
        seconds[-1] / seconds[0],
        1.2,
        " times",
        f"{seconds[-1]:.2f} s and {seconds[0]:.2f} s; of all thousands after the first {min(seconds):.2f} to"
        f" {max(seconds):.2f} s",
    )
    tenth = every // _TENTHS
    used = [observer.processor_of_a_page(page, page + tenth) for page in (tenth, every - tenth)]
    yield Result(
        f"{about}: processor time of a page in the last tenth, of one in the second",
        used[1] / used[0],
        1.1,
        " times",
        f"{1000 * used[1]:.2f} ms and {1000 * used[0]:.2f} ms",
    )


def _rate() -> Iterator[Result]:
    with place() as folder, serving(f"1x{_RATED_PAGES}x{_SIZE}") as server:
        server.pagebind(folder, "run", "--settle", "0", "--quiet", downloads_per_second=_PER_SECOND)
        moments = sorted(asked["at"] for asked in server.requests() if asked["kind"] == "file")
    in_each = Counter(int(moment - moments[0]) for moment in moments)
    about = f"`downloads_per_second = {_PER_SECOND}`, {_RATED_PAGES} pages: downloads"
    yield Result(
        f"{about} in the fullest second, at the server",
        max(in_each.values()),
        _PER_SECOND + 2,  # one at once, and one that was on its way for longer than those after it
        "",
        ", ".join(str(in_each[second]) for second in sorted(in_each)),
    )
    yield Result(
        f"{about} a second",
        (len(moments) - 1) / (moments[-1] - moments[0]),
        0.95 * _PER_SECOND,
        "",
        f"{len(moments)} in {moments[-1] - moments[0]:.2f} s",
        at_least=True,
    )
