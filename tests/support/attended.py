"""A demo server that a test stands beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from pagebind.demo.answers import Answer, Request


class Attended(DemoServer):
    """Calls ``before`` ahead of each answer, and remembers the headers of each download in ``heard``."""

    def __init__(self, *mounts: Any, **options: Any) -> None:
        super().__init__(*mounts, **options)
        self.before: Callable[[Request], None] = lambda _: None
        self.heard: list[Mapping[str, str]] = []

    def answer(self, request: Request, stopping: threading.Event) -> Answer:
        self.before(request)
        if request.method == "GET":
            self.heard.append(request.headers)
        return super().answer(request, stopping)
