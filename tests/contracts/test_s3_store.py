"""S3 keeps the contract: SeaweedFS, as work and as library, with and without checksums."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.contracts.store_suite import StoreSuite
from tests.support.servers import s3_server  # noqa: F401 - a fixture

from pagebind.adapters.stores.s3 import S3Store, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.stores.s3_client import Client
    from pagebind.demo.object_stores import S3Server
    from pagebind.ports.store import Store


@pytest.fixture(scope="session")
def s3_connect(s3_server: S3Server) -> Iterator[Callable[[str], Client]]:  # noqa: F811 - asked for by name
    """Connects to a server with two buckets, ``work`` and ``library``, with checksums ``on`` or ``off``."""
    clients: list[Client] = []
    for bucket in ("work", "library"):
        s3_server.create_bucket(bucket)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3_server.environment().items():
            environment.setenv(name, value)

        def connect_to_it(checksums: str) -> Client:
            clients.append(
                connect(endpoint=s3_server.url, region=None, addressing="auto", checksums=checksums, connections=16)
            )
            return clients[-1]

        yield connect_to_it
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def s3_client(s3_connect: Callable[[str], Client]) -> Client:
    return s3_connect("on")


@pytest.fixture(scope="session")
def s3_client_without_checksums(s3_connect: Callable[[str], Client]) -> Client:
    return s3_connect("off")


@pytest.fixture
def s3_prefix() -> str:
    """The test's own."""
    return f"{uuid.uuid4().hex}/a b/"


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
