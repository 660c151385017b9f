"""What the tests of the command share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Home, end_all

from pagebind.demo.pictures import png
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = ("A/Vol 1/01.png", "A/Vol 1/02.png", "A/Vol 1/03.png", "B/Vol 1/01.png", "B/Vol 1/02.png")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of whoever runs the tests, and a folder of the test's own to be in."""
    for name in [name for name in os.environ if name.startswith("PAGEBIND_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    (tmp_path / "comics").mkdir()
    with DemoServer({"/comics": tmp_path / "comics"}) as server:
        yield server
        end_all()


@pytest.fixture
def home(tmp_path: Path, server: DemoServer) -> Home:
    """Two volumes on the server, bound at once."""
    home = Home(tmp_path, server)
    for path in PAGES:
        home.add(path, png(path))
    return home


@pytest.fixture
def bound(home: Home) -> Home:
    """The same after a run."""
    answer = home.call("run", "--quiet")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    return home
