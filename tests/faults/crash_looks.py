"""What stands after a kill and after the run that follows, held against what should: books, receipts, all of work."""

from __future__ import annotations

import io
import struct
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import google_crc32c

from pagebind.core import keys, manifest, receipt
from pagebind.core.keys import ManifestMark, ReceiptMark, SentMark
from pagebind.core.model import COMICINFO
from pagebind.errors import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.faults.crash_sites import Site

    from pagebind.core.receipt import Receipt

FAULTS = ("broken", "missing", "differing", "receipt", "left over", "downloads", "failed")
"""A library object that is no whole zip, or something that is not there, or not the right book; a receipt that is not
true of its book, or not one for each; something that stays; a page that was asked for again, or not at all; a run after
a kill that did not end well."""

_NAME_LENGTHS = struct.Struct("<HH")
_LENGTHS_AT, _HEADER_SIZE = 26, 30  # APPNOTE.TXT 4.3.7
_MOST_EPOCHS = 2
"""A run that dies, and the one that follows."""

_RECORD_NAME_LENGTH = 32


class Fault(NamedTuple):
    """One of `FAULTS`, and what it was seen in."""

    kind: str
    text: str


class Former(NamedTuple):
    """What stood before a run that is killed: ``books`` and ``receipts`` by key, and all ``keys`` of work."""

    books: Mapping[str, bytes]
    receipts: Mapping[str, bytes]
    keys: frozenset[str]


NOTHING = Former({}, {}, frozenset())


def former(site: Site) -> Former:
    """What stands now."""
    return Former(site.books(), site.receipts(), frozenset(site.kept()))


def right_after(books: Mapping[str, bytes], right: Mapping[str, bytes], before: Former) -> Iterator[Fault]:
    """What a kill may not leave: anything in the library but whole books, the right ones or those of before."""
    for key in before.books:
        if key not in books:
            yield Fault("missing", f"{key} right after the kill")
    for key, content in books.items():
        if content != before.books.get(key) and (kind := fault_of(content, right.get(key))):
            yield Fault(kind, f"{key} right after the kill")


def at_end(site: Site, right: Mapping[str, bytes], before: Former = NOTHING) -> Iterator[Fault]:
    """Whatever is not as an undisturbed run would have left it."""
    books = site.books()
    for key in right:
        if key not in books:
            yield Fault("missing", key)
    for key, content in books.items():
        if kind := fault_of(content, right.get(key)):
            yield Fault(kind, f"{key} at the end")
    for each in site.left():
        yield Fault("left over", each)
    yield from _work(site, books, before)


def wrong_downloads(asked: Sequence[str], usual: frozenset[str], there: set[str]) -> Iterator[Fault]:
    """Whether a run asked for what was not there yet of the pages that are ``usual``, once each, and for no others."""
    wanted = usual - there
    for path, times in sorted(Counter(asked).items()):
        if path not in wanted:
            yield Fault("downloads", f"{path} was asked for, though it was there")
        elif times != 1:
            yield Fault("downloads", f"{path} was asked for {times} times")
    for path in sorted(wanted.difference(asked)):
        yield Fault("downloads", f"{path} was not asked for")


def fault_of(content: bytes, expected: bytes | None) -> str:
    """What is wrong with an object of the library; empty: nothing."""
    if content == expected:
        return ""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return "differing" if archive.testzip() is None else "broken"
    except (zipfile.BadZipFile, EOFError, ValueError):
        return "broken"


