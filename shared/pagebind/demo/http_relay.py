"""HTTP/1.1 in and out again: takes requests whole, asks another server, and passes its answers on as they come."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import tempfile
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, cast

from pagebind.demo.store_calls import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 64 * 1024
_IN_MEMORY = 8 << 20
_TIMEOUT_SECONDS = 120.0
_IDLE_SECONDS = 5.0
_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect"})
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Upstream:
    """A kept connection to the server on a port of 127.0.0.1, for one thread."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        self._answer: http.client.HTTPResponse | None = None
        self._used = 0.0

    def ask(self, request: Request) -> Answer:
        """The answer, whose body has to be read before the next question.

        Raises:
            OSError, http.client.HTTPException: there is none.
        """
        unread = self._answer is not None and not self._answer.isclosed()
        if unread or time.monotonic() - self._used > _IDLE_SECONDS:
            self.close()
        connection = self._connection
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        chunked = False
        for name, value in request.headers:
            chunked |= name.lower() == "transfer-encoding"
            if name.lower() not in {"connection", "keep-alive", "expect"}:
                connection.putheader(name, value)
        request.body.seek(0)
        connection.endheaders(cast("bytes", request.body) if request.length else None, encode_chunked=chunked)
        self._answer = connection.getresponse()
        self._used = time.monotonic()
        headers = tuple((name, value) for name, value in self._answer.getheaders())
        return Answer(self._answer.status, headers, cast("IO[bytes]", self._answer), self._answer.length)

    def close(self) -> None:
        """End the connection; the next question opens another."""
        if self._answer:
            self._answer.close()
        self._connection.close()


def on_wire(answer: Answer, method: str) -> Iterator[bytes]:
    """The head of an answer, then its body in pieces."""
    headers = [(name, value) for name, value in answer.headers if name.lower() not in _OF_ONE_CONNECTION]
    bodiless = method == "HEAD" or answer.status in _BODILESS
    if bodiless:
        headers += [(name, value) for name, value in answer.headers if name.lower() == "content-length"]
    elif answer.length is None:
        headers.append(("Transfer-Encoding", "chunked"))
    else:
        headers.append(("Content-Length", str(answer.length)))
    lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    yield "\r\n".join([*lines, "", ""]).encode("latin-1")
    if bodiless:
        return
    while piece := answer.body.read(_CHUNK):
        yield piece if answer.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
    if answer.length is None:
        yield b"0\r\n\r\n"


class Front(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1; a thread for each connection.

    Args:
        serve: gives the answer to a request, piece by piece, and may ask the server on ``upstream_port``; a
            `ConnectionError` from it ends the connection.
        refuses: whether no new connection is taken.
    """

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self,
        serve: Callable[[Request, Upstream], Iterator[bytes]],
        upstream_port: int,
        *,
        refuses: Callable[[], bool],
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.serve = serve
        self.upstream_port = upstream_port
        self._refuses = refuses
        self._open: set[socket.socket] = set()
        self._opening = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, name: str) -> None:
        """Serve, in a thread of this name."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=name)
        self._thread.start()

    def end(self) -> None:
        """End it and all its connections."""
        if self._thread is not None:
            self.shutdown()
            self.server_close()
            self._thread.join()

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002 - an override
        """No connection at all while it refuses."""
        return not self._refuses()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Note the connection, so that it can be ended."""
        with self._opening:
            self._open.add(cast("socket.socket", request))
        super().process_request(request, cast("tuple[str, int]", client_address))

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """As told; it is over."""
        with self._opening:
            self._open.discard(cast("socket.socket", request))
        super().shutdown_request(request)

    def server_close(self) -> None:
        """End all connections, and wait for their threads."""
        with self._opening:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """That either side went away is no error of this program."""
        if not isinstance(sys.exception(), OSError | http.client.HTTPException):
            super().handle_error(cast("socket.socket", request), client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Front

    def setup(self) -> None:
        super().setup()
        self._upstream = Upstream(self.server.upstream_port)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def _relay(self) -> None:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
            length = self._take(body)
            headers = tuple(self.headers.items())
            request = Request(self.command, self.path, headers, cast("IO[bytes]", body), length)
            try:
                for piece in self.server.serve(request, self._upstream):
                    self.wfile.write(piece)
            except (OSError, http.client.HTTPException):
                self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _relay  # noqa: N815 - names that the base class looks for

    def _take(self, body: IO[bytes]) -> int:
        """Take the request's body in. Returns its length. Raises: ConnectionError."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                self._copy(size, body)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailers: no client of ours sends any
        else:
            self._copy(int(self.headers.get("Content-Length", 0)), body)
        return body.tell()

    def _copy(self, size: int, body: IO[bytes]) -> None:
        while size:
            piece = self.rfile.read(min(size, _CHUNK))
            if not piece:
                raise ConnectionAbortedError
            body.write(piece)
            size -= len(piece)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - an override
        """Nothing: the terminal is the demo's."""
