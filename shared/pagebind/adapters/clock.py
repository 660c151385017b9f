"""The machine's clocks."""

from __future__ import annotations

import threading
import time


class SystemClock:
    """Implements `pagebind.ports.clock.Clock`. `cancel` ends all waiting, now and later."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some fixed point."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let so much time pass, or less if cancelled."""
        self._cancelled.wait(min(seconds, threading.TIMEOUT_MAX))

    def cancel(self) -> None:
        """Wake everybody who waits."""
        self._cancelled.set()
