"""Walking the subscriptions: every folder listed once, with bounded concurrency, as far as a budget lasts."""

from __future__ import annotations

import threading
from collections import Counter
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.agenda import WITHOUT_END, Agenda, Budget
from pagebind.core import layout
from pagebind.core.walk_order import above, place
from pagebind.errors import ListingFailed, PagebindError, RefreshRefused, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pagebind.core.model import Item
    from pagebind.core.watch import Watch
    from pagebind.ports.clock import Clock
    from pagebind.ports.source import Source

_UNREACHABLE = 8
"""After so many folders in a row without an answer it is looked whether the server itself is down, or one drive."""

_DEEPEST = 64
"""Folders below each other, from the walk's start. Deeper ones lie in themselves: by an alias, or by a link.

Where each holds several, there are more than any walk ends with. So the first that lies so deep ends the walk of the
folder 32 levels below the start that it lies in, the second that of its folder at level 16, and so on up to level 1.
"""


_MOST_FOLDERS = 100_000
"""Folders of one subscription that are listed in one walk. The largest libraries that are known have some thousands; so
many are a tree without end, and take half a day at the usual rate."""

_MOST_MET = 5 * _MOST_FOLDERS
"""Folders of one subscription that a walk comes to know: each of them is kept until it is listed, in some 300 bytes. A
folder that holds more than fit is left out."""


class Start(NamedTuple):
    """A folder to be listed, in a subscription. ``above``: what the folders that lead to it look like."""

    watch: Watch
    path: str
    above: tuple[int, ...] = ()


class Folder(NamedTuple):
    """One folder as listed.

    Attributes:
        fresh: not from the server's cache.
        may_refresh: the account may ask for that.
        asked: when that was, in seconds since the epoch.
    """

    watch: Watch
    path: str
    contents: layout.Contents
    fresh: bool
    may_refresh: bool
    below: tuple[Start, ...] = ()
    asked: float = 0.0


class Unlisted(NamedTuple):
    """A folder that could not be listed; nothing is known of what lies below it. ``told``: so was the error before."""

    watch: Watch
    path: str
    error: PagebindError
    told: bool = False


Found = Folder | Unlisted


