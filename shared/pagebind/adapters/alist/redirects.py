"""Where a redirect may lead."""

from __future__ import annotations

import ipaddress
from enum import Enum, auto
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pagebind.errors import PageFailed

if TYPE_CHECKING:
    from collections.abc import Callable

_METADATA_NAMES: Final = frozenset(
    {"metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal"}
)
_METADATA_ADDRESSES: Final = frozenset(
    ipaddress.ip_address(address)
    for address in (  # those of all others are link-local
        "fd20:ce::254",  # Google by IPv6
        "fd00:ec2::254",  # AWS by IPv6
        "fd00:ec2::23",  # pods of EKS
        "fd00:c1::a9fe:a9fe",  # Oracle by IPv6
        "192.0.0.192",  # Oracle
        "fd00:42::42",  # Scaleway
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
    )
)
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")  # of which Linux takes some for itself
_IPV4_IN_THE_LAST_BITS: Final = (
    ipaddress.IPv6Network("64:ff9b::/96"),  # RFC 6052
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # RFC 8215; where the IPv4 address stands there is up to the network
)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Ground(Enum):
    """What kind of network an address belongs to."""

    NEVER = auto()
    """Link-local, where clouds tell machines their secrets, or nobody's."""
    PRIVATE = auto()
    """This machine, or the network that it is in."""
    PUBLIC = auto()


class AddressRefused(Exception):  # not yet an error: whoever asked knows for which file
    """No connection is made there."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.name)
        self.ground = ground


class RedirectRefused(PageFailed):
    """The link leads where nobody follows; waiting does not help."""

    retryable = False


class RedirectPolicy:
    """Allows public hosts by http and https, and private ones to a server that is private itself.

    What the user calls the source is always asked. Everything else is judged by the address that is connected to: a
    name may mean another one a moment later.
    """

    def __init__(self, *, allow_private: bool) -> None:
        """``allow_private``: from a public server too."""
        self._private_too = allow_private
        self._source_is_private: bool | None = None

    def source_is_at(self, address: str) -> None:
        """The source was connected to at this address. Once public it stays so, whatever its name comes to mean."""
        self._source_is_private = self._source_is_private is not False and ground_of(address) is Ground.PRIVATE

    def admit(self, address: str) -> None:
        """Raises: AddressRefused: nothing but the source itself may be connected to there, as far as is known now."""
        if (ground := self._refused(address)) is not None:
            raise AddressRefused(ground)

    def check(self, url: str, *, path: str, show: Callable[[str], str]) -> None:
        """Judge a link by what stands in it. Raises: RedirectRefused, with what ``show`` makes of the link."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            port = 0
        if port == 0:
            raise PageFailed(f"{path}: the server redirects to what is not a URL", path=path)
        if parts.scheme not in {"http", "https"} or not host:
            raise RedirectRefused(
                f"{path}: the server redirects to something that is neither http nor https",
                fix=_LOOK_AT_THE_DRIVE,
                path=path,
            )
        if host in _METADATA_NAMES:
            raise redirect_refused(Ground.NEVER, show(url), path=path)
        if _address(host) is not None and (ground := self._refused(host)) is not None:
            raise redirect_refused(ground, show(url), path=path)

    def _refused(self, address: str) -> Ground | None:
        ground = ground_of(address)
        private_is_fine = self._private_too or self._source_is_private
        return ground if ground is Ground.NEVER or (ground is Ground.PRIVATE and not private_is_fine) else None


_LOOK_AT_THE_DRIVE: Final = "look at the drive behind this path: its links must lead to a public or local host"


def redirect_refused(ground: Ground, host: str, *, path: str) -> RedirectRefused:
    """The error that says so; ``host`` as it may be shown."""
    if ground is Ground.PRIVATE:
        return RedirectRefused(
            f"{path}: the server redirects to {host}, which is in a private network as the server is not",
            fix="set [source] allow_private = true if you trust the server with the network that Pagebind runs in",
            path=path,
        )
    return RedirectRefused(
        f"{path}: the server redirects to {host}, a link-local or metadata address",
        fix=_LOOK_AT_THE_DRIVE,
        path=path,
    )


def ground_of(address: str) -> Ground:
    """What kind of network an address is of; of one that is none: never."""
    ip = _address(address)
    if ip is None or ip in _METADATA_ADDRESSES:
        return Ground.NEVER
    if ip.is_loopback:
        return Ground.PRIVATE
    if ip.is_link_local or ip.is_unspecified or ip.is_multicast or ip.is_reserved or ip in _THIS_NETWORK:
        return Ground.NEVER
    if not ip.is_global or (isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local):
        return Ground.PRIVATE
    return Ground.PUBLIC


def _address(text: str) -> _Address | None:
    """The address; where it stands for one of IPv4, that one."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if any(ip in network for network in _IPV4_IN_THE_LAST_BITS):
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
