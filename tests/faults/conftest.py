"""What the tests of hostile servers share."""

from __future__ import annotations

import os

import pytest

from pagebind.adapters.dispatch.local import LocalDispatch


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process try a page that failed again at once, and wait for no disk."""
    defaults = LocalDispatch.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "backoff", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
