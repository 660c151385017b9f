"""A bare HTTP client for a demo server, and the folder that it is tried on."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.demo.server import DemoServer

FOLDER = "/comics/A"
PAGES = {f"{number:02}.png": png(str(number)) for number in range(1, 6)}
FIRST = f"{FOLDER}/01.png"
PICTURE = PAGES["01.png"]


@dataclass(frozen=True)
class Reply:
    """What came back: ``body`` holds what arrived even where the connection closed too early."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A bare HTTP client: no retries, no redirects, nothing hidden. One connection a request."""

    def __init__(self, server: DemoServer) -> None:
        self.server = server
        self.token = server.token

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.server.url.removeprefix("http://"), timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            try:
                data, cut = response.read(), False
            except http.client.IncompleteRead as error:
                data, cut = error.partial, True
            return Reply(response.status, dict(response.getheaders()), data, cut)
        finally:
            connection.close()

    def post(self, what: str, body: Any) -> Reply:
        return self.ask("POST", f"/api/{what}", body, Authorization=self.token)

    def listing(self, path: str = FOLDER, **fields: Any) -> Any:
        return self.post("fs/list", {"path": path, "page": 1, "per_page": 200, **fields}).json

    def names(self, path: str = FOLDER, **fields: Any) -> list[str]:
        return [item["name"] for item in self.listing(path, **fields)["data"]["content"] or []]

    def get(self, path: str = FIRST, method: str = "GET", **headers: str) -> Reply:
        return self.ask(method, f"/d{path}?sign={self.server.signs.sign(path)}", **headers)
