"""`pagebind gc`: remove what is not needed any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pagebind.app.result import problems
from pagebind.cli.documents import EMPTY, REMOVED
from pagebind.cli.examples import examples
from pagebind.cli.run import tell_of_another
from pagebind.cli.session import OK, UNFINISHED, Session, options
from pagebind.cli.text import size_text
from pagebind.core.wording import counted

if TYPE_CHECKING:
    from pagebind.app.gc import Collected

_NAMES = {"sent": "sent marker", "entries": "staged page", "hooks": "reader's call"}


@click.command(epilog=examples("pagebind gc --dry-run", "pagebind gc"))
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@options(EMPTY["gc"])
def gc(session: Session, dry_run: bool) -> int:
    """Remove what no volume needs any more from the store; books are never touched.

    Superseded listings and what belongs to them; receipts of books that were replaced more than 30 days ago; staged
    pages that no listing has wanted for 30 days; records of runs older than 90 days. Each run does a little of it.
    """
    from pagebind import wiring
    from pagebind.adapters.clock import SystemClock
    from pagebind.app.gc import Gc

    settings = session.settings()
    work, library = wiring.stores(settings)
    with wiring.run_lock(settings).acquire(tell_of_another):
        collected = Gc(work, library, SystemClock(), epochs=wiring.policy(settings).give_up_epochs)(dry_run=dry_run)
    session.emit(
        {
            "removed": {name: collected.removed[name] for name in REMOVED},
            "bytes": collected.bytes,
            "problems": problems(collected.problems),
        }
    )
    session.tell(collected.problems)
    session.say(_summary(collected, dry_run=dry_run))
    return UNFINISHED if collected.problems else OK


def _summary(collected: Collected, *, dry_run: bool) -> str:
    counts = [
        counted(collected.removed[name], _NAMES.get(name, name.removesuffix("s")))
        for name in REMOVED
        if collected.removed[name]
    ]
    if not counts:
        return "nothing to remove"
    return f"{'would remove' if dry_run else 'removed'} {', '.join(counts)} ({size_text(collected.bytes)} at least)"
