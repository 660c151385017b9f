"""What a process keeps from request to request: the configuration, clients, and the credentials that they hold."""

from __future__ import annotations

import weakref
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pagebind import wiring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.app.fetch import Fetch
    from pagebind.app.finalize import Finalize
    from pagebind.ports.dispatch import Dispatch
    from pagebind.wiring import Configuration, Parts


class Kept:
    """The parts of one configuration, and what is made of them when it is first needed."""

    def __init__(self, configuration: Configuration, parts: Parts, queue: Dispatch | None) -> None:
        self.configuration = configuration
        self.parts = parts
        self._queue = queue

    @cached_property
    def fetch(self) -> Fetch:
        """The use case."""
        from pagebind.app.fetch import Fetch

        parts = self.parts
        watches = {watch.path: watch for watch in parts.watches}
        return Fetch(parts.source, parts.work, parts.library, watches, downloads=parts.settings.source.concurrency)

    @cached_property
    def finalize(self) -> Finalize:
        """The use case."""
        from pagebind.app.finalize import Finalize

        return Finalize(self.parts.work, self.parts.library, keep_pages=self.parts.policy.keep_pages)

    @cached_property
    def dispatch(self) -> Dispatch:
        """Where tasks go."""
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
        self._asked_for = ""

    def for_poll(self) -> Kept:
        """The parts by the configuration as it is now: a new subscription needs no deploy.

        Raises:
            ConfigError, StoreUnavailable: it cannot be read or used.
        """
        with self._lock:
            configuration = self._read()
            if self._kept is None or self._kept.configuration != configuration:
                self._kept = self._make(configuration)
            return self._kept

    def for_task(self, config: str) -> Kept:
        """The parts, by a configuration that is read once, and again when a task was made by another one.

        Args:
            config: digest of the configuration by which the task was made; empty where nobody knows.

        Raises:
            ConfigError, StoreUnavailable: it cannot be read or used.
        """
        with self._lock:
            kept = self._kept
            if kept is None or config not in ("", kept.configuration.digest, self._asked_for):
                configuration = self._read()
                self._asked_for = config  # it may have changed once more since: then this task's is gone
                if kept is None or kept.configuration != configuration:
                    kept = self._kept = self._make(configuration, check_secrets=False)
            return kept

    def forget(self, kept: Kept) -> None:
        """Make everything anew at the next request: a source whose credentials were refused asks nobody again."""
        with self._lock:
            if self._kept is kept:
                self._kept = None

    def _read(self) -> Configuration:
        return wiring.read_configuration(None, self._env, Path.cwd())

    def _make(self, configuration: Configuration, *, check_secrets: bool = True) -> Kept:
        settings = configuration.settings(self._env)
        durable = settings.queue.fetch is not None
        parts = wiring.build(settings, self._env, durable=durable, check_secrets=check_secrets)
        kept = Kept(configuration, parts, self._queue)
        weakref.finalize(kept, parts.source.close)  # not before the last request that uses it has ended
        return kept
