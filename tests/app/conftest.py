"""What the tests of the use cases share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.app.world import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the stores are durable is shown by their own tests."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
