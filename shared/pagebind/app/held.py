"""Where the bytes of a volume's pages stand already: in its book, or in entries under other names in the book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagebind.app.inventory import load_manifest
from pagebind.core import keys, receipt, reuse
from pagebind.errors import StoreError
from pagebind.ports.dispatch import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark
    from pagebind.core.manifest import Page
    from pagebind.ports.store import Store


def held_pages(work: Store, volume: str, history: History, missing: Sequence[Page]) -> dict[str, Held]:
    """Where missing pages need only be copied from, by their ids.

    What it says may be out of date by the time that a page is copied; whoever copies checks the bytes.
    """
    if not missing:
        return {}
    return {**_in_entries(work, volume, history, missing), **_in_book(work, volume, history, missing)}


def _in_book(work: Store, volume: str, history: History, missing: Sequence[Page]) -> dict[str, Held]:
    newest = history.receipt
    mark = history.of_seq(newest.seq) if newest else None
    if newest is None or mark is None:
        return {}
    try:
        book = receipt.load(work.get(keys.receipt_key(volume, newest)))
        bound = load_manifest(work, volume, mark).pages
    except (ValueError, StoreError):
        return {}  # what cannot be copied is asked for
    rows = reuse.in_book(missing, bound, book.pages)
    return {page: Held(book.key, row.offset, book.version, row.crc32) for page, row in rows.items()}


def _in_entries(work: Store, volume: str, history: History, missing: Sequence[Page]) -> dict[str, Held]:
    former = _former(history)
    if former is None or not history.staged:
        return {}
    try:
        pages = reuse.in_entries(missing, load_manifest(work, volume, former).pages, history.staged)
    except StoreError:
        return {}
    return {page: Held(keys.entry_key(volume, entry.id)) for page, entry in pages.items()}


def _former(history: History) -> ManifestMark | None:
    """The newest manifest that was handed out before the newest one."""
    head = history.head
    sent = [mark.seq for mark in history.sent if head is not None and mark.seq < head.seq]
    return history.of_seq(max(sent)) if sent else None
