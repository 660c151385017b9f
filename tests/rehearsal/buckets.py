"""The buckets of the rehearsal: every book is opened in the moment it is published, and time can go by."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pagebind.demo.gcs_rules import object_target
from pagebind.demo.http_relay import Upstream
from pagebind.demo.store_calls import Answer, Call, Request
from pagebind.demo.store_proxy import StoreProxy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pagebind.demo.object_stores import GcsServer

_PUBLISHING = frozenset(
    {"objects.rewrite", "objects.compose", "objects.copy", "objects.insert", "objects.insert.chunk"}
)


class Buckets(StoreProxy):
    """The strict proxy before some buckets, of which one is the library.

    Attributes:
        published: keys of books, one for each time that one was published.
        broken: what was wrong with any of them when it was.
    """

    def __init__(self, server: GcsServer, names: Iterable[str], library: str) -> None:
        super().__init__(server)
        self._library = library
        self.published: list[str] = []
        self.broken: list[str] = []
        self._leaps: list[tuple[datetime, timedelta]] = []
        self._looking = threading.Lock()
        self._look = Upstream(server.port)
        for bucket in names:
            server.create_bucket(bucket)

    def __exit__(self, *error: object) -> None:
        """End every connection, our own too."""
        super().__exit__(*error)
        self._look.close()

    def pass_time(self, seconds: float) -> None:
        """Let all that stands here be older by so much, as if this time had gone by for everybody."""
        self._leaps.append((datetime.now(UTC), timedelta(seconds=seconds)))

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """All that stands there now, read past the proxy."""
        listed = json.loads(self._get(f"/storage/v1/b/{bucket}/o?prefix={quote(prefix, safe='')}&maxResults=10000"))
        return {item["name"]: self.read(bucket, item["name"]) for item in listed.get("items", ())}

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        """The names of what stands there now."""
        listed = json.loads(self._get(f"/storage/v1/b/{bucket}/o?prefix={quote(prefix, safe='')}&maxResults=10000"))
        return [item["name"] for item in listed.get("items", ())]

    def read(self, bucket: str, name: str) -> bytes:
        """One object."""
        return self._get(f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media")

    def put(self, bucket: str, name: str, content: bytes) -> None:
        """Write one object."""
        target = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        headers = (("Host", "127.0.0.1"), ("Content-Length", str(len(content))))
        with self._looking:
            answer = self._look.ask(Request("POST", target, headers, io.BytesIO(content), len(content)))
            answer.body.read()
        assert answer.status == HTTPStatus.OK, (name, answer.status)

    def exists(self, bucket: str, name: str) -> bool:
        """Whether an object stands there now."""
        return self._got(object_target(bucket, name))[0] == HTTPStatus.OK

    def _get(self, target: str) -> bytes:
        status, content = self._got(target)
        assert status == HTTPStatus.OK, (target, status)
        return content

    def _got(self, target: str) -> tuple[int, bytes]:
        with self._looking:
            answer = self._look.ask(Request("GET", target, (("Host", "127.0.0.1"),), io.BytesIO(), 0))
            return answer.status, answer.body.read()

    def _asked(self, request: Request, call: Call, upstream: Upstream) -> Answer:
        answer = super()._asked(request, call, upstream)
        if call.bucket == self._library and call.operation in _PUBLISHING and answer.status == HTTPStatus.OK:
            self._open(call.key)
        return answer

    def _open(self, key: str) -> None:
        self.published.append(key)
        try:
            with zipfile.ZipFile(io.BytesIO(self.read(self._library, key))) as book:
                bad = book.testzip()
        except (AssertionError, zipfile.BadZipFile) as error:
            self.broken.append(f"{key}: {error}")
        else:
            if bad is not None:
                self.broken.append(f"{key}: {bad}")

    def _adjusted(self, request: Request, call: Call, answer: Answer) -> Answer:
        answer = super()._adjusted(request, call, answer)
        if not self._leaps or not isinstance(answer.body, io.BytesIO):
            return answer
        content = json.dumps(self._aged(json.loads(answer.body.read() or b"null"))).encode()
        return replace(answer, body=io.BytesIO(content), length=len(content))

    def _aged(self, document: Any) -> Any:
        if isinstance(document, list):
            return [self._aged(item) for item in document]
        if not isinstance(document, dict):
            return document
        aged = {name: self._aged(value) if name != "metadata" else value for name, value in document.items()}
        return aged | {name: self._earlier(aged[name]) for name in ("timeCreated", "updated") if name in aged}

    def _earlier(self, text: str) -> str:
        created = datetime.fromisoformat(text)
        passed = sum((leap for when, leap in self._leaps if created <= when), timedelta())
        return (created - passed).isoformat().replace("+00:00", "Z")
