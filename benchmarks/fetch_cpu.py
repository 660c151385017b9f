"""What a page costs fetch besides waiting: seconds of processor time of the function's process, and its memory."""

from __future__ import annotations

import statistics
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from benchmarks.bench import MIB, Result, place, run_child, serving
from benchmarks.buckets import LIBRARY, WORK, configuration
from benchmarks.deployed import running

from pagebind.demo.object_stores import GcsServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.deployed import Function

AT_ONCE = 16
_LIMIT = 10.0
_PAGES, _PAGE_BYTES = 300, 500_000
_WARM_UP = 48
_ROUNDS = 3
_LARGEST = 4 * 2**20
"""Bytes of a page that waits in memory; of a larger one less does."""

_MEMORY = 512


@contextmanager
def deployed(volumes: str) -> Iterator[tuple[Function, list[bytes]]]:
    """The function over fake-gcs-server, and its tasks for made-up ``volumes``: FOLDERSxFILESxBYTES."""
    with ExitStack() as stack:
        folder, server = stack.enter_context(place()), stack.enter_context(serving(volumes))
        store = stack.enter_context(GcsServer())
        for name in (WORK, LIBRARY):
            store.create_bucket(name)
        values: dict[str, object] = {"source.url": server.url, "source.token": "env:ALIST_TOKEN", "bind.settle": "0s"}
        config = folder / "pagebind.toml"
        config.write_text(configuration("gs", values), encoding="utf-8")
        env = {**store.environment(), "PAGEBIND_SOURCE_CONCURRENCY": str(AT_ONCE), "PAGEBIND_CONFIG": str(config)}
        made = run_child(["-m", "benchmarks.make_tasks", str(config)], {**env, **server.env}).out.encode().splitlines()
        yield stack.enter_context(running("fetch", folder, env, threads=AT_ONCE)), made


def fetch_cpu() -> Iterator[Result]:
    """Pages of 500 kB."""
    with deployed(f"1x{_WARM_UP + _ROUNDS * _PAGES}x{_PAGE_BYTES}") as (function, bodies):
        _stage(function, bodies[:_WARM_UP])
        rounds = []
        for number in range(_ROUNDS):
            first = _WARM_UP + number * _PAGES
            before = function.cpu()
            _stage(function, bodies[first : first + _PAGES])
            rounds.append((function.cpu() - before) / _PAGES * 1000)
        peak = function.peak()
    yield Result(
        f"fetch as deployed, pages of {_PAGE_BYTES // 1000} kB, {AT_ONCE} at a time: processor time of a page",
        statistics.median(rounds),
        _LIMIT,
        " ms",
        f"{_ROUNDS} rounds of {_PAGES} pages: {', '.join(f'{each:.1f}' for each in rounds)}; peak {peak / MIB:.0f} MiB",
    )


def fetch_memory() -> Iterator[Result]:
    """The largest pages that wait in memory."""
    with deployed(f"1x{6 * AT_ONCE}x{_LARGEST}") as (function, bodies):
        _stage(function, bodies)
        peak = function.peak()
    yield Result(
        f"fetch as deployed, pages of 4 MiB, {AT_ONCE} at a time: peak memory",
        peak / MIB,
        _MEMORY,
        " MiB",
        f"{len(bodies)} pages, as much as an instance has",
    )


def _stage(function: Function, bodies: list[bytes]) -> None:
    answers = function.deliver(bodies)
    assert [one.document.get("outcome") for one in answers] == ["staged"] * len(bodies), answers[:3]
