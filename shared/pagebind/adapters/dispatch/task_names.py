"""Names of tasks in a queue: a name that was used is not taken again, so that nothing is queued twice.

They are digests, for a queue slows down where names follow each other in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagebind.core.keys import digest

if TYPE_CHECKING:
    from pagebind.ports.dispatch import FetchTask, FinalizeTask

_LENGTH = 40


def fetch_name(task: FetchTask) -> str:
    """One for each page and epoch, and each time that a finalize found it damaged in it."""
    page = f"{task.volume}\0{task.page}\0{task.seq}\0{task.epoch}"
    return digest(f"fetch\0{page}\0{task.again}\0{task.asker}", _LENGTH)


def finalize_name(task: FinalizeTask) -> str:
    """One for each epoch and attempt, and for each poll that wants it besides."""
    return digest(f"finalize\0{task.volume}\0{task.seq}\0{task.epoch}\0{task.attempt}\0{task.asker}", _LENGTH)
