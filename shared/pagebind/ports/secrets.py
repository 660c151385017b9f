"""Secrets: the configuration holds references, this port turns them into values."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE_PATH = re.compile(r"/[^\x00-\x1f\x7f]+")


class SecretReference(NamedTuple):
    """Where a secret is kept.

    Attributes:
        scheme: ``env`` or ``file``.
        name: the variable's name, or the file's absolute path.
    """

    scheme: str
    name: str

    @classmethod
    def parse(cls, text: str) -> SecretReference | None:
        """Read ``env:NAME`` or ``file:/absolute/path``; None for anything else, which may be a secret itself."""
        scheme, _, name = text.partition(":")
        if scheme == "env" and _ENV_NAME.fullmatch(name):
            return cls(scheme, name)
        if scheme == "file" and _FILE_PATH.fullmatch(name):
            return cls(scheme, name)
        return None


class Secrets(Protocol):
    """Where secrets are kept. Safe for use by many threads."""

    def get(self, reference: str) -> str:
        """The secret behind ``reference``: one line of text, never empty, not older than five minutes.

        Raises:
            ConfigError: the reference leads nowhere; names the reference, never a value.
        """
        ...

    def forget(self, reference: str) -> None:
        """Look the secret up anew at the next `get`: a server that refuses it may know a newer one."""
        ...
