from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pagebind.core.zip_layout import (
    Entry,
    central_directory,
    entry_size,
    local_header,
    offsets,
    parse_local_header,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GIB = 1 << 30
MANY = 65_600
READ_ZIPS = Path(__file__).parent.parent / "support" / "ReadZips.java"

AWKWARD_PAGES = {
    "001.jpg": b"\xff\xd8\xff" + bytes(5000),
    "with space.jpg": b"1",
    "100%25 %.jpg": b"2",
    "#1?+&=.jpg": b"3",
    'it\'s "quoted".jpg': b"4",
    "第１巻 表紙.jpg": b"5",
    "naïve é.png": b"6",
    "😀👩\u200d👧.webp": b"7",
    "PK\x03\x04.gif": b"PK\x03\x04PK\x05\x06",
    "empty.png": b"",
    "ComicInfo.xml": b"<ComicInfo/>",
}

safe_names = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="/\\\0"), min_size=1, max_size=40
).filter(lambda name: name not in {".", ".."})


def entry_of(name: str, data: bytes) -> Entry:
    return Entry(name, zlib.crc32(data), len(data))


def book_of(pages: Mapping[str, bytes]) -> bytes:
    entries = [entry_of(name, data) for name, data in pages.items()]
    parts = [local_header(entry.name, entry.crc32, entry.size) + pages[entry.name] for entry in entries]
    return b"".join(parts) + central_directory(entries)


def read_by_python(book: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: its opinion is missing")
    return found


def run(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, dict[str, bytes]]:
    """Books on disk that other programs read: awkward names, one page, many pages (zip64 by count)."""
    folder = tmp_path_factory.mktemp("books")
    contents = {
        folder / "awkward.cbz": AWKWARD_PAGES,
        folder / "one.cbz": {"1.jpg": b"page"},
        folder / "many.cbz": {f"{number:05}.jpg": b"%d" % number for number in range(MANY)},
    }
    for path, pages in contents.items():
        path.write_bytes(book_of(pages))
    return contents


@given(st.dictionaries(safe_names, st.binary(max_size=300), max_size=8))
def test_every_book_opens_with_the_same_names_order_and_bytes(pages: dict[str, bytes]) -> None:
    book = book_of(pages)

    assert list(read_by_python(book).items()) == list(pages.items())
    assert book == book_of(pages)


@given(
    st.lists(st.builds(Entry, safe_names, st.integers(0, 2**32 - 1), st.integers(0, 2**40)), unique_by=lambda e: e.name)
)
def test_sizes_and_offsets_are_known_beforehand(entries: list[Entry]) -> None:
    starts = list(offsets(entries))

    ends = [start + entry_size(entry) for start, entry in zip(starts, entries, strict=True)]
    assert starts == [0, *ends][:-1] if entries else starts == []
    assert _book_size(entries) == (ends[-1] if ends else 0) + len(central_directory(entries))


def test_the_profile_of_an_entry() -> None:
    with zipfile.ZipFile(io.BytesIO(book_of(AWKWARD_PAGES))) as archive:
        assert archive.comment == b""
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.flag_bits == (0 if info.filename.isascii() else 0x800)
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr == 0o100644 << 16
            assert info.extract_version == 10
            assert info.extra == info.comment == b""


def test_the_local_header_to_the_byte() -> None:
    header = local_header("é.jpg", 0x01020304, 5)

    assert header == b"PK\x03\x04\x0a\0\0\x08\0\0\0\0\x21\0\4\3\2\1\5\0\0\0\5\0\0\0\6\0\0\0" + "é.jpg".encode()


@given(safe_names, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=50))
def test_parsing_a_local_header_is_the_inverse_of_writing_it(name: str, crc32: int, size: int, more: bytes) -> None:
    header = local_header(name, crc32, size)

    assert parse_local_header(header + more) == (name, crc32, size, len(header))


@given(safe_names, st.sampled_from([0, 5, 2**32 - 2, 2**32 - 1, 2**40]), st.data())
def test_any_other_local_header_is_refused_or_means_something_else(name: str, size: int, data: st.DataObject) -> None:
    header = bytearray(local_header(name, 7, size))
    at = data.draw(st.integers(0, len(header) - 1))
    header[at] ^= data.draw(st.integers(1, 255))

    try:
        parsed = parse_local_header(bytes(header))
    except ValueError:
        return
    assert parsed[:3] != (name, 7, size)
    assert local_header(*parsed[:3]) == header[: parsed[3]]


