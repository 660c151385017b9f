"""`pagebind run`: poll, fetch, finalize."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

import click

from pagebind.app.report import problem_of
from pagebind.cli.documents import EMPTY, run_document
from pagebind.cli.progress import duration, size_text, watching
from pagebind.cli.session import (
    OK,
    UNFINISHED,
    Interrupted,
    Session,
    options,
    printable,
    status_of,
    tell_error,
)
from pagebind.core.planner import Action
from pagebind.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pagebind.config import Settings
    from pagebind.local import RunRequest, RunResult


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--settle", metavar="TIME", help="Instead of [bind] settle; 0 binds what is listed now.")
@click.option("--wait", is_flag=True, help="Stay until everything that settles has settled and is bound.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most so many volumes.")
@options(EMPTY["run"])
def run(session: Session, paths: Sequence[str], settle: str | None, wait: bool, limit: int | None) -> int:
    r"""Poll, fetch and bind until nothing is left to do now.

    PATH: a server path inside a subscription; none means all subscriptions.

    \b
    Examples:
      pagebind run
      pagebind run --settle 0 "/comics/One Piece"
      pagebind run --json --quiet | jq '.bound[].key'
    """
    from pagebind import wiring
    from pagebind.app import select
    from pagebind.local import RunRequest

    settings = wiring.with_settle(session.settings(), _settle(settle))
    wanted = select.paths(paths, wiring.paths_watched(settings))
    return run_with(session, settings, os.environ, RunRequest(wanted, limit, wait))


def _settle(text: str | None) -> float | None:
    from pagebind.config import parse_duration

    if text is None:
        return None
    seconds = parse_duration(text)
    if seconds is None:
        raise UsageError(f"--settle {text!r} is no length of time", fix="for example --settle 0 or --settle 10m")
    return seconds


def run_with(session: Session, settings: Settings, env: Mapping[str, str], request: RunRequest) -> int:
    """Run, show and emit; for `run` and `demo`."""
    from pagebind import wiring
    from pagebind.local import Runner

    def on_wait() -> None:
        click.echo("another run is at work on this store; waiting for it to end", err=True)

    with watching(quiet=session.quiet or session.json) as progress:
        parts = wiring.build(settings, env, progress)
        runner = Runner(parts, lambda: parts.run_lock(on_wait))
        try:
            result = runner.run(request)
        except Interrupted:
            runner.dispatch.stop()
            parts.clock.cancel()
            session.emit(run_document(runner.result))
            raise
    session.emit(run_document(result))
    _show(session, result)
    return _status(result)


def _status(result: RunResult) -> int:
    if result.error is not None:
        return status_of(result.error)
    return UNFINISHED if result.problems else OK


def _show(session: Session, result: RunResult) -> None:
    if result.error is not None:
        if not session.json:
            tell_error(result.error)
        session.tell([problem for problem in result.problems if problem != problem_of(result.error)])
        return
    session.tell(result.problems)
    counts = ", ".join(
        f"{len(volumes)} {name}"
        for name, volumes in (
            ("bound", result.bound),
            ("up to date", result.up_to_date),
            ("waiting", result.waiting),
            ("held", result.held),
        )
    )
    reused = f", {result.pages_reused} pages reused" if result.pages_reused else ""
    session.say(
        f"{counts}; {result.pages_fetched} pages, {size_text(result.bytes_fetched)} fetched{reused}"
        f" in {duration(result.seconds)}"
    )
    for report in result.waiting[:_SHOWN]:
        session.say(printable(f"  waiting: {report.path}: {report.reason}"))
    settling = [r.settles_at for r in result.waiting if r.action is Action.SETTLE and r.settles_at is not None]
    if settling:
        until = datetime.fromtimestamp(max(settling)).astimezone().strftime("%H:%M:%S")
        session.say(f"{len(settling)} volumes settle until {until}; run again then, or `--settle 0` binds them now")


_SHOWN = 20
