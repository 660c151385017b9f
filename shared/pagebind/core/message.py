"""What people are told, in plain text."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Tone(Enum):
    """How a message is meant; what services show it by, with a colour or a sign."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    INFO = "info"


class Message(NamedTuple):
    """What people are told, as plain text. No address, token or sign stands in it."""

    title: str
    body: str
    tone: Tone
