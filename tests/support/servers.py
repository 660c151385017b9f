"""Fixtures: real object stores, started on first use, one of each kind per test process.

What they cost is their start; a test that wants to be alone takes a bucket of its own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from pagebind.demo.object_stores import GcsServer, S3Server
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


@contextlib.contextmanager
def skipping() -> Iterator[None]:
    """No test that needs a server runs where there is none."""
    try:
        yield
    except ConfigError as error:
        pytest.skip(f"{error}: {error.fix}")
