"""`pagebind demo`: a server, its library and a whole run, all on this machine."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.run import run_with
from pagebind.cli.session import Session, options
from pagebind.core.printable import printable
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from pagebind.config import Settings
    from pagebind.demo.places import Place
    from pagebind.demo.server import DemoServer

_FOLDER = "pagebind-demo"
_STORES = ("file", "gs", "s3")
_DIALECTS = ("alist-3.45", "alist-3.63", "openlist-4.2")


@click.command(
    epilog=examples(
        "pagebind demo",
        "pagebind demo --store gs          the same in Google Cloud Storage, as a server on this machine plays it",
        "pagebind demo --serve             then use its configuration from another terminal",
    )
)
@click.option("--serve", is_flag=True, help="Keep the server up, and print a configuration for it.")
@click.option(
    "--store",
    "kind",
    type=click.Choice(_STORES),
    default="file",
    show_default=True,
    help="Where pages and books are kept.",
)
@click.option("--folder", metavar="DIR", default=_FOLDER, show_default=True, help="Where library and books go.")
@click.option(
    "--dialect", type=click.Choice(_DIALECTS), default="alist-3.63", show_default=True, help="The server that it acts."
)
@options(EMPTY["demo"])
def demo(session: Session, serve: bool, kind: str, folder: str, dialect: str) -> int:
    """Start a demo server with a small library, make its folders books, and show where they are.

    Needs no configuration and no network. With ``--store gs`` or ``s3`` it starts an object store as well, which is
    gone at the end; the books are copied into the folder.
    """
    from pagebind.config import parse
    from pagebind.demo.library import write_demo_library
    from pagebind.demo.places import demand, place
    from pagebind.demo.server import DemoServer
    from pagebind.local import RunRequest

    demand(kind)
    home = Path.cwd() / folder
    try:
        write_demo_library(home / "server")
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written: {error.strerror}", fix="name another folder by --folder", path=str(home)
        ) from error
    with DemoServer({"/comics": home / "server"}, dialect=dialect) as server, place(kind, home) as store:
        text = _configuration(server, store, home)
        settings = parse(text, {}, "the demo's configuration")
        status = run_with(session, settings, {}, lambda _: (RunRequest(), {}))
        _show_books(session, settings, home)
        if serve:
            _serve(session, server.url, text, store, home)
    return status


def _configuration(server: DemoServer, store: Place, home: Path) -> str:
    """What makes all of the demo's library books, in its store."""
    from pagebind.config import template
    from pagebind.demo.library import MAIN_SUBSCRIPTION, OTHER_SUBSCRIPTIONS

    token = home / "token"
    token.write_text(server.token, encoding="ascii")
    values = {
        "source.url": server.url,
        "source.token": f"file:{token}",
        "source.list_per_second": 0,
        "bind.settle": "0s",
        **store.settings,
        **MAIN_SUBSCRIPTION,
    }
    return template(str(store.settings["store.url"]), values) + OTHER_SUBSCRIPTIONS


def _show_books(session: Session, settings: Settings, home: Path) -> None:
    """Say where the books are. What lies in a bucket, which is soon gone, is copied to where it can be opened."""
    from pagebind import wiring

    if settings.store.kind == "file":
        for book in sorted(settings.store.library_folder.rglob("*.cbz")):
            session.say(printable(f"  {book}"))
        return
    _, library = wiring.stores(settings)
    copies = home / f"library-{settings.store.kind}"
    for info in library.list():
        copy = copies / info.key
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.open("wb") as file:
            file.writelines(library.stream(info.key))
        session.say(printable(f"  {settings.store.library}/{info.key}"))
    session.say(printable(f"copies of them, to open: {copies}"))


def _serve(session: Session, url: str, text: str, store: Place, home: Path) -> None:
    """Say how to use the servers, and keep them up until a signal comes."""
    target = home / "pagebind.toml"
    target.write_text(text, encoding="utf-8")
    session.say()
    session.say(f"the demo server is up at {url}; its library is {home / 'server'}. Stop it with Ctrl-C.")
    if store.server:
        session.say(f"{store.server} keeps the books at {store.url} until then, and forgets them.")
    session.say(f"This configuration for it is in {target}:")
    session.say()
    for line in _what_is_set(text):
        session.say(f"    {line}")
    session.say()
    if store.environment:
        session.say("It needs these variables, of nobody's account:")
        for name, value in store.environment.items():
            session.say(f"export {name}={shlex.quote(value)}")
        session.say()
    session.say(f"from another terminal: pagebind run --config {shlex.quote(str(target))}")
    threading.Event().wait()


def _what_is_set(text: str) -> list[str]:
    """The lines of a configuration without comments, and without sections that set nothing."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [
        line
        for line, following in zip(lines, [*lines[1:], "["], strict=True)
        if not (line.startswith("[") and following.startswith("["))
    ]
