"""The proxy is invisible to the stores' own clients, counts what passes, makes fake-gcs-server strict, and fails."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError
from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    ServiceUnavailable,
    TooManyRequests,
)
from google.cloud import storage
from requests.exceptions import ConnectionError as RequestsConnectionError

from pagebind.demo.store_calls import price_class
from pagebind.demo.store_proxy import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.demo.store_calls import Call
    from pagebind.demo.store_proxy import StoreProxy

_FIVE = range(5)


@pytest.fixture
def bucket(gcs_bucket: str, gcs_proxy: StoreProxy) -> Iterator[Any]:
    client = storage.Client(project="demo")
    client._bucket_metadata_cache = None  # it would look at the bucket in a thread of its own, for spans
    yield client.bucket(gcs_bucket)
    client.close()


@pytest.fixture
def s3(s3_bucket: str, s3_proxy: StoreProxy) -> Any:
    return boto3.client("s3", endpoint_url=s3_proxy.url, config=Config(retries={"total_max_attempts": 1}))


def _written(bucket: Any, name: str, content: bytes = b"content") -> Any:
    blob = bucket.blob(name)
    blob.upload_from_string(content)
    return blob


def _winners(attempt: Callable[[int], object]) -> list[int]:
    """Which of five that begin at the same moment get through."""
    start = threading.Barrier(5)

    def run(number: int) -> bool:
        start.wait()
        try:
            attempt(number)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(5) as pool:
        return [number for number, won in zip(_FIVE, pool.map(run, _FIVE), strict=True) if won]


class TestGcsConditions:
    def test_one_of_five_rewrites(self, bucket: Any) -> None:
        source, old = _written(bucket, "source"), _written(bucket, "target")

        def rewrite(wanted: int, _: int) -> None:
            bucket.blob("target").rewrite(source, if_generation_match=wanted)

        for _ in range(10):
            assert len(_winners(partial(rewrite, old.generation))) == 1
            old = bucket.get_blob("target")

    def test_one_of_five_composes(self, bucket: Any) -> None:
        sources = [_written(bucket, f"source {number}", b"%d" % number) for number in _FIVE]
        won = _winners(lambda number: bucket.blob("new").compose([sources[number]], if_generation_match=0))
        assert [b"%d" % number for number in won] == [bucket.blob("new").download_as_bytes()]

    @pytest.mark.parametrize("chunk", [None, 256 * 1024], ids=["multipart", "resumable"])
    def test_one_of_five_uploads(self, bucket: Any, chunk: int | None) -> None:
        def upload(number: int) -> None:
            content = b"%d" % number * 300_000
            bucket.blob("new", chunk_size=chunk).upload_from_file(io.BytesIO(content), if_generation_match=0)

        won = _winners(upload)
        assert [b"%d" % number for number in won] == [bucket.blob("new").download_as_bytes()[:1]]

    def test_one_of_five_simple_uploads(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=new&ifGenerationMatch=0"
        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda number: _ask(gcs_proxy, "POST", path, b"%d" % number), _FIVE))
        assert sorted(status for status, _ in answers) == [200, 412, 412, 412, 412]

    def test_delete(self, bucket: Any) -> None:
        blob = _written(bucket, "a")
        with pytest.raises(PreconditionFailed):
            bucket.blob("a").delete(if_generation_match=blob.generation - 1)
        with pytest.raises(NotFound):
            bucket.delete_blob("a", generation=blob.generation - 1)
        assert bucket.blob("a").exists()
        bucket.blob("a").delete(if_generation_match=blob.generation)
        assert not bucket.blob("a").exists()

    def test_sources_of_a_compose(self, bucket: Any) -> None:
        first, second = _written(bucket, "1", b"one "), _written(bucket, "2", b"two")
        wanted = [first.generation, second.generation]
        with pytest.raises(PreconditionFailed):
            bucket.blob("new").compose([first, second], if_source_generation_match=[wanted[0], wanted[1] - 1])
        with pytest.raises(NotFound):
            bucket.blob("new").compose([first, bucket.blob("missing")])
        with pytest.raises(NotFound):
            bucket.blob("new").compose([first, bucket.blob("2", generation=second.generation - 1)])
        with pytest.raises(BadRequest):
            bucket.blob("new").compose([first] * 33)
        assert not bucket.blob("new").exists()
        new = bucket.blob("new")
        new.content_type, new.metadata = "application/zip", {"of": "two"}
        new.compose([first, second], if_source_generation_match=wanted, if_generation_match=0)
        found = bucket.get_blob("new")
        assert (found.download_as_bytes(), found.content_type, found.metadata) == (
            b"one two",
            "application/zip",
            {"of": "two"},
        )

    def test_source_of_a_rewrite(self, bucket: Any) -> None:
        source = _written(bucket, "source")
        with pytest.raises(PreconditionFailed):
            bucket.blob("new").rewrite(source, if_source_generation_match=source.generation - 1)
        with pytest.raises(NotFound):
            bucket.blob("new").rewrite(bucket.blob("source", generation=source.generation - 1))
        with pytest.raises(NotFound):
            bucket.blob("new").rewrite(bucket.blob("missing"), if_generation_match=0)
        assert not bucket.blob("new").exists()

    def test_reads(self, bucket: Any) -> None:
        blob = _written(bucket, "a", b"0123456789")
        assert bucket.blob("a").download_as_bytes(start=3, end=5, if_generation_match=blob.generation) == b"345"
        with pytest.raises(PreconditionFailed):
            bucket.blob("a").download_as_bytes(if_generation_match=blob.generation - 1)
        with pytest.raises(NotFound):
            bucket.blob("a", generation=blob.generation - 1).download_as_bytes()

    def test_batches(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        kept, gone = _written(bucket, "kept"), _written(bucket, "go né")
        gcs_proxy.reset()
        with bucket.client.batch(raise_exception=False) as batch:
            bucket.blob("kept").delete(if_generation_match=kept.generation - 1)
            bucket.blob("go né").delete(if_generation_match=gone.generation)
            bucket.blob("missing").delete()
        assert [answer.status_code for answer in batch._responses] == [412, 200, 404]
        assert [blob.name for blob in bucket.list_blobs()] == ["kept"]
        assert [call.key for call in gcs_proxy.calls if call.operation == "objects.delete"] == [
            "kept",
            "go né",
            "missing",
        ]

    def test_what_has_come_of_an_upload(self, bucket: Any) -> None:
        quarter = 256 * 1024
        url = bucket.blob("o").create_resumable_upload_session(if_generation_match=0)

        def send(span: str, data: bytes = b"") -> tuple[int, str | None]:
            answer = bucket.client._http.put(url, data=data, headers={"Content-Range": f"bytes {span}"})
            return answer.status_code, answer.headers.get("Range")

        assert send("*/*") == (308, None)
        assert send(f"0-{quarter - 1}/*", bytes(quarter)) == (308, f"bytes=0-{quarter - 1}")
        assert send("*/*") == send(f"*/{quarter + 1}") == (308, f"bytes=0-{quarter - 1}")
        assert send(f"0-{quarter - 1}/*", bytes(quarter))[0] == 503
        assert not bucket.blob("o").exists()
        assert send(f"{quarter}-{quarter}/{quarter + 1}", b"1")[0] == 200
        assert send(f"*/{quarter + 1}")[0] == send("*/*")[0] == 200
        assert bucket.blob("o").download_as_bytes() == bytes(quarter) + b"1"

    def test_fields(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        for name in "abc":
            _written(bucket, name)
        path = f"/storage/v1/b/{bucket.name}/o?fields=items(name,size),nextPageToken&maxResults=2&startOffset=b"
        status, content = _ask(gcs_proxy, "GET", path)
        assert (status, content) == (200, b'{"items": [{"name": "b", "size": "7"}, {"name": "c", "size": "7"}]}')
        assert (
            _ask(gcs_proxy, "GET", f"/storage/v1/b/{bucket.name}/o/a?fields=owner/entity,size")[1] == b'{"size": "7"}'
        )


def _ask(proxy: StoreProxy, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


class TestGcsCounts:
    def test_every_operation(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        gcs_proxy.reset()
        blob = _written(bucket, "dir/a b", b"12345")
        assert blob.download_as_bytes() == b"12345"
        bucket.blob("c").compose([blob])
        bucket.blob("d").rewrite(blob)
        bucket.get_blob("c")
        list(bucket.list_blobs(prefix="dir/"))
        bucket.blob("d").delete()
        calls = gcs_proxy.calls
        assert [(call.operation, call.key, call.status) for call in calls] == [
            ("objects.insert", "dir/a b", 200),
            ("objects.get_media", "dir/a b", 200),
            ("objects.compose", "c", 200),
            ("objects.rewrite", "d", 200),
            ("objects.get", "c", 200),
            ("objects.list", "dir/", 200),
            ("objects.delete", "d", 200),
        ]
        assert calls[0].sent > 5
        assert calls[1].received == 5
        assert [price_class(call.operation) for call in calls] == ["A", "B", "A", "A", "B", "A", "free"]

    def test_resumable(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        gcs_proxy.reset()
        size = 600_000
        bucket.blob("big", chunk_size=256 * 1024).upload_from_file(io.BytesIO(bytes(size)))
        calls = gcs_proxy.calls
        assert [call.operation for call in calls] == ["objects.insert"] + ["objects.insert.chunk"] * 3
        assert sum(call.sent for call in calls[1:]) == size
        assert (calls[0].key, gcs_proxy.price_counts()["A"]) == ("big", 1)


def _always(fault: Fault, _: Call) -> Fault:
    return fault


class TestFaults:
    def test_statuses(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        blob = _written(bucket, "a")
        wanted: dict[int, type[GoogleAPICallError]] = {403: Forbidden, 429: TooManyRequests, 503: ServiceUnavailable}
        for status, error in wanted.items():
            fault = Fault(status=status, headers={"Retry-After": "7"})
            gcs_proxy.on_call = partial(_always, fault)
            with pytest.raises(error) as caught:
                blob.delete(retry=None)
            assert caught.value.response.headers["Retry-After"] == "7"
        gcs_proxy.reset()
        assert blob.exists()

    def test_drops(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        blob = _written(bucket, "a")
        gcs_proxy.on_call = lambda _: Fault(drop="before")
        with pytest.raises(RequestsConnectionError):
            blob.delete(retry=None)
        gcs_proxy.reset()
        assert blob.exists()
        gcs_proxy.on_call = lambda _: Fault(drop="after")
        with pytest.raises(RequestsConnectionError):
            blob.delete(retry=None)
        assert gcs_proxy.calls[-1].status is None
        gcs_proxy.reset()
        assert not blob.exists()

    def test_made_up_answers(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        """A rewrite that takes more than one call, which fake-gcs-server never asks for."""
        source = _written(bucket, "source")
        gcs_proxy.reset()
        begun = b'{"rewriteToken": "t", "done": false, "totalBytesRewritten": "3", "objectSize": "7"}'
        gcs_proxy.on_call = lambda _: Fault(status=200, content=begun) if len(gcs_proxy.calls) == 1 else None
        new = bucket.blob("new")
        assert new.rewrite(source) == ("t", 3, 7)
        assert not gcs_proxy.counts().keys() - {"objects.rewrite"}
        assert new.rewrite(source, token="t") == (None, 7, 7)
        assert new.download_as_bytes() == b"content"

    def test_a_client_that_dies_inside_a_request(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        """Nothing of it reaches the store."""
        gcs_proxy.reset()
        path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=half"
        with socket.create_connection(("127.0.0.1", gcs_proxy.port)) as client:
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".encode())
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
        assert gcs_proxy.calls == []
        assert not bucket.blob("half").exists()

    def test_cut(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        _written(bucket, "a", bytes(200_000))
        path = f"/download/storage/v1/b/{bucket.name}/o/a?alt=media"
        gcs_proxy.on_call = lambda call: Fault(cut=100_000) if call.operation == "objects.get_media" else None
        with pytest.raises(http.client.IncompleteRead) as caught:
            _ask(gcs_proxy, "GET", path)
        assert len(caught.value.partial) == gcs_proxy.calls[-1].received == 100_000

    def test_hold(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        """One call waits until another, that began later, is done."""
        source = _written(bucket, "source")
        begun, released = threading.Event(), threading.Event()

        def hold_rewrites(call: Call) -> Fault | None:
            if call.operation == "objects.rewrite":
                begun.set()
                return Fault(hold=released)
            return None

        gcs_proxy.on_call = hold_rewrites
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(bucket.blob("new").rewrite, source, if_generation_match=0)
            assert begun.wait(60)
            bucket.blob("new").upload_from_string(b"first", if_generation_match=0)
            released.set()
            with pytest.raises(PreconditionFailed):
                slow.result()

    @pytest.mark.parametrize("after", [False, True])
    def test_death(self, bucket: Any, gcs_proxy: StoreProxy, *, after: bool) -> None:
        blobs = [_written(bucket, name) for name in "abc"]
        gcs_proxy.die_at(2, after=after)
        blobs[0].delete(retry=None)
        for blob in blobs[1:]:
            with pytest.raises(RequestsConnectionError):
                blob.delete(retry=None)
        assert gcs_proxy.dead
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            _ask(gcs_proxy, "GET", "/storage/v1/b")
        gcs_proxy.revive()
        assert [blob.name for blob in bucket.list_blobs()] == (["c"] if after else ["b", "c"])

    def test_death_takes_what_is_under_way(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        """Connections that stood before are no way out, and of what is under way nobody hears any more."""
        begun, released = threading.Event(), threading.Event()
        held = f"/storage/v1/b/{bucket.name}/o/held"

        def hold(call: Call) -> Fault | None:
            if call.key != "held":
                return None
            begun.set()
            return Fault(hold=released)

        gcs_proxy.on_call = hold
        with (
            ThreadPoolExecutor(1) as pool,
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", gcs_proxy.port, timeout=60)) as other,
        ):
            other.request("GET", "/storage/v1/b")
            other.getresponse().read()
            slow = pool.submit(_ask, gcs_proxy, "GET", held)
            assert begun.wait(60)
            gcs_proxy.die_at(1)
            with pytest.raises(http.client.RemoteDisconnected):
                _ask(gcs_proxy, "GET", "/storage/v1/b")
            counted = len(gcs_proxy.calls)
            other.request("GET", "/storage/v1/b")
            with pytest.raises(http.client.RemoteDisconnected):
                other.getresponse()
            released.set()
            with pytest.raises(http.client.RemoteDisconnected):
                slow.result()
        assert len(gcs_proxy.calls) == counted

    def test_death_inside_a_batch(self, bucket: Any, gcs_proxy: StoreProxy) -> None:
        blobs = [_written(bucket, name) for name in "abc"]
        gcs_proxy.reset()
        gcs_proxy.on_call = lambda call: Fault(drop="after") if call.key == "b" else None
        with pytest.raises(RequestsConnectionError), bucket.client.batch():
            bucket.delete_blobs(blobs)
        gcs_proxy.reset()
        assert [blob.name for blob in bucket.list_blobs()] == ["c"]


class TestS3:
    def test_signatures_survive(self, s3: Any, s3_bucket: str, s3_proxy: StoreProxy) -> None:
        key = "a b/é +%.txt"
        s3.put_object(Bucket=s3_bucket, Key=key, Body=b"0123456789", Metadata={"k": "v"}, IfNoneMatch="*")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            s3.put_object(Bucket=s3_bucket, Key=key, Body=b"other", IfNoneMatch="*")
        assert s3.get_object(Bucket=s3_bucket, Key=key, Range="bytes=2-4")["Body"].read() == b"234"
        assert s3.head_object(Bucket=s3_bucket, Key=key)["ContentLength"] == 10
        assert [each["Key"] for each in s3.list_objects_v2(Bucket=s3_bucket, Prefix="a ")["Contents"]] == [key]
        s3.delete_objects(Bucket=s3_bucket, Delete={"Objects": [{"Key": key}]})
        s3.delete_object(Bucket=s3_bucket, Key="nothing")
        assert [(call.operation, call.key, call.status) for call in s3_proxy.calls] == [
            ("PutObject", key, 200),
            ("PutObject", key, 412),
            ("GetObject", key, 206),
            ("HeadObject", key, 200),
            ("ListObjectsV2", "a ", 200),
            ("DeleteObjects", "", 200),
            ("DeleteObject", "nothing", 204),
        ]
        assert (s3_proxy.calls[0].sent, s3_proxy.calls[2].received, s3_proxy.calls[3].received) == (10, 3, 0)
        assert s3_proxy.price_counts() == {"A": 3, "B": 2, "free": 2}

    def test_multipart(self, s3: Any, s3_bucket: str, s3_proxy: StoreProxy) -> None:
        size = 5 << 20
        named = {"Bucket": s3_bucket, "Key": "big"}
        upload = {**named, "UploadId": s3.create_multipart_upload(**named)["UploadId"]}
        parts = [
            {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=bytes(size))["ETag"]}
            for number in (1, 2)
        ]
        assert len(s3.list_multipart_uploads(Bucket=s3_bucket)["Uploads"]) == 1
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        assert len(s3.get_object(**named)["Body"].read()) == 2 * size
        other = s3.create_multipart_upload(**named)["UploadId"]
        s3.abort_multipart_upload(**named, UploadId=other)
        s3.copy_object(**named | {"Key": "copy"}, CopySource=named)
        assert [call.operation for call in s3_proxy.calls] == [
            "CreateMultipartUpload",
            "UploadPart",
            "UploadPart",
            "ListMultipartUploads",
            "CompleteMultipartUpload",
            "GetObject",
            "CreateMultipartUpload",
            "AbortMultipartUpload",
            "CopyObject",
        ]
        assert s3_proxy.price_counts() == {"A": 7, "B": 1, "free": 1}
        assert s3_proxy.calls[5].received == 2 * size

    def test_unknown_length(self, s3: Any, s3_bucket: str, s3_proxy: StoreProxy) -> None:
        """A body that comes in chunks."""
        url = s3.generate_presigned_url("put_object", Params={"Bucket": s3_bucket, "Key": "chunked"})
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", s3_proxy.port, timeout=60)) as connection:
            connection.request("PUT", url.removeprefix(s3_proxy.url), iter([b"one ", b"two"]), encode_chunked=True)
            assert connection.getresponse().status == 200
        assert s3.get_object(Bucket=s3_bucket, Key="chunked")["Body"].read() == b"one two"
        assert s3_proxy.calls[0].sent == 7

    def test_faults(self, s3: Any, s3_bucket: str, s3_proxy: StoreProxy) -> None:
        s3_proxy.on_call = lambda _: Fault(status=403)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=s3_bucket, Key="a", Body=b"")
        s3_proxy.on_call = lambda _: Fault(drop="after")
        with pytest.raises(ConnectionClosedError):
            s3.put_object(Bucket=s3_bucket, Key="b", Body=b"")
        s3_proxy.reset()
        assert [each["Key"] for each in s3.list_objects_v2(Bucket=s3_bucket)["Contents"]] == ["b"]
        s3_proxy.die_at(1)
        for _ in range(2):
            with pytest.raises((ConnectionClosedError, EndpointConnectionError, HTTPClientError)):
                s3.delete_object(Bucket=s3_bucket, Key="b")
        s3_proxy.revive()
        assert s3.head_object(Bucket=s3_bucket, Key="b")["ContentLength"] == 0
