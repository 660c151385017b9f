# ruff: noqa: RUF001 - full-width digits and signs are what such names are made of
from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.numbers import Number, chapter_order, number_of, with_digits

VOLUMES = [
    ("Vol 01", "1"),
    ("Vol. 3", "3"),
    ("Vol.12", "12"),
    ("Vol_05", "5"),
    ("Vol-07", "7"),
    ("Vol. #4", "4"),
    ("One Piece Volume 100", "100"),
    ("VOLUME 2", "2"),
    ("v01", "1"),
    ("V.12", "12"),
    ("海贼王v03", "3"),
    ("Part v2", "2"),
    ("[Group] Title v03 (2004) (Digital)", "3"),
    ("Dungeon Meshi v14 (2024) (Digital) (1r0n)", "14"),
    ("Akira_v06_[1988]", "6"),
    ("Tome 3", "3"),
    ("Tome n°3", "3"),
    ("Astérix T03 - Les Goths", "3"),
    ("Thorgal - T. 12", "12"),
    ("Tomo 4", "4"),
    ("Band 2", "2"),
    ("Bd. 04", "4"),
    ("第1巻", "1"),
    ("第１２巻", "12"),
    ("第101卷", "101"),
    ("第十二卷", "12"),
    ("第二十卷", "20"),
    ("第一百二十一卷", "121"),
    ("第三冊", "3"),
    ("進撃の巨人 第03巻", "3"),
    ("20世紀少年 3巻", "3"),
    ("卷05", "5"),
    ("卷一", "1"),
    ("卷之三", "3"),
    ("巻ノ二", "2"),
    ("05卷", "5"),
    ("12册", "12"),
    ("제3권", "3"),
    ("제 10 권", "10"),
    ("미생 3권", "3"),
    ("\u110c\u1166\u0033\u1100\u116f\u11ab", "3"),  # 제3권 in pieces, as macOS writes it
    ("Vol 03 第3巻", "3"),
    ("第3巻 (Vol. 3)", "3"),
    ("Vol.01 Ch.005", "1"),
    ("v01c005", "1"),
    ("第2卷 第15话", "2"),
    ("Vol 1.5", "1.5"),
    ("Vol 02.0", "2"),
    ("Vol 1-3", "1-3"),
    ("Volumes 01-03", "1-3"),
    ("v01-v03", "1-3"),
    ("Vol 1 - 3", "1-3"),
    ("Vol 1 - Vol 3 (Omnibus)", "1-3"),
    ("Vol 1+2", "1-2"),
    ("第1-3巻", "1-3"),
    ("第1巻～第3巻", "1-3"),
    ("第一至三卷", "1-3"),
    ("1~10권", "1-10"),
    ("Vol. 03 - 12 Beasts", "3"),
    ("Vol. 03-2004", "3"),
    ("1280x v2", "2"),
    ("07", "7"),
    ("000", "0"),
    ("12.5", "12.5"),
    ("004-006", "4-6"),
    ("十二", "12"),
    ("一〇二", "102"),
    ("０７", "7"),
    ("Tome 1,5", "1.5"),
    ("Vol 1,2,3", "1"),
    ("c001 (v01)", "1"),
    ("1-8巻セット", "1-8"),
    ("Book 3", "3"),
    ("Part 2", "2"),
    ("Album 4", "4"),
    ("Том 3", "3"),
    ("Volumen 3", "3"),
    ("第壹卷", "1"),
    ("第拾贰卷", "12"),
    ("Vol.三", "3"),
    ("Vol 12a", "12"),
    ("Vol. 03b", "3"),
    ("【03】", "3"),
    ("進撃の巨人(34)", "34"),
    ("進撃の巨人（34）", "34"),
    ("[諫山創] 進撃の巨人(34)", "34"),
    ("Saga 012 (2013) (Digital)", "12"),
    ("Batman 042", "42"),
    ("One-Punch Man - 023 - Crab", "23"),
    ("Tintin - 05 - Le sceptre", "5"),
    ("Tintin - 5 - Le sceptre", "5"),
    ("Lucky Luke 23", "23"),
    ("Catch 22", "22"),
    ("7 Seeds 03", "3"),
    ("Area 51 v02", "2"),
    ("Blade Runner 2049 01", "1"),
    ("100 Bullets 012", "12"),
    ("Fantastic 04", "4"),
    ("Fantastic 4 03", "3"),
    ("[Group] Batman 042 [x]", "42"),
    ("No. 6 v03", "3"),
    ("JoJo Part 4 - Diamond is Unbreakable 03", "3"),
    ("Title 03 of 06", "3"),
    ("Akira 01-03", "1-3"),
    ("海贼王 12", "12"),
    ("Stop 12", "12"),
]

