"""What a request to an object store is called, and what its kind costs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

PriceClass = Literal["A", "B", "free"]

_FREE = frozenset(
    {
        "objects.delete",
        "objects.insert.chunk",
        "objects.insert.cancel",
        "buckets.delete",
        "DeleteObject",
        "DeleteObjects",
        "DeleteBucket",
        "AbortMultipartUpload",
    }
)
_CLASS_B = re.compile(r"objects\.get(_media)?|buckets\.(get|testIamPermissions)|(Get|Head)\w+")


@dataclass(slots=True)
class Call:
    """One operation that arrived, filled in while it is answered.

    Attributes:
        operation: as the store's own documents call it, e.g. ``objects.compose`` or ``UploadPart``. Of a resumable
            upload the beginning is ``objects.insert`` and every further request ``objects.insert.chunk``.
        bucket: the bucket; of a copy, the target's.
        key: the key, the target's of a copy; of a listing the prefix.
        sent: bytes of the request's body.
        received: bytes of the answer's body that were passed on so far.
        status: of the answer, or None where none was given.
    """

    operation: str
    bucket: str
    key: str
    sent: int = 0
    received: int = 0
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: nothing decoded, so that signatures stay valid."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: IO[bytes]
    length: int

    @property
    def path(self) -> list[str]:
        """The parts of its path, each decoded."""
        return [unquote(part) for part in urlsplit(self.target).path.split("/")[1:]]

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the question mark."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def header(self, name: str) -> str:
        """The first header of that name, or nothing."""
        return next((value for given, value in self.headers if given.lower() == name.lower()), "")

    def read(self) -> bytes:
        """The whole body."""
        self.body.seek(0)
        return self.body.read()

    def json(self) -> Any:
        """The JSON object of the body: the first part of a multipart one. Empty where there is none."""
        content = self.read()
        if self.header("Content-Type").startswith("multipart/"):
            content = content.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
        return json.loads(content) if content.strip() else {}


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer, whose body has ``length`` bytes, or an unknown number of them where that is None."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: IO[bytes]
    length: int | None


def price_class(operation: str) -> PriceClass:
    """What the price lists of Google and of S3's relatives have it as: A writes and lists, B reads, deletes are free.

    A resumable upload is billed as the one insert that began it.
    """
    if operation in _FREE:
        return "free"
    return "B" if _CLASS_B.fullmatch(operation) else "A"


def gcs_call(request: Request) -> Call:
    """A request to Google Cloud Storage's JSON API."""
    parts = request.path
    upload = parts[0] == "upload"
    if parts[0] in {"upload", "download"}:
        parts = parts[1:]
    _, _, _, bucket, kind, name, action, *rest = [*parts, "", "", "", "", "", "", ""]
    if kind != "o":
        return Call(_bucket_operation(request, bucket, kind, name), bucket, "", request.length)
    if upload:
        return Call(_upload_operation(request), bucket, upload_name(request), request.length)
    if action in {"rewriteTo", "copyTo"}:
        return Call(f"objects.{action.removesuffix('To')}", rest[1], rest[3], request.length)
    if not name:
        return Call("objects.list", bucket, request.query.get("prefix", ""), request.length)
    return Call(f"objects.{action or _object_operation(request)}", bucket, name, request.length)


def upload_name(request: Request) -> str:
    """The name of the object that an upload makes; nothing for what only continues one."""
    if request.method != "POST":
        return ""
    return str(request.query.get("name") or request.json().get("name", ""))


def _upload_operation(request: Request) -> str:
    if request.method == "DELETE":
        return "objects.insert.cancel"
    return "objects.insert.chunk" if "upload_id" in request.query else "objects.insert"


def _object_operation(request: Request) -> str:
    if request.method == "GET" and (request.query.get("alt") == "media" or request.target.startswith("/download/")):
        return "get_media"
    return {"GET": "get", "DELETE": "delete", "PATCH": "patch", "PUT": "update"}.get(request.method, request.method)


def _bucket_operation(request: Request, bucket: str, kind: str, name: str) -> str:
    if kind:
        return f"buckets.{name or kind}"
    names = {"GET": "get" if bucket else "list", "POST": "insert", "DELETE": "delete", "PATCH": "patch"}
    return f"buckets.{names.get(request.method, request.method)}"


def s3_call(request: Request) -> Call:
    """A request to S3, with the bucket in the path."""
    path = urlsplit(request.target).path
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    naming: Callable[[Request, dict[str, str]], str] = _s3_object if key else _s3_bucket if bucket else _s3_service
    return Call(naming(request, request.query), bucket, key or request.query.get("prefix", ""), request.length)


def _s3_service(request: Request, _: dict[str, str]) -> str:
    return "ListBuckets" if request.method == "GET" else request.method


def _s3_bucket(request: Request, query: dict[str, str]) -> str:
    if request.method == "GET":
        if "uploads" in query:
            return "ListMultipartUploads"
        settings = query.keys() & {
            "location",
            "versioning",
            "lifecycle",
            "policy",
            "cors",
            "tagging",
            "acl",
            "encryption",
        }
        if settings:
            return f"GetBucket{min(settings).capitalize()}"
        return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
    if request.method == "POST" and "delete" in query:
        return "DeleteObjects"
    names = {"HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
    return names.get(request.method, request.method)


def _s3_object(request: Request, query: dict[str, str]) -> str:
    copies = bool(request.header("x-amz-copy-source"))
    if "uploadId" in query:
        return {
            "PUT": "UploadPartCopy" if copies else "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
        }.get(request.method, "ListParts")
    if request.method == "POST" and "uploads" in query:
        return "CreateMultipartUpload"
    if request.method == "PUT":
        return "CopyObject" if copies else "PutObject"
    return {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(request.method, request.method)
