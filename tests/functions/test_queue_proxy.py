"""Cloud Tasks on this machine does what the real service does, and what it does on bad days."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import pytest
from google.api_core.exceptions import AlreadyExists, InvalidArgument, NotFound, ServiceUnavailable
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from tests.support.cloud_tasks import CloudTasks
from tests.support.servers import skipping
from tests.support.task_queue import QueueRules
from tests.support.task_target import Reply, Target
from tests.support.tasks_emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.task_target import Call

_PATIENCE = 20.0
_AT_ONCE = QueueRules(min_backoff=0.01, max_backoff=0.02)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with skipping(), Emulator() as running:
        yield running


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as server:
        yield server


class Client:
    """Creates tasks for a target, as any client of the service does."""

    def __init__(self, service: CloudTasks, target: Target) -> None:
        self._service = service
        self._url = f"{target.url}/work?kind=page"
        channel = grpc.insecure_channel(service.host, options=[("grpc.enable_http_proxy", 0)])
        self._client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))

    def create(self, name: str, queue: str = "fetch", *, below: str = "", **fields: Any) -> None:
        parent = self._service.queue_name(queue)
        call = {"http_method": "POST", "url": self._url, "body": b"{}", **fields.pop("call", {})}
        task = {"name": f"{below or parent}/tasks/{name}", "http_request": call, **fields}
        self._client.create_task({"parent": parent, "task": task}, timeout=_PATIENCE)

    def close(self) -> None:
        self._client.transport.close()


class Serve(Protocol):
    def __call__(self, rules: QueueRules, *, time_scale: float = 1.0) -> tuple[CloudTasks, Client]: ...


@pytest.fixture
def serve(emulator: Emulator, target: Target) -> Iterator[Serve]:
    """Starts a service with one queue, and a client of it."""
    with ExitStack() as stack:

        def start(rules: QueueRules, *, time_scale: float = 1.0) -> tuple[CloudTasks, Client]:
            service = stack.enter_context(CloudTasks({"fetch": rules}, emulator=emulator, time_scale=time_scale))
            client = Client(service, target)
            stack.callback(client.close)
            return service, client

        yield start


@pytest.fixture
def served(serve: Serve) -> tuple[CloudTasks, Client]:
    return serve(_AT_ONCE)


@pytest.fixture
def service(served: tuple[CloudTasks, Client]) -> CloudTasks:
    return served[0]


@pytest.fixture
def client(served: tuple[CloudTasks, Client]) -> Client:
    return served[1]


def test_a_task_arrives_as_it_was_made(service: CloudTasks, client: Client, target: Target) -> None:
    identity = {"service_account_email": "a@b.c", "audience": f"{target.url}/work?kind=page"}
    call = {"body": b'{"a":1}', "headers": {"Content-Type": "application/json"}, "oidc_token": identity}
    client.create("one", call=call)
    service.wait_until_empty(_PATIENCE)

    (arrived,) = target.calls
    assert (arrived.path, arrived.body) == ("/work?kind=page", b'{"a":1}')
    assert arrived.headers["content-type"] == "application/json"
    assert arrived.headers["x-cloudtasks-queuename"] == "fetch"
    assert arrived.headers["x-cloudtasks-taskname"] == "one"
    assert arrived.headers["x-cloudtasks-taskretrycount"] == "0"
    assert float(arrived.headers["x-cloudtasks-tasketa"]) <= time.time()
    assert arrived.headers["authorization"].startswith("Bearer ")
    (created,) = service.created
    assert (created.body, created.audience, created.schedule) == (b'{"a":1}', identity["audience"], None)


def test_a_name_is_taken_once_also_when_its_task_is_done(service: CloudTasks, client: Client, target: Target) -> None:
    client.create("one")
    service.wait_until_empty(_PATIENCE)
    with pytest.raises(AlreadyExists):
        client.create("one")
    assert len(target.calls) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "with space"},
        {"name": "n" * 501},
        {"below": "projects/p/locations/l/queues/other"},
        {"call": {"body": b"b" * 110_000}},
        {"schedule_time": datetime.now(UTC) + timedelta(days=31)},
        {"dispatch_deadline": timedelta(seconds=14)},
        {"dispatch_deadline": timedelta(minutes=31)},
        {"call": {"url": "ftp://somewhere"}},
        {"call": {"oidc_token": {"service_account_email": "a@b.c", "audience": "elsewhere"}}},
        {"call": {"oidc_token": {"service_account_email": "nobody"}}},
    ],
)
def test_what_the_service_refuses_is_refused(client: Client, service: CloudTasks, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        client.create(**{"name": "one", **fields})
    assert not service.created


def test_a_queue_has_to_be_there(client: Client) -> None:
    with pytest.raises(NotFound):
        client.create("one", "unknown")


def test_a_failure_is_tried_again_and_each_try_says_which_it_is(
    service: CloudTasks, client: Client, target: Target
) -> None:
    statuses = iter([500, 404, 0, 200])
    target.reply = lambda _: Reply(next(statuses))
    client.create("one")
    service.wait_until_empty(_PATIENCE)

    heads = [call.headers for call in target.calls]
    assert [head["x-cloudtasks-taskretrycount"] for head in heads] == ["0", "1", "2", "3"]
    # The answer 404 came from the function; 500, and none, may not have.
    assert [head["x-cloudtasks-taskexecutioncount"] for head in heads] == ["0", "0", "1", "1"]
    assert [delivery.status for delivery in service.deliveries] == [500, 404, None, 200]
    assert not service.dropped


def test_backoff_is_doubled_up_to_its_limit(serve: Serve, target: Target) -> None:
    rules = QueueRules(max_attempts=6, min_backoff=0.1, max_backoff=0.2)
    target.reply = lambda _: Reply(500)
    service, client = serve(rules)
    client.create("one")
    service.wait_until_empty(_PATIENCE)
    tries = service.deliveries
    pauses = [after.started - (before.ended or 0.0) for before, after in pairwise(tries)]
    assert [task.name for task in service.dropped] == ["one"]
    assert len(pauses) == 5
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.2, 0.2, 0.2), strict=True))
    assert sum(pauses) < 3.0  # without the limit it were 3.1 at least, with it 0.9


def test_who_asks_for_patience_slows_the_whole_queue(serve: Serve, target: Target) -> None:
    first = threading.Event()

    def reply(_: Call) -> Reply:
        if first.is_set():
            return Reply()
        first.set()
        return Reply(429, {"Retry-After": "2"})

    target.reply = reply
    rules = QueueRules(concurrent=1, min_backoff=0.01)
    service, client = serve(rules, time_scale=0.25)
    for name in ("one", "two", "three"):
        client.create(name)
    service.wait_until_empty(_PATIENCE)
    refused, *later = service.deliveries
    assert refused.status == 429
    assert len(later) == 3
    assert min(delivery.started for delivery in later) - (refused.ended or 0.0) >= 0.5


def test_the_rate_holds(serve: Serve, target: Target) -> None:
    service, client = serve(QueueRules(per_second=50.0, burst=2))
    service.pause()
    for number in range(22):
        client.create(f"task-{number}")
    service.resume()
    service.wait_until_empty(_PATIENCE)
    starts = [delivery.started for delivery in service.deliveries]
    for first in range(len(starts)):
        within = [start for start in starts[first:] if start <= starts[first] + 0.2]
        assert len(within) <= 2 + 0.2 * 50.0 + 1


def test_deliveries_run_in_parallel_up_to_the_limit(serve: Serve, target: Target) -> None:
    together = threading.Barrier(3, timeout=_PATIENCE)
    target.reply = lambda _: Reply(200 if together.wait() >= 0 else 500)
    service, client = serve(QueueRules(concurrent=3))
    for number in range(9):
        client.create(f"task-{number}")
    service.wait_until_empty(_PATIENCE)
    assert target.most_at_once == 3


def test_every_delivery_can_be_doubled_and_shuffled(service: CloudTasks, client: Client, target: Target) -> None:
    names = [f"task-{number}" for number in range(12)]
    service.duplicate = True
    service.shuffle(7)
    for name in names:
        client.create(name)
    service.wait_until_empty(_PATIENCE)

    assert Counter(call.headers["x-cloudtasks-taskname"] for call in target.calls) == dict.fromkeys(names, 2)
    assert [delivery.name for delivery in service.deliveries if not delivery.echo] != names


def test_the_second_delivery_decides_nothing(service: CloudTasks, client: Client, target: Target) -> None:
    service.duplicate = True
    target.reply = lambda _: Reply(500 if len(target.calls) <= 2 else 200)
    client.create("one")
    service.wait_until_empty(_PATIENCE)
    assert sorted(delivery.attempt for delivery in service.deliveries) == [0, 0, 1, 1]


def test_an_answer_that_takes_too_long_is_not_waited_for(serve: Serve, target: Target) -> None:
    def reply(_: Call) -> Reply:
        if len(target.calls) == 1:
            target.leaving.wait(_PATIENCE)
        return Reply()

    target.reply = reply
    service, client = serve(QueueRules(deadline=0.2, min_backoff=0.01))
    client.create("one")
    service.wait_until_empty(_PATIENCE)
    first, *_, last = service.deliveries
    assert (first.status, last.status) == (None, 200)


def test_a_task_waits_until_it_is_due_and_the_wait_can_be_shortened(serve: Serve, target: Target) -> None:
    service, client = serve(_AT_ONCE, time_scale=0.005)
    begun = time.monotonic()
    client.create("later", schedule_time=datetime.now(UTC) + timedelta(seconds=100))
    client.create("now")
    service.wait_until_empty(_PATIENCE)
    now, later = service.deliveries
    assert (now.name, later.name) == ("now", "later")
    assert later.started - begun >= 0.45


def test_nothing_is_delivered_while_it_is_paused(service: CloudTasks, client: Client, target: Target) -> None:
    service.pause("fetch")
    client.create("one")
    with pytest.raises(TimeoutError):
        service.wait_until_empty(0.3)
    assert service.pending() == service.pending("fetch") == 1
    assert not target.calls
    service.resume("fetch")
    service.wait_until_empty(_PATIENCE)
    assert len(target.calls) == 1


def test_creation_can_fail_before_and_after_the_task_is_there(
    service: CloudTasks, client: Client, target: Target
) -> None:
    service.fail_next(1, grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(ServiceUnavailable):
        client.create("one")
    assert not service.created
    service.fail_next(1, grpc.StatusCode.UNAVAILABLE, after=True)
    with pytest.raises(ServiceUnavailable):
        client.create("one")
    service.wait_until_empty(_PATIENCE)
    assert len(target.calls) == 1


def test_the_end_cuts_what_is_under_way(emulator: Emulator, target: Target) -> None:
    target.reply = lambda _: Reply(200 if target.leaving.wait(_PATIENCE) else 500)
    with CloudTasks({"fetch": _AT_ONCE}, emulator=emulator) as service:
        client = Client(service, target)
        client.create("one")
        service.wait_for(1, _PATIENCE)
        client.close()
        begun = time.monotonic()
    assert time.monotonic() - begun < _PATIENCE / 2
