"""Requests as they come in and answers as they go out, apart from HTTP."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pagebind.demo.bodies import Body, Pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

WEB_APP = b"<html></html>\n"
"""What stands for the web app, which the servers answer to every unknown path."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. ``path`` is the URL's, still encoded; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    address: str

    @property
    def token(self) -> str:
        """What was sent as ``Authorization``."""
        return self.headers.get("authorization", "")

    @property
    def host(self) -> str:
        """How the client calls this server."""
        return self.headers.get("host", "127.0.0.1")


@dataclass(slots=True)
class Answer:
    """An answer.

    Attributes:
        status: of HTTP.
        headers: beside Content-Length.
        body: what is sent.
        start: the first byte of it that is sent.
        stop: the byte before which it ends.
        stays: how many bytes are really sent before the connection closes; None: all.
        stall: seconds to wait before it closes then.
        code: in a JSON body, for the log.
    """

    status: int
    headers: dict[str, str]
    body: Body
    start: int = 0
    stop: int = field(default=-1)
    stays: int | None = None
    stall: float = 0.0
    code: int | None = None

    def __post_init__(self) -> None:
        if self.stop < 0:
            self.stop = self.body.size


def text(status: int, content: str | bytes, kind: str) -> Answer:
    """An answer of some text."""
    data = content.encode() if isinstance(content, str) else content
    return Answer(status, {"Content-Type": kind}, Pieces([data]))


def web_page() -> Answer:
    """The web app."""
    return text(200, WEB_APP, "text/html")


def envelope(code: int, message: str, data: Any = None) -> Answer:
    """The JSON that every endpoint answers, with HTTP 200."""
    return raw_envelope(code, message, to_json(data))


def raw_envelope(code: int, message: str, data: bytes) -> Answer:
    """The same around data that is rendered already."""
    body = b'{"code":%d,"message":%b,"data":%b}' % (code, to_json(message), data)
    answer = text(200, body, "application/json; charset=utf-8")
    answer.code = code
    return answer


def to_json(data: Any) -> bytes:
    """Compact JSON; what is no Unicode in a name becomes a question mark."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@lru_cache(maxsize=4096)
def rfc3339(nanoseconds: int) -> str:
    """UTC with as many digits after the second as are needed, as Go writes it."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    digits = f"{fraction:09}".rstrip("0")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + (f".{digits}" if digits else "") + "Z"
