from __future__ import annotations

import random
import re
from unicodedata import normalize

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pagebind.core.names import MAX_NAME_BYTES, book_names, is_cover, natural_key, order_pages

FULLWIDTH = ["p\uff19.jpg", "p\uff11\uff10.jpg"]  # 9 and 10

# Small alphabets, so that names collide, nearly collide, and differ by case, form, width and separators only.
stems = st.text("019aAbB_- .é\u0301ß\u017f\uff11第一九十頁卷\x07/\\", max_size=6) | st.from_regex(
    r"\A(p|P|Title 2 - |第)?[0-9]{1,3}(_[0-9]{1,2})?\Z"
)
covers = st.sampled_from(["cover", "Cover", "COVER", "front", "folder", "封面", "表紙"])
odd_stems = st.sampled_from(["con", "COM1", "com2", ".", "..", "", "a" * 250, "é" * 120 + "1", "é" * 120 + "2"])
page_names = st.builds("{}.{}".format, stems | covers | odd_stems, st.sampled_from(["jpg", "JPG", "png"]))
chapters = st.sampled_from(
    ["Ch 1", "Ch 2", "Ch 10", "Ch 1.5", "ch 1", "Ch 01", "1", "10", "第9話", "第10話", "cover", "a/b", "_"]
) | st.sampled_from(
    [
        "第一话",
        "第十话",
        "第九话",
        "第三话",
        "第二话",
        "第十话/第三卷",
        "chapter 4",
        "Ch.3",
        "Ch 1-3",
        "S1E10",
        "S2E3",
        "第9页",
    ]
)
paths = st.builds("{}/{}".format, chapters, page_names) | page_names
folders = st.lists(page_names, min_size=1, max_size=12, unique=True) | st.lists(
    paths, min_size=1, max_size=12, unique=True
)


def in_order(names: list[str]) -> list[str]:
    return [names[index] for index in order_pages(names)]


def in_chapters(pages: dict[str, int], form: str = "{:03}.jpg") -> list[str]:
    """Paths of so many pages in each chapter."""
    return [f"{chapter}/{form.format(page)}" for chapter, count in pages.items() for page in range(1, count + 1)]


def titles(names: list[str]) -> dict[str, str]:
    """What each page is called in the book."""
    ordered = in_order(names)
    return dict(zip(ordered, book_names(ordered), strict=True))


def reader_key(name: str) -> list[str | int]:
    """Natural order as most readers do it: without case, text and numbers by turns."""
    return [int(part) if part.isascii() and part.isdigit() else part for part in re.split("([0-9]+)", name.lower())]


@given(names=folders, seed=st.integers(0, 2**32))
def test_any_order_of_a_listing_gives_every_page_the_same_name(names: list[str], seed: int) -> None:
    shuffled = list(names)
    random.Random(seed).shuffle(shuffled)

    assert in_order(shuffled) == in_order(names)
    assert titles(shuffled) == titles(names)


@given(names=folders)
@example(names=["cover.jpg", "000.jpg", "001.jpg"])
@example(names=["ß.jpg", "SS.jpg"])
@example(names=["a_1.jpg", "ab1.jpg", "aB2.jpg"])
@example(names=["p.jpg", "p1.jpg"])
@example(names=["10.jpg", "1\uff11.jpg"])
@example(names=["Ch 1/1.jpg", "Ch 1.5/1.jpg", "Ch 1b/1.jpg", "Ch 2/1.jpg", "Ch 10/1.jpg"])
@example(names=["a/1.jpg", "a - 1.jpg"])
@example(names=["a/b/1.jpg", "a - b/1.jpg", "a/b - 1.jpg"])
@example(names=["x" * 150 + "/" + "1" * 150 + ".jpg", "x" * 150 + "/" + "1" * 151 + ".jpg"])
def test_plain_order_order_without_case_and_natural_order_agree(names: list[str]) -> None:
    book = book_names(in_order(names))

    assert book == sorted(book)
    assert book == sorted(book, key=str.lower)
    assert book == sorted(book, key=str.upper)
    assert book == sorted(book, key=str.casefold)
    assert book == sorted(book, key=reader_key)
    assert book == sorted(book, key=natural_key)


