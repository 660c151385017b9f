"""Runs of the command in processes of their own, for what only those show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.command import end, spawn
from tests.support.world import Run

if TYPE_CHECKING:
    import subprocess

    from tests.support.world import World


def begin(world: World, command: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a subcommand with the world's configuration."""
    return spawn(command, "--config", world.config(), *words, **world.environment())


def run(world: World) -> Run:
    """`pagebind run` from its start to its end."""
    answer = end(begin(world, "run", "--json"))
    return Run(answer.status, answer.document, answer.err)
