"""Pages whose bytes stand here already: read from a book or from another entry instead of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import entry
from pagebind.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagebind.ports.dispatch import FetchTask, Held
    from pagebind.ports.store import Store


class NotHeldError(Exception):
    """The bytes are not there (any more), or are others: ask the server."""


class Copy(NamedTuple):
    """Bytes to copy, and the CRC-32 that they must have. Reading them may raise `NotHeldError`."""

    chunks: Iterator[bytes]
    crc32: int


def copy_of(task: FetchTask, held: Held, work: Store, library: Store) -> Copy:
    """The task's bytes where they are said to stand. Raises: NotHeldError."""
    try:
        return _from_book(task, held, library) if held.version else _from_entry(task, held, work)
    except StoreError as error:
        raise NotHeldError from error


def _from_book(task: FetchTask, held: Held, library: Store) -> Copy:
    book = library.head(held.key)
    if book is None or book.version != held.version or held.crc32 is None:
        raise NotHeldError
    return Copy(_read(library, held.key, held.offset, task.size), held.crc32)


def _from_entry(task: FetchTask, held: Held, work: Store) -> Copy:
    """The entry itself says where its bytes begin: it may have been renamed when it was staged."""
    info = work.head(held.key)
    facts = entry.parse(info.metadata) if info else None
    if info is None or facts is None or facts.size != task.size:
        raise NotHeldError
    return Copy(_read(work, held.key, info.size - facts.size, facts.size), facts.crc32)


def _read(store: Store, key: str, start: int, length: int) -> Iterator[bytes]:
    try:
        yield from store.stream(key, start=start, length=length)
    except StoreError as error:
        raise NotHeldError from error
