"""The emulator of Cloud Tasks, a process of its own from an environment of its own (see tests/install-emulator)."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.cloud import tasks_v2
from google.protobuf.empty_pb2 import Empty

from pagebind.demo import keeper
from pagebind.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from typing import Self

SERVICE = "google.cloud.tasks.v2.CloudTasks"

_PYTHON = Path(__file__).parents[2] / ".venv-emulator" / "bin" / "python"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_CALL_SECONDS = 20.0


class Emulator:
    """gcloud-tasks-emulator on a free port, up while the context is. It ends with whoever started it."""

    def __enter__(self) -> Self:
        """Start it. Returns when it answers.

        Raises:
            ConfigError: it is not installed.
            StoreUnavailable: it does not start.
        """
        if not _PYTHON.exists():
            raise ConfigError("the emulator of Cloud Tasks is not installed", fix="run tests/install-emulator")
        self._folder = Path(tempfile.mkdtemp(prefix="pagebind-tasks-"))
        self._held = _held_port()
        self.port = int(self._held.getsockname()[1])
        self._probe = f"projects/probe/locations/here/queues/{secrets.token_hex(8)}"
        self._process = self._started()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.enable_http_proxy", 0)])
        self._create_task = self._method("CreateTask", tasks_v2.CreateTaskRequest.serialize, tasks_v2.Task.deserialize)
        self._create_queue = self._method(
            "CreateQueue", tasks_v2.CreateQueueRequest.serialize, tasks_v2.Queue.deserialize
        )
        self._get_queue = self._method("GetQueue", tasks_v2.GetQueueRequest.serialize, tasks_v2.Queue.deserialize)
        self._delete_queue = self._method("DeleteQueue", tasks_v2.DeleteQueueRequest.serialize, Empty.FromString)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it; what it held is gone."""
        self._channel.close()
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_queue(self, name: str) -> None:
        """Make a queue, by its full name."""
        request = tasks_v2.CreateQueueRequest(parent=name.rpartition("/queues/")[0], queue=tasks_v2.Queue(name=name))
        self._create_queue(request, timeout=_CALL_SECONDS, wait_for_ready=True)

    def delete_queue(self, name: str) -> None:
        """Drop a queue and what is in it."""
        self._delete_queue(tasks_v2.DeleteQueueRequest(name=name), timeout=_CALL_SECONDS)

    def create_task(self, request: tasks_v2.CreateTaskRequest) -> None:
        """Queue a task; when it is due, the emulator calls its URL."""
        self._create_task(request, timeout=_CALL_SECONDS)

    def _method(self, name: str, serialize: Any, deserialize: Any) -> Any:
        return self._channel.unary_unary(
            f"/{SERVICE}/{name}", request_serializer=serialize, response_deserializer=deserialize
        )

    def _started(self) -> subprocess.Popen[bytes]:
        command = [str(_PYTHON), "-I", "-m", "gcloud_tasks_emulator", "start", "-q"]
        command += ["-p", str(self.port), "-d", self._probe]
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        with (self._folder / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, str(self._folder), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _wait_until_it_answers(self) -> None:
        """It alone knows the queue that it was started with."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(grpc.RpcError):
                self._get_queue(tasks_v2.GetQueueRequest(name=self._probe), timeout=_CALL_SECONDS, wait_for_ready=True)
                return
            time.sleep(_POLL_SECONDS)
        log = (self._folder / "log").read_text("utf-8", "replace")
        raise StoreUnavailable(f"the emulator of Cloud Tasks does not start: {log[-500:]}")


def _held_port() -> socket.socket:
    """A socket on a port that nobody else gets meanwhile, and the emulator can share: it binds as gRPC does."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("", 0))
    return held
