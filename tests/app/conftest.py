"""What the tests of the use cases share."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.app.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from pagebind.demo.object_stores import GcsServer, S3Server
    from pagebind.ports.store import Store


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the stores are durable is shown by their own tests."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


@pytest.fixture
def gcs_stores(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Store]:
    """Work and library in two buckets of a Google Cloud Storage server."""
    from pagebind.adapters.stores.gcs import GcsStore, connect

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.url)
    place = uuid.uuid4().hex
    for bucket in ("work", "library"):
        gcs_server.create_bucket(f"{bucket}-{place}")
    client = connect(connections=8)
    work = GcsStore(client, f"work-{place}", "some/where/")
    return work, GcsStore(client, f"library-{place}", work=work)


@pytest.fixture
def s3_stores(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Store]:
    """Work, and the library inside it, in one bucket of an S3 server."""
    from pagebind.adapters.stores.s3 import S3Store, connect

    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket("worlds")
    client = connect(endpoint=s3_server.url, region=None, addressing="auto", checksums="auto", connections=8)
    place = uuid.uuid4().hex
    work = S3Store(client, "worlds", f"{place}/")
    return work, S3Store(client, "worlds", f"{place}/library/", work=work)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
