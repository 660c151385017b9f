from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core import layout
from pagebind.core.layout import Placed
from pagebind.core.layout_pattern import parse_layout
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

    assert library_key("{series}/{volume}.cbz", {"series": name.series, "volume": name.name}) == key


@pytest.mark.parametrize(
    ("folder", "placed"),
    [
        ("/c/S/V", Placed("/c/S/V", "S", "V", parent="S")),
        ("/c/S/V/jpg", Placed("/c/S/V/jpg", "S", "V", parent="S")),
        ("/c/V", Placed("/c/V", "V", "V", parent="c")),
        ("/c", Placed("/c", "c", "c", parent="c")),
    ],
)
def test_auto_places_every_folder(folder: str, placed: Placed) -> None:
    assert layout.AUTO.place("/c", folder) == placed
    assert not layout.AUTO.merges


@pytest.mark.parametrize(
    ("pattern", "folder", "placed"),
    [
        ("{series}/{volume}", "/c/S/V", Placed("/c/S/V", "S", "V", parent="S")),
        ("{series}/{volume}", "/c/S/V/jpg", Placed("/c/S/V/jpg", "S", "V", parent="S")),
        ("{series}/{volume}", "/c/S/V/scans/JPG", Placed("/c/S/V/scans/JPG", "S", "V", parent="S")),
        ("{series}/{volume}", "/c/S/V/extra", None),
        ("{series}/{volume}", "/c/S", None),
        ("{series}/{volume}", "/c", None),
        ("{_}/{series}/{volume}", "/c/A/S/V", Placed("/c/A/S/V", "S", "V", parent="S")),
        ("Manga/{series}/Vol {volume}", "/c/manga/S/VOL 3", Placed("/c/manga/S/VOL 3", "S", "3", parent="S")),
        ("Manga/{series}/Vol {volume}", "/c/Comics/S/Vol 3", None),
        ("Manga/{series}/Vol {volume}", "/c/Manga/S/Vol ", None),
        ("Manga/{series}/Vol {volume}", "/c/Manga/S/Vol   ", None),
        ("[{_}] {series}/{volume}", "/c/[Group] S/V", Placed("/c/[Group] S/V", "S", "V", parent="[Group] S")),
        ("[{_}] {series}/{volume}", "/c/S/V", None),
        ("{volume}", "/c/V", Placed("/c/V", "V", "V", parent="c")),
        ("{_}/{volume}", "/c/S/V", Placed("/c/S/V", "S", "V", parent="S")),
        ("{volume} ({_})", "/c/V (2004)", Placed("/c/V (2004)", "V (2004)", "V", parent="c")),
        ("{series} {volume}", "/c/One Piece 01", Placed("/c/One Piece 01", "One Piece", "01", parent="c")),
        ("{volume} {series}", "/c/01 One Piece", Placed("/c/01 One Piece", "One Piece", "01", parent="c")),
        ("{series} v{volume} {_}", "/c/S v1 v03 (x) (y)", Placed("/c/S v1 v03 (x) (y)", "S v1", "03", parent="c")),
        ("{series}/{volume}/English", "/c/S/V/english", Placed("/c/S/V/english", "S", "V", parent="S")),
        ("{series}/{volume}/English", "/c/S/V/raw", None),
        ("{series}/{volume}/{_}", "/c/S/V/en/jpg", Placed("/c/S/V/en/jpg", "S", "V", parent="S")),
        ("{series}/{chapter}", "/c/S/Ch 2", Placed("/c/S/Ch 2", "S", "Ch 2", "Ch 2", "S")),
        ("{series}/第{chapter}話", "/c/S/第12話", Placed("/c/S/第12話", "S", "12", "12", "S")),
        ("Caf\u00e9/{volume}", "/c/Cafe\u0301/V", Placed("/c/Cafe\u0301/V", "Cafe\u0301", "V", parent="Cafe\u0301")),
        ("{series}.+/{volume}", "/c/S.+/V", Placed("/c/S.+/V", "S", "V", parent="S.+")),
        ("{series}.+/{volume}", "/c/Sxx/V", None),
        ("{volume}", "/c/" + "x" * 2000, None),
        ("{volume}", "/c/a\nb", Placed("/c/a\nb", "a\nb", "a\nb", parent="c")),
        ("{series}/{volume}/{chapter}", "/c/S/V/1", Placed("/c/S/V", "S", "V", parent="S")),
        ("{series}/{volume}/{chapter}", "/c/S/V/1/jpg", Placed("/c/S/V", "S", "V", parent="S")),
        ("{series}/{volume}/{chapter}", "/c/S/V", Placed("/c/S/V", "S", "V", parent="S")),
        ("{series}/{volume}/{chapter}", "/c/S/V/1/x", None),
        ("{series}/{volume}/{chapter}", "/c/S", None),
        ("{series}/{volume}/Ch {chapter}", "/c/S/V/Ch 1", Placed("/c/S/V", "S", "V", parent="S")),
        ("{series}/{volume}/Ch {chapter}", "/c/S/V/jpg", Placed("/c/S/V", "S", "V", parent="S")),
        ("{series}/{volume}/Ch {chapter}", "/c/S/V/raw", None),
        ("{series}/{volume}/{_}/{chapter}", "/c/S/V/en/1", Placed("/c/S/V", "S", "V", parent="S")),
        ("{volume}/{chapter}", "/c/V/1", Placed("/c/V", "V", "V", parent="c")),
    ],
)
def test_patterns_place_what_fits(pattern: str, folder: str, placed: Placed | None) -> None:
    assert parse_layout(pattern).place("/c", folder) == placed


def test_patterns_know_the_root_of_the_server() -> None:
    merging = parse_layout("{volume}/{chapter}")

    assert merging.place("/", "/V/1") == Placed("/V", "V", "V", parent="root")
    assert merging.merges
    assert not parse_layout("{series}/{chapter}").merges


def test_auto_is_a_pattern_too() -> None:
    assert parse_layout("auto") is layout.AUTO


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "empty"),
        ("/{volume}", "empty"),
        ("{series}//{volume}", "empty"),
        ("../{volume}", r"\.\. part"),
        ("{series}/{_}", "neither {volume} nor {chapter}"),
        ("{series}/{vol}", "unknown field {vol}"),
        ("{series}/{}", "unknown field {}"),
        ("{series}/{volume:03}", "unknown field {volume:03}"),
        ("{volume}/{volume}", "{volume} twice"),
        ("{series}/{volume", "not one of a pair"),
        ("{series}}/{volume}", "not one of a pair"),
        ("{series}{volume}", "nothing between"),
        ("{volume}/{series}", "{series} below"),
        ("{chapter}/{volume}", "not below {volume}"),
        ("{series}/{volume} {chapter}", "not below {volume}"),
    ],
)
def test_patterns_that_mean_nothing_are_refused_in_one_line(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_layout(pattern)

    assert "\n" not in str(caught.value)


@given(st.text(max_size=300), st.sampled_from(["{series}", "{_}"]))
def test_any_name_is_placed_or_not(name: str, field: str) -> None:
    pattern = f"a{field}b {{volume}}c{{_}}d/{{chapter}}"
    for folder in (name, f"a{name}b 1c{name}d"):
        parse_layout(pattern).place("/c", f"/c/{folder}/1")


def test_long_names_take_no_time() -> None:
    """Cubic time would be minutes here."""
    pattern = parse_layout("{_}a{series}a{_}a{volume}a{_}b")
    began = time.process_time()

    assert pattern.place("/c", "/c/" + "a" * 1024) is None
    assert time.process_time() - began < 2


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
