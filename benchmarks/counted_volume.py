"""``gs`` or ``s3``: volumes from their first listing to their books, every request to the store counted by a proxy.

Poll twice (seen, settled), fetch, finalize, then a poll that finds nothing new; prints the counts of each as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.buckets import buckets, configuration, environment, summary

from pagebind import wiring
from pagebind.adapters.clock import SystemClock
from pagebind.app.fetch import Fetch
from pagebind.app.fetch import Outcome as Fetched
from pagebind.app.finalize import Finalize, Outcome
from pagebind.app.poll import record_run
from pagebind.config import parse
from pagebind.demo.drives import VirtualDrive
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from pagebind.ports.dispatch import FetchTask, FinalizeTask
    from pagebind.wiring import Parts

_VOLUMES, _PAGES, _PAGE_BYTES = 2, 200, 500_000


class LaterClock(SystemClock):
    """A clock that can be put forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


@dataclass
class Queue:
    """Keeps tasks, as a queue does that outlives its process."""

    pages: list[FetchTask] = field(default_factory=list)
    books: list[FinalizeTask] = field(default_factory=list)
    durable: bool = True

    def open(self) -> None:
        pass

    def fetch(self, task: FetchTask) -> None:
        self.pages.append(task)

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:  # noqa: ARG002
        self.books.append(task)

    def flush(self) -> None:
        pass


def poll(parts: Parts, queue: Queue) -> None:
    started = parts.clock.now()
    one = parts.poll(queue, write=True)
    one.look()
    done = one.step()
    record_run(parts.work, parts.clock, started=started, assessments=done.assessments, problems=one.survey.problems)


def fetch(parts: Parts, tasks: list[FetchTask]) -> None:
    watches = {watch.path: watch for watch in parts.watches}
    act = Fetch(parts.source, parts.work, parts.library, watches, downloads=parts.settings.source.concurrency)
    with ThreadPoolExecutor(parts.settings.source.concurrency) as pool:
        done = list(pool.map(lambda task: act(task, last_attempt=False).outcome, tasks))
    assert set(done) == {Fetched.STAGED}


def finalize(parts: Parts, tasks: list[FinalizeTask]) -> None:
    act = Finalize(parts.work, parts.library, keep_pages=parts.policy.keep_pages)
    done = [act(task).outcome for task in tasks]
    assert done == [Outcome.BOUND] * _VOLUMES


def main(kind: str) -> None:
    drive = VirtualDrive(folders=_VOLUMES, files=_PAGES, size=_PAGE_BYTES)
    with buckets(kind) as place, DemoServer({"/comics": drive}) as server:
        env = {"ALIST_TOKEN": server.token, **environment(kind, place.proxy)}
        os.environ.update(env)
        as_at_aws: dict[str, object] = {"store.conditional_writes": "on"} if kind == "s3" else {}  # nothing tried out
        values = {"source.url": server.url, "source.token": "env:ALIST_TOKEN", **as_at_aws}
        text = configuration(kind, values)
        parts = wiring.build(parse(text, env, "the benchmark's configuration"), env)
        clock = LaterClock()
        parts = parts._replace(clock=clock, policy=parts.policy._replace(durable=True))
        counts: dict[str, Any] = {"volumes": _VOLUMES, "pages": _PAGES}
        with closing(parts.source):
            place.proxy.reset()
            queue = Queue()
            for name in ("seen", "settled"):
                poll(parts, queue)
                counts[name] = summary(place.proxy)
                clock.ahead += parts.policy.settle + 60.0
            assert len(queue.pages) == _VOLUMES * _PAGES
            fetch(parts, queue.pages)
            counts["fetch"] = summary(place.proxy)
            finalize(parts, queue.books)
            counts["finalize"] = summary(place.proxy)
            poll(parts, idle := Queue())
            counts["idle"] = summary(place.proxy)
            assert not idle.pages
            assert not idle.books
    sys.stdout.write(json.dumps(counts))


main(*sys.argv[1:])
