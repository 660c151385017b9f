"""Time, so that tests never sleep."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The wall clock, the monotonic clock and waiting."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed point; never goes back."""
        ...

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        ...
