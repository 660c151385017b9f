# ruff: noqa: RUF001 - full-width digits and signs are what such names are made of
"""Trees of folders as drives really hold them, and the books that come of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from pagebind.core.layout_pattern import parse_layout
from pagebind.core.naming import call
from pagebind.core.watch import Watch


class Tree(NamedTuple):
    """Folders (or archives, with a suffix) below ``/c`` and their books, with the number that the book says.

    ``None`` for a book: the layout has no place for the folder. Folders that are merged give the same book.
    """

    kind: str
    books: dict[str, str | tuple[str, str] | None]
    layout: str = "auto"
    library: str = "{series}/{volume}.cbz"
    settings: dict[str, Any] = {}  # noqa: RUF012 - never written to


ARCHIVES = ("cbz", "zip", "cbr", "rar", "7z", "pdf", "epub")
UPDATED = r"[（(\[【]?(?:更新至|连载至)\d+[话話][）)\]】]?"

TREES = [
    Tree("flat one-shots", {"Look Back": "Look Back/Look Back.cbz", "Goodbye Eri": "Goodbye Eri/Goodbye Eri.cbz"}),
    Tree(
        "flat one-shots in one folder",
        {"Look Back": "Oneshots/Look Back.cbz"},
        library="{series}/{volume}.cbz",
        settings={"series": "Oneshots"},
    ),
    Tree(
        "series and volumes",
        {"One Piece/Vol 01": "One Piece/Vol 01.cbz", "One Piece/Vol 100": "One Piece/Vol 100.cbz"},
    ),
    Tree(
        "series and volumes, renumbered",
        {
            "One Piece/Vol 1": ("One Piece/One Piece 001.cbz", "1"),
            "One Piece/Vol. 12": ("One Piece/One Piece 012.cbz", "12"),
        },
        library="{series}/{series} {number:03}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "author, series and volumes",
        {"鳥山明/Dr.スランプ/第1巻": "Dr.スランプ/第1巻.cbz", "鳥山明/SAND LAND": "鳥山明/SAND LAND.cbz"},
    ),
    Tree(
        "author, series and volumes, written out",
        {"鳥山明/Dr.スランプ/第1巻": "Dr.スランプ/第1巻.cbz", "鳥山明/SAND LAND": None},
        layout="{_}/{series}/{volume}",
    ),
    Tree(
        "shelves that are literal",
        {
            "Manga/Akira/Vol 3": ("Akira/03.cbz", "3"),
            "Novels/Akira/Vol 3": None,
            "manga/Akira/vol 4": ("Akira/04.cbz", "4"),
        },
        layout="Manga/{series}/Vol {volume}",
        library="{series}/{number:02}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "group tags",
        {
            "[Group] Dungeon Meshi/[Group] Dungeon Meshi v03 (2004) (Digital)": "Dungeon Meshi/03.cbz",
            "[Other] Dungeon Meshi/[Other] Dungeon Meshi v04 (Digital)": "Dungeon Meshi/04.cbz",
        },
        layout="[{_}] {series}/{volume}",
        library="{series}/{number:02}.cbz",
    ),
    Tree(
        "group tags taken out",
        {"[Group] Akira/Akira v03 (2004) (Digital) (Group)": "Akira/Akira v03.cbz"},
        settings={"strip": (r"\[[^\]]*\]", r"\((?:digital|\d{4}|group)\)")},
    ),
    Tree(
        "one folder a volume, series in its name",
        {"Akira v01 (1988)": "Akira/01.cbz", "Akira v02": None, "Domu": None},
        layout="{series} v{volume} ({_})",
    ),
    Tree(
        "series and number, no word between",
        {"Akira/Akira 01": ("Akira/01.cbz", "1"), "Akira/Akira 02 (Extra)": ("Akira/02.cbz", "2")},
        library="{series}/{number:02}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "issues without a sign",
        {
            "Saga/Saga 012 (2013) (Digital)": "Saga/012.cbz",
            "Tintin/Tintin - 05 - Le sceptre": "Tintin/005.cbz",
            "100 Bullets/100 Bullets 007": "100 Bullets/007.cbz",
            "100 Bullets/100 Bullets": "100 Bullets/100 Bullets.cbz",
            "進撃の巨人/進撃の巨人(34)": "進撃の巨人/034.cbz",
        },
        library="{series}/{number:03}.cbz",
    ),
    Tree(
        "only numbers",
        {
            "Naruto/07": ("Naruto/007.cbz", "7"),
            "Naruto/12.5": ("Naruto/012.5.cbz", "12.5"),
            "Naruto/1-3": ("Naruto/001-003.cbz", "1-3"),
        },
        library="{series}/{number:03}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "years are no numbers",
        {"Thorgal/2004": ("Thorgal/2004.cbz", ""), "Thorgal/T03 (1981)": ("Thorgal/03.cbz", "3")},
        library="{series}/{number:02}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "Japanese",
        {
            "深夜食堂/第１巻": ("深夜食堂/01.cbz", "1"),
            "深夜食堂/第十二巻": ("深夜食堂/12.cbz", "12"),
            "深夜食堂/番外編": ("深夜食堂/番外編.cbz", ""),
        },
        library="{series}/{number:02}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "Chinese",
        {
            "进击的巨人/卷05": ("进击的巨人/005.cbz", "5"),
            "进击的巨人/第101卷": ("进击的巨人/101.cbz", "101"),
            "进击的巨人/06册": ("进击的巨人/006.cbz", "6"),
        },
        library="{series}/{number:03}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "Korean",
        {"미생/제3권": ("미생/3.cbz", "3"), "미생/4권": ("미생/4.cbz", "4"), "미생/12화": ("미생/12.cbz", "12")},
        library="{series}/{number}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "Korean in pieces, as macOS writes it",
        {"\u1106\u1175\u1109\u1162\u11bc/\u110c\u1166\u0033\u1100\u116f\u11ab": "미생/제3권.cbz"},
    ),
    Tree(
        "French, German, Spanish",
        {
            "Thorgal/Tome 3": "Thorgal/3.cbz",
            "Tintin/T. 07 - L'île": "Tintin/7.cbz",
            "Nick/Band 2": "Nick/2.cbz",
            "Mafalda/Tomo 4": "Mafalda/4.cbz",
        },
        library="{series}/{number}.cbz",
    ),
    Tree(
        "bilingual",
        {"One Piece 海贼王/Vol 03 第3卷": ("One Piece 海贼王/Vol 03 第3卷.cbz", "3")},
        settings={"reader": "komga"},
    ),
    Tree(
        "bilingual, one name of the two",
        {"One Piece - 海贼王/Vol 03 - 第3卷": "海贼王/Vol 03.cbz"},
        layout="{_} - {series}/{volume} - {_}",
    ),
    Tree(
        "chapters beside each other",
        {
            "Blame!/Ch.7": ("Blame!/0007.cbz", "7"),
            "Blame!/Chapter 12.5": ("Blame!/0012.5.cbz", "12.5"),
            "Blame!/#1101": ("Blame!/1101.cbz", "1101"),
        },
        library="{series}/{number:04}.cbz",
    ),
    Tree(
        "chapters by the layout",
        {
            "Blame!/Vol 2 Ch 12": ("Blame!/Vol 2 Ch 12.cbz", "12"),
            "Blame!/013": ("Blame!/013.cbz", "13"),
            "Blame!/Extra": ("Blame!/Extra.cbz", ""),
        },
        layout="{series}/{chapter}",
    ),
    Tree(
        "chapters of a numbered form only",
        {"海贼王/第12话 约定": ("海贼王/Ch 0012.cbz", "12"), "海贼王/公告": None},
        layout="{series}/第{chapter}话{_}",
        library="{series}/Ch {number:04}.cbz",
    ),
    Tree(
        "chapters in volumes",
        {
            "Berserk/Vol 01/Ch 1": ("Berserk/Vol 01.cbz", "1"),
            "Berserk/Vol 01/Ch 2/jpg": ("Berserk/Vol 01.cbz", "1"),
            "Berserk/Vol 01": ("Berserk/Vol 01.cbz", "1"),
            "Berserk/Vol 02/Ch 3": ("Berserk/Vol 02.cbz", "2"),
            "Berserk": None,
        },
        layout="{series}/{volume}/{chapter}",
        settings={"reader": "komga"},
    ),
    Tree(
        "chapters in volumes, extras beside them",
        {
            "Berserk/Vol 01/Ch 1": "Berserk/Vol 01.cbz",
            "Berserk/Vol 01/extras": None,
            "Berserk/Vol 01/scans": "Berserk/Vol 01.cbz",
        },
        layout="{series}/{volume}/Ch {chapter}",
    ),
    Tree(
        "a series of chapters is one book",
        {"怪談/第1話": "怪談/怪談.cbz", "怪談/第2話": "怪談/怪談.cbz"},
        layout="{volume}/{chapter}",
    ),
    Tree(
        "chapters below seasons",
        {
            "Tower/Season 1/Ep 005": ("Tower/Season 1 - 005.cbz", "5"),
            "Tower/Season 2/Ep 005": ("Tower/Season 2 - 005.cbz", "5"),
        },
        layout="{series}/{_}/Ep {chapter}",
        library="{series}/{parent} - {chapter}.cbz",
    ),
    Tree(
        "language levels",
        {
            "Akira/Vol 1/English": "Akira/Vol 1.cbz",
            "Akira/Vol 1/Japanese": None,
            "Akira/Vol 1/english/images": "Akira/Vol 1.cbz",
        },
        layout="{series}/{volume}/English",
    ),
    Tree(
        "language above",
        {"en/Akira/Vol 1": "en/Akira/Vol 1.cbz", "ja/Akira/Vol 1": None},
        layout="en/{series}/{volume}",
        library="en/{series}/{volume}.cbz",
    ),
    Tree(
        "raw beside translated",
        {"Akira/raw/Vol 1": None, "Akira/scanlated/Vol 1": "Akira/Vol 1.cbz", "Akira/Vol 1": None},
        layout="{series}/scanlated/{volume}",
    ),
    Tree(
        "scans and jpg",
        {
            "Akira/Vol 1/jpg": "Akira/Vol 1.cbz",
            "Akira/Vol 2/Scans": "Akira/Vol 2.cbz",
            "Domu/PNG": "Domu/Domu.cbz",
            "images/webp": "c/c.cbz",
        },
    ),
    Tree(
        "scans and jpg, written out",
        {"Akira/Vol 1/jpg": "Akira/Vol 1.cbz", "Akira/Vol 2/scans/webp": "Akira/Vol 2.cbz", "Akira/Vol 3/extra": None},
        layout="{series}/{volume}",
    ),
    Tree(
        "archives among folders",
        {
            "Akira/Vol 1": "Akira/Vol 1.cbz",
            "Akira/Vol 2.zip": "Akira/Vol 2.cbz",
            "Akira/Vol 3.CBR": "Akira/Vol 3.cbr",
            "Akira/Vol 3.5.rar": "Akira/Vol 3.5.rar",
            "Domu.pdf": "Domu/Domu.pdf",
        },
    ),
    Tree(
        "archives by a layout",
        {"Akira/Akira v01.cbz": ("Akira/01.cbz", "1"), "Akira/Akira v02.7z": ("Akira/02.7z", "2"), "Akira.epub": None},
        layout="{series}/{volume}",
        library="{series}/{number:02}.{ext}",
        settings={"reader": "komga"},
    ),
    Tree(
        "names that grow",
        {
            "海贼王 更新至1101话/第1卷": "海贼王/第1卷.cbz",
            "海贼王 更新至1102话/第1卷": "海贼王/第1卷.cbz",
            "火影（连载至700话）/卷2": "火影/卷2.cbz",
        },
        settings={"strip": (UPDATED,)},
    ),
    Tree(
        "names that grow, left as they are",
        {"更新至1101话/第1话": ("更新至1101话/第1话.cbz", "1"), "海贼王/更新至1101话": ("海贼王/更新至1101话.cbz", "")},
        settings={"reader": "komga"},
    ),
    Tree(
        "decimals and ranges",
        {
            "X/Vol 1.5": ("X/001.5.cbz", "1.5"),
            "X/Vol 01-03": ("X/001-003.cbz", "1-3"),
            "X/第1巻～第3巻": ("X/001-003.cbz", "1-3"),
        },
        library="{series}/{number:03}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "counts are no numbers",
        {"X/全12巻": ("X/全12巻.cbz", ""), "X/X (C99)": ("X/X (C99).cbz", "")},
        library="{series}/{number:03}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "odd characters",
        {
            "Who?/Vol: 1": "Who_/Vol_ 1.cbz",
            ".hack/..": "_hack/_..cbz",
            "AC\\DC/con": "AC_DC/_con.cbz",
            "100% #1 & 'x'/a b": "100% #1 & 'x'/a b.cbz",
            "{series}/{volume}": "{series}/{volume}.cbz",
            "Wait.../End. ": "Wait___/End..cbz",
            "🦊/\u202e1": "🦊/_1.cbz",
        },
    ),
    Tree("pages in the subscription itself", {"": "c/c.cbz"}),
    Tree(
        "the subscription is the series",
        {"Vol 1": ("c/c v01.cbz", "1"), "Vol 2": ("c/c v02.cbz", "2")},
        library="{subscription}/{subscription} v{number:02}.cbz",
        settings={"reader": "komga"},
    ),
    Tree(
        "everything by its parent",
        {"A/X/1": "A - X/1.cbz", "B/X/1": None},
        layout="A/{series}/{volume}",
        library="A - {parent}/{volume}.cbz",
    ),
]


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.kind)
def test_a_tree_becomes_the_books_that_one_expects(tree: Tree) -> None:
    watch = Watch("/c", tree.library, layout=parse_layout(tree.layout), **tree.settings)
    for path, expected in tree.books.items():
        stem, dot, suffix = path.rpartition(".")
        is_archive = dot and suffix.lower() in ARCHIVES
        folder = f"/c/{stem if is_archive else path}".rstrip("/")
        placed = watch.layout.place(watch.path, folder)
        if placed is None:
            assert expected is None, path
            continue
        called = call(watch, placed, suffix=suffix if is_archive else "cbz")
        found = (called.key, called.about.number) if isinstance(expected, tuple) else called.key
        assert found == expected, path


def test_there_are_enough_of_them() -> None:
    assert len(TREES) >= 30
