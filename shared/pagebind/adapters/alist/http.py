"""The one module that knows the HTTP library.

It speaks to transports, not to a client: a client keeps cookies and logs each URL with its sign, which is wrong here,
and it doubles the processor time that a page costs.
"""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pagebind.adapters.alist.limits import Limits

BaseTransport = httpx.BaseTransport
Headers = list[tuple[str, str]]

for _chatty in ("httpx", "httpcore"):
    # At level DEBUG they write whole headers, and with them the token and the links of drives.
    logging.getLogger(_chatty).setLevel(logging.WARNING)

_IDLE_SECONDS: Final = 15.0


class NoAnswer(Exception):  # named after what happened
    """No answer, or not the whole of it.

    Attributes:
        reason: what happened, in words that hold no part of the URL but its host.
        connected: whether the other side was reached at all.
    """

    def __init__(self, reason: str, *, connected: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.connected = connected


class NotAUrl(NoAnswer):
    """Nobody can be asked for that: it is malformed, or longer than the HTTP library takes (65,536 characters)."""

    def __init__(self) -> None:
        super().__init__("the address is not a URL", connected=False)


class Reply:
    """An answer whose body is still to come. Close it."""

    __slots__ = ("_ahead", "_response", "_stream", "status")

    def __init__(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        self.status = response.status_code
        self._response = response
        self._stream: Iterator[bytes] = iter(response.stream)
        self._ahead: list[bytes] = []

    def header(self, name: str) -> str:
        """The header's value, or an empty string."""
        value: str = self._response.headers.get(name, "")
        return value

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes, encoded as it was sent, from its beginning even after a `peek`.

        Raises:
            NoAnswer: it broke off.
        """
        while self._ahead:
            yield self._ahead.pop(0)
        try:
            yield from self._stream
        except httpx.HTTPError as error:
            raise _no_answer(error) from None

    def peek(self, at_most: int) -> bytes:
        """The beginning of the body: all of it, or more than ``at_most`` bytes. Raises: NoAnswer."""
        size = 0
        got: list[bytes] = []
        for chunk in self.chunks():
            got.append(chunk)
            size += len(chunk)
            if size > at_most:
                break
        self._ahead = got
        return b"".join(got)

    def read(self) -> bytes:
        """The whole body, decoded. Raises: NoAnswer."""
        try:
            return self._response.read()
        except httpx.HTTPError as error:
            raise _no_answer(error) from None

    def close(self) -> None:
        """Give the connection back, or drop it if the body was not read to its end."""
        self._response.close()


class Connections:
    """Pools of connections, made when first needed: a plain http server costs no loading of certificates."""

    def __init__(self, limits: Limits, transport: BaseTransport | None) -> None:
        self._given = transport
        self._pool = httpx.Limits(
            max_connections=None, max_keepalive_connections=limits.concurrency, keepalive_expiry=_IDLE_SECONDS
        )
        self._extensions = {
            "timeout": {
                "connect": limits.connect_timeout,
                "read": limits.read_timeout,
                "write": limits.read_timeout,
                "pool": None,
            }
        }
        self._transports: dict[tuple[str, str | None], BaseTransport] = {}
        self._chosen: dict[tuple[str, str], BaseTransport] = {}
        self._lock = Lock()
        self._closed = False

    def exchange(self, method: str, url: str, headers: Headers, body: bytes | None = None) -> Reply:
        """Ask once, following nothing.

        Raises:
            NoAnswer: no answer came; a `NotAUrl` where that is the URL's fault.
        """
        try:
            address = httpx.URL(url)
            transport = self._transport(address.scheme, address.host)
        except (httpx.InvalidURL, UnicodeError):
            raise NotAUrl from None
        request = httpx.Request(method, address, headers=headers, content=body, extensions=self._extensions)
        try:
            return Reply(transport.handle_request(request))
        except UnicodeError:  # a host whose name no name server can be asked for
            raise NotAUrl from None
        except httpx.HTTPError as error:
            raise _no_answer(error) from None

    def close(self) -> None:
        """Close all connections; whoever asks after that gets no answer."""
        with self._lock:
            self._closed = True
            for transport in (self._given, *self._transports.values()):
                if transport is not None:
                    transport.close()
            self._transports.clear()
            self._chosen.clear()

    def _transport(self, scheme: str, host: str) -> BaseTransport:
        if self._given is not None:
            return self._given
        known = self._chosen.get((scheme, host))
        if known is not None:
            return known
        with self._lock:
            if self._closed:  # a thread that nobody waited for must not open new ones, which nobody would close
                raise NoAnswer("the connections are closed", connected=False)
            proxy = _proxy_for(scheme, host)
            if (scheme, proxy) not in self._transports:
                self._transports[scheme, proxy] = self._connect(scheme, proxy)
            return self._chosen.setdefault((scheme, host), self._transports[scheme, proxy])

    def _connect(self, scheme: str, proxy: str | None) -> BaseTransport:
        try:
            return httpx.HTTPTransport(verify=scheme == "https" or proxy is not None, limits=self._pool, proxy=proxy)
        except (ImportError, ValueError):
            raise NoAnswer(
                "the proxy that the environment names is of a kind that is not supported", connected=False
            ) from None


def host_of(url: str) -> str:
    """Host and port as they stand in the URL: what may be shown of a link."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url.partition(":")[0]


def _proxy_for(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for this host (``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``)."""
    proxy = getproxies().get(scheme)
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _no_answer(error: httpx.HTTPError) -> NoAnswer:
    connected = not isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError | httpx.UnsupportedProtocol
    )
    if isinstance(error, httpx.ConnectError):
        # Its text is the operating system's or OpenSSL's, about a host, never about a path.
        return NoAnswer(_first_line(str(error)) or "no connection", connected=connected)
    return NoAnswer(
        next((words for kind, words in _REASONS if isinstance(error, kind)), "no answer"), connected=connected
    )


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200]


_REASONS: Final[Iterable[tuple[type[Exception], str]]] = (
    (httpx.ConnectTimeout, "no connection within the time allowed"),
    (httpx.TimeoutException, "it sent nothing for the time allowed"),
    (httpx.ProxyError, "the proxy refused"),
    (httpx.UnsupportedProtocol, "the address is neither http nor https"),
    (httpx.DecodingError, "the answer could not be unpacked"),
    (httpx.TransportError, "the connection broke off"),
)
