"""`pagebind serve`: runs on a schedule, in one process."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from pagebind.app.result import run_document
from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.run import summary, tell_of_another
from pagebind.cli.session import Interrupted, Session, dumps, length_of_time, options, tell_error
from pagebind.cli.text import moment
from pagebind.core.wording import counted

if TYPE_CHECKING:
    from pagebind.app.result import RunResult
    from pagebind.serve import Memory

_EXAMPLES = "for example --every 15m or --every 1h"


@click.command(
    epilog=examples(
        "pagebind serve",
        "pagebind serve --every 1h",
        "pagebind serve --json --quiet | jq -r '.bound[].key'",
    )
)
@click.option("--every", metavar="TIME", help="From the start of one round to that of the next, else [poll] interval.")
@options(EMPTY["serve"])
def serve(session: Session, every: str | None) -> int:
    """Do what `run` does, again and again, until a signal comes.

    What is wrong is said once, and not again while it stays as it is; the status of each round is in its line. With
    --json, one document of `run` a line. A signal ends it between pages. The configuration is read at the start only:
    restart it after a change.
    """
    from pagebind import wiring
    from pagebind.serve import Memory, Rounds

    settings = session.settings()
    interval = settings.poll.interval if every is None else length_of_time("--every", every, fix=_EXAMPLES)
    rounds = Rounds(
        lambda: wiring.build(settings, os.environ), lambda parts: parts.run_lock(tell_of_another), every=interval
    )
    memory = Memory()
    with closing(rounds):
        try:
            for result in rounds:
                _tell(session, result, memory)
        except Interrupted:
            if (broken_off := rounds.broken_off()) is not None:
                _tell(session, broken_off, memory)
            session.emitted = True
            raise
    raise AssertionError("rounds have no end")


def _tell(session: Session, result: RunResult, memory: Memory) -> None:
    """One line for the round, and those of its problems that are new."""
    said = memory.compare(result)
    if session.json:
        click.echo(dumps(run_document(result)))
        return
    if result.interrupted:
        session.tell(said.problems)
        session.say(f"{moment(time.time())} interrupted; {summary(result)}")
    elif result.error is None:
        session.tell(said.problems)
        back = f"well again after {counted(said.back, 'failed round')}; " if said.back else ""
        session.say(f"{moment(time.time())} {back}{summary(result)}")
    elif said.problems:
        tell_error(result.error)
    else:
        session.say(f"{moment(time.time())} failed again, for the same reason ({counted(said.again, 'round')})")
