"""Secrets: the configuration holds references, this port turns them into values."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

FORMS: Final = (
    "env:NAME, file:/absolute/path, gcp:projects/PROJECT/secrets/NAME, or aws:NAME of a secret or parameter of AWS"
)
"""How a reference is written, for people."""

_LATEST = "/versions/latest"
# cloud.google.com/secret-manager/docs/reference/rest: a project is a name or a number, a version a number or an alias.
_GCP_NAME = re.compile(r"projects/[A-Za-z0-9.:_-]+/secrets/[A-Za-z0-9_-]{1,255}(?P<version>/versions/[A-Za-z0-9_-]+)?")
# The characters that Secrets Manager (/_+=.@!-) or Parameter Store (/_.-) allow, and colons where they part an ARN.
_AWS_NAME = re.compile(
    r"(?:ssm:|arn:aws[a-z-]*:(?:ssm|secretsmanager):[a-z0-9-]+:[0-9]+:[a-z]+[:/])?[A-Za-z0-9/_+=.@!-]+"
)
_NAMES: Final = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"/[^\x00-\x1f\x7f]+"),
    "gcp": _GCP_NAME,
    "aws": _AWS_NAME,
}


class SecretReference(NamedTuple):
    """Where a secret is kept.

    Attributes:
        scheme: ``env``, ``file``, ``gcp`` or ``aws``.
        name: for ``env`` the variable's name; for ``file`` the absolute path; for ``gcp`` the resource name of the
            version; for ``aws`` a name or ARN, or ``ssm:`` and the name of a parameter.
    """

    scheme: str
    name: str

    @classmethod
    def parse(cls, text: str) -> SecretReference | None:
        """Read a reference as `FORMS` shows it; None for anything else, which may be a secret itself."""
        scheme, _, name = text.partition(":")
        found = _NAMES[scheme].fullmatch(name) if scheme in _NAMES else None
        if found is None:
            return None
        if scheme == "gcp" and found["version"] is None:
            name += _LATEST
        return cls(scheme, name)


class Secrets(Protocol):
    """Where secrets are kept. Safe for use by many threads."""

    def get(self, reference: str) -> str:
        """The secret behind ``reference``: one line of text, never empty, not older than five minutes.

        Raises:
            ConfigError: the reference leads nowhere; names the reference, never a value.
            SecretsUnavailable: where it is kept cannot be asked now; names the reference too.
        """
        ...

    def forget(self, reference: str) -> None:
        """Look the secret up anew at the next `get`: a server that refuses it may know a newer one."""
        ...


class Secret:
    """One secret of the configuration: called, it is the value. No text of it but the reference is ever shown."""

    __slots__ = ("_secrets", "reference")

    def __init__(self, reference: str, secrets: Secrets) -> None:
        self.reference = reference
        self._secrets = secrets

    def __call__(self) -> str:
        """The value, not older than five minutes. Raises as `Secrets.get`."""
        return self._secrets.get(self.reference)

    def anew(self) -> str:
        """The value as it is at this moment: it may have been changed. Raises as `Secrets.get`."""
        self._secrets.forget(self.reference)
        return self._secrets.get(self.reference)

    def __repr__(self) -> str:
        """Without the value."""
        return f"Secret({self.reference!r})"
