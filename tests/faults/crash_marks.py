"""Where a run is: marks that it leaves in memory which outlives it, so that the phase in which it died is known."""

from __future__ import annotations

import mmap
import struct
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PHASES = ("start", "poll", "fetch", "put together", "publish", "clear", "end")
"""Before the store is touched; poll; pages on their way; of a book: put together, published with its receipt, cleared
after; the last look and the record of the run."""

COUNTED = PHASES[1:-1]
"""The phases of which each is to have a tenth of the kills."""

_SLOTS = 64
_VISIT = struct.Struct("=Qd")
_BEGUN = struct.Struct("=d")
_BEGUN_AT = _SLOTS + len(PHASES) * _VISIT.size
_SIZE = _BEGUN_AT + _BEGUN.size


class Marks:
    """The marks of one run, in a file that is mapped into memory by whoever writes and whoever reads.

    Each thread has a slot with the phase that it is in. A run is where the furthest of its threads is.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        if new:
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE)
        self.on_enter: Callable[[str, int], None] | None = None
        self._lock = threading.Lock()
        self._slots: dict[int, int] = {}
        self._entered: dict[int, tuple[str, float]] = {}
        self._visits = dict.fromkeys(PHASES, 0)

    def close(self) -> None:
        self._memory.close()

    # -- by the run

    def begin(self) -> None:
        """The command is called now."""
        _BEGUN.pack_into(self._memory, _BEGUN_AT, time.monotonic())

    def enter(self, phase: str) -> None:
        """This thread begins a phase, which ends the one that it was in. `on_enter` is told its number."""
        with self._lock:
            self._end_visit()
            me = threading.get_ident()
            self._entered[me] = (phase, time.perf_counter())
            self._visits[phase] += 1
            number = self._visits[phase]
            self._show(phase)
        if self.on_enter is not None:
            self.on_enter(phase, number)

    def stand(self, phase: str) -> None:
        """This thread only waits for others, which are in this phase at least: no visit of its own."""
        with self._lock:
            self._end_visit()
            self._show(phase)

    def leave(self) -> None:
        """This thread is in no phase any more."""
        with self._lock:
            self._end_visit()
            self._memory[self._slot()] = 0

    def _show(self, phase: str) -> None:
        self._memory[self._slot()] = PHASES.index(phase) + 1

    def _slot(self) -> int:
        return self._slots.setdefault(threading.get_ident(), len(self._slots))

    def _end_visit(self) -> None:
        phase, begun = self._entered.pop(threading.get_ident(), ("", 0.0))
        if phase:
            at = _SLOTS + PHASES.index(phase) * _VISIT.size
            visits, seconds = _VISIT.unpack_from(self._memory, at)
            _VISIT.pack_into(self._memory, at, visits + 1, seconds + time.perf_counter() - begun)

    # -- by the one who looks

    def begun(self) -> float:
        """When the command was called, by the clock that all processes of a machine share; 0: not yet."""
        moment: float = _BEGUN.unpack_from(self._memory, _BEGUN_AT)[0]
        return moment

    def phase(self) -> str:
        """Where the run is, or was when it died."""
        return PHASES[max(1, *self._memory[:_SLOTS]) - 1]

    def visit(self, phase: str) -> tuple[int, float]:
        """How many visits of a phase have ended, and how long one took on average, in seconds."""
        visits, seconds = _VISIT.unpack_from(self._memory, _SLOTS + PHASES.index(phase) * _VISIT.size)
        return visits, seconds / visits if visits else 0.0
