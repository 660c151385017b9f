"""The end of each command's help: lines that one can copy."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """An epilog for click, told to keep the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
