"""What the tests of the whole pipeline share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.world import World

from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def drive(tmp_path: Path) -> LocalDrive:
    folder = tmp_path / "comics"
    folder.mkdir()
    return LocalDrive(folder=folder)


@pytest.fixture
def world(tmp_path: Path, drive: LocalDrive) -> Iterator[World]:
    with DemoServer({"/comics": drive}) as server:
        yield World(tmp_path, server)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process try a page that failed again at once."""
    defaults = LocalDispatch.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "backoff", 0.0)
