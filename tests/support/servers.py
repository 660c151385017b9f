"""Fixtures: real object stores, started on first use, one of each kind per test process.

What they cost is their start; a test that wants to be alone takes a bucket of its own.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import pytest

from pagebind.demo.object_stores import GcsServer, S3Server
from pagebind.demo.store_proxy import StoreProxy
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GcsServer]:
    """fake-gcs-server. It is lax about preconditions: `gcs_proxy` is not."""
    with skipping(), GcsServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """SeaweedFS."""
    with skipping(), S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_proxy(gcs_server: GcsServer) -> Iterator[StoreProxy]:
    """The strict proxy before `gcs_server`."""
    with StoreProxy(gcs_server) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def s3_proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    """The counting proxy before `s3_server`."""
    with StoreProxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def gcs_bucket(gcs_proxy: StoreProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a new bucket. Google's libraries go to `gcs_proxy`, which has no faults and no calls yet."""
    yield from _new_bucket(gcs_proxy, monkeypatch)


@pytest.fixture
def s3_bucket(s3_proxy: StoreProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a new bucket. The environment has what boto3 needs, but for the endpoint: ``s3_proxy.url``."""
    yield from _new_bucket(s3_proxy, monkeypatch)


def _new_bucket(proxy: StoreProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in proxy.environment().items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{secrets.token_hex(6)}"
    proxy.server.create_bucket(bucket)
    proxy.reset()
    yield bucket
    proxy.reset()


@contextlib.contextmanager
def skipping() -> Iterator[None]:
    """No test that needs a server runs where there is none."""
    try:
        yield
    except ConfigError as error:
        pytest.skip(f"{error}: {error.fix}")
