"""Buckets that fail: gone, forbidden, or open to an account whose credentials have run out, each from any moment on.

The servers are fake-gcs-server and SeaweedFS; what they would not do by themselves is answered by the proxy before
them, in the words of the real services.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest
import stamina
from tests.app.world import World

from pagebind.adapters.stores.retrying import RetryingStore
from pagebind.core import keys
from pagebind.demo.store_proxy import Fault
from pagebind.errors import AccessDenied, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pagebind.app.result import RunResult
    from pagebind.demo.store_calls import Call
    from pagebind.demo.store_proxy import StoreProxy
    from pagebind.ports.store import Store

VOLUMES = ("Vol 1", "Vol 2")
KEYS = [f"Series/{volume}.cbz" for volume in VOLUMES]
PAGES = [f"/c/Series/{volume}/{number}.jpg" for volume in VOLUMES for number in (1, 2)]
WORK, LIBRARY = "work", "library"
Place = Literal["work", "library"]


class Kind(NamedTuple):
    """A service, and two buckets of the test's own in it."""

    name: str
    proxy: StoreProxy
    stores: Callable[[], tuple[Store, Store]]
    buckets: dict[str, str]


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture
def gcs(gcs_proxy: StoreProxy, gcs_bucket: str) -> Iterator[Kind]:
    from pagebind.adapters.stores.gcs import GcsStore, connect

    buckets = {WORK: gcs_bucket, LIBRARY: f"{gcs_bucket}-library"}
    gcs_proxy.server.create_bucket(buckets[LIBRARY])
    client = connect(connections=8)

    def make() -> tuple[Store, Store]:
        work = GcsStore(client, buckets[WORK])
        return RetryingStore(work), RetryingStore(GcsStore(client, buckets[LIBRARY], work=work))

    yield Kind("gcs", gcs_proxy, make, buckets)
    client.close()


@pytest.fixture
def s3(s3_proxy: StoreProxy, s3_bucket: str) -> Iterator[Kind]:
    from pagebind.adapters.stores.s3 import S3Store, connect

    buckets = {WORK: s3_bucket, LIBRARY: f"{s3_bucket}-library"}
    s3_proxy.server.create_bucket(buckets[LIBRARY])
    client = connect(endpoint=s3_proxy.url, region=None, addressing="auto", checksums="auto", connections=8)

    def make() -> tuple[Store, Store]:
        work = S3Store(client, buckets[WORK])
        return RetryingStore(work), RetryingStore(S3Store(client, buckets[LIBRARY], work=work))

    yield Kind("s3", s3_proxy, make, buckets)
    client.close()


