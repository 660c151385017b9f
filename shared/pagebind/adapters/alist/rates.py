"""Rates that many threads share."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.adapters.alist.limits import Limits
    from pagebind.ports.clock import Clock


class Rate:
    """A token bucket: ``per_second`` units a second, of which ``burst`` may be saved up. No rate (0) never waits."""

    def __init__(self, per_second: float, clock: Clock, *, burst: float = 1.0) -> None:
        self._per_second = per_second
        self._clock = clock
        self._saved = burst / per_second if per_second > 0 else 0.0
        self._free_at = clock.monotonic() - self._saved
        self._lock = Lock()

    def take(self, amount: float = 1.0) -> float:
        """Take ``amount``, and wait until it is paid for, after all that was taken before; returns seconds waited."""
        if self._per_second <= 0:
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            self._free_at = max(self._free_at, now - self._saved) + amount / self._per_second
            delay = self._free_at - now
        if delay > 0:
            self._clock.wait(delay)
        return max(0.0, delay)


class Stopwatch:
    """How long the other side takes: seconds since it was made, less those that our own rates made us wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = clock.monotonic()

    def leave_out(self, seconds: float) -> None:
        """Do not count so much of what went by."""
        self._begun += seconds

    def seconds(self) -> float:
        """What counts of the time until now."""
        return self._clock.monotonic() - self._begun


class Pace(NamedTuple):
    """How fast one part of the server may be used: listings and downloads a second, and bytes a second."""

    listings: Rate
    downloads: Rate
    bytes: Rate

    @classmethod
    def of(cls, limits: Limits, clock: Clock) -> Pace:
        """The pace that these limits ask for."""
        return cls(
            listings=Rate(limits.list_per_second, clock),
            downloads=Rate(limits.downloads_per_second, clock),
            bytes=Rate(limits.bandwidth, clock, burst=limits.bandwidth / 4),
        )


class Paces:
    """The server's pace, and other ones below some folders: drives differ in what they bear."""

    def __init__(self, limits: Limits, below: Mapping[str, Limits], clock: Clock) -> None:
        self._server = Pace.of(limits, clock)
        self._below = [(folder.rstrip("/") + "/", Pace.of(own, clock)) for folder, own in below.items()]
        self._below.sort(key=lambda own: len(own[0]), reverse=True)

    def at(self, path: str) -> Pace:
        """The pace for a path: that of the longest folder which has its own, else the server's."""
        return next((pace for folder, pace in self._below if f"{path}/".startswith(folder)), self._server)
