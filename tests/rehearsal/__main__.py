"""The rehearsal as a command: see `tests.rehearsal.usage`."""

from __future__ import annotations

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
from tests.rehearsal.usage import parsed

from pagebind.errors import PagebindError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FINDINGS = (AssertionError, TooLate, TimeoutError, PagebindError)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its status."""
    chosen = parsed(arguments)
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
