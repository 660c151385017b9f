"""One attempt to tell somebody: bounded in time, and with secrets that may be missing."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Final, TypeVar

from pagebind.errors import ConfigError, NotifyFailed, NotifyRefused, SecretsUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pagebind.ports.secrets import Secret

T = TypeVar("T")

PATIENCE: Final = 15.0
"""Seconds that a place may take, however slowly its bytes drip: a poll waits for it."""


def all_within(seconds: float, calls: Sequence[Callable[[], T]]) -> list[T | None]:
    """What these calls give, made side by side; None for one that has not ended when the time is over.

    Such a one goes on in a thread that holds up no end of the process: a library that waits for each single byte cannot
    be stopped. No call may raise.
    """
    given: dict[int, T] = {}

    def make(number: int, call: Callable[[], T]) -> None:
        given[number] = call()

    deadline = time.monotonic() + seconds
    threads = [
        threading.Thread(target=copy_context().run, args=(make, number, call), name=f"notify-{number}", daemon=True)
        for number, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [given.get(number) for number in range(len(calls))]


def value_of(secret: Secret) -> str:
    """The secret.

    Raises:
        NotifyRefused: its reference leads nowhere.
        NotifyFailed: where it is kept cannot be asked now.
    """
    try:
        return secret()
    except SecretsUnavailable as error:
        raise NotifyFailed(error.message, fix=error.fix, retry_after=error.retry_after) from error
    except ConfigError as error:
        raise NotifyRefused(error.message, fix=error.fix, path=error.path) from error
