"""An Alist or OpenList server as a `pagebind.ports.source.Source`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pagebind.adapters.alist import api, links
from pagebind.adapters.alist.envelope import FORBIDDEN, Refusal
from pagebind.adapters.alist.http import Connections
from pagebind.adapters.alist.limits import Limits
from pagebind.adapters.alist.listing import PER_PAGE, list_folder
from pagebind.adapters.alist.login import Credentials, Guest
from pagebind.adapters.alist.rates import Paces, Stopwatch
from pagebind.adapters.alist.redirects import RedirectPolicy
from pagebind.adapters.once import Once
from pagebind.ports.source import Account, Download, Drive, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pagebind.adapters.alist.download import Downloads
    from pagebind.adapters.alist.envelope import ListData, MeData, StorageRow
    from pagebind.adapters.alist.http import BaseTransport
    from pagebind.core.model import Item
    from pagebind.ports.clock import Clock

_ADMIN_ROLE = 2
_STATUSES = frozenset({"work", "disabled"})
"""What a drive is that is in order; all else are words."""

_Items = list["Item"]  # `list` is a method below


class AlistSource:
    """One server, seen by one account.

    Alist 3.30 to 3.63 and OpenList 4.x. Nothing is asked before the first call; the account's base path is asked for at
    the first download, what server it is at the first download of a path with ``%``.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        clock: Clock,
        client_id: str,
        limits: Limits | None = None,
        limits_below: Mapping[str, Limits] | None = None,
        allow_private: bool = False,
        transport: BaseTransport | None = None,
    ) -> None:
        """Prepare a source.

        Args:
            url: of the server, http or https, with the path below which it is served, if any.
            credentials: a static token, a login, or a guest.
            clock: for rates and one-time codes.
            client_id: a name for this installation that never changes: newer Alists count devices by it.
            limits: rates and time-outs.
            limits_below: other rates for what lies in a folder, by its path as the account sees it.
            allow_private: whether links may lead from a public server to a private network.
            transport: instead of real connections; what it connects to is then not judged.
        """
        limits = limits or Limits()
        self._url = url.rstrip("/")
        self._clock = clock
        self._paces = Paces(limits, limits_below or {}, clock)
        self._guest = isinstance(credentials, Guest)
        self._policy = RedirectPolicy(allow_private=allow_private)
        self._connections = Connections(limits, transport, policy=self._policy, monotonic=clock.monotonic)
        self._api = api.Api(
            self._url,
            credentials,
            self._connections,
            clock=clock,
            client_id=client_id,
            paces=self._paces,
            attempts=limits.attempts,
        )
        self._downloads = Once(self._make_downloads)
        self._server = Once(self._ask_server)
        self._account = Once(self._ask_account)

    def server(self) -> ServerInfo:
        """See `Source.server`."""
        server = self._server.get()
        return server._replace(version=self._api.shown.words(server.version))

    def answers(self) -> bool:
        """See `Source.answers`."""
        try:
            self._api.anonymously(api.SETTINGS)
        except Refusal:
            return False
        return True

    def account(self) -> Account:
        """See `Source.account`."""
        account, shown = self._account.get(), self._api.shown
        return account._replace(username=shown.words(account.username), base_path=shown.name(account.base_path))

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> _Items:
        """See `Source.list`, and `list_folder` for what is left out."""
        taken = Stopwatch(self._clock)

        def ask(page: int, refresh_now: bool) -> ListData:
            body = {"path": path, "password": password, "page": page, "per_page": PER_PAGE, "refresh": refresh_now}
            return self._api.ask(api.LIST, body, taken)

        with _typed():
            return list_folder(ask, path, refresh=refresh, taken=taken.seconds)

    def link(self, path: str) -> str:
        """See `Source.link`."""
        absolute = links.absolute(self._account.get().base_path, path)
        return links.twice(absolute) if "%" in absolute and links.percent_twice(self._server.get()) else absolute

    def download(self, wanted: Download) -> Iterator[bytes]:
        """See `Source.download`. Without a sign the bare link is tried first: it costs the drive nothing."""
        return self._downloads.get().stream(wanted)

    def redirect_target(self, wanted: Download) -> str | None:
        """See `Source.redirect_target`. Raises as `download` does."""
        return self._downloads.get().redirect_target(wanted)

    def drives(self) -> _Drives | None:
        """See `Source.drives`."""
        with _typed():
            try:
                answer = self._api.ask(api.STORAGES)
            except Refusal as refusal:
                if refusal.code == FORBIDDEN:
                    return None
                raise
        return [self._drive(row) for row in answer.content or []]

    def _drive(self, row: StorageRow) -> Drive:
        shown = self._api.shown
        status = row.status if row.status in _STATUSES else shown.words(row.status)
        return Drive(shown.name(row.mount_path), shown.words(row.driver), status)

    def close(self) -> None:
        """See `Source.close`."""
        self._connections.close()

    def _ask_server(self) -> ServerInfo:
        with _typed():
            answer = self._api.anonymously(api.SETTINGS)
        return links.server_info(answer.version, answer.ignore_direct_link_params)

    def _ask_account(self) -> Account:
        with _typed():
            answer = self._api.ask(api.ME)
        return Account(
            username=answer.username, base_path=answer.base_path or "/", admin=_is_admin(answer), guest=self._guest
        )

    def _make_downloads(self) -> Downloads:
        from pagebind.adapters.alist.download import (
            Downloads,
        )  # of a poll, or a book put together, no file is asked for

        return Downloads(
            self._connections,
            self._policy,
            self._clock,
            self._paces,
            shown=self._api.shown,
            link=self._link,
            fresh_sign=self._fresh_sign,
        )

    def _link(self, wanted: Download, sign: str) -> str:
        return links.link(self._url, wanted.link or self.link(wanted.path), sign)

    def _fresh_sign(self, wanted: Download) -> str:
        with _typed():
            return self._api.ask(api.GET, {"path": wanted.path, "password": wanted.password()}).sign or ""


_Drives = list[Drive]


@contextmanager
def _typed() -> Iterator[None]:
    """Let errors out as what they are."""
    try:
        yield
    except Refusal as refusal:
        raise refusal.error from None


def _is_admin(answer: MeData) -> bool:
    roles = answer.role if isinstance(answer.role, list) else [answer.role]
    return _ADMIN_ROLE in roles or "admin" in (answer.role_names or [])
