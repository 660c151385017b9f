"""The long form of the simulation: `tests/simulate --help`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from tests.simulation.mistakes import MISTAKES
from tests.simulation.simulate import Outcome, simulate, told

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE = 50


def main(words: list[str]) -> int:
    """Simulate, and tell what was found. 0: all rules held; 1: one did not."""
    asked = _parse(words)
    if asked.replay is not None:
        return _replay(asked.replay, asked.mistake)
    begun, books, tasks, found = time.monotonic(), 0, 0, 0
    counts: Counter[str] = Counter()
    last = asked.first + asked.seeds - 1
    _say(f"Simulating {asked.seeds} worlds, seeds {asked.first} to {last}.")
    for done, short in enumerate(_run(asked.first, asked.seeds, asked.jobs, asked.mistake), 1):
        books, tasks = books + short.books, tasks + short.tasks
        counts += short.counts
        if short.broken:
            found += 1
            _tell(short, asked.mistake)
        if done % 1000 == 0:
            _say(f"{done} of {asked.seeds} worlds, {found} broken")
    seconds = time.monotonic() - begun
    _say(f"{asked.seeds} worlds, seeds {asked.first} to {last}: {books} books, {tasks} tasks, in {seconds:.0f} s.")
    _say("In them: " + ", ".join(f"{number} x {what}" for what, number in sorted(counts.items())) + ".")
    _say(f"{found} broke a rule." if found else "Every rule held in each of them.")
    return 1 if found else 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, metavar="N", help="so many worlds; 10000 by default")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed; 0 by default")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes; 2 by default")
    parser.add_argument("--replay", type=int, metavar="SEED", help="one world only, with all that happens in it")
    parser.add_argument("--mistake", choices=sorted(MISTAKES), help="with a mistake switched on")
    return parser.parse_args(words)


def _run(first: int, seeds: int, jobs: int, mistake: str | None) -> Iterator[Outcome]:
    wanted = range(first, first + seeds)
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_one, wanted, [mistake] * seeds, chunksize=_AT_ONCE)


def _one(seed: int, mistake: str | None) -> Outcome:
    """Without its trace: the seed has that."""
    return simulate(seed, mistake)._replace(trace=[])


def _tell(outcome: Outcome, mistake: str | None) -> None:
    assert outcome.broken is not None
    _say(f"seed {outcome.seed} breaks {outcome.broken.rule}: {outcome.broken.what}")
    besides = f" --mistake {mistake}" if mistake else ""
    _say(f"  to see how: tests/simulate --replay {outcome.seed}{besides}")


def _replay(seed: int, mistake: str | None) -> int:
    outcome = simulate(seed, mistake)
    for name, value in zip(outcome.profile._fields, outcome.profile, strict=True):
        _say(f"{name}: {value}")
    for volume, path in outcome.volumes.items():
        _say(f"{volume} is {path}")
    for line in told(outcome):
        _say(line)
    if outcome.broken is None:
        _say(f"seed {seed}: every rule held.")
        return 0
    _say(f"seed {seed} breaks {outcome.broken.rule}: {outcome.broken.what}")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
