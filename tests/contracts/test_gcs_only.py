"""What Google Cloud Storage is asked for, in how many requests, and what becomes of its refusals."""

from __future__ import annotations

import base64
import gc
import io
import json
import math
import socket
import ssl
import traceback
import tracemalloc
import uuid
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import stamina
import urllib3
from google.auth.exceptions import RefreshError
from requests.adapters import HTTPAdapter
from tests.contracts.store_suite import crc32c, keys, parts_of

from pagebind.adapters.stores.gcs import GcsStore, connect
from pagebind.adapters.stores.gcs_upload import PIECE
from pagebind.adapters.stores.no_answer import NotTheStore
from pagebind.core.crc32c import combine_all
from pagebind.errors import (
    AccessDenied,
    ConditionFailed,
    ConfigError,
    KeyRefused,
    PartDamaged,
    StoreUnavailable,
)
from pagebind.ports.store import ABSENT, ObjectInfo, Part, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.demo.object_stores import GcsServer
    from pagebind.demo.store_proxy import StoreProxy

    Answer = requests.Response | None
    Tamper = Callable[[requests.PreparedRequest], Answer]

BOOK_TYPE = "application/vnd.comicbook+zip"


class Wire(HTTPAdapter):
    """The way to the server: counts what passes, by kind, and lets a test answer in the server's place.

    ``before`` may answer instead of the server; ``after`` is told of what the server has done, and may raise.
    """

    def __init__(self) -> None:
        super().__init__(pool_maxsize=16)
        self.seen: list[str] = []
        self.bodies: list[Any] = []
        self.patience: list[Any] = []
        self.before: Tamper = lambda _: None
        self.after: Callable[[requests.PreparedRequest], object] = lambda _: None

    def send(self, request: requests.PreparedRequest, *words: Any, **named: Any) -> requests.Response:
        self.seen.append(kind_of(request))
        self.bodies.append(request.body)
        self.patience.append(named["timeout"])
        answer = self.before(request)
        if answer is None:
            answer = super().send(request, *words, **named)
            try:
                self.after(request)
            except BaseException:
                answer.close()
                raise
        return answer

    def answer(self, request: requests.PreparedRequest, status: int, body: bytes, **headers: str) -> requests.Response:
        raw = urllib3.HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)
        return self.build_response(request, raw)

    def count(self, kind: str) -> int:
        return self.seen.count(kind)

    def forget(self) -> None:
        self.seen.clear()
        self.bodies.clear()
        self.patience.clear()

    def refuses(self, kind: str, status: int, message: str = "no", **headers: str) -> None:
        """From now on, requests of this kind are refused."""
        body = json.dumps({"error": {"code": status, "message": message}}).encode()

        def refuse(request: requests.PreparedRequest) -> Answer:
            return self.answer(request, status, body, **headers) if kind_of(request) == kind else None

        self.before = refuse


def kind_of(request: requests.PreparedRequest) -> str:
    parts = urlsplit(request.url or "")
    for word in ("/compose", "/rewriteTo/"):
        if word in parts.path:
            return word.strip("/").removesuffix("To")
    query = parse_qs(parts.query)
    if parts.path.startswith("/upload/"):
        return query["uploadType"][0] if request.method == "POST" else "piece"
    if request.method == "GET":
        return "list" if "/o/" not in parts.path else "read" if "alt" in query else "look"
    return str(request.method).lower()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with stamina.set_testing(True, attempts=4, cap=True):
        yield Wire()


@pytest.fixture
def client(gcs_proxy: StoreProxy, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_proxy.url)
    client = connect(connections=16)
    client._http.mount("http://", wire)
    return client


@pytest.fixture
def bucket(gcs_server: GcsServer) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    gcs_server.create_bucket(name)
    return name


@pytest.fixture
def work(client: Any, bucket: str) -> GcsStore:
    return GcsStore(client, bucket, "work/")


@pytest.fixture
def library(client: Any, gcs_server: GcsServer, bucket: str, work: GcsStore) -> GcsStore:
    gcs_server.create_bucket(f"{bucket}-library")
    return GcsStore(client, f"{bucket}-library", "some/books/", work=work)


