"""A book of another tool is adopted if it holds exactly the volume's pages, and only then."""

from __future__ import annotations

import hashlib
import io
import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import google_crc32c
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.memory_source import picture
from tests.support.watched_store import WatchedStore

from pagebind.adapters.stores.folder import FolderStore
from pagebind.app import adopt as adopting
from pagebind.app.adopt import PACKED, Adopted, Refused, adopt
from pagebind.core.manifest import Manifest, archive_of, pages_of
from pagebind.core.model import About, Item
from pagebind.core.zip_layout import Entry, central_directory, local_header
from pagebind.errors import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY = "A/A.cbz"
COUNT = 60
BODIES = {f"{number:03}.jpg": picture(f"page {number}", 200 + number) for number in range(1, COUNT + 1)}


def item(name: str, body: bytes, hashes: dict[str, str] | None = None) -> Item:
    return Item(name, len(body), modified="2024-01-01T00:00:00Z", hash_info=hashes)


def listed(bodies: Mapping[str, bytes] = BODIES, *, hashes: bool = False, info: bool = False) -> Manifest:
    items = [
        item(name, body, {"md5": hashlib.md5(body).hexdigest()} if hashes else None) for name, body in bodies.items()
    ]
    pages = pages_of(items, Item("ComicInfo.xml", 99) if info else None)
    return Manifest("vol", "/c/A", "/c", KEY, About("A", "A"), 1, "rev", pages)


def gallery_dl(
    bodies: Mapping[str, bytes], *, packing: int = ZIP_STORED, prefix: str = "", before: bytes = b""
) -> bytes:
    """As its zip postprocessor writes it in safe mode: opened for appending for each file."""
    book = io.BytesIO(before)
    for name, body in bodies.items():
        book.seek(0)
        with ZipFile(book, "a", packing) as archive:
            archive.writestr(prefix + name, body)
    return book.getvalue()


