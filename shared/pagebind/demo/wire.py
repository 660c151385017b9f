"""The demo server's HTTP: keep-alive, bodies sent as cheaply as can be, connections that break on request."""

from __future__ import annotations

import socket
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from pagebind.demo.answers import Request
from pagebind.demo.bodies import Pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagebind.demo.answers import Answer

_NO_NEW_LINES = str.maketrans("\r\n", "  ")
"""As Go writes headers, so that a file's name adds none."""


class HttpServer(ThreadingHTTPServer):
    """Serves what ``answer`` gives, each connection in a thread; the event that it also gets tells that we stop."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], answer: Callable[[Request, threading.Event], Answer]) -> None:
        self.answer = answer
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def stop(self) -> None:
        """Close the port and every connection."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            _close(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Know the connection, so that it can be closed."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _close(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the base class
        """Nothing: tests read `DemoServer.requests`."""

    def _serve(self) -> None:
        parts = urllib.parse.urlsplit(self.path if not self.path.startswith("//") else "/" + self.path.lstrip("/"))
        request = Request(
            method=self.command,
            path=parts.path,
            query=dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            address=str(self.client_address[0]),
        )
        self._send(self.server.answer(request, self.server.stopping))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _serve  # noqa: N815  # names of the base class

    def _send(self, answer: Answer) -> None:
        length = answer.stop - answer.start
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value.translate(_NO_NEW_LINES))
        if answer.status != 304:  # noqa: PLR2004  # Not Modified has no body
            self.send_header("Content-Length", str(length))
        small = isinstance(answer.body, Pieces) and answer.stays is None and length < 1 << 16
        if self.command != "HEAD" and small:
            self._headers_buffer: list[bytes]
            self._headers_buffer += [b"\r\n", answer.body.read()[answer.start : answer.stop]]
            self.flush_headers()
            return
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = length if answer.stays is None else answer.stays
        answer.body.send(self.connection, answer.start, answer.start + sent)
        if answer.stays is not None:
            self.server.stopping.wait(None if answer.stall == float("inf") else answer.stall)
            self.close_connection = True
