"""`pagebind run`: poll, fetch, finalize."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from pagebind.app.report import problem_of
from pagebind.app.result import run_document
from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.progress import watching
from pagebind.cli.session import (
    OK,
    UNFINISHED,
    Interrupted,
    Session,
    length_of_time,
    options,
    status_of,
    tell_error,
)
from pagebind.cli.text import duration, moment, size_text
from pagebind.core.planner import PASSED_BY, Action
from pagebind.core.printable import printable
from pagebind.core.wording import counted
from pagebind.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pagebind.app.result import RunResult
    from pagebind.config import Settings
    from pagebind.local import RunRequest
    from pagebind.wiring import Parts

    Prepare = Callable[[Parts], tuple[RunRequest, dict[str, Any]]]


@click.command(
    epilog=examples(
        "pagebind run",
        'pagebind run --settle 0 "/comics/One Piece"',
        "pagebind run --json --quiet | jq '.bound[].key'",
    )
)
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--settle", metavar="TIME", help="Instead of [bind] settle; 0 binds what is listed now.")
@click.option("--wait", is_flag=True, help="Stay until everything that settles has settled and is bound.")
@click.option("--limit", metavar="N", type=int, help="Hand out at most so many volumes, 1 or more.")
@options(EMPTY["run"])
def run(session: Session, paths: Sequence[str], settle: str | None, wait: bool, limit: int | None) -> int:
    """Poll, fetch and bind until nothing is left to do now.

    PATH: a server path inside a subscription; none means all subscriptions.
    """
    from pagebind import wiring
    from pagebind.app import select
    from pagebind.local import RunRequest

    settings = wiring.with_settle(session.settings(), _settle(settle))
    wanted = select.paths(paths, wiring.paths_watched(settings))
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit} would do nothing", fix="give a number from 1, or leave it out")
    return run_with(session, settings, os.environ, lambda _: (RunRequest(wanted, limit, wait), {}))


def _settle(text: str | None) -> float | None:
    if text is None:
        return None
    return length_of_time("--settle", text, fix="for example --settle 0 or --settle 10m", zero=True)


def run_with(session: Session, settings: Settings, env: Mapping[str, str], prepare: Prepare) -> int:
    """Run, show and emit. ``prepare`` gives the request, and what stands in the document besides the run."""
    from pagebind import wiring
    from pagebind.local import Runner

    with watching(quiet=session.quiet or session.json) as progress:
        parts = wiring.build(settings, env, progress)
        runner = Runner(parts, lambda: parts.run_lock(tell_of_another))
        with closing(parts.source):
            request, besides = prepare(parts)
            try:
                result = runner.run(request)
            except Interrupted:
                session.emit({**besides, **run_document(runner.interrupted())})
                raise
    session.emit({**besides, **run_document(result)})
    _show(session, result)
    return _status(result)


def tell_of_another() -> None:
    """Say why nothing happens: another run holds the lock."""
    click.echo("another run is at work on this store; waiting for it to end", err=True)


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
    session.say(summary(result))
    for report in result.waiting[:_SHOWN]:
        session.say(printable(f"  {report.state.value}: {report.path}: {report.reason}"))
    if len(result.waiting) > _SHOWN:
        session.say(f"  ... and {len(result.waiting) - _SHOWN} more: `pagebind status` lists them all")
    settling = [r.settles_at for r in result.waiting if r.action is Action.SETTLE and r.settles_at is not None]
    if settling:
        verb = "settles" if len(settling) == 1 else "settle"
        session.say(
            f"{counted(len(settling), 'volume')} {verb} until {moment(max(settling))};"
            " run again then, or `--settle 0` binds now"
        )


def summary(result: RunResult) -> str:
    """A run in one line."""
    reused = f", {result.pages_reused} pages reused" if result.pages_reused else ""
    return (
        f"{_counts(result)}; {counted(result.pages_fetched, 'page')}, {size_text(result.bytes_fetched)} fetched{reused}"
        f" in {duration(result.seconds)}"
    )


def _counts(result: RunResult) -> str:
    """``3 bound, 10 up to date, 1 waiting, 0 held, 2 ignored``: what is never going to be bound is told apart."""
    elsewhere = Counter(report.state for report in result.waiting if report.state in PASSED_BY)
    waiting = len(result.waiting) - elsewhere.total()
    counts = {"bound": len(result.bound), "up to date": len(result.up_to_date), "waiting": waiting}
    counts |= {"held": len(result.held), **{state.value: count for state, count in elsewhere.items()}}
    return ", ".join(f"{count} {name}" for name, count in counts.items())


_SHOWN = 20
