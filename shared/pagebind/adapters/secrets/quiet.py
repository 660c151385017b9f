"""Libraries that write secrets to their own log."""

from __future__ import annotations

import logging


def mute(*loggers: str) -> None:
    """Keep these loggers from what they write at DEBUG: whole requests and answers, and so the secrets in them."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.INFO)
