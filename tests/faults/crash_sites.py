"""Where the runs that are killed work: the server of the pages, the store's own, and for each kill a new place.

What one kill leaves is looked at past the proxy and the command, and removed before the next one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

from tests.support.memory_source import picture

from pagebind.adapters.stores.folder import FolderStore
from pagebind.adapters.stores.s3 import S3Store
from pagebind.config import template
from pagebind.core import keys, manifest
from pagebind.demo.object_stores import GcsServer, S3Server
from pagebind.demo.store_proxy import Fault, StoreProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pagebind.adapters.stores.s3_bucket import Bucket, UploadId
    from pagebind.demo.store_calls import Call
    from pagebind.ports.store import Store

KINDS = ("folder", "gcs", "s3")
BOOKS = 3
PAGES = 12
SUBSCRIPTION = "/comics"

_TOKEN = "PAGEBIND_CRASH_TOKEN"
_BUCKETS = ("work", "library")
_SMALL = 5_000
_LARGE = 720_000
"""Bytes of a page of which twelve are more than S3's adapter sends in one request: that book goes up in two parts."""

_MOMENTS = {"old": 1_700_000_000, "new": 1_700_100_000}
"""When what is in a revision was changed, in seconds since the epoch."""

_CLOSED_SECONDS = 30.0


_OPEN = frozenset({"01", "03", "08"})
"""ESTABLISHED, SYN_RECV and CLOSE_WAIT, of include/net/tcp_states.h."""


class Server(NamedTuple):
    """A demo server in a process of its own."""

    url: str
    token: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])


class Site:
    """One new place with its configuration.

    Attributes:
        home: a folder of this machine for what only this kill has.
        work, library: its stores, past any proxy.
        environment: of the command.
        keeps_records: whether what is known of a book stands in work, as it does not in the book itself.
    """

    keeps_records = False

    def __init__(self, home: Path, urls: tuple[str, str], stores: tuple[Store, Store]) -> None:
        self.home = home
        self.work, self.library = stores
        self._urls = urls
        self.environment = {"XDG_STATE_HOME": str(home / "state")}
        home.mkdir(parents=True)

    @property
    def config(self) -> Path:
        return self.home / "pagebind.toml"

    def prepare(self, server: Server, **settings: str) -> None:
        """Write the configuration."""
        work, library = self._urls
        values: dict[str, object] = {
            "source.url": server.url,
            "source.token": f"env:{_TOKEN}",
            "source.list_per_second": 0,
            "store.library": library,
            "subscription.path": SUBSCRIPTION,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
        self.config.write_text(template(work, values), encoding="utf-8")
        self.environment[_TOKEN] = server.token

    def books(self) -> dict[str, bytes]:
        """Everything that a reader of the library sees, read."""
        return {info.key: self.library.get(info.key) for info in self.library.list()}

    def left(self) -> list[str]:
        """What should have gone when all is done."""
        return [info.key for info in self.work.list(keys.STAGING)]

    def kept(self) -> list[str]:
        """The keys of everything in work."""
        return [info.key for info in self.work.list()]

    def receipts(self) -> dict[str, bytes]:
        """All receipts by their keys."""
        return {info.key: self.work.get(info.key) for info in self.work.list(keys.DONE)}

    def staged(self) -> set[str]:
        """The server paths of all pages that stand in staging, whole. That they stand there is all that marks them."""
        entries = {info.key for info in self.work.list(keys.STAGING)}
        listed = (manifest.load(self.work.get(info.key)) for info in self.work.list(keys.MANIFESTS)) if entries else ()
        return {
            f"{of.path}/{page.name}"
            for of in listed
            for page in of.pages
            if keys.entry_key(of.volume, page.id) in entries
        }

    def versions(self) -> dict[str, str]:
        """By key, the versions of all books."""
        return {info.key: info.version for info in self.library.list()}

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.home)


