"""The whole serverless path on this machine, for real: three functions, two queues, two buckets and a server.

Each act does something to it - a new page, a rotated token, a kill - and demands what must come of it.
Status 0: all of it came true; 1: something did not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.rehearsal import rate
from tests.rehearsal.acts import ACTS, perform
from tests.rehearsal.processes import TooLate
from tests.rehearsal.stage import Stage

from pagebind.errors import PagebindError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FINDINGS = (AssertionError, TooLate, TimeoutError, PagebindError)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its status."""
    parser = argparse.ArgumentParser(
        prog="tests/rehearse", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="keep the folders, with the logs of all functions")
    parser.add_argument("--seed", type=int, help="of the dice, to see the same shuffling again")
    chosen = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="pagebind-rehearsal-"))
    begun = time.monotonic()
    try:
        _rehearse(home, chosen.seed)
    except _FINDINGS as error:
        _say(f"FAILED after {time.monotonic() - begun:.0f} s: {type(error).__name__}: {error}")
        return 1
    finally:
        if chosen.keep:
            _say(f"kept: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    _say(f"All {len(ACTS)} acts came true, and the rate held: {time.monotonic() - begun:.0f} s.")
    return 0


def _rehearse(home: Path, seed: int | None) -> None:
    for name in ("acts", "rate"):
        (home / name).mkdir()
    with Stage(home / "acts", seed=seed) as stage:
        perform(stage, _say)
    with rate.stage(home / "rate") as stage:
        _say(f"The rate of the queue\n   {rate.measure(stage)}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
