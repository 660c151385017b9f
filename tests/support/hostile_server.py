"""A server that says whatever a test wants, byte by byte, and for as long as it is let."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

from pagebind.adapters.clock import SystemClock
from pagebind.demo.pictures import png

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

PICTURE = png("hostile")
"""What ``/d/good`` answers."""


class Peer:
    """Whoever asked, on one connection. Attributes: ``sent``, in bytes."""

    def __init__(self, connection: socket.socket, stopping: threading.Event) -> None:
        self.connection = connection
        self.sent = 0
        self._stopping = stopping

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)
        self.sent += len(data)

    def drip(self, pieces: Iterable[bytes], pause: float = 0.02) -> None:
        """Say them one by one: by default 50 of them a second."""
        for piece in pieces:
            self.say(piece)
            if self._stopping.wait(pause):
                return

    def stall(self) -> None:
        """Say nothing more, for as long as the other side stays."""
        self.connection.settimeout(10)
        while self.connection.recv(65536):
            pass

    def reset(self) -> None:
        """Close it as a firewall does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class HostileServer:
    """Answers each request by the script of the longest beginning of its path, then closes the connection.

    Attributes:
        requests: those that came.
        connections: how many were made, also by those that never asked.
        sent: bytes of answers whose other side has left, by path.
    """

    def __init__(self, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self.sent: dict[str, int] = {}
        self._scripts: dict[str, Callable[[Peer], None]] = {"/d/good": lambda peer: peer.say(answer(PICTURE))}
        self._greeting: Callable[[Peer], None] | None = None
        self._tls = tls
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, 0), backlog=64)
        self.host, self.port = self._listener.getsockname()
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def on(self, path: str, script: bytes | Callable[[Peer], None]) -> Self:
        """Answer requests for what begins so, by these bytes or this script."""
        self._scripts[path] = script if callable(script) else lambda peer: peer.say(script)
        return self

    def on_connection(self, script: Callable[[Peer], None]) -> Self:
        """Run this on each new connection, before anything is read, and close it."""
        self._greeting = script
        return self

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        # Whoever is lied to may leave in the middle of it.
        with connection, contextlib.suppress(OSError):
            if self._greeting is not None:
                self._greeting(Peer(connection, self._stopping))
                return
            with self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as stream:
                self._answer(stream)

    def _answer(self, stream: socket.socket) -> None:
        request = b""
        while not _is_whole(request):
            came = stream.recv(65536)
            if not came:
                return
            request += came
        self.requests.append(request.decode("latin-1"))
        path = self.requests[-1].split(" ")[1]
        script = max((known for known in self._scripts if path.startswith(known)), key=len, default=None)
        assert script is not None, f"nobody answers {path}"
        peer = Peer(stream, self._stopping)
        try:
            self._scripts[script](peer)
        finally:
            self.sent[script] = peer.sent


def _is_whole(request: bytes) -> bool:
    """Whether its body is here too: who closes without having read it takes the answer back."""
    head, ended, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(ended) and len(body) >= (int(length[1]) if length else 0)


def head(status: int = 200, *, length: int | None = None, kind: str = "image/png", **headers: str) -> bytes:
    """The head of an answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"Content-Length: {length}"] if length is not None else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def answer(body: bytes, status: int = 200, **headers: str) -> bytes:
    """A whole answer."""
    return head(status, length=len(body), **headers) + body


def redirect(where: str) -> bytes:
    """To somewhere else."""
    return answer(b"Found", 302, Location=where)


def saying(first: bytes, then: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """``first``, and then whatever."""

    def script(peer: Peer) -> None:
        peer.say(first)
        then(peer)

    return script


def dripping(first: bytes, drop: bytes = b"x") -> Callable[[Peer], None]:
    """``first`` at once, then one drop after the other, for ever."""
    return lambda peer: peer.drip(itertools.chain([first], itertools.repeat(drop)))


def endless(first: bytes, more: bytes = b"x" * 65536) -> Callable[[Peer], None]:
    """``first``, and then without pause the same for ever."""
    return lambda peer: peer.drip(itertools.chain([first], itertools.repeat(more)), pause=0)


class Hurried(SystemClock):
    """Real time, but nobody waits."""

    def wait(self, seconds: float) -> None:
        time.sleep(0)
