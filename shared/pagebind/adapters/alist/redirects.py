"""Where a redirect may lead."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pagebind.adapters.alist.http import host_of
from pagebind.errors import PageFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_METADATA_NAMES: Final = frozenset(
    {"metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal"}
)
_METADATA_ADDRESSES: Final = frozenset(
    ipaddress.ip_address(address) for address in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)


def resolve(host: str) -> set[str]:
    """The host's addresses; none where it cannot be resolved: then no connection can be made either."""
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


class RedirectPolicy:
    """Allows http and https, but neither link-local addresses nor those where a cloud tells machines their secrets."""

    def __init__(self, resolver: Callable[[str], Iterable[str]] | None = resolve) -> None:
        """Without a resolver only addresses that stand in the link themselves are judged."""
        self._resolver = resolver
        self._allowed: set[str] = set()

    def check(self, url: str, *, path: str) -> None:
        """Raises: PageFailed, naming the host alone."""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            raise PageFailed(f"{path}: the server redirects to what is not a URL", path=path) from None
        if parts.scheme not in {"http", "https"} or not host:
            raise PageFailed(f"{path}: the server redirects to something that is neither http nor https", path=path)
        if host in self._allowed:
            return
        if host in _METADATA_NAMES or any(map(_forbidden, (host, *(self._resolver(host) if self._resolver else ())))):
            raise PageFailed(
                f"{path}: the server redirects to {host_of(url)}, a link-local or metadata address",
                fix="look at the drive behind this path: its links must lead to a public or local host",
                path=path,
            )
        self._allowed.add(host)


def _forbidden(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_link_local or ip in _METADATA_ADDRESSES
