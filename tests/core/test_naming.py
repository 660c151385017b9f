from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.layout import Placed
from pagebind.core.layout_pattern import parse_layout
from pagebind.core.library_key import PART_BYTES
from pagebind.core.model import About
from pagebind.core.naming import call, without
from pagebind.core.watch import Watch

WATCH = Watch("/comics", "{series}/{volume}.cbz")
UPDATED = r"更新至\d+[话話]"


def placed(name: str, series: str = "S", chapter: str = "") -> Placed:
    return Placed(f"/comics/{series}/{name}", series, name, chapter, series)


def test_a_book_says_what_its_folders_say() -> None:
    called = call(WATCH, placed("Vol 01", "One Piece"))

    assert called.key == "One Piece/Vol 01.cbz"
    assert called.about == About("One Piece", "Vol 01")


def test_a_book_says_what_the_subscription_says() -> None:
    watch = WATCH._replace(series="Fixed: 1", language="ja", direction="rtl", comicinfo=False, strip=("Fixed",))

    called = call(watch, placed("Vol 01"))

    assert called.key == "Fixed_ 1/Vol 01.cbz"
    assert called.about == About("Fixed: 1", "Vol 01", language="ja", direction="rtl", comicinfo=False)


@pytest.mark.parametrize(
    ("reader", "name", "number", "volume"),
    [
        ("", "Vol 03", "", ""),
        ("komga", "Vol 03", "3", ""),
        ("kavita", "Vol 03", "", "3"),
        ("komga", "Vol 1-3", "1-3", ""),
        ("kavita", "Vol 1-3", "", ""),
        ("kavita", "Vol 1.5", "", ""),
        ("komga", "Oneshot", "", ""),
        ("", "Chapter 012.5", "12.5", ""),
        ("kavita", "第12話", "12", ""),
        ("komga", "#007", "7", ""),
        ("kavita", "Title 04", "", "4"),
        ("kavita", "Title - 04", "", "4"),
        ("kavita", "Title 2004", "", ""),
    ],
)
def test_numbers_of_chapters_are_written_and_those_of_volumes_as_the_reader_wants_them(
    reader: str, name: str, number: str, volume: str
) -> None:
    about = call(WATCH._replace(reader=reader), placed(name, "Title")).about

    assert (about.number, about.volume) == (number, volume)


@pytest.mark.parametrize(
    ("chapter", "number"), [("012", "12"), ("Vol 2 Ch 5", "5"), ("Chapter 5", "5"), ("Vol 2", "2"), ("Extra", "")]
)
def test_the_number_of_a_folder_that_the_layout_takes_for_a_chapter_is_a_chapters(chapter: str, number: str) -> None:
    about = call(WATCH._replace(reader="kavita"), placed(chapter, chapter=chapter)).about

    assert (about.title, about.number, about.volume) == (chapter, number, "")


@pytest.mark.parametrize(
    ("template", "place", "key"),
    [
        ("{series} {number:03}.cbz", placed("Vol 1"), "S 001.cbz"),
        ("{series} {number}.cbz", placed("第十二巻"), "S 12.cbz"),
        ("{number:03}.cbz", placed("Vol 1-12"), "001-012.cbz"),
        ("{number:03}.cbz", placed("Ch 7.5"), "007.5.cbz"),
        ("{number:03}.cbz", placed("Oneshot"), "Oneshot.cbz"),
        ("{number:03}.cbz", placed("S 4"), "004.cbz"),
        ("{number:03}.cbz", placed("Catch 22", "Catch 22"), "Catch 22.cbz"),
        ("{number:03}.cbz", placed("Catch 22 03", "Catch 22"), "003.cbz"),
        ("{number:03}.cbz", placed("Catch 22 ch 3", "Catch 22", "x"), "003.cbz"),
        ("{chapter}.cbz", placed("Vol 1"), "Vol 1.cbz"),
        ("{chapter}.cbz", placed("12", chapter="12"), "12.cbz"),
        ("{subscription}/{parent}/{volume}.cbz", placed("V"), "comics/S/V.cbz"),
        ("{ext}/{volume}.{ext}", placed("V"), "cbz/V.cbz"),
    ],
)
def test_fields_of_the_template(template: str, place: Placed, key: str) -> None:
    assert call(WATCH._replace(template=template), place).key == key


