"""SIGTERM to a function in its web server, as Cloud Run ends an instance: ten seconds later comes SIGKILL.

Without queues one request to poll does it all: it lists, fetches and binds. A rehearsal of all three functions and
their queues, whose instances are killed, is `tests/functions/test_rehearsal.py`.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import until
from tests.rehearsal.processes import FunctionProcess
from tests.support.memory_source import picture

from pagebind.adapters.stores.folder import FolderStore
from pagebind.config import template
from pagebind.core import keys
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")

GRACE = 10.0
PAGES = {f"/Series/Vol {volume}/{page:02}.png": picture(f"{volume} {page}") for volume in (1, 2) for page in range(6)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    for path, content in PAGES.items():
        file = tmp_path / f"comics{path}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    with DemoServer({"/comics": tmp_path / "comics"}) as server:
        yield server


def ask(process: FunctionProcess) -> int | None:
    """The status that it answers a request with; None: it died of it."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/", b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    return None


def test_in_the_middle_of_a_poll(tmp_path: Path, server: DemoServer) -> None:
    values: dict[str, object] = {
        "source.url": server.url,
        "source.token": "env:TOKEN",
        "source.list_per_second": 0,
        "store.library": (tmp_path / "library").as_uri(),
        "bind.settle": "0s",
        "subscription.path": "/comics",
    }
    (tmp_path / "pagebind.toml").write_text(template((tmp_path / "work").as_uri(), values))
    own = {name: value for name, value in os.environ.items() if not name.startswith("PAGEBIND_")}
    environment = {**own, "PAGEBIND_CONFIG": str(tmp_path / "pagebind.toml"), "TOKEN": server.token}
    server.faults.add("delay", on="file", seconds=0.3)
    process = FunctionProcess("poll", tmp_path / "function", environment)
    process.start()
    try:
        process.wait()
        asking = threading.Thread(target=ask, args=(process,))
        asking.start()
        until(lambda: server.count("file") >= 3)
        begun = time.monotonic()
        process.stop()
        assert time.monotonic() - begun < GRACE + 2
        asking.join(60)
        work = FolderStore(tmp_path / "work")
        library = FolderStore(tmp_path / "library", work=work)
        staged = len(list(work.list(keys.STAGING)))
        asked = server.count("file")
        books = {info.key: library.get(info.key) for info in library.list()}
        server.faults.clear()
        process.start()
        process.wait()
        assert ask(process) == 200
    finally:
        process.kill()
    made = {info.key: library.get(info.key) for info in library.list()}
    assert list(made) == ["Series/Vol 1.cbz", "Series/Vol 2.cbz"]
    assert books.items() <= made.items()
    for path, content in PAGES.items():
        assert content in made[f"{path[1:].rpartition('/')[0]}.cbz"]
    assert server.count("file") - asked == len(PAGES) - staged - 6 * len(books)
    assert list(work.list(keys.STAGING)) == []
    assert len(list(work.list(keys.DONE))) == 2