@given(names=folders)
@example(names=["a" * 250 + ".jpg", "a" * 251 + ".jpg"])
@example(names=["é.jpg", "e\u0301.jpg"])
@example(names=["\u1e9e.jpg", "ss.jpg"])
@example(names=["com1.jpg", "com2.jpg"])
def test_names_in_the_book_are_unique_and_safe(names: list[str]) -> None:
    book = book_names(in_order(names))

    assert len({name.casefold() for name in book}) == len(names)
    for name, title in titles(names).items():
        assert title == normalize("NFC", title)
        assert 0 < len(title.encode()) <= MAX_NAME_BYTES
        assert not re.search(r"[/\\\x00-\x1f\x7f]|^\.|[. ]$", title)
        assert not re.match(r"(?i)(con|com\d)\.", title)
        assert title.rpartition(".")[2] == name.rpartition(".")[2]


@given(st.text(), st.text())
def test_natural_order_is_total(first: str, second: str) -> None:
    assert (natural_key(first) == natural_key(second)) == (first == second)


@given(st.lists(st.text("0129aAbB-_. ", max_size=8), max_size=8))
def test_natural_order_is_that_of_readers_up_to_ties(texts: list[str]) -> None:
    ordered = sorted(texts, key=natural_key)

    assert [reader_key(text) for text in ordered] == sorted(map(reader_key, texts))


@pytest.mark.parametrize(
    "ordered",
    [
        ["1.jpg", "2.jpg", "10.jpg"],
        ["01.jpg", "1.jpg", "2.jpg"],
        ["a1.jpg", "A2.jpg", "a10.jpg"],
        ["A.jpg", "a.jpg", "B.jpg"],
        ["p1.jpg", "p.jpg"],
        ["第9話.jpg", "第10話.jpg"],
        FULLWIDTH,
        ["9" * 5000, "1" + "0" * 5000],
        ["x2y9z", "x2y10", "x10"],
        ["001-2.jpg", "001.jpg", "001a.jpg"],
        ["第一页.jpg", "第三页.jpg", "第九页.jpg", "第十页.jpg", "第二十一页.jpg", "第一百零二页.jpg"],
        ["第三卷", "第4卷", "第五卷"],
        ["第九 話", "第十 話"],
        ["三国", "九国", "二国", "十国"],
    ],
)
def test_natural_order(ordered: list[str]) -> None:
    backwards = ordered[::-1]

    assert sorted(backwards, key=natural_key) == ordered


@pytest.mark.parametrize(
    ("name", "cover"),
    [
        ("cover.jpg", True),
        ("COVER.PNG", True),
        ("Front.webp", True),
        ("folder.jpg", True),
        ("封面.jpg", True),
        ("表紙.jpeg", True),
        ("cover", True),
        ("cover01.jpg", False),
        ("cover.back.jpg", False),
        ("discover.jpg", False),
        (".cover.jpg", False),
        ("001.jpg", False),
    ],
)
def test_covers_are_known_by_their_exact_stem(name: str, cover: bool) -> None:
    assert is_cover(name) is cover


def test_covers_come_first_in_their_own_natural_order() -> None:
    names = ["2.jpg", "front.jpg", "10.jpg", "Cover.png", "1.jpg", "cover.jpg", "表紙.jpg"]

    assert in_order(names) == ["cover.jpg", "Cover.png", "front.jpg", "表紙.jpg", "1.jpg", "2.jpg", "10.jpg"]


