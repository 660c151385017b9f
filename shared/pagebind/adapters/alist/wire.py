"""The network below the HTTP library: where connections may lead, and how long anybody waits for what comes by them.

It is loaded with the first request. It builds on what httpcore documents: a network backend of one's own.
"""

from __future__ import annotations

import math
import re
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpcore
import httpx

from pagebind.adapters.alist.http import Patience, TooSlow
from pagebind.adapters.alist.meter import Meter
from pagebind.adapters.alist.redirects import AddressRefused

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

_MOST_ADDRESSES: Final = 4
"""Of one host; they share the time that a connection may take."""
_LARGEST_HEAD: Final = 256 * 1024
"""Bytes of an answer's head, with all that may come before it (1xx). httpcore takes 100 KiB for each part of it."""
_BLANK_LINE: Final = re.compile(rb"\n(?:(?<=\n\n)|(?<=\n\r\n))")
"""Its last byte comes first in the pattern, for one byte is found fast."""


class Peers(NamedTuple):
    """Whom connections may lead to.

    Attributes:
        admit: called with each address before it is connected to; raises `AddressRefused`.
        connected: called with the address that is connected to.
    """

    admit: Callable[[str], None]
    connected: Callable[[str], None]


class Wire(httpx.BaseTransport):
    """A pool of connections over a backend of one's own."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask once. Raises: httpx.HTTPError, AddressRefused, NoAnswer."""
        asked = httpcore.Request(
            request.method,
            _url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _named_by_httpx():
            answer = self._pool.handle_request(asked)
        stream = answer.extensions.get("network_stream")
        if isinstance(stream, _MeteredStream):
            stream.head_is_over(_length(answer.headers))
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close all its connections."""
        self._pool.close()


def open_wire(
    pool: httpx.Limits, proxy: str | None, tls: ssl.SSLContext | None, peers: Peers | None, patience: Patience
) -> Wire:
    """A wire to everywhere, or through the proxy, which then is the peer and not judged.

    Raises:
        RuntimeError, ValueError: a proxy of a kind that is not supported.
    """
    common: dict[str, Any] = {
        "ssl_context": tls,
        "max_connections": pool.max_connections,
        "max_keepalive_connections": pool.max_keepalive_connections,
        "keepalive_expiry": pool.keepalive_expiry,
    }
    backend = _Backend(None if proxy else peers, patience)
    if proxy is None:
        return Wire(httpcore.ConnectionPool(**common, network_backend=backend))
    chosen = httpx.Proxy(proxy)
    common |= {"proxy_url": _url(chosen.url), "proxy_auth": chosen.raw_auth, "network_backend": backend}
    if chosen.url.scheme in {"socks5", "socks5h"}:
        return Wire(httpcore.SOCKSProxy(**common))
    return Wire(httpcore.HTTPProxy(**common))


def _url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Bytes of the body; None: its end is told by itself, as that of chunks is."""
    told = {name.lower(): value for name, value in headers}
    length = told.get(b"content-length", b"")
    return int(length) if length.isdigit() and b"transfer-encoding" not in told else None


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _named_by_httpx():
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Backend(httpcore.NetworkBackend):
    """Looks up a host, judges what it finds, and connects to just that."""

    def __init__(self, peers: Peers | None, patience: Patience) -> None:
        self._peers = peers
        self._patience = patience
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._admitted(_addresses(host, port))[:_MOST_ADDRESSES]
        deadline = self._patience.monotonic() + (timeout or math.inf)
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = max(0.05, (deadline - self._patience.monotonic()) / left)
            try:
                stream = self._plain.connect_tcp(
                    address, port, share if timeout else None, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
                continue
            if self._peers is not None:
                self._peers.connected(address)
            return _MeteredStream(stream, self._patience)
        raise httpcore.ConnectError("the host has no address")

    def _admitted(self, addresses: list[str]) -> list[str]:
        if self._peers is None:
            return addresses
        admitted = []
        refusal = None
        for address in addresses:
            try:
                self._peers.admit(address)
            except AddressRefused as error:
                refusal = error
            else:
                admitted.append(address)
        if refusal is not None and not admitted:
            raise refusal
        return admitted


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _MeteredStream(httpcore.NetworkStream):
    """A connection that does not wait for a server that drips, nor for a head without end, and gives one answer each.

    httpcore's own time-out begins anew with each byte. After its first byte a head may take one window. Time that
    passes between two reads is not the server's.

    What came beyond the end of an answer would be taken for the answer to the next request. So no read goes beyond
    where an answer may end: its length, or a blank line, as behind heads and last chunks. What is left over makes the
    connection one that has expired, as any bytes do that come while nobody asks.
    """

    def __init__(self, stream: httpcore.NetworkStream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience
        self._meter = Meter(patience.window)
        self._head_left: float = _LARGEST_HEAD
        self._head_waited = 0.0
        self._began = False
        self._ahead = memoryview(b"")
        self._last = b""
        self._is_http = True
        self._body_left: int | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._ahead:
            self._ahead = memoryview(self._received(max_bytes, timeout))
        data = bytes(self._ahead[: self._whole()])
        self._ahead = self._ahead[len(data) :]
        self._last = (self._last + data)[-2:]
        if self._body_left is not None:
            self._body_left -= len(data)
        self._head_left -= len(data)
        if self._head_left < 0:
            raise httpcore.RemoteProtocolError("the head of the answer has no end")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._begin()
        self._stream.write(buffer, timeout)

    def head_is_over(self, length: int | None) -> None:
        """What comes now is a body, of so many bytes or of any number."""
        self._head_left = math.inf
        self._body_left = length

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        # Python's ssl takes the time-out as that of the whole handshake.
        return _MeteredStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._patience)

    def get_extra_info(self, info: str) -> Any:
        """As httpcore documents it: of an idle connection ``is_readable`` says that nobody may use it again."""
        return (info == "is_readable" and bool(self._ahead)) or self._stream.get_extra_info(info)

    def _begin(self) -> None:
        """A request: until its answer begins, the server may think for as long as one read may take."""
        self._meter = Meter(self._patience.window)
        self._head_left = _LARGEST_HEAD
        self._head_waited = 0.0
        self._began = False
        self._last = b""
        self._is_http = True
        self._body_left = None

    def _received(self, max_bytes: int, timeout: float | None) -> bytes:
        """What comes next. Raises: TooSlow."""
        begun = self._patience.monotonic()
        data = self._stream.read(max_bytes, timeout)
        if self._began and data:
            waited = self._patience.monotonic() - begun
            self._head_waited += waited if math.isfinite(self._head_left) else 0
            if self._head_waited > self._patience.window or not self._meter.is_enough(waited, len(data)):
                raise TooSlow
        if not self._began:
            self._is_http = data[:1] == b"H"  # else a proxy speaks SOCKS
        self._began = True
        return data

    def _whole(self) -> int:
        """How much of what is here may be read at once."""
        if self._body_left is not None:
            return self._body_left or len(self._ahead)
        if not self._is_http:
            return len(self._ahead)
        if across := _BLANK_LINE.search(self._last + self._ahead[:2].tobytes(), len(self._last)):
            return across.end() - len(self._last)
        within = _BLANK_LINE.search(self._ahead)
        return within.end() if within else len(self._ahead)


_NAMES: Final = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.TimeoutException, httpx.WriteTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.NetworkError, httpx.ReadError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.ProtocolError, httpx.RemoteProtocolError),
)


@contextmanager
def _named_by_httpx() -> Iterator[None]:
    """What goes wrong below, as every transport of httpx says it."""
    try:
        yield
    except tuple(ours for ours, _ in _NAMES) as error:
        kind = next(theirs for ours, theirs in _NAMES if isinstance(error, ours))
        raise kind(str(error)) from None