CHAPTERS = [
    ("Chapter 12.5", "12.5"),
    ("Chapter 0", "0"),
    ("Chap 3", "3"),
    ("Ch.7", "7"),
    ("Ch. 1101", "1101"),
    ("ch 10-20", "10-20"),
    ("Ch 12-5", "12.5"),
    ("Chapter 7 v2", "7"),
    ("Ch.7v2", "7"),
    ("c012", "12"),
    ("Episode 100", "100"),
    ("Ep 05", "5"),
    ("#001", "1"),
    ("Batman v2011 #012", "12"),
    ("Spider-Man #3 (of 6)", "3"),
    ("第12話", "12"),
    ("第12话 再会", "12"),
    ("第十二话", "12"),
    ("第一百零一话", "101"),
    ("第两百话", "200"),
    ("第3回", "3"),
    ("第12.5話", "12.5"),
    ("第1话～第10话", "1-10"),
    ("第3季 第12话", "12"),
    ("100話", "100"),
    ("12화", "12"),
    ("제12화", "12"),
    ("시즌2 3화", "3"),
    ("Chapter 2004", "2004"),
    ("Chapitre 8", "8"),
    ("第12,5話", "12.5"),
    ("第 12 . 5 話", "12.5"),
    ("[v2] Chapter 5", "5"),
    ("T2 Judgment Day #5", "5"),
    ("Chapters 1 to 10", "1-10"),
    ("Issue 7", "7"),
    ("No.5", "5"),
    ("No. 5", "5"),
    ("Nr. 12", "12"),
    ("n°12", "12"),
    ("№ 12", "12"),
    ("Heft 12", "12"),
    ("Act.5", "5"),
    ("Lesson 7", "7"),
    ("S02E05", "5"),
    ("Глава 15", "15"),
    ("Capítulo 5", "5"),
    ("Cap. 05", "5"),
    ("Capitolo 5", "5"),
    ("Rozdział 5", "5"),
    ("第12集", "12"),
    ("第廿三回", "23"),
    ("Ch 12a", "12"),
    ("Ch.10000", "10000"),
    ("第10000话", "10000"),
    ("No. 6 #12", "12"),
    ("Chapter 7 (v2)", "7"),
    ("c012v2", "12"),
]

NEITHER = [
    "",
    "Oneshot",
    "2004",
    "Title (2004)",
    "Title [2004-05-06]",
    "v2004",
    "Vol. 2004",
    "1080p",
    "Vol 1080p",
    "BD 1080p",
    "Rev2",
    "Chapter",
    "T-1000",
    "Don't 3",
    "One-Punch Man 2nd",
    "(C99) [Circle] Title",
    "(C102) [Circle] Title",
    "更新至1101话",
    "更新到 第5话",
    "更新至第1101话",
    "全12巻",
    "全 12 卷",
    "共三册",
    "총 10권",
    "12 Volumes",
    "第3季",
    "上巻",
    "Vol 12345",
    "v1.2.3",
    "12½",
    "20040506",
    "百話",
    "100P",
    "Volume Ⅲ",
    "8巻セット",
    "12册装",
    "全8巻セット",
    "第1,234話",
    "20 Boys",
    "100 Bullets",
    "[Group] 20 Boys",
    "Blade Runner 2049",
    "Fantastic 4",
    "Title 12 Volumes",
    "Title 全 12 卷",
    "Title 100 pages",
    "Season 02",
    "Title Season 02",
    "Title 1080",
    "Title (2013)",
    "進撃の巨人(34) (2013)",
    "Title 50%",
    "BD 3D",
    "Vol 3D",
    "Title 3 of 6",
    "Say no 5",
]


@pytest.mark.parametrize(("name", "text"), VOLUMES)
def test_volumes(name: str, text: str) -> None:
    assert number_of(name) == Number("volume", text)


