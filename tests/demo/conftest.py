"""What the tests of the demo server share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.demo.client import PAGES, Client

from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "comics" / "A"
    folder.mkdir(parents=True)
    for name, data in PAGES.items():
        (folder / name).write_bytes(data)
    return tmp_path / "comics"


@pytest.fixture
def server(pages: Path) -> Iterator[DemoServer]:
    with DemoServer({"/comics": LocalDrive(folder=pages, hashes=("md5",))}, dialect="alist-3.45") as server:
        yield server


@pytest.fixture
def client(server: DemoServer) -> Client:
    return Client(server)
