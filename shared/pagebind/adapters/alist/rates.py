"""A rate that many threads share."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagebind.ports.clock import Clock


class Rate:
    """A token bucket: ``per_second`` units a second, of which ``burst`` may be saved up. No rate (0) never waits."""

    def __init__(self, per_second: float, clock: Clock, *, burst: float = 1.0) -> None:
        self._per_second = per_second
        self._clock = clock
        self._saved = burst / per_second if per_second > 0 else 0.0
        self._free_at = clock.monotonic() - self._saved
        self._lock = Lock()

    def take(self, amount: float = 1.0) -> None:
        """Take ``amount``, and wait until it is paid for, after all that was taken before."""
        if self._per_second <= 0:
            return
        with self._lock:
            now = self._clock.monotonic()
            self._free_at = max(self._free_at, now - self._saved) + amount / self._per_second
            delay = self._free_at - now
        if delay > 0:
            self._clock.wait(delay)
