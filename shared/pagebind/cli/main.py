"""`pagebind`: the command group. Subcommands are imported when they are called."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from pagebind.cli.examples import examples

_SUBCOMMANDS = {
    "init": "Write a commented pagebind.toml.",
    "doctor": "Check server, credentials, drives, subscriptions and store.",
    "plan": "Show what a run would do; change nothing.",
    "run": "Poll, fetch and bind until nothing is left to do now.",
    "serve": "Run on a schedule, in one process.",
    "status": "Show where each volume stands, or whether runs succeed.",
    "verify": "Check books against their receipts.",
    "retry": "Try again what failed.",
    "bind": "Decide what holds a volume back.",
    "forget": "Leave a volume alone.",
    "notify": "Send a test message to those who are told of news.",
    "gc": "Remove what is not needed any more.",
    "demo": "Try it all without a server of your own.",
}


class _Lazy(click.Group):
    """Knows its subcommands by name and imports the one that is called."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(_SUBCOMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUBCOMMANDS:
            return None
        module = importlib.import_module(f"pagebind.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in _SUBCOMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, _SUBCOMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are {', '.join(_SUBCOMMANDS)}."
            raise click.UsageError(f"no subcommand is called {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUBCOMMANDS.items()))


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from pagebind import __version__

        click.echo(f"pagebind {__version__}")
        ctx.exit()


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "pagebind demo                     see it work, without a server",
        "pagebind init && pagebind doctor  start with your own",
        "pagebind run                      make every finished folder a book",
    ),
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def pagebind() -> None:
    """Turn finished folders of comic pages on an Alist or OpenList server into CBZ files that are never broken."""


def entry() -> NoReturn:
    """The console script."""
    _write_any_name()
    try:
        from pagebind import logs
        from pagebind.cli import session  # noqa: F401  loaded here, where Ctrl-C is no traceback
    except KeyboardInterrupt:
        sys.exit(130)
    with logs.texts_untold():
        status = _called()
    sys.exit(status)


def _called() -> int:
    """Do what the command line says, and give the exit status."""
    from pagebind.cli import session

    try:
        status = pagebind.main(prog_name="pagebind", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        status = session.WRONG_USE
    except click.ClickException as error:
        status = _wrong_use(error)
    except session.Interrupted as error:
        _leave_at_once(error.status)
    except (KeyboardInterrupt, click.exceptions.Abort):
        status = 130
    except BrokenPipeError:
        sys.stderr.close()
        status = session.FAILED
    except OSError as error:
        status = _end_of_output(error) if error.filename is None else _unforeseen(error)
    except Exception as error:  # noqa: BLE001  Python would print its text, which nobody has looked at
        status = _unforeseen(error)
    return status or session.OK


def _unforeseen(error: Exception) -> int:
    """A mistake in the program, told without the text of the exception: that may hold a token or a link."""
    from pagebind import logs
    from pagebind.cli import session

    about = ", ".join(f"{name}: {value}" for name, value in logs.told_of(error).items())
    click.echo(f"error: this is a mistake in Pagebind; please report it with this line ({about})", err=True)
    return session.FAILED


def _leave_at_once(status: int) -> NoReturn:
    """End without Python's own end, which waits for the threads of pools, however long a store does not answer them."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _end_of_output(error: OSError) -> int:
    """What was to be said cannot be written: one line on standard error, as far as that takes one."""
    from pagebind.cli import session

    with suppress(OSError):
        sys.stdout.close()  # what it still holds would fail once more when the process ends
    with suppress(OSError):
        click.echo(f"error: the output cannot be written: {error.strerror}", err=True)
    return session.FAILED


def _write_any_name() -> None:
    """A name that the terminal's encoding lacks is written with escapes, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _wrong_use(error: click.ClickException) -> int:
    """One line, and with ``--json`` the document of the subcommand that was meant."""
    from pagebind.cli import session
    from pagebind.core.printable import printable

    context = getattr(error, "ctx", None)
    called = context.command_path if context else "pagebind"
    message = f"{error.format_message()} (see `{called} --help`)"
    if "--json" in sys.argv:
        problem = {"code": "usage", "message": error.format_message(), "fix": f"see `{called} --help`"}
        click.echo(
            json.dumps({"schema": 1, **_empty(called), "problems": [{**problem, "path": None, "retryable": False}]})
        )
    click.echo(f"error: {printable(message)}", err=True)
    return session.WRONG_USE


def _empty(called: str) -> dict[str, Any]:
    from pagebind.cli import documents

    return documents.EMPTY.get(called.rpartition(" ")[2], {})
