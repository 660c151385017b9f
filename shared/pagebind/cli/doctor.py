"""`pagebind doctor`: is everything there that a run needs?"""

from __future__ import annotations

import os
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

import click

from pagebind.app.report import problem_of
from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.session import FAILED, OK, Session, options
from pagebind.core.printable import printable

if TYPE_CHECKING:
    from pagebind.app.doctor_stores import Check

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(
    epilog=examples(
        "pagebind doctor",
        "pagebind doctor --json | jq '.checks[] | select(.status != \"ok\")'",
    )
)
@options(EMPTY["doctor"])
def doctor(session: Session) -> int:
    """Check the server, what it is, the credentials and rights, every drive and subscription, and the store.

    Of who is told of books: whether their secrets are there, and Apprise takes the addresses. Nothing is sent.
    """
    from pagebind import wiring
    from pagebind.app.doctor import check_told
    from pagebind.app.doctor import doctor as examine

    parts = wiring.build(session.settings(), os.environ)
    one_server = parts.settings.store.kind != "file"  # folders may lie on two disks
    checks = []
    with closing(parts.source):
        tried = examine(parts.source, parts.work, parts.library, parts.watches, one_server=one_server)
        told = check_told(*(make(parts.settings, parts.secrets) for make in (wiring.notifiers, wiring.hooks)))
        for check in chain(tried, told):
            checks.append(check)
            _show(session, check)
    failed = [check for check in checks if check.status == "fail"]
    session.emit(
        {
            "checks": [{"name": c.name, "status": c.status, "detail": c.detail, "fix": c.fix} for c in checks],
            "problems": [problem_of(c.error)._asdict() for c in failed if c.error is not None],
        }
    )
    return FAILED if failed else OK


def _show(session: Session, check: Check) -> None:
    line = printable(f"{check.name}: {check.detail}")
    session.say(click.style(f"{check.status:<6}", fg=_COLOURS[check.status]) + line)
    if check.fix and check.status != "ok":
        session.say(f"{'':<6}{printable(check.fix)}")
    if check.status == "fail" and session.quiet and check.error is not None:
        session.tell([problem_of(check.error)])
