"""Secrets by reference: kept for five minutes, looked up where the reference's scheme says."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

from pagebind.adapters.installed import installed
from pagebind.adapters.once import Once
from pagebind.adapters.secrets import local
from pagebind.adapters.secrets.value import LARGEST_BYTES, one_line
from pagebind.errors import ConfigError, SecretsUnavailable
from pagebind.ports.secrets import FORMS, SecretReference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pagebind.ports.clock import Clock

__all__ = ["KEPT_SECONDS", "LARGEST_BYTES", "KeptSecrets"]

KEPT_SECONDS: Final = 300.0
"""How long a value is used before it is looked up again, so that a rotated secret comes into use by itself, and what a
look-up costs (Google and Amazon count each of them) does not matter."""

_ATTEMPTS: Final = 3


class KeptSecrets:
    """Resolves all references of `pagebind.ports.secrets`.

    The libraries of Google and Amazon are imported, and their clients made, by the first reference that needs them.

    Args:
        env: the environment.
        clock: for tests; by default the machine's monotonic clock.
    """

    def __init__(self, env: Mapping[str, str], clock: Clock | None = None) -> None:
        self._env = env
        self._monotonic = time.monotonic if clock is None else clock.monotonic
        self._kept: dict[str, _Kept] = {}
        self._lock = Lock()
        self._google = Once(self._connect_google)
        self._amazon = Once(self._connect_amazon)

    def get(self, reference: str) -> str:
        """See `Secrets.get`."""
        parsed = SecretReference.parse(reference)
        if parsed is None:
            # Not named: what is no reference may be the secret itself.
            raise ConfigError("a secret is not given as a reference", fix=f"write {FORMS}")
        with self._lock:
            kept = self._kept.setdefault(reference, _Kept())
        with kept.lock:  # its own: a slow store of one secret does not hold up the others
            now = self._monotonic()
            if kept.value is None or now - kept.since >= KEPT_SECONDS:
                kept.value = None
                kept.value, kept.since = self._look_up(parsed, reference), now
            return kept.value

    def forget(self, reference: str) -> None:
        """See `Secrets.forget`."""
        with self._lock:
            self._kept.pop(reference, None)

    def _look_up(self, parsed: SecretReference, reference: str) -> str:
        match parsed.scheme:
            case "env":
                return one_line(local.variable(parsed.name, reference, self._env), reference)
            case "file":
                return one_line(local.file(parsed.name, reference), reference, str(Path(parsed.name)))
            case scheme:
                store = (self._google if scheme == "gcp" else self._amazon).get()
                return one_line(_again(lambda: store.read(parsed.name, reference)), reference)

    def _connect_google(self) -> _Store:
        with installed("functions", "gcp: references need"):
            from pagebind.adapters.secrets.gcp import GoogleSecrets
        return GoogleSecrets(self._env.get("SECRET_MANAGER_EMULATOR_HOST"))

    def _connect_amazon(self) -> _Store:
        with installed("s3", "aws: references need"):
            from pagebind.adapters.secrets.aws import AmazonSecrets
        return AmazonSecrets()


class _Kept:
    """A value, and since when it is known."""

    __slots__ = ("lock", "since", "value")

    def __init__(self) -> None:
        self.lock = Lock()
        self.since = 0.0
        self.value: str | None = None


class _Store(Protocol):
    """A secret store in the cloud. Safe for use by many threads."""

    def read(self, name: str, reference: str) -> bytes:
        """What stands under ``name``, by one attempt. Raises: ConfigError, SecretsUnavailable."""
        ...


def _again(read: Callable[[], bytes]) -> bytes:
    """What ``read`` gives, tried some times while the store cannot be asked: most of such troubles pass in a second."""
    import stamina
    import stamina.instrumentation

    # Its default hooks write to whatever logging the process has.
    stamina.instrumentation.set_on_retry_hooks([])
    for attempt in stamina.retry_context(
        on=SecretsUnavailable, attempts=_ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=2.0, wait_jitter=0.2
    ):
        with attempt:
            return read()
    raise AssertionError  # pragma: no cover  # the last attempt returns or raises
