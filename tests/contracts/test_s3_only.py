"""What only S3 has to be tried for: uploads in parts, relatives that lack conditions, refusals, lost answers."""

from __future__ import annotations

import io
import socket
import ssl
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import TYPE_CHECKING, Any, NamedTuple

import google_crc32c
import pytest
import stamina
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError, SSLError
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.store_suite import crc32c, keys, parts_of

from pagebind.adapters.stores import s3_metadata
from pagebind.adapters.stores.no_answer import NotTheStore
from pagebind.adapters.stores.s3 import S3Store, connect
from pagebind.adapters.stores.s3_bucket import Block, Content, UploadId
from pagebind.adapters.stores.s3_errors import NotOffered, OutcomeUnknown, Request, translated
from pagebind.adapters.stores.s3_upload import MOST_PARTS, PART_SIZE, part_size
from pagebind.core.crc32c import combine_all
from pagebind.core.zip_layout import local_header
from pagebind.demo.store_proxy import Fault, StoreProxy
from pagebind.errors import (
    AccessDenied,
    ConditionFailed,
    ConfigError,
    KeyMissing,
    KeyRefused,
    PartDamaged,
    StoreError,
    StoreUnavailable,
)
from pagebind.ports.store import ABSENT, ObjectInfo, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.stores.s3_client import Client
    from pagebind.demo.object_stores import S3Server

    Answer = Callable[[Any, str], AWSResponse | None]

MEBIBYTE = 2**20
CONDITIONS = ("If-None-Match", "If-Match")


class Sent(NamedTuple):
    """A request as it went out."""

    operation: str
    url: str
    length: int


class Wire:
    """A client's requests, watched, and answered in the store's place where a test says so."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sent: list[Sent] = []
        self.answer: Answer = lambda _request, _operation: None
        client.meta.events.register("before-send.s3", self._on_send)

    def operations(self) -> list[str]:
        return [sent.operation for sent in self.sent]

    def _on_send(self, request: Any, event_name: str, **_: object) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        self.sent.append(Sent(operation, request.url, int(request.headers.get("Content-Length", 0))))
        return self.answer(request, operation)


def refusal(request: Any, status: int, code: str) -> AWSResponse:
    """What a store answers to what it does not do."""
    return answering(request, status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode())


def answering(request: Any, status: int, body: bytes, **headers: str) -> AWSResponse:
    return AWSResponse(request.url, status, {"content-length": str(len(body)), **headers}, _Raw(body))


class _Raw(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


def as_garage(client: Client) -> Client:
    """It ignores conditions of writes."""

    def strip(params: dict[str, Any], **_: object) -> None:
        for name in CONDITIONS:
            params["headers"].pop(name, None)

    client.meta.events.register("before-call.s3", strip)
    return client


def as_b2(client: Client) -> Client:
    """It refuses them as unknown."""

    def refuse(request: Any, **_: object) -> AWSResponse | None:
        known = not any(name in request.headers for name in CONDITIONS)
        return None if known else refusal(request, 501, "NotImplemented")

    client.meta.events.register("before-send.s3", refuse)
    return client


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def fresh(s3_connect: Callable[[str], Client]) -> Client:
    """A client of the test's own, which it may tamper with."""
    return s3_connect("on")


@pytest.fixture
def wire(fresh: Client) -> Wire:
    return Wire(fresh)


@pytest.fixture
def work(wire: Wire, s3_prefix: str) -> S3Store:
    return S3Store(wire.client, "work", s3_prefix, conditional_writes="on")


@pytest.fixture
def library(wire: Wire, s3_prefix: str, work: S3Store) -> S3Store:
    return S3Store(wire.client, "library", s3_prefix, work=work)


