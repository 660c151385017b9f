"""Google Cloud Storage keeps the contract: as work, and as library in another bucket."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from tests.contracts.store_suite import StoreSuite

from pagebind.adapters.stores.gcs import GcsStore, connect

if TYPE_CHECKING:
    from pagebind.demo.object_stores import GcsServer
    from pagebind.demo.store_proxy import StoreProxy


@pytest.fixture(scope="module")
def client(gcs_server: GcsServer, gcs_proxy: StoreProxy) -> Any:
    """A client of a strict server with the buckets ``work`` and ``library``."""
    for bucket in ("work", "library"):
        gcs_server.create_bucket(bucket)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", gcs_proxy.url)
        return connect(connections=16)


class TestWork(StoreSuite):
    knows_crc32c = True

    @pytest.fixture
    def store(self, client: Any) -> GcsStore:
        return GcsStore(client, "work", f"{uuid.uuid4().hex}/")

    @pytest.fixture
    def unwatched(self, gcs_server: GcsServer, client: Any, monkeypatch: pytest.MonkeyPatch) -> GcsStore:
        """Without the strict proxy, which takes its time with thousands of objects."""
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.url)
        return GcsStore(connect(connections=16), "work", f"{uuid.uuid4().hex}/")

    def test_lists_and_deletes_thousands_with_version_and_time(self, unwatched: GcsStore) -> None:  # type: ignore[override] # a fixture of another name
        super().test_lists_and_deletes_thousands_with_version_and_time(unwatched)


class TestLibrary(StoreSuite):
    knows_crc32c = True
    many = 20  # listing is the same as in work
    examples = 5

    @pytest.fixture
    def work(self, client: Any) -> GcsStore:
        return GcsStore(client, "work", f"{uuid.uuid4().hex}/")

    @pytest.fixture
    def store(self, client: Any, work: GcsStore) -> GcsStore:
        return GcsStore(client, "library", work=work, prefix=f"{uuid.uuid4().hex}/")
