"""Verify: the books in the library against their receipts."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app import inventory as inventories
from pagebind.app.inventory import load_manifest
from pagebind.app.report import problem_of
from pagebind.app.select import Named
from pagebind.core import keys, receipt
from pagebind.core.planner import Problem
from pagebind.core.zip_layout import parse_local_header
from pagebind.errors import KeyMissing, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.app.inventory import Inventory
    from pagebind.core.history import History
    from pagebind.core.receipt import Receipt
    from pagebind.ports.store import ObjectInfo, Store


class Checked(NamedTuple):
    """One book: ``problem`` is None where it is what its receipt says."""

    key: str
    path: str
    pages: int
    problem: Problem | None


class Verify:
    """The use case. ``read``: read every byte back; without it, what the store has recorded is compared."""

    def __init__(self, work: Store, library: Store, *, read: bool) -> None:
        self._work = work
        self._library = library
        self._read = read
        self.damaged: list[Problem] = []

    def books(self) -> tuple[Inventory, dict[str, Named]]:
        """All volumes that should have a book, by id. What is damaged in work is added to ``damaged``."""
        inventory = inventories.take(self._work, self._library)
        named = {}
        for volume, history in inventory.volumes.items():
            head, newest = history.head, history.receipt
            if newest is not None and head is not None and not history.book_was_deleted:
                try:
                    manifest = load_manifest(self._work, volume, head)
                except KeyMissing as error:
                    self.damaged.append(problem_of(error))
                else:
                    named[volume] = Named(volume, manifest.path, manifest.key)
        return inventory, named

    def check(self, inventory: Inventory, named: Named) -> Checked:
        """Check one book."""
        history = inventory.history(named.volume)
        key_digest = keys.library_digest(named.key)
        book = inventory.book(key_digest, history) or inventory.former_book(history, key_digest)
        if book is None:
            return self._wrong(named, 0, "removed", "the book is not in the library", "put it back")
        mark = history.receipt_for(book.version)
        if mark is None:
            return self._wrong(
                named,
                0,
                "changed",
                "the book is not the one that the receipt names: another size or time of change",
                "put the old one back, or keep this one; `pagebind status` shows what happens next",
            )
        bound = self._receipt(named.volume, history, book)
        if bound is None:
            return self._wrong(named, 0, "store", "its receipt cannot be read", "restore the store from a backup")
        fault = self._fault(bound, book)
        if fault is not None:
            return self._wrong(named, len(bound.pages), "changed", fault, "put the old one back from a backup")
        return Checked(named.key, named.path, len(bound.pages), None)

    @staticmethod
    def _wrong(named: Named, pages: int, code: str, message: str, fix: str) -> Checked:
        return Checked(named.key, named.path, pages, Problem(code, f"{named.key}: {message}", fix, named.path))

    def _receipt(self, volume: str, history: History, book: ObjectInfo) -> Receipt | None:
        mark = history.receipt_for(book.version)
        assert mark is not None
        try:
            return receipt.load(self._work.get(keys.receipt_key(volume, mark)))
        except (ValueError, StoreError):
            return None

    def _fault(self, bound: Receipt, book: ObjectInfo) -> str | None:
        if book.size != bound.size:
            return f"it has {book.size} bytes, its receipt says {bound.size}"
        described = self._library.head(book.key)
        stored = described.crc32c if described else None
        if stored is not None and stored != bound.crc32c:
            return "the store's checksum is not that of its receipt"
        return self._read_back(bound, book) if self._read else None

    def _read_back(self, bound: Receipt, book: ObjectInfo) -> str | None:
        """Every byte: the whole by its CRC-32C, each page by its CRC-32, so that a wrong one can be named."""
        import google_crc32c

        reader = _Reader(self._library.stream(book.key), google_crc32c.extend)
        for page in bound.pages if bound.kind == "bound" else ():
            header = reader.take(page.offset - reader.position)
            crc = reader.pass_by(page.size)
            if crc != page.crc32 or not _names(header, page.name, page.crc32, page.size):
                return f"page {page.name} is damaged"
        reader.rest()
        if reader.crc32c == bound.crc32c:
            return None
        return "its end (ComicInfo or directory) is damaged" if bound.kind == "bound" else "its bytes have changed"


def _names(header: bytes, name: str, crc32: int, size: int) -> bool:
    try:
        return parse_local_header(header)[:3] == (name, crc32, size)
    except ValueError:
        return False


class _Reader:
    """A book's bytes in order, summed while they pass."""

    def __init__(self, chunks: Iterator[bytes], extend: Callable[[int, bytes], int]) -> None:
        self._chunks = chunks
        self._extend = extend
        self._held = memoryview(b"")
        self.position = 0
        self.crc32c = 0

    def _next(self, at_most: int) -> memoryview:
        if not self._held:
            chunk = next(self._chunks, b"")
            self.crc32c = self._extend(self.crc32c, chunk)
            self._held = memoryview(chunk)
        piece, self._held = self._held[:at_most], self._held[at_most:]
        self.position += len(piece)
        return piece

    def take(self, length: int) -> bytes:
        taken = bytearray()
        while len(taken) < length and (piece := self._next(length - len(taken))):
            taken += piece
        return bytes(taken)

    def pass_by(self, length: int) -> int:
        crc = 0
        while length > 0 and (piece := self._next(length)):
            crc = zlib.crc32(piece, crc)
            length -= len(piece)
        return crc

    def rest(self) -> None:
        while self._next(2**20):
            pass
