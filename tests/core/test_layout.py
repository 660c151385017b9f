from __future__ import annotations

import pytest

from pagebind.core import layout
from pagebind.core.layout import Placed
from pagebind.core.library_key import library_key
from pagebind.core.model import Item


def listing(*names: str) -> list[Item]:
    """A name with a slash at its end is a folder."""
    return [Item(name.rstrip("/"), is_dir=name.endswith("/")) for name in names]


@pytest.mark.parametrize(
    ("subscription", "folder", "key"),
    [
        ("/comics", "/comics", "comics/comics.cbz"),
        ("/comics", "/comics/A", "A/A.cbz"),
        ("/comics", "/comics/A/1", "A/1.cbz"),
        ("/comics", "/comics/X/A/1", "A/1.cbz"),
        ("/comics", "/comics/X/Y/A/1", "A/1.cbz"),
        ("/comics", "/comics/A/jpg", "A/A.cbz"),
        ("/comics", "/comics/A/1/PNG", "A/1.cbz"),
        ("/comics", "/comics/A/1/scans", "A/1.cbz"),
        ("/comics", "/comics/A/1/images/webp", "A/1.cbz"),
        ("/comics", "/comics/A/pages/1", "pages/1.cbz"),
        ("/comics", "/comics/pages", "comics/comics.cbz"),
        ("/a/comics", "/a/comics/A/1", "A/1.cbz"),
        ("/", "/", "root/root.cbz"),
        ("/", "/A", "A/A.cbz"),
        ("/", "/A/1", "A/1.cbz"),
    ],
)
def test_folders_to_keys(subscription: str, folder: str, key: str) -> None:
    name = layout.name_volume(subscription, folder)

    assert library_key("{series}/{volume}.cbz", name.series, name.name) == key


def test_a_name_is_series_and_volume() -> None:
    assert layout.name_volume("/c", "/c/Series/Volume") == Placed("/c/Series/Volume", "Series", "Volume")


@pytest.mark.parametrize(
    "name",
    [
        "1.jpg",
        "1.JPEG",
        "1.png",
        "1.webp",
        "1.gif",
        "1.avif",
        "1.jxl",
        "1.heic",
        "1.heif",
        "1.bmp",
        "1.tif",
        "x.y.TIFF",
    ],
)
def test_pictures_are_pages(name: str) -> None:
    assert [item.name for item in layout.sort_out(listing(name), None).pages] == [name]


@pytest.mark.parametrize("name", ["1.txt", "comicinfo.xml", "Thumbs.db", "._1.jpg", "1.jpg.part", "1", "jpg"])
def test_other_files_are_no_pages(name: str) -> None:
    contents = layout.sort_out(listing(name), None)

    assert (contents.pages, contents.archives) == ((), ())


@pytest.mark.parametrize("name", ["1.cbz", "1.ZIP", "1.cbr", "1.rar", "1.7z", "1.pdf", "1.epub"])
def test_archives_are_told_apart(name: str) -> None:
    contents = layout.sort_out(listing(name), None)

    assert (contents.pages, [item.name for item in contents.archives]) == ((), [name])


def test_junk_folders_are_not_entered() -> None:
    assert layout.sort_out(listing("__MACOSX/", "@eaDir/", "B/", "A/"), None).folders == ("A", "B")


def test_a_folder_with_the_name_of_a_picture_is_a_folder() -> None:
    contents = layout.sort_out(listing("1.jpg/"), None)

    assert (contents.pages, contents.folders) == ((), ("1.jpg",))


def test_the_users_filters_leave_out_files_and_folders() -> None:
    contents = layout.sort_out(
        listing("1.jpg", "credits.jpg", "raw/", "A/"), lambda name, is_dir: name == ("raw" if is_dir else "credits.jpg")
    )

    assert [item.name for item in contents.pages] == ["1.jpg"]
    assert (contents.folders, contents.excluded_folders, contents.excluded_pages) == (("A",), ("raw",), 1)


@pytest.mark.parametrize(
    ("names", "loose"),
    [
        (("1.jpg", "A/"), True),
        (("1.jpg", "2.jpg", "A/"), True),
        (("1.jpg", "2.jpg", "3.jpg", "A/"), False),
        (("1.jpg", "2.jpg"), False),
    ],
)
def test_few_pictures_beside_folders_are_loose(names: tuple[str, ...], loose: bool) -> None:
    assert layout.is_loose(layout.sort_out(listing(*names), None)) is loose


@pytest.mark.parametrize(
    ("path", "folder", "below"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/a", "/a/b", False),
        ("/a", "/", True),
        ("/", "/", True),
    ],
)
def test_what_lies_below(path: str, folder: str, below: bool) -> None:
    assert layout.is_below(path, folder) is below


def test_paths_are_joined() -> None:
    assert layout.join("/", "a") == "/a"
    assert layout.join("/a", "b") == "/a/b"
