"""The functions in this process: a real server, folders as stores, and a queue that notes what it is given."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from flask import Request
from tests.app.world import RecordingDispatch
from tests.support.memory_source import picture
from werkzeug.test import EnvironBuilder

from pagebind.adapters.dispatch import task_body
from pagebind.adapters.stores.folder import FolderStore
from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer
from pagebind.serverless import fetch, finalize, poll
from pagebind.serverless.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pagebind.ports.dispatch import FetchTask, FinalizeTask
    from pagebind.serverless.answers import Answer

QUEUES = {
    "PAGEBIND_QUEUE_FETCH": "projects/p/locations/l/queues/fetch",
    "PAGEBIND_QUEUE_FINALIZE": "projects/p/locations/l/queues/finalize",
    "PAGEBIND_QUEUE_FETCH_URL": "https://fetch.example",
    "PAGEBIND_QUEUE_FINALIZE_URL": "https://finalize.example",
    "PAGEBIND_QUEUE_MAX_ATTEMPTS": "3",
}

HANDLERS = {"poll": poll.answer, "fetch": fetch.answer, "finalize": finalize.answer}


def request(
    body: object = b"", *, method: str = "POST", kind: str | None = "application/json", **headers: str
) -> Request:
    """A request as the framework gets it; what is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request(EnvironBuilder(method=method, data=data, content_type=kind, headers=named).get_environ())


@dataclass
class Cloud:
    """Three functions over one configuration. ``queue`` is what poll and finalize hand to."""

    home: Path
    server: DemoServer
    env: dict[str, str]
    queue: RecordingDispatch = field(default_factory=lambda: RecordingDispatch(durable=True))
    instances: dict[str, Instance] = field(default_factory=dict)

    @property
    def work(self) -> FolderStore:
        return FolderStore(self.home / "store")

    @property
    def library(self) -> FolderStore:
        return FolderStore(self.home / "library", work=self.work)

    def books(self) -> dict[str, bytes]:
        return {info.key: self.library.get(info.key) for info in self.library.list()}

    def configure(self, *lines: str, settle: str = "0s") -> None:
        """Write the configuration; further lines go below its subscription."""
        (self.home / "pagebind.toml").write_text(
            "\n".join(
                [
                    "[source]",
                    f'url = "{self.server.url}"',
                    f'token = "file:{self.home}/token"',
                    "list_per_second = 0",
                    "[store]",
                    f'url = "file://{self.home}/store"',
                    f'library = "file://{self.home}/library"',
                    "[bind]",
                    f'settle = "{settle}"',
                    "[[subscription]]",
                    'path = "/comics"',
                    *lines,
                ]
            )
        )

    def folder(self, name: str, pages: int = 3) -> None:
        """A folder of pages on the server."""
        folder = self.home / "comics" / name
        folder.mkdir(parents=True)
        for number in range(1, pages + 1):
            (folder / f"{number:03}.jpg").write_bytes(picture(f"{name} {number}"))

    def call(self, function: str, asked: Request) -> Answer:
        """What the function answers, in the process that it has."""
        instance = self.instances.setdefault(function, Instance(self.env, self.queue))
        return HANDLERS[function](asked, instance)

    def poll(self, body: object = b"", **headers: str) -> Answer:
        return self.call("poll", request(body, **headers))

    def deliver(self, task: FetchTask | FinalizeTask, *, retries: int = 0) -> Answer:
        """Deliver a task as the queue does."""
        function = "fetch" if hasattr(task, "page") else "finalize"
        headers = {"X_CloudTasks_QueueName": function, "X_CloudTasks_TaskRetryCount": str(retries)}
        return self.call(function, request(task_body.dump(task, config=""), **headers))

    def deliver_all(self) -> list[tuple[str, Any]]:
        """Deliver what is queued, pages first, until nothing is; gives what each answered."""
        answered = []
        while self.queue.pages or self.queue.books:
            task = self.queue.pages.pop(0) if self.queue.pages else self.queue.books.pop(0)
            answer = self.deliver(task)
            answered.append((str(answer.document.get("outcome")), answer.status))
        return answered


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    (tmp_path / "comics").mkdir()
    with DemoServer({"/comics": LocalDrive(folder=tmp_path / "comics")}) as server:
        (tmp_path / "token").write_text(server.token)
        made = Cloud(tmp_path, server, {"PAGEBIND_CONFIG": str(tmp_path / "pagebind.toml"), **QUEUES})
        made.configure()
        yield made
        made.instances.clear()


@pytest.fixture
def alone(cloud: Cloud) -> Cloud:
    """Without queues: poll does it all."""
    for name in QUEUES:
        del cloud.env[name]
    return cloud