def test_the_root_of_the_server_is_called_root() -> None:
    watch = Watch("/", "{subscription}/{volume}.cbz")

    assert call(watch, watch.layout.place("/", "/V") or placed("")).key == "root/V.cbz"


@pytest.mark.parametrize("template", ["{series}/{volume}.cbz", "{series}/{volume}.{ext}"])
@pytest.mark.parametrize(
    ("suffix", "own"),
    [("zip", "cbz"), ("ZIP", "cbz"), ("cbz", "cbz"), ("CBR", "cbr"), ("rar", "rar"), ("7z", "7z"), ("pdf", "pdf")],
)
def test_archives_keep_their_suffix_but_zip(template: str, suffix: str, own: str) -> None:
    assert call(WATCH._replace(template=template), placed("Vol. 1.5"), suffix=suffix).key == f"S/Vol. 1.5.{own}"


@pytest.mark.parametrize(
    ("name", "patterns", "left"),
    [
        ("海贼王 更新至1101话", (UPDATED,), "海贼王"),
        ("海贼王（更新至1101话）", (UPDATED,), "海贼王"),  # noqa: RUF001 - as such names are
        ("海贼王 [更新至1101话] 彩色", (UPDATED,), "海贼王 彩色"),
        ("海贼王_更新至1101话_", (UPDATED,), "海贼王"),
        ("更新至1101话", (UPDATED,), "更新至1101话"),
        ("[更新至1101话]", (UPDATED,), "[更新至1101话]"),
        ("[GROUP] Title (Digital)", (r"^\[group\]", r"\(digital\)"), "Title"),
        ("-- as it is --", ("x",), "-- as it is --"),
        (".hack  G.U.", (UPDATED,), ".hack  G.U."),
        ("any", (), "any"),
    ],
)
def test_strip_takes_out_and_tidies(name: str, patterns: tuple[str, ...], left: str) -> None:
    assert without(name, patterns) == left


def test_strip_comes_before_everything_else() -> None:
    watch = WATCH._replace(template="{parent}/{series}/{number:02} {chapter}.cbz", strip=(UPDATED, r"v\d"))

    called = call(watch, placed("Ch 5 v2", "海贼王 更新至1101话", "Ch 5 v2"))

    assert called.key == "海贼王/海贼王/05 Ch 5.cbz"
    assert called.about == About("海贼王", "Ch 5", "5")


LAYOUTS = ["auto", "{series}/{volume}", "{series}/{volume}/{chapter}", "{series}/{chapter}", "{_} {series}/v{volume}"]
TEMPLATES = ["{series}/{volume}.cbz", "{parent}/{number:03}.{ext}", "{subscription}/{chapter} {number}.cbz"]
_NAMES = st.text(min_size=1, max_size=40) | st.sampled_from(["Vol 1", "第12话", "(x)", "x", "jpg", "12", "a v03"])


@given(st.lists(_NAMES, max_size=4), st.sampled_from(LAYOUTS), st.sampled_from(TEMPLATES))
def test_any_tree_has_safe_keys_or_no_place(names: list[str], layout: str, template: str) -> None:
    watch = Watch("/c", template, layout=parse_layout(layout), strip=(r"x+", r"\d话"), reader="komga")
    folder = "/".join(["/c", *(name.replace("/", "_") for name in names)])
    place = watch.layout.place(watch.path, folder)
    if place is None:
        assert layout != "auto"
        return

    called = call(watch, place)

    assert folder == place.volume or (watch.layout.merges and folder.startswith(place.volume + "/"))
    parts = called.key.split("/")
    assert len(parts) == template.count("/") + 1
    assert all(part.strip(". ") and len(part.encode()) <= PART_BYTES for part in parts)
