"""Handing out work: one fetch task per missing page, one finalize task per volume."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Held(NamedTuple):
    """Where a page's bytes stand already, so that the server need not be asked for them.

    Attributes:
        key: of the object that holds them: a book in the library, or an entry in work.
        offset: where in the book they begin; an entry tells that itself.
        version: the book's; empty for an entry.
        crc32: of the bytes; None: the entry's metadata says it.
    """

    key: str
    offset: int = 0
    version: str = ""
    crc32: int | None = None


class FetchTask(NamedTuple):
    """All that fetch needs to stage one page; nothing in it opens anything but this one file.

    Attributes:
        volume: the volume's id.
        page: the page's id, the name of its entry.
        path: the file's path on the server, as the account sees it.
        link: the path of its link, see `pagebind.ports.source.Source.link`; empty where it must be asked for.
        subscription: path of the subscription, for headers and the folder's password.
        book_name: the name inside the book, part of the entry's header.
        size: bytes, as listed.
        seq, epoch: which handing out this is.
        hashes: as listed, by kind.
        sign: of the link; empty where it must be asked for.
        kind: ``page``, ``info`` (a ComicInfo.xml) or ``archive``, which is staged as it is, without a header.
        held: where the bytes stand already, or None.
        rename: the name in the book may get the suffix of what the file really is.
        anew: what of it is here already is not to be trusted.
        again: for the n-th time within its epoch, as what was staged was damaged.
        asker: of the finalize that found that.
    """

    volume: str
    page: str
    path: str
    subscription: str
    book_name: str
    size: int
    seq: int
    epoch: int
    hashes: Mapping[str, str] = MappingProxyType({})
    sign: str = ""
    kind: str = "page"
    held: Held | None = None
    rename: bool = False
    anew: bool = False
    link: str = ""
    again: int = 0
    asker: str = ""

    def __repr__(self) -> str:
        """Without the sign."""
        return f"FetchTask({self.volume}/{self.page}, {self.path!r}, seq={self.seq}, epoch={self.epoch})"


class FinalizeTask(NamedTuple):
    """Put the volume's book together, if its pages are there.

    Attributes:
        volume: the volume's id.
        seq, epoch: which handing out made it.
        attempt: so often has it asked for itself again, because pages were still on their way.
        asker: the poll that wants it besides the one of each epoch; empty for that one.
        existing: what its subscription does with books that Pagebind did not make.
        hash_check: what it does with hashes that differ from the listed ones.
        without_info: the folder's ComicInfo.xml was given up; the book goes without it.
    """

    volume: str
    seq: int
    epoch: int
    attempt: int = 0
    existing: str = "keep"
    hash_check: str = "warn"
    without_info: bool = False
    asker: str = ""


class Dispatch(Protocol):
    """A queue. It delivers each task at least once, in any order, perhaps twice; a durable one outlives its process."""

    @property
    def durable(self) -> bool:
        """Whether tasks survive the death of this process."""
        ...

    def open(self) -> None:
        """Make ready to queue. Called before it is written down that pages are handed out.

        Raises:
            ConfigError: tasks cannot be queued from here at all.
        """
        ...

    def fetch(self, task: FetchTask) -> None:
        """Queue one page. May block while the queue is full. Raises: QueueUnavailable, for this task or one before."""
        ...

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:
        """Queue a finalize, to run in about ``delay`` seconds, or when its pages are through if that is known.

        Raises: as `fetch`.
        """
        ...

    def flush(self) -> None:
        """Wait until all that was given is queued.

        Raises:
            QueueUnavailable: some of it is not, and nobody will try again.
        """
        ...
