"""Cloud Tasks on this machine: the emulator between a front and a relay of ours, which add what it lacks.

A task goes from the client to the front, which is as strict as the service and remembers names; from there to the
emulator, which keeps it until it is due; from there to the relay, which says at once that it has it; and from there by
`TaskQueue` to its target. The emulator delivers one task after the other and repeats at once, without backoff, deadline
or rate: were it to wait for the target's answer, none of these could be had.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.cloud import tasks_v2
from tests.support.task_queue import Created, QueueRules, Records, TaskQueue
from tests.support.task_rules import complaint
from tests.support.tasks_emulator import SERVICE, Emulator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn, Self

    from tests.support.task_queue import Delivery

_DEFAULT_DEADLINE: Final = 600.0
_AT_ONCE: Final = 128  # calls that the front serves at the same time


class CloudTasks:
    """The service, up while the context is.

    Args:
        rules: of each queue, by its short name.
        emulator: one that is up already; None: one of its own.
        time_scale: what delays of tasks, backoffs and Retry-After are multiplied by.

    Attributes:
        latency: seconds that every call of the service takes.
        most_at_once: calls to create a task that were under way at the same time, at most.
    """

    def __init__(
        self, rules: Mapping[str, QueueRules], *, emulator: Emulator | None = None, time_scale: float = 1.0
    ) -> None:
        self.latency = 0.0
        self.most_at_once = 0
        self._rules = rules
        self._given = emulator
        self._scale = time_scale
        self._project = f"test-{secrets.token_hex(6)}"
        self._records = Records()
        self._lock = threading.Lock()
        self._names: dict[tuple[str, str], Created] = {}
        self._handed: set[tuple[str, str]] = set()
        self._calls = 0
        self._failures: list[tuple[grpc.StatusCode, str, bool]] = []
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        """Start everything. Raises: ConfigError, StoreUnavailable: see `Emulator`."""
        with ExitStack() as stack:
            self._emulator = self._given or stack.enter_context(Emulator())
            self._queues: dict[str, TaskQueue] = {}
            for name, rules in self._rules.items():
                self._emulator.create_queue(self.queue_name(name))
                stack.callback(self._emulator.delete_queue, self.queue_name(name))
                self._queues[name] = TaskQueue(name, rules, self._records, self._scale)
                stack.callback(self._queues[name].close)
            self._relay = _Relay(self)
            stack.callback(self._relay.close)
            self._front, self.port = _front(self._create)
            stack.callback(lambda: self._front.stop(None).wait())
            stack.callback(self._stopping.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything; what is queued is gone."""
        self._stack.close()

    @property
    def host(self) -> str:
        """For `CLOUD_TASKS_EMULATOR_HOST`."""
        return f"127.0.0.1:{self.port}"

    def queue_name(self, short: str) -> str:
        """The full name of a queue, whether there is one or not."""
        return f"projects/{self._project}/locations/here/queues/{short}"

    # -- what happened

    @property
    def created(self) -> list[Created]:
        """Tasks in the order of their creation."""
        with self._records.changed:
            return list(self._records.created)

    @property
    def deliveries(self) -> list[Delivery]:
        """Calls of targets, in the order of their beginning; those under way have no end yet."""
        with self._records.changed:
            return list(self._records.deliveries)

    @property
    def dropped(self) -> list[Created]:
        """Tasks that were tried as often as their queue allows, in vain."""
        with self._records.changed:
            return list(self._records.dropped)

    def pending(self, queue: str | None = None) -> int:
        """Tasks that are neither done nor dropped, and second deliveries to come: of one queue, or of all."""
        with self._records.changed:
            return self._records.pending[queue] if queue else self._records.pending.total()

    def wait_until_empty(self, timeout: float) -> None:
        """Wait until nothing is pending. Raises: TimeoutError: after so many seconds something is."""
        pending = self._records.pending
        with self._records.changed:
            if not self._records.changed.wait_for(lambda: not pending.total(), timeout):
                raise TimeoutError(f"after {timeout} s there is still to be delivered: {+Counter(pending)}")

    def wait_for(self, deliveries: int, timeout: float) -> None:
        """Wait until so many deliveries have begun since the start. Raises: TimeoutError."""
        with self._records.changed:
            if not self._records.changed.wait_for(lambda: len(self._records.deliveries) >= deliveries, timeout):
                raise TimeoutError(f"after {timeout} s there were {len(self._records.deliveries)} deliveries")

    # -- what goes wrong

    @property
    def duplicate(self) -> bool:
        """Whether every delivery is made twice."""
        return any(queue.duplicate for queue in self._queues.values())

    @duplicate.setter
    def duplicate(self, value: bool) -> None:
        for queue in self._queues.values():
            queue.duplicate = value

    def shuffle(self, seed: int | None) -> None:
        """From now on, scatter deliveries over a fifth of a second and take them in any order. None: no longer."""
        for name, queue in self._queues.items():
            queue.dice = None if seed is None else random.Random(f"{seed} {name}")

    def fail_next(self, count: int, code: grpc.StatusCode, said: str = "made up", *, after: bool = False) -> None:
        """Answer the next calls with an error, before the task is created, or ``after`` it was."""
        with self._lock:
            self._failures += [(code, said, after)] * count

    def pause(self, *queues: str) -> None:
        """Deliver nothing from these queues (without any: from all) until `resume`."""
        for name in queues or self._queues:
            self._queues[name].pause(paused=True)

    def resume(self, *queues: str) -> None:
        """Deliver again."""
        for name in queues or self._queues:
            self._queues[name].pause(paused=False)

    # -- on the way

    def _create(self, request: tasks_v2.CreateTaskRequest, context: Any) -> tasks_v2.Task:
        """The front's answer to CreateTask."""
        with self._lock:
            self._calls += 1
            self.most_at_once = max(self.most_at_once, self._calls)
            failure = self._failures.pop(0) if self._failures else None
        try:
            self._stopping.wait(self.latency)
            if failure and not failure[2]:
                _refuse(context, failure[0], failure[1])
            self._accept(request, context)
            if failure:
                _refuse(context, failure[0], failure[1])
        finally:
            with self._lock:
                self._calls -= 1
        return request.task

    def _accept(self, request: tasks_v2.CreateTaskRequest, context: Any) -> None:
        """Check a task as the service does, and pass it on."""
        queue = request.parent.rpartition("/")[2]
        if queue not in self._queues or request.parent != self.queue_name(queue):
            _refuse(context, grpc.StatusCode.NOT_FOUND, "Queue does not exist.")
        if wrong := complaint(request):
            _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, wrong)
        created = _created(queue, request.task)
        key = (queue, created.name)
        with self._lock:
            if key in self._names:
                _refuse(context, grpc.StatusCode.ALREADY_EXISTS, "Requested entity already exists")
            self._names[key] = created
        with self._records.changed:
            self._records.created.append(created)
        self._records.begin(queue)
        self._emulator.create_task(self._for_emulator(request))

    def _for_emulator(self, request: tasks_v2.CreateTaskRequest) -> tasks_v2.CreateTaskRequest:
        """The same task, which the emulator is to deliver to the relay, after its delay by this clock."""
        copy = tasks_v2.CreateTaskRequest(request)
        copy.task.http_request.url = self._relay.url
        copy.task.schedule_time = None
        if request.task.schedule_time:
            now = time.time()
            delay = (request.task.schedule_time.timestamp() - now) * self._scale
            copy.task.schedule_time = datetime.fromtimestamp(now + delay, UTC)
        return copy

    def arrived(self, queue: str, name: str, body: bytes) -> None:
        """The emulator has delivered a task to the relay; once more if it did not hear the answer."""
        key = (queue.rpartition("/")[2], name)
        with self._lock:
            if key in self._handed:
                return
            self._handed.add(key)
        self._queues[key[0]].add(self._names[key], body)


