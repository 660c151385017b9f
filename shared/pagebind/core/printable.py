"""What may be shown of a name that somebody else gave to a file."""

from __future__ import annotations

from pagebind.errors import on_one_line


def printable(text: str) -> str:
    """The text as messages have it, so that a path is found again in one: see `on_one_line`."""
    return on_one_line(text)