class Walk:
    """One walk over the given starts.

    Args:
        source: the server.
        watches: the subscriptions.
        starts: where to begin; one below another is walked by itself.
        wants_fresh: says of a folder or archive whether its listing should not come from the cache.
        look: is called with each result, in the thread that listed it.
        concurrency: listings under way at once.
        clock: tells when the budget is used up.
        cursor: the first folder that is wanted; what comes before it is not listed, except what leads there.
        budget: how much it may take.
    """

    def __init__(
        self,
        source: Source,
        watches: Sequence[Watch],
        starts: Sequence[Start],
        *,
        wants_fresh: Callable[[Watch, str], bool],
        look: Callable[[Found], None],
        concurrency: int,
        clock: Clock,
        cursor: str = "",
        budget: Budget = WITHOUT_END,
    ) -> None:
        self._source = source
        self._watches = watches
        self._begins = {start.path for start in starts}
        self._wants_fresh = wants_fresh
        self._look = look
        self._concurrency = concurrency
        self._clock = clock
        self._agenda = Agenda(starts, cursor, lambda path: whole_of(watches, path), budget, clock)
        self._workers: list[threading.Thread] = []
        self._hiring = threading.Lock()
        self._no_refresh: set[str] = set()
        self._silent = 0
        self._deep = threading.Lock()
        self._found_deep: Counter[str] = Counter()
        self._bottomless: dict[str, ListingFailed] = {}
        self._counting = threading.Lock()
        self._listed: Counter[str] = Counter()
        self._met: Counter[str] = Counter()
        self._told_endless: set[str] = set()

    def run(self, rest_at: float | None = None) -> str | None:
        """Walk to the end, or until the budget is used up, or until a time of the monotonic clock.

        Returns:
            The folder at which the next walk has to begin; empty: this one came to the end; None: it rests, and goes on
            when this is called again.

        Raises:
            AuthRefused: the credentials; the walk stops at once.
            ServerUnreachable: no folder could be listed because nobody answers.
        """
        self._agenda.begin(rest_at)
        over = True
        try:
            # The first folder alone: refused credentials must not cost a request for every subscription.
            self._hire(1)
            over = self._agenda.wait()
        finally:
            if over:
                self._agenda.close()
        if not over:
            self._dismiss()
            return None
        stuck, left = self._agenda.unfinished()
        for path in stuck:
            self._look(Unlisted(covering(self._watches, path), path, _took_too_long(path)))
        return min(left, key=place, default="")

    def _hire(self, folders: int) -> None:
        """See that there are as many threads as there are folders, at most ``concurrency``."""
        with self._hiring:
            while len(self._workers) < min(self._concurrency, folders):
                # In a copy of the context, which knows the trace of the request that walks.
                context = copy_context()
                thread = threading.Thread(target=context.run, args=(self._work,), name="pagebind-walk", daemon=True)
                self._workers.append(thread)
                thread.start()

    def _dismiss(self) -> None:
        """See the threads off; none of them has anything under way."""
        while self._workers:
            with self._hiring:  # whoever is hired meanwhile has been started then
                thread = self._workers.pop()
            thread.join()

    def _work(self) -> None:
        while (start := self._agenda.take()) is not None:
            try:
                found = self._list(start)
                if not self._agenda.admit(start):
                    return
                self._look(found)
            except BaseException as error:  # noqa: BLE001  handed to the walking thread, which raises it
                self._agenda.fail(start, error)
                return
            self._hire(self._agenda.finish(start, found.below if isinstance(found, Folder) else ()))

    def _list(self, start: Start) -> Found:
        if self._bottomless and (error := self._why_not(start.path)):
            return Unlisted(start.watch, start.path, error, told=True)
        try:
            self._count(start)
            folder = self._ask(start)
        except ServerUnreachable as error:
            self._silent += 1
            if self._silent >= _UNREACHABLE:
                if not self._source.answers():
                    raise
                self._silent = 0
            return Unlisted(start.watch, start.path, error)
        except ListingFailed as error:
            return Unlisted(start.watch, start.path, error, told=self._is_told(start, error))
        self._silent = 0
        return folder

    def _count(self, start: Start) -> None:
        """Raises: ListingFailed: so many folders of the subscription have been listed that it may have no end."""
        with self._counting:
            self._listed[start.watch.path] += 1
            if self._listed[start.watch.path] > _MOST_FOLDERS:
                raise _without_end(start)

    def _is_told(self, start: Start, error: ListingFailed) -> bool:
        if error.path == start.watch.path != start.path:  # by `_without_end`
            with self._counting:
                told = start.watch.path in self._told_endless
                self._told_endless.add(start.watch.path)
            return told
        return bool(self._why_not(start.path)) and self._bottomless.get(error.path or "") is not error

    def _ask(self, start: Start) -> Folder:
        watch, path, asked = start.watch, start.path, self._clock.now()
        items, fresh = self._ask_fresh(start) if self._wants_fresh(watch, path) else (None, False)
        if items is None:
            items = self._source.list(path, password=watch.password())
        contents = layout.sort_out(items, watch.filter_in(path))
        if not fresh and watch.archives == "copy" and self._settles_an_archive(start, contents):
            again, fresh = self._ask_fresh(start)
            items = items if again is None else again
            contents = layout.sort_out(items, watch.filter_in(path))
        below = self._below(start, contents, items) if contents.folders else ()
        return Folder(watch, path, contents, fresh, watch.path not in self._no_refresh, below, asked)

    def _ask_fresh(self, start: Start) -> tuple[Sequence[Item] | None, bool]:
        """A listing that does not come from the server's cache; None where the account may not ask for one."""
        if start.watch.path in self._no_refresh:
            return None, False
        try:
            return self._source.list(start.path, password=start.watch.password(), refresh=True), True
        except RefreshRefused:
            self._no_refresh.add(start.watch.path)
            return None, False

    def _settles_an_archive(self, start: Start, contents: layout.Contents) -> bool:
        """Whether a fresh listing may settle one: which archives a folder holds is known only once it is listed."""
        return any(self._wants_fresh(start.watch, layout.join(start.path, item.name)) for item in contents.archives)

    def _below(self, start: Start, contents: layout.Contents, items: Sequence[Item]) -> tuple[Start, ...]:
        """The folders to be listed next. What another subscription begins with is walked for that one.

        Raises:
            ListingFailed: the folder lies in itself, or too deep, or there are too many.
        """
        look = hash(frozenset((item.name, item.is_dir, item.size, item.modified) for item in items))
        if len(start.above) >= _DEEPEST:
            raise self._too_deep(start)
        if look in start.above:
            raise ListingFailed(
                f"{start.path} seems to lie in itself",
                fix="leave the folder that leads back out by `exclude`",
                path=start.path,
            )
        above = (*start.above, look)
        paths = [layout.join(start.path, name) for name in contents.folders]
        with self._counting:
            if self._met[start.watch.path] + len(paths) > _MOST_MET:
                raise _without_end(start)
            self._met[start.watch.path] += len(paths)
        return tuple(Start(start.watch, path, above) for path in paths if path not in self._begins)

    def _too_deep(self, start: Start) -> ListingFailed:
        """The error of a folder that lies at the greatest depth, which ends the walk of one above it as well."""
        with self._deep:
            self._found_deep[start.watch.path] += 1
            level = max(1, _DEEPEST >> self._found_deep[start.watch.path])
            over = next(islice(above(start.path), len(start.above) - level - 1, None))
            error = ListingFailed(
                f"{start.path} lies {_DEEPEST} folders deep: nothing more of {over} is listed",
                fix="leave out what leads back into itself by `exclude`",
                path=over,
            )
            self._bottomless.setdefault(over, error)
        return error

    def _why_not(self, path: str) -> ListingFailed | None:
        """Why nothing more is listed where this folder lies."""
        return next((self._bottomless[folder] for folder in above(path) if folder in self._bottomless), None)


