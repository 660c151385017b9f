"""A clock that only moves when somebody waits, and servers that answer from a script."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING, Any

import httpx

from pagebind.adapters.alist import AlistSource, Credentials, Limits, StaticToken
from pagebind.ports.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TOKEN = "alist-CANARYTOKEN"
SERVER = "http://alist.example:5244"

Answer = httpx.Response | Exception


class Vault:
    """Secrets that are kept until somebody forgets them, as for five minutes: ``held`` is what a look-up finds."""

    def __init__(self, **held: str | Exception) -> None:
        self.held = held
        self.lookups = 0
        self._kept: dict[str, str] = {}

    def get(self, reference: str) -> str:
        if reference not in self._kept:
            self.lookups += 1
            found = self.held[reference]
            if isinstance(found, Exception):
                raise found
            self._kept[reference] = found
        return self._kept[reference]

    def forget(self, reference: str) -> None:
        self._kept.pop(reference, None)


def secret(value: str) -> Secret:
    """A secret that nobody changes."""
    return Secret("it", Vault(it=value))


class FakeClock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now
        self.waits: list[float] = []
        self._lock = Lock()

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        with self._lock:
            self.waits.append(seconds)
            self.time += seconds


class Server:
    """Keeps what it was asked, and answers by handlers, found by the beginning of the path."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.handlers: dict[str, Callable[[httpx.Request], Answer]] = {
            "/api/me": lambda _: ok({"username": "admin", "base_path": "/", "role": 2}),
        }
        self._lock = Lock()

    def on(self, path: str, handler: Callable[[httpx.Request], Answer] | Answer | list[Answer]) -> Server:
        """Answer requests whose path begins so; of a list each answer once, the last one for ever."""
        if isinstance(handler, list):
            queue = list(handler)
            self.handlers[path] = lambda _: queue.pop(0) if len(queue) > 1 else queue[0]
        elif callable(handler):
            self.handlers[path] = handler
        else:
            self.handlers[path] = lambda _: handler
        return self

    def __call__(self, request: httpx.Request) -> httpx.Response:
        raw = request.url.raw_path.decode()
        with self._lock:
            self.requests.append(request)
            longest = max((p for p in self.handlers if (str(request.url) + raw).find(p) >= 0), key=len, default=None)
            assert longest is not None, f"nobody answers {request.url}"
            answer = self.handlers[longest](request)
        if isinstance(answer, Exception):
            raise answer
        # A response can be read once: hand out a copy.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def count(self, path: str) -> int:
        return sum(path in str(request.url) for request in self.requests)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests if path in str(request.url)]

    def source(
        self,
        credentials: Credentials | None = None,
        *,
        clock: FakeClock | None = None,
        limits: Limits | None = None,
        limits_below: Mapping[str, Limits] | None = None,
        url: str = SERVER,
    ) -> AlistSource:
        return AlistSource(
            url,
            credentials or StaticToken(secret(TOKEN)),
            clock=clock or FakeClock(),
            client_id="pagebind-test",
            limits=limits or Limits(list_per_second=0),
            limits_below=limits_below,
            transport=httpx.MockTransport(self),
        )


def ok(data: Any) -> httpx.Response:
    return httpx.Response(200, json={"code": 200, "message": "success", "data": data})


def refused(code: int, message: str) -> httpx.Response:
    return httpx.Response(200, json={"code": code, "message": message, "data": None})


def item(name: str, size: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "size": size, "is_dir": False, "modified": "2026-11-22T03:10:58Z", "sign": "s:0", **more}


def page_of(names: list[str], total: int | None = None) -> httpx.Response:
    return ok({"content": [item(n) for n in names] or None, "total": len(names) if total is None else total})
