"""How fast the command is beside clients that only do the calls."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from benchmarks.bench import CONCURRENCY, Child, Result, compare, place, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


PAGES, SIZE, DELAY = 200, 500_000, 0.05
ABOUT = f"{PAGES} pages of {SIZE // 1000} kB, {1000 * DELAY:.0f} ms delay"


def download() -> Iterator[Result]:
    """A book from a server that takes its time for each answer."""
    with place() as folder, serving(f"1x{PAGES}x{SIZE}", delay=DELAY) as server:
        number = itertools.count()

        def ours() -> Child:
            return server.pagebind(folder / f"run{next(number)}", "run", "--settle", "0", "--quiet")

        def sequential() -> Child:
            return server.bare("zip", str(folder / f"sequential{next(number)}.zip"))

        found = compare(ours, sequential, rounds=3)
    yield Result(
        f"`run --settle 0`, {ABOUT}, concurrency {CONCURRENCY}: times as fast as one by one",
        found.bare / found.ours,
        4.0,
        " times",
        found.detail,
        at_least=True,
    )


def listing() -> Iterator[Result]:
    """100,000 files in 500 folders."""
    with place() as folder, serving("500x200x500000") as server:
        server.walk()
        server.requests()
        server.walk()
        theirs = len(server.requests())
        server.pagebind(folder, "plan", "--quiet")
        own = len(server.requests())
        found = compare(lambda: server.pagebind(folder, "plan", "--quiet"), server.walk, rounds=7)
    yield Result(
        "`plan`, 100,000 files in 500 folders: time of the bare client",
        found.ours / found.bare,
        1.5,
        " times",
        f"{found.detail}; requests {own} and {theirs}",
    )
