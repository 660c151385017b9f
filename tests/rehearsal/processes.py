"""Functions as the cloud runs them: processes of functions-framework, behind a front that hands requests to them.

A process gets the environment and the files that it is given here, and nothing else of whoever runs the rehearsal.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.paths import REPOSITORY

from pagebind.demo import keeper
from pagebind.demo.http_relay import Front, Upstream, on_wire
from pagebind.demo.store_calls import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_LONGEST = 60.0
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.01
_IDENTITY = "Bearer made-up-identity-of-"
"""Begins what callers carry, as `tests.support.task_queue` writes it too."""


class TooLate(Exception):  # a finding of its own
    """What was waited for did not come true."""


def until(condition: Callable[[], object], what: str, seconds: float = _LONGEST) -> None:
    """Wait for something that has to come true. Raises: TooLate."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TooLate(f"after {seconds:.0f} s still not: {what}")
        time.sleep(_LOOK_SECONDS)


class FunctionProcess:
    """One instance of a function.

    Args:
        target: the name in main.py.
        home: a folder for it alone; its logs are there, one for each time that it was started.
        environment: all of it, but for the port.
        python: the interpreter; it sees no modules but those of its own environment.
        source: its file.
    """

    def __init__(
        self,
        target: str,
        home: Path,
        environment: Mapping[str, str],
        *,
        python: Path = Path(sys.executable),
        source: Path = REPOSITORY / "functions" / "main.py",
    ) -> None:
        self.target = target
        self.home = home
        self.logs: list[Path] = []
        self._python = python
        self._source = source
        self._cwd = home / "workspace"
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._user: tempfile.TemporaryDirectory[str] | None = None
        self.port = 0
        self._cwd.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it, without waiting."""
        self.port = _free_port()
        self._user = tempfile.TemporaryDirectory(prefix="pagebind-")  # gunicorn's socket wants a short path
        words = [str(self._python), "-I", "-m", "functions_framework", "--target", self.target, "--host", _HOST]
        words += ["--source", str(self._source), "--port", str(self.port)]
        self.logs.append(self.home / f"log-{len(self.logs) + 1}")
        with self.logs[-1].open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, str(self._cwd), *words],
                cwd=self._cwd,
                env={**self._environment, "HOME": self._user.name, "PORT": str(self.port)},
                stdin=subprocess.PIPE,  # its end, also by our death, ends the function
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it listens. Raises: TooLate: it does not, or has ended."""
        until(lambda: self._ended() or self._listens(), f"{self.target} listens", _START_SECONDS)
        if self._ended():
            raise TooLate(f"{self.target} has ended: {self.logs[-1].read_text(errors='replace')[-2000:]}")

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((_HOST, self.port)) == 0

    def kill(self) -> None:
        """SIGKILL, for it and all its workers at once."""
        process, self._process = self._process, None
        if process is None:
            return
        _signal(process, signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()
        if self._user is not None:
            self._user.cleanup()

    def stop(self) -> None:
        """As the platform ends an instance: SIGTERM, and SIGKILL to what is left."""
        if self._process is not None:
            _signal(self._process, signal.SIGTERM)
            with contextlib.suppress(TooLate):
                until(lambda: not self._listens(), f"{self.target} ends", _END_SECONDS)
        self.kill()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the session that it began: its group bears its number."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@dataclass(frozen=True, slots=True)
class Handled:
    """One request that a function answered, or (status 0) died of."""

    status: int
    retry_after: str
    document: dict[str, Any]
    task: str


class Service:
    """A function with its instances, up while the context is.

    As Cloud Run does, it lets in who may call, gives each request a trace, lets requests wait while an instance starts
    or has enough to do, and answers 503 for one that died.

    Attributes:
        name: of the function.
        instances: its processes; to be filled before it is started.
        concurrency: requests at the same time in each of them; None: as many as come.
        admits: whether an account may call; empty: the request carries no identity.
        refused: accounts that might not, in the order of their calls.
        handled: what was answered, in the order of the answers.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.instances: list[FunctionProcess] = []
        self.concurrency: int | None = None
        self.admits: Callable[[str], bool] = lambda _: True
        self.refused: list[str] = []
        self.handled: list[Handled] = []
        self._under_way: Counter[FunctionProcess] = Counter()
        self._changed = threading.Condition()
        self._turn = itertools.count()
        self._up = threading.Event()

    @property
    def url(self) -> str:
        """Where the scheduler and the queue find it, whatever becomes of its processes."""
        return f"http://{_HOST}:{self._front.server_address[1]}"

    def __enter__(self) -> Self:
        self._front = Front(self._serve, 0, refuses=lambda: False)
        self._front.begin("front of a function")
        return self

    def __exit__(self, *_: object) -> None:
        self._up.set()
        for instance in self.instances:
            instance.stop()
        self._front.end()

    def start(self) -> None:
        """Start all instances, without waiting."""
        for instance in self.instances:
            instance.start()

    def ready(self) -> None:
        """Wait for them, and let requests in."""
        for instance in self.instances:
            instance.wait()
        self._up.set()

    def kill(self) -> None:
        """Kill all instances; requests wait until they are started again."""
        self._up.clear()
        for instance in self.instances:
            instance.kill()

    def logs(self) -> list[bytes]:
        """What all its processes have written, those that are gone too."""
        return [log.read_bytes() for instance in self.instances for log in instance.logs]

    def call(self, body: bytes = b"", *, method: str = "POST", account: str = "", **headers: str) -> Handled:
        """Ask it, as the scheduler or a person does; ``account`` is whose identity the request carries."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if account:
            named["Authorization"] = f"{_IDENTITY}{account}"
        with contextlib.closing(http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=120)) as asked:
            asked.request(method, "/", body, named)
            answer = asked.getresponse()
            return _handled(answer.status, dict(answer.getheaders()), answer.read(), "")

    def _serve(self, request: Request, _: Upstream) -> Iterator[bytes]:
        account = request.header("Authorization").removeprefix(_IDENTITY)
        if not self.admits(account):
            self.refused.append(account)
            yield from on_wire(
                _text(HTTPStatus.FORBIDDEN, b"the IAM principal lacks run.routes.invoke"), request.method
            )
            return
        trace = ("traceparent", f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
        self._up.wait(_START_SECONDS)
        with self._chosen() as instance:
            answer = self._asked(instance, replace(request, headers=(*request.headers, trace)))
        yield from on_wire(answer, request.method)

    @contextlib.contextmanager
    def _chosen(self) -> Iterator[FunctionProcess]:
        """The instance with the least to do, in turn, as soon as it may take one more."""
        with self._changed:
            first = next(self._turn)
            while True:
                turns = [self.instances[(first + each) % len(self.instances)] for each in range(len(self.instances))]
                chosen = min(turns, key=lambda instance: self._under_way[instance])
                if self.concurrency is None or self._under_way[chosen] < self.concurrency:
                    break
                self._changed.wait()
            self._under_way[chosen] += 1
        try:
            yield chosen
        finally:
            with self._changed:
                self._under_way[chosen] -= 1
                self._changed.notify()

    def _asked(self, instance: FunctionProcess, request: Request) -> Answer:
        """Its answer; 503 if it dies of it."""
        task = request.header("X-CloudTasks-TaskName")
        with contextlib.closing(Upstream(instance.port)) as upstream:
            try:
                answer = upstream.ask(request)
                content = answer.body.read()
            except (OSError, http.client.HTTPException):
                self.handled.append(Handled(0, "", {}, task))
                return _text(HTTPStatus.SERVICE_UNAVAILABLE, b"the instance died")
        self.handled.append(_handled(answer.status, dict(answer.headers), content, task))
        return replace(answer, body=io.BytesIO(content), length=len(content))


def _text(status: HTTPStatus, content: bytes) -> Answer:
    return Answer(status, (), io.BytesIO(content), len(content))


def _handled(status: int, headers: Mapping[str, str], content: bytes, task: str) -> Handled:
    try:
        document = json.loads(content)
    except ValueError:
        document = {"text": content.decode(errors="replace")}
    return Handled(status, headers.get("Retry-After", ""), document if isinstance(document, dict) else {}, task)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
