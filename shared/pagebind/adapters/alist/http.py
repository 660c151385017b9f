"""The one module that knows the HTTP library.

It speaks to transports, not to a client: a client keeps cookies and logs each URL with its sign, which is wrong here,
and it doubles the processor time that a page costs.
"""

from __future__ import annotations

import logging
import re
import socket
import time
import zlib
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from pagebind.adapters.alist.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from ssl import SSLContext

    from pagebind.adapters.alist.limits import Limits
    from pagebind.adapters.alist.redirects import RedirectPolicy

BaseTransport = httpx.BaseTransport
Headers = list[tuple[str, str]]

for _chatty in ("httpx", "httpcore"):
    # At level DEBUG they write whole headers, and with them the token and the links of drives.
    logging.getLogger(_chatty).setLevel(logging.WARNING)

_IDLE_SECONDS: Final = 15.0
LARGEST_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer of the API, packed and unpacked; a page of 200 entries is some 100 kB."""
_MOST_WINDOWS: Final = 4
_MOST_HOSTS: Final = 256
"""Whose pools are remembered by name; a server may name any number of them."""
_PACKED: Final = frozenset(
    # The content codings that IANA lists, but for identity.
    {"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "zstd"}
    | {"x-compress", "x-gzip"}
)
_UNPACKED: Final = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS + 32
_NOT_UNPACKED: Final = "its answer could not be unpacked"


class Patience(NamedTuple):
    """How long to wait.

    Attributes:
        window: seconds in each of which enough must come, see `Meter`.
        monotonic: the clock.
    """

    window: float
    monotonic: Callable[[], float]

    @property
    def in_all(self) -> float:
        """Seconds for the body of one answer of the API, or for all requests of one file that bring none of it."""
        return _MOST_WINDOWS * self.window


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


class TooSlow(NoAnswer):
    """It comes, but so slowly that nobody should wait for it."""

    def __init__(self) -> None:
        super().__init__("it sent less than 1 KiB a second", connected=True)


class Unusable(NoAnswer):
    """It came, and cannot be read: asking again would bring the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, connected=True)


