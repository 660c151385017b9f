"""Secrets on one machine: environment variables and files."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from pagebind.errors import ConfigError
from pagebind.ports.secrets import SecretReference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.ports.clock import Clock

KEPT_SECONDS: Final = 300.0
"""How long a value is used before its file is read again, so that a rotated secret comes into use by itself."""

LARGEST_BYTES: Final = 64 * 1024
"""A longer file is no secret but a mistaken path."""


class LocalSecrets:
    """Resolves ``env:NAME`` and ``file:/absolute/path``.

    Args:
        env: the environment.
        clock: for tests; by default the machine's monotonic clock.
    """

    def __init__(self, env: Mapping[str, str], clock: Clock | None = None) -> None:
        self._env = env
        self._monotonic = time.monotonic if clock is None else clock.monotonic
        self._kept: dict[str, tuple[float, str]] = {}
        self._lock = Lock()

    def get(self, reference: str) -> str:
        """See `Secrets.get`."""
        with self._lock:
            now = self._monotonic()
            kept = self._kept.get(reference)
            if kept is not None and now - kept[0] < KEPT_SECONDS:
                return kept[1]
            value = self._look_up(reference)
            self._kept[reference] = (now, value)
            return value

    def forget(self, reference: str) -> None:
        """See `Secrets.forget`."""
        with self._lock:
            self._kept.pop(reference, None)

    def _look_up(self, reference: str) -> str:
        parsed = SecretReference.parse(reference)
        if parsed is None:
            # Not named: what is no reference may be the secret itself.
            raise ConfigError("a secret is not given as a reference", fix="write env:NAME or file:/absolute/path")
        if parsed.scheme == "env":
            value = self._env.get(parsed.name)
            if value is None:
                raise ConfigError(
                    f"{reference} leads nowhere: there is no variable {parsed.name} in the environment",
                    fix=f"set {parsed.name} to the secret, or change the reference",
                )
        else:
            value = _read(Path(parsed.name), reference)
        return _one_line(value, reference)


def _read(path: Path, reference: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{reference} leads nowhere: {error.strerror}",
            fix="put the secret there, readable for this user, or change the reference",
            path=str(path),
        ) from error
    if len(data) > LARGEST_BYTES:
        raise ConfigError(
            f"{reference} is longer than 64 KiB, so it is no secret", fix="change the reference", path=str(path)
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        # Without its cause: that error carries the file's bytes.
        raise ConfigError(
            f"{reference} is not UTF-8 text", fix="put only the secret into the file", path=str(path)
        ) from None


def _one_line(value: str, reference: str) -> str:
    """The value without the newline that editors and ``echo`` append."""
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise ConfigError(f"{reference} is empty", fix="put the secret there, or change the reference")
    if any(ord(character) < ord(" ") for character in value):
        raise ConfigError(
            f"{reference} holds more than one line, or control characters", fix="put only the secret there"
        )
    return value