class FolderSite(Site):
    """A work folder and a library, looked at as what they are."""

    keeps_records = True

    def __init__(self, home: Path) -> None:
        self._roots = (home / "work", home / "library")
        work = FolderStore(self._roots[0])
        library = FolderStore(self._roots[1], work=work)
        super().__init__(home, (self._roots[0].as_uri(), self._roots[1].as_uri()), (work, library))

    def copy(self, other: FolderSite) -> None:
        """Let all stand here that stands there, times included: they are versions."""
        for mine, its in zip(self._roots, other._roots, strict=True):
            shutil.copytree(its, mine, dirs_exist_ok=True)

    def books(self) -> dict[str, bytes]:
        """All files, less those that are no book to any reader: hidden ones with a suffix of their own."""
        library = self._roots[1]
        files = [path for path in library.rglob("*") if path.is_file() and path.suffix != ".part"]
        return {path.relative_to(library).as_posix(): path.read_bytes() for path in files}

    def left(self) -> list[str]:
        work, library = self._roots
        places = (work / "staging", work / ".tmp")
        found = [path for place in places for path in place.rglob("*") if path.is_file()]
        return [str(path) for path in (*found, *library.rglob("*.part"))]


class BucketSite(Site):
    """A prefix in each of two buckets."""

    def remove(self) -> None:
        for store in (self.work, self.library):
            store.delete_all(list(store.list()))
        super().remove()


class S3Site(BucketSite):
    """Where uploads can be left open, too."""

    def left(self) -> list[str]:
        return [*super().left(), *(f"upload of {upload.key}" for _, upload in self._uploads())]

    def remove(self) -> None:
        for bucket, upload in self._uploads():
            bucket.abort(upload)
        super().remove()

    def _uploads(self) -> list[tuple[Bucket, UploadId]]:
        """Those that are open."""
        stores = (store for store in (self.work, self.library) if isinstance(store, S3Store))
        return [(store.bucket, upload) for store in stores for upload in store.bucket.uploads("")]


class Executioner:
    """Kills a process at its ``number``-th request, before or after the store has done it."""

    def __init__(self, number: int, *, after: bool) -> None:
        self._number = number
        self._fault = Fault(drop="after" if after else "before")
        self._count = 0
        self._lock = threading.Lock()
        self._known = threading.Event()
        self._pid = 0

    def condemn(self, pid: int) -> None:
        """Whom to kill."""
        self._pid = pid
        self._known.set()

    def __call__(self, _: Call) -> Fault | None:
        with self._lock:
            self._count += 1
            if self._count != self._number:
                return None
        self._known.wait(_CLOSED_SECONDS)
        os.kill(self._pid, signal.SIGKILL)
        return self._fault


