"""`pagebind status`: where each volume stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pagebind.app.result import problems
from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.session import FAILED, OK, UNFINISHED, Session, length_of_time, options, tell_problem
from pagebind.cli.text import moment
from pagebind.core.planner import Action, State
from pagebind.core.printable import printable
from pagebind.core.wording import counted
from pagebind.errors import UsageError

if TYPE_CHECKING:
    from pagebind.app.report import VolumeReport
    from pagebind.config import Settings

_MAX_AGE = 2 * 3600.0
_NOTHING_SPECIAL = "the book is up to date"
"""What the time says as well; only what follows it, of waivers and decisions, is worth a place in the line."""

_COLOURS = {State.BOUND: "green", State.HELD: "red", State.FETCHING: "yellow"}


@click.command(
    epilog=examples(
        "pagebind status",
        'pagebind status "/comics/One Piece/Vol 01"',
        'pagebind status "One Piece/*"',
        "pagebind status --check --quiet   for a health check: status 0 or 1",
    )
)
@click.argument("volume", required=False)
@click.option("--check", is_flag=True, help="Only tell whether runs succeed, by the exit status: 0 or 1.")
@click.option(
    "--max-age",
    metavar="TIME",
    help="With --check: how old the last good run may be; by default 2h, or twice [poll] interval if that is longer.",
)
@options(EMPTY["status"])
def status(session: Session, volume: str | None, check: bool, max_age: str | None) -> int:
    """Show each volume's state, pages, why it is held, when it settles, when it was bound; and the last run.

    VOLUME: a server path, a library key, or a glob over them.
    """
    if not check:
        if max_age is not None:
            raise UsageError("--max-age belongs to --check", fix="give both, or neither")
        return _list(session, volume)
    if volume is not None:
        raise UsageError("--check is about runs, not about a volume", fix="leave one of the two out")
    settings = session.settings()
    return _check(session, settings, _age(max_age, settings))


def _age(text: str | None, settings: Settings) -> float:
    if text is None:
        return max(_MAX_AGE, 2 * settings.poll.interval)
    return length_of_time("--max-age", text, fix="for example --max-age 2h")


def _check(session: Session, settings: Settings, max_age: float) -> int:
    from pagebind import wiring
    from pagebind.adapters.clock import SystemClock
    from pagebind.app import health

    work, _ = wiring.stores(settings)
    found = health.check(work, SystemClock(), max_age=max_age, at_work=wiring.run_lock(settings).is_held)
    told = [found.problem] if found.problem else []
    session.emit({"volumes": [], "problems": problems(told), "last_run": _summary(found.last_run)})
    if found.problem is None:
        session.say("runs succeed")
        return OK
    if not session.json:
        tell_problem(found.problem)
    return FAILED


def _list(session: Session, volume: str | None) -> int:
    from pagebind import wiring
    from pagebind.adapters.clock import SystemClock
    from pagebind.app import select
    from pagebind.app.status import status as look

    settings = session.settings()
    work, library = wiring.stores(settings)
    found = look(work, library, wiring.policy(settings), SystemClock(), wiring.existing(settings))
    shown = found.volumes
    if volume is not None:
        named = select.volumes(volume, (select.Named(r.volume, r.path, r.key, r.state is State.MOVED) for r in shown))
        chosen = {one.volume for one in named}
        shown = [report for report in shown if report.volume in chosen]
    held = [*found.damaged, *(report.problem for report in shown if report.problem)]
    session.emit(
        {"volumes": [r.document() for r in shown], "problems": problems(held), "last_run": _summary(found.last_run)}
    )
    for report in shown:
        _show(session, report)
    session.tell(held if session.quiet else found.damaged)
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
        told = report.reason.startswith(report.problem.message)
        for line in (None if told else report.problem.message, report.problem.fix):
            if line:
                session.say(printable(f"{'':<13}{line}"))


def _why(report: VolumeReport) -> str:
    if report.bound_at is not None and report.state is State.BOUND:
        return f"bound {moment(report.bound_at)}{report.reason.removeprefix(_NOTHING_SPECIAL)}"
    if report.action is Action.SETTLE and report.settles_at is not None:
        return f"{report.reason}, settles {moment(report.settles_at)}"
    return report.reason


def _show_last_run(session: Session, last: object) -> None:
    if not isinstance(last, dict):
        session.say("no run yet: `pagebind run` makes one")
        return
    error = last.get("error")
    end = printable(f"failed: {error['message']}") if error else counted(len(last.get("problems", [])), "problem")
    if last.get("interrupted"):
        end = f"interrupted, {end}"
    session.say(f"last run {last.get('ended')}, {last.get('seconds')} s, {end}")
    for problem in last.get("problems", []):
        if problem["code"] == "listing_failed":
            session.say(printable(f"{'':<13}{problem['message']}"))
