"""The functions over a bucket: a real server and store, and a queue that notes what it is given."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.app.world import RecordingDispatch
from tests.functions.conftest import QUEUES, request
from tests.support.memory_source import picture

from pagebind.adapters.dispatch import task_body
from pagebind.config import template
from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer
from pagebind.serverless import fetch, finalize, poll
from pagebind.serverless.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pagebind.serverless.answers import Answer


@dataclass(frozen=True, slots=True)
class OverABucket:
    """The functions, each call a process that is new. ``env`` is theirs; ``comics`` is what the server serves."""

    env: dict[str, str]
    comics: Path
    queue: RecordingDispatch

    def volume(self, name: str) -> None:
        """A folder of two pages on the server."""
        (self.comics / name).mkdir(parents=True)
        for number in (1, 2):
            (self.comics / name / f"{number}.jpg").write_bytes(picture(f"{name} {number}"))

    def poll(self) -> Answer:
        answer = poll.answer(request(), Instance(self.env, self.queue))
        assert answer.document["problems"] == []
        return answer

    def stage(self) -> None:
        instance = Instance(self.env)
        for task in self.queue.pages:
            answer = fetch.answer(request(task_body.dump(task, config="")), instance)
            assert answer.document["outcome"] == "staged"

    def bind(self) -> None:
        instance = Instance(self.env)
        for task in self.queue.books:
            answer = finalize.answer(request(task_body.dump(task, config="")), instance)
            assert answer.document["outcome"] == "bound"


@contextmanager
def over_a_bucket(bucket: str, home: Path) -> Iterator[OverABucket]:
    """Set it up, with ``home`` for its files and nothing on the server yet."""
    comics = home / "comics"
    comics.mkdir()
    with DemoServer({"/comics": LocalDrive(folder=comics)}) as server:
        (home / "token").write_text(server.token)
        values = {
            "source.url": server.url,
            "source.token": f"file:{home}/token",
            "source.list_per_second": 0,
            "store.library": f"gs://{bucket}/library",
            "bind.settle": "0s",
            "subscription.path": "/comics",
        }
        (home / "pagebind.toml").write_text(template(f"gs://{bucket}/work", values))
        env = {"PAGEBIND_CONFIG": str(home / "pagebind.toml"), "XDG_STATE_HOME": str(home), **QUEUES}
        yield OverABucket(env, comics, RecordingDispatch(durable=True))
