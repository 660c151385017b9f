"""Secrets of this machine: environment variables and files, among them mounted volumes of secret stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pagebind.adapters.secrets.value import LARGEST_BYTES
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def variable(name: str, reference: str, env: Mapping[str, str]) -> bytes:
    """What a variable of the environment holds. Raises: ConfigError."""
    value = env.get(name)
    if value is None:
        raise ConfigError(
            f"{reference} leads nowhere: there is no variable {name} in the environment",
            fix=f"set {name} to the secret, or change the reference",
        )
    return value.encode(errors="surrogateescape")  # as the system handed it over


def file(path: str, reference: str) -> bytes:
    """What a file holds, up to one byte more than a secret may have. Raises: ConfigError."""
    try:
        with Path(path).open("rb") as opened:
            return opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{reference} leads nowhere: {error.strerror}",
            fix="put the secret there, readable for this user, or change the reference",
            path=str(Path(path)),
        ) from error
