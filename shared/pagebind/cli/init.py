"""`pagebind init`: write a commented configuration."""

from __future__ import annotations

from pathlib import Path

import click

from pagebind.cli.documents import EMPTY
from pagebind.cli.examples import examples
from pagebind.cli.session import OK, Session, options
from pagebind.errors import ConfigError


@click.command(
    epilog=examples(
        "pagebind init",
        "pagebind init --config ~/.config/pagebind/pagebind.toml",
    )
)
@options(EMPTY["init"])
def init(session: Session) -> int:
    """Write a commented pagebind.toml (or --config FILE); an existing file is never overwritten."""
    from pagebind.config import FILE_NAME, is_object, template

    if session.config and is_object(session.config):
        raise ConfigError(
            "init writes a file, not an object in a bucket",
            fix="name a file by --config, and copy it into the bucket when it is right",
        )
    target = Path.cwd() / (session.config or FILE_NAME)
    text = template(f"{Path.cwd().as_uri()}/pagebind-data")
    elsewhere = "name another file by --config"
    if target.exists():
        raise ConfigError(f"{target} is there already", fix=f"edit it, or {elsewhere}", path=str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}", fix=elsewhere, path=str(target)) from error
    session.emit({"config": str(target), "problems": []})
    session.say(f"wrote {target}")
    session.say("pages and books go to the folder that [store] names; a bucket (gs://, s3://) can stand there as well")
    session.say("next: set the server's address, the token and the subscription in it, then run `pagebind doctor`")
    return OK
