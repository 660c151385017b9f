"""What messages and calls of readers arrive at: a server that notes them, and one that never ends its answer."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.support.task_target import Call, Reply, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 20.0
"""Longer than anything here takes on a busy machine."""


class Receiver(Target):
    """A `Target` for messages of Apprise's ``json://`` and for the calls of hooks."""

    def address(self, path: str = "/notify") -> str:
        """For Apprise."""
        return f"json://127.0.0.1:{self.server_address[1]}{path}"

    def to(self, path: str) -> list[Call]:
        """The calls that came in at a path, whatever their query."""
        return [call for call in self.calls if call.path.partition("?")[0] == path]

    def messages(self, path: str = "/notify") -> list[dict[str, Any]]:
        """What came in from Apprise: ``title``, ``message`` and ``type``."""
        return [json.loads(call.body) for call in self.to(path)]

    def refuse(self, status: int, path: str = "/notify", **headers: str) -> None:
        """Answer at this path with a status, and at all others as before."""
        before = self.reply
        self.reply = lambda call: Reply(status, headers) if call.path.startswith(path) else before(call)

    def stall(self) -> None:
        """Answer nothing before the context ends."""

        def wait(_: Call) -> Reply:
            self.leaving.wait(SECONDS)
            return Reply(0)

        self.reply = wait

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that has to come true."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"it never came true; there are {self.calls}"
            time.sleep(0.005)


@contextlib.contextmanager
def dripping(*, every: float = 0.05) -> Iterator[int]:
    """A port whose server answers with headers for ever, one byte at a time."""
    leaving = threading.Event()

    def serve() -> None:
        while not leaving.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not leaving.wait(every):
                        connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        server = threading.Thread(target=serve, name="dripping")
        server.start()
        try:
            yield listening.getsockname()[1]
        finally:
            leaving.set()
            server.join()
