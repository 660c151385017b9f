"""How much memory the command takes at its peak."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.bench import MIB, Result, place, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEW, _MANY = 10, 5_000


def run() -> Iterator[Result]:
    """A book of 5,000 pages beside one of 10."""
    for size in (2_000, 200_000):
        few = statistics.median(_peak_of_run(_FEW, size) for _ in range(3))
        many = _peak_of_run(_MANY, size)
        yield Result(
            f"`run`, pages of {size // 1000} kB: peak memory for {_MANY:,} pages above that for {_FEW}",
            (many - few) / MIB,
            4 + (_MANY - _FEW) * 2048 / MIB,
            " MiB",
            f"{many / MIB:.1f} MiB and {few / MIB:.1f} MiB (median of 3)",
        )


def _peak_of_run(pages: int, size: int) -> int:
    with place() as folder, serving(f"1x{pages}x{size}") as server:
        return server.pagebind(folder, "run", "--settle", "0", "--quiet").peak


def plan() -> Iterator[Result]:
    """1,000,000 files in 5,000 folders."""
    with place() as folder, serving("5000x200x500000") as server:
        server.walk()
        child = server.pagebind(folder, "plan", "--quiet")
    yield Result(
        "`plan`, 1,000,000 files in 5,000 folders: peak memory",
        child.peak / MIB,
        256,
        " MiB",
        f"{child.seconds:.1f} s",
    )
