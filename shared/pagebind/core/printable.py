"""What may be shown of a name that somebody else gave to a file."""

from __future__ import annotations

import unicodedata

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
