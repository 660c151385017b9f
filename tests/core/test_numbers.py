# ruff: noqa: RUF001 - full-width digits and signs are what such names are made of
from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.numbers import Number, number_of

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
    "Catch 22",
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
    "Vol 12a",
    "Vol 12345",
    "v1.2.3",
    "12½",
    "20040506",
    "百話",
    "100P",
    "Volume Ⅲ",
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


_PIECES = st.sampled_from("vT第卷巻话話제권화#c至全-～. 1１十百〇(²½Ⅷ") | st.sampled_from(["Vol", "Ch.", "12", "2004"])


@given(st.text() | st.lists(_PIECES, max_size=12).map("".join))
def test_any_name_gives_a_plain_number_or_none(name: str) -> None:
    number = number_of(name)

    if number is not None:
        ends = number.text.split("-")
        assert all(float(end) >= 0 and (not end.startswith("0") or end[:2] in {"0", "0."}) for end in ends)
        assert len(ends) == 1 or float(ends[0]) < float(ends[1])


@given(_PIECES, _PIECES, _PIECES)
def test_long_names_take_no_longer_than_their_length(one: str, two: str, three: str) -> None:
    """Quadratic time would be minutes here."""
    began = time.process_time()
    number_of((one + two + three) * 10_000)

    assert time.process_time() - began < 1


def test_a_large_library_leaves_nothing_behind() -> None:
    for number in range(10_000):
        number_of(f"Title {number}")

    assert number_of.cache_info().currsize <= 4096
