"""Calls of the JSON API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from pagebind.adapters.alist import envelope
from pagebind.adapters.alist.envelope import Answer, Endpoint, Envelope, Refusal, Remedy
from pagebind.adapters.alist.http import NoAnswer, Unusable, host_of
from pagebind.adapters.alist.login import Credentials, Session, one_time_code
from pagebind.adapters.alist.retries import retry_after, with_retries
from pagebind.errors import AuthRefused, ListingFailed, PageFailed, ServerUnreachable, SourceError

if TYPE_CHECKING:
    from pagebind.adapters.alist.http import Connections, Headers, Reply
    from pagebind.adapters.alist.rates import Paces, Stopwatch
    from pagebind.adapters.alist.redactor import Redactor
    from pagebind.ports.clock import Clock

T = TypeVar("T")

USER_AGENT: Final = "pagebind"


class Call(NamedTuple, Generic[T]):
    """One endpoint and what it answers."""

    endpoint: Endpoint
    method: str
    target: str
    decoder: msgspec.json.Decoder[Envelope[T]]


LOGIN: Final = Call(Endpoint.LOGIN, "POST", "/api/auth/login", msgspec.json.Decoder(Envelope[envelope.LoginData]))
ME: Final = Call(Endpoint.ME, "GET", "/api/me", msgspec.json.Decoder(Envelope[envelope.MeData]))
SETTINGS: Final = Call(
    Endpoint.SETTINGS, "GET", "/api/public/settings", msgspec.json.Decoder(Envelope[envelope.SettingsData])
)
STORAGES: Final = Call(
    Endpoint.STORAGES,
    "GET",
    "/api/admin/storage/list?page=1&per_page=0",
    msgspec.json.Decoder(Envelope[envelope.StoragesData]),
)
LIST: Final = Call(Endpoint.LIST, "POST", "/api/fs/list", msgspec.json.Decoder(Envelope[envelope.ListData]))
GET: Final = Call(Endpoint.GET, "POST", "/api/fs/get", msgspec.json.Decoder(Envelope[envelope.GetData]))

_LARGEST_LOOSE: Final = 4 * 1024 * 1024
"""Bytes; without types, JSON takes up to 25 times its length in memory."""
_LIMITED: Final = frozenset({Endpoint.LIST, Endpoint.GET})


class Api:
    """Asks, as one account, with retries and the one repetition that a refused token allows."""

    def __init__(
        self,
        server_url: str,
        credentials: Credentials,
        connections: Connections,
        *,
        clock: Clock,
        client_id: str,
        paces: Paces,
        attempts: int,
    ) -> None:
        self._url = server_url
        self._server = host_of(server_url)
        self._connections = connections
        self._clock = clock
        self._attempts = attempts
        self._paces = paces
        self._session = Session(credentials, self._log_in)
        self._headers: Headers = [
            ("User-Agent", USER_AGENT),
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip"),
            ("Client-Id", client_id),
        ]

    @property
    def shown(self) -> Redactor:
        """Makes what the server says fit to be shown."""
        from pagebind.adapters.alist.redactor import Redactor  # not above: most runs have no refusal to show

        return Redactor(self._session.secrets)

    def anonymously(self, call: Call[T]) -> T:
        """The answer to a call that needs no credentials. Raises: Refusal."""
        return with_retries(lambda: self._ask(call, None, ""), attempts=self._attempts)

    def ask(self, call: Call[T], body: dict[str, Any] | None = None, taken: Stopwatch | None = None) -> T:
        """The answer to a call; ``body`` holds ``path`` and the folder's ``password`` where the call is about one.

        ``taken``: leaves out what our own rates make this call wait.

        Raises:
            Refusal: any other answer.
            ConfigError: a secret cannot be had.
        """
        with self._session.first_alone():
            try:
                return with_retries(lambda: self._ask_as_account(call, body, taken), attempts=self._attempts)
            except Refusal as refusal:
                if isinstance(refusal.error, AuthRefused):
                    self._session.end(refusal.error)
                raise

    def _ask_as_account(self, call: Call[T], body: dict[str, Any] | None, taken: Stopwatch | None) -> T:
        token = self._session.token()
        try:
            return self._ask(call, body, token, taken)
        except Refusal as refusal:
            another = self._session.renew(token, refusal) if isinstance(refusal.error, AuthRefused) else None
            if another is None:
                raise
        return self._ask(call, body, another, taken)

    def _log_in(self, username: str, password: str, otp_secret: str | None) -> str:
        body = {"username": username, "password": password}
        if otp_secret is not None:
            body["otp_code"] = one_time_code(otp_secret, self._clock.now())
        return self._ask(LOGIN, body, "").token

    def _ask(self, call: Call[T], body: dict[str, Any] | None, token: str, taken: Stopwatch | None = None) -> T:
        if call.endpoint in _LIMITED:
            waited = self._paces.at((body or {})["path"]).listings.take()
            if taken is not None:
                taken.leave_out(waited)
        headers = [*self._headers, ("Authorization", token)] if token else self._headers.copy()
        content = None
        if body is not None:
            content = json.dumps(body).encode("ascii")  # not by msgspec, which refuses halves of surrogate pairs
            headers.append(("Content-Type", "application/json"))
        try:
            reply = self._connections.exchange(call.method, self._url + call.target, headers, content)
            try:
                return self._value(call, reply, body or {}, token)
            finally:
                reply.close()
        except Unusable as failure:
            raise Refusal(_unusable(self._server, call.endpoint, (body or {}).get("path"), failure)) from None
        except NoAnswer as failure:
            raise Refusal(_unreachable(self._server, failure), Remedy.AGAIN) from None

    def _value(self, call: Call[T], reply: Reply, body: dict[str, Any], token: str) -> T:
        content = reply.read()
        try:
            opened = call.decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            loose = envelope.open_envelope(content) if len(content) <= _LARGEST_LOOSE else None
            page = envelope.tolerant_listing(loose.data) if loose and call.endpoint is Endpoint.LIST else None
            if loose is None or (page is None and loose.code == envelope.OK):
                raise self._refusal(call, reply, None, body, token) from None
            # A listing of the right form is what this call answers: T is ListData here.
            opened = Envelope(code=loose.code, message=loose.message, data=cast("T | None", page))
        if opened.code == envelope.OK and opened.data is not None:
            return opened.data
        raise self._refusal(call, reply, opened, body, token)

    def _refusal(
        self, call: Call[T], reply: Reply, opened: Envelope[Any] | None, body: dict[str, Any], token: str
    ) -> Refusal:
        from pagebind.adapters.alist.redactor import said

        shown = self.shown.knowing(token, body.get("password", ""), body.get("otp_code", ""))
        message = opened.message if opened and opened.code != envelope.OK else ""
        words = shown.words(message)
        if location := reply.header("Location"):
            words = shown.name(_host_in(location)) or "another path"
        return envelope.judge(
            call.endpoint,
            Answer(
                server=self._server,
                path=body.get("path"),
                status=reply.status,
                content_type=shown.name(reply.content_type),
                code=opened.code if opened else None,
                words=words,
                meant=said(message).lower(),
                retry_after=retry_after(reply.header("Retry-After"), self._clock.now()),
            ),
        )


def _host_in(location: str) -> str:
    """The host that a redirect names; empty: it names none, or is no URL."""
    try:
        return urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _unreachable(server: str, failure: NoAnswer) -> ServerUnreachable:
    if failure.connected:
        return ServerUnreachable(f"{server} gave no whole answer: {failure.reason}", fix="look at the server's own log")
    return ServerUnreachable(
        f"{server} cannot be reached: {failure.reason}",
        fix="check [source] url, that the server runs, and the network between",
    )


def _unusable(server: str, endpoint: Endpoint, path: str | None, failure: Unusable) -> SourceError:
    """What came says nothing of the server as a whole where it is about one folder or file."""
    reason = f"{server} gave no answer that can be read: {failure.reason}"
    fix = "look at the server's own log, and at what stands between it and Pagebind"
    kind = _ABOUT_ONE.get(endpoint, ServerUnreachable)
    return kind(reason if path is None else f"{path}: {reason}", fix=fix, path=path)


_ABOUT_ONE: Final[dict[Endpoint, type[SourceError]]] = {Endpoint.LIST: ListingFailed, Endpoint.GET: PageFailed}
