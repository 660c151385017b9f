"""`pagebind forget`: a volume is left alone."""

from __future__ import annotations

import click

from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.session import Session, options


@click.command(
    epilog=examples(
        'pagebind forget "/comics/One Piece/Vol 01"',
        'pagebind forget "Akira/*" --delete-book',
    )
)
@click.argument("volume")
@click.option("--delete-book", is_flag=True, help="Delete its book from the library as well, for good.")
@options(EMPTY["forget"])
def forget(session: Session, volume: str, delete_book: bool) -> int:
    """Leave a volume alone, although it is still listed, until `pagebind retry VOLUME`.

    Its book stays, unless --delete-book is given: nothing else in Pagebind deletes a book for good.

    VOLUME: a server path, a library key, or a glob over them.
    """
    from pagebind.cli.deciding import decide

    return decide(
        session,
        volume,
        lambda decider, chosen: decider.forget(chosen.manifest.volume, delete_book=delete_book),
        look=False,
    )
