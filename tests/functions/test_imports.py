"""What each function's process loads for a request: a module that it does not need costs each cold start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.app.world import RecordingDispatch
from tests.functions.conftest import QUEUES, request
from tests.support.memory_source import picture
from tests.support.paths import REPOSITORY

from pagebind.adapters.dispatch import task_body
from pagebind.config import template
from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer
from pagebind.serverless import fetch, finalize, poll
from pagebind.serverless.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


def named(**packages: str) -> set[str]:
    """Modules by their packages; ``root`` is the package itself."""
    return {
        name if package == "root" else f"{package.replace('_', '.')}.{name}"
        for package, names in packages.items()
        for name in names.split()
    }


EVERY = named(
    root="errors logs wiring",
    adapters="clock",
    adapters_alist=(
        "api client download envelope http limits links listing login once rates redirects retries"  # see FINALIZE
    ),
    adapters_dispatch="task_body",
    adapters_secrets="local value",
    adapters_stores=(
        "book_records durable folder gcs gcs_compose gcs_errors gcs_upload no_answer retrying run_lock trailer workers"
    ),
    app="report",
    config="locate parse place schema settings store_url template values",
    core=(
        "compose_plan crc32c decisions history image_kind keys layout library_key model planner printable shelf watch"
        " wording"
    ),
    ports="dispatch progress secrets source store",
    serverless="answers instance requests",
)
FETCH = named(
    app="fetch fetch_archive fetch_body fetch_held",
    core="archive_kind comicinfo entry image_end zip_layout",
    serverless="fetch tasks",
)
FINALIZE = named(  # and the server's client, which it does not use: the parts are made as one
    app="book finalize inventory staging",
    core="comicinfo entry manifest names receipt rows zip_layout",
    serverless="finalize tasks",
)
POLL = named(
    adapters_dispatch="cloud_tasks task_names",
    app="absence agenda assess gc hand_out inventory poll recorder result runs sighting survey walk",
    core="garbage manifest names naming numbers rows walk_order",
    serverless="hand_out poll",
)

LIBRARIES = named(
    # functions-framework, which is loaded before, leaves two to the first request; of google-cloud-storage come grpc and
    # OpenTelemetry, where they are installed, and of httpx, whose own command wants them, click, pygments and rich
    root=(
        "flask typing_extensions google_crc32c httpx msgspec stamina tenacity click pygments rich grpc grpc_status"
        " opentelemetry requests certifi charset_normalizer cryptography _cffi_backend idna urllib3"
    ),
    google="_upb api_core auth oauth2 protobuf resumable_media rpc",
    google_cloud="_helpers _http client exceptions storage version",
)
CONNECTED = {"anyio", "h11", "httpcore"}
"""What httpx loads when it makes the first connection."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """Functions over a bucket, and what poll has handed out of one volume of two pages."""

    env: dict[str, str]
    queue: RecordingDispatch

    def poll(self) -> None:
        instance = Instance(self.env, self.queue)
        assert poll.answer(request(), instance).document["problems"] == []

    def stage(self) -> None:
        instance = Instance(self.env)
        for task in self.queue.pages:
            answer = fetch.answer(request(task_body.dump(task, config="")), instance)
            assert answer.document["outcome"] == "staged"

    def bind(self) -> None:
        [task] = self.queue.books
        answer = finalize.answer(request(task_body.dump(task, config="")), Instance(self.env))
        assert answer.document["outcome"] == "bound"

    def first_request(self, target: str, body: bytes = b"") -> dict[str, Any]:
        """What `loaded_modules` tells of a new process."""
        called = subprocess.run(
            [sys.executable, "-m", "tests.functions.loaded_modules", target],
            cwd=REPOSITORY,
            env={**os.environ, **self.env},
            input=body,
            capture_output=True,
            check=False,
        )
        assert called.returncode == 0, called.stderr.decode()
        found: dict[str, Any] = json.loads(called.stdout)
        return found


@pytest.fixture
def deployed(gcs_bucket: str, tmp_path: Path) -> Iterator[Deployed]:
    comics = tmp_path / "comics"
    (comics / "A" / "1").mkdir(parents=True)
    for number in (1, 2):
        (comics / "A" / "1" / f"{number}.jpg").write_bytes(picture(str(number)))
    with DemoServer({"/comics": LocalDrive(folder=comics)}) as server:
        (tmp_path / "token").write_text(server.token)
        text = template(f"gs://{gcs_bucket}/work", settings(server.url, tmp_path, gcs_bucket))
        (tmp_path / "pagebind.toml").write_text(text)
        env = {"PAGEBIND_CONFIG": str(tmp_path / "pagebind.toml"), "XDG_STATE_HOME": str(tmp_path)}
        yield Deployed({**env, **QUEUES}, RecordingDispatch(durable=True))


def settings(url: str, home: Path, bucket: str) -> Mapping[str, object]:
    return {
        "source.url": url,
        "source.token": f"file:{home}/token",
        "source.list_per_second": 0,
        "store.library": f"gs://{bucket}/library",
        "bind.settle": "0s",
        "subscription.path": "/comics",
    }


def ours(found: Mapping[str, Any]) -> set[str]:
    """Our modules, without the packages that hold them."""
    loaded = {name.removeprefix("pagebind.") for name in found["modules"] if name.startswith("pagebind.")}
    return {name for name in loaded if not any(other.startswith(f"{name}.") for other in loaded)}


def libraries(found: Mapping[str, Any]) -> set[str]:
    """What is neither Python's nor ours; of Google's many packages each by itself."""
    return set(_libraries(found["modules"])) - {"google", "google.cloud"}


def _libraries(modules: Iterable[str]) -> Iterator[str]:
    for name in modules:
        first, *rest = name.split(".")
        if first in sys.stdlib_module_names or first in {"pagebind", "main"}:
            continue
        depth = 0 if first != "google" else 2 if rest[:1] == ["cloud"] else 1
        yield ".".join([first, *rest[:depth]])


def test_fetch_loads_what_a_page_needs(deployed: Deployed) -> None:
    deployed.poll()
    found = deployed.first_request("fetch", task_body.dump(deployed.queue.pages[0], config=""))
    assert (found["status"], found["document"]["outcome"]) == (200, "staged")
    assert ours(found) - EVERY - FETCH == set()
    assert libraries(found) - LIBRARIES - CONNECTED == {"imagesize"}


def test_finalize_loads_what_a_book_needs(deployed: Deployed) -> None:
    deployed.poll()
    deployed.stage()
    found = deployed.first_request("finalize", task_body.dump(deployed.queue.books[0], config=""))
    assert (found["status"], found["document"]["outcome"]) == (200, "bound")
    assert ours(found) - EVERY - FINALIZE == set()
    assert libraries(found) - LIBRARIES == set(), "the server is not asked"


def test_a_poll_with_nothing_new_loads_what_looking_needs(deployed: Deployed) -> None:
    deployed.poll()
    deployed.stage()
    deployed.bind()
    found = deployed.first_request("poll")
    assert [volume["key"] for volume in found["document"]["up_to_date"]] == ["A/1.cbz"]
    assert ours(found) - EVERY - POLL == set()
    assert libraries(found) - LIBRARIES - CONNECTED == set(), "no queue is asked"


def test_a_poll_without_queues_does_the_work_itself_and_loads_no_command(deployed: Deployed) -> None:
    for name in QUEUES:
        del deployed.env[name]
    found = deployed.first_request("poll")
    assert [volume["key"] for volume in found["document"]["bound"]] == ["A/1.cbz"]
    assert {"local", "app.fetch", "app.finalize"} <= ours(found)
    assert not {name for name in ours(found) if name == "serve" or name.startswith(("cli.", "demo."))}
    assert not {name for name in libraries(found) if name.startswith("google.cloud.tasks")}
