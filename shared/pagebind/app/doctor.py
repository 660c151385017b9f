"""Doctor: is everything there that a run needs, and if not, what is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pagebind.app.doctor_stores import Check, check_stores
from pagebind.core import layout
from pagebind.errors import AuthRefused, NotifyFailed, PagebindError, RefreshRefused, SourceError
from pagebind.ports.source import Account, Download, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.core.watch import Watch
    from pagebind.ports.store import Store

_LISTINGS_FOR_A_PAGE = 6
"""So many folders are looked into, at most, to find a page whose link can be tried."""


def doctor(
    source: Source, work: Store, library: Store, watches: Sequence[Watch], *, one_server: bool
) -> Iterator[Check]:
    """Check the stores, then the server; after refused credentials the server is left in peace.

    ``one_server``: both stores are kept by the same one.
    """
    yield from check_stores(work, library, one_server=one_server)
    try:
        server = source.server()
        yield Check("server", "ok", f"{server.kind} {server.version}")
        account = source.account()
    except SourceError as error:
        yield _failed("credentials" if isinstance(error, AuthRefused) else "server", error)
        return
    yield Check("credentials", "ok", _who(account))
    yield from _drives(source)
    for watch in watches:
        yield from _subscription(source, watch)


class Told(Protocol):
    """A notifier, or a hook, that can say beforehand what it lacks."""

    @property
    def name(self) -> str:
        """As messages call it; no secret."""
        ...

    def check(self) -> list[NotifyFailed | None]:
        """What is wrong with each place behind it; None: nothing. Nobody is told anything.

        Raises:
            NotifyFailed: none can be told.
        """
        ...


def check_told(notifiers: Sequence[Told], hooks: Sequence[Told]) -> Iterator[Check]:
    """A line for each who is told of books, or one for each thing that is wrong there. Nothing is sent."""
    for notifier in notifiers:
        yield from _told(
            f"notifier {notifier.name}", notifier, "Apprise takes the address; pagebind notify --test tries"
        )
    for hook in hooks:
        yield from _told(f"hook {hook.name}", hook, "what its headers need is there; nobody was called")


def _told(name: str, one: Told, well: str) -> Iterator[Check]:
    try:
        failures = [failure for failure in one.check() if failure is not None]
    except NotifyFailed as error:
        failures = [error]
    for failure in failures:
        yield Check(name, "fail", failure.message, failure.fix or "try again", failure)
    if not failures:
        yield Check(name, "ok", well)


def _failed(name: str, error: PagebindError) -> Check:
    return Check(name, "fail", error.message, error.fix or "try again; if it stays so, see the server's own log", error)


def _who(account: Account) -> str:
    if account.guest:
        return "none set: a guest, who is let in"
    rights = "an administrator" if account.admin else "not an administrator"
    below = "" if account.base_path in ("", "/") else f", sees only {account.base_path}"
    return f"signed in as {account.username!r}, {rights}{below}"


def _drives(source: Source) -> Iterator[Check]:
    try:
        drives = source.drives()
    except SourceError as error:
        yield _failed("drives", error)
        return
    if drives is None:
        yield Check("drives", "ok", "not shown to this account; an administrator's token shows them")
        return
    for drive in drives:
        name = f"drive {drive.mount_path}"
        if drive.status == "work":
            yield Check(name, "ok", f"{drive.driver}, works")
        elif drive.status == "disabled":
            yield Check(name, "warn", f"{drive.driver}, disabled", "enable it on the server, or unsubscribe from it")
        else:
            yield Check(name, "fail", f"{drive.driver}: {drive.status}", "mend the storage on the server")


def _subscription(source: Source, watch: Watch) -> Iterator[Check]:
    name = f"subscription {watch.path}"
    try:
        entries, refresh = _root(source, watch)
    except SourceError as error:
        yield _failed(name, error)
        return
    count = "1 entry" if entries == 1 else f"{entries} entries"
    if not entries:
        yield Check(name, "warn", "is empty", "see that it is the right path")
    elif refresh:
        yield Check(name, "ok", f"{count}, fresh listings allowed")
    else:
        yield Check(
            name,
            "warn",
            f"{count}, no fresh listings: a new volume takes half an hour longer to settle",
            "give the account the right to write (Alist asks for it before it refreshes), or leave it so",
        )
    yield from _downloads(source, watch)


def _root(source: Source, watch: Watch) -> tuple[int, bool]:
    """How many entries there are, and whether a fresh listing can be had."""
    try:
        return len(source.list(watch.path, password=watch.password(), refresh=True)), True
    except RefreshRefused:
        return len(source.list(watch.path, password=watch.password())), False


def _downloads(source: Source, watch: Watch) -> Iterator[Check]:
    name = f"downloads {watch.path}"
    try:
        page = _first_page(source, watch)
        target = source.redirect_target(page) if page else None
    except SourceError as error:
        yield _failed(name, error)
        return
    if page is not None:
        yield Check(name, "ok", f"come from {target}" if target else "come from the server itself")


def _first_page(source: Source, watch: Watch) -> Download | None:
    """Some page in the subscription, searched breadth first in a few folders."""
    folders = [watch.path]
    for _ in range(_LISTINGS_FOR_A_PAGE):
        if not folders:
            return None
        folder = folders.pop(0)
        contents = layout.sort_out(
            source.list(folder, password=watch.password()),
            watch.filter_in(folder),
        )
        if contents.pages:
            item = contents.pages[0]
            return Download(
                layout.join(folder, item.name),
                item.sign,
                item.size,
                password=watch.password,
                headers=watch.headers,
            )
        folders += [layout.join(folder, name) for name in contents.folders]
    return None
