"""Volumes from their first listing to their books by the functions as deployed, over Google Cloud Storage, all counted.

Two polls (seen, settled), a finalize that comes too early, fetch, finalize, two polls that find nothing new. Prints for
each as JSON what was asked of the store, by a proxy; what was created and delivered, by the queue; what was read of
secrets; and of each function how many lines of a log it wrote, their bytes, and seconds of processor time. Also when
books were due.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.bench import serving
from benchmarks.buckets import WORK, buckets, configuration, summary
from benchmarks.deployed import Function
from tests.rehearsal.processes import Service, until
from tests.support.cloud_tasks import CloudTasks
from tests.support.secret_manager import SecretManager
from tests.support.task_queue import QueueRules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from benchmarks.buckets import Buckets

_VOLUMES, _PAGES, _PAGE_BYTES = 4, 200, 50_000
_AT_ONCE = {"poll": 1, "fetch": 16, "finalize": 1}
_SECRET = "projects/benchmark/secrets/alist-token"
_SETTLE, _SETTLED_SECONDS = "1s", 1.5
_TIME_SCALE = 0.02
_PATIENCE = 120.0


class Cloud:
    """The functions, their queues and their store, up while the context is."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.services = {name: Service(name) for name in _AT_ONCE}
        self.functions: dict[str, Function] = {}

    def __enter__(self) -> Self:
        with self._stack:
            enter = self._stack.enter_context
            server = enter(serving(f"{_VOLUMES}x{_PAGES}x{_PAGE_BYTES}"))
            self.buckets = enter(buckets("gs"))
            self.secrets = enter(SecretManager().running())
            self.secrets.add(_SECRET, server.token.encode())
            rules = {name: QueueRules(concurrent=_AT_ONCE[name]) for name in ("fetch", "finalize")}
            self.queue = enter(CloudTasks(rules, time_scale=_TIME_SCALE))
            self.queue.pause()
            _put(self.buckets, "pagebind.toml", self._configuration(server.url))
            for service in self.services.values():
                enter(service)
            for name, service in self.services.items():
                folder = self.buckets.folder / name
                self.functions[name] = Function(name, folder, self._environment(name), threads=_AT_ONCE[name])
                service.instances.append(self.functions[name].process)
                service.start()
            for service in self.services.values():
                service.ready()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _configuration(self, url: str) -> str:
        values = {"source.url": url, "source.token": f"gcp:{_SECRET}/versions/latest", "bind.settle": _SETTLE}
        return configuration("gs", dict(values))

    def _environment(self, name: str) -> dict[str, str]:
        own = {"PAGEBIND_SOURCE_CONCURRENCY": str(_AT_ONCE["fetch"])} if name == "fetch" else {}
        return {
            **own,
            **self.buckets.proxy.environment(),
            "CLOUD_TASKS_EMULATOR_HOST": self.queue.host,
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets.host,
            "PAGEBIND_CONFIG": f"gs://{WORK}/pagebind.toml",
            "PAGEBIND_QUEUE_FETCH": self.queue.queue_name("fetch"),
            "PAGEBIND_QUEUE_FINALIZE": self.queue.queue_name("finalize"),
            "PAGEBIND_QUEUE_FETCH_URL": self.services["fetch"].url,
            "PAGEBIND_QUEUE_FINALIZE_URL": self.services["finalize"].url,
            "PAGEBIND_QUEUE_SERVICE_ACCOUNT": "queue@benchmark.iam.example",
        }

    def poll(self) -> dict[str, Any]:
        """As the scheduler does."""
        handled = self.services["poll"].call(X_CloudScheduler="true")
        assert handled.document["problems"] == [], handled
        return handled.document

    def deliver(self, queue: str) -> None:
        """What is in one of the queues, and whatever comes of it."""
        self.queue.resume(queue)
        until(lambda: not self.queue.pending(queue), f"the queue {queue} is empty", _PATIENCE)
        self.queue.pause(queue)

    def deliver_once(self, queue: str) -> None:
        """What is in one of the queues, but not what comes of it."""
        self.queue.resume(queue)
        self.queue.wait_for(len(self.queue.deliveries) + _VOLUMES, _PATIENCE)
        self.queue.pause(queue)
        until(lambda: all(one.ended for one in self.queue.deliveries), "all calls have ended", _PATIENCE)

    def due(self, since: float) -> dict[str, float]:
        """Seconds until the first book is due that was handed out ``since`` then, and from each to the next."""
        due = sorted((one.schedule or since) - since for one in self.queue.created if one.queue == "finalize")
        return {"own": due[0], "before": (due[-1] - due[0]) / (len(due) - 1)}

    def spent(self) -> dict[str, float]:
        """Totals up to now."""
        found: dict[str, float] = {"secrets": len(self.secrets.asked)}
        for queue in ("fetch", "finalize"):
            found[f"{queue} created"] = sum(one.queue == queue for one in self.queue.created)
            found[f"{queue} delivered"] = sum(one.queue == queue for one in self.queue.deliveries)
        for name, function in self.functions.items():
            lines = function.log()
            found[f"{name} cpu"] = function.cpu()
            found[f"{name} lines"] = len(lines)
            found[f"{name} log"] = sum(len(line) + 1 for line in lines)
        return found


def _put(cloud: Buckets, name: str, text: str) -> None:
    target = f"{cloud.server.url}/upload/storage/v1/b/{WORK}/o?uploadType=media&name={quote(name, safe='')}"
    with urllib.request.urlopen(urllib.request.Request(target, text.encode(), method="POST")) as answer:
        assert answer.status == 200


def phases(cloud: Cloud) -> Iterator[str]:
    """What is done; each is over when the next is asked for."""
    cloud.poll()
    time.sleep(_SETTLED_SECONDS)
    yield "seen"
    waiting = cloud.poll()["waiting"]
    assert {one["action"] for one in waiting} == {"fetch"}, waiting
    yield "settled"
    cloud.deliver_once("finalize")
    yield "early"
    cloud.deliver("fetch")
    yield "fetch"
    cloud.deliver("finalize")
    yield "finalize"
    assert len(cloud.poll()["up_to_date"]) == _VOLUMES
    yield "tidied"
    cloud.poll()
    yield "idle"


def main() -> None:
    counts: dict[str, Any] = {"volumes": _VOLUMES, "pages": _PAGES}
    with Cloud() as cloud:
        cloud.buckets.proxy.reset()
        before = dict.fromkeys(cloud.spent(), 0.0)
        begun = time.time()
        for name in phases(cloud):
            now = cloud.spent()
            gone = {what: round(now[what] - before[what], 3) for what in now}
            counts[name] = {**summary(cloud.buckets.proxy), **gone}
            if name == "settled":
                counts["due"] = cloud.due(begun)
            before, begun = now, time.time()
    sys.stdout.write(json.dumps(counts))


main()
