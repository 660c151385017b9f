"""A server that answers as the REST API of Google's Secret Manager documents it, as far as secrets are read.

cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access; its errors are those of
cloud.google.com/apis/design/errors.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import google_crc32c
from tests.support.secret_stores import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCESS = re.compile(r"/v1/(projects/[^/]+/secrets/[^/]+)/versions/([^/:]+):access(?:\?.*)?")
_STATUS = {400: "FAILED_PRECONDITION", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}


class Fault(NamedTuple):
    """An answer that is no version. ``reason`` is what newer APIs add to refusals; ``body`` stands for all of it."""

    status: int
    message: str = ""
    reason: str = ""
    body: bytes | None = None


class SecretManager:
    """Versions are counted from 1; ``latest`` is the newest whatever its state."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.faults: list[Fault] = []
        self.damages = False
        self._versions: dict[str, list[bytes | str]] = {}
        self.host = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[SecretManager]:
        """The server, running."""
        with serving(ThreadingHTTPServer(("127.0.0.1", 0), self._handler())) as self.host:
            yield self

    def add(self, secret: str, *versions: bytes) -> None:
        """Give a secret these versions more; without any it is there and empty."""
        self._versions.setdefault(secret, []).extend(versions)

    def end_newest(self, secret: str, state: str) -> None:
        """Disable or destroy the newest version."""
        self._versions[secret][-1] = state

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.faults:
            fault = self.faults.pop(0)
            return fault.status, _error(fault) if fault.body is None else fault.body
        access = _ACCESS.fullmatch(unquote(path))
        if access is None:
            return 404, b"<html>404. That's an error.</html>"
        name, wanted = access.groups()
        versions = self._versions.get(name, [])
        number = len(versions) if wanted == "latest" else int(wanted)
        if not 1 <= number <= len(versions):
            return 404, _error(Fault(404, f"Secret [{name}] not found or has no versions."))
        held = versions[number - 1]
        version = f"{name}/versions/{number}"
        if isinstance(held, str):
            return 400, _error(Fault(400, f"Secret Version [{version}] is in {held} state."))
        checksum = google_crc32c.value(held) ^ self.damages
        payload = {"data": base64.b64encode(held).decode(), "dataCrc32c": str(checksum)}
        return 200, json.dumps({"name": version, "payload": payload}).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        manager = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = manager.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _error(fault: Fault) -> bytes:
    about: dict[str, Any] = {"code": fault.status, "message": fault.message, "status": _STATUS.get(fault.status, "?")}
    if fault.reason:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        about["details"] = [{"@type": kind, "reason": fault.reason, "domain": "googleapis.com"}]
    return json.dumps({"error": about}).encode()
