"""Log lines on standard error: readable at home, one JSON object a line for machines.

Pagebind's own events are constant words with fields beside them; the table of all is in docs/design.md, "Log". Of other
libraries only warnings come through, and of their texts and exceptions only what can hold no address and no secret; of
gunicorn, which knows no address but its own, whole lines.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pagebind.core.printable import printable
from pagebind.errors import PagebindError

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

log = logging.getLogger(__name__)

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SEVERITY = {"WARNING": "WARNING", "CRITICAL": "CRITICAL", "ERROR": "ERROR", "INFO": "INFO", "DEBUG": "DEBUG"}

_TOLD = frozenset({"held", "listing failed", "not adopted", "page failed"})
"""Warnings that a command tells as problems anyway."""

_OURS: Final = f"{Path(__file__).parent}{os.sep}"
_MOST_PLACES = 8
_MOST_CAUSES = 4

_MAY_TELL = re.compile(r"\S*[/?=&@]\S*|\S{41,}")
"""Words that may be part of an address, or a secret: Alist's tokens, signs and signatures are longer, or hold ``=``."""

_LISTENS = "Listening at: "
_MAY_TELL_A_REQUEST = re.compile(r"\S*[?=&@]\S*|\S{81,}")
"""The same in lines of gunicorn, which tell the addresses at which it listens."""

_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)
_CLOUD_TRACE = re.compile(r"(?P<trace>[0-9a-fA-F]{32})(/[0-9]*)?(;.*)?")
_trace: ContextVar[str] = ContextVar("trace", default="")


class Headers(Protocol):
    """A request's headers, whatever the case of their names."""

    def get(self, key: str, /) -> str | None:
        """The header's value, if there is one."""
        ...


