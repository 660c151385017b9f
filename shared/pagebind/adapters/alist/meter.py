"""How slow is too slow."""

from __future__ import annotations

from typing import Final

SLOWEST: Final = 1024
"""Bytes a second."""


class Meter:
    """Watches one body, or one connection, as curl does by ``--speed-limit`` and ``--speed-time``."""

    __slots__ = ("_came", "_waited", "_window")

    def __init__(self, window: float) -> None:
        """``window``: seconds of waiting for the other side, in each of which enough must come."""
        self._window = window
        self._waited = 0.0
        self._came = 0

    def is_enough(self, waited: float, size: int) -> bool:
        """Whether the other side is fast enough, now that after ``waited`` seconds ``size`` bytes came."""
        self._waited += waited
        self._came += size
        if self._waited < self._window:
            return True
        enough = self._came >= SLOWEST * self._waited
        self._waited, self._came = 0.0, 0
        return enough
