"""What may be shown of a name that somebody else gave to a file."""

from __future__ import annotations

import re

from pagebind.errors import NOT_IN_A_LINE

_NOT_IN_A_LINE = re.compile(f"[{NOT_IN_A_LINE}]")


def printable(text: str) -> str:
    """The text on one line, without what a file's name could do to a terminal.

    Control characters, line breaks, halves of surrogate pairs and marks that turn the direction of the text are shown
    as U+FFFD; all else stays, also the joiners inside emoji and the wide space of CJK names.
    """
    if text.isprintable():
        return text
    return _NOT_IN_A_LINE.sub("\N{REPLACEMENT CHARACTER}", text)
