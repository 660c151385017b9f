"""`pagebind bind`: what holds a volume back is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.session import Session, options
from pagebind.errors import UsageError

if TYPE_CHECKING:
    from pagebind.app.decide import Decide, Decided
    from pagebind.cli.deciding import Volume


@click.command(
    epilog=examples(
        'pagebind bind "/comics/One Piece/Vol 01" --without-missing',
        'pagebind bind "One Piece/Vol 02.cbz" --accept-shrink',
        'pagebind bind "Akira/*" --rename',
    )
)
@click.argument("volume")
@click.option("--without-missing", is_flag=True, help="Go without the pages that have failed for good.")
@click.option("--accept-shrink", is_flag=True, help="The listing is right, although it lacks pages.")
@click.option("--replace", is_flag=True, help="Put ours over the book that stands there now, or that is gone.")
@click.option("--rename", is_flag=True, help="Move the book to the key that the settings give now.")
@options(EMPTY["bind"])
def bind(session: Session, volume: str, without_missing: bool, accept_shrink: bool, replace: bool, rename: bool) -> int:
    """Decide what holds a volume back, and bind it. Each decision holds for what it was made about, and no further.

    VOLUME: a server path, a library key, or a glob over them.
    """
    from pagebind.cli.deciding import decide

    if [without_missing, accept_shrink, replace, rename].count(True) != 1:
        raise UsageError(
            "bind needs to be told one thing that is decided",
            fix="--without-missing, --accept-shrink, --replace or --rename; `pagebind run` binds all else",
        )

    def make(decider: Decide, chosen: Volume) -> Decided:
        name = chosen.manifest.volume
        if accept_shrink:
            return decider.accept_shrink(name, chosen.demanded_watch)
        if rename:
            return decider.rename(name, chosen.demanded_watch)
        return decider.replace(name) if replace else decider.without_missing(name)

    return decide(session, volume, make)
