"""What all subcommands share: options, the configuration, output, errors and exit status."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pagebind import logs
from pagebind.app.report import SCHEMA, problem_of
from pagebind.core.printable import printable
from pagebind.errors import PagebindError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from pagebind.config import Settings
    from pagebind.core.planner import Problem

OK, FAILED, WRONG_USE, UNFINISHED, WORK = 0, 1, 2, 3, 4
"""Exit status: done; the run failed; wrong usage or configuration; finished with problems; there is work (`plan`)."""

_SIGNAL_BASE = 128
_FORMATS = ("text", "json")
_FORMAT_HELP = "Of the log lines, which go to standard error."


class Interrupted(BaseException):
    """SIGINT or SIGTERM came."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.status = _SIGNAL_BASE + signum


@dataclass(slots=True)
class Session:
    """One call of the command: its common options, and whether its document is out."""

    config: str | None
    verbose: int
    quiet: bool
    log_format: str
    json: bool
    emitted: bool = False

    def settings(self) -> Settings:
        """Read the configuration. Raises: ConfigError."""
        from pagebind.wiring import read_configuration

        return read_configuration(self.config, os.environ, Path.cwd()).settings(os.environ)

    def say(self, line: str = "") -> None:
        """A line for people, on standard output; nothing with ``--json`` or ``--quiet``."""
        if not self.json and not self.quiet:
            click.echo(line)

    def emit(self, document: dict[str, Any]) -> None:
        """The one JSON document, which is the first that is given; nothing without ``--json``."""
        if self.json and not self.emitted:
            text = dumps(document)
            self.emitted = True
            click.echo(text)

    def tell(self, problems: Sequence[Problem], *, most: int = 20) -> None:
        """Problems for people, on standard error."""
        if not self.json:
            for problem in problems[:most]:
                tell_problem(problem)
            if len(problems) > most:
                click.echo(f"... and {len(problems) - most} problems more: --json lists them all", err=True)


def length_of_time(option: str, written: str, *, fix: str, zero: bool = False) -> float:
    """Seconds of what was given to an option. ``zero``: it may be none at all.

    Raises:
        UsageError: it is no time, or one of more than ten years.
    """
    from pagebind.config import LONGEST, parse_duration

    seconds = parse_duration(written)
    if seconds is None or (seconds == 0 and not zero):
        raise UsageError(f"{option} {written!r} is no length of time", fix=fix)
    if seconds > LONGEST:
        raise UsageError(f"{option} {written!r} is too long: at most 3650d", fix=fix)
    return seconds


def dumps(document: dict[str, Any]) -> str:
    """JSON that any terminal and any parser takes: names that are no valid Unicode stay escaped."""
    return json.dumps({"schema": SCHEMA, **document}, ensure_ascii=True)


def tell_problem(problem: Problem) -> None:
    """One line, and what to do about it behind it."""
    where = f" [{problem.path}]" if problem.path and printable(problem.path) not in problem.message else ""
    fix = f" ({problem.fix})" if problem.fix else ""
    click.echo(click.style("problem: ", fg="yellow") + printable(f"{problem.message}{where}{fix}"), err=True)


def status_of(error: PagebindError) -> int:
    """Exit status for an error that ends a command."""
    return WRONG_USE if error.code in ("usage", "config") else FAILED


def options(empty: dict[str, Any]) -> Callable[[Callable[..., int]], Callable[..., NoReturn]]:
    """Give a subcommand the common options, and turn what it raises into a line, a document and a status.

    ``empty`` is the subcommand's document when it fails before it has anything to say.
    """

    def decorate(body: Callable[..., int]) -> Callable[..., NoReturn]:
        @click.option(
            "--config",
            metavar="FILE",
            help="Configuration, gs:// and s3:// too (else $PAGEBIND_CONFIG, ./pagebind.toml, ...).",
        )
        @click.option("-v", "--verbose", count=True, help="Log what happens; -vv logs everything.")
        @click.option("--quiet", is_flag=True, help="Say nothing but errors.")
        @click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="Of the log on standard error.",
        )
        @click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else.")
        @functools.wraps(body)
        def command(
            config: str | None, verbose: int, quiet: bool, log_format: str, as_json: bool, **words: Any
        ) -> NoReturn:
            session = Session(config, verbose, quiet, log_format, as_json)
            logs.set_up(log_format, verbose=verbose, quiet=quiet)
            try:
                with signals():
                    status = body(session, **words)
            except PagebindError as error:
                session.emit({**empty, "problems": [problem_of(error)._asdict()]})
                tell_error(error)
                status = status_of(error)
            except Interrupted:
                session.emit(empty)
                raise
            sys.exit(status)

        return command

    return decorate


def tell_error(error: PagebindError) -> None:
    """The one line that an error is, on standard error."""
    fix = f" ({error.fix})" if error.fix else ""
    click.echo(click.style("error: ", fg="red", bold=True) + printable(f"{error.message}{fix}"), err=True)


@contextmanager
def signals() -> Iterator[None]:
    """Raise `Interrupted` in the main thread at SIGINT or SIGTERM."""

    def interrupt(signum: int, _: FrameType | None) -> NoReturn:
        restore()  # whoever sends a second one will not wait for the end of this one
        raise Interrupted(signum)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        restore()
