"""Object stores for the benchmarks: the servers, the configuration, and volumes whose pages are staged."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.bench import place, run_child

from pagebind.config.template import template
from pagebind.demo.object_stores import GcsServer, S3Server
from pagebind.demo.store_proxy import StoreProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Child

WORK, LIBRARY = "bench-work", "bench-library"

_SERVERS: dict[str, type[GcsServer | S3Server]] = {"gs": GcsServer, "s3": S3Server}


@dataclass(frozen=True, slots=True)
class Staged:
    """A volume that only waits for finalize; ``entries`` and ``manifest`` are bytes."""

    volume: str
    entries: int
    manifest: int


@dataclass(frozen=True, slots=True)
class Buckets:
    """A server of one kind, ``gs`` or ``s3``, with two empty buckets, and a counting proxy before it."""

    kind: str
    server: GcsServer | S3Server
    proxy: StoreProxy
    folder: Path

    def run(self, module: str, *words: str, counted: bool = False) -> Child:
        """Run one of our programs with the configuration: straight at the server, or ``counted`` by the proxy."""
        env = environment(self.kind, self.proxy if counted else self.server)
        return run_child(["-m", f"benchmarks.{module}", str(self._config()), *words], env)

    def stage(self, name: str, pages: int, size: int) -> Staged:
        """Stage a volume of so many pages of ``size`` bytes each."""
        return Staged(**json.loads(self.run("stage_volume", name, str(pages), str(size)).out))

    def _config(self) -> Path:
        file = self.folder / "pagebind.toml"
        if not file.exists():
            file.write_text(configuration(self.kind, {}), encoding="utf-8")
        return file


def configuration(kind: str, values: dict[str, object]) -> str:
    """What `pagebind init` writes, for these buckets."""
    where: dict[str, object] = {"store.library": f"{kind}://{LIBRARY}", "subscription.path": "/comics"}
    return template(f"{kind}://{WORK}", {"source.token": None, "source.list_per_second": 0, **where, **values})


def environment(kind: str, target: GcsServer | S3Server | StoreProxy) -> dict[str, str]:
    """What leads a process to a server or its proxy."""
    endpoint = {"PAGEBIND_STORE_ENDPOINT": target.url} if kind == "s3" else {}
    return {**target.environment(), **endpoint}


@contextmanager
def buckets(kind: str) -> Iterator[Buckets]:
    """Start a server with its proxy."""
    with place() as folder, _SERVERS[kind]() as server, StoreProxy(server) as proxy:
        for name in (WORK, LIBRARY):
            server.create_bucket(name)
        yield Buckets(kind, server, proxy, folder)


def summary(proxy: StoreProxy) -> dict[str, Any]:
    """What passed a proxy since it was last reset, which it is now: operations, and requests by class of price."""
    found = {"operations": proxy.counts(), "classes": proxy.price_counts()}
    proxy.reset()
    return found
