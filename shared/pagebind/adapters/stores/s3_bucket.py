"""The requests to one bucket below one prefix: keys go in and come out without it, errors as `s3_errors` says."""

from __future__ import annotations

import base64
import hashlib
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.adapters.stores.retrying import again
from pagebind.adapters.stores.s3_client import is_aws, sends_checksums
from pagebind.adapters.stores.s3_errors import Demand, NotOffered, PastTheEnd, Request, translated
from pagebind.adapters.stores.s3_metadata import decode, encode
from pagebind.adapters.stores.s3_reads import Reads
from pagebind.core.keys import is_key
from pagebind.errors import AccessDenied, KeyMissing, StoreUnavailable
from pagebind.ports.store import Absent, Condition, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pagebind.adapters.stores.s3_client import Client
    from pagebind.adapters.stores.s3_reads import Answer

_CHUNK = 512 * 1024
_ALGORITHM = "CRC32C"
_FULL_OBJECT = "FULL_OBJECT"
_GET, _PUT, _LIST, _DELETE = "s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"
_ABORT, _LIST_UPLOADS = "s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"
_META = "x-amz-meta-"
_CHECKSUM_MODE = {"x-amz-checksum-mode": "ENABLED"}
_BINARY = "application/octet-stream"
_OF_A_LISTING = frozenset({"IsTruncated", "Name", "KeyCount", "Bucket"})
"""Of these every store sends one at least, with an empty listing as well."""

_GONE = frozenset({"PreconditionFailed", "NoSuchKey", "NoSuchVersion"})


class Content(NamedTuple):
    """What goes with an object's bytes."""

    metadata: Mapping[str, str]
    content_type: str | None = None

    def headers(self) -> dict[str, Any]:
        """As arguments of a request."""
        return {"Metadata": encode(self.metadata), "ContentType": self.content_type or _BINARY}


class Block(NamedTuple):
    """Bytes to be sent in one request, with their CRC-32C."""

    data: bytes | bytearray
    crc32c: int


class SentPart(NamedTuple):
    """A part of an upload that the store has taken."""

    number: int
    etag: str
    size: int
    crc32c: int


class UploadId(NamedTuple):
    """A multipart upload; ``proves_whole``: the store will compare the CRC-32C of the whole before it completes."""

    key: str
    name: str
    begun: float = 0.0
    proves_whole: bool = False


def conditions_of(condition: Condition | None) -> dict[str, str]:
    """A condition as arguments of a request."""
    if condition is None:
        return {}
    return {"IfNoneMatch": "*"} if isinstance(condition, Absent) else {"IfMatch": f'"{condition.version}"'}


