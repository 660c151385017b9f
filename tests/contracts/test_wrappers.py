"""A store around a store keeps the contract as well: watched, faulty, and retrying over one that keeps failing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import stamina
from tests.contracts.store_suite import StoreSuite
from tests.support.faulty_store import Fault, FaultyStore
from tests.support.watched_store import WatchedStore

from pagebind.adapters.stores.folder import FolderStore
from pagebind.adapters.stores.retrying import RetryingStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class EverySecondCall:
    """Chooses faults: each thread's 1st, 3rd, 5th ... call fails, every other of them after it has happened.

    A stream is cut in the middle; `put_stream` is spared, because nothing can repeat it.
    """

    def __init__(self) -> None:
        self._thread = threading.local()

    def __call__(self, operation: str, key: str) -> Fault | None:
        if operation == "put_stream":
            return None
        calls = self._thread.calls = getattr(self._thread, "calls", 0) + 1
        if calls % 2 == 0:
            return None
        return Fault(lost=calls % 4 == 3, after=700_001 if operation == "stream" else 0)


class TestWatched(StoreSuite):
    many = 300

    @pytest.fixture
    def store(self, tmp_path: Path) -> WatchedStore:
        return WatchedStore(FolderStore(tmp_path))


class TestFaultyWithoutFaults(StoreSuite):
    many = 300

    @pytest.fixture
    def store(self, tmp_path: Path) -> FaultyStore:
        return FaultyStore(FolderStore(tmp_path))


class TestRetrying(StoreSuite):
    many = 300
    loses_answers = True

    @pytest.fixture(autouse=True)
    def no_backoff(self) -> Iterator[None]:
        with stamina.set_testing(True, attempts=99, cap=True):
            yield

    @pytest.fixture
    def store(self, tmp_path: Path) -> RetryingStore:
        return RetryingStore(FaultyStore(FolderStore(tmp_path), EverySecondCall()))
