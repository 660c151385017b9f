"""Programs that people open books with, each asked for its opinion of some books."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from tests.support.paths import READ_ZIPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Pages = dict[str, bytes]
"""What a book holds: names and bytes, in order."""


def needs(program: str) -> str:
    """Where a program is; skips the test where it is not."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: its opinion is missing")
    return found


def by_python(book: Path) -> Pages:
    with zipfile.ZipFile(book) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def unzip_accepts(books: Mapping[Path, Pages]) -> None:
    unzip = needs("unzip")
    for book in books:
        tested = _run(unzip, "-tqq", book)
        assert (tested.returncode, tested.stdout, tested.stderr) == (0, b"", b"")


def seven_zip_accepts(books: Mapping[Path, Pages]) -> None:
    seven_zip = needs("7z")
    for book in books:
        tested = _run(seven_zip, "t", book)
        assert tested.returncode == 0, tested.stdout
        assert b"Everything is Ok" in tested.stdout
        assert b"Warning" not in tested.stdout


def libarchive_extracts(books: Mapping[Path, Pages]) -> None:
    bsdtar = needs("bsdtar")
    for book, pages in books.items():
        extracted = _run(bsdtar, "--options", "hdrcharset=UTF-8", "-xOf", book)
        assert (extracted.returncode, extracted.stdout) == (0, b"".join(pages.values())), extracted.stderr


def java_reads(books: Mapping[Path, Pages]) -> None:
    """As a stream and by the directory, names and checksums."""
    read = _run(needs("java"), "-Dfile.encoding=UTF-8", READ_ZIPS, *books)
    assert read.returncode == 0, read.stderr.decode()
    assert read.stdout.decode().splitlines() == [
        f"{how} {book} {name.encode().hex()} {zlib.crc32(data)}"
        for book, pages in books.items()
        for how in ("stream", "directory")
        for name, data in pages.items()
    ]


READERS = (unzip_accepts, seven_zip_accepts, libarchive_extracts, java_reads)


def _run(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, check=False, timeout=120)
