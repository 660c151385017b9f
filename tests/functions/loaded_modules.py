"""``TARGET``: what a function's process has loaded after one request, as JSON; the request's body is standard input.

The request carries the headers of a queue. Also the answer's status and JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import functions_framework
from tests.support.paths import REPOSITORY


def main(target: str) -> None:
    before = set(sys.modules)
    source = str(REPOSITORY / "functions" / "main.py")
    app: Any = functions_framework.create_app(target=target, source=source)  # type: ignore[no-untyped-call]
    headers = {"X-CloudTasks-QueueName": "q", "X-CloudTasks-TaskRetryCount": "0"}
    body = sys.stdin.buffer.read()
    answer = app.test_client().post("/", data=body, headers=headers, content_type="application/json")
    loaded = [name for name, module in sys.modules.items() if name not in before and hasattr(module, "__file__")]
    found = {"status": answer.status_code, "document": answer.get_json(), "modules": loaded}
    sys.__stdout__.write(json.dumps(found))  # type: ignore[union-attr]  # the framework puts its own in its place


main(sys.argv[1])