def _without_end(start: Start) -> ListingFailed:
    """A subscription has so many folders that this one is left out. Nothing is concluded of what was not met in it."""
    return ListingFailed(
        f"{start.watch.path} has more than {_MOST_FOLDERS:,} folders: {start.path} and others are not listed",
        fix="leave out by `exclude` what has no end, or subscribe to folders in it",
        path=start.watch.path,
    )


def _took_too_long(path: str) -> ListingFailed:
    return ListingFailed(
        f"{path} could not be listed within the budget of a poll",
        fix="raise `[poll] budget`, or see why the server answers so slowly",
        path=path,
    )


def starts(watches: Sequence[Watch], paths: Sequence[str]) -> Iterator[Start]:
    """Where to begin: at the subscriptions, or at the wanted paths inside them.

    A folder that two subscriptions cover belongs to the one with the longer path: each has a start of its own. A folder
    that is a part of a volume stands for all of it.
    """
    begins = {watch.path: watch for watch in watches}
    wanted = sorted({_whole(watches, path) for path in paths} or begins)
    for path in wanted:
        if path not in begins and any(other != path and layout.is_below(path, other) for other in wanted):
            continue
        yield Start(covering(watches, path), path)
    for path in sorted(begins.keys() - set(wanted)):
        if any(layout.is_below(path, other) for other in wanted):
            yield Start(begins[path], path)


def covering(watches: Sequence[Watch], path: str) -> Watch:
    """The subscription that a path inside one of them belongs to: the one with the longest path."""
    return max((watch for watch in watches if layout.is_below(path, watch.path)), key=lambda watch: len(watch.path))


def _whole(watches: Sequence[Watch], path: str) -> str:
    return volume_of(covering(watches, path), path)


def volume_of(watch: Watch, path: str) -> str:
    """The volume that a folder is, or is a part of, where chapters are merged."""
    placed = watch.layout.place(watch.path, path) if watch.layout.merges else None
    return placed.volume if placed else path


def whole_of(watches: Sequence[Watch], path: str) -> str:
    """The outermost volume of several folders that a folder is, or lies in; else the folder itself.

    What is known of it counts only if all of it was listed in one walk.
    """
    if not any(watch.layout.merges for watch in watches):
        return path
    for folder in (*reversed([*above(path)]), path):
        if any(layout.is_below(folder, watch.path) for watch in watches):
            watch = covering(watches, folder)
            placed = watch.layout.place(watch.path, folder) if watch.layout.merges else None
            if placed is not None:
                return placed.volume
    return path
