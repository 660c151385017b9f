"""What tests of secrets share: what an error may show, what a log may hold, and a server of scripted answers."""

from __future__ import annotations

import base64
import contextlib
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, TypeVar

import pytest

from pagebind.errors import ConfigError, PagebindError, SecretsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagebind.ports.secrets import Secrets

CANARY = "kanarienvogel"

E = TypeVar("E", bound=PagebindError)


def refused(secrets: Secrets, reference: str) -> ConfigError:
    """The error of a reference that leads nowhere."""
    return _failure(secrets, reference, ConfigError)


def unavailable(secrets: Secrets, reference: str) -> SecretsUnavailable:
    """The error of a store that cannot be asked."""
    error = _failure(secrets, reference, SecretsUnavailable)
    assert error.retryable
    assert reference in error.message
    return error


def _failure(secrets: Secrets, reference: str, kind: type[E]) -> E:
    with pytest.raises(PagebindError) as caught:
        secrets.get(reference)
    error = caught.value
    assert type(error) is kind
    assert error.fix
    assert CANARY not in f"{error.message}{error.fix}{error.path}{error.__cause__}"
    assert "\n" not in error.message
    return error


class Everything(logging.Handler):
    """Keeps all that is logged, with what comes beside the message."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.name} {record.getMessage()} {record.__dict__}")

    def holds(self, secret: str) -> bool:
        return any(form in "".join(self.texts) for form in (secret, base64.b64encode(secret.encode()).decode()))


@contextlib.contextmanager
def everything_logged(*loggers: str) -> Iterator[Everything]:
    """Let the root logger, and these that keep to themselves, log all there is."""
    handler = Everything()
    chosen = [logging.getLogger(name) for name in ("", *loggers)]
    levels = [logger.level for logger in chosen]
    for logger in chosen:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        for logger, level in zip(chosen, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


@contextlib.contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[str]:
    """The URL of a server that gives these answers, status and body, one a request, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield f"http://{address}"


@contextlib.contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Host and port of a server that runs meanwhile."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
