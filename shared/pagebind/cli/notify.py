"""`pagebind notify`: see whether messages arrive, and whether readers understand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import click

from pagebind.app.report import problem_of
from pagebind.app.result import problems
from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.session import FAILED, OK, Session, options
from pagebind.errors import ConfigError, NotifyFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagebind.adapters.notify.apprise import AppriseNotifier
    from pagebind.config import Settings
    from pagebind.core.message import Message
    from pagebind.core.planner import Problem
    from pagebind.ports.notify import Hook
    from pagebind.ports.secrets import Secrets

_KINDS = {
    "bound": "new books",
    "held": "volumes that are held",
    "failed": "volumes that fail",
    "source": "a server that refuses or is away",
}


class _Told(NamedTuple):
    """Whom something was sent to, and how it ended."""

    name: str
    problem: Problem | None


@click.command(
    epilog=examples(
        "pagebind notify --test",
        "pagebind notify --test --hooks    call the readers too",
    )
)
@click.option("--test", is_flag=True, help="Send a test message to each of [notify] urls.")
@click.option("--hooks", "call", is_flag=True, help="With --test: call each [[hook]] too; the readers scan.")
@options(EMPTY["notify"])
def notify(session: Session, test: bool, call: bool) -> int:
    """See whether messages arrive: a test message goes to each of [notify] urls. Runs send theirs by themselves.

    Each [[hook]] is named, and called with --hooks only. Status 1: one of them did not take it.
    """
    if not test:
        raise UsageError("notify is there to be tried out", fix="write pagebind notify --test")
    from pagebind.adapters.secrets import KeptSecrets

    settings = session.settings()
    if not settings.anybody_is_told:
        raise ConfigError(
            "nobody is to be told of anything: there is nothing in [notify] urls, and no [[hook]]",
            fix='add [notify] and below it urls = ["env:NOTIFY_URL"]',
        )
    told = []
    for one in _attempts(settings, KeptSecrets(os.environ), call=call):
        told.append(one)
        if one.problem is None:
            session.say(f"told {one.name}")
        session.tell([one.problem] if one.problem else [])
    if not call:
        _name_readers(session, settings)
    wrong = [one.problem for one in told if one.problem]
    session.emit({"sent": [_document(one) for one in told], "problems": problems(wrong)})
    return FAILED if wrong else OK


def _attempts(settings: Settings, secrets: Secrets, *, call: bool) -> Iterator[_Told]:
    from pagebind import wiring

    message = _message(settings)
    for notifier in wiring.notifiers(settings, secrets):
        yield from _sent(notifier, message)
    for hook in wiring.hooks(settings, secrets) if call else ():
        yield _called(hook)


def _message(settings: Settings) -> Message:
    from pagebind.core.message import Message, Tone

    kinds = ", ".join(_KINDS[word] for word in settings.notify.on)
    return Message("Pagebind: a test", f"Messages of Pagebind arrive here. They will tell of {kinds}.", Tone.INFO)


def _sent(notifier: AppriseNotifier, message: Message) -> Iterator[_Told]:
    try:
        outcomes = notifier.deliver(message)
    except NotifyFailed as error:
        outcomes = [error]
    for number, failure in enumerate(outcomes, 1):
        name = notifier.name if len(outcomes) == 1 else f"{notifier.name} ({number} of {len(outcomes)})"
        yield _Told(name, problem_of(failure) if failure else None)


def _called(hook: Hook) -> _Told:
    try:
        hook.call()
    except NotifyFailed as error:
        return _Told(hook.name, problem_of(error))
    return _Told(hook.name, None)


def _name_readers(session: Session, settings: Settings) -> None:
    from pagebind import wiring

    for name in wiring.hook_names(settings):
        session.say(f"not called without --hooks: {name}")


def _document(one: _Told) -> dict[str, object]:
    return {
        "name": one.name,
        "ok": one.problem is None,
        "problem": problems([one.problem])[0] if one.problem else None,
    }