def stored(work: S3Store, key: str, size: int, times: int = 1) -> tuple[list[StoredPart], int]:
    """One stored object as so many parts, and the CRC-32C of the whole."""
    part = parts_of(work, {key: bytes(range(256)) * (size // 256)})[0]
    return [part] * times, combine_all([(part.crc32c, part.size)] * times)


def open_uploads(store: S3Store) -> list[str]:
    return [upload.key for upload in store.bucket.uploads("")]


# -- parts


def test_parts_but_the_last_are_equal_and_the_whole_is_proved_by_the_store(
    wire: Wire, work: S3Store, library: S3Store
) -> None:
    parts, whole = stored(work, "staging/1", 5 * MEBIBYTE, 4)
    wire.sent.clear()

    made = library.assemble("b", parts, crc32c=whole, condition=ABSENT)

    lengths = Counter(sent.length for sent in wire.sent if sent.operation == "UploadPart")
    assert lengths == {PART_SIZE: 2, 4 * MEBIBYTE: 1}
    head = library.head("b")
    assert head is not None
    assert (head.version, head.crc32c) == (made.version, whole)
    assert crc32c(library.get("b")) == whole


def test_what_fits_one_part_takes_one_request(wire: Wire, work: S3Store, library: S3Store) -> None:
    parts, whole = stored(work, "staging/1", MEBIBYTE, 2)
    wire.sent.clear()

    library.assemble("b", parts, crc32c=whole, condition=ABSENT, content_type="image/x")

    assert sorted(wire.operations()) == ["GetObject", "GetObject", "PutObject"]
    assert wire.client.head_object(Bucket="library", Key=library.bucket.prefix + "b")["ContentType"] == "image/x"


def test_create_only_costs_one_request(wire: Wire, s3_prefix: str) -> None:
    store = S3Store(wire.client, "work", s3_prefix, conditional_writes="auto")
    store.put("o", b"content", condition=ABSENT)
    assert wire.operations() == ["PutObject"]


@given(st.integers(0, 5 * 2**40))
def test_no_object_has_too_many_parts(size: int) -> None:
    each = part_size(size)
    assert -(-size // each) <= MOST_PARTS
    assert PART_SIZE <= each <= 5 * 2**30
    assert each == PART_SIZE or -(-size // (each - MEBIBYTE)) > MOST_PARTS


@pytest.mark.slow
def test_memory_holds_a_few_parts_whatever_the_size(work: S3Store, library: S3Store) -> None:
    parts, whole = stored(work, "staging/1", 40 * MEBIBYTE, 5)

    tracemalloc.start()
    try:
        library.assemble("b", parts, crc32c=whole, condition=ABSENT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 9 * PART_SIZE


def test_an_entry_whose_own_header_disagrees_is_damaged(work: S3Store, library: S3Store) -> None:
    entry = local_header("1.jpg", 0xBAD, 5) + b"bytes"
    part = parts_of(work, {"staging/1": entry})[0]

    with pytest.raises(PartDamaged) as caught:
        library.assemble("b", [part], crc32c=part.crc32c, condition=ABSENT)
    assert caught.value.path == "staging/1"


# -- interrupted


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, ValueError])
def test_an_interrupted_stream_aborts_its_upload_and_no_other(work: S3Store, error: type[BaseException]) -> None:
    other = work.bucket.begin_upload("o", Content({}))

    def chunks() -> Iterator[bytes]:
        yield bytes(20 * MEBIBYTE)
        raise error

    with pytest.raises(error):
        work.put_stream("o", chunks())

    assert [(upload.key, upload.name) for upload in work.bucket.uploads("")] == [("o", other.name)]
    work.abandon("o")
    assert open_uploads(work) == keys(work) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("operation", ["GetObject", "UploadPart", "CompleteMultipartUpload"])
def test_an_interrupted_assembly_aborts_its_upload(
    wire: Wire, work: S3Store, library: S3Store, operation: str, error: type[BaseException]
) -> None:
    parts, whole = stored(work, "staging/1", 4 * MEBIBYTE, 5)
    wire.sent.clear()

    def interrupt(_request: Any, name: str) -> None:
        if name == operation and wire.operations().count(name) == (4 if name == "GetObject" else 1):
            raise error

    wire.answer = interrupt
    with pytest.raises(error):
        library.assemble("b", parts, crc32c=whole, condition=ABSENT)

    assert open_uploads(library) == keys(library) == []


def test_a_damaged_part_after_others_were_sent_aborts(work: S3Store, library: S3Store) -> None:
    parts, _ = stored(work, "staging/1", 4 * MEBIBYTE, 5)
    bad = parts_of(work, {"staging/2": b"good"})[0]._replace(crc32c=1)
    whole = combine_all((part.crc32c, part.size) for part in [*parts, bad])

    with pytest.raises(PartDamaged) as caught:
        library.assemble("b", [*parts, bad], crc32c=whole, condition=ABSENT)

    assert caught.value.path == "staging/2"
    assert open_uploads(library) == keys(library) == []


def test_a_writer_whose_upload_was_abandoned_begins_again(wire: Wire, work: S3Store, library: S3Store) -> None:
    parts, whole = stored(work, "staging/1", 4 * MEBIBYTE, 3)

    def abandon(_request: Any, operation: str) -> None:
        if operation == "CompleteMultipartUpload":
            library.abandon("b")

    wire.answer = abandon
    with pytest.raises(StoreUnavailable) as caught:
        library.assemble("b", parts, crc32c=whole, condition=ABSENT)
    assert caught.value.retryable


# -- relatives


@pytest.mark.parametrize("relative", [as_garage, as_b2])
@pytest.mark.parametrize("size", [MEBIBYTE, 9 * MEBIBYTE])
def test_of_five_assemblers_one_wins_where_no_condition_is_known(
    s3_connect: Callable[[str], Client],
    s3_prefix: str,
    relative: Callable[[Client], Client],
    size: int,
) -> None:
    clients = [relative(s3_connect("on")) for _ in range(5)]
    works = [S3Store(client, "work", s3_prefix) for client in clients]
    libraries = [S3Store(client, "library", s3_prefix, work=work) for client, work in zip(clients, works, strict=True)]
    parts = parts_of(works[0], {f"staging/{i}": bytes([i]) * size for i in range(5)})
    barrier = Barrier(5)

    def bind(worker: int) -> ObjectInfo | None:
        part, library = parts[worker], libraries[worker]
        barrier.wait(timeout=30)
        for _ in range(200):
            with suppress(StoreUnavailable):
                try:
                    return library.assemble("b", [part], crc32c=part.crc32c, condition=ABSENT, metadata={"w": "1"})
                except ConditionFailed:
                    return None
        raise AssertionError("nobody can publish")

    with ThreadPoolExecutor(5) as pool:
        won = [info for info in pool.map(bind, range(5)) if info]

    assert len(won) == 1
    assert crc32c(libraries[0].get("b")) == won[0].crc32c
    assert open_uploads(libraries[0]) == keys(works[0], "meta/") == []


@pytest.mark.parametrize("relative", [as_garage, as_b2])
def test_a_relative_keeps_versions_by_looking(
    wire: Wire,
    s3_prefix: str,
    relative: Callable[[Client], Client],
) -> None:
    work = S3Store(relative(wire.client), "work", s3_prefix)
    library = S3Store(wire.client, "library", s3_prefix, work=work)
    parts, whole = stored(work, "staging/1", MEBIBYTE)

    made = library.assemble("b", parts, crc32c=whole, condition=ABSENT)
    for condition in (ABSENT, Version("other")):
        with pytest.raises(ConditionFailed):
            library.assemble("b", parts, crc32c=whole, condition=condition)
        with pytest.raises(ConditionFailed):
            work.put("staging/1", b"", condition=condition)
    again = library.assemble("b", [*parts, b"!"], crc32c=_with_end(whole), condition=Version(made.version))
    with pytest.raises(ConditionFailed):
        library.delete("b", version=made.version)
    library.delete("b", version=again.version)

    assert keys(library) == keys(work, "meta/") == []
    assert sum("meta/probe/" in sent.url and sent.operation == "DeleteObject" for sent in wire.sent) <= 6
    assert len(library.lacks()) == 2


def test_conditions_are_tried_out_once(wire: Wire, s3_prefix: str) -> None:
    work = S3Store(wire.client, "work", s3_prefix)
    library = S3Store(wire.client, "library", s3_prefix, work=work)
    parts, whole = stored(work, "staging/1", MEBIBYTE)
    library.assemble("b", parts, crc32c=whole, condition=ABSENT)
    tried = sum("meta/probe/" in sent.url for sent in wire.sent)

    library.assemble("c", parts, crc32c=whole, condition=ABSENT)

    assert library.lacks() == work.lacks() == ()
    assert tried == sum("meta/probe/" in sent.url for sent in wire.sent) > 0
    assert keys(work, "meta/") == open_uploads(work) == []


def test_conditions_that_are_off_are_never_sent(wire: Wire, s3_prefix: str) -> None:
    store = S3Store(as_b2(wire.client), "work", s3_prefix, conditional_writes="off")
    first = store.put("o", b"1", condition=ABSENT)
    with pytest.raises(ConditionFailed):
        store.put("o", b"2", condition=ABSENT)
    store.delete("o", version=first.version)
    assert keys(store) == []
    assert len(store.lacks()) == 2


def test_lists_of_deletes_fall_back_to_keys(wire: Wire, work: S3Store) -> None:
    infos = [work.put(f"o/{i}", b"") for i in range(3)]
    wire.answer = lambda request, _: (
        refusal(request, 501, "NotImplemented") if b"<ETag>" in (request.body or b"") else None
    )

    work.delete_all(infos[:2])
    work.delete_all(infos[2:])

    assert keys(work) == []
    assert wire.operations().count("DeleteObjects") == 3


# -- answers


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_answer_to_the_completion_finds_its_own_work(
    s3_server: S3Server,
    s3_connect: Callable[[str], Client],
    s3_prefix: str,
    lost: int,
) -> None:
    with StoreProxy(s3_server) as proxy:
        client = connect(endpoint=proxy.url, region=None, addressing="auto", checksums="off", connections=4)
        work = S3Store(client, "work", s3_prefix, conditional_writes="on")
        library = S3Store(client, "library", s3_prefix, work=work)
        parts, whole = stored(work, "staging/1", 4 * MEBIBYTE, 3)
        left = iter([Fault(drop="after")] * lost)
        proxy.on_call = lambda call: next(left, None) if call.operation == "CompleteMultipartUpload" else None

        made = library.assemble("b", parts, crc32c=whole, condition=ABSENT, metadata={"n": "1"})

        assert made == library.head("b")._replace(crc32c=whole)  # type: ignore[union-attr]
        client.close()


@pytest.mark.parametrize(("operation", "size"), [("PutObject", 1), ("CompleteMultipartUpload", 9)])
@pytest.mark.parametrize("conflicts", [1, 100])
def test_a_conflict_begins_the_write_once_more(
    wire: Wire, work: S3Store, library: S3Store, operation: str, size: int, conflicts: int
) -> None:
    parts, whole = stored(work, "staging/1", size * MEBIBYTE)
    left = iter(range(conflicts))

    def conflict(request: Any, name: str) -> AWSResponse | None:
        if name == operation and next(left, None) is not None:
            return refusal(request, 409, "ConditionalRequestConflict")
        return None

    wire.answer = conflict
    if conflicts == 1:
        library.assemble("b", parts, crc32c=whole, condition=ABSENT)
        assert keys(library) == ["b"]
    else:
        with pytest.raises(StoreUnavailable) as caught:
            library.assemble("b", parts, crc32c=whole, condition=ABSENT)
        assert caught.value.retryable
        assert keys(library) == []
    assert open_uploads(library) == []


def test_what_vanishes_while_it_is_listed_is_left_out(wire: Wire, work: S3Store) -> None:
    for name in "abc":
        work.put(name, b"")
    wire.answer = lambda request, _: refusal(request, 404, "NoSuchKey") if "/b" in request.url[-3:] else None
    assert [info.key for info in work.list(metadata=True)] == ["a", "c"]


def test_an_account_that_may_only_read_is_told_what_it_lacks(
    s3_server: S3Server,
    work: S3Store,
    library: S3Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts, whole = stored(work, "staging/1", 9 * MEBIBYTE)
    info = work.put("o", b"content")
    for name, value in s3_server.reader_environment().items():
        monkeypatch.setenv(name, value)
    client = connect(endpoint=s3_server.url, region=None, addressing="auto", checksums="on", connections=4)
    reader = S3Store(client, "work", work.bucket.prefix)

    assert reader.get("o") == b"content"
    with pytest.raises(ConditionFailed):
        reader.put("o", b"other", condition=ABSENT)
    with pytest.raises(ConditionFailed):
        reader.assemble("o", parts, crc32c=whole, condition=ABSENT)
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: reader.put("new", b"", condition=ABSENT), "s3:PutObject"),
        (lambda: reader.assemble("new", parts, crc32c=whole, condition=ABSENT), "s3:PutObject"),
        (lambda: reader.delete("o"), "s3:DeleteObject"),
        (lambda: reader.delete_all([info]), "s3:DeleteObject"),
        (reader.lacks, "s3:PutObject"),
    ]
    for call, permission in refused:
        with pytest.raises(AccessDenied) as caught:
            call()
        assert permission in caught.value.fix
        assert not caught.value.retryable
    assert work.get("o") == b"content"
    client.close()


def test_a_bucket_that_is_not_there_is_named(fresh: Client) -> None:
    store = S3Store(fresh, "no-such-bucket")
    for call in (lambda: list(store.list()), lambda: store.get("o"), lambda: list(store.stream("o"))):
        with pytest.raises(AccessDenied, match="no-such-bucket"):
            call()


@pytest.mark.parametrize("name", ["", "Bad Bucket!"])
def test_a_bucket_that_none_can_be_called_is_not_asked_for(wire: Wire, name: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        S3Store(wire.client, name).put("o", b"")
    assert "correct the bucket in [store]" in caught.value.fix
    assert wire.sent == []


@pytest.mark.parametrize(
    ("status", "code", "error", "fix"),
    [
        (403, "AccessDenied", AccessDenied, "allow this account s3:GetObject on the bucket b, and s3:ListBucket"),
        (403, "403", AccessDenied, "check the access key and the secret key; allow this account s3:GetObject"),
        (403, "AllAccessDisabled", AccessDenied, "see the account"),
        (403, "AccountProblem", AccessDenied, "see the account"),
        (403, "SignatureDoesNotMatch", AccessDenied, "secret key"),
        (403, "InvalidAccessKeyId", AccessDenied, "access key"),
        (400, "ExpiredToken", AccessDenied, "renew"),
        (403, "RequestTimeTooSkewed", AccessDenied, "clock"),
        (400, "AuthorizationHeaderMalformed", AccessDenied, 'region = "eu-west-9"'),
        (301, "PermanentRedirect", AccessDenied, 'region = "eu-west-9"'),
        (404, "NoSuchBucket", AccessDenied, "[store]"),
        (404, "NoSuchKey", KeyMissing, ""),
        (412, "PreconditionFailed", ConditionFailed, ""),
        (400, "KeyTooLongError", KeyRefused, "another name"),
        (503, "SlowDown", OutcomeUnknown, "try again later"),
        (500, "InternalError", OutcomeUnknown, "try again later"),
        (500, "500", OutcomeUnknown, "is [store] endpoint that of an S3 server?"),
        (200, "InternalError", OutcomeUnknown, ""),
        (400, "BadDigest", StoreUnavailable, ""),
        (400, "400", StoreUnavailable, "region"),
        (501, "501", NotOffered, "is [store] endpoint that of an S3 server?"),
        (501, "NotImplemented", NotOffered, "another one"),
        (405, "405", NotTheStore, "is [store] endpoint that of an S3 server?"),
        (507, "XMinioStorageFull", StoreUnavailable, "free space"),
    ],
)
def test_answers_in_plain_words(status: int, code: str, error: type[StoreError], fix: str) -> None:
    answer = {
        "Error": {"Code": code, "Message": "AKIDSECRET", "Region": "eu-west-9", "SignatureProvided": "AKIDSECRET"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "7"}},
    }
    with pytest.raises(error) as caught, translated(REQUEST):
        raise ClientError(answer, "GetObject")
    assert type(caught.value) is error
    assert fix in caught.value.fix
    assert "see the account" in fix or "see the account" not in caught.value.fix
    assert caught.value.path == "k"
    assert "AKIDSECRET" not in f"{caught.value.message} {caught.value.fix}"
    assert f"{status} {status}" not in caught.value.message
    may_pass = error is OutcomeUnknown or code in {"XMinioStorageFull", "400"}
    assert caught.value.retry_after == (7.0 if may_pass else None)


ADDRESS = "https://user:word@host:9000/p?X-Amz-Signature=word"
REQUEST = Request("b", "s3:GetObject", ADDRESS, "k")


@pytest.mark.parametrize(
    ("cause", "reason", "fix"),
    [
        (ConnectionRefusedError(111, "word"), "connection refused", "that the server runs, and [store] endpoint"),
        (socket.gaierror(-2, "word"), "no such host", "[store] endpoint"),
        (ssl.SSLCertVerificationError("word"), "its certificate is not trusted", "AWS_CA_BUNDLE"),
        (ssl.SSLError("wrong version number word"), "TLS fails", "is it http://host:9000?"),
        (TimeoutError("word"), "timed out", "try again later"),
        (ConnectionResetError("word"), "the connection broke off", "try again later"),
        (None, "no connection", "check the network"),
    ],
)
def test_no_answer_leaves_the_outcome_unknown_and_says_why(cause: OSError | None, reason: str, fix: str) -> None:
    kind = SSLError if isinstance(cause, ssl.SSLError) else EndpointConnectionError
    with pytest.raises(OutcomeUnknown) as caught, translated(REQUEST):
        raise kind(endpoint_url=ADDRESS, error=cause)
    assert caught.value.message == f"s3://b: no answer from https://host:9000 ({reason})"
    assert fix in caught.value.fix
    assert "word" not in caught.value.message + caught.value.fix


ASKED: dict[str, Callable[[S3Store], object]] = {
    "put": lambda store: store.put("o", b"1"),
    "head": lambda store: store.head("o"),
    "get": lambda store: store.get("o"),
    "stream": lambda store: list(store.stream("o")),
    "stream of a range": lambda store: list(store.stream("o", start=1)),
    "list": lambda store: list(store.list()),
    "uploads": lambda store: store.abandon("o"),
    "begin": lambda store: store.bucket.begin_upload("o", Content({})),
    "part": lambda store: store.bucket.send_part(UploadId("o", "u"), 1, Block(b"1", crc32c(b"1"))),
    "complete": lambda store: store.bucket.complete(UploadId("o", "u"), [], 0, Content({}), {}),
    "part of a book": lambda store: store.assemble("b", [StoredPart("o", "v", 13, 1)], crc32c=1, condition=ABSENT),
}


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("body", [b"<html></html>", b"<a><b>1</b></a>", b""])
def test_a_web_server_that_answers_200_to_anything_is_no_store(
    wire: Wire, work: S3Store, ask: str, body: bytes
) -> None:
    wire.answer = lambda request, _: answering(request, 200, body, **{"content-type": "text/html"})
    with pytest.raises(NotTheStore, match=r"s3://work: http://127\.0\.0\.1:\d+ answers, but not as S3 does") as caught:
        ASKED[ask](work)
    assert "endpoint" in caught.value.fix
    assert not caught.value.retryable


def test_a_range_that_is_ignored_gives_no_wrong_bytes(wire: Wire, work: S3Store) -> None:
    wire.answer = lambda request, _: answering(request, 200, b"whole", etag='"v"')
    with pytest.raises(NotTheStore):
        list(work.stream("o", start=2))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404])
def test_a_web_server_that_knows_no_bucket_is_no_store(wire: Wire, work: S3Store, status: int) -> None:
    wire.answer = lambda request, _: answering(request, status, b"<!doctype html><p>no")
    with pytest.raises(NotTheStore, match=f"answers {status}, and no word of S3") as caught:
        list(work.list())
    assert "S3 server" in caught.value.fix
    assert wire.operations() == ["ListObjectsV2"]


def test_what_has_no_type_is_binary(wire: Wire, work: S3Store) -> None:
    work.put("o", b"text")
    work.put_stream("p", iter([bytes(PART_SIZE), b"1"]))
    for key in ("o", "p"):
        head = wire.client.head_object(Bucket="work", Key=work.bucket.prefix + key)
        assert head["ContentType"] == "application/octet-stream"


# -- metadata


@given(st.dictionaries(st.text(), st.text()))
def test_metadata_goes_through_headers_as_it_is(metadata: dict[str, str]) -> None:
    encoded = s3_metadata.encode(metadata)
    assert s3_metadata.decode(encoded) == metadata
    for text in (*encoded, *encoded.values()):
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text
    assert all(encoded.values())


def test_metadata_that_is_no_text_reads_as_none() -> None:
    assert s3_metadata.decode({"k": "%FF"}) == {}


# -- connecting


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No credentials from anywhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere/at/all")
    return monkeypatch


def _connect(endpoint: str | None = None, **chosen: str) -> Client:
    words = {"addressing": "auto", "checksums": "auto"} | chosen
    return connect(endpoint=endpoint, region=None, connections=3, **words)


def test_no_credentials_are_said_in_one_line(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        _connect()
    assert "AWS_ACCESS_KEY_ID" in caught.value.fix
    bare.setenv("AWS_ACCESS_KEY_ID", "id")
    with pytest.raises(ConfigError, match="one half is missing: AWS_SECRET_ACCESS_KEY"):
        _connect()
    bare.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="no AWS profile nobody") as caught:
        _connect()
    assert "AWS_PROFILE" in caught.value.fix


def test_an_endpoint_that_is_no_url(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "id")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(ConfigError, match="no URL"):
        _connect("nowhere")


def test_a_store_that_says_nothing_gives_its_error_soon(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "id")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert _connect().meta.config.read_timeout <= 25


@pytest.mark.parametrize("by_environment", [False, True])
def test_defaults_at_aws_and_at_relatives(bare: pytest.MonkeyPatch, *, by_environment: bool) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "id")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    aws = _connect()
    if by_environment:
        bare.setenv("AWS_ENDPOINT_URL", "https://s3.example.org")
    relative = _connect(None if by_environment else "https://s3.example.org")

    def url(client: Client) -> str:
        return str(client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "k"}))

    assert url(aws).startswith("https://bucket.s3.")
    assert url(relative).startswith("https://s3.example.org/bucket/k")
    assert url(_connect("https://s3.example.org", addressing="virtual")).startswith("https://bucket.s3.example.org/k")
    assert aws.meta.region_name == relative.meta.region_name == "us-east-1"
    sent = [client.meta.config.request_checksum_calculation for client in (aws, relative, _connect(checksums="off"))]
    assert sent == ["when_supported", "when_required", "when_required"]
    assert S3Store(aws, "b").lacks() == ()
    assert aws.meta.config.retries["total_max_attempts"] == 1


def _with_end(whole: int) -> int:
    return int(google_crc32c.extend(whole, b"!"))
