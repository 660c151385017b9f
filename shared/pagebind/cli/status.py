"""`pagebind status`: where each volume stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pagebind.cli.documents import EMPTY, problems
from pagebind.cli.examples import examples
from pagebind.cli.session import OK, UNFINISHED, Session, options
from pagebind.cli.text import moment, printable
from pagebind.core.planner import Action, State
from pagebind.core.wording import counted

if TYPE_CHECKING:
    from pagebind.app.report import VolumeReport

_COLOURS = {State.BOUND: "green", State.HELD: "red", State.FETCHING: "yellow"}


@click.command(
    epilog=examples(
        "pagebind status",
        'pagebind status "/comics/One Piece/Vol 01"',
        'pagebind status "One Piece/*"',
    )
)
@click.argument("volume", required=False)
@options(EMPTY["status"])
def status(session: Session, volume: str | None) -> int:
    """Show each volume's state, pages, why it is held, when it settles, when it was bound; and the last run.

    VOLUME: a server path, a library key, or a glob over them.
    """
    from pagebind import wiring
    from pagebind.adapters.clock import SystemClock
    from pagebind.app import select
    from pagebind.app.status import status as look

    settings = session.settings()
    work, library = wiring.stores(settings)
    found = look(work, library, wiring.policy(settings), SystemClock())
    shown = found.volumes
    if volume is not None:
        named = select.volumes(volume, (select.Named(r.volume, r.path, r.key) for r in shown))
        chosen = {one.volume for one in named}
        shown = [report for report in shown if report.volume in chosen]
    held = [*found.damaged, *(report.problem for report in shown if report.problem)]
    session.emit(
        {"volumes": [r.document() for r in shown], "problems": problems(held), "last_run": _summary(found.last_run)}
    )
    for report in shown:
        _show(session, report)
    if session.quiet:
        session.tell(held)
    _show_last_run(session, found.last_run)
    return UNFINISHED if held else OK


def _summary(last: object) -> dict[str, object] | None:
    """The last run without its volumes, which stand in the document already."""
    if not isinstance(last, dict):
        return None
    return {name: value for name, value in last.items() if name not in ("schema", "volumes")}


def _show(session: Session, report: VolumeReport) -> None:
    state = click.style(f"{report.state.value:<13}", fg=_COLOURS.get(report.state))
    session.say(state + printable(f"{report.path} -> {report.key}, {report.staged_text()}: {_why(report)}"))
    if report.problem:
        told = report.problem.message == report.reason
        for line in (None if told else report.problem.message, report.problem.fix):
            if line:
                session.say(printable(f"{'':<13}{line}"))


def _why(report: VolumeReport) -> str:
    if report.bound_at is not None and report.state is State.BOUND:
        return f"bound {moment(report.bound_at)}"
    if report.action is Action.SETTLE and report.settles_at is not None:
        return f"{report.reason}, settles {moment(report.settles_at)}"
    return report.reason


def _show_last_run(session: Session, last: object) -> None:
    if not isinstance(last, dict):
        session.say("no run yet: `pagebind run` makes one")
        return
    error = last.get("error")
    end = printable(f"failed: {error['message']}") if error else counted(len(last.get("problems", [])), "problem")
    session.say(f"last run {last.get('ended')}, {last.get('seconds')} s, {end}")
    for problem in last.get("problems", []):
        if problem["code"] == "listing_failed":
            session.say(printable(f"{'':<13}{problem['message']}"))
