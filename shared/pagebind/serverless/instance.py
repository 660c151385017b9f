"""What a process keeps from request to request: the configuration, clients, and the credentials that they hold."""

from __future__ import annotations

import weakref
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pagebind import wiring
from pagebind.adapters.once import Once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.app.fetch import Fetch
    from pagebind.app.finalize import Finalize
    from pagebind.ports.dispatch import Dispatch
    from pagebind.wiring import Configuration, Parts


_PATIENCE = 300.0
"""Seconds for which tasks do not try refused credentials again, or a thousand of them would lock the account.

So long, too, is a secret kept that has been rotated.
"""

_REREAD = 60.0
"""Seconds after which a task of a configuration that was looked for in vain has it looked for once more."""


class Kept:
    """The parts of one configuration, and what is made of them when it is first needed.

    Attributes:
        configuration, parts: as they were read and made.
        refused: when credentials were refused, by the monotonic clock; None: they were not.
    """

    def __init__(self, configuration: Configuration, parts: Parts, queue: Dispatch | None) -> None:
        self.configuration = configuration
        self.parts = parts
        self.refused: float | None = None
        self._queue = queue
        self._fetch = Once(self._make_fetch)
        self._finalize = Once(self._make_finalize)
        self._dispatch = Once(self._make_dispatch)

    def note_refusal(self) -> None:
        """Credentials were refused, now for the first time or again."""
        if self.refused is None:
            self.refused = self.parts.clock.monotonic()

    @property
    def fetch(self) -> Fetch:
        """The use case."""
        return self._fetch.get()

    @property
    def finalize(self) -> Finalize:
        """The use case."""
        return self._finalize.get()

    @property
    def dispatch(self) -> Dispatch:
        """Where tasks go."""
        return self._dispatch.get()

    def _make_fetch(self) -> Fetch:
        from pagebind.app.fetch import Fetch

        parts = self.parts
        watches = {watch.path: watch for watch in parts.watches}
        return Fetch(parts.source, parts.work, parts.library, watches, downloads=parts.settings.source.concurrency)

    def _make_finalize(self) -> Finalize:
        from pagebind.app.finalize import Finalize

        return Finalize(self.parts.work, self.parts.library, keep_pages=self.parts.policy.keep_pages)

    def _make_dispatch(self) -> Dispatch:
        if self._queue is not None:
            return self._queue
        made = self.parts.cloud_dispatch(self.configuration.digest)
        weakref.finalize(self, made.close)
        return made


class Instance:
    """One process of a function. Nothing is read or contacted before the first request.

    Args:
        env: the environment.
        queue: where tasks go instead of to the queues of the settings.
    """

    def __init__(self, env: Mapping[str, str], queue: Dispatch | None = None) -> None:
        self._env = env
        self._queue = queue
        self._lock = Lock()
        self._kept: Kept | None = None
        self._missed, self._missed_at = "", 0.0

    def for_poll(self) -> Kept:
        """The parts by the configuration as it is now: a new subscription needs no deploy.

        A source whose credentials were refused is made anew, so that each poll tries them once.

        Raises:
            ConfigError, StoreUnavailable: it cannot be read or used.
        """
        with self._lock:
            configuration, kept = self._read(), self._kept
            if kept is None or kept.configuration != configuration or kept.refused is not None:
                kept = self._kept = self._make(configuration)
            return kept

    def for_task(self, config: str) -> Kept:
        """The parts, by a configuration that is read once, and again when a task was made by another one.

        Args:
            config: digest of the configuration by which the task was made; empty where nobody knows.

        Raises:
            ConfigError, StoreUnavailable: it cannot be read or used.
        """
        with self._lock:
            kept = self._kept
            if kept is None or self._is_of_another(kept, config):
                configuration = self._read()
                if kept is None or kept.configuration != configuration:
                    kept = self._make(configuration, check_secrets=False)
                # The task's may be gone again by now: then this one has to do.
                self._kept, self._missed, self._missed_at = kept, config, kept.parts.clock.monotonic()
            elif kept.refused is not None and kept.parts.clock.monotonic() - kept.refused >= _PATIENCE:
                kept = self._kept = self._make(kept.configuration, check_secrets=False)
            return kept

    def _is_of_another(self, kept: Kept, config: str) -> bool:
        if config in ("", kept.configuration.digest):
            return False
        return config != self._missed or kept.parts.clock.monotonic() - self._missed_at >= _REREAD

    def _read(self) -> Configuration:
        return wiring.read_configuration(None, self._env, Path.cwd())

    def _make(self, configuration: Configuration, *, check_secrets: bool = True) -> Kept:
        settings = configuration.settings(self._env)
        durable = settings.queue.fetch is not None
        parts = wiring.build(settings, self._env, durable=durable, check_secrets=check_secrets)
        kept = Kept(configuration, parts, self._queue)
        weakref.finalize(kept, parts.source.close)  # not before the last request that uses it has ended
        return kept
