"""Names, sizes and times as people read them."""

from __future__ import annotations

import unicodedata
from datetime import datetime

_UNFIT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text on one line, without what a file's name could do to a terminal.

    Control characters, line breaks, halves of surrogate pairs and marks that turn the direction of the text are shown
    as U+FFFD; all else stays, also the joiners inside emoji and the wide space of CJK names.
    """
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unfit(character) else character for character in text)


def _is_unfit(character: str) -> bool:
    return unicodedata.category(character) in _UNFIT or character in _DIRECTIONS


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