ONE_TO_TEN = [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(
    "names",
    [
        ["001.jpg", "002.jpg", "010.jpg"],
        ["1.jpg", "2.jpg", "9.jpg"],
        ["cover.jpg", "p001.jpg", "p002.jpg"],
        ["001.png", "002.jpg", "003.webp"],
        ["0001.jpg", "0002-0003.jpg", "0004.jpg"],
        ["100% #1?.jpg", "100% #2+&.jpg"],
        ['it\'s "so" 1.jpg', 'it\'s "so" 2.jpg'],
        ["😀 1.jpg", "😀 2.jpg"],
        ["第001頁.jpg", "第002頁.jpg"],
        ["only.jpg"],
        [],
    ],
)
def test_names_that_keep_the_order_are_kept(names: list[str]) -> None:
    assert titles(names) == {name: name for name in names}


@pytest.mark.parametrize(
    ("form", "padded"),
    [
        ("{}.jpg", "{:0>4}.jpg"),
        ("p{}.jpg", "p{:0>4}.jpg"),
        ("Title 2 - {}.jpg", "Title 2 - {:0>4}.jpg"),
        ("Title 2 - {} (1920x1080).jpg", "Title 2 - {:0>4} (1920x1080).jpg"),
        ("{}_{}.jpg", "{:0>4}_{}.jpg"),
        ("第{}頁.jpg", "第{:0>4}頁.jpg"),
    ],
)
def test_the_number_that_counts_the_pages_is_padded(form: str, padded: str) -> None:
    assert titles([form.format(n, n) for n in ONE_TO_TEN]) == {
        form.format(n, n): padded.format(n, n) for n in ONE_TO_TEN
    }


@pytest.mark.parametrize(
    ("names", "book"),
    [
        (["cover.jpg", "001.jpg", "002.jpg"], ["0000_cover.jpg", "0001.jpg", "0002.jpg"]),
        (["封面.jpg", "p1.jpg", "p2.jpg"], ["0000_封面.jpg", "p0001.jpg", "p0002.jpg"]),
        (["Cover.jpg", "Title 2 - 1.jpg"], ["Cover.jpg", "Title 2 - 1.jpg"]),
        (["front.jpg", "A 2 - 1.jpg"], ["0000_front.jpg", "A 2 - 0001.jpg"]),
        (["cover.jpg", "99999.jpg", "100000.jpg"], ["0000_cover.jpg", "099999.jpg", "100000.jpg"]),
        (["cover.jpg", "a.jpg", "zz_credits.jpg"], ["0000_cover.jpg", "a.jpg", "zz_credits.jpg"]),
        (["1.jpg", "10.jpg", "2.jpg", "zz.jpg"], ["0001.jpg", "0010.jpg", "0002.jpg", "zz.jpg"]),
        (["1.jpg", "1a.jpg", "2.jpg", "10.jpg"], ["0001.jpg", "0001a.jpg", "0002.jpg", "0010.jpg"]),
    ],
)
def test_covers_and_odd_pages_beside_padded_ones(names: list[str], book: list[str]) -> None:
    assert titles(names) == dict(zip(names, book, strict=True))


@pytest.mark.parametrize(
    ("ordered", "book"),
    [
        (["cover.jpg", "000.jpg"], ["0001_cover.jpg", "0002_000.jpg"]),
        (["01.jpg", "1.jpg"], ["0001_01.jpg", "0002_1.jpg"]),
        (["page1.jpg", "Page2.jpg"], ["0001_page1.jpg", "0002_Page2.jpg"]),
        (["p1.jpg", "p.jpg"], ["0001_p1.jpg", "0002_p.jpg"]),
        (["A.jpg", "a.jpg"], ["0001_A.jpg", "0002_a.jpg"]),
        (FULLWIDTH, ["0001_" + FULLWIDTH[0], "0002_" + FULLWIDTH[1]]),
    ],
)
def test_where_nothing_less_is_enough_each_name_gets_its_place(ordered: list[str], book: list[str]) -> None:
    assert in_order(ordered) == ordered
    assert book_names(ordered) == book


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("b\\c\x00d\n.jpg", "b_c_d_.jpg"),
        ("a/b.jpg", "a - b.jpg"),
        ("..jpg", "_..jpg"),
        (".hidden.jpg", "_.hidden.jpg"),
        ("con.jpg", "_con.jpg"),
        ("Com1.jpg", "_Com1.jpg"),
        ("nul .x.jpg", "_nul .x.jpg"),
        ("console.jpg", "console.jpg"),
        ("e\u0301.jpg", "é.jpg"),
        ("half\ud800.jpg", "half_.jpg"),
        ("C:1.jpg", "C_1.jpg"),
        ("turned\u202eround\u2069\u061c\u2028.jpg", "turned_round___.jpg"),
        ("漢" * 80 + ".jpeg", "漢" * 65 + ".jpeg"),
        ("a" * 300, "a" * 200),
        ("a." + "b" * 300, "a." + "b" * 198),
        ("", "_"),
        ("a.jpg. .", "a.jpg_"),
    ],
)
def test_names_are_made_safe(name: str, title: str) -> None:
    assert book_names([name]) == [title]