@given(st.binary(max_size=100).filter(lambda data: not data.startswith(b"PK\x03\x04")))
@example(bytes(30))
def test_other_bytes_are_no_local_header(data: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        parse_local_header(data)


def test_a_local_header_that_is_cut_is_refused() -> None:
    header = local_header("page.jpg", 1, 2**33)

    for length in range(len(header)):
        with pytest.raises(ValueError, match="short"):
            parse_local_header(header[:length])


@pytest.mark.parametrize("found", [{"flags": 8}, {"method": 8}, {"time": 1}, {"needed": 20}])
def test_headers_of_other_writers_are_refused(found: dict[str, int]) -> None:
    values = {"needed": 10, "flags": 0, "method": 0, "time": 0} | found
    header = struct.pack("<4s5H3I2H", b"PK\3\4", *values.values(), 0x21, 7, 5, 5, 1, 0) + b"a"

    with pytest.raises(ValueError, match="not a local file header of a book"):
        parse_local_header(header)


@pytest.mark.parametrize(
    "name", ["", "/a.jpg", "../a.jpg", "a/../b.jpg", "./a.jpg", "a//b.jpg", "a/", "a\\b.jpg", "a\0.jpg", "x" * 65_536]
)
def test_names_that_are_not_safe_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        local_header(name, 0, 0)
    with pytest.raises(ValueError, match="name"):
        central_directory([Entry(name, 0, 0)])


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        local_header("\ud800.jpg", 0, 0)


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        central_directory([Entry("1.jpg", 0, 0), Entry("2.jpg", 0, 0), Entry("1.jpg", 1, 1)])


@pytest.mark.parametrize(("crc32", "size"), [(-1, 0), (2**32, 0), (0, -1), (0, 2**64)])
def test_impossible_numbers_are_refused(crc32: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such file"):
        local_header("1.jpg", crc32, size)


def write_sparse(path: Path, entries: list[Entry]) -> None:
    """A book of the right size whose pages are holes."""
    with path.open("wb") as file:
        for entry, start in zip(entries, offsets(entries), strict=True):
            file.seek(start)
            file.write(local_header(entry.name, entry.crc32, entry.size))
        file.seek(sum(map(entry_size, entries)))
        file.write(central_directory(entries))


ZIP64_BY_SIZE = {
    "one byte below": ([4 * GIB - 2], [False]),
    "a size that is the mark itself": ([4 * GIB - 1], [True]),
    "a size beyond 4 GiB": ([4 * GIB + 5], [True]),
    "an offset beyond 4 GiB": ([3 * GIB, 2 * GIB, 1], [False, False, True]),
    "size and offset": ([4 * GIB, 4 * GIB, 7], [True, True, True]),
}


@pytest.mark.parametrize(("sizes", "zip64"), ZIP64_BY_SIZE.values(), ids=ZIP64_BY_SIZE)
def test_zip64_by_size_or_offset_only_where_demanded(tmp_path: Path, sizes: list[int], zip64: list[bool]) -> None:
    entries = [Entry(f"{number}.jpg", number, size) for number, size in enumerate(sizes)]
    book = tmp_path / "sparse.cbz"
    write_sparse(book, entries)

    with zipfile.ZipFile(book) as archive:
        infos = archive.infolist()
    assert [(info.filename, info.CRC, info.file_size, info.header_offset) for info in infos] == [
        (entry.name, entry.crc32, entry.size, start) for entry, start in zip(entries, offsets(entries), strict=True)
    ]
    assert [info.extract_version == 45 for info in infos] == zip64
    assert book.stat().st_size == _book_size(entries)


def test_a_local_header_has_zip64_from_the_size_that_is_the_mark_itself() -> None:
    below = local_header("1.jpg", 7, 2**32 - 2)
    at = local_header("1.jpg", 7, 2**32 - 1)

    assert below[18:26] == struct.pack("<2I", 2**32 - 2, 2**32 - 2)
    assert below[30:] == b"1.jpg"
    assert at[18:26] == b"\xff" * 8
    assert at[30:] == b"1.jpg" + struct.pack("<2H2Q", 1, 16, 2**32 - 1, 2**32 - 1)


@pytest.mark.parametrize(("offset", "extra"), [(2**32 - 2, b""), (2**32 - 1, struct.pack("<2HQ", 1, 8, 2**32 - 1))])
def test_the_directory_has_zip64_from_the_offset_that_is_the_mark_itself(offset: int, extra: bytes) -> None:
    tail = central_directory([Entry("1", 0, offset - 31), Entry("2", 0, 0)])

    second = tail[47:]
    assert second[42:46] == struct.pack("<I", offset)
    assert second[30:32] == struct.pack("<H", len(extra))
    assert second[46 : 47 + len(extra)] == b"2" + extra


def test_other_readers_list_a_book_beyond_4_gib(tmp_path: Path) -> None:
    entries = [Entry("1.jpg", 1, 5 * GIB), Entry("2.jpg", 2, 10), Entry("3.jpg", 3, 4 * GIB - 1)]
    book = tmp_path / "sparse.cbz"
    write_sparse(book, entries)

    listing = run(needs("bsdtar"), "-tvf", book)
    assert listing.returncode == 0, listing.stderr
    assert [int(line.split()[4]) for line in listing.stdout.splitlines()] == [entry.size for entry in entries]
    listing = run(needs("7z"), "l", book)
    assert listing.returncode == 0, listing.stdout


@pytest.mark.parametrize(("count", "zip64"), [(65_534, False), (65_535, True), (MANY, True)])
def test_zip64_by_count_only_where_demanded(count: int, zip64: bool) -> None:
    tail = central_directory(Entry(str(number), 0, 0) for number in range(count))

    assert (b"PK\x06\x06" in tail[-98:]) == (b"PK\x06\x07" in tail[-98:]) == zip64
    assert struct.unpack("<H", tail[-12:-10])[0] == min(count, 0xFFFF)


def test_zip64_by_where_the_directory_begins() -> None:
    below = central_directory([Entry("1", 0, 4 * GIB - 33)])
    beyond = central_directory([Entry("1", 0, 4 * GIB - 32)])

    assert b"PK\x06\x06" not in below
    assert b"PK\x06\x06" in beyond


def test_the_directory_takes_little_memory_beyond_itself() -> None:
    def entries() -> Iterable[Entry]:
        return (Entry(f"{number:05}" + "x" * 100, 0, 1) for number in range(MANY))

    tracemalloc.start()
    names = [entry.name for entry in entries()]  # what the caller holds anyway
    held = tracemalloc.get_traced_memory()[0]
    tail = central_directory(Entry(name, 0, 1) for name in names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak - held - len(tail) < 150 * MANY


def test_python_reads_more_pages_than_16_bits_can_count(books: dict[Path, dict[str, bytes]]) -> None:
    for path, pages in books.items():
        assert list(read_by_python(path.read_bytes()).items()) == list(pages.items())


def test_unzip_accepts_every_book(books: dict[Path, dict[str, bytes]]) -> None:
    unzip = needs("unzip")

    for path in books:
        tested = run(unzip, "-tqq", path)
        assert (tested.returncode, tested.stdout, tested.stderr) == (0, b"", b"")


def test_7z_accepts_every_book_without_a_warning(books: dict[Path, dict[str, bytes]]) -> None:
    seven_zip = needs("7z")

    for path in books:
        tested = run(seven_zip, "t", path)
        assert tested.returncode == 0, tested.stdout
        assert b"Everything is Ok" in tested.stdout
        assert b"Warning" not in tested.stdout


def test_libarchive_extracts_the_same_bytes(books: dict[Path, dict[str, bytes]]) -> None:
    bsdtar = needs("bsdtar")

    for path, pages in books.items():
        extracted = run(bsdtar, "--options", "hdrcharset=UTF-8", "-xOf", path)
        assert (extracted.returncode, extracted.stdout) == (0, b"".join(pages.values())), extracted.stderr


def test_java_reads_every_book_as_a_stream_and_by_its_directory(books: dict[Path, dict[str, bytes]]) -> None:
    read = run(needs("java"), "-Dfile.encoding=UTF-8", READ_ZIPS, *books)

    assert read.returncode == 0, read.stderr.decode()
    assert read.stdout.decode().splitlines() == [
        f"{how} {path} {name.encode().hex()} {zlib.crc32(data)}"
        for path, pages in books.items()
        for how in ("stream", "directory")
        for name, data in pages.items()
    ]


def _book_size(entries: list[Entry]) -> int:
    return sum(map(entry_size, entries)) + len(central_directory(entries))
