"""`pagebind verify`: books against receipts."""

from __future__ import annotations

import click

from pagebind.app.result import problems
from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.progress import watching
from pagebind.cli.session import OK, UNFINISHED, Session, options
from pagebind.core.printable import printable
from pagebind.core.wording import counted


@click.command(
    epilog=examples(
        "pagebind verify",
        'pagebind verify --read "One Piece/*"',
    )
)
@click.argument("volume", required=False)
@click.option("--read", is_flag=True, help="Read every byte back, instead of comparing what the store recorded.")
@options(EMPTY["verify"])
def verify(session: Session, volume: str | None, read: bool) -> int:
    """Check the books in the library against their receipts.

    VOLUME: a server path, a library key, or a glob over them.
    """
    from pagebind import wiring
    from pagebind.app import select
    from pagebind.app.verify import Verify

    work, library = wiring.stores(session.settings())
    use_case = Verify(work, library, read=read)
    inventory, books = use_case.books()
    chosen = sorted(books.values(), key=lambda named: named.key)
    if volume is not None:
        chosen = select.volumes(volume, chosen)
    checked = []
    with watching(quiet=session.quiet or session.json) as progress:
        for named in chosen:
            one = use_case.check(inventory, named)
            checked.append(one)
            if one.problem is None:
                progress.note(printable(f"ok {one.key} ({counted(one.pages, 'page')})"))
    bad = [one.problem for one in checked if one.problem]
    wrong = [*use_case.damaged, *bad]
    session.emit(
        {
            "books": [
                {
                    "key": one.key,
                    "ok": one.problem is None,
                    "pages": one.pages,
                    "problem": problems([one.problem])[0] if one.problem else None,
                }
                for one in checked
            ],
            "problems": problems(wrong),
        }
    )
    session.tell(wrong)
    session.say(f"{len(checked) - len(bad)} of {len(checked)} books are what their receipts say")
    return UNFINISHED if wrong else OK