@pytest.mark.parametrize(
    "ordered",
    [
        ["cover.jpg", "1.jpg", "2.jpg", "Ch 1/1.jpg", "Ch 2/1.jpg", "Ch 10/1.jpg"],
        ["z.jpg", "Ch 1/a.jpg", "Ch 1/raw/1.jpg"],
        ["Ch 1/1.jpg", "Ch 2/cover.jpg", "Ch 2/1.jpg", "Ch 2/10.jpg"],
        ["Ch 1/1.jpg", "Ch 1.5/1.jpg", "Ch 2/1.jpg"],
        ["第9話/1.jpg", "第10話/1.jpg"],
        ["1/2.jpg", "1-2.jpg/1.jpg", "2/1.jpg"],
        ["a/第九话/1.jpg", "a/第十话/1.jpg", "Z/1.jpg"],
    ],
)
def test_what_lies_directly_in_a_folder_comes_before_the_chapters_in_it(ordered: list[str]) -> None:
    assert in_order(ordered[::-1]) == ordered


@pytest.mark.parametrize(
    "chapters",
    [
        ["第一话", "第二话", "第三话", "第四话", "第五话", "第九话", "第十话", "第十一话", "第二十话"],
        ["Ch 1", "Ch.3", "chapter 4", "Ch 10"],
        ["第1话", "Ch 2", "第十话", "11"],
        ["Ch 1-3", "chapter 4-6", "Ch.7", "Chapter 7.5", "Ch 8"],
        ["Ch 1", "Ch 1 v2", "chapter 1", "Ch 2"],
        ["S01E05", "S1 E12", "S02E01"],
        ["Vol 1 Ch 9", "v1 Chapter 10", "Vol 2 Ch 1"],
        ["第一季 第十话", "第二季 第一话"],
        ["Vol 1 Ch 2", "chapter 3", "Vol.1 Ch 4"],
    ],
)
def test_chapters_follow_by_their_numbers_however_they_are_written(chapters: list[str]) -> None:
    names = [f"{chapter}/{page}.jpg" for chapter in chapters for page in (1, 2, 10)]

    assert in_order(names[::-1]) == names


@pytest.mark.parametrize(
    "chapters",
    [
        ["Ch 1", "Ch 10", "Ch.3", "Epilogue"],
        ["Ch 1", "Ch 10", "Ch.3", "extra 2"],
        ["Ch 1", "Ch 10", "Ch.3", "Vol 2"],
        ["Batman 2", "Saga 012", "Zorro 001"],
    ],
)
def test_where_a_folder_is_no_chapter_beyond_doubt_natural_order_decides(chapters: list[str]) -> None:
    names = [f"{chapter}/1.jpg" for chapter in chapters]

    assert in_order(names[::-1]) == names