class Shelf:
    """A library with one book that somebody put there."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "library" / KEY
        self.store = FolderStore(folder / "library", work=FolderStore(folder / "work"))
        self.watched = WatchedStore(self.store)

    def put(self, book: bytes) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(book)

    def adopt(self, book: bytes, manifest: Manifest, hash_check: str = "warn") -> Adopted | Refused:
        self.put(book)
        info = self.store.head(KEY)
        assert info is not None
        return adopt(self.watched, info, manifest, hash_check=hash_check)

    def reads(self) -> int:
        return self.watched.calls.count(("stream", KEY))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def assert_adopted(found: Adopted | Refused, book: bytes, manifest: Manifest, *, stored: bool = True) -> None:
    assert isinstance(found, Adopted), found
    pages = [page for page in manifest.pages if page.kind == "page"]
    assert (found.size, found.crc32c) == (len(book), google_crc32c.value(book))
    assert [row.page for row in found.pages] == [page.id for page in pages]
    with ZipFile(io.BytesIO(book)) as archive:
        for row in found.pages:
            content = archive.read(row.name)
            assert (row.size, row.crc32) == (len(content), zlib.crc32(content))
            assert row.offset == PACKED if not stored else book[row.offset :][: row.size] == content


def refusal(found: Adopted | Refused) -> str:
    assert isinstance(found, Refused), found
    assert found.reason.isprintable()
    return found.reason


@pytest.mark.parametrize("prefix", ["", "A title_", "A title/"])
@pytest.mark.parametrize("packing", [ZIP_STORED, ZIP_DEFLATED])
def test_a_book_of_gallery_dl_is_adopted(shelf: Shelf, prefix: str, packing: int) -> None:
    manifest = listed()
    book = gallery_dl(BODIES, packing=packing, prefix=prefix)

    assert_adopted(shelf.adopt(book, manifest), book, manifest, stored=packing == ZIP_STORED)
    assert shelf.reads() == 2


def test_a_book_of_our_own_is_adopted_where_its_receipt_was_lost(shelf: Shelf) -> None:
    manifest = listed({f"{number}.png": picture("a" * number, 300 - number) for number in range(1, 13)})
    bodies = [picture("a" * number, 300 - number) for number in range(1, 13)]
    assert manifest.pages[0].book_name == "0001.png"
    last = b"<ComicInfo/>"
    entries = [Entry(p.book_name, zlib.crc32(body), p.size) for p, body in zip(manifest.pages, bodies, strict=True)]
    entries.append(Entry("ComicInfo.xml", zlib.crc32(last), len(last)))
    parts = (local_header(*entry) + body for entry, body in zip(entries, [*bodies, last], strict=True))
    book = b"".join(parts) + central_directory(entries)

    assert_adopted(shelf.adopt(book, manifest), book, manifest)


def test_what_is_no_page_does_not_matter(shelf: Shelf) -> None:
    manifest = listed(info=True)
    besides = {
        "ComicInfo.xml": b"<ComicInfo/>",
        "info.json": b"{}",
        "001.jpg.json": b"{}",
        "__MACOSX/._001.jpg": b"junk",
        "._002.jpg": b"junk",
        "@eaDir/001.jpg/SYNOPHOTO_THUMB_M.jpg": b"junk",
        "notes.txt": b"n" * 1000,
        "folder/": b"",
        "jpg": b"without a dot",
    }
    book = gallery_dl({**besides, **BODIES}, packing=ZIP_DEFLATED)

    assert_adopted(shelf.adopt(book, manifest), book, manifest, stored=False)


def test_pages_renamed_are_known_by_their_sizes_in_order(shelf: Shelf) -> None:
    manifest = listed({f"{number}.webp": body for number, body in enumerate(BODIES.values(), 9)})
    book = gallery_dl({f"site_{number:05}_p.jpg": body for number, body in enumerate(BODIES.values())})

    assert_adopted(shelf.adopt(book, manifest), book, manifest)


def test_renamed_pages_of_one_size_are_known_by_their_hashes_alone(shelf: Shelf) -> None:
    bodies = {f"{number}.jpg": picture(str(number), 300) for number in range(1, 4)}
    renamed = gallery_dl({f"x{name}": body for name, body in bodies.items()})

    assert "do not tell them apart" in refusal(shelf.adopt(renamed, listed(bodies)))
    assert "do not tell them apart" in refusal(shelf.adopt(renamed, listed(bodies, hashes=True), "off"))
    assert_adopted(shelf.adopt(renamed, listed(bodies, hashes=True)), renamed, listed(bodies, hashes=True))
    same = gallery_dl({name.upper(): body for name, body in bodies.items()})
    assert_adopted(shelf.adopt(same, listed(bodies)), same, listed(bodies))


def test_hashes_are_compared_unless_they_are_off(shelf: Shelf) -> None:
    manifest = listed(hashes=True)
    book = gallery_dl(BODIES | {"003.jpg": picture("another", 203)})

    assert refusal(shelf.adopt(book, manifest)) == "page 3 (003.jpg) has another md5 than the server lists"
    assert refusal(shelf.adopt(book, manifest, "strict")) == "page 3 (003.jpg) has another md5 than the server lists"
    assert_adopted(shelf.adopt(book, manifest, "off"), book, manifest)
    right = gallery_dl(BODIES)
    assert_adopted(shelf.adopt(right, manifest, "strict"), right, manifest)


def first(count: int) -> dict[str, bytes]:
    return dict(list(BODIES.items())[:count])


@pytest.mark.parametrize(
    ("bodies", "reason"),
    [
        (first(34), "it holds 34 of 60 pages"),
        (BODIES | {"061.jpg": b"x"}, "it holds 61 pages, the server lists 60"),
        (BODIES | {"003.jpg": b"x"}, "page 3 (003.jpg) has another size"),
        (BODIES | {"010.jpg": BODIES["011.jpg"], "011.jpg": BODIES["010.jpg"]}, "page 10 (010.jpg) has another size"),
        ({"info.json": b"{}"}, "it holds 0 of 60 pages"),
        (BODIES | {"../evil.txt": b"x"}, "it has an entry whose name leads out of it"),
        (BODIES | {"/evil.txt": b"x"}, "it has an entry whose name leads out of it"),
        (BODIES | {"a\\..\\evil.txt": b"x"}, "it has an entry whose name leads out of it"),
        (BODIES | {"film.mp4": b"\0" * (2**26 + 1)}, "it holds more than 64 MiB besides its pages"),
    ],
)
def test_a_book_that_differs_is_refused_before_it_is_read(shelf: Shelf, bodies: dict[str, bytes], reason: str) -> None:
    book = io.BytesIO()
    with ZipFile(book, "w", ZIP_DEFLATED) as archive:
        for name, body in bodies.items():
            archive.writestr(name, body)

    assert refusal(shelf.adopt(book.getvalue(), listed())) == reason
    assert shelf.reads() == 1


def test_a_book_cut_anywhere_is_refused(shelf: Shelf) -> None:
    book = gallery_dl(first(3))

    for length in [*range(0, len(book), 7), len(book) - 1]:
        assert refusal(shelf.adopt(book[:length], listed(first(3))))


def test_a_book_with_a_byte_wrong_is_refused_or_its_pages_are_right(shelf: Shelf) -> None:
    """Times, attributes and the like may be anything."""
    bodies = first(3)
    book = gallery_dl(bodies, packing=ZIP_DEFLATED)
    refused = 0
    for place in range(len(book)):
        wrong = book[:place] + bytes([book[place] ^ 0x55]) + book[place + 1 :]
        found = shelf.adopt(wrong, listed(bodies))
        refused += isinstance(found, Refused)
        if isinstance(found, Adopted):
            with ZipFile(io.BytesIO(wrong)) as archive:
                assert [archive.read(row.name) for row in found.pages] == list(bodies.values())
    assert refused > len(book) / 2


@pytest.mark.parametrize("place", [0, 8, 14, 30], ids=["signature", "method", "CRC-32", "name"])
def test_readers_that_know_local_headers_alone_must_see_the_same(shelf: Shelf, place: int) -> None:
    book = bytearray(gallery_dl(first(2)))
    start = book.index(b"PK\x03\x04", 1)
    book[start + place] ^= 1

    assert refusal(shelf.adopt(bytes(book), listed(first(2)))) == "page 2 (002.jpg) is damaged"


def test_a_page_that_unpacks_to_the_last_byte_of_a_piece_and_one_more(shelf: Shelf) -> None:
    bodies = {"1.png": picture("zeros", 2**18 + 1)}
    book = gallery_dl(bodies, packing=ZIP_DEFLATED)

    assert_adopted(shelf.adopt(book, listed(bodies)), book, listed(bodies), stored=False)


def test_two_entries_of_one_name_are_refused(shelf: Shelf) -> None:
    body = picture("twin", 300)
    book = io.BytesIO()
    with ZipFile(book, "w") as archive:
        archive.writestr("1.jpg", body)
        archive.writestr("2.jpg", body)
    manifest = listed({"1.jpg": body, "2.jpg": body}, hashes=True)
    twins = book.getvalue().replace(b"2.jpg", b"1.jpg")

    assert isinstance(shelf.adopt(book.getvalue(), manifest), Adopted)
    assert refusal(shelf.adopt(twins, manifest)) == "it has two entries of one name"


def test_a_name_that_ends_early_is_refused(shelf: Shelf) -> None:
    book = gallery_dl(first(1) | {"evil.jpg.txt": b"x"}).replace(b"evil.jpg.txt", b"evil.jpg\0txt")

    assert refusal(shelf.adopt(book, listed(first(1)))) == "it has an entry whose name leads out of it"


def test_a_broken_archive_before_the_right_one_is_refused(shelf: Shelf) -> None:
    """As gallery-dl leaves it: killed, then run again without its archive database."""
    book = gallery_dl(BODIES, before=gallery_dl(first(34))[:8000])

    assert refusal(shelf.adopt(book, listed())).startswith("it has 8,000 bytes that belong to no entry")


def test_an_entry_that_the_directory_does_not_name_is_noticed(shelf: Shelf) -> None:
    book = io.BytesIO()
    with ZipFile(book, "w") as archive:
        for name, body in (BODIES | {"061.jpg": b"hidden"}).items():
            archive.writestr(name, body)
        del archive.filelist[-1]

    assert "belong to no entry" in refusal(shelf.adopt(book.getvalue(), listed()))


def test_entries_that_overlap_are_refused(shelf: Shelf) -> None:
    body = picture("the same", 300)
    book = io.BytesIO()
    with ZipFile(book, "w") as archive:
        archive.writestr("1.jpg", body)
        twin = ZipInfo("2.jpg")
        first_one = archive.filelist[0]
        twin.CRC, twin.file_size, twin.compress_size = first_one.CRC, first_one.file_size, first_one.compress_size
        twin.header_offset = 0
        archive.filelist.append(twin)

    manifest = listed({"1.jpg": body, "2.jpg": body})
    assert refusal(shelf.adopt(book.getvalue(), manifest)) in (
        "its entries overlap",
        "it is no zip, or a damaged or unfinished one",
    )


def test_sizes_that_follow_an_entry_belong_to_it(shelf: Shelf) -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    written = Unseekable()
    with ZipFile(written, "w", ZIP_DEFLATED) as archive:
        for name, body in BODIES.items():
            archive.writestr(name, body)
    book = written.getvalue()

    assert_adopted(shelf.adopt(book, listed()), book, listed(), stored=False)


def test_zip64_is_read(shelf: Shelf) -> None:
    written = io.BytesIO()
    with ZipFile(written, "w") as archive:
        for name, body in BODIES.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(body)
        archive.comment = b"a comment"
    book = written.getvalue()

    assert_adopted(shelf.adopt(book, listed()), book, listed())


def test_an_encrypted_book_is_refused(shelf: Shelf) -> None:
    book = bytearray(gallery_dl(first(1)))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        book[book.index(signature) + flags] |= 1

    assert refusal(shelf.adopt(bytes(book), listed(first(1)))) == "it is encrypted"


def test_a_method_that_readers_do_not_know_is_refused(shelf: Shelf) -> None:
    book = gallery_dl(first(2), packing=ZIP_BZIP2)

    assert refusal(shelf.adopt(book, listed(first(2)))) == "it is compressed by a method that few readers know"


def bomb(claimed: int, real: int) -> bytes:
    """A book whose one page unpacks to more than its directory says."""
    written = io.BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as archive:
        archive.writestr("1.jpg", picture("x", 100) + b"\0" * real)
        archive.filelist[0].file_size = claimed
    return written.getvalue()


def test_a_bomb_is_not_unpacked_further_than_its_directory_says(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = 0
    take = adopting._Picture.take

    def counting(content: adopting._Picture, piece: bytes | memoryview) -> None:
        nonlocal unpacked
        unpacked += len(piece)
        take(content, piece)

    monkeypatch.setattr(adopting._Picture, "take", counting)
    assert isinstance(shelf.adopt(bomb(1000, 2**24), listed({"1.jpg": b"x" * 1000})), Refused)
    assert 1000 < unpacked <= adopting._PIECE


def test_a_bomb_is_refused_in_little_memory(shelf: Shelf) -> None:
    book = bomb(1000, 2**27)
    manifest = listed({"1.jpg": b"x" * 1000})
    shelf.adopt(gallery_dl(first(1)), listed(first(1)))
    tracemalloc.start()
    try:
        assert refusal(shelf.adopt(book, manifest)) == "page 1 (1.jpg) is damaged"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 * 2**20


def test_a_large_book_is_read_in_little_memory(shelf: Shelf) -> None:
    bodies = {f"{number:02}.jpg": picture(str(number), 2**22 + number) for number in range(8)}
    book, manifest = gallery_dl(bodies), listed(bodies)
    shelf.put(book)
    info = shelf.store.head(KEY)
    assert info is not None
    shelf.adopt(gallery_dl(first(1)), listed(first(1)))
    shelf.put(book)
    tracemalloc.start()
    try:
        found = adopt(shelf.store, info, manifest, hash_check="warn")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(found, Refused)
    assert found.reason == "it changed while it was read"
    assert peak < 6 * 2**20


def test_a_directory_that_is_far_too_large_is_not_read(shelf: Shelf) -> None:
    book = gallery_dl(first(1) | {f"{'x' * 900}{number}.txt": b"" for number in range(400)})

    assert refusal(shelf.adopt(book, listed(first(1)))) == "its directory is far larger than its pages need"


def test_a_page_that_is_no_picture_is_refused(shelf: Shelf) -> None:
    html = b"<html>".ljust(203)
    cut = picture("cut", 400)[:203]

    for wrong, reason in ((html, "is no known kind of image"), (cut, "ends in the middle of the picture")):
        found = shelf.adopt(gallery_dl(BODIES | {"003.jpg": wrong}), listed())
        assert refusal(found) == f"page 3 (003.jpg) {reason}"


def test_a_book_that_changes_meanwhile_is_refused(shelf: Shelf) -> None:
    book = gallery_dl(BODIES)
    shelf.watched.before = lambda operation, _: shelf.put(book + b"\0") if operation == "head" else None

    assert refusal(shelf.adopt(book, listed())) == "it changed while it was read"


def test_a_book_that_is_gone_is_an_error_of_the_store(shelf: Shelf) -> None:
    shelf.watched.before = lambda *_: shelf.file.unlink(missing_ok=True)

    with pytest.raises(KeyMissing):
        shelf.adopt(gallery_dl(BODIES), listed())


def test_names_on_the_server_that_hold_anything_are_shown_on_one_line(shelf: Shelf) -> None:
    reason = refusal(shelf.adopt(gallery_dl({"1.jpg": b"x"}), listed({"a\nb.jpg": b"xy"})))

    assert reason == "page 1 (a\\nb.jpg) has another size"


def archive_manifest(body: bytes, **hashes: str) -> Manifest:
    return listed()._replace(pages=archive_of(item("A.zip", body, hashes or None)))


def test_an_archive_is_adopted_whole(shelf: Shelf) -> None:
    body = b"PK whatever" * 1000
    sha1 = hashlib.sha1(body).hexdigest()
    page = archive_manifest(body).pages[0]

    found = shelf.adopt(body, archive_manifest(body))
    assert isinstance(found, Adopted)
    assert (found.size, found.crc32c) == (len(body), google_crc32c.value(body))
    assert [row[2:] for row in found.pages] == [(0, len(body), zlib.crc32(body))]
    assert found.pages[0].page == page.id
    assert isinstance(shelf.adopt(body, archive_manifest(body, sha1=sha1.upper())), Adopted)
    assert (
        refusal(shelf.adopt(body, archive_manifest(body, sha1="0" * 40))) == "it has another sha1 than the server lists"
    )
    assert isinstance(shelf.adopt(body, archive_manifest(body, sha1="0" * 40), "off"), Adopted)
    assert refusal(shelf.adopt(body[:-1], archive_manifest(body))) == "it has 10999 bytes, the server lists 11000"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    junk=st.binary(max_size=60),
    fields=st.tuples(*[st.integers(0, 2**16 - 1)] * 4, *[st.integers(0, 2**32 - 1)] * 2),
    entry=st.binary(min_size=42, max_size=42),
)
def test_whatever_a_file_claims_it_is_refused(shelf: Shelf, junk: bytes, fields: tuple[int, ...], entry: bytes) -> None:
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", *fields, 0)

    assert isinstance(shelf.adopt(junk + b"PK\x01\x02" + entry + end, listed(first(1))), Refused)
    directory = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 46, len(junk), 0)
    assert isinstance(shelf.adopt(junk + b"PK\x01\x02" + entry + directory, listed(first(1))), Refused)
