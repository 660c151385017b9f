"""S3 keeps the contract: SeaweedFS, as work and as library, with and without checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.contracts.store_suite import StoreSuite

from pagebind.adapters.stores.s3 import S3Store

if TYPE_CHECKING:
    from pagebind.adapters.stores.s3_client import Client
    from pagebind.ports.store import Store


class TestWork(StoreSuite):
    versions_by_content: ClassVar[bool] = True
    orders_folders_by_name: ClassVar[bool] = True
    created_within: ClassVar[float] = 2.0

    def unfinished(self, store: Store) -> list[str]:
        assert isinstance(store, S3Store)
        return [upload.key for upload in store.bucket.uploads("")]

    @pytest.fixture
    def store(self, s3_client: Client, s3_prefix: str) -> S3Store:
        return S3Store(s3_client, "work", s3_prefix)


class TestLibrary(TestWork):
    many = 20  # listing is the same
    examples = 5

    @pytest.fixture
    def work(self, s3_client: Client, s3_prefix: str) -> S3Store:
        return S3Store(s3_client, "work", s3_prefix)

    @pytest.fixture
    def store(self, s3_client: Client, s3_prefix: str, work: S3Store) -> S3Store:
        return S3Store(s3_client, "library", s3_prefix, work=work)


class TestWithoutChecksums(TestWork):
    many = 20
    examples = 5

    @pytest.fixture
    def store(self, s3_client_without_checksums: Client, s3_prefix: str) -> S3Store:
        return S3Store(s3_client_without_checksums, "work", s3_prefix)
