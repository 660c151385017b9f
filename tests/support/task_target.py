"""Something for a queue to call."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self


class Call(NamedTuple):
    """A request that came in; names of headers in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What is answered. Status 0: the connection ends without an answer."""

    status: int = 200
    headers: Mapping[str, str] = {}


class Target(ThreadingHTTPServer):
    """An HTTP server, up while the context is.

    Attributes:
        calls: what came in.
        reply: gives the answer to a call, in the thread that serves it.
        most_at_once: calls that were served at the same time, at most.
        leaving: set when the context ends, for replies that wait.
    """

    daemon_threads = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[Call] = []
        self.reply: Callable[[Call], Reply] = lambda _: Reply()
        self.most_at_once = 0
        self.leaving = threading.Event()
        self._lock = threading.Lock()
        self._serving = 0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="target")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def served(self, call: Call) -> Reply:
        """Note a call and answer it."""
        with self._lock:
            self.calls.append(call)
            self._serving += 1
            self.most_at_once = max(self.most_at_once, self._serving)
        try:
            return self.reply(call)
        finally:
            with self._lock:
                self._serving -= 1


class _Handler(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.served(Call(self.path, headers, body))
        with contextlib.suppress(ConnectionError):  # whoever called no longer waits
            if reply.status:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""
