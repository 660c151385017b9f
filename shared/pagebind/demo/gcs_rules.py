"""What Google Cloud Storage enforces and fake-gcs-server does not.

Preconditions (of uploads it checks only those in one multipart request), generations of sources and of what is deleted,
missing sources of a compose, ``fields``, and links that lead past whoever stands in front of it. Of a resumable upload
it takes the question what has come for the end, and repeated bytes for further ones; of one that is done it says 404.
"""

from __future__ import annotations

import io
import json
import re
import threading
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from pagebind.demo.store_calls import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.demo.store_calls import Call

_BATCH_LIMIT = 100
_JSON = (("Content-Type", "application/json; charset=UTF-8"),)
_CHANGES = frozenset({"insert", "insert.chunk", "compose", "rewrite", "copy", "delete", "patch", "update"})


class Refusal(NamedTuple):
    """Why a request is not passed on: a status, and the reason and message of its JSON."""

    status: HTTPStatus
    reason: str
    message: str

    def content(self) -> bytes:
        """The body, in the form of the real service."""
        detail = {"domain": "global", "reason": self.reason, "message": self.message}
        error = {"code": int(self.status), "message": self.message, "errors": [detail]}
        return json.dumps({"error": error}).encode()


_NOT_MET = Refusal(
    HTTPStatus.PRECONDITION_FAILED,
    "conditionNotMet",
    "At least one of the pre-conditions you specified did not hold.",
)


class GcsRules:
    """Checks a request against what stands, and passes it on, in one step that excludes all other changes.

    Args:
        generation_of: the current generation of (bucket, name), 0 where nothing stands.
    """

    def __init__(self, generation_of: Callable[[str, str], int]) -> None:
        self._generation_of = generation_of
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}

    def answer(self, request: Request, call: Call, forward: Callable[[], Answer]) -> Answer | Refusal:
        """The server's answer, or why it was not asked."""
        query = request.query
        if call.operation.removeprefix("objects.") not in _CHANGES and "ifGenerationMatch" not in query:
            return forward()
        with self._lock:
            if call.operation == "objects.insert.chunk" and (upload := self._uploads.get(query.get("upload_id", ""))):
                return self._of_chunk(request, upload, forward)
            refusal = self._refusal(request, call, query)
            if refusal:
                return refusal
            answer = forward()
            self._note_upload(query, call, answer)
            return answer

    def _refusal(self, request: Request, call: Call, query: dict[str, str]) -> Refusal | None:
        sources = {"objects.compose": self._of_compose, "objects.rewrite": self._of_copy, "objects.copy": self._of_copy}
        check = sources.get(call.operation)
        return (check(request, query) if check else None) or self._of_target(call, query)

    def _of_target(self, call: Call, query: dict[str, str]) -> Refusal | None:
        if not query.keys() & {"generation", "ifGenerationMatch"}:
            return None
        current = self._generation_of(call.bucket, call.key)
        if "generation" in query and query["generation"] != str(current):
            return _missing(call.bucket, call.key)
        if not current and call.operation in {"objects.delete", "objects.get", "objects.get_media", "objects.patch"}:
            return _missing(call.bucket, call.key)
        return None if query.get("ifGenerationMatch", str(current)) == str(current) else _NOT_MET

    def _of_compose(self, request: Request, _: dict[str, str]) -> Refusal | None:
        bucket = request.path[3]
        for source in request.json().get("sourceObjects", []):
            current = str(self._generation_of(bucket, source["name"]))
            if current == "0" or str(source.get("generation") or current) != current:
                return _missing(bucket, source["name"])
            wanted = source.get("objectPreconditions", {}).get("ifGenerationMatch", current)
            if str(wanted) != current:
                return _NOT_MET
        return None

    def _of_copy(self, request: Request, query: dict[str, str]) -> Refusal | None:
        bucket, name = request.path[3], request.path[5]
        current = str(self._generation_of(bucket, name))
        if current == "0":
            return _missing(bucket, name)
        return None if query.get("ifSourceGenerationMatch", current) == current else _NOT_MET

    def _of_chunk(self, request: Request, upload: _Upload, forward: Callable[[], Answer]) -> Answer | Refusal:
        """A piece of a resumable upload, or the question how much of it has come.

        What is there already must not be sent again: the real store ignores it, fake-gcs-server would append it.
        """
        begin, total = _range(request)
        if upload.made is not None:
            return Answer(HTTPStatus.OK, _JSON, io.BytesIO(upload.made), len(upload.made))
        if begin is None and total != upload.held:
            return upload.status()
        if begin is not None and begin != upload.held:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "backendError", f"Bytes from {upload.held} on are wanted.")
        if total is not None and upload.wanted not in {None, str(self._generation_of(upload.bucket, upload.name))}:
            return _NOT_MET
        answer = forward()
        if answer.status == HTTPStatus.PERMANENT_REDIRECT:
            upload.held += request.length
        elif answer.status == HTTPStatus.OK:
            upload.made = answer.body.read()
            return Answer(answer.status, answer.headers, io.BytesIO(upload.made), len(upload.made))
        return answer

    def _note_upload(self, query: dict[str, str], call: Call, answer: Answer) -> None:
        """Remember a resumable upload that has just begun."""
        if query.get("uploadType") != "resumable" or "upload_id" in query:
            return
        location = next((value for name, value in answer.headers if name.lower() == "location"), "")
        for upload in parse_qs(urlsplit(location).query).get("upload_id", []):
            self._uploads[upload] = _Upload(call.bucket, call.key, query.get("ifGenerationMatch"))


