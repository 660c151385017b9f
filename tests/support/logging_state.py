"""What a test that sets up the log of a whole process leaves behind: nothing."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS = ("", "pagebind", "gunicorn.error")


@contextmanager
def kept_logging() -> Iterator[None]:
    """Afterwards handlers, levels and hooks are those of before."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(one, one.handlers[:], one.filters[:], one.level, one.propagate) for one in loggers]
    hooks = threading.excepthook, sys.unraisablehook, logging.raiseExceptions
    try:
        yield
    finally:
        for one, handlers, filters, level, propagate in before:
            one.handlers[:], one.filters[:], one.propagate = handlers, filters, propagate
            one.setLevel(level)
        threading.excepthook, sys.unraisablehook, logging.raiseExceptions = hooks
        logging.captureWarnings(False)
