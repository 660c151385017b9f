"""A clock that tests set."""

from __future__ import annotations

import threading

from pagebind.adapters.clock import SystemClock


class FakeClock(SystemClock):
    """Stands still until somebody waits or `advance`s it. A `SystemClock` by type, so that it fits into the wiring."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._now = now
        self.waits: list[float] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
