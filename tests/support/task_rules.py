"""What the real Cloud Tasks refuses, and its emulator takes.

Limits: cloud.google.com/tasks/docs/quotas and .../reference/rpc/google.cloud.tasks.v2.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud import tasks_v2

_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
_LARGEST = 100 * 1024
_LONGEST_URL = 2083
_FARTHEST_SECONDS = 30 * 86_400
_DEADLINES = (15, 1800)


def complaint(request: tasks_v2.CreateTaskRequest) -> str:
    """Why the service answers INVALID_ARGUMENT; empty if it does not."""
    return next(_complaints(request.parent, request.task), "")


def _complaints(queue: str, task: tasks_v2.Task) -> Iterator[str]:
    before, _, name = task.name.rpartition("/tasks/")
    if before != queue or not _TASK_ID.fullmatch(name):
        yield f'Task name must be formatted: "{queue}/tasks/<TASK_ID>"'
    if type(task).pb(task).ByteSize() > _LARGEST:
        yield "Task size too large"
    if task.schedule_time and task.schedule_time.timestamp() > time.time() + _FARTHEST_SECONDS:
        yield "Task.scheduleTime must not be more than 30 days in the future"
    if task.dispatch_deadline and not _DEADLINES[0] <= task.dispatch_deadline.total_seconds() <= _DEADLINES[1]:
        yield "Task.dispatchDeadline must be between [15s, 30m]"
    yield from _complaints_of_call(task.http_request)


def _complaints_of_call(call: tasks_v2.HttpRequest) -> Iterator[str]:
    url = urlsplit(call.url)
    if url.scheme not in {"http", "https"} or not url.hostname or len(call.url) > _LONGEST_URL:
        yield "HttpRequest.url must start with 'http://' or 'https://'"
    if call.oidc_token.service_account_email:
        if "@" not in call.oidc_token.service_account_email:
            yield "OidcToken.serviceAccountEmail is no service account"
        if call.oidc_token.audience != call.url:  # the service does not mind, but the function would refuse the call
            yield "OidcToken.audience is not the address that is called"