class Bucket:
    """One bucket below one prefix, which is empty or ends in ``/``."""

    def __init__(self, client: Client, name: str, prefix: str) -> None:
        self.name = name
        self.prefix = prefix
        self.is_aws = is_aws(client)
        self.sends_checksums = sends_checksums(client)
        self.connections: int = client.meta.config.max_pool_connections
        self._client = client
        self._reads = Reads(client, name)
        self._proves_whole = self.sends_checksums
        self._deletes_by_etag = True
        if not self.sends_checksums:
            client.meta.events.register("before-call.s3.DeleteObjects", _prove_by_md5, unique_id="pagebind-md5")

    # -- whole objects

    def put(self, key: str, block: Block, content: Content, conditions: Mapping[str, str]) -> ObjectInfo:
        """Write it; the store refuses a body that was damaged on the way."""
        proof = _crc_proof(block.crc32c) if self.sends_checksums else _md5_proof(block.data)
        with self._asking(_PUT, key) as demand:
            answer = self._client.put_object(
                **self._named(key), Body=block.data, **proof, **content.headers(), **conditions
            )
            demand(answer, "ETag")
        return self._written(key, len(block.data), content, answer)

    def head(self, key: str) -> ObjectInfo | None:
        """What stands there, with its metadata."""
        plain = self._reads.ask("HEAD", self.prefix + key, _CHECKSUM_MODE if self.sends_checksums else None)
        if plain is not None:
            return _described(key, plain)
        mode = {"ChecksumMode": "ENABLED"} if self.sends_checksums else {}
        try:
            with self._asking(_GET, key) as demand:
                answer = demand(
                    self._client.head_object(**self._named(key), **mode), "ETag", "LastModified", "ContentLength"
                )
        except KeyMissing:
            return None
        created = answer["LastModified"].timestamp()
        return ObjectInfo(
            key, answer["ContentLength"], _version(answer), created // 1, decode(answer["Metadata"]), _crc32c(answer)
        )

    def get(self, key: str) -> bytes:
        """All of it."""
        with self._asking(_GET, key) as demand:
            body: bytes = demand(self._client.get_object(**self._named(key)), "ETag")["Body"].read()
        return body

    def get_range(self, key: str, start: int, length: int, *, of: int) -> bytes | None:
        """So many bytes of an object of ``of`` bytes; None where it has another size."""
        whole = length == of
        wanted = {} if whole else {"Range": f"bytes={start}-{start + length - 1}"}
        plain = self._reads.ask("GET", self.prefix + key, wanted)
        if plain is not None and plain.status != HTTPStatus.NOT_FOUND:
            found = len(plain.body) if whole else int(plain.headers.get("Content-Range", "/0").rpartition("/")[2])
            return plain.body if found == of else None
        with suppress(PastTheEnd), self._asking(_GET, key) as demand:
            answer = self._client.get_object(**self._named(key), **wanted)
            body = demand(answer, "ETag", "ContentLength" if whole else "ContentRange")["Body"]
            found = answer["ContentLength"] if whole else int(answer["ContentRange"].rpartition("/")[2])
            if found != of:
                body.close()
                return None
            content: bytes = body.read()
            return content
        return None

    def stream(self, key: str, start: int, length: int | None) -> Iterator[bytes]:
        """From byte ``start`` on, in chunks."""
        last = "" if length is None else start + length - 1
        wanted = {} if start == 0 and length is None else {"Range": f"bytes={start}-{last}"}
        try:
            with self._asking(_GET, key) as demand:
                answer = self._client.get_object(**self._named(key), **wanted)
                body = demand(answer, "ETag", *(["ContentRange"] if wanted else []))["Body"]
        except PastTheEnd:
            return
        try:
            while True:
                with self._asking(_GET, key):
                    chunk = body.read(_CHUNK)
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    def list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """What begins with ``prefix`` and comes after ``after``, without metadata; foreign keys are left out."""
        begin = {"StartAfter": self.prefix + after} if after else {}
        ask = partial(self._client.list_objects_v2, Bucket=self.name, Prefix=self.prefix + prefix, **begin)
        for found in self._pages(ask, {"ContinuationToken": "NextContinuationToken"}, _LIST):
            for one in found.get("Contents", ()):
                key = self._own(one["Key"])
                if key is not None and key.startswith(prefix) and key > after and is_key(key):
                    yield ObjectInfo(key, one["Size"], _version(one), one["LastModified"].timestamp() // 1)

    # -- removing

    def delete(self, key: str, conditions: Mapping[str, str]) -> None:
        """Delete it."""
        with self._asking(_DELETE, key):
            self._client.delete_object(**self._named(key), **conditions)

    def delete_many(self, objects: Sequence[ObjectInfo], *, by_version: bool) -> None:
        """Delete up to 1,000 objects in one request; those that have changed or gone do not matter.

        Raises:
            StoreUnavailable, AccessDenied: some of them may still stand.
        """
        try:
            self._delete_many(objects, by_version=by_version and self._deletes_by_etag)
        except NotOffered:
            if not (by_version and self._deletes_by_etag):
                raise
            self._deletes_by_etag = False
            self._delete_many(objects, by_version=False)

    def _delete_many(self, objects: Sequence[ObjectInfo], *, by_version: bool) -> None:
        named: list[dict[str, str]] = [
            {"Key": self.prefix + one.key} | ({"ETag": f'"{one.version}"'} if by_version else {}) for one in objects
        ]
        with self._asking(_DELETE):
            answer = self._client.delete_objects(Bucket=self.name, Delete={"Objects": named, "Quiet": True})
        failed = {str(one.get("Code", "")): str(one.get("Key", "")) for one in answer.get("Errors", ())}
        self._raise_for(failed)

    def _raise_for(self, failed: Mapping[str, str]) -> None:
        for code, key in failed.items():
            if code in _GONE:
                continue
            path = self._own(key)
            if code == "NotImplemented":
                raise NotOffered(f"s3://{self.name} deletes no exact versions", path=path)
            if code in {"AccessDenied", "403"}:
                raise AccessDenied(
                    f"s3://{self.name} refuses to delete", fix=f"allow {_DELETE} on {self.name}", path=path
                )
            raise StoreUnavailable(f"s3://{self.name} could not delete all objects of a list", path=path)

    # -- uploads in parts

    def begin_upload(self, key: str, content: Content) -> UploadId:
        """Begin a multipart upload, one that the store proves as a whole where it can."""
        if self._proves_whole:
            try:
                return self._begin_upload(key, content, ChecksumAlgorithm=_ALGORITHM, ChecksumType=_FULL_OBJECT)
            except NotOffered:
                self._proves_whole = False
        return self._begin_upload(key, content)

    def _begin_upload(self, key: str, content: Content, **checksum: str) -> UploadId:
        with self._asking(_PUT, key) as demand:
            answer = self._client.create_multipart_upload(**self._named(key), **content.headers(), **checksum)
            demand(answer, "UploadId")
        return UploadId(key, answer["UploadId"], proves_whole=answer.get("ChecksumType") == _FULL_OBJECT)

    def send_part(self, upload: UploadId, number: int, block: Block) -> SentPart:
        """One part, counted from 1."""
        proof = _crc_proof(block.crc32c) if upload.proves_whole else _md5_proof(block.data)
        with self._asking(_PUT, upload.key) as demand:
            answer = self._client.upload_part(
                **self._named(upload.key), UploadId=upload.name, PartNumber=number, Body=block.data, **proof
            )
            demand(answer, "ETag")
        return SentPart(number, answer["ETag"], len(block.data), block.crc32c)

    def complete(
        self, upload: UploadId, parts: Sequence[SentPart], crc32c: int, content: Content, conditions: Mapping[str, str]
    ) -> ObjectInfo:
        """Make the object of the parts, under the conditions."""
        proof = {"ChecksumType": _FULL_OBJECT, **_crc_proof(crc32c)} if upload.proves_whole else {}
        listed = [
            {"PartNumber": part.number, "ETag": part.etag, **(_crc_proof(part.crc32c) if upload.proves_whole else {})}
            for part in parts
        ]
        with self._asking(_PUT, upload.key) as demand:
            answer = self._client.complete_multipart_upload(
                **self._named(upload.key),
                UploadId=upload.name,
                MultipartUpload={"Parts": listed},
                **proof,
                **conditions,
            )
            demand(answer, "ETag")
        size = sum(part.size for part in parts)
        return self._written(upload.key, size, content, answer)._replace(crc32c=crc32c)

    def abort(self, upload: UploadId) -> None:
        """Drop an upload. Raises: UploadGone: there is none."""
        with self._asking(_ABORT, upload.key):
            self._client.abort_multipart_upload(**self._named(upload.key), UploadId=upload.name)

    def uploads(self, prefix: str) -> Iterator[UploadId]:
        """Uploads that have been begun and neither completed nor aborted, of keys that begin with ``prefix``."""
        ask = partial(self._client.list_multipart_uploads, Bucket=self.name, Prefix=self.prefix + prefix)
        marks = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        for found in self._pages(ask, marks, _LIST_UPLOADS):
            for one in found.get("Uploads", ()):
                key = self._own(one["Key"])
                if key is not None and key.startswith(prefix):
                    yield UploadId(key, one["UploadId"], one["Initiated"].timestamp())

    # -- what all share

    def _asking(self, permission: str, key: str | None = None) -> AbstractContextManager[Demand]:
        return translated(Request(self.name, permission, self._client.meta.endpoint_url, key))

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": self.prefix + key}

    def _own(self, key: str) -> str | None:
        return key[len(self.prefix) :] if key.startswith(self.prefix) else None

    def _pages(
        self, ask: Callable[..., dict[str, Any]], marks: Mapping[str, str], permission: str
    ) -> Iterator[dict[str, Any]]:
        """The pages of a listing; ``marks`` name what is asked with by what was answered. A further one is retried."""

        def page() -> dict[str, Any]:
            with self._asking(permission) as demand:
                found = ask(**where)
                return found if _OF_A_LISTING & found.keys() else demand(found, *_OF_A_LISTING)

        where: dict[str, str] = {}
        found = page()
        while found.get("IsTruncated"):
            yield found
            where = {asked: found[answered] for asked, answered in marks.items() if found.get(answered)}
            if not where:
                raise StoreUnavailable(f"s3://{self.name} cuts a listing short and does not say where")
            found = again(page, f"list s3://{self.name}")
        yield found

    def _written(self, key: str, size: int, content: Content, answer: dict[str, Any]) -> ObjectInfo:
        return ObjectInfo(key, size, _version(answer), _now_there(answer), dict(content.metadata), _crc32c(answer))


def _prove_by_md5(params: dict[str, Any], **_: Any) -> None:
    """Give a list of deletes the MD5 that S3 first asked for; the CRC-32 that boto3 sends instead some do not know."""
    params["headers"]["Content-MD5"] = _base64(hashlib.md5(params["body"], usedforsecurity=False).digest())
    params["context"].pop("checksum", None)


def _md5_proof(body: bytes | bytearray) -> dict[str, str]:
    return {"ContentMD5": _base64(hashlib.md5(body, usedforsecurity=False).digest())}


def _crc_proof(crc32c: int) -> dict[str, str]:
    return {"ChecksumCRC32C": _base64(crc32c.to_bytes(4, "big"))}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _version(answer: Mapping[str, Any]) -> str:
    return str(answer["ETag"]).removeprefix("W/").strip('"')


def _described(key: str, plain: Answer) -> ObjectInfo | None:
    """An answer to a HEAD; None: nothing stands there."""
    if plain.status == HTTPStatus.NOT_FOUND:
        return None
    told = {name.lower(): value for name, value in plain.headers.items()}
    answer = {
        "ETag": told["etag"],
        "ChecksumCRC32C": told.get("x-amz-checksum-crc32c"),
        "ChecksumType": told.get("x-amz-checksum-type"),
    }
    metadata = {name.removeprefix(_META): value for name, value in told.items() if name.startswith(_META)}
    created = parsedate_to_datetime(told["last-modified"]).timestamp()
    return ObjectInfo(key, int(told["content-length"]), _version(answer), created, decode(metadata), _crc32c(answer))


def _crc32c(answer: Mapping[str, Any]) -> int | None:
    """Of the whole, if the store tells. Of an object in parts it may tell a checksum of checksums instead."""
    told = str(answer.get("ChecksumCRC32C") or "-")
    in_parts = "-" in told or ("-" in answer["ETag"] and answer.get("ChecksumType") != _FULL_OBJECT)
    return None if in_parts else int.from_bytes(base64.b64decode(told), "big")


def _now_there(answer: Mapping[str, Any]) -> float:
    """The store's clock as its answer tells it."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date).timestamp() if date else time.time() // 1
