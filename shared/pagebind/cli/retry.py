"""`pagebind retry`: what failed is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.session import Session, options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.app.inventory import Inventory


@click.command(
    epilog=examples(
        "pagebind retry",
        'pagebind retry "/comics/One Piece/Vol 01"',
        'pagebind retry "One Piece/*"',
    )
)
@click.argument("volume", required=False)
@options(EMPTY["retry"])
def retry(session: Session, volume: str | None) -> int:
    """Void the failures, waivers and `forget` of a volume and try its pages again, now.

    Deletes and overwrites nothing: a book without some pages stays until the better one is complete.

    VOLUME: a server path, a library key, or a glob over them; without one, every volume of which something failed or
    was waived, but not those that were forgotten.
    """
    from pagebind.app.decide import retriable
    from pagebind.cli.deciding import decide

    def every(inventory: Inventory) -> Sequence[str]:
        return [name for name, history in inventory.volumes.items() if retriable(history)]

    return decide(session, volume, lambda decider, chosen: decider.retry(chosen.manifest.volume), every=every)
