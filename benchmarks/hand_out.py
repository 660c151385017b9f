"""How fast poll hands out to queues that answer late, and what it asks of a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import Result, place, run_child, serving
from benchmarks.buckets import LIBRARY, WORK, configuration
from benchmarks.deployed import running

from pagebind.demo.object_stores import GcsServer

if TYPE_CHECKING:
    from collections.abc import Iterator

_LATENCY = 0.05
_TASKS, _SECONDS = 1_000, 5.0
_ROUNDS = 3
_BUDGET = 10.0
_VOLUMES, _PAGES = 80, 100


@dataclass(frozen=True, slots=True)
class Service:
    """Cloud Tasks in another process."""

    host: str
    fetch: str
    finalize: str
    _process: subprocess.Popen[str]

    def created(self) -> int:
        """So many tasks, up to now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["created"])

    def environment(self) -> dict[str, str]:
        """For a function that hands out."""
        return {
            "CLOUD_TASKS_EMULATOR_HOST": self.host,
            "PAGEBIND_QUEUE_FETCH": self.fetch,
            "PAGEBIND_QUEUE_FINALIZE": self.finalize,
            "PAGEBIND_QUEUE_FETCH_URL": "https://fetch.example",
            "PAGEBIND_QUEUE_FINALIZE_URL": "https://finalize.example",
            "PAGEBIND_QUEUE_SERVICE_ACCOUNT": "queue@p.iam.example",
        }


@contextmanager
def tasks_service() -> Iterator[Service]:
    """Start it; it delivers nothing."""
    words = [sys.executable, "-m", "benchmarks.task_service", str(_LATENCY)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Service(**json.loads(process.stdout.readline()), _process=process)
        process.communicate()


def tasks() -> Iterator[Result]:
    """Creation, and the end of the budget in the middle of it."""
    with tasks_service() as service:
        yield _creation(service)
        yield from _budget(service)


def _creation(service: Service) -> Result:
    env = {"CLOUD_TASKS_EMULATOR_HOST": service.host}
    rounds = []
    for number in range(_ROUNDS):
        words = ["-m", "benchmarks.create_tasks", service.fetch, service.finalize, f"Vol {number}", str(_TASKS)]
        before = service.created()
        rounds.append(json.loads(run_child(words, env).out))
        assert service.created() - before == _TASKS + 1
    best = min(rounds, key=lambda one: float(one["seconds"]))
    said = ", ".join(f"{one['seconds']:.2f} s" for one in rounds)
    return Result(
        f"{_TASKS:,} tasks in a queue that answers after {_LATENCY * 1000:.0f} ms",
        best["seconds"],
        _SECONDS,
        " s",
        f"{_ROUNDS} rounds: {said}; {best['cpu'] / _TASKS * 1000:.2f} ms of processor time a task",
    )


def _budget(service: Service) -> Iterator[Result]:
    with ExitStack() as stack:
        folder = stack.enter_context(place())
        server = stack.enter_context(serving(f"{_VOLUMES}x{_PAGES}x500000"))
        store = stack.enter_context(GcsServer())
        for name in (WORK, LIBRARY):
            store.create_bucket(name)
        values: dict[str, object] = {"source.url": server.url, "source.token": "env:ALIST_TOKEN", "bind.settle": "0s"}
        config = folder / "pagebind.toml"
        config.write_text(configuration("gs", {**values, "poll.budget": f"{_BUDGET:.0f}s"}), encoding="utf-8")
        env = {**store.environment(), **server.env, **service.environment(), "PAGEBIND_CONFIG": str(config)}
        poll = stack.enter_context(running("poll", folder, env, threads=1))
        before = service.created()
        [answer] = poll.deliver([b"{}"])
        created = service.created() - before
        cpu = poll.cpu()
    assert 0 < created < _VOLUMES * _PAGES, created
    yield Result(
        f"poll with a budget of {_BUDGET:.0f} s, {_VOLUMES} volumes of {_PAGES} pages due: its time",
        answer.document["seconds"],
        _BUDGET,
        " s",
        f"{created:,} tasks created, {cpu:.1f} s of processor time",
    )
