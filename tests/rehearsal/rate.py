"""The rate of the queue holds across processes: measured where the downloads arrive, at the server."""

from __future__ import annotations

import bisect
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.rehearsal.deployment import by_hand
from tests.rehearsal.stage import Stage, expect
from tests.support.task_queue import QueueRules

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pagebind.demo.answers import Request

PER_SECOND, BURST, PROCESSES = 20.0, 5, 3

_PAGES = 70
_WARM_UP = ("Ongoing/Warm/Vol 1", "Chapters/Warm/Vol 1/Ch 1")
"""Fetched before it is measured: a process that starts lets its first requests wait, and then they come together."""


def stage(home: Path) -> Stage:
    """One with so many processes, and this rate."""
    rules = QueueRules(per_second=PER_SECOND, burst=BURST, concurrent=50)
    return Stage(home, by_hand(fetchers=PROCESSES, rules=rules))


def measure(stage: Stage) -> str:
    """Fetch a volume by three processes.

    A download arrives some time after the queue sent its task. What that time varies by is measured, and let pass.

    Raises:
        AssertionError: in some second more came than rate and burst allow.
    """
    for volume in _WARM_UP:
        stage.volume(volume)
    stage.poll_and_settle()
    arrived: dict[str, float] = {}
    stage.server.before = lambda asked: _note(asked, arrived)
    stage.volume("Rate/Vol 1", pages=_PAGES)
    stage.poll_and_settle()
    stage.check()

    sent = {path: moment for path, moment in _sent(stage).items() if path in arrived}
    expect("pages that were sent and downloaded", len(sent), _PAGES)
    expect("downloads", stage.counts().downloads, stage.counts().tasks)
    shares = [log.count(b'"outcome": "staged"') for log in stage.fetch.logs()]
    expect("processes that had a share", sum(share > _PAGES // (2 * PROCESSES) for share in shares), PROCESSES)

    lags = [arrived[path] - moment for path, moment in sent.items()]
    spread = max(lags) - min(lags)
    _demand_rate("sent", sent.values(), spread=0.0)
    most = _demand_rate("downloaded", arrived.values(), spread=spread)
    return (
        f"{PER_SECOND:.0f} a second, burst {BURST}, {PROCESSES} processes (pages: {', '.join(map(str, shares))}):"
        f" at most {most} downloads in one second, on their way for {min(lags):.2f} to {max(lags):.2f} s"
    )


def _demand_rate(what: str, times: Iterable[float], *, spread: float) -> int:
    """How many there were in the fullest second. Raises: AssertionError: too many; or too soon over."""
    ordered = sorted(times)
    most, seconds = most_in_a_second(ordered), ordered[-1] - ordered[0]
    if most > PER_SECOND * (1.0 + spread) + BURST:
        raise AssertionError(
            f"{most} pages {what} within a second, of {PER_SECOND:.0f} a second and a burst of {BURST}"
        )
    least = (len(ordered) - 1 - BURST) / PER_SECOND - spread
    if seconds < least:
        raise AssertionError(f"{len(ordered)} pages {what} within {seconds:.2f} s, at that rate it takes {least:.2f} s")
    return most


def most_in_a_second(times: Iterable[float]) -> int:
    """How many of these moments lie within the fullest second."""
    ordered = sorted(times)
    return max(bisect.bisect_left(ordered, first + 1.0) - number for number, first in enumerate(ordered))


def _sent(stage: Stage) -> dict[str, float]:
    """When the queue sent the task of each page, by the page's path."""
    paths = {task.name: json.loads(task.body)["path"] for task in stage.queue.created if task.queue == "fetch"}
    return {paths[one.name]: one.started for one in stage.queue.deliveries if one.name in paths}


def _note(asked: Request, arrived: dict[str, float]) -> None:
    if asked.method == "GET":
        arrived[unquote(asked.path.removeprefix("/d"))] = time.monotonic()
