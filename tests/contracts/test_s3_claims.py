"""Claims: how a book is published by one process at a time where the store knows no conditional writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.contracts.store_suite import crc32c, keys, parts_of
from tests.contracts.test_s3_only import MEBIBYTE, as_b2, as_garage, no_waiting, open_uploads  # noqa: F401

from pagebind.adapters.stores.retrying import LONGEST_WAIT, RetryingStore
from pagebind.adapters.stores.s3 import S3Store, connect
from pagebind.adapters.stores.s3_claims import CLAIMS, LIFETIME, Claims
from pagebind.adapters.stores.s3_errors import OutcomeUnknown
from pagebind.demo.store_proxy import Fault, StoreProxy
from pagebind.errors import ConditionFailed, KeyBusy, StoreUnavailable
from pagebind.ports.store import ABSENT, ObjectInfo, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.stores.s3_client import Client
    from pagebind.demo.object_stores import S3Server
    from pagebind.demo.store_calls import Call


class MemoryBucket:
    """As much of a bucket as claims need; every claim is made at ``now``. ``after`` may fail what has been done."""

    name, prefix = "work", ""

    def __init__(self) -> None:
        self.now = 1000.0
        self.held: dict[str, ObjectInfo] = {}
        self.after: Callable[[str], object] = lambda _: None

    def put(self, key: str, *_: object) -> ObjectInfo:
        self.held[key] = ObjectInfo(key, 0, "v", self.now)
        self.after("put")
        return self.held[key]

    def list(self, prefix: str, _after: str) -> Iterator[ObjectInfo]:
        return iter([info for key, info in sorted(self.held.items()) if key.startswith(prefix)])

    def delete(self, key: str, _conditions: object) -> None:
        self.after("delete")
        self.held.pop(key, None)


def unknown(*_: object) -> None:
    raise OutcomeUnknown("no answer")


@pytest.fixture
def bucket() -> Any:
    return MemoryBucket()


@pytest.fixture
def mine(bucket: Any) -> Claims:
    return Claims(bucket, bucket)


@pytest.fixture
def theirs(bucket: Any) -> Claims:
    return Claims(bucket, bucket)


def publish(claims: Claims, act: Callable[[], object] = lambda: None) -> None:
    with claims.held("b") as about_to_publish:
        about_to_publish()
        act()


class TestClaims:
    def test_keep_others_away_until_they_are_dead(self, bucket: Any, mine: Claims, theirs: Claims) -> None:
        with pytest.raises(OutcomeUnknown):
            publish(mine, unknown)
        assert len(bucket.held) == 1

        bucket.now += LIFETIME
        with theirs.held("c"):
            pass
        with pytest.raises(KeyBusy), theirs.held("b"):
            raise AssertionError("not alone")
        bucket.now += 1
        publish(theirs)
        assert len(bucket.held) == 1

        mine.sweep(bucket.now)
        assert bucket.held == {}

    @pytest.mark.parametrize("ends_by", [None, ConditionFailed])
    def test_do_not_keep_away_who_holds_them(
        self, bucket: Any, mine: Claims, ends_by: type[ConditionFailed] | None
    ) -> None:
        with pytest.raises(OutcomeUnknown):
            publish(mine, unknown)
        if ends_by is None:
            publish(mine)
        else:
            with pytest.raises(ConditionFailed), mine.held("b"):  # it looked, and what was to be written stands
                raise ConditionFailed("b")
        assert bucket.held == {}

    def test_keep_threads_of_one_process_apart(self, bucket: Any, mine: Claims) -> None:
        with mine.held("b"), pytest.raises(KeyBusy), mine.held("b"):
            raise AssertionError("not alone")
        assert bucket.held == {}

    @pytest.mark.parametrize(("age", "wait"), [(19.0, None), (100.0, LIFETIME - 100.0)])
    def test_old_ones_are_waited_for(
        self, bucket: Any, mine: Claims, theirs: Claims, age: float, wait: float | None
    ) -> None:
        with pytest.raises(OutcomeUnknown):
            publish(mine, unknown)
        bucket.now += age
        with pytest.raises(KeyBusy) as caught:
            publish(theirs)
        assert caught.value.path == "b"
        assert caught.value.retryable
        assert caught.value.retry_after == wait
        assert wait is None or wait > LONGEST_WAIT  # no use in putting the book together again at once

    @pytest.mark.parametrize("error", [ConditionFailed("no"), KeyboardInterrupt(), OutcomeUnknown("not asked yet")])
    def test_are_withdrawn_when_nothing_was_published(self, bucket: Any, mine: Claims, error: BaseException) -> None:
        with pytest.raises(type(error)), mine.held("b"):
            raise error
        assert bucket.held == {}

    @pytest.mark.parametrize("operation", ["put", "delete"])
    def test_whose_own_requests_fail_do_not_stand_in_the_way(self, bucket: Any, mine: Claims, operation: str) -> None:
        bucket.after = lambda done: unknown() if done == operation else None
        if operation == "put":
            with pytest.raises(OutcomeUnknown):
                publish(mine)
        else:
            publish(mine)
        assert len(bucket.held) == 1
        bucket.after = lambda _: None
        publish(mine)
        assert bucket.held == {}

    def test_a_request_of_theirs_that_fails_once_is_repeated(self, bucket: Any, mine: Claims) -> None:
        left = {"put", "delete"}

        def fail_once(done: str) -> None:
            if done in left:
                left.remove(done)
                unknown()

        bucket.after = fail_once
        publish(mine)
        assert (bucket.held, left) == ({}, set())

    def test_do_not_let_a_process_publish_that_was_held_up(self, bucket: Any) -> None:
        times = iter([0.0, 61.0])
        with pytest.raises(StoreUnavailable):
            publish(Claims(bucket, bucket, monotonic=lambda: next(times)))
        assert bucket.held == {}


@pytest.fixture(params=[as_b2, as_garage])
def open_library(
    request: pytest.FixtureRequest, s3_connect: Callable[[str], Client], s3_server: S3Server, s3_prefix: str
) -> Iterator[tuple[StoreProxy, Callable[[], RetryingStore]]]:
    """A proxy, and what makes a library as another process would."""
    clients = []
    with StoreProxy(s3_server) as proxy:

        def library() -> RetryingStore:
            client = connect(endpoint=proxy.url, region=None, addressing="auto", checksums="off", connections=4)
            clients.append(request.param(client))
            work = S3Store(client, "work", s3_prefix)
            return RetryingStore(S3Store(client, "library", s3_prefix, work=work))

        yield proxy, library
    for client in clients:
        client.close()


def is_publishing(call: Call) -> bool:
    return call.operation in {"PutObject", "CompleteMultipartUpload"} and call.key.endswith("/book")


class TestPublishing:
    @pytest.mark.parametrize("size", [MEBIBYTE, 9 * MEBIBYTE])
    @pytest.mark.parametrize("fault", [Fault(drop="before"), Fault(drop="after"), Fault(status=503)])
    @pytest.mark.parametrize("times", [1, 3])
    def test_a_lost_connection_ends_nothing(
        self,
        open_library: tuple[StoreProxy, Callable[[], RetryingStore]],
        size: int,
        fault: Fault,
        times: int,
    ) -> None:
        proxy, new = open_library
        library = new()
        inner: Any = library._inner
        parts = parts_of(inner._work, {"staging/1": bytes(size)})
        left = iter([fault] * times)
        proxy.on_call = lambda call: next(left, None) if is_publishing(call) else None
        whole = crc32c(bytes(size))

        made = library.assemble("book", parts, crc32c=whole, condition=ABSENT, metadata={"n": "1"})

        assert len(list(left)) < times
        standing = library.head("book")
        assert standing is not None
        assert standing.version == made.version
        assert keys(inner._work, "meta/") == open_uploads(inner) == []
        replaced = new().assemble("book", [b"2"], crc32c=crc32c(b"2"), condition=Version(made.version))
        assert replaced.version != made.version

    def test_nobody_else_publishes_while_the_store_may_still_be_at_it(
        self, open_library: tuple[StoreProxy, Callable[[], RetryingStore]]
    ) -> None:
        proxy, new = open_library
        first, second = new(), new()
        proxy.on_call = lambda call: Fault(drop="before") if is_publishing(call) else None
        with pytest.raises(OutcomeUnknown):
            first.assemble("book", [b"1"], crc32c=crc32c(b"1"), condition=ABSENT)
        proxy.reset()

        with pytest.raises(KeyBusy):
            second.assemble("book", [b"2"], crc32c=crc32c(b"2"), condition=ABSENT)
        second.assemble("other", [b"2"], crc32c=crc32c(b"2"), condition=ABSENT)
        first.assemble("book", [b"3"], crc32c=crc32c(b"3"), condition=ABSENT)

        assert first.get("book") == b"3"
        assert keys(first._inner._work, CLAIMS) == []  # type: ignore[attr-defined]
