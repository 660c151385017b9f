"""``FETCH FINALIZE VOLUME COUNT``: create so many tasks in these queues; prints what it took as JSON."""

from __future__ import annotations

import json
import sys
import time

from pagebind.adapters.clock import SystemClock
from pagebind.adapters.dispatch.cloud_tasks import CloudTasksDispatch, Queues
from pagebind.core import keys
from pagebind.ports.dispatch import FetchTask


def task(name: str, number: int) -> FetchTask:
    folder = f"/comics/Series/{name}"
    path = f"{folder}/{number:05}.jpg"
    sign = keys.digest(path, 44)
    link = f"/d{path}"
    volume = keys.volume_id(folder)
    page = keys.digest(str(number), 20)
    return FetchTask(volume, page, path, "/comics", f"{number:05}.jpg", 500_000, 1, 1, sign=f"{sign}:0", link=link)


def main(fetch: str, finalize: str, name: str, count: str) -> None:
    places = Queues(fetch, finalize, "https://fetch.example", "https://finalize.example", "queue@p.iam.example")
    dispatch = CloudTasksDispatch(places, SystemClock(), config="0" * 16)
    dispatch.fetch(task(name, 0))  # the library is imported and the connection made
    dispatch.flush()
    begun, spent = time.perf_counter(), time.process_time()
    for number in range(1, int(count) + 1):
        dispatch.fetch(task(name, number))
    dispatch.flush()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - spent
    dispatch.close()
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu}))


main(*sys.argv[1:])
