"""What imports cost beyond the libraries that they bring in.

A use case is imported with what it is wired to, for without a server and a store it can do nothing; a function with
what its first request loads besides, as it is deployed. Their libraries are all modules outside the package that this
loads, those of Python itself included.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

from benchmarks.bench import Result, run_child

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROUNDS = 15
_LIMIT = 1.3
_LIMIT_OF_ALL = 1.4
"""For the command, the wiring and three use cases at once, which nothing promises but a person waits for."""
_WIRED = (
    "pagebind.config",
    "pagebind.wiring",
    "pagebind.adapters.alist",
    "pagebind.adapters.stores.folder",
    "pagebind.adapters.dispatch.local",
)
_ALL = "the command's `run`, all of it"
_STARTED = ("pagebind.cli.main", "pagebind.cli.session")
_DEPLOYED = (
    "functions.main",
    "pagebind.config",
    "pagebind.wiring",
    "pagebind.adapters.alist",
    "pagebind.adapters.stores.gcs",
    "pagebind.adapters.stores.retrying",
)
"""What each function has loaded after its first request; tests/functions/test_imports.py holds it against a list."""

_OURS = frozenset({"pagebind", "functions"})
_CASES: dict[str, tuple[str, ...]] = {
    "the command": _STARTED,
    _ALL: (*_STARTED, "pagebind.cli.run", *_WIRED, "pagebind.local"),
    **{
        f"`{name}` as wired": (*_WIRED, f"pagebind.app.{name}")
        for name in ("poll", "fetch", "finalize", "plan", "status", "verify", "doctor")
    },
    "the function `poll`": (
        *_DEPLOYED,
        "pagebind.serverless.poll",
        "pagebind.serverless.hand_out",
        "pagebind.adapters.dispatch.cloud_tasks",
        "pagebind.app.poll",
        "pagebind.app.gc",
    ),
    "the function `fetch`": (*_DEPLOYED, "pagebind.serverless.fetch", "pagebind.app.fetch"),
    "the function `finalize`": (*_DEPLOYED, "pagebind.serverless.finalize", "pagebind.app.finalize"),
}

_FIND = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
loaded = [name for name in sys.modules if name not in before and getattr(sys.modules[name], "__spec__", None)]
print(json.dumps(loaded))
"""
_TIME = """
import importlib, json, sys, time
steps = [time.perf_counter()]
for names in json.loads(sys.argv[1]):
    for name in names:
        importlib.import_module(name)
    steps.append(time.perf_counter())
print(json.dumps([after - before for before, after in zip(steps, steps[1:])]))
"""


def imports() -> Iterator[Result]:
    """The command, each use case and each function."""
    for what, modules in _CASES.items():
        loaded = json.loads(_python(_FIND, *modules))
        libraries = [name for name in loaded if name.partition(".")[0] not in _OURS]
        times = [_time(libraries, modules) for _ in range(_ROUNDS)]
        theirs = statistics.median(first for first, _ in times)
        ratio = statistics.median((first + then) / first for first, then in times)
        detail = f"libraries {theirs * 1000:.0f} ms; median of {_ROUNDS}"
        limit = _LIMIT_OF_ALL if what == _ALL else _LIMIT
        yield Result(f"import of {what}: time of its libraries", ratio, limit, " times", detail)


def _time(libraries: Sequence[str], modules: Sequence[str]) -> tuple[float, float]:
    """Seconds for the libraries, then for the rest, in one process: whatever else the machine does hits both."""
    first, then = json.loads(_python(_TIME, json.dumps([libraries, modules])))
    return first, then


def _python(code: str, *arguments: str) -> str:
    return run_child(["-c", code, *arguments], {}).out