def set_up(log_format: str, *, verbose: int, quiet: bool) -> None:
    """Show warnings, with ``-v`` what happens, with ``-vv`` everything; with ``--quiet`` errors alone."""
    level = logging.ERROR if quiet else {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    if verbose == 0:
        handler.addFilter(lambda record: record.msg not in _TOLD)
    logger = logging.getLogger("pagebind")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def set_up_functions(env: MutableMapping[str, str]) -> None:
    """Make every line of a function's process Pagebind's own: JSON in the cloud, where ``K_SERVICE`` is set, else text.

    Pagebind's events come from INFO on, those of all other libraries from WARNING on, whatever levels they set; at home
    it is also told where gunicorn listens. May be called again.

    Args:
        env: the environment; ``GOOGLE_CLOUD_PROJECT`` makes traces the names that Cloud Logging links. At home gets
            ``GUNICORN_LOG_LEVEL``, if it has none: functions-framework would have gunicorn tell errors only.
    """
    handler = _StandardError()
    if env.get("K_SERVICE"):
        handler.setFormatter(JsonLines(env.get("GOOGLE_CLOUD_PROJECT", "")))
        handler.addFilter(_is_worth_keeping)
    else:
        env.setdefault("GUNICORN_LOG_LEVEL", "info")
        handler.setFormatter(TextLines())
        handler.addFilter(lambda record: _is_worth_keeping(record) or _tells_where_it_listens(record))
    root, ours, gunicorn = (logging.getLogger(name) for name in ("", "pagebind", "gunicorn.error"))
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    ours.handlers.clear()
    ours.setLevel(logging.INFO)
    ours.propagate = True
    gunicorn.filters[:] = [_Diverted(handler)]
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # what that prints of a line that cannot be made holds the line's arguments
    threading.excepthook = _thread_died
    sys.unraisablehook = _exception_ignored


@contextmanager
def traced(headers: Headers) -> Iterator[None]:
    """Let lines name the request that they belong to, as its ``traceparent`` or ``X-Cloud-Trace-Context`` says.

    Other threads need a copy of the context (`contextvars.copy_context`) to know it. After an exception the trace stays
    until the next request comes to this thread: the framework logs the exception when this here is over.
    """
    token = _trace.set(_trace_of(headers.get("traceparent") or "", headers.get("X-Cloud-Trace-Context") or ""))
    yield
    _trace.reset(token)


def _trace_of(traceparent: str, cloud_trace: str) -> str:
    """The id of the trace, or nothing where both are malformed. Source: www.w3.org/TR/trace-context."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found and found["version"] == "00" and found["more"]:
        found = None
    found = found or _CLOUD_TRACE.fullmatch(cloud_trace.strip())
    trace = found["trace"].lower() if found else ""
    return trace if trace.strip("0") else ""


class _StandardError(logging.Handler):
    """Writes to what is standard error at that moment: functions-framework puts another in its place for each request.

    The line's end is written by itself, for that other stream adds its own, and takes none as part of the line.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            sys.stderr.write(self.format(record))
            sys.stderr.write("\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  nothing that is logged may end what logs it
            self.handleError(record)


class _Diverted(logging.Filter):
    """Takes a logger's records to one handler: gunicorn gives its logger another one later."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether anybody else may have it: no."""
        self._handler.handle(record)
        return False


@contextmanager
def texts_untold() -> Iterator[None]:
    """Of exceptions that nobody takes, in threads or while objects end, only what `told_of` gives is told meanwhile."""
    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = _thread_died, _exception_ignored
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        log.error("a thread died", exc_info=args.exc_value)


def _exception_ignored(args: sys.UnraisableHookArgs) -> None:
    log.warning("an exception was ignored", exc_info=args.exc_value)


def _is_worth_keeping(record: logging.LogRecord) -> bool:
    return record.levelno >= (logging.INFO if _is_ours(record) else logging.WARNING)


def _tells_where_it_listens(record: logging.LogRecord) -> bool:
    return _is_of_gunicorn(record) and str(record.msg).startswith(_LISTENS)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "pagebind"


def _is_of_gunicorn(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "gunicorn"


def _message(record: logging.LogRecord) -> str:
    """Our own words; of others those that they wrote down beforehand, without the arguments, which may be anything."""
    if _is_ours(record):
        return record.getMessage()
    if _is_of_gunicorn(record):
        # A second line begins a traceback, which ends with the text of an exception.
        return _MAY_TELL_A_REQUEST.sub("\N{HORIZONTAL ELLIPSIS}", record.getMessage().partition("\n")[0])
    words = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    return _MAY_TELL.sub("\N{HORIZONTAL ELLIPSIS}", words)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    if _is_ours(record):
        fields = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    else:
        fields = {"logger": record.name, "line": f"{record.filename}:{record.lineno}"}
    if record.exc_info and record.exc_info[1] is not None:
        fields |= told_of(record.exc_info[1])
    return {name: printable(value) if isinstance(value, str) else value for name, value in fields.items()}


def told_of(error: BaseException) -> dict[str, object]:
    """What may be told of any exception: kind and places. Texts only of our own, which hold no secret by contract."""
    told: dict[str, object] = {"exception": _kind(error)}
    if isinstance(error, PagebindError):
        told["reason"] = error.message
    elif isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        told["reason"] = os.strerror(error.errno)
    if causes := list(_causes(error)):
        told["causes"] = ", ".join(map(_kind, causes))
    told["places"] = ", ".join(_places(error))
    return told


def _kind(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    for _ in range(_MOST_CAUSES):
        below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if below is None:
            return
        yield below
        error = below


def _places(error: BaseException) -> list[str]:
    """Where it passed, innermost last: lines of ours, and the one that raised it."""
    passed = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [place for place in passed[:-1] if place[0].startswith(_OURS)]
    return [f"{'/'.join(Path(file).parts[-2:])}:{line}" for file, line in (*ours[1 - _MOST_PLACES :], *passed[-1:])]


class JsonLines(logging.Formatter):
    """``{"time", "severity", "message", ...}`` as Cloud Logging reads it.

    Source: cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields.

    Args:
        project: the project's id, for the names of traces; empty: the trace stands under a name of our own.
    """

    def __init__(self, project: str = "") -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": _SEVERITY.get(record.levelname, "DEFAULT"),
            "message": _message(record),
            **_fields(record),
            **self._traced(),
        }
        return json.dumps(line, ensure_ascii=True, default=str)

    def _traced(self) -> dict[str, str]:
        trace = _trace.get()
        if not trace:
            return {}
        if not self._project:
            return {"trace": trace}
        return {"logging.googleapis.com/trace": f"projects/{self._project}/traces/{trace}"}


class TextLines(logging.Formatter):
    """``12:03:55 warning: page failed (volume=..., page=...)``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = ", ".join(f"{name}={value}" for name, value in _fields(record).items())
        return printable(f"{clock} {record.levelname.lower()}: {_message(record)}" + (f" ({fields})" if fields else ""))
