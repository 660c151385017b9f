"""The simulation's store keeps the contract, whatever it stands for."""

from __future__ import annotations

import pytest
from tests.contracts.store_suite import StoreSuite
from tests.simulation.memory_store import Kind, MemoryStore


class TestWork(StoreSuite):
    many = 1300
    kind = Kind()

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore(self.kind)


class TestLibrary(StoreSuite):
    many = 1300
    kind = Kind()

    @pytest.fixture
    def work(self) -> MemoryStore:
        return MemoryStore(self.kind)

    @pytest.fixture
    def store(self, work: MemoryStore) -> MemoryStore:
        return MemoryStore(self.kind, work=work)


class TestWorkWithSums(TestWork):
    kind = Kind(sums=True)
    knows_crc32c = True


class TestLibraryWithVersionsByContent(TestLibrary):
    kind = Kind(by_content=True)
    versions_by_content = True