@dataclass(slots=True)
class _Upload:
    """A resumable upload: how many bytes are held, and, once it is done, the resource that it made."""

    bucket: str
    name: str
    wanted: str | None
    held: int = 0
    made: bytes | None = None

    def status(self) -> Answer:
        """What has come of it."""
        held = (("Range", f"bytes=0-{self.held - 1}"),) if self.held else ()
        return Answer(HTTPStatus.PERMANENT_REDIRECT, held, io.BytesIO(), 0)


def _range(request: Request) -> tuple[int | None, int | None]:
    """Where the bytes of a piece begin, and how many there are to be in all, as far as it says."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", request.header("Content-Range"))
    begin, total = found.groups() if found else (None, None)
    return (int(begin) if begin else None, int(total) if total else None)


def _missing(bucket: str, name: str) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "notFound", f"No such object: {bucket}/{name}")


def object_target(bucket: str, name: str) -> str:
    """Where an object's metadata can be asked for."""
    return f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"


def masked(content: bytes, fields: str) -> bytes:
    """A JSON answer with only what ``fields`` names, e.g. ``items(name,size),nextPageToken``."""
    document = json.loads(content)
    return content if "error" in document else json.dumps(_only(document, _mask(iter(_tokens(fields))))).encode()


def _tokens(fields: str) -> list[str]:
    return re.findall(r"[(),/]|[^(),/]+", fields)


def _mask(tokens: Iterator[str]) -> dict[str, Any]:
    """The tree of what is named; an empty one stands for everything."""
    mask: dict[str, Any] = {}
    inner = mask
    for token in tokens:
        if token == ")":
            break
        if token == "(":
            inner.update(_mask(tokens))
        elif token == ",":
            inner = mask
        elif token != "/":
            inner = inner.setdefault(token, {})
    return mask


def _only(document: Any, mask: dict[str, Any]) -> Any:
    if not mask or "*" in mask:
        return document
    if isinstance(document, list):
        return [_only(each, mask) for each in document]
    return {name: _only(value, mask[name]) for name, value in document.items() if name in mask}


def batched(request: Request) -> list[tuple[str, Request]]:
    """The requests of a batch, each with its Content-ID.

    Raises:
        ValueError: more of them than a batch may hold.
    """
    head = f"Content-Type: {request.header('Content-Type')}\r\n\r\n".encode()
    message = message_from_bytes(head + request.read())
    parts = [part for part in message.walk() if part.get_content_type() == "application/http"]
    if len(parts) > _BATCH_LIMIT:
        raise ValueError(f"a batch holds at most {_BATCH_LIMIT} calls")
    return [(str(part["Content-ID"] or ""), _inner(part.get_payload())) for part in parts]


def _inner(content: object) -> Request:
    first, _, rest = str(content).partition("\n")
    method, target, *_ = first.split()
    message = message_from_string(rest)
    body = str(message.get_payload()).strip().encode()
    return Request(method, target, (*message.items(), ("Host", "127.0.0.1")), io.BytesIO(body), len(body))


def batch_answer(answers: list[tuple[str, int, bytes]], boundary: str) -> bytes:
    """The body that answers a batch: of each call its Content-ID, status and JSON."""
    lines = []
    for content_id, status, content in answers:
        lines += [
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{content_id.strip('<>')}>\r\n\r\n"
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json; charset=UTF-8\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode(),
            content,
            b"\r\n",
        ]
    return b"".join([*lines, f"--{boundary}--\r\n".encode()])
