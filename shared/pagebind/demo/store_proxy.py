"""A proxy before an object store: it counts what passes, makes fake-gcs-server strict, and fails when told to.

The store's client knows nothing of it: requests pass as they are, signed or not, and so do the answers.
"""

from __future__ import annotations

import io
import json
import secrets
import threading
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Literal, cast

from pagebind.demo import gcs_rules
from pagebind.demo.gcs_rules import GcsRules, Refusal
from pagebind.demo.http_relay import Front, Upstream, on_wire
from pagebind.demo.object_stores import GcsServer, S3Server
from pagebind.demo.store_calls import Answer, Call, Request, gcs_call, price_class, s3_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from pagebind.demo.store_calls import PriceClass

_HOLD_SECONDS = 60.0
_REASONS = {403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed", 429: "TooManyRequests", 503: "SlowDown"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        drop: close the connection without an answer: ``before`` the store hears of the call, or ``after`` it did it.
        status: answer with this status instead of asking the store.
        headers: of that answer, e.g. ``Retry-After``.
        content: of that answer; without it, the error as the store would write it.
        cut: bytes of the answer's body after which the connection ends.
        hold: wait for this event first, for at most a minute.
    """

    drop: Literal["before", "after"] | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    cut: int | None = None
    hold: threading.Event | None = None


class StoreProxy:
    """The proxy, up while the context is. Put it before a server that is up.

    Attributes:
        calls: every operation that arrived since the last `reset`, those inside a batch one by one, in the order of
            their arrival.
        on_call: asked for each operation before it is passed on, in the thread that serves it, whether something goes
            wrong with it.
    """

    def __init__(self, server: GcsServer | S3Server, *, strict: bool = True) -> None:
        self.server = server
        self.calls: list[Call] = []
        self.on_call: Callable[[Call], Fault | None] = _no_fault
        self._gcs = isinstance(server, GcsServer)
        self._rules = GcsRules(self._generation_of) if self._gcs and strict else None
        self._counting = threading.Lock()
        self._death: tuple[int, bool] | None = None
        self._dead = threading.Event()
        self._aside = Upstream(server.port)

    def __enter__(self) -> Self:
        """Begin to serve, on a free port of 127.0.0.1."""
        self._front = Front(self._serve, self.server.port, refuses=self._dead.is_set)
        self._front.begin("store proxy")
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection."""
        self._front.end()
        self._aside.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._front.server_address[1])

    @property
    def url(self) -> str:
        """The address to give to a client, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """As the server's own, by way of the proxy."""
        return {name: self._here(value) for name, value in self.server.environment().items()}

    def reset(self) -> None:
        """Forget calls, faults and death."""
        with self._counting:
            self.calls = []
            self.on_call = _no_fault
            self._death = None
        self._dead.clear()

    def die_at(self, number: int, *, after: bool = False) -> None:
        """As if the client were killed at its ``number``-th call from now (1 is the next).

        That call is dropped, before or after the store did it, and nothing that comes later reaches the store.
        """
        with self._counting:
            self._death = (len(self.calls) + number, after)

    @property
    def dead(self) -> bool:
        """Whether `die_at` has come true."""
        return self._dead.is_set()

    def revive(self) -> None:
        """Serve again, and no longer die."""
        with self._counting:
            self._death = None
        self._dead.clear()

    def counts(self) -> dict[str, int]:
        """How often each operation was called."""
        names = [call.operation for call in self.calls]
        return {name: names.count(name) for name in sorted(set(names))}

    def price_counts(self) -> dict[PriceClass, int]:
        """How many calls there were of each class of the price lists."""
        classes = [price_class(call.operation) for call in self.calls]
        return {"A": classes.count("A"), "B": classes.count("B"), "free": classes.count("free")}

    def _serve(self, request: Request, upstream: Upstream) -> Iterator[bytes]:
        """The answer to a request, head and body, as it goes over the wire.

        Raises:
            ConnectionError: the connection is to end here.
        """
        if self._gcs and request.target.startswith("/batch/"):
            yield from on_wire(self._batch(request, upstream), request.method)
            return
        call = gcs_call(request) if self._gcs else s3_call(request)
        yield from on_wire(self._answer(request, call, upstream), request.method)

    def _answer(self, request: Request, call: Call, upstream: Upstream) -> Answer:
        """What to send back. Raises: ConnectionError."""
        fault = self._count(call)
        if fault.hold:
            fault.hold.wait(_HOLD_SECONDS)
        if fault.drop == "before":
            raise ConnectionAbortedError
        answer = self._made_up(fault.status, fault) if fault.status else self._asked(request, call, upstream)
        if fault.drop == "after" or self._dead.is_set():
            raise ConnectionAbortedError
        call.status = answer.status
        return replace(answer, body=cast("IO[bytes]", _Metered(answer.body, call, fault.cut)))

    def _count(self, call: Call) -> Fault:
        """Note a call, and find out what goes wrong with it."""
        with self._counting:
            if self._dead.is_set():
                raise ConnectionAbortedError
            self.calls.append(call)
            if self._death and len(self.calls) == self._death[0]:
                self._dead.set()
                return Fault(drop="after" if self._death[1] else "before")
        return self.on_call(call) or Fault()

    def _asked(self, request: Request, call: Call, upstream: Upstream) -> Answer:
        """The store's answer, or that of the rules."""
        if self._rules is None:
            answer: Answer | Refusal = upstream.ask(request)
        else:
            answer = self._rules.answer(request, call, lambda: upstream.ask(request))
        if isinstance(answer, Refusal):
            return _json(answer.status, answer.content())
        return self._adjusted(request, call, answer) if self._gcs else answer

    def _adjusted(self, request: Request, call: Call, answer: Answer) -> Answer:
        """An answer of fake-gcs-server whose links lead here, with no more fields than asked for."""
        headers = tuple((name, self._here(value)) for name, value in answer.headers)
        described = any(name.lower() == "content-type" and "json" in value for name, value in headers)
        if call.operation == "objects.get_media" or not described:
            return Answer(answer.status, headers, answer.body, answer.length)
        content = self._here(answer.body.read().decode()).encode()
        if "fields" in request.query and self._rules:
            content = gcs_rules.masked(content, request.query["fields"])
        return Answer(answer.status, headers, io.BytesIO(content), len(content))

    def _batch(self, request: Request, upstream: Upstream) -> Answer:
        """Each call of a batch by itself, as the store bills it."""
        try:
            parts = gcs_rules.batched(request)
        except ValueError as error:
            return _json(HTTPStatus.BAD_REQUEST, Refusal(HTTPStatus.BAD_REQUEST, "invalid", str(error)).content())
        answers = []
        for content_id, part in parts:
            call = gcs_call(part)
            answer = self._answer(part, call, upstream)
            answers.append((content_id, answer.status, answer.body.read()))
        boundary = f"batch_{secrets.token_hex(8)}"
        content = gcs_rules.batch_answer(answers, boundary)
        headers = (("Content-Type", f"multipart/mixed; boundary={boundary}"),)
        return Answer(HTTPStatus.OK, headers, io.BytesIO(content), len(content))

    def _generation_of(self, bucket: str, name: str) -> int:
        """Called by the rules only, which let one thread in at a time."""
        target = gcs_rules.object_target(bucket, name)
        answer = self._aside.ask(Request("GET", target, (("Host", "127.0.0.1"),), io.BytesIO(), 0))
        content = json.loads(answer.body.read())
        return int(content["generation"]) if answer.status == HTTPStatus.OK else 0

    def _made_up(self, status: int, fault: Fault) -> Answer:
        """What a fault wants answered."""
        reason = _REASONS.get(status, "InternalError")
        if self._gcs:
            error = Refusal(HTTPStatus(status), reason, f"{HTTPStatus(status).phrase}.").content()
            answer = _json(status, error if fault.content is None else fault.content)
        else:
            error = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{reason}</Code></Error>'.encode()
            content = error if fault.content is None else fault.content
            answer = Answer(status, (("Content-Type", "application/xml"),), io.BytesIO(content), len(content))
        return replace(answer, headers=(*answer.headers, *fault.headers.items()))

    def _here(self, text: str) -> str:
        """The text with links to the server turned into links to this proxy."""
        return text.replace(self.server.url, self.url)


class _Metered:
    """The body of an answer: counts what is taken, and breaks off after ``cut`` bytes."""

    def __init__(self, body: IO[bytes], call: Call, cut: int | None) -> None:
        self._body = body
        self._call = call
        self._cut = cut

    def read(self, size: int = -1) -> bytes:
        """As of any reader. Raises: ConnectionAbortedError."""
        if self._cut is not None:
            left = self._cut - self._call.received
            if not left:
                raise ConnectionAbortedError
            size = left if size < 0 else min(size, left)
        piece = self._body.read(size)
        self._call.received += len(piece)
        return piece


def _no_fault(_: Call) -> None:
    return None


def _json(status: int, content: bytes) -> Answer:
    headers = (("Content-Type", "application/json; charset=UTF-8"),)
    return Answer(int(status), headers, io.BytesIO(content), len(content))
