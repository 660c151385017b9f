"""The demo library: real pictures, each another one, under the names that hurt."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import imagesize
import pytest

from pagebind.demo.library import demo_pages, write_demo_library

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = {"jpg": b"\xff\xd8\xff", "png": b"\x89PNG", "gif": b"GIF89a", "webp": b"RIFF"}


@pytest.mark.parametrize("path", demo_pages())
def test_every_page_is_a_picture(path: str) -> None:
    data = demo_pages()[path]
    assert min(imagesize.get(io.BytesIO(data))) >= 1
    as_named = data.startswith(MAGIC[path.rpartition(".")[2]])
    assert as_named or (path == "Akira/Vol 1/004.jpg" and data.startswith(b"RIFF"))


def test_every_page_is_another_picture() -> None:
    pages = demo_pages()
    assert len(set(pages.values())) == len(pages)


def test_the_library_is_what_it_says(tmp_path: Path) -> None:
    write_demo_library(tmp_path)
    files = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: files[path].read_bytes() for path in demo_pages()} == demo_pages()
    assert set(files) - set(demo_pages()) == {
        "Akira/poster.png",
        "Berserk/Berserk v02.cbz",
        *(f"Berserk/Berserk v02/{number}.png" for number in (1, 2, 3)),
        "Moby Dick/Tome 1/ComicInfo.xml",
    }
    with zipfile.ZipFile(files["Berserk/Berserk v02.cbz"]) as archive:
        assert archive.testzip() is None


def test_it_is_always_the_same(tmp_path: Path) -> None:
    write_demo_library(tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    write_demo_library(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_odd_names_are_among_them() -> None:
    names = "".join(demo_pages())
    assert all(character in names for character in "%#+&'😀深")