def entries(work: GcsStore, count: int) -> list[Part]:
    """So many parts in staging, and a tail."""
    return [*parts_of(work, {f"staging/v/{i:05}.entry": b"%05d" % i * (i % 7) for i in range(count)}), b"tail"]


def whole_crc32c(parts: list[Part]) -> int:
    return combine_all(
        (part.crc32c, part.size) if isinstance(part, StoredPart) else (crc32c(part), len(part)) for part in parts
    )


def bind(store: GcsStore, parts: list[Part]) -> ObjectInfo:
    return store.assemble(
        "books/b.cbz",
        parts,
        crc32c=whole_crc32c(parts),
        condition=ABSENT,
        metadata={"volume": "v"},
        content_type=BOOK_TYPE,
    )


class TestRequests:
    @pytest.mark.parametrize("count", [1, 31, 32, 200])
    def test_a_book_takes_the_fewest_composes_and_reads_nothing(
        self, work: GcsStore, library: GcsStore, wire: Wire, count: int
    ) -> None:
        parts = entries(work, count)
        wire.forget()

        made = bind(library, parts)

        composes = math.ceil(count / 31)
        assert sorted(wire.seen) == sorted(
            ["multipart"] + ["compose"] * composes + ["rewrite"] + ["delete"] * (composes + 1)
        )
        assert made.crc32c == whole_crc32c(parts)
        assert library.get("books/b.cbz") == b"".join(b"%05d" % i * (i % 7) for i in range(count)) + b"tail"
        assert len(keys(work)) == count

    def test_every_source_is_pinned_and_nothing_is_deleted_with_it(self, work: GcsStore, wire: Wire) -> None:
        parts = entries(work, 2)
        wire.forget()
        bind(work, parts)

        request = json.loads(wire.bodies[wire.seen.index("compose")])
        assert [source["objectPreconditions"]["ifGenerationMatch"] for source in request["sourceObjects"][:2]] == [
            int(part.version) for part in parts if isinstance(part, StoredPart)
        ]
        assert all("objectPreconditions" in source for source in request["sourceObjects"])
        assert "deleteSourceObjects" not in request

    def test_a_single_part_is_looked_at_and_published(self, work: GcsStore, library: GcsStore, wire: Wire) -> None:
        parts = entries(work, 4)[3:4]
        wire.forget()
        bind(library, [b"", *parts])
        assert wire.seen == ["look", "rewrite"]

    def test_bytes_alone_are_a_plain_write(self, library: GcsStore, wire: Wire) -> None:
        assert bind(library, [b"one", b"", b"two"]).size == 6
        assert wire.seen == ["multipart"]
        with pytest.raises(PartDamaged):
            library.assemble("books/c.cbz", [b"one"], crc32c=1, condition=ABSENT)

    def test_small_writes_reads_and_deletes_take_one_each(self, work: GcsStore, wire: Wire) -> None:
        info = work.put("o", b"content", condition=ABSENT, metadata={"n": "1"})
        work.get("o")
        list(work.stream("o", start=2, length=3))
        work.head("o")
        work.put_stream("p", iter([b"con", b"tent"]))
        work.delete_all([info, info._replace(key="never"), info._replace(key="p"), info._replace(version="odd")])
        assert wire.seen == ["multipart", "read", "read", "look", "multipart", "delete", "delete", "delete"]
        assert keys(work) == ["p"]

    def test_small_requests_wait_less_for_their_answer(self, work: GcsStore, library: GcsStore, wire: Wire) -> None:
        work.put("o", b"content")
        work.get("o")
        list(work.stream("o"))
        work.head("o")
        list(work.list())
        work.delete("o")
        assert set(wire.patience) == {(10, 20)}
        wire.forget()
        work.put("o", bytes(2**20))
        bind(library, entries(work, 2))
        patience = dict(zip(wire.seen, wire.patience, strict=True))
        assert patience["compose"] == patience["rewrite"] == wire.patience[0] == (10, 60)

    def test_a_rewrite_goes_on_by_its_token(self, work: GcsStore, library: GcsStore, wire: Wire) -> None:
        parts = entries(work, 1)[:1]
        tokens = []

        def half_done(request: requests.PreparedRequest) -> Answer:
            if kind_of(request) != "rewrite":
                return None
            tokens.append(parse_qs(urlsplit(request.url or "").query).get("rewriteToken"))
            unfinished = {"done": False, "totalBytesRewritten": "1", "objectSize": "2", "rewriteToken": "next"}
            return wire.answer(request, 200, json.dumps(unfinished).encode()) if len(tokens) == 1 else None

        wire.before = half_done
        bind(library, parts)
        assert tokens == [None, ["next"]]