@pytest.mark.parametrize(("name", "text"), CHAPTERS)
def test_chapters(name: str, text: str) -> None:
    assert number_of(name) == Number("chapter", text)


@pytest.mark.parametrize("name", NEITHER)
def test_numbers_that_count_something_else(name: str) -> None:
    assert number_of(name) is None


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Vol.01 Ch.005", Number("chapter", "5")),
        ("第2卷 第15话", Number("chapter", "15")),
        ("012", Number("chapter", "12")),
        ("Vol 3", Number("volume", "3")),
        ("2004", None),
    ],
)
def test_in_a_name_that_is_known_to_be_a_chapters_its_number_counts(name: str, number: Number | None) -> None:
    assert number_of(name, chapter_first=True) == number


@pytest.mark.parametrize(
    ("name", "title", "text"),
    [
        ("Catch 22", "Catch 22", None),
        ("Catch 22 (2004)", "Catch 22", None),
        ("Catch 22 03", "Catch 22", "3"),
        ("No. 6 03", "No. 6", "3"),
        ("Akira 02 (Extra)", "Akira", "2"),
        ("Akira 4", "Akira", "4"),
        ("Akira 4 (Extra)", "Akira", "4"),
        ("Akira 4 Horsemen", "Akira", None),
        ("Akira 20", "Akira 2", "20"),
        ("Akirav03", "Akira", "3"),
        ("Akira extra", "Akira", None),
        ("海贼王12", "海贼王", "12"),
        ("Vol 1", "Vol 1", "1"),
        ("Book 3", "Book 3", "3"),
        ("07", "07", "7"),
        ("Lucky Luke 23", "Tintin", "23"),
    ],
)
def test_the_numbers_of_a_known_title_are_the_titles(name: str, title: str, text: str | None) -> None:
    assert number_of(name, title=title) == (text and Number("volume", text))


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("Ch 10", ("chapter", (), 10.0)),
        ("chapter 4.5 v2", ("chapter", (), 4.5)),
        ("Ch 1-3", ("chapter", (), 1.0)),
        ("012", ("chapter", (), 12.0)),
        ("第二十话", ("chapter", (), 20.0)),
        ("第二季 第十话", ("chapter", (2,), 10.0)),
        ("S02E05", ("chapter", (2,), 5.0)),
        ("Vol 2 Ch 3", ("chapter", (2,), 3.0)),
        ("Vol 2", ("volume", (), 2.0)),
        ("No. 5", ("chapter", (), 5.0)),
        ("Prologue", None),
        ("Batman 042", None),
        ("番外第1话", None),
        ("Omake Ch 2", None),
        ("Title (2004)", None),
    ],
)
def test_what_puts_a_chapter_in_order(name: str, order: tuple[str, tuple[int, ...], float] | None) -> None:
    assert chapter_order(name) == order


def test_chinese_numerals_become_digits_only_where_they_count() -> None:
    assert with_digits("第十页 第二十一話 第 九 卷 第三方 三国 第一百零二章") == (
        "第10页 第21話 第 9 卷 第三方 三国 第102章"
    )


_PIECES = st.sampled_from("vT第卷巻话話제권화#c至全-～. 1１十百〇(²½Ⅷ") | st.sampled_from(
    ["Vol", "Ch.", "12", "2004", " - ", "[", "Part ", ","]
)


@given(st.text() | st.lists(_PIECES, max_size=12).map("".join))
def test_any_name_gives_a_plain_number_or_none(name: str) -> None:
    number = number_of(name)
    chapter_order(name)

    if number is not None:
        ends = number.text.split("-")
        assert all(float(end) >= 0 and (not end.startswith("0") or end[:2] in {"0", "0."}) for end in ends)
        assert len(ends) == 1 or float(ends[0]) < float(ends[1])


@given(_PIECES, _PIECES, _PIECES)
def test_long_names_take_no_longer_than_their_length(one: str, two: str, three: str) -> None:
    """Quadratic time would be minutes here, and ever so often."""
    began = time.process_time()
    number_of((one + two + three) * 10_000)
    chapter_order((one + two + three) * 10_000)

    assert time.process_time() - began < 20


def test_a_large_library_leaves_nothing_behind() -> None:
    for number in range(10_000):
        number_of(f"Title {number}")

    assert number_of.cache_info().currsize <= 4096
