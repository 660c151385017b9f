"""`pagebind demo`: a server, its library and a whole run, all on this machine."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path

import click

from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.run import run_with
from pagebind.cli.session import Session, options
from pagebind.cli.text import printable
from pagebind.errors import ConfigError

_FOLDER = "pagebind-demo"
_DIALECTS = ("alist-3.45", "alist-3.63", "openlist-4.2")


@click.command(
    epilog=examples(
        "pagebind demo",
        "pagebind demo --serve             then use its configuration from another terminal",
    )
)
@click.option("--serve", is_flag=True, help="Keep the server up, and print a configuration for it.")
@click.option("--folder", metavar="DIR", default=_FOLDER, show_default=True, help="Where library and books go.")
@click.option(
    "--dialect", type=click.Choice(_DIALECTS), default="alist-3.63", show_default=True, help="The server that it acts."
)
@options(EMPTY["demo"])
def demo(session: Session, serve: bool, folder: str, dialect: str) -> int:
    """Start a demo server with a small library, make its folders books, and show where they are.

    Needs no configuration and no network.
    """
    from pagebind.config import parse, template
    from pagebind.demo.library import MAIN_SUBSCRIPTION, OTHER_SUBSCRIPTIONS, write_demo_library
    from pagebind.demo.server import DemoServer
    from pagebind.local import RunRequest

    home = Path.cwd() / folder
    try:
        write_demo_library(home / "server")
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written: {error.strerror}", fix="name another folder by --folder", path=str(home)
        ) from error
    with DemoServer({"/comics": home / "server"}, dialect=dialect) as server:
        token = home / "token"
        token.write_text(server.token, encoding="ascii")
        text = template(
            f"{home.as_uri()}/store",
            {
                "source.url": server.url,
                "source.token": f"file:{token}",
                "source.list_per_second": 0,
                "store.library": f"{home.as_uri()}/library",
                "bind.settle": "0s",
                **MAIN_SUBSCRIPTION,
            },
        )
        text += OTHER_SUBSCRIPTIONS
        status = run_with(session, parse(text, {}, "the demo's configuration"), {}, lambda _: (RunRequest(), {}))
        for book in sorted((home / "library").rglob("*.cbz")):
            session.say(printable(f"  {book}"))
        if serve:
            _serve(session, server.url, text, home)
    return status


def _serve(session: Session, url: str, text: str, home: Path) -> None:
    """Say how to use the server, and keep it up until a signal comes."""
    target = home / "pagebind.toml"
    target.write_text(text, encoding="utf-8")
    session.say()
    session.say(f"the demo server is up at {url}; its library is {home / 'server'}. Stop it with Ctrl-C.")
    session.say(f"This configuration for it is in {target}:")
    session.say()
    for line in text.splitlines():
        if line and not line.startswith("#"):
            session.say(f"    {line}")
    session.say()
    session.say(f"from another terminal: pagebind run --config {shlex.quote(str(target))}")
    threading.Event().wait()
