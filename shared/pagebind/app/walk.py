"""Walking the subscriptions: every folder listed once, with bounded concurrency."""

from __future__ import annotations

import queue
import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import layout
from pagebind.errors import ListingFailed, PagebindError, RefreshRefused, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pagebind.core.watch import Watch
    from pagebind.ports.source import Source

_UNREACHABLE = 8
"""So many folders in a row that the server does not answer at all for end the walk: it is down, not one drive."""


class Start(NamedTuple):
    """Where a walk begins: a folder in a subscription."""

    watch: Watch
    path: str


class Folder(NamedTuple):
    """One folder as listed. ``fresh``: not from the server's cache. ``may_refresh``: the account may ask for that."""

    watch: Watch
    path: str
    contents: layout.Contents
    fresh: bool
    may_refresh: bool


class Unlisted(NamedTuple):
    """A folder that could not be listed; nothing is known of what lies below it."""

    watch: Watch
    path: str
    error: PagebindError


Found = Folder | Unlisted


class Walk:
    """One walk over the given starts.

    Args:
        source: the server.
        starts: where to begin; none may lie below another.
        wants_fresh: says of a path whether its listing should not come from the cache.
        look: is called with each result, in the thread that listed it; what it returns is what the walk yields.
        concurrency: listings under way at once.
    """

    def __init__(
        self,
        source: Source,
        starts: Sequence[Start],
        *,
        wants_fresh: Callable[[str], bool],
        look: Callable[[Found], None],
        concurrency: int,
    ) -> None:
        self._source = source
        self._starts = starts
        self._wants_fresh = wants_fresh
        self._look = look
        self._concurrency = concurrency
        self._todo: queue.SimpleQueue[Start | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Sequence[Start], BaseException | None]] = queue.SimpleQueue()
        self._no_refresh: set[str] = set()
        self._silent = 0
        self._over = False

    def run(self) -> None:
        """Walk to the end.

        Raises:
            AuthRefused: the credentials; the walk stops at once.
            ServerUnreachable: no folder could be listed because nobody answers.
        """
        workers: list[threading.Thread] = []
        # The first folder alone: refused credentials must not cost a request for every subscription.
        waiting, under_way = list(self._starts[1:]), 0
        try:
            for start in self._starts[:1]:
                self._todo.put(start)
                under_way += 1
            while under_way:
                if len(workers) < min(self._concurrency, under_way):
                    workers.append(self._start_worker())
                    continue
                below, failure = self._done.get()
                if failure is not None:
                    raise failure
                for start in (*below, *waiting):
                    self._todo.put(start)
                under_way += len(below) + len(waiting) - 1
                waiting = []
        finally:
            self._over = True
            for _ in workers:
                self._todo.put(None)

    def _start_worker(self) -> threading.Thread:
        worker = threading.Thread(target=self._work, name="pagebind-walk", daemon=True)
        worker.start()
        return worker

    def _work(self) -> None:
        while (start := self._todo.get()) is not None and not self._over:
            try:
                found = self._list(start)
                self._look(found)
                self._done.put((self._below(found), None))
            except BaseException as error:  # noqa: BLE001  handed to the walking thread, which raises it
                self._over = True  # here, not by who raises it: nothing more is asked meanwhile
                self._done.put(((), error))

    def _list(self, start: Start) -> Found:
        try:
            folder = self._ask(start)
        except ServerUnreachable as error:
            self._silent += 1
            if self._silent >= _UNREACHABLE:
                raise
            return Unlisted(start.watch, start.path, error)
        except ListingFailed as error:
            return Unlisted(start.watch, start.path, error)
        self._silent = 0
        return folder

    def _ask(self, start: Start) -> Folder:
        watch, path = start.watch, start.path
        password = watch.password()
        fresh = watch.path not in self._no_refresh and self._wants_fresh(path)
        if fresh:
            try:
                items = self._source.list(path, password=password, refresh=True)
            except RefreshRefused:
                self._no_refresh.add(watch.path)
                fresh = False
        if not fresh:
            items = self._source.list(path, password=password)
        excluded = partial(watch.leaves_out, path) if watch.excluded is not None else None
        contents = layout.sort_out(items, excluded)
        return Folder(watch, path, contents, fresh, watch.path not in self._no_refresh)

    @staticmethod
    def _below(found: Found) -> list[Start]:
        if isinstance(found, Unlisted):
            return []
        return [Start(found.watch, layout.join(found.path, name)) for name in found.contents.folders]


def starts(watches: Sequence[Watch], paths: Sequence[str]) -> Iterator[Start]:
    """Where to begin: the subscriptions, or the wanted paths inside them; what lies below another one is left out.

    A folder that two subscriptions cover is walked for the one with the longer path.
    """
    wanted = sorted(set(paths or [watch.path for watch in watches]))
    for path in wanted:
        if not any(other != path and layout.is_below(path, other) for other in wanted):
            covering = [watch for watch in watches if layout.is_below(path, watch.path)]
            yield Start(max(covering, key=lambda watch: len(watch.path)), path)
