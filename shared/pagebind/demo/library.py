"""The small library of the demo: what comics on a server look like, odd names and odd folders included."""

from __future__ import annotations

import io
import os
import zipfile
from typing import TYPE_CHECKING

from pagebind.demo import pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_MAKERS: Mapping[str, Callable[[str], bytes]] = {
    "jpg": pictures.jpeg,
    "png": pictures.png,
    "gif": pictures.gif,
    "webp": pictures.webp,
}

_VOLUMES: Mapping[str, tuple[str, ...]] = {
    "One Piece/Vol 01": tuple(f"{number:03}.jpg" for number in range(1, 13)),
    "One Piece/Vol 02": ("1.png", "2.png", "3.png", "9.gif", "10.webp"),
    "深夜食堂/第1巻": ("封面.png", "01.jpg", "02.jpg", "03.jpg"),
    "Akira/Vol 1": ("cover.png", "001.jpg", "002.jpg", "003.jpg"),
    "Berserk/Vol 3/jpg": ("001.png", "002.png", "003.png"),
    "鳥山明/Dr.スランプ/第1巻": ("001.jpg", "002.jpg", "003.jpg"),
    "Moby Dick/Tome 1": ("1.png", "2.png", "3.png"),
    "Chapters/Tower/Vol 1/Ch 1": ("1.png", "2.png", "3.png"),
    "Chapters/Tower/Vol 1/Ch 2": ("1.png", "2.png"),
    "Chapters/Tower/Vol 1/Ch 10": ("1.png", "2.png"),
    "Ongoing/One Piece 海贼王（更新至1101话）/Vol 03 第3卷": ("001.webp", "002.webp", "003.webp"),  # noqa: RUF001
}
_WEBP_AS_JPEG = "Akira/Vol 1/004.jpg"
_LOOSE = "Akira/poster.png"
_ARCHIVE = "Berserk/Berserk v02.cbz"
_SHADOWED = tuple(f"Berserk/Berserk v02/{number}.png" for number in range(1, 4))
_INFO = "Moby Dick/Tome 1/ComicInfo.xml"
_INFO_TEXT = """\
<?xml version="1.0" encoding="utf-8"?>
<ComicInfo>
  <Summary>Call me Ishmael.</Summary>
  <Writer>Herman Melville</Writer>
</ComicInfo>
"""

_ODD_FOLDER = "100% Cotton/Vol 1 #2"
_ODD_NAMES = ("50%1.png", "50%2.png", "a+b & c.png", "it's 😀.png")
_NOT_ON_WINDOWS = ('who? "me".png',)

MAIN_SUBSCRIPTION: Mapping[str, object] = {"subscription.path": "/comics", "subscription.archives": "copy"}
"""Settings, by `Setting.name`, of the subscription to the library, which is mounted at ``/comics``."""

OTHER_SUBSCRIPTIONS = r"""
# Chapters of a volume lie in folders of their own: they become one book, called by its number.
[[subscription]]
path = "/comics/Chapters"
layout = "{series}/{volume}/{chapter}"
library = "{series}/{series} {number:03}.cbz"

# Names that change each week, in two languages: what changes is taken out.
[[subscription]]
path = "/comics/Ongoing"
strip = ['更新至\d+话']
language = "zh"
reading_direction = "rtl"
reader = "komga"
"""
"""TOML of the folders in it that want settings of their own."""


def demo_pages() -> dict[str, bytes]:
    """Every picture that belongs into a book, by its path in the library: each another one, all valid."""
    odd = _ODD_NAMES + (_NOT_ON_WINDOWS if os.name != "nt" else ())
    volumes = {**_VOLUMES, _ODD_FOLDER: odd}
    paths = [f"{folder}/{name}" for folder, names in volumes.items() for name in names]
    pages = {path: _MAKERS[path.rpartition(".")[2]](path) for path in paths}
    return {**pages, _WEBP_AS_JPEG: pictures.webp(_WEBP_AS_JPEG)}


def write_demo_library(folder: Path) -> None:
    """Write below ``folder`` what becomes eleven books.

    Ten are made of folders, one of them with a ``ComicInfo.xml`` of its own; one is an archive, which a folder of the
    same name lies beside. A loose picture becomes none.

    Raises:
        OSError: it cannot be written.
    """
    others = {
        _LOOSE: pictures.png(_LOOSE),
        _ARCHIVE: _archive(),
        _INFO: _INFO_TEXT.encode(),
        **{path: pictures.png(path) for path in _SHADOWED},
    }
    for path, data in {**demo_pages(), **others}.items():
        file = folder / path
        if not file.is_file() or file.read_bytes() != data:  # written again, a file would seem to have changed
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


def _archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(1, 4):
            picture = zipfile.ZipInfo(f"{number:03}.png")  # of a time that is always the same
            archive.writestr(picture, pictures.png(f"{_ARCHIVE}/{number}"))
    return data.getvalue()