class TestWhatIsPublished:
    def test_has_type_and_metadata_and_those_alone(self, work: GcsStore, library: GcsStore, client: Any) -> None:
        made = bind(library, entries(work, 3))
        blob = library._bucket.get_blob("some/books/books/b.cbz")
        assert (blob.content_type, blob.metadata) == (BOOK_TYPE, {"volume": "v"})
        assert str(blob.generation) == made.version

    def test_entries_are_binary(self, work: GcsStore, client: Any) -> None:
        work.put("o", b"x")
        work.put_stream("p", iter([bytes(PIECE), b"x"]))
        for key in ("o", "p"):
            assert (
                client.bucket(work._bucket.name).get_blob(work._prefix + key).content_type == "application/octet-stream"
            )


class TestNothingIsLeft:
    """Whatever ends an assemble, at whichever request, before it is done or after."""

    @pytest.mark.parametrize("error", [KeyboardInterrupt, requests.ConnectionError])
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_when_it_is_broken_off(
        self, work: GcsStore, library: GcsStore, wire: Wire, error: type[BaseException], moment: str
    ) -> None:
        parts = entries(work, 40)
        standing = keys(work)
        for k in range(4):  # a tail, two composes, a rewrite
            passed = 0

            def break_off(request: requests.PreparedRequest, k: int = k) -> Answer:
                nonlocal passed
                if kind_of(request) == "delete":
                    return None
                passed += 1
                if passed > k:
                    raise error
                return None

            setattr(wire, moment, break_off)
            with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else StoreUnavailable):
                bind(library, parts)
            setattr(wire, moment, lambda _: None)
            assert keys(work) == standing
            assert keys(library) == (["books/b.cbz"] if (k, moment) == (3, "after") else [])
            library.delete("books/b.cbz")

    def test_when_a_temporary_cannot_be_removed_the_book_stands(
        self, work: GcsStore, library: GcsStore, wire: Wire
    ) -> None:
        parts = entries(work, 2)
        wire.refuses("delete", 503)
        assert bind(library, parts).key == "books/b.cbz"


class TestParts:
    def test_a_part_swapped_between_two_calls_is_named(self, work: GcsStore, library: GcsStore, wire: Wire) -> None:
        parts = entries(work, 70)

        def swap(request: requests.PreparedRequest) -> Answer:
            if kind_of(request) == "compose" and "/00003.entry" in str(request.body):
                wire.before = lambda _: None
                work.put("staging/v/00003.entry", work.get("staging/v/00003.entry"))
            return None

        wire.before = swap
        with pytest.raises(PartDamaged) as caught:
            bind(library, parts)
        assert caught.value.path == "staging/v/00003.entry"
        assert (len(keys(work)), keys(library)) == (70, [])

    @pytest.mark.parametrize("count", [1, 3, 40])
    def test_bytes_that_differ_from_the_record_are_found_before_anything_is_published(
        self, work: GcsStore, library: GcsStore, wire: Wire, count: int
    ) -> None:
        parts = entries(work, count)[:count]
        part = parts[-1]
        assert isinstance(part, StoredPart)
        swapped = work.put(part.key, bytes(part.size + 1)[1:] if part.size else b"x")
        parts[-1] = part._replace(version=swapped.version)
        wire.forget()
        with pytest.raises(PartDamaged) as caught:
            bind(library, parts)
        assert caught.value.path == part.key
        assert wire.count("rewrite") == 0

    def test_a_whole_that_was_never_to_be_costs_looks_alone(
        self, work: GcsStore, library: GcsStore, wire: Wire
    ) -> None:
        parts = entries(work, 3)
        wire.forget()
        with pytest.raises(PartDamaged) as caught:
            library.assemble("books/b.cbz", parts, crc32c=1, condition=ABSENT)
        assert caught.value.path == "books/b.cbz"
        assert wire.seen == ["look"] * 3

    def test_temporaries_that_vanish_are_no_damage(self, work: GcsStore, library: GcsStore, wire: Wire) -> None:
        parts = entries(work, 3)

        def clear(request: requests.PreparedRequest) -> Answer:
            if kind_of(request) == "rewrite":
                wire.before = lambda _: None
                for key in keys(work):
                    if key.endswith(".composite"):
                        work.delete(key)
            return None

        wire.before = clear
        with pytest.raises(StoreUnavailable, match="removed meanwhile") as caught:
            bind(library, parts)
        assert caught.value.retryable


