"""The process that is the command: ``pagebind``, and ``python -m pagebind`` where its script is not on the path.

Ctrl-C is taken care of before anything else is imported, which takes most of the time that a short command needs.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn


def entry() -> NoReturn:
    """Be the command.

    Until its own handlers stand, Ctrl-C ends the process as SIGTERM does: at once and silently, by the signal, which a
    shell calls 130. Python's own handler would raise `KeyboardInterrupt` in the middle of whatever is being imported.
    One that is ignored, as in the background of a shell, stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pagebind.cli.main import entry as command

    command()


if __name__ == "__main__":
    entry()
