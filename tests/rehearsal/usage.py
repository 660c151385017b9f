"""What `tests/rehearse` takes. Nothing but Python is needed for it: it answers before anything is installed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """\
The whole serverless path on this machine, for real: three functions, two queues, two buckets and a server.

Each act does something to it - a new page, a rotated token, a kill - and demands what must come of it.
Status 0: all of it came true; 1: something did not.

What it needs is installed first: into .venv where Pagebind is linked to this folder, as by tests/run; else into
.venv-rehearsal, and a .venv with another Pagebind stays as it is. The queue's emulator goes into .venv-emulator.
"""


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The words of the command line. Ends the process for `--help`, and for words that mean nothing."""
    parser = argparse.ArgumentParser(
        prog="tests/rehearse",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--keep", action="store_true", help="keep the folders, with the logs of all functions")
    parser.add_argument("--seed", type=int, help="of the dice, to see the same shuffling again")
    return parser.parse_args(words)


if __name__ == "__main__":
    parsed()
