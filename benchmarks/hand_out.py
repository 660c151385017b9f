"""How fast poll hands out to queues that answer late, and what it asks of a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import Result, run_child, serving
from benchmarks.buckets import LIBRARY, buckets, configuration
from benchmarks.deployed import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Server

    from pagebind.demo.store_calls import Call

_LATENCY = 0.05
_TASKS, _SECONDS = 1_000, 5.0
_ROUNDS = 3
_BUDGET = 10.0
_VOLUMES, _PAGES = 80, 100

_BOUND = 500
_LISTINGS = 8
"""Of seven prefixes in work and of the library."""

_QUEUES = {
    "PAGEBIND_QUEUE_FETCH": "projects/p/locations/l/queues/fetch",
    "PAGEBIND_QUEUE_FINALIZE": "projects/p/locations/l/queues/finalize",
    "PAGEBIND_QUEUE_FETCH_URL": "https://fetch.example",
    "PAGEBIND_QUEUE_FINALIZE_URL": "https://finalize.example",
    "PAGEBIND_QUEUE_SERVICE_ACCOUNT": "queue@p.iam.example",
}


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
        queues = {"PAGEBIND_QUEUE_FETCH": self.fetch, "PAGEBIND_QUEUE_FINALIZE": self.finalize}
        return {**_QUEUES, **queues, "CLOUD_TASKS_EMULATOR_HOST": self.host}


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
    with serving(f"{_VOLUMES}x{_PAGES}x500000") as server, buckets("gs") as cloud:
        config = _configure(cloud.folder, server, {"poll.budget": f"{_BUDGET:.0f}s"})
        env = {**cloud.server.environment(), **server.env, **service.environment(), "PAGEBIND_CONFIG": str(config)}
        with running("poll", cloud.folder, env, threads=1) as poll:
            before = service.created()
            [answer] = poll.deliver([b"{}"])
            created, cpu = service.created() - before, poll.cpu()
    assert 0 < created < _VOLUMES * _PAGES, created
    yield Result(
        f"poll with a budget of {_BUDGET:.0f} s, {_VOLUMES} volumes of {_PAGES} pages due: its time",
        answer.document["seconds"],
        _BUDGET,
        " s",
        f"{created:,} tasks created, {cpu:.1f} s of processor time",
    )


def nothing_new() -> Iterator[Result]:
    """A poll over volumes that are bound already."""
    with serving(f"{_BOUND}x1x400") as server, buckets("gs") as cloud:
        config = _configure(cloud.folder, server, {})
        words = ["-m", "pagebind", "run", "--config", str(config), "--quiet"]
        run_child(words, {**cloud.server.environment(), **server.env, "XDG_STATE_HOME": str(cloud.folder)})
        env = {**cloud.proxy.environment(), **server.env, **_QUEUES, "PAGEBIND_CONFIG": str(config)}
        with running("poll", cloud.folder, env, threads=1) as poll:
            cloud.proxy.reset()
            [answer] = poll.deliver([b"{}"])
    assert len(answer.document["up_to_date"]) == _BOUND
    about = f"poll as deployed with nothing new, {_BOUND} bound volumes"
    listed = Counter(_prefix(call) for call in cloud.proxy.calls if call.operation == "objects.list")
    again = ", ".join(name for name, count in listed.items() if count > 1)
    others = cloud.proxy.counts()
    del others["objects.list"]
    yield Result(
        f"{about}: listings",
        listed.total(),
        _LISTINGS,
        "",
        f"of {len(listed)} prefixes of at most 1,000 keys: {', '.join(sorted(listed))}; twice: {again or 'none'}",
    )
    yield Result(f"{about}: other operations", sum(others.values()), 2, "", json.dumps(others))


def _prefix(call: Call) -> str:
    return "library" if call.bucket == LIBRARY else call.key


def _configure(folder: Path, server: Server, values: dict[str, object]) -> Path:
    config = folder / "pagebind.toml"
    where: dict[str, object] = {"source.url": server.url, "source.token": "env:ALIST_TOKEN", "bind.settle": "0s"}
    config.write_text(configuration("gs", {**where, **values}), encoding="utf-8")
    return config