def test_chapters_whose_names_say_otherwise_are_numbered_through() -> None:
    names = ["Ch 1/1.jpg", "Ch.3/1.jpg", "chapter 4/1.jpg", "Ch 10/1.jpg"]

    assert titles(names) == dict(
        zip(
            names,
            ["0001_Ch 1 - 1.jpg", "0002_Ch.3 - 1.jpg", "0003_chapter 4 - 1.jpg", "0004_Ch 10 - 1.jpg"],
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("names", "book"),
    [
        (["Ch 01/001.jpg", "Ch 02/001.jpg"], ["Ch 01 - 001.jpg", "Ch 02 - 001.jpg"]),
        (["Ch 1/1.jpg", "Ch 1.5/1.jpg", "Ch 2/1.jpg"], ["Ch 1 - 1.jpg", "Ch 1.5 - 1.jpg", "Ch 2 - 1.jpg"]),
        (["Ch 2/001.jpg", "Ch 10/001.jpg"], ["Ch 0002 - 0001.jpg", "Ch 0010 - 0001.jpg"]),
        (
            ["Ch 1/2.jpg", "Ch 1/10.jpg", "Ch 2/1.jpg"],
            ["Ch 0001 - 0002.jpg", "Ch 0001 - 0010.jpg", "Ch 0002 - 0001.jpg"],
        ),
        (
            ["cover.jpg", "第9話/1.jpg", "第10話/1.jpg"],
            ["0000_cover.jpg", "第0009話 - 0001.jpg", "第0010話 - 0001.jpg"],
        ),
        (["001.jpg", "Ch 01/001.jpg"], ["001.jpg", "Ch 01 - 001.jpg"]),
        (["z.jpg", "Ch 01/001.jpg"], ["0001_z.jpg", "0002_Ch 01 - 001.jpg"]),
        (["a/b/1.jpg", "a/c/1.jpg"], ["a - b - 1.jpg", "a - c - 1.jpg"]),
        (["a - 1.jpg", "a/1.jpg"], ["0001_a - 1.jpg", "0002_a - 1.jpg"]),
        (["con/1.jpg", "x/../1.jpg"], ["con - 1.jpg", "x - .. - 1.jpg"]),
    ],
)
def test_the_names_of_merged_chapters_are_flat(names: list[str], book: list[str]) -> None:
    assert in_order(names) == names
    assert book_names(names) == book


def test_a_chapter_that_is_appended_renames_no_page() -> None:
    names = in_chapters({f"Ch {number}": 20 for number in range(1, 13)}, "{}.jpg")

    before, after = titles(names[:-20]), titles(names)

    assert before == {name: after[name] for name in before}
    assert after["Ch 12/20.jpg"] == "Ch 0012 - 0020.jpg"


def test_a_prefix_makes_no_name_too_long() -> None:
    assert book_names(["cover." + "x" * 194, "a1.jpg"]) == ["0000_cover." + "x" * 189, "a0001.jpg"]


def test_numbers_that_only_look_alike_in_a_row_are_told_apart() -> None:
    assert in_order(["12", "3", "456"]) == ["3", "12", "456"]


def test_names_that_are_alike_once_cut_keep_their_suffix_and_differ() -> None:
    names = ["漢" * 80 + f"{number}.jpeg" for number in (1, 2)]

    assert book_names(names) == ["0001_" + "漢" * 63 + ".jpeg", "0002_" + "漢" * 63 + ".jpeg"]


def test_a_safe_shape_is_not_taken_for_safe_names() -> None:
    assert book_names(["com1.jpg", "com2.jpg"]) == ["_com1.jpg", "_com2.jpg"]


@given(form=st.sampled_from(["{}.jpg", "p{}.jpg", "T 2 - {}.jpg", "{:03}.jpg"]), pages=st.integers(10, 998))
def test_an_appended_page_renames_no_other(form: str, pages: int) -> None:
    names = [form.format(number) for number in range(1, pages + 2)]

    before, after = titles(names[:-1]), titles(names)

    assert before == {name: after[name] for name in before}


@given(names=folders)
def test_names_in_a_book_are_names_that_a_book_keeps(names: list[str]) -> None:
    """A finished book, unpacked and bound again, is the same book."""
    book = book_names(in_order(names))
    assume(not any(map(is_cover, book)))

    assert in_order(book) == book
    assert book_names(book) == book


def test_folders_that_are_numbered_well_cost_no_key_at_all() -> None:
    natural_key.cache_clear()
    names = [f"Title 2 - {number:03}.jpg" for number in range(200, 0, -1)]

    assert book_names(in_order(names)) == names[::-1]
    assert natural_key.cache_info().misses == 0


def test_chapters_that_are_numbered_well_cost_no_key_either() -> None:
    natural_key.cache_clear()
    names = in_chapters({"Ch 01": 50, "Ch 02": 50})

    assert in_order(names[::-1]) == names
    assert book_names(names) == [name.replace("/", " - ") for name in names]
    assert natural_key.cache_info().misses == 0


def test_the_keys_of_a_large_library_do_not_pile_up() -> None:
    for number in range(20_000):
        natural_key(f"{number}.jpg")

    assert natural_key.cache_info().currsize <= 4096