def _front(create: Any) -> tuple[grpc.Server, int]:
    """The service for clients, on a free port."""
    handler = grpc.unary_unary_rpc_method_handler(
        create, tasks_v2.CreateTaskRequest.deserialize, tasks_v2.Task.serialize
    )
    server = grpc.server(
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cloud tasks"), options=[("grpc.so_reuseport", 0)]
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"CreateTask": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, int(port)


def _refuse(context: Any, code: grpc.StatusCode, said: str) -> NoReturn:
    context.abort(code, said)
    raise AssertionError  # abort raises


def _created(queue: str, task: tasks_v2.Task) -> Created:
    call = task.http_request
    return Created(
        queue=queue,
        name=task.name.rpartition("/")[2],
        url=call.url,
        headers=dict(call.headers),
        body=bytes(call.body),
        schedule=task.schedule_time.timestamp() if task.schedule_time else None,
        deadline=task.dispatch_deadline.total_seconds() if task.dispatch_deadline else _DEFAULT_DEADLINE,
        account=call.oidc_token.service_account_email,
        audience=call.oidc_token.audience,
    )


class _Relay(ThreadingHTTPServer):
    """What the emulator delivers to. It says at once that all is well."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, service: CloudTasks) -> None:
        super().__init__(("127.0.0.1", 0), _RelayHandler)
        self.service = service
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="relay of cloud tasks")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _RelayHandler(BaseHTTPRequestHandler):
    server: _Relay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.service.arrived(self.headers["X-CloudTasks-QueueName"], self.headers["X-CloudTasks-TaskName"], body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""
