"""``SECONDS``: Cloud Tasks on this machine, each of whose calls takes so long, and which delivers nothing.

Prints where it is as JSON, then for each line that it reads how many tasks were created so far. Ends with its input.
"""

from __future__ import annotations

import json
import sys

from tests.support.cloud_tasks import CloudTasks
from tests.support.task_queue import QueueRules


def main(seconds: str) -> None:
    queues = ("fetch", "finalize")
    with CloudTasks({name: QueueRules() for name in queues}) as service:
        service.pause()
        service.latency = float(seconds)
        _say({"host": service.host, **{name: service.queue_name(name) for name in queues}})
        for _ in sys.stdin:
            _say({"created": len(service.created), "most_at_once": service.most_at_once})


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


main(*sys.argv[1:])
