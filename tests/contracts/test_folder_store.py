"""The folder store keeps the contract, as work and as library, with and without hard links."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from tests.contracts.store_suite import StoreSuite

from pagebind.adapters.stores.folder import FolderStore

if TYPE_CHECKING:
    from pathlib import Path


class TestWork(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "not yet" / "work")


class TestLibrary(StoreSuite):
    many = 300  # every book has a record of its own

    @pytest.fixture
    def work(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "work")

    @pytest.fixture
    def store(self, tmp_path: Path, work: FolderStore) -> FolderStore:
        return FolderStore(tmp_path / "library", work=work)


class _WithoutHardLinks:
    many = 300

    @pytest.fixture(autouse=True)
    def no_hard_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)


class TestWorkWithoutHardLinks(_WithoutHardLinks, TestWork):
    pass


class TestLibraryWithoutHardLinks(_WithoutHardLinks, TestLibrary):
    pass