class Reply:
    """An answer whose body is still to come. Close it.

    Attributes:
        status: of HTTP.
        waited: seconds that the server let us wait for the body so far.
    """

    __slots__ = ("_ahead", "_meter", "_patience", "_response", "_stream", "status", "waited")

    def __init__(self, response: httpx.Response, patience: Patience) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        self.status = response.status_code
        self.waited = 0.0
        self._response = response
        self._patience = patience
        self._meter = Meter(patience.window)
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

    @property
    def is_packed(self) -> bool:
        """Whether the body is not the content itself."""
        encodings = self.header("Content-Encoding").lower().split(",")
        return any(encoding.partition(";")[0].strip() in _PACKED for encoding in encodings)

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes, encoded as it was sent, from its beginning even after a `peek`.

        Raises:
            NoAnswer: it broke off; `TooSlow` where that is why.
        """
        while self._ahead:
            yield self._ahead.pop(0)
        while (chunk := self._next()) is not None:
            yield chunk

    def peek(self, at_most: int) -> bytes:
        """The beginning of the body: all of it, or more than ``at_most`` bytes.

        Raises:
            NoAnswer: it broke off; `TooSlow` also where that takes more than one window.
        """
        size, begun = 0, self.waited
        got: list[bytes] = []
        for chunk in self.chunks():
            got.append(chunk)
            size += len(chunk)
            if size > at_most:
                break
            if self.waited - begun > self._patience.window:
                raise TooSlow
        self._ahead = got
        return b"".join(got)

    def read(self) -> bytes:
        """The whole body, unpacked; it may take four windows of patience and be 16 MiB large.

        Raises:
            NoAnswer: it broke off; `Unusable` where it is too large, or packed as nobody can tell.
        """
        content = Unpacked(self.header("Content-Encoding"), LARGEST_ANSWER)
        for chunk in self.chunks():
            content.add(chunk)
            if self.waited > self._patience.in_all:
                raise TooSlow
        return content.whole()

    def close(self) -> None:
        """Give the connection back, or drop it if the body was not read to its end."""
        self._response.close()

    def _next(self) -> bytes | None:
        begun = self._patience.monotonic()
        try:
            chunk = next(self._stream, None)
        except httpx.HTTPError as error:
            raise _no_answer(error) from None
        waited = self._patience.monotonic() - begun
        self.waited += waited
        if chunk is not None and not self._meter.is_enough(waited, len(chunk)):
            raise TooSlow
        return chunk


class Unpacked:
    """A body that is unpacked as it comes, and never to more than is allowed."""

    def __init__(self, encoding: str, largest: int) -> None:
        """Prepare for a body of this `Content-Encoding`. Raises: Unusable: it is none that we asked for."""
        encoding = encoding.strip().lower()
        if encoding not in _UNPACKED:
            raise Unusable("its answer is packed in a way that nobody asked for")
        self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB) if encoding in _PACKED else None
        self._largest = largest
        self._wire = 0
        self._content = bytearray()

    def add(self, chunk: bytes) -> None:
        """The next bytes, as sent. Raises: Unusable: also if more comes than one packed body."""
        self._wire += len(chunk)
        if self._unpacker is not None:
            packed_more = self._unpacker.eof and chunk
            try:
                chunk = self._unpacker.decompress(chunk, self._largest + 1 - len(self._content))
            except zlib.error:
                raise Unusable(_NOT_UNPACKED) from None
            if packed_more or self._unpacker.unused_data:
                raise Unusable(_NOT_UNPACKED)
        self._content += chunk
        if max(self._wire, len(self._content)) > self._largest:
            raise Unusable(f"its answer is larger than {self._largest >> 20} MiB")

    def whole(self) -> bytes:
        """What the body is. Raises: Unusable: its end is missing."""
        if self._unpacker is not None and self._wire and not self._unpacker.eof:
            raise Unusable(_NOT_UNPACKED)
        return bytes(self._content)


class Connections:
    """Pools of connections, made when first needed: a plain http server costs no loading of certificates.

    Those to the source itself and those to where it redirects are kept apart, since only the latter are judged.
    """

    def __init__(
        self,
        limits: Limits,
        transport: BaseTransport | None,
        *,
        policy: RedirectPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare pools.

        Args:
            limits: time-outs, and how many connections to keep.
            transport: instead of real connections; then no address is judged.
            policy: judges whom to connect to; None: nobody asks ``away``.
            monotonic: the clock by which a slow server is told.
        """
        self._given = transport
        self._policy = policy
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
        self.patience = Patience(limits.read_timeout, monotonic)
        self._transports: dict[tuple[str, str | None, bool], BaseTransport] = {}
        self._chosen: dict[tuple[str, str, bool], BaseTransport] = {}
        self._tls: SSLContext | None = None
        self._lock = Lock()
        self._closed = False

    def exchange(
        self, method: str, url: str, headers: Headers, body: bytes | None = None, *, away: bool = False
    ) -> Reply:
        """Ask once, following nothing.

        Args:
            method: of HTTP.
            url: whom and what to ask.
            headers: all that are sent, but for ``Host``.
            body: sent with it.
            away: it is not the source that is asked, but somebody whom it names.

        Raises:
            NoAnswer: no answer came; a `NotAUrl` where that is the URL's fault.
            AddressRefused: only ``away``.
        """
        try:
            address = httpx.URL(url)
            transport = self._transport(address.scheme, address.host, away=away)
        except (httpx.InvalidURL, UnicodeError):
            raise NotAUrl from None
        request = httpx.Request(method, address, headers=headers, content=body, extensions=self._extensions)
        try:
            return Reply(transport.handle_request(request), self.patience)
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

    def _transport(self, scheme: str, host: str, *, away: bool) -> BaseTransport:
        if self._given is not None:
            return self._given
        known = self._chosen.get((scheme, host, away))
        if known is not None:
            return known
        proxy = _proxy_for(scheme, host)
        if proxy is not None and self._policy is not None:
            for found in _resolved(host):  # the proxy connects, and nobody here sees to what
                (self._policy.admit if away else self._policy.source_is_at)(found)
        with self._lock:
            if self._closed:  # a thread that nobody waited for must not open new ones, which nobody would close
                raise NoAnswer("the connections are closed", connected=False)
            if (scheme, proxy, away) not in self._transports:
                self._transports[scheme, proxy, away] = self._connect(scheme, proxy, away=away)
            if len(self._chosen) >= _MOST_HOSTS:
                self._chosen.clear()
            return self._chosen.setdefault((scheme, host, away), self._transports[scheme, proxy, away])

    def _connect(self, scheme: str, proxy: str | None, *, away: bool) -> BaseTransport:
        from pagebind.adapters.alist.wire import Peers, open_wire

        if scheme == "https" and self._tls is None:
            self._tls = httpx.create_ssl_context()
        peers = None
        if self._policy is not None:
            peers = Peers(self._policy.admit, _ignore) if away else Peers(_ignore, self._policy.source_is_at)
        try:
            return open_wire(self._pool, proxy, self._tls, peers, self.patience)
        except (RuntimeError, ValueError):
            raise NoAnswer(
                "the proxy that the environment names is of a kind that is not supported", connected=False
            ) from None


def _ignore(_address: str) -> None:
    """Everybody is welcome."""


def _resolved(host: str) -> set[str]:
    """The host's addresses; none where it cannot be resolved here, as behind some proxies."""
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


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
    if isinstance(error, httpx.RemoteProtocolError) and not re.search("disconnected|closed", str(error)):
        return NoAnswer("what it sent is not HTTP", connected=connected)
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
    (httpx.LocalProtocolError, "what was to be sent is no HTTP"),
    (httpx.TransportError, "the connection broke off"),
)
