"""``CONFIG VOLUME``: finalize a volume over the stores as they are wired; prints seconds and peak memory as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from pagebind import wiring
from pagebind.app.finalize import Finalize, Outcome
from pagebind.config import parse, read
from pagebind.ports.dispatch import FinalizeTask


def peak() -> int:
    """Bytes that this process held at most, without what its parent held when it was started."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main(config: str, volume: str) -> None:
    work, library = wiring.stores(parse(read(Path(config)), os.environ, config))
    begun = time.perf_counter()
    done = Finalize(work, library, keep_pages=False)(FinalizeTask(volume, 1, 1))
    seconds = time.perf_counter() - begun
    assert done.outcome is Outcome.BOUND, done
    sys.stdout.write(json.dumps({"seconds": seconds, "peak": peak()}))


main(*sys.argv[1:])
