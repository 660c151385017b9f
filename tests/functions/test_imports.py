"""What each function's process loads for a request: a module that it does not need costs each cold start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.conftest import QUEUES
from tests.functions.over_a_bucket import over_a_bucket
from tests.support.paths import REPOSITORY

from pagebind.adapters.dispatch import task_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.functions.over_a_bucket import OverABucket

    from pagebind.ports.dispatch import FetchTask, FinalizeTask


def named(**packages: str) -> set[str]:
    """Modules by their packages; ``root`` is the package itself."""
    return {
        name if package == "root" else f"{package.replace('_', '.')}.{name}"
        for package, names in packages.items()
        for name in names.split()
    }


EVERY = named(
    root="errors logs wiring",
    adapters="clock installed once workers",
    adapters_alist="api client envelope http limits links listing login meter rates redirects retries",
    adapters_dispatch="task_body",
    adapters_secrets="local value",
    adapters_stores=(
        "book_records durable folder gcs gcs_compose gcs_errors gcs_upload no_answer retrying run_lock trailer"
    ),
    app="report",
    config="locate parse place schema settings store_url template values",
    core=(
        "compose_plan crc32c decisions history image_kind keys layout library_key model names planner printable shelf"
        " watch wording zip_layout"
    ),
    ports="dispatch progress secrets source store",
    serverless="answers instance requests",
)
FETCH = named(
    adapters_alist="download redactor validators wire",
    app="fetch fetch_archive fetch_body fetch_held",
    core="archive_kind comicinfo entry image_end",
    serverless="fetch tasks",
)
FINALIZE = named(  # and the server's client, which it does not use: the parts are made as one
    app="book finalize inventory staging",
    core="comicinfo entry manifest receipt rows",
    serverless="finalize tasks",
)
POLL = named(
    adapters_alist="wire",
    adapters_dispatch="cloud_tasks task_names",
    app="absence agenda assess gc hand_out inventory poll recorder result runs sighting survey walk",
    core="garbage manifest naming numbers rows walk_order",
    serverless="hand_out poll",
)

LIBRARIES = named(
    # google-cloud-storage brings grpc and OpenTelemetry, where they are installed, and httpx, for a command of its own,
    # click, pygments and rich; functions-framework, which is loaded before, leaves the first two to the request
    root=(
        "flask typing_extensions google_crc32c httpx msgspec stamina tenacity click pygments rich grpc grpc_status"
        " opentelemetry requests certifi charset_normalizer cryptography _cffi_backend idna urllib3"
    ),
    google="_upb api_core auth oauth2 protobuf resumable_media rpc",
    google_cloud="_helpers _http client exceptions storage version",
)
CONNECTED = {"anyio", "h11", "httpcore"}
"""What httpx loads when it makes the first connection."""


@pytest.fixture
def functions(gcs_bucket: str, tmp_path: Path) -> Iterator[OverABucket]:
    """One volume to be bound."""
    with over_a_bucket(gcs_bucket, tmp_path) as made:
        made.volume("A/1")
        yield made


def first_request(functions: OverABucket, target: str, task: FetchTask | FinalizeTask | None = None) -> dict[str, Any]:
    """What `loaded_modules` tells of a new process."""
    called = subprocess.run(
        [sys.executable, "-m", "tests.functions.loaded_modules", target],
        cwd=REPOSITORY,
        env={**os.environ, **functions.env},
        input=task_body.dump(task, config="") if task else b"",
        capture_output=True,
        check=False,
    )
    assert called.returncode == 0, called.stderr.decode()
    found: dict[str, Any] = json.loads(called.stdout)
    return found


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


def test_fetch_loads_what_a_page_needs(functions: OverABucket) -> None:
    functions.poll()
    found = first_request(functions, "fetch", functions.queue.pages[0])
    assert (found["status"], found["document"]["outcome"]) == (200, "staged")
    assert ours(found) - EVERY - FETCH == set()
    assert libraries(found) - LIBRARIES - CONNECTED == {"imagesize"}


def test_finalize_loads_what_a_book_needs(functions: OverABucket) -> None:
    functions.poll()
    functions.stage()
    found = first_request(functions, "finalize", functions.queue.books[0])
    assert (found["status"], found["document"]["outcome"]) == (200, "bound")
    assert ours(found) - EVERY - FINALIZE == set()
    assert libraries(found) - LIBRARIES == set(), "the server is not asked"


def test_a_poll_with_nothing_new_loads_what_looking_needs(functions: OverABucket) -> None:
    functions.poll()
    functions.stage()
    functions.bind()
    found = first_request(functions, "poll")
    assert [volume["key"] for volume in found["document"]["up_to_date"]] == ["A/1.cbz"]
    assert ours(found) - EVERY - POLL == set()
    assert libraries(found) - LIBRARIES - CONNECTED == set(), "no queue is asked"


def test_a_poll_without_queues_does_the_work_itself_and_loads_no_command(functions: OverABucket) -> None:
    for name in QUEUES:
        del functions.env[name]
    found = first_request(functions, "poll")
    assert [volume["key"] for volume in found["document"]["bound"]] == ["A/1.cbz"]
    assert {"local", "app.fetch", "app.finalize"} <= ours(found)
    assert not {name for name in ours(found) if name == "serve" or name.startswith(("cli.", "demo."))}
    assert not {name for name in libraries(found) if name.startswith("google.cloud.tasks")}
