"""One call of Google's library: create a task, and say in plain words why it cannot be.

Every task has a name, so that asking again after a lost answer queues nothing twice. Permissions:
cloud.google.com/tasks/docs/reference-access-control; limits: cloud.google.com/tasks/docs/quotas.
"""

from __future__ import annotations

import logging
import math
import os
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from pagebind.errors import ConfigError, PagebindError, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagebind.adapters.dispatch.cloud_tasks import NewTask
    from pagebind.ports.clock import Clock

EMULATOR: Final = "CLOUD_TASKS_EMULATOR_HOST"
"""The variable that names another server than Google's, as host:port, which wants no credentials."""

LARGEST_TASK: Final = 100_000
"""Bytes; the limit is "100 KB", and whether that means 102,400 is not said."""

_PASSING: Final = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNKNOWN"}
)
"""What may go well the next time; the last two are also what a connection that breaks off is reported as."""

_DELAYS: Final = (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0)  # seconds between tries
_PATIENCE: Final = 20.0  # seconds for all tries of one task together
_ONE_TRY: Final = 10.0  # seconds
_SHORTEST_TRY: Final = 0.1
_LONGEST_QUOTE: Final = 300  # characters


class CloudTasksApi:
    """A connection to the service. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        """Raises: ConfigError: there are no credentials."""
        self._clock = clock
        self._client = _connect()
        # At DEBUG the library writes whole requests, with the signs in them.
        logging.getLogger(CloudTasksGrpcTransport.__module__).setLevel(logging.INFO)

    def close(self) -> None:
        """End the connection."""
        self._client.transport.close()

    def create(self, new: NewTask, abandoned: Callable[[], bool]) -> bool:
        """Create a task; one that exists, or existed a while ago, is fine.

        Args:
            new: the task.
            abandoned: whether nobody waits for it any more; asked before each try.

        Returns:
            False if it is too large for the queue.

        Raises:
            QueueUnavailable: the queue cannot be reached, or takes no tasks now.
            ConfigError: the queue does not exist, or takes no such task from this account.
        """
        request = _request(new)
        if type(request.task).pb(request.task).ByteSize() > LARGEST_TASK:
            return False
        give_up = self._clock.monotonic() + _PATIENCE
        delays = iter(_DELAYS)
        while not abandoned():
            left = max(give_up - self._clock.monotonic(), _SHORTEST_TRY)
            try:
                self._client.create_task(request, timeout=min(_ONE_TRY, left))
            except GoogleAPICallError as error:
                status = _status(error)
                if status == "ALREADY_EXISTS":
                    return True
                pause = next(delays, math.inf) * random.uniform(0.5, 1.0)  # noqa: S311  jitter, not a secret
                if status not in _PASSING or self._clock.monotonic() + pause > give_up:
                    cause = None if _tells(error, new) else error
                    raise _in_plain_words(error, status, new) from cause
                self._clock.wait(pause)
            else:
                return True
        return True


def _connect() -> tasks_v2.CloudTasksClient:
    """A client with the default credentials, or one of an emulator. Raises: ConfigError."""
    emulator = os.environ.get(EMULATOR)
    if emulator:
        channel = grpc.insecure_channel(emulator, options=[("grpc.enable_http_proxy", 0)])
        return tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
    try:
        return tasks_v2.CloudTasksClient()
    except (GoogleAuthError, OSError, ValueError) as error:
        raise ConfigError(
            f"Cloud Tasks has no credentials to use: {str(error).partition('. ')[0][:_LONGEST_QUOTE]}",
            fix="run gcloud auth application-default login, or let GOOGLE_APPLICATION_CREDENTIALS name a key file",
        ) from error


def _request(new: NewTask) -> tasks_v2.CreateTaskRequest:
    identity = None
    if new.account:
        identity = tasks_v2.OidcToken(service_account_email=new.account, audience=new.url)
    call = tasks_v2.HttpRequest(
        http_method=tasks_v2.HttpMethod.POST,
        url=new.url,
        headers={"Content-Type": "application/json"},
        body=new.body,
        oidc_token=identity,
    )
    task = tasks_v2.Task(
        name=f"{new.queue}/tasks/{new.name}",
        http_request=call,
        dispatch_deadline=timedelta(seconds=new.deadline),
        schedule_time=None if new.due is None else datetime.fromtimestamp(new.due, UTC),
    )
    return tasks_v2.CreateTaskRequest(parent=new.queue, task=task)


def _status(error: GoogleAPICallError) -> str:
    code = error.grpc_status_code
    return str(code.name) if code is not None else "UNKNOWN"


def _in_plain_words(error: GoogleAPICallError, status: str, new: NewTask) -> PagebindError:
    """What the service says, as an error of ours: what is wrong, and which role, queue or setting mends it."""
    if status in _PASSING:
        return QueueUnavailable(f"the queue {new.queue} takes no tasks now: {_quoted(status, error, new)}")
    if status == "NOT_FOUND":
        return ConfigError(
            f"there is no queue {new.queue}", fix="create it, or correct fetch and finalize in [queue]", path=new.queue
        )
    if status == "UNAUTHENTICATED":
        return ConfigError("Cloud Tasks refuses the credentials", fix="use credentials of this project", path=new.queue)
    if status != "PERMISSION_DENIED":
        return ConfigError(
            f"the queue {new.queue} takes no such task: {_quoted(status, error, new)}",
            fix="correct the addresses and the service account in [queue]",
            path=new.queue,
        )
    return _forbidden(str(error.message), new)


def _forbidden(said: str, new: NewTask) -> ConfigError:
    """Which role is missing; the service names the permission."""
    if "actAs" in said:
        return ConfigError(
            f"this account may not let calls carry the identity of {new.account}",
            fix=f"give it the role roles/iam.serviceAccountUser on {new.account}",
            path=new.queue,
        )
    if "has not been used" in said or "disabled" in said:
        return ConfigError(
            "Cloud Tasks is not switched on in this project",
            fix="gcloud services enable cloudtasks.googleapis.com",
            path=new.queue,
        )
    return ConfigError(
        f"this account may not create tasks in {new.queue}, or there is no such queue",
        fix="give it the role roles/cloudtasks.enqueuer on the queue",
        path=new.queue,
    )


def _quoted(status: str, error: GoogleAPICallError, new: NewTask) -> str:
    """What the service says, as far as a log can bear it."""
    return status if _tells(error, new) else f"{status}: {str(error.message)[:_LONGEST_QUOTE]}"


def _tells(error: GoogleAPICallError, new: NewTask) -> bool:
    """Whether the service says a sign back."""
    return bool(new.sign) and new.sign in str(error)
