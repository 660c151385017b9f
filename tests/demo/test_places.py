"""What the demo sets for its own process is gone when it is over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.support.servers import skipping

from pagebind.demo.places import place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("before", [None, "http://elsewhere"])
def test_the_environment_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    if before is None:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    else:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", before)
    with skipping(), place("gs", tmp_path) as store:
        assert os.environ["STORAGE_EMULATOR_HOST"] == store.url == store.environment["STORAGE_EMULATOR_HOST"]
    assert os.environ.get("STORAGE_EMULATOR_HOST") == before
