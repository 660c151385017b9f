"""`pagebind plan`: what a run would do."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from pagebind.app.result import plan_document
from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.progress import watching
from pagebind.cli.session import OK, UNFINISHED, WORK, Session, options
from pagebind.cli.text import duration, size_text
from pagebind.core.planner import Action, State
from pagebind.core.printable import printable
from pagebind.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.app.plan import Plan
    from pagebind.app.report import VolumeReport

_WORK = (Action.SETTLE, Action.FETCH, Action.BIND)


@click.command(
    epilog=examples(
        "pagebind plan",
        'pagebind plan "/comics/One Piece"',
        "pagebind plan --exit-code --quiet || pagebind run",
    )
)
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--exit-code", is_flag=True, help="Status 4 when there is work; it goes before 3.")
@options(EMPTY["plan"])
def plan(session: Session, paths: Sequence[str], exit_code: bool) -> int:
    """Show what would be fetched, bound, held or ignored, and why, with requests, bytes and time. Changes nothing.

    PATH: a server path inside a subscription; none means all subscriptions.
    """
    from pagebind import wiring
    from pagebind.app import select
    from pagebind.app.plan import make_plan

    settings = session.settings()
    with watching(quiet=session.quiet or session.json) as progress:
        parts = wiring.build(settings, os.environ, progress)
        wanted = select.paths(paths, parts.watches)
        with closing(parts.source):
            rates, own_rates = wiring.download_rates(settings)
            made = make_plan(parts.plan(), wanted, rates=rates, own_rates=own_rates)
    session.emit(plan_document(made))
    _show(session, made)
    if exit_code and any(report.action in _WORK for report in made.volumes):
        return WORK
    return UNFINISHED if made.problems else OK


def _show(session: Session, made: Plan) -> None:
    for report in made.volumes:
        if report.state is not State.BOUND:
            session.say(_line(report))
    current = sum(report.state is State.BOUND for report in made.volumes)
    time = f", about {duration(made.seconds)} at the set rates" if made.seconds is not None else ""
    session.say(
        f"{counted(len(made.volumes), 'volume')}, {current} up to date; "
        f"to fetch: {counted(made.requests, 'page')}, {size_text(made.bytes)}{time}"
    )
    session.tell([problem for problem in made.problems if session.quiet or problem.code == "listing_failed"])


def _line(report: VolumeReport) -> str:
    step = report.action.value if report.action is not Action.NONE else report.state.value
    fix = f" ({report.problem.fix})" if report.problem else ""
    return printable(f"{step:<8}{report.path} -> {report.key}: {report.reason}{fix}")