ASKED: dict[str, Callable[[GcsStore, list[Part]], object]] = {
    "put": lambda store, _: store.put("o", b""),
    "large put": lambda store, _: store.put_stream("o", iter([bytes(PIECE + 1)])),
    "head": lambda store, _: store.head("o"),
    "get": lambda store, _: store.get("o"),
    "stream": lambda store, _: list(store.stream("o")),
    "list": lambda store, _: list(store.list()),
    "compose": bind,
}

NOTHING_LISTED = ("list", b"{}")


class TestRefusals:
    FORBIDDEN = "x@y does not have storage.objects.delete access to the Google Cloud Storage object."

    @pytest.mark.parametrize("large", [False, True])
    def test_forbidden_because_something_stands_there(
        self, work: GcsStore, wire: Wire, bucket: str, *, large: bool
    ) -> None:
        work.put("o", b"1")
        wire.refuses("resumable" if large else "multipart", 403, self.FORBIDDEN)

        def write(key: str) -> None:
            work.put_stream(key, iter([bytes(PIECE + 1 if large else 1)]), condition=ABSENT)

        with pytest.raises(ConditionFailed):
            write("o")
        with pytest.raises(AccessDenied) as caught:
            write("never")
        assert f"storage.objects.delete on the bucket {bucket}" in caught.value.fix
        assert "x@y" not in caught.value.message + caught.value.fix

    def test_forbidden_to_publish_because_something_stands_there(
        self, work: GcsStore, library: GcsStore, wire: Wire
    ) -> None:
        parts = entries(work, 2)
        wire.refuses("rewrite", 403, self.FORBIDDEN)
        with pytest.raises(AccessDenied):
            bind(library, parts)
        wire.before = lambda _: None
        library.put("books/b.cbz", b"")
        wire.refuses("rewrite", 403, self.FORBIDDEN)
        with pytest.raises(ConditionFailed):
            bind(library, parts)

    def test_forbidden_to_look_too(self, work: GcsStore, wire: Wire) -> None:
        wire.before = lambda request: wire.answer(request, 403, b"{}")
        with pytest.raises(AccessDenied) as caught:
            work.put("o", b"", condition=ABSENT)
        assert "storage.objects.create" in caught.value.fix

    @pytest.mark.parametrize(
        ("act", "permission"),
        [
            (lambda store: store.put("o", b""), "storage.objects.create"),
            (lambda store: store.get("o"), "storage.objects.get"),
            (lambda store: list(store.stream("o")), "storage.objects.get"),
            (lambda store: store.head("o"), "storage.objects.get"),
            (lambda store: list(store.list()), "storage.objects.list"),
            (lambda store: store.delete("o"), "storage.objects.delete"),
            (lambda store: store.delete_all([ObjectInfo("o", 1, "1", 0.0)]), "storage.objects.delete"),
        ],
    )
    def test_names_the_permission_that_is_missing(
        self, work: GcsStore, wire: Wire, act: Callable[[GcsStore], object], permission: str
    ) -> None:
        wire.before = lambda request: wire.answer(request, 403, b"Forbidden")
        with pytest.raises(AccessDenied) as caught:
            act(work)
        assert caught.value.fix.startswith(f"grant {permission} on the bucket {work._bucket.name} to this account")
        assert not caught.value.retryable

    def test_a_bucket_that_is_not_there(self, client: Any, wire: Wire) -> None:
        store = GcsStore(client, "no-such-bucket")
        for act in (
            lambda: store.put("o", b""),
            lambda: store.put_stream("o", iter([bytes(PIECE + 1)])),
            lambda: list(store.list()),
        ):
            with pytest.raises(StoreUnavailable, match="no-such-bucket is missing, or not visible"):
                act()
        for kind, look in (("look", store.head), ("read", store.get)):  # as Google words it
            wire.refuses(kind, 404, "The specified bucket does not exist.")
            with pytest.raises(StoreUnavailable, match="missing"):
                look("o")

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_passing_trouble_may_be_tried_again(self, work: GcsStore, wire: Wire, status: int) -> None:
        wire.refuses("multipart", status, **{"Retry-After": "7"})
        with pytest.raises(StoreUnavailable) as caught:
            work.put("o", b"")
        assert (caught.value.retryable, caught.value.retry_after, caught.value.path) == (True, 7.0, "o")

    @pytest.mark.parametrize(
        "error", [requests.ConnectionError(), requests.ReadTimeout(), requests.exceptions.ChunkedEncodingError()]
    )
    def test_no_answer(self, work: GcsStore, wire: Wire, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(request: requests.PreparedRequest) -> Answer:
            raise error

        wire.before = fail
        for act in (lambda: work.put("o", b""), lambda: next(work.stream("o")), lambda: next(work.list())):
            with pytest.raises(StoreUnavailable, match=r"^STORAGE_EMULATOR_HOST=http:.* does not answer") as caught:
                act()
            assert caught.value.retryable
        monkeypatch.delenv("STORAGE_EMULATOR_HOST")
        with pytest.raises(StoreUnavailable, match=r"^Google Cloud Storage does not answer"):
            work.head("o")

    @pytest.mark.parametrize(
        ("cause", "why"),
        [
            (urllib3.exceptions.NewConnectionError(None, "word"), "no connection"),  # type: ignore[arg-type]
            (ConnectionRefusedError(111, "word"), "connection refused"),
            (socket.gaierror(-2, "word"), "no such host"),
            (ssl.SSLError("word"), "TLS fails"),
            (ssl.SSLCertVerificationError("word"), "its certificate is not trusted"),
            (TimeoutError("word"), "timed out"),
            (urllib3.exceptions.ReadTimeoutError(None, "", "word"), "timed out"),  # type: ignore[arg-type]
            (urllib3.exceptions.ProtocolError("word", RemoteDisconnected("word")), "the connection broke off"),
        ],
    )
    def test_why_no_answer_came(
        self, work: GcsStore, wire: Wire, cause: Exception, why: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://user:word@127.0.0.1:9/word?word")

        def fail(request: requests.PreparedRequest) -> Answer:
            reason = urllib3.exceptions.MaxRetryError(None, "/?word", cause)  # type: ignore[arg-type]
            raise requests.ConnectionError(reason)

        wire.before = fail
        with pytest.raises(StoreUnavailable) as caught:
            work.head("o")
        assert caught.value.message.startswith("STORAGE_EMULATOR_HOST=http://127.0.0.1:9 does not answer for o in ")
        assert caught.value.message.endswith(f": {why}")
        assert "STORAGE_EMULATOR_HOST" in caught.value.fix
        assert "word" not in caught.value.message + caught.value.fix

    @pytest.mark.parametrize(
        ("act", "body"),
        [
            (act, body)
            for act in ASKED
            for body in (b"<html></html>", b"", b"[]", b"{}")
            if (act, body) != NOTHING_LISTED
        ],
    )
    def test_a_web_server_that_answers_200_to_anything_is_no_store(
        self, work: GcsStore, library: GcsStore, wire: Wire, act: str, body: bytes
    ) -> None:
        parts = entries(work, 2)
        headers = {"Location": "http://127.0.0.1:1/upload/o?uploadType=resumable&upload_id=1"}
        wire.before = lambda request: wire.answer(request, 200, body, **headers)
        with pytest.raises(NotTheStore, match="but not as Google Cloud Storage does") as caught:
            ASKED[act](library, parts)
        assert not caught.value.retryable
        assert caught.value.fix == "correct STORAGE_EMULATOR_HOST"

    def test_an_emulator_without_a_scheme(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
        store = GcsStore(connect(connections=1), bucket)
        for act in (store.list, lambda: [store.head("o")], lambda: store.stream("o")):
            with pytest.raises(NotTheStore, match=r"STORAGE_EMULATOR_HOST=127\.0\.0\.1:9 is no URL") as caught:
                list(act())
            assert "http://" in caught.value.fix

    def test_a_target_bucket_that_is_missing_is_named(self, client: Any, work: GcsStore, wire: Wire) -> None:
        parts = entries(work, 3)
        before = keys(work)
        wire.forget()
        with pytest.raises(AccessDenied, match="the bucket no-such-bucket is missing"):
            bind(GcsStore(client, "no-such-bucket", work=work), parts)
        assert wire.count("list") == 1
        assert keys(work) == before

    def test_a_target_bucket_that_may_not_be_looked_at(self, client: Any, work: GcsStore, wire: Wire) -> None:
        parts = entries(work, 3)
        wire.refuses("list", 403)
        with pytest.raises(StoreUnavailable, match="removed meanwhile"):
            bind(GcsStore(client, "no-such-bucket", work=work), parts)

    @pytest.mark.parametrize("how", ["status", "refresh"])
    def test_credentials_refused(self, work: GcsStore, wire: Wire, how: str) -> None:
        def refuse(request: requests.PreparedRequest) -> Answer:
            if how == "refresh":
                raise RefreshError("invalid_grant")
            return wire.answer(request, 401, b"{}")

        wire.before = refuse
        with pytest.raises(AccessDenied, match="refuses the credentials"):
            work.head("o")

    @pytest.mark.parametrize("key", ["n" * 1025, "a\rb", "a\nb"])
    def test_names_that_no_object_can_have(self, work: GcsStore, wire: Wire, key: str) -> None:
        with pytest.raises(KeyRefused):
            work.put(key, b"")
        assert wire.seen == []


class TestReading:
    def test_what_comes_damaged_is_not_given(self, work: GcsStore, wire: Wire) -> None:
        work.put("o", b"content")

        def damage(request: requests.PreparedRequest) -> Answer:
            checksum = "crc32c=" + "AAAAAA=="
            return wire.answer(request, 200, b"cOntent", **{"X-Goog-Hash": checksum})

        wire.before = damage
        with pytest.raises(StoreUnavailable, match="damaged"):
            work.get("o")

    def test_a_body_that_ends_early_is_no_end(self, work: GcsStore, wire: Wire) -> None:
        wire.before = lambda request: wire.answer(
            request, 200, b"con", **{"Content-Length": "7", "X-Goog-Generation": "1"}
        )
        with pytest.raises(StoreUnavailable):
            list(work.stream("o"))


class TestPieces:
    def test_a_piece_that_failed_is_sent_again(self, work: GcsStore, wire: Wire) -> None:
        data = bytes(range(256)) * (PIECE // 128) + b"end"
        failures = iter([503, 503])

        def fail(request: requests.PreparedRequest) -> Answer:
            if kind_of(request) == "piece" and (status := next(failures, None)):
                return wire.answer(request, status, b"")
            return None

        wire.before = fail
        assert work.put_stream("o", iter([data]), condition=ABSENT, metadata={"n": "1"}).crc32c == crc32c(data)
        assert wire.seen == ["resumable"] + ["piece"] * 6  # twice it is asked what has come
        assert work.get("o") == data

    def test_only_the_rest_of_a_piece_is_sent_when_part_of_it_has_come(self, work: GcsStore, wire: Wire) -> None:
        sent: list[tuple[str, int]] = []
        ranges = iter([f"bytes=0-{PIECE // 2 - 1}", f"bytes=0-{PIECE - 1}"])

        def take(request: requests.PreparedRequest) -> Answer:
            if kind_of(request) != "piece":
                return None
            sent.append((str(request.headers["Content-Range"]), int(request.headers["Content-Length"])))
            if held := next(ranges, None):
                return wire.answer(request, 308, b"", Range=held)
            resource = {"size": "1", "generation": "1", "timeCreated": "2024-01-01T00:00:00Z"}
            return wire.answer(request, 200, json.dumps(resource).encode())

        wire.before = take
        work.put_stream("o", iter([bytes(PIECE), b"x"]))
        assert sent == [
            (f"bytes 0-{PIECE - 1}/*", PIECE),
            (f"bytes {PIECE // 2}-{PIECE - 1}/*", PIECE // 2),
            (f"bytes {PIECE}-{PIECE}/{PIECE + 1}", 1),
        ]

    def test_bytes_that_the_server_loses_end_the_upload(self, work: GcsStore, wire: Wire) -> None:
        wire.before = lambda request: wire.answer(request, 308, b"") if kind_of(request) == "piece" else None
        with pytest.raises(StoreUnavailable, match="not taken whole"):
            work.put_stream("o", iter([bytes(PIECE), b"x"]))

    def test_the_last_piece_carries_the_checksum_of_all(self, work: GcsStore, wire: Wire) -> None:
        hashes = []
        whole = crc32c(bytes(PIECE) + b"x")
        wire.after = lambda request: hashes.append(request.headers.get("X-Goog-Hash"))
        work.put_stream("o", iter([bytes(PIECE), b"x"]))
        assert hashes == [None, None, f"crc32c={base64.b64encode(whole.to_bytes(4, 'big')).decode()}"]

    def test_what_is_too_large_for_one_request(self, work: GcsStore, wire: Wire) -> None:
        data = bytes(9 * 2**20)
        assert work.put("o", data, condition=ABSENT, metadata={"n": "1"}) == work.head("o")
        assert wire.seen == ["resumable", "piece", "look"]

    def test_an_expired_upload(self, work: GcsStore, wire: Wire) -> None:
        wire.refuses("piece", 410)
        with pytest.raises(StoreUnavailable, match="expired"):
            work.put_stream("o", iter([bytes(PIECE), b"x"]))

    def test_its_address_is_told_nobody(self, work: GcsStore, wire: Wire) -> None:
        addresses = []

        def fail(request: requests.PreparedRequest) -> Answer:
            if kind_of(request) == "piece":
                addresses.append(parse_qs(urlsplit(request.url or "").query)["upload_id"][0])
                raise requests.ConnectionError(f"Max retries exceeded with url: {request.url}")
            return None

        wire.before = fail
        with pytest.raises(StoreUnavailable) as caught:
            work.put_stream("o", iter([bytes(PIECE), b"x"]))
        told = "".join(traceback.format_exception(caught.value, chain=True))
        assert len(addresses) == 4
        assert addresses[0] not in told


class TestNames:
    def test_two_prefixes_in_one_bucket_do_not_see_each_other(self, client: Any, bucket: str) -> None:
        one, two = GcsStore(client, bucket, "a/"), GcsStore(client, bucket, "a/b/")
        one.put("o", b"1", condition=ABSENT)
        two.put("o", b"2", condition=ABSENT)
        assert (one.get("o"), two.get("o")) == (b"1", b"2")
        assert (keys(one), keys(two)) == (["b/o", "o"], ["o"])
        assert (next(one.list(after="b/o")).key, keys(one, "b")) == ("o", ["b/o"])

    def test_what_is_no_object_of_ours_is_passed_over(self, work: GcsStore, client: Any) -> None:
        for name in ("", "folder/", "a//b", "folder/o"):
            client.bucket(work._bucket.name).blob(work._prefix + name).upload_from_string(b"")
        assert keys(work) == ["folder/o"]

    def test_a_version_that_no_object_can_have_is_not_asked_for(self, work: GcsStore, wire: Wire) -> None:
        for version in ("", "0", "-1", "x", "9" * 30):
            with pytest.raises(ConditionFailed):
                work.put("o", b"", condition=Version(version))
            work.delete_all([ObjectInfo("o", 0, version, 0.0)])
        assert wire.seen == []


class TestListing:
    def test_memory_holds_one_page_at_a_time(self, work: GcsStore, wire: Wire) -> None:
        pages, tokens = 5, []

        def give(request: requests.PreparedRequest) -> Answer:
            query = parse_qs(urlsplit(request.url or "").query)
            tokens.append(int(query.get("pageToken", ["0"])[0]))
            body = _page_of_entries(query["prefix"][0], tokens[-1] * 1000)
            return wire.answer(
                request,
                200,
                body.replace(b'"0"', b'"%d"' % (tokens[-1] + 1))
                if tokens[-1] < pages - 1
                else body.replace(b"nextPageToken", b"end"),
            )

        def measure() -> int:
            tracemalloc.start()
            try:
                assert sum(1 for _ in work.list("staging/", metadata=True)) == pages * 1000
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        wire.before = give
        list(work.list("staging/"))
        gc.collect()
        assert measure() < 3 * 2**20
        assert tokens == [0, 1, 2, 3, 4] * 2

    def test_asks_for_what_it_needs_and_no_more(self, work: GcsStore, wire: Wire) -> None:
        asked = []
        wire.before = lambda request: asked.append(parse_qs(urlsplit(request.url or "").query))
        list(work.list("staging/", after="staging/a"))
        list(work.list("staging/", metadata=True))
        assert [query["fields"] for query in asked] == [
            ["items(name,size,generation,timeCreated,crc32c),nextPageToken"],
            ["items(name,size,generation,timeCreated,crc32c,metadata),nextPageToken"],
        ]
        assert asked[0]["startOffset"] == [f"{work._prefix}staging/a"]
        assert {query["maxResults"][0] for query in asked} == {"1000"}

    def test_a_further_page_is_asked_for_again(self, work: GcsStore, wire: Wire) -> None:
        failures = iter([503])

        def give(request: requests.PreparedRequest) -> Answer:
            query = parse_qs(urlsplit(request.url or "").query)
            if "pageToken" not in query:
                return wire.answer(request, 200, b'{"nextPageToken": "1"}')
            if status := next(failures, None):
                return wire.answer(request, status, b"")
            return wire.answer(request, 200, b"{}")

        wire.before = give
        assert list(work.list()) == []
        assert wire.seen == ["list"] * 3


class TestConnecting:
    @pytest.fixture(autouse=True)
    def nowhere(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))

    def test_without_credentials(self) -> None:
        with pytest.raises(ConfigError, match=r"no credentials to use: File .*none\.json was not found") as caught:
            connect(connections=1)
        assert "\n" not in caught.value.message
        assert "gcloud auth" in caught.value.fix

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("no json", "is not a valid json file: Expecting value"),
            ('{"type": "service_account", "private_key": "word", "client_email": "a@b"}', "missing fields token_uri"),
        ],
    )
    def test_a_key_file_that_is_none(
        self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, content: str, said: str
    ) -> None:
        file = tmp_path / "key.json"
        file.write_text(content)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        with pytest.raises(ConfigError) as caught:
            connect(connections=1)
        assert said in caught.value.message
        assert str(file) in caught.value.message
        assert not {"(", "'", '"'} & set(caught.value.message.replace("(char 0)", ""))
        assert "word" not in caught.value.message

    def test_holds_as_many_connections_as_are_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
        client = connect(connections=23)
        for scheme in ("http://x", "https://x"):
            assert client._http.get_adapter(scheme).poolmanager.connection_pool_kw["maxsize"] == 23


def _page_of_entries(prefix: str, first: int) -> bytes:
    """A page of a listing as the store gives it, made as text so as to need little memory itself."""
    item = (
        '{"name":"%s%016x.entry","size":"512345","generation":"1795344838887376",'
        '"timeCreated":"2024-11-22T10:53:58.887366Z","crc32c":"mnG7TA==",'
        '"metadata":{"page":"0123456789abcdef","crc32":"deadbeef","crc32c":"deadbeef","size":"512000"}}'
    )
    items = ",".join(item % (prefix, first + i) for i in range(1000))
    return b'{"nextPageToken":"0","items":[' + items.encode() + b"]}"
