"""Why no usable answer came from an object store, for people. Each library wraps in its own way what failed below."""

from __future__ import annotations

import socket
import ssl
from enum import StrEnum
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, ProxyError
from urllib3.exceptions import TimeoutError as NoneInTime

from pagebind.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class NotTheStore(StoreUnavailable):
    """Something answers at this address, but no store of the kind that is set; or the address is none."""

    retryable = False


class Reason(StrEnum):
    """Why no answer came."""

    PROXY = "the proxy does not answer"
    CERTIFICATE = "its certificate is not trusted"
    TLS = "TLS fails"
    NO_HOST = "no such host"
    REFUSED = "connection refused"
    TIMED_OUT = "timed out"
    BROKEN = "the connection broke off"
    UNKNOWN = "no connection"


_KINDS: Final[Iterable[tuple[type[BaseException], Reason]]] = (
    (ProxyError, Reason.PROXY),
    (ssl.SSLCertVerificationError, Reason.CERTIFICATE),
    (ssl.SSLError, Reason.TLS),
    (socket.gaierror, Reason.NO_HOST),
    (ConnectionRefusedError, Reason.REFUSED),
    (TimeoutError, Reason.TIMED_OUT),
    (NewConnectionError, Reason.UNKNOWN),  # a kind of the next one, in urllib3
    (NoneInTime, Reason.TIMED_OUT),
    (ConnectionError, Reason.BROKEN),
    (HTTPException, Reason.BROKEN),
    (ProtocolError, Reason.BROKEN),
)


def reason(error: BaseException) -> Reason:
    """Of an error of requests, urllib3, google-auth or botocore. Their own texts hold whole addresses: not these."""
    below = list(_with_causes(error, set()))
    return next((why for kind, why in _KINDS if any(isinstance(one, kind) for one in below)), Reason.UNKNOWN)


def address(url: str) -> str:
    """Scheme, host and port alone."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else url.rpartition("@")[2].partition("?")[0]


def _with_causes(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    named = getattr(error, "kwargs", {}).get("error")  # botocore
    wrapped = [*error.args, named, error.__cause__, error.__context__]
    if isinstance(error, HTTPError):
        wrapped.append(getattr(error, "reason", None))
    for one in wrapped:
        if isinstance(one, BaseException):
            yield from _with_causes(one, seen)