def pages_of(volume: int, size: int, revision: str) -> dict[str, bytes]:
    """The pages of a volume by name, in order, as they are in a revision, ``old`` or ``new``.

    Of the first volume one page has changed, of the second all have, of the third none has. With the contents the sizes
    change: of many times that move alone Pagebind thinks nothing.
    """
    changed = {1: {3}, 2: set(range(1, PAGES + 1)), 3: set[int]()}[volume]
    more = {"old": _SMALL // 10, "new": 0}[revision]
    return {
        f"{page:02}.png": picture(f"{volume} {page} {revision}", size + more)
        if page in changed
        else picture(f"{volume} {page}", size)
        for page in range(1, PAGES + 1)
    }


class Ground:
    """A server of pages and a kind of store.

    Args:
        kind: one of `KINDS`.
        server: of the pages.
        comics: the folder with both revisions of all volumes, of which one is served.
        new: makes a site in a folder.
        proxy: before the store, if it is no folder.
    """

    def __init__(
        self, kind: str, server: Server, comics: Path, new: Callable[[Path], Site], proxy: StoreProxy | None
    ) -> None:
        self.kind = kind
        self.proxy = proxy
        self._server = server
        self._comics = comics
        self._new = new

    def site(self, home: Path) -> Site:
        """A new one, with its configuration."""
        made = self._new(home)
        settings = {"store_endpoint": self.proxy.url} if self.proxy and self.kind == "s3" else {}
        made.prepare(self._server, **settings)
        if self.proxy:
            made.environment |= self.proxy.environment()
        return made

    def right(self, revision: str = "new") -> dict[str, dict[str, bytes]]:
        """The pages that each book is to hold."""
        return {
            f"Series/Volume {volume}.cbz": pages_of(volume, size, revision)
            for volume, size in _sizes(self.kind).items()
        }

    def show(self, revision: str) -> None:
        """Let the server have this revision of all volumes."""
        _show(self._comics, revision)

    def asked(self, since: float) -> list[str]:
        """The paths of all pages that were asked for since then, by the monotonic clock."""
        with urllib.request.urlopen(f"{self._server.url}/__demo__/requests?reset=1") as answer:
            told = json.load(answer)["requests"]
        return [one["path"] for one in told if one["kind"] == "file" and one["at"] >= since]

    def settle(self) -> None:
        """Wait until what a dead process had asked of the store and of the server is done: then it says no more."""
        deadline = time.monotonic() + _CLOSED_SECONDS
        while (self.proxy is not None and self.proxy._front._open) or _is_connected(self._server.port):
            if time.monotonic() > deadline:
                raise TimeoutError("a connection of a dead process stays open")
            time.sleep(0.0005)


def _is_connected(port: int) -> bool:
    """Whether this machine has a connection that a server on this port has not closed, or not accepted yet."""
    here = f":{port:04X}"
    rows = (line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines() if here in line)
    return any(local.endswith(here) and state in _OPEN for local, _, state in rows)


@contextmanager
def ground(kind: str, home: Path, store: GcsServer | S3Server | None = None) -> Iterator[Ground]:
    """Everything up; ``store``: a server that is up already.

    Raises:
        ConfigError: the store's server is not installed, or has no program for this machine.
    """
    comics = home / "comics"
    with ExitStack() as stack:
        server = stack.enter_context(_serving(comics, _sizes(kind)))
        if kind == "folder":
            yield Ground(kind, server, comics, FolderSite, None)
            return
        if store is None:
            store = stack.enter_context(GcsServer()) if kind == "gcs" else stack.enter_context(S3Server())
        for bucket in _BUCKETS:
            store.create_bucket(bucket)
        proxy = stack.enter_context(StoreProxy(store))
        yield Ground(kind, server, comics, _in_buckets(kind, store), proxy)


def _in_buckets(kind: str, server: GcsServer | S3Server) -> Callable[[Path], Site]:
    """Makes sites below prefixes that are called as their folders."""
    with mock.patch.dict(os.environ, server.environment()):
        stores = _gcs_stores() if kind == "gcs" else _s3_stores(server.url)
    scheme, site = ("gs", BucketSite) if kind == "gcs" else ("s3", S3Site)

    def make(home: Path) -> Site:
        work, library = (f"{scheme}://{bucket}/{home.name}" for bucket in _BUCKETS)
        return site(home, (work, library), stores(f"{home.name}/"))

    return make


def _gcs_stores() -> Callable[[str], tuple[Store, Store]]:
    from pagebind.adapters.stores.gcs import GcsStore, connect

    client = connect(connections=4)

    def make(prefix: str) -> tuple[Store, Store]:
        work = GcsStore(client, _BUCKETS[0], prefix)
        return work, GcsStore(client, _BUCKETS[1], prefix, work=work)

    return make


def _s3_stores(url: str) -> Callable[[str], tuple[Store, Store]]:
    from pagebind.adapters.stores.s3 import connect

    client = connect(endpoint=url, region=None, addressing="auto", checksums="auto", connections=4)

    def make(prefix: str) -> tuple[Store, Store]:
        work = S3Store(client, _BUCKETS[0], prefix)
        return work, S3Store(client, _BUCKETS[1], prefix, work=work)

    return make


def _sizes(kind: str) -> dict[int, int]:
    """Of each volume the bytes of a page."""
    return {volume: _LARGE if volume == 1 and kind == "s3" else _SMALL for volume in range(1, BOOKS + 1)}


def _show(comics: Path, revision: str) -> None:
    link = comics / "another"
    link.symlink_to(revision)
    link.replace(comics / "shown")


@contextmanager
def _serving(comics: Path, sizes: Mapping[int, int]) -> Iterator[Server]:
    """Three volumes of twelve pages of these sizes, in the new revision, served by another process."""
    for revision, moment in _MOMENTS.items():
        for volume, size in sizes.items():
            folder = comics / revision / "Series" / f"Volume {volume}"
            folder.mkdir(parents=True)
            old = pages_of(volume, size, "old")
            for name, content in pages_of(volume, size, revision).items():
                (folder / name).write_bytes(content)
                when = _MOMENTS["old"] if content == old[name] else moment
                os.utime(folder / name, (when, when))
    _show(comics, "new")
    root = comics / "shown"
    words = [sys.executable, "-m", "pagebind.demo.server", "--root", str(root)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Server(said["url"], said["token"])
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
