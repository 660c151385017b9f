"""The server that holds the pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pagebind.core.model import Item


class ServerInfo(NamedTuple):
    """What `GET /api/public/settings` says. ``kind`` is ``alist`` or ``openlist``, ``version`` e.g. ``v3.63.0``."""

    kind: str
    version: str


class Account(NamedTuple):
    """The account behind the credentials. ``admin`` where its role says so; ``guest`` when nobody logged in."""

    username: str
    base_path: str
    admin: bool
    guest: bool


class Drive(NamedTuple):
    """One mounted storage. ``status`` is ``work``, ``disabled`` or the drive's own error text."""

    mount_path: str
    driver: str
    status: str


@dataclass(frozen=True, slots=True)
class Download:
    """One file to download. ``sign`` may be empty: one is then asked for by fs/get.

    Attributes:
        path: as the account sees it (below its base path).
        sign: of the link, as listed; never logged.
        size: bytes, as listed.
        link: as `Source.link` gives it; empty: it is asked for.
        password: gives the folder's, or an empty text; called only when a fresh sign is asked for.
        headers: what the drive wants, e.g. a User-Agent; one may be a cookie, so they are not shown.
        start: the first byte that is wanted; the ones before are here already.
        version: what ``noted`` was told when the bytes before ``start`` came; empty: not known.
        noted: told before the first byte, in plain ASCII, by what the server tells versions of the file apart; empty:
            by nothing. It holds no secret.
        in_one: all of one body: one that is cut is not resumed.
    """

    path: str
    sign: str = field(repr=False)
    size: int
    password: Callable[[], str] = field(default=str, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    start: int = 0
    link: str = ""
    version: str = field(default="", repr=False)
    noted: Callable[[str], None] | None = field(default=None, repr=False)
    in_one: bool = False


class Source(Protocol):
    """An Alist or OpenList server, seen by one account. Safe for use by many threads.

    Rates, time-outs, retries with backoff, and the one new login that a refused JWT allows are its own business.
    """

    def server(self) -> ServerInfo:
        """Which server this is. Raises: ServerUnreachable."""
        ...

    def answers(self) -> bool:
        """Whether the server itself answers now: then what just failed is a drive or a file behind it."""
        ...

    def account(self) -> Account:
        """Who we are there. Raises: AuthRefused, ServerUnreachable."""
        ...

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        """Everything in one folder, each name once, in no particular order; an empty folder is an empty list.

        Raises:
            AuthRefused: the credentials; the run is over.
            RefreshRefused: only with ``refresh``.
            ListingFailed: this folder; includes wrong paths, failed drives, folder passwords.
            ServerUnreachable: the server as a whole.
        """
        ...

    def link(self, path: str) -> str:
        """What stands in the link to a file, before it is quoted: its path from the root of the server.

        It opens nothing without a sign, so that whoever has it can download without asking who the account is.

        Raises:
            AuthRefused, ServerUnreachable.
        """
        ...

    def download(self, wanted: Download) -> Iterator[bytes]:
        """The file's bytes, checked against nothing but the transport: what came is the caller's to judge.

        A body cut short is resumed by Range where the server allows it, and where nothing says that the file has
        changed meanwhile: that ends it. An answer that is an error in disguise (JSON or
        HTML instead of the file) raises. At most ``wanted.size`` + 1 bytes are given, so that an endless body ends.
        That the server cannot begin at a ``wanted.start`` other than 0, or has another version than ``wanted.version``,
        is a PageCut before the first byte, and such a PageCut means nothing else.

        Raises:
            AuthRefused, ServerUnreachable, SignRefused, PageCut, PageFailed.
        """
        ...

    def drives(self) -> Sequence[Drive] | None:
        """All mounted storages, or None when the account is not an admin."""
        ...

    def redirect_target(self, wanted: Download) -> str | None:
        """The host that a download of this file is redirected to, or None if the server streams it itself."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
