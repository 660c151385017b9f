"""Requests to S3 that fail once, or whose answer is lost or cut, and uploads that others have begun."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.contracts.store_suite import crc32c, keys, parts_of
from tests.contracts.test_s3_only import MEBIBYTE, no_waiting, open_uploads  # noqa: F401

from pagebind.adapters.stores.retrying import RetryingStore
from pagebind.adapters.stores.s3 import S3Store, connect
from pagebind.adapters.stores.s3_bucket import Content
from pagebind.adapters.stores.s3_claims import CLAIMS
from pagebind.core.keys import STAGING
from pagebind.demo.store_proxy import Fault, StoreProxy
from pagebind.errors import ConditionFailed, StoreUnavailable
from pagebind.ports.store import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.stores.s3_client import Client
    from pagebind.demo.object_stores import S3Server
    from pagebind.demo.store_calls import Call


class Place(NamedTuple):
    """A store behind a proxy that can be made to fail."""

    proxy: StoreProxy
    work: S3Store
    library: S3Store


@pytest.fixture(params=["on", "off"])
def place(
    request: pytest.FixtureRequest, s3_connect: Callable[[str], Client], s3_server: S3Server, s3_prefix: str
) -> Iterator[Place]:
    with StoreProxy(s3_server) as proxy:
        client = connect(endpoint=proxy.url, region=None, addressing="auto", checksums=request.param, connections=8)
        work = S3Store(client, "work", s3_prefix, conditional_writes="on")
        yield Place(proxy, work, S3Store(client, "library", s3_prefix, work=work))
        client.close()


def once_each(fault: Fault, *operations: str) -> Callable[[Call], Fault | None]:
    """The first request of each of these operations fails."""
    left = set(operations)

    def on_call(call: Call) -> Fault | None:
        if call.operation not in left:
            return None
        left.remove(call.operation)
        return fault

    return on_call


WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject", "GetObject")


class TestFaults:
    def test_a_listing_that_is_cut_is_no_empty_one(self, place: Place, s3_prefix: str) -> None:
        """Its head says 200; it is asked for again."""
        place.work.put("a/1", b"")
        place.proxy.on_call = once_each(Fault(cut=0), "ListObjectsV2", "ListMultipartUploads")

        assert keys(RetryingStore(place.work), "a/") == ["a/1"]
        with pytest.raises(StoreUnavailable) as caught:
            place.work.abandon("a/")
        assert caught.value.retryable

    @pytest.mark.parametrize("fault", [Fault(status=503), Fault(drop="before"), Fault(drop="after"), Fault(status=500)])
    @pytest.mark.parametrize("size", [1, 9 * MEBIBYTE])
    def test_a_stream_is_written_though_each_kind_of_request_fails_once(
        self, place: Place, fault: Fault, size: int
    ) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        place.proxy.on_call = once_each(fault, *WRITES)

        made = place.work.put_stream("staging/o", iter([data]), condition=ABSENT, metadata={"n": "1"})

        place.proxy.reset()
        standing = place.work.head("staging/o")
        assert standing is not None
        assert (made.version, made.size) == (standing.version, len(data))
        assert place.work.get("staging/o") == data

    def test_what_somebody_else_wrote_is_not_taken_for_its_own(self, place: Place) -> None:
        def forestall(call: Call) -> Fault | None:
            if call.operation != "PutObject":
                return None
            place.proxy.on_call = lambda _: None
            place.work.put("o", b"2", metadata={"n": "1"})
            return Fault(drop="before")

        place.proxy.on_call = forestall
        with pytest.raises(ConditionFailed):
            place.work.put_stream("o", iter([b"1"]), condition=ABSENT, metadata={"n": "1"})
        assert place.work.get("o") == b"2"

    def test_a_small_book_is_not_read_again_for_a_failed_write(self, place: Place) -> None:
        parts = parts_of(place.work, {"staging/1": b"one", "staging/2": b"two"})
        place.proxy.reset()
        place.proxy.on_call = once_each(Fault(drop="after"), "PutObject")
        place.library.assemble("b", parts, crc32c=crc32c(b"onetwo"), condition=ABSENT, metadata={"n": "1"})
        counts = place.proxy.counts()
        assert counts["PutObject"] == 2
        assert counts["GetObject"] <= 3  # the parts, and what stands where no checksum tells

    @pytest.mark.parametrize("fault", [Fault(cut=0), Fault(status=200, content=b"")])
    @pytest.mark.parametrize("operation", ["CreateMultipartUpload", "CompleteMultipartUpload"])
    def test_an_answer_that_is_cut_behind_its_head_is_asked_for_again(
        self, place: Place, fault: Fault, operation: str
    ) -> None:
        parts = parts_of(place.work, {"staging/1": bytes(9 * MEBIBYTE)})
        place.proxy.on_call = once_each(fault, operation)
        made = place.library.assemble("b", parts, crc32c=parts[0].crc32c, condition=ABSENT, metadata={"n": "1"})
        standing = place.library.head("b")
        assert standing is not None
        assert standing.version == made.version
        place.library.abandon("b")
        assert open_uploads(place.library) == []


class TestSweep:
    @pytest.fixture
    def later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As a sweep in two days."""
        now = time.time() + 2 * 86400
        monkeypatch.setattr("pagebind.adapters.stores.s3.time", SimpleNamespace(time=lambda: now))

    @pytest.fixture
    def work(self, s3_connect: Callable[[str], Client], s3_prefix: str) -> S3Store:
        return S3Store(s3_connect("on"), "work", s3_prefix)

    @pytest.fixture
    def library(self, work: S3Store, s3_prefix: str, s3_connect: Callable[[str], Client]) -> S3Store:
        return S3Store(s3_connect("on"), "library", s3_prefix, work=work)

    def test_leaves_what_is_fresh(self, work: S3Store, library: S3Store) -> None:
        work.bucket.begin_upload(f"{STAGING}v/1.data", Content({}))
        work.put(f"{CLAIMS}x/y", b"")
        work.sweep()
        library.sweep()
        assert open_uploads(work) == [f"{STAGING}v/1.data"]
        assert keys(work) == [f"{CLAIMS}x/y"]
        work.abandon(STAGING)

    def test_removes_what_is_old_and_surely_its_own(self, work: S3Store, library: S3Store, later: None) -> None:
        for key in (f"{STAGING}v/1.data", "meta/probe/1", "backups/huge.tar", "library/a.cbz"):
            work.bucket.begin_upload(key, Content({}))
        for key in ("backups/huge.tar", "Series/Vol 1.cbz"):
            library.bucket.begin_upload(key, Content({}))
        work.put(f"{CLAIMS}x/y", b"")

        work.sweep()
        library.sweep()

        assert sorted(open_uploads(work)) == ["backups/huge.tar", "library/a.cbz"]
        assert sorted(open_uploads(library)) == ["Series/Vol 1.cbz", "backups/huge.tar"]
        assert keys(work) == []
        for store in (work, library):
            for key in open_uploads(store):
                store.abandon(key)