@pytest.fixture(params=["gcs", "s3"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """One of each."""
    found: Kind = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def world(kind: Kind, tmp_path: Path) -> World:
    """Two volumes on the server, nothing in the buckets."""
    world = World(tmp_path, kind.stores())
    world.concurrency = 1
    for path in PAGES:
        world.source.add(path)
    return world


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The books of a run that nobody disturbed, over folders."""
    world = World(tmp_path_factory.mktemp("undisturbed"))
    for path in PAGES:
        world.source.add(path)
    assert world.run().error is None
    return {key: world.books.get(key) for key in world.shelf()}


def run(world: World) -> RunResult:
    """One run; the process lives on until the page and the book are through that were under way at its end."""
    result = world.run()
    for thread in threading.enumerate():
        if thread.name.startswith("pagebind-"):
            thread.join(10)
    return result


def contents(world: World) -> dict[str, bytes]:
    return {key: world.books.get(key) for key in world.shelf()}


def unsafe(world: World) -> int:
    """How many pages are neither staged nor in a book."""
    books, missing = world.shelf(), 0
    for volume, key in zip(VOLUMES, KEYS, strict=True):
        staged = world.names(f"{keys.STAGING}{keys.volume_id(f'/c/Series/{volume}')}/")
        missing += 0 if key in books else 2 - sum(name.endswith(".entry") for name in staged)
    return missing


def one_error(result: RunResult) -> AccessDenied:
    """The run ended by one error that says what to do, in one line, once."""
    assert isinstance(result.error, AccessDenied), result.error
    assert [problem.message for problem in result.problems] == [result.error.message]
    assert "\n" not in result.error.message + result.error.fix
    return result.error


def assert_recovers(world: World, right: dict[str, bytes]) -> None:
    """The next run ends it: every book, one receipt each, no page asked for that was safe, nothing left over."""
    missing, before = unsafe(world), world.source.downloads.total()
    result = run(world)
    assert (result.error, result.problems) == (None, [])
    assert contents(world) == right
    assert world.source.downloads.total() - before == missing
    if world.names(keys.STAGING):  # a book bound before could not be tidied up after
        run(world)
    assert world.names(keys.STAGING) == []
    assert len(world.names(keys.DONE)) == len(KEYS)
    assert world.names(keys.FAILURES) == []


class Trouble:
    """From the ``at``-th call that it concerns on, every such call is answered so."""

    def __init__(self, concerns: Callable[[Call], bool], fault: Fault, at: int) -> None:
        self._concerns, self._fault, self._at = concerns, fault, at
        self._seen = 0
        self._counting = threading.Lock()

    def __call__(self, call: Call) -> Fault | None:
        if not self._concerns(call):
            return None
        with self._counting:
            self._seen += 1
            return self._fault if self._seen >= self._at else None

    @property
    def struck(self) -> bool:
        return self._seen >= self._at


RIGHTS = {
    "read": re.compile(r"objects\.get_media|GetObject|objects\.get|HeadObject"),
    "write": re.compile(r"objects\.(insert|insert\.chunk|compose|rewrite)|PutObject|\w+MultipartUpload|UploadPart"),
    "list": re.compile(r"objects\.list|ListObjectsV2"),
    "delete": re.compile(r"objects\.delete|DeleteObjects?"),
}
NAMED = {
    "read": r"storage\.objects\.get|s3:GetObject",
    "write": r"storage\.objects\.create|s3:PutObject",
    "list": r"storage\.objects\.list|s3:ListBucket",
    "delete": r"storage\.objects\.delete|s3:DeleteObject",
}


@pytest.mark.parametrize(
    ("right_lacks", "place", "at"),
    [
        *((name, place, 1) for name in RIGHTS for place in (WORK, LIBRARY)),
        ("read", WORK, 2),
        ("write", WORK, 5),
    ],
)
def test_a_right_that_is_revoked(
    kind: Kind, world: World, right: dict[str, bytes], place: Place, right_lacks: str, at: int
) -> None:
    bucket = kind.buckets[place]
    trouble = Trouble(
        lambda call: call.bucket == bucket and RIGHTS[right_lacks].fullmatch(call.operation) is not None,
        Fault(status=403),
        at,
    )
    kind.proxy.on_call = trouble
    result = run(world)
    kind.proxy.reset()
    assert contents(world).items() <= right.items()
    assert world.source.downloads.total() <= len(PAGES) - unsafe(world) + world.concurrency
    assert trouble.struck or place == "library"
    if result.error is not None:
        assert re.search(NAMED[right_lacks], one_error(result).fix), result.error.fix
    else:
        assert result.problems or contents(world) == right
    assert_recovers(world, right)


GONE = {
    "gcs": Fault(
        status=404,
        content=b'{"error": {"code": 404, "message": "The specified bucket does not exist.", "errors": []}}',
    ),
    "s3": Fault(status=404, content=b"<Error><Code>NoSuchBucket</Code></Error>"),
}


@pytest.mark.parametrize("place", ["work", "library"])
@pytest.mark.parametrize("at", [4])
def test_a_bucket_that_vanishes(kind: Kind, world: World, right: dict[str, bytes], place: Place, at: int) -> None:
    """It is there again, with all that it held, when the next run begins."""
    bucket = kind.buckets[place]
    trouble = Trouble(lambda call: call.bucket == bucket, GONE[kind.name], at)
    kind.proxy.on_call = trouble
    result = run(world)
    kind.proxy.reset()
    assert trouble.struck
    assert contents(world).items() <= right.items()
    assert world.source.downloads.total() <= len(PAGES) - unsafe(world) + world.concurrency
    error = one_error(result)
    assert bucket in error.message
    assert "[store]" in error.fix
    assert_recovers(world, right)


EXPIRED = {
    "gcs": Fault(status=401),
    "s3": Fault(status=400, content=b"<Error><Code>ExpiredToken</Code></Error>"),
}


@pytest.mark.parametrize("at", [16])
def test_credentials_that_run_out(kind: Kind, world: World, right: dict[str, bytes], at: int) -> None:
    trouble = Trouble(lambda _: True, EXPIRED[kind.name], at)
    kind.proxy.on_call = trouble
    result = run(world)
    kind.proxy.reset()
    assert trouble.struck
    assert contents(world).items() <= right.items()
    error = one_error(result)
    assert re.search("log in again|renew the credentials", error.fix), error.fix
    assert_recovers(world, right)


def test_a_work_bucket_that_comes_back_empty_is_begun_anew_and_no_book_is_touched(
    kind: Kind, world: World, right: dict[str, bytes]
) -> None:
    """Its books were made by nobody that the new one knows of: they are taken for what their metadata say."""
    assert run(world).error is None
    before = {info.key: info.version for info in world.books.list()}
    world.folders.delete_all(list(world.folders.list()))
    asked = world.source.downloads.total()
    result = run(world)
    assert result.error is None
    assert {info.key: info.version for info in world.books.list()} == before
    assert contents(world) == right
    assert [volume.key for volume in result.up_to_date] == KEYS
    assert world.source.downloads.total() == asked
    assert len(world.names(keys.DONE)) == len(KEYS)


def test_a_library_bucket_that_comes_back_empty_is_no_reason_to_fill_it(kind: Kind, world: World) -> None:
    assert run(world).error is None
    world.books.delete_all(list(world.books.list()))
    asked = world.source.downloads.total()
    result = run(world)
    assert isinstance(result.error, StoreError)
    assert "the library is empty, but 2 volumes were bound in it" in result.error.message
    assert world.source.downloads.total() == asked
    assert world.shelf() == []
