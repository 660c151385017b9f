"""Where the demo keeps its pages and books: a folder, or a bucket on a server that it starts itself."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from pagebind.demo.object_stores import GcsServer, S3Server, not_installed
from pagebind.demo.store_proxy import StoreProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_BUCKET = "pagebind-demo"


class Place(NamedTuple):
    """A store that is up.

    Attributes:
        server: its name, or nothing for a folder.
        url: where that server answers.
        settings: the settings of ``[store]``, by name.
        environment: what other processes that use it need in theirs; this one has it already.
    """

    server: str
    url: str
    settings: Mapping[str, object]
    environment: Mapping[str, str]


def demand(kind: str) -> None:
    """Make sure that all is installed that `place` needs, before anything is written.

    Raises:
        ConfigError: something is not.
    """
    if kind == "file":
        return
    (GcsServer() if kind == "gs" else S3Server()).demand()
    library = {"gs": "google.cloud.storage", "s3": "boto3"}[kind]
    if not _is_installed(library):
        raise not_installed(library)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


@contextmanager
def place(kind: str, home: Path) -> Iterator[Place]:
    """The store of a kind, while it is up. A server forgets all when it ends.

    Raises:
        ConfigError: its server is not installed.
        StoreUnavailable: its server does not start.
    """
    if kind == "file":
        yield Place("", "", {"store.url": f"{home.as_uri()}/store", "store.library": f"{home.as_uri()}/library"}, {})
        return
    settings: dict[str, object] = {
        "store.url": f"{kind}://{_BUCKET}/store",
        "store.library": f"{kind}://{_BUCKET}/library",
    }
    with _gcs(settings) if kind == "gs" else _s3(settings) as found, _in_environment(found.environment):
        yield found


@contextmanager
def _gcs(settings: Mapping[str, object]) -> Iterator[Place]:
    with GcsServer() as server, StoreProxy(server) as proxy:
        server.create_bucket(_BUCKET)
        yield Place(server.name, proxy.url, settings, proxy.environment())


@contextmanager
def _s3(settings: Mapping[str, object]) -> Iterator[Place]:
    with S3Server() as server:
        server.create_bucket(_BUCKET)
        yield Place(
            server.name,
            server.url,
            {**settings, "store.endpoint": server.url, "store.region": server.region},
            server.environment(),
        )


@contextmanager
def _in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with these values: the SDKs look nowhere else."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
