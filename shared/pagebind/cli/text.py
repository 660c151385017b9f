"""Sizes and times as people read them."""

from __future__ import annotations

from datetime import datetime


def moment(instant: float) -> str:
    """Seconds since the epoch as ``2026-11-22 12:30:00``, in the time of this place."""
    return datetime.fromtimestamp(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size_text(count: float) -> str:
    """Bytes in decimal units: ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """``48 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    if seconds < 6000:  # noqa: PLR2004
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
