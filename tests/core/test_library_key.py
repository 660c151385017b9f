from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.library_key import PART_BYTES, library_key, safe_part

TEMPLATE = "{series}/{volume}.cbz"


def filled(template: str, series: str, volume: str) -> str:
    return library_key(template, {"series": series, "volume": volume})


@pytest.mark.parametrize(
    ("series", "volume", "key"),
    [
        ("One Piece", "Vol 1", "One Piece/Vol 1.cbz"),
        ('a<b>c:d"e', "f|g?h*i\\j", "a_b_c_d_e/f_g_h_i_j.cbz"),
        ("tab\there", "line\nbreak\x7f", "tab_here/line_break_.cbz"),
        ("turned\u202eround", "x\u200fy", "turned_round/x_y.cbz"),
        ("a\u061cb", "two\u2028lines\u2029", "a_b/two_lines_.cbz"),
        ("half\ud800", "x", "half_/x.cbz"),
        ("Dots...", "Dots...", "Dots___/Dots....cbz"),
        ("End. . ", "x", "End___/x.cbz"),
        (".", "..", "_/_..cbz"),
        (".hack", ".v1", "_hack/_v1.cbz"),
        (".pagebind-x.part", "v1", "_pagebind-x.part/v1.cbz"),
        ("..", "x", "__/x.cbz"),
        ("   ", " x ", "_/x.cbz"),
        ("con", "NUL", "_con/_NUL.cbz"),
        ("Com1.old", "lpt\u00b2", "_Com1.old/_lpt\u00b2.cbz"),
        ("Context", "Nullable", "Context/Nullable.cbz"),
        ("cafe\u0301", "\u1112\u1161\u11ab", "caf\u00e9/\ud55c.cbz"),
        ("a/b", "c", "a_b/c.cbz"),
        ("{volume}", "{series}", "{volume}/{series}.cbz"),
        ("漫画 #1 & 50%", "it's +1 🦊", "漫画 #1 & 50%/it's +1 🦊.cbz"),
        ("Vol. 1.5", "v1.5", "Vol. 1.5/v1.5.cbz"),
    ],
)
def test_names_become_safe(series: str, volume: str, key: str) -> None:
    assert filled(TEMPLATE, series, volume) == key


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{volume}.cbz", "V.cbz"),
        ("{series} - {volume}.cbz", "S - V.cbz"),
        ("comics/{series}/{series} {volume}.cbz", "comics/S/S V.cbz"),
    ],
)
def test_templates_are_filled(template: str, key: str) -> None:
    assert filled(template, "S", "V") == key


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{subscription}/{parent}/{series} {chapter}.cbz", "comics/P/S C.cbz"),
        ("{number}.cbz", "7.5.cbz"),
        ("{number:02}.cbz", "07.5.cbz"),
        ("{ext}/{volume}.{ext}", "cbz/V.cbz"),
    ],
)
def test_every_field_is_filled(template: str, key: str) -> None:
    fields = {"series": "S", "volume": "V", "chapter": "C", "number": "7.5", "subscription": "comics", "parent": "P"}
    assert library_key(template, fields) == key


@pytest.mark.parametrize(
    ("number", "padded"),
    [
        ("7", "007"),
        ("0", "000"),
        ("1234", "1234"),
        ("12.5", "012.5"),
        ("1-3", "001-003"),
        ("1.5-12", "001.5-012"),
        ("Oneshot 2", "Oneshot 2"),
        ("1-", "1-"),
        ("", "_"),
    ],
)
def test_numbers_are_padded_before_the_point_and_names_are_not(number: str, padded: str) -> None:
    assert library_key("{number:03}.cbz", {"number": number}) == f"{padded}.cbz"


@pytest.mark.parametrize("template", ["{series}/{volume}.cbz", "{series}/{volume}.{ext}"])
@pytest.mark.parametrize("suffix", ["cbr", "7z", "pdf"])
def test_another_suffix_takes_the_place_of_the_templates(template: str, suffix: str) -> None:
    long = "x" * 200
    key = library_key(template, {"series": "S", "volume": long}, suffix=suffix)
    folder, book = key.split("/")
    assert folder == "S"
    assert re.fullmatch(rf"x+…[a-p]{{6}}…x{{40}}\.{suffix}", book)
    assert len(book.encode()) == PART_BYTES


@pytest.mark.parametrize(("letter", "bytes_each"), [("x", 1), ("é", 2), ("話", 3), ("🦊", 4)])
def test_long_parts_lose_their_middle_between_letters(letter: str, bytes_each: int) -> None:
    folder, book = filled(TEMPLATE, letter * 200, letter * 200).split("/")

    for part, suffix, room in ((folder, "", 140), (book, ".cbz", 136)):
        head, digest, tail = part.removesuffix(suffix).split("…")
        assert re.fullmatch("[a-p]{6}", digest)
        assert head == letter * ((room - 40 - 12) // bytes_each)
        assert tail == letter * (40 // bytes_each)


@pytest.mark.parametrize("suffix", ["", ".cbz"])
def test_a_part_that_just_fits_stays_as_it_is(suffix: str) -> None:
    fits = "x" * (PART_BYTES - len(suffix))

    assert safe_part(fits, suffix=suffix) == fits + suffix
    assert safe_part(fits + "x", suffix=suffix) != fits + suffix


def test_long_names_keep_the_number_at_their_end() -> None:
    title = "[日向夏×ねこクラゲ] " + "転生したら薬屋の下働きになっていた件について" * 3  # noqa: RUF001 - as it is called

    keys = [filled(TEMPLATE, title, f"{title} 第{number:02}巻") for number in range(1, 100)]

    assert len(set(keys)) == len(keys)
    assert all(key.endswith(f" 第{number:02}巻.cbz") for number, key in enumerate(keys, 1))


def test_long_names_that_differ_in_their_middle_only_differ() -> None:
    books = {safe_part("漫" * 45 + f"{number:03}" + "画" * 45, suffix=".cbz") for number in range(500)}

    assert len(books) == 500


def test_a_reserved_name_stays_within_the_length() -> None:
    folder = filled(TEMPLATE, "con." + "x" * 200, "x").split("/")[0]

    assert folder.startswith("_con.x")
    assert len(folder) == PART_BYTES - 4  # the two … have three bytes each


@given(series=st.text(max_size=200), volume=st.text(max_size=200))
def test_every_part_is_safe_whatever_comes(series: str, volume: str) -> None:
    parts = filled(TEMPLATE, series, volume).split("/")

    assert len(parts) == 2
    for part in parts:
        assert 0 < len(part.encode()) <= PART_BYTES
        assert part not in (".", "..")
        assert part == unicodedata.normalize("NFC", part)
        assert part == part.strip(" ")
        assert not part.endswith(".")
        assert not set(part) & set('<>:"|?*\\/\0')
