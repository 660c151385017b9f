"""Progress on standard error: a live line on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pagebind.cli.text import duration, size_text
from pagebind.core.printable import printable
from pagebind.core.wording import counted
from pagebind.ports.progress import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 10.0


class Counted:
    """Counts what happens and shows it at most every ``interval`` seconds.

    Args:
        show: is given the line.
        say: is given a line that is to stay.
    """

    def __init__(
        self, show: Callable[[str], None], say: Callable[[str], None], *, interval: float, clock: Callable[[], float]
    ) -> None:
        self._show = show
        self._say = say
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._shown_at = clock()
        self._began: float | None = None
        self._folders = self._done = self._planned = self._got = self._expected = 0

    def listed(self, path: str, pages: int) -> None:  # noqa: ARG002  part of the protocol
        """See `Progress.listed`."""
        with self._lock:
            self._folders += 1
            self._tick()

    def planned(self, pages: int, size: int) -> None:
        """See `Progress.planned`."""
        with self._lock:
            self._began = self._began or self._clock()
            self._planned += pages
            self._expected += size
            self._tick()

    def fetched(self, size: int) -> None:
        """See `Progress.fetched`."""
        with self._lock:
            self._done += 1
            self._got += size
            self._tick()

    def bound(self, key: str, pages: int) -> None:
        """See `Progress.bound`."""
        with self._lock:
            self._say(f"bound {key} ({counted(pages, 'page')})")

    def note(self, text: str) -> None:
        """See `Progress.note`."""
        with self._lock:
            self._say(text)

    def _tick(self) -> None:
        now = self._clock()
        if now - self._shown_at >= self._interval:
            self._shown_at = now
            self._show(self.line(now))

    def line(self, now: float) -> str:
        """Folders while listing; then pages, bytes, rate and the time left."""
        if self._began is None:
            return f"listing: {self._folders} folders"
        rate = self._got / max(now - self._began, 0.001)
        left = f", {duration((self._expected - self._got) / rate)} left" if rate and self._expected > self._got else ""
        return f"pages {self._done}/{self._planned}, {size_text(self._got)}, {size_text(rate)}/s{left}"


@contextmanager
def watching(*, quiet: bool, stream: TextIO | None = None) -> Iterator[Progress]:
    """A progress for the length of a command: live on a terminal, plain lines elsewhere, nothing with ``quiet``."""
    out = stream or sys.stderr
    if quiet:
        yield Silent()
    elif out.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(file=out, highlight=False)
        with console.status("listing") as live:
            yield Counted(
                lambda line: live.update(Text(printable(line))),
                lambda line: console.print(Text(printable(line)), soft_wrap=True),
                interval=_TERMINAL_SECONDS,
                clock=time.monotonic,
            )
    else:

        def say(line: str) -> None:
            print(printable(line), file=out, flush=True)

        yield Counted(say, say, interval=_PLAIN_SECONDS, clock=time.monotonic)
