"""Kills runs at every instant and at every call to the store, and runs on: every book must be the right one, or none.

For each kill a run of the command, in a place of its own, dies by SIGKILL; another run follows. Right after the kill
nothing may stand in the library but whole books, the right ones or those of before; after the run that follows all
books stand there, byte for byte those of a run that nobody disturbed, each with one receipt that is true of it, and
nothing is left in staging, of uploads or of temporary files. That run asks for no page that was staged before.

Instants are spread over the measured length of a run; as some phases are short, those hit too seldom are aimed at:
after they begin, at a random part of the length that they were measured to have. Calls: before each call to the store,
and after it, at the wire where there is one; of a folder, before each change of a file as well. Every fourth instant,
and all calls a second time, meet books of an earlier revision.

  tests/crash                                   1,000 instants and every call, on each kind of store
  tests/crash --store s3 --kills 100 --no-calls a hundred instants on SeaweedFS
  tests/crash --store folder --kill call:17:after
  tests/crash --store gcs --broken              books written at their final key: this must find them, and fail
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.faults import crash_strikes
from tests.faults.crash_campaign import PAST, Campaign, Findings
from tests.faults.crash_child import OF_THE_SYSTEM
from tests.faults.crash_looks import FAULTS
from tests.faults.crash_marks import PHASES
from tests.faults.crash_sites import KINDS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from multiprocessing.queues import Queue

    from tests.faults.crash_strikes import Strike

_AT_ONCE = 100
_CALL_STEP = 4
_ABOUT_CALLS = {"folder": 130, "gcs": 135, "s3": 185}
"""So many calls does a run make, as a rule: only to say how long all of it may take."""

_ABOUT_CHANGES = 400
_TOLD_EVERY = 50
_LOOK_SECONDS = 0.5
_WIDTH = 50

_kills: Queue[int] | None = None
"""In a process that kills: whom to tell of each."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Kills that one process does with servers of its own, so that none is slowed by what others left.

    Attributes:
        kind: of store.
        seed: of this piece.
        instants: so many.
        calls: those from this number on, in steps; 0: none.
        kill: only this one, so many ``times``.
        only: of calls, see `crash_child.Order`.
        again: whether calls, or the one kill, meet books of an earlier revision.
        broken: see `Campaign`.
    """

    kind: str
    seed: str
    instants: int = 0
    calls: int = 0
    kill: Strike | None = None
    times: int = 1
    only: str = ""
    again: bool = False
    broken: bool = False

    @property
    def about(self) -> int:
        """How many kills it is, about."""
        calls = (_ABOUT_CHANGES if self.only else 2 * _ABOUT_CALLS[self.kind]) // _CALL_STEP if self.calls else 0
        return self.instants + calls + (self.times if self.kill else 0)


def pieces(kinds: Sequence[str], kills: int, seed: int, *, calls: bool, broken: bool) -> Iterator[Piece]:
    """All kills, in pieces."""
    for kind in kinds:
        for begin in range(0, kills, _AT_ONCE):
            yield Piece(kind, f"{seed}-{begin}", instants=min(_AT_ONCE, kills - begin), broken=broken)
        if calls:
            for again, only in _passes(kind):
                for first in range(1, _CALL_STEP + 1):
                    name = f"{seed}-call-{first}{only}{'-again' * again}"
                    yield Piece(kind, name, calls=first, only=only, again=again, broken=broken)


def _passes(kind: str) -> Iterator[tuple[bool, str]]:
    """Over all calls: in a new place and again; and over what a folder asks of the system inside them."""
    for again in (False, True):
        yield again, ""
        if kind == "folder":
            yield again, OF_THE_SYSTEM


def work(piece: Piece, folder: str | None) -> Findings:
    """Do a piece. Raises as `Campaign`."""
    told = _kills

    def tell() -> None:
        if told is not None:
            told.put(1)

    with tempfile.TemporaryDirectory(prefix="pagebind-crash-", dir=folder) as home:
        campaign = Campaign(piece.kind, Path(home) / "all", piece.seed, broken=piece.broken, tell=tell)
        with campaign:
            if piece.kill is not None:
                for _ in range(piece.times):
                    campaign.strike(piece.kill, again=piece.again)
            campaign.instants(piece.instants)
            if piece.calls:
                campaign.calls(piece.calls, _CALL_STEP, again=piece.again, only=piece.only)
    return campaign.findings


def _begin(kills: Queue[int]) -> None:
    global _kills  # noqa: PLW0603 - how a process of a pool is told something at its start
    _kills = kills


class Progress:
    """A line every fifty kills."""

    def __init__(self, about: int) -> None:
        self._about, self._done, self._begun = about, 0, time.monotonic()

    def add(self) -> None:
        self._done += 1
        if self._done % _TOLD_EVERY == 0:
            seconds = time.monotonic() - self._begun
            left = max(0, self._about - self._done) * seconds / self._done / 60
            say(f"{self._done} of about {self._about} kills, {self._done / seconds:.2f} a second, {left:.0f} min left")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def campaign(todo: Sequence[Piece], jobs: int, folder: str | None) -> dict[str, Findings]:
    """Do all pieces, some at once; by kind what was found."""
    spawn = multiprocessing.get_context("spawn")
    kills: Queue[int] = spawn.Queue()
    progress = Progress(sum(piece.about for piece in todo))
    found = {piece.kind: Findings(piece.kind) for piece in todo}
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin, initargs=(kills,)) as pool:
        left = {pool.submit(work, piece, folder): piece for piece in todo}
        while left:
            done, _ = wait(left, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
            for _ in range(_waiting(kills)):
                progress.add()
            for future in done:
                piece = left.pop(future)
                _add(found[piece.kind], piece, future)
    return found


def _waiting(kills: Queue[int]) -> int:
    """How many were told of since the last look."""
    count = 0
    while True:
        try:
            count += kills.get_nowait()
        except queue.Empty:
            return count


def _add(found: Findings, piece: Piece, future: Future[Findings]) -> None:
    error = future.exception()
    if error is None:
        more = future.result()
    else:
        more = Findings(piece.kind)
        more.faults["failed"] += 1
        more.told.append(f"{piece}: {type(error).__name__}: {error}")
    found += more
    for told in more.told:
        say(told)


def table(found: dict[str, Findings], seed: int, seconds: float) -> str:
    """All findings, for people."""
    lines = []
    for kind, of in found.items():
        length = f"{median(of.lengths):.2f} s" if of.lengths else "none"
        lines += [
            f"{kind}: {of.kills} kills: {of.instants} at instants, {_and(of.calls)};",
            f"  {of.again} of all where an earlier revision stands; an undisturbed run takes {length};",
            f"  {_each(of):.2f} s a kill, all in all",
            *_bars("phase", {phase: of.phases[phase] for phase in PHASES}, of.instants),
            *_bars("evenly drawn: tenth", _tenths(of.uniform), of.uniform.total()),
            *_bars("aimed at a phase: tenth", _tenths(of.aimed), of.aimed.total()),
            f"  evenly drawn, but uneven: {', '.join(str(tenth + 1) for tenth in of.uneven) or 'no tenth'}",
            f"  fewer than a tenth of the instants: {', '.join(of.lacking) or 'no phase'}",
            "  " + ", ".join(f"{of.faults[fault]} {fault}" for fault in FAULTS),
        ]
    return "\n".join([*lines, f"seed {seed}, {seconds:.0f} s"])


def _each(of: Findings) -> float:
    return of.seconds / max(1, of.kills)


def _and(calls: Counter[str]) -> str:
    names = {"before": "before a call", "after": "after one", "of the system": "at a change of a file"}
    return ", ".join(f"{calls[name]} {words}" for name, words in names.items())


def _tenths(counts: Counter[int]) -> dict[str, int]:
    return {**{f"{tenth + 1}": counts[tenth] for tenth in range(PAST)}, "past the end": counts[PAST]}


def _bars(what: str, counts: dict[str, int], total: int) -> list[str]:
    return [
        f"  {what} {name:<12} {count:5} {'#' * round(_WIDTH * count / max(1, total))}" for name, count in counts.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Its status: 1 where anything was found."""
    chosen = _parser().parse_args(arguments)
    kinds = KINDS if chosen.store == "all" else (chosen.store,)
    if chosen.kill is not None:
        todo = [
            Piece(
                kind,
                f"{chosen.seed}",
                kill=chosen.kill,
                times=chosen.times,
                again=chosen.again,
                broken=chosen.broken,
            )
            for kind in kinds
        ]
    else:
        todo = list(pieces(kinds, chosen.kills, chosen.seed, calls=chosen.calls, broken=chosen.broken))
    begun = time.monotonic()
    found = campaign(todo, chosen.jobs, chosen.folder)
    sys.stdout.write(table(found, chosen.seed, time.monotonic() - begun) + "\n")
    return int(any(of.faults or of.lacking or of.uneven for of in found.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/crash", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", choices=(*KINDS, "all"), default="all", help="kind of store (all)")
    parser.add_argument("--kills", type=int, default=1000, help="at instants, on each kind of store (1000)")
    parser.add_argument(
        "--calls", action=argparse.BooleanOptionalAction, default=True, help="before and after each call, too (yes)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes that kill at the same time (2)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="else a new one")
    parser.add_argument("--kill", type=crash_strikes.parse, metavar="WORDS", help="only this one, as a finding says")
    parser.add_argument("--again", action="store_true", help="that one where books of an earlier revision stand")
    parser.add_argument("--times", type=int, default=1, help="how often: instants never meet twice the same (1)")
    parser.add_argument("--broken", action="store_true", help="let finalize write books bit by bit at their final key")
    parser.add_argument("--folder", help="where all is made, for a time; else the usual place of temporary files")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
