"""What a book should be, said a second time: from the server's own files, in the simplest way, without Pagebind."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

import defusedxml.ElementTree
import xmlschema
from tests.support.paths import COMICINFO_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.readers import Pages

_COVERS = {"cover", "front", "folder", "封面", "表紙"}
_PICTURES = {".jpg", ".png", ".gif", ".webp"}
_SCHEMA = xmlschema.XMLSchema(COMICINFO_SCHEMA)


def natural(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", name.casefold())]


def is_cover(name: str) -> bool:
    return name.rpartition(".")[0].casefold() in _COVERS


def pages_of(folder: Path) -> Pages:
    """The pages of a folder of the server as a zip made by `zipfile` would hold them: covers first, natural order."""
    names = [file.name for file in folder.iterdir() if file.suffix in _PICTURES and not file.name.startswith(".")]
    ordered = sorted(sorted(names, key=natural), key=lambda name: not is_cover(name))
    titles = ordered
    if any(sorted(ordered, key=key) != ordered for key in (str, str.casefold, natural)):
        width = max(4, *(len(digits) for name in names for digits in re.findall(r"\d+", name)))
        titles = [
            f"0000_{name}" if is_cover(name) else re.sub(r"\d+", lambda digits: digits[0].zfill(width), name)
            for name in ordered
        ]
    return {title: folder.joinpath(name).read_bytes() for title, name in zip(titles, ordered, strict=True)}


def check_book(book: Path, pages: Pages) -> None:
    """The book holds exactly these pages in this order, and a ComicInfo that keeps to its schema and fits them."""
    with zipfile.ZipFile(book) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == [*pages, "ComicInfo.xml"]
        for name, data in pages.items():
            assert archive.read(name) == data, f"{book}: {name}"
        info = archive.read("ComicInfo.xml").decode()
    _SCHEMA.validate(info)
    root = defusedxml.ElementTree.fromstring(info.encode())
    assert root.findtext("Series") == book.parent.name
    assert root.findtext("Title") == book.stem
    assert root.findtext("PageCount") == str(len(pages))
    listed = [(page.get("Image"), page.get("ImageSize")) for page in root.iter("Page")]
    assert listed == [(str(number), str(len(data))) for number, data in enumerate(pages.values())]
    for page, data in zip(root.iter("Page"), pages.values(), strict=True):
        if data.startswith(b"\x89PNG"):
            measures = [int.from_bytes(data[at : at + 4], "big") for at in (16, 20)]
            assert [int(page.get("ImageWidth", 0)), int(page.get("ImageHeight", 0))] == measures
