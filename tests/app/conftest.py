"""What the tests of the use cases share."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
import stamina
from tests.app.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pagebind.demo.store_proxy import StoreProxy
    from pagebind.ports.store import Store


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the stores are durable is shown by their own tests."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """What is tried again is tried at once."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture
def gcs_stores(gcs_proxy: StoreProxy, gcs_bucket: str) -> Iterator[Callable[[], tuple[Store, Store]]]:
    """Makes a new work store, and its library in another bucket, behind a strict Google Cloud Storage server."""
    from pagebind.adapters.stores.gcs import GcsStore, connect

    library = f"{gcs_bucket}-library"
    gcs_proxy.server.create_bucket(library)
    client = connect(connections=8)

    def make() -> tuple[Store, Store]:
        place = uuid.uuid4().hex
        work = GcsStore(client, gcs_bucket, f"{place}/")
        return work, GcsStore(client, library, f"{place}/", work=work)

    yield make
    client.close()


@pytest.fixture
def s3_stores(s3_proxy: StoreProxy, s3_bucket: str) -> Iterator[Callable[[], tuple[Store, Store]]]:
    """Makes a new work store, and its library inside it, behind an S3 server."""
    from pagebind.adapters.stores.s3 import S3Store, connect

    client = connect(endpoint=s3_proxy.url, region=None, addressing="auto", checksums="auto", connections=8)

    def make() -> tuple[Store, Store]:
        place = uuid.uuid4().hex
        work = S3Store(client, s3_bucket, f"{place}/")
        return work, S3Store(client, s3_bucket, f"{place}/library/", work=work)

    yield make
    client.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
