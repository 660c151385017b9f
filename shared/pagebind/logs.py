"""Log lines on standard error: readable at home, one JSON object a line for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from pagebind.core.printable import printable

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SEVERITY = {"WARNING": "WARNING", "CRITICAL": "CRITICAL", "ERROR": "ERROR", "INFO": "INFO", "DEBUG": "DEBUG"}


def set_up(log_format: str, *, verbose: int, quiet: bool) -> None:
    """Show warnings, with ``-v`` what happens, with ``-vv`` everything; with ``--quiet`` errors alone."""
    level = logging.ERROR if quiet else {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logger = logging.getLogger("pagebind")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


class JsonLines(logging.Formatter):
    """``{"time", "severity", "message", ...}`` as Cloud Logging reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": _SEVERITY.get(record.levelname, "DEFAULT"),
            "message": record.getMessage(),
            **_fields(record),
        }
        return json.dumps(line, ensure_ascii=True, default=str)


class TextLines(logging.Formatter):
    """``12:03:55 warning: page failed (volume=..., page=...)``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = ", ".join(f"{name}={value}" for name, value in _fields(record).items())
        return printable(
            f"{clock} {record.levelname.lower()}: {record.getMessage()}" + (f" ({fields})" if fields else "")
        )
