"""``CONFIG``: hand everything out that a server has, as poll does; prints the bodies of the fetch tasks, one a line."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pagebind import wiring
from pagebind.adapters.dispatch import task_body

if TYPE_CHECKING:
    from pagebind.ports.dispatch import FetchTask, FinalizeTask


class Printed:
    """A queue from which tasks go to standard output."""

    durable = True

    def __init__(self, config: str) -> None:
        self._config = config

    def open(self) -> None:
        """It is."""

    def fetch(self, task: FetchTask) -> None:
        sys.stdout.buffer.write(task_body.dump(task, config=self._config) + b"\n")

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:
        """Nothing is bound here."""

    def flush(self) -> None:
        sys.stdout.flush()


def main(config: str) -> None:
    configuration = wiring.read_configuration(config, os.environ, Path.cwd())
    parts = wiring.build(configuration.settings(os.environ), os.environ, durable=True)
    with closing(parts.source):
        poll = parts.poll(Printed(configuration.digest), write=True)
        poll.look()
        poll.step()


main(*sys.argv[1:])