def _work(site: Site, books: Mapping[str, bytes], before: Former) -> Iterator[Fault]:
    """One receipt for each book, true of it; those of before; and nothing in work that nobody needs."""
    kept, versions = site.kept(), site.versions()
    needed: set[str] = set()
    counts = Counter(dict.fromkeys(books, 0))
    for at, content in site.receipts().items():
        try:
            said = receipt.load(content)
        except ValueError as error:
            yield Fault("receipt", f"{at}: {error}")
            continue
        if said.version != versions.get(said.key):
            if before.receipts.get(at) != content:
                yield Fault("receipt", f"{at} is of no book")
            continue
        counts[said.key] += 1
        needed |= {at, _manifest_key(said)}
        for wrong in (*_untrue_of_book(at, said, books[said.key]), *_untrue_of_listing(site, said, kept)):
            yield Fault("receipt", f"{at}: {wrong}")
    for key, count in counts.items():
        if count != 1:
            yield Fault("receipt", f"{count} of {key}")
    if site.keeps_records:
        needed |= {_record_key(key, version) for key, version in versions.items()}
    yield from _needless_or_missing(kept, needed, before)


def _needless_or_missing(kept: list[str], needed: set[str], before: Former) -> Iterator[Fault]:
    handed_out = {
        keys.sent_key(keys.volume_of(key), SentMark(mark.seq, mark.revision, epoch))
        for key in needed
        if key.startswith(keys.MANIFESTS) and (mark := keys.parse_manifest(key))
        for epoch in range(1, _MOST_EPOCHS + 1)
    }
    for key in kept:
        if not (key in needed or key in handed_out or key in before.keys or keys.run_time(key)):
            yield Fault("left over", key)
    for key in needed.difference(kept):
        yield Fault("missing", key)


def _manifest_key(said: Receipt) -> str:
    return keys.manifest_key(said.volume, ManifestMark(said.seq, said.revision, keys.library_digest(said.key)))


def _record_key(key: str, version: str) -> str:
    return f"{keys.BOOK_RECORDS}{keys.digest(key, _RECORD_NAME_LENGTH)}/{version}.json"


def _untrue_of_book(at: str, said: Receipt, book: bytes) -> Iterator[str]:
    """What the receipt under the key ``at`` says of its book that is not so."""
    if at != keys.receipt_key(said.volume, ReceiptMark(said.seq, keys.version_digest(said.version))):
        yield "it is that of another"
    if said.volume != keys.volume_id(said.path) or not said.path.endswith(f"/{said.key.removesuffix('.cbz')}"):
        yield f"{said.path} is not {said.key}"
    if said.kind != "bound":
        yield f"it was not {said.kind}"
    if (said.size, said.crc32c) != (len(book), google_crc32c.value(book)):
        yield f"size {said.size} and CRC-32C {said.crc32c:08x} are not those of the book"
    rows = [(page.name, page.offset, page.size, page.crc32) for page in said.pages]
    if rows != list(_rows(book)):
        yield "its pages do not stand so in the book"


def _untrue_of_listing(site: Site, said: Receipt, kept: list[str]) -> Iterator[str]:
    """What it says of the listing that the book was made of; that has to be the volume's newest one."""
    if max((key for key in kept if key.startswith(f"{keys.MANIFESTS}{said.volume}/")), default="") != (
        listed := _manifest_key(said)
    ):
        yield f"seq {said.seq} is not the newest"
        return
    try:
        pages = manifest.load(site.work.get(listed)).pages
    except (KeyMissing, ValueError) as error:
        yield str(error)
        return
    if [page.id for page in pages] != [page.page for page in said.pages]:
        yield "its pages are not those of the listing"


def _rows(book: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Of each picture in a zip the name, where its bytes begin, how many, and their CRC-32."""
    try:
        with zipfile.ZipFile(io.BytesIO(book)) as archive:
            for info in archive.infolist():
                name, extra = _NAME_LENGTHS.unpack_from(book, info.header_offset + _LENGTHS_AT)
                if info.filename != COMICINFO:
                    yield info.filename, info.header_offset + _HEADER_SIZE + name + extra, info.file_size, info.CRC
    except zipfile.BadZipFile:
        return


def pages_in(book: bytes) -> dict[str, bytes]:
    """The pictures of a book by name."""
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != COMICINFO}
