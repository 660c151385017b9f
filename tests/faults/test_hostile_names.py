# ruff: noqa: RUF001 - signs that look like others are what such names are made of
"""Names that are meant to do harm: as series, folder and page, in books, in messages and on the terminal."""

from __future__ import annotations

import io
import re
import subprocess
import time
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tests.app.world import World
from tests.support.memory_source import picture
from tests.support.readers import READERS, by_python, needs
from tests.support.world import World as Served

from pagebind.cli.main import pagebind
from pagebind.core import keys
from pagebind.core.library_key import library_key
from pagebind.core.model import COMICINFO
from pagebind.core.names import book_names, order_pages
from pagebind.core.printable import printable
from pagebind.core.zip_layout import Entry, central_directory, local_header
from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer
from pagebind.errors import NOT_IN_A_LINE, ListingFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("in_haste")

TEMPLATE = "{series}/{volume}.cbz"

NASTY = {
    "blank": " ",
    "blanks around": "  a  ",
    "dots": "...",
    "dots behind": "a. .",
    "hidden": ".hidden",
    "a way out": "..\\..\\x",
    "a drive": "C:",
    "a device": "CON",
    "a device with a suffix": "com1.x",
    "a device in front": "NUL .y",
    "an option": "-rf",
    "home": "~",
    "a command": "$(reboot) `id` %n ; & | < >",
    "a pattern": "[a-z]*?",
    "quotes": "'\"",
    "two lines": "a\nb\r\nc",
    "control characters": "\x01\x1b[2J\x1b]0;x\x07\x7f\x9b31m",
    "turned": "\u202egpj.exe\u202c \u2066a\u2069 \u200f\u061c",
    "line separators": "a\u2028b\u2029",
    "nothing to see": "\u200b\u2060\ufeff",
    "half a character": "\udcff\ud800",
    "no characters": "\ufffe\uffff!",
    "emoji": "👩‍👩‍👧🏴\U000e0067",
    "marks": "e" + "\u0301" * 30,
    "long": "漢" * 3_333,
    "full width": "．．／ＣＯＮ",
    "a field": "{series}",
    "per cent": "%2e%2e%2f%00",
}

WORST = ("a way out", "a drive", "a device", "an option", "control characters", "turned", "half a character", "long")
"""Those whose books are given to other programs, which takes time."""

FIELDS = dict.fromkeys(("series", "volume", "number", "chapter", "subscription", "parent"), "")

ALIKE = {
    "case": ("Ab", "aB"),
    "a letter with a mark": ("é", "e\u0301"),
    "sharp s": ("straße", "STRASSE"),
    "final sigma": ("σ", "ς"),
    "unsafe": ("a?", "a*"),
    "dotted i": ("i\u0307", "İ"),
}

ACTS = "\x1b[2Ja\nb\r\x07\x7f\x9b31m\u2028\u202egpj\u2066\u200f"
"""A name that clears the screen, breaks lines, rings, and turns what follows it; as far as file systems take it."""

PICTURES = [picture(number) for number in "123"]

SHOWN_BADLY = re.compile(f"[{NOT_IN_A_LINE}]")

texts = st.text(
    st.characters(exclude_characters="/\0") | st.sampled_from([*" .:\\-_~\u202e\u0301\ud800Ii"]), max_size=60
)


# -- in books


@given(names=st.lists(texts, min_size=1, max_size=12, unique=True))
def test_any_names_make_a_book_that_opens_and_unpacks_where_it_should(names: list[str]) -> None:
    book = book_of(names)
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        assert archive.testzip() is None
        inside = archive.namelist()
        for name in inside:
            # What `extract` changes of a name is what leads out of a folder, and what a system cannot hold.
            assert zipfile.Path(archive, name).name == name
            assert not SHOWN_BADLY.search(name)
            assert not set(name) & set("/\\:\0")
            assert name not in ("", ".", "..")
            assert name == name.rstrip(". ")
            assert len(name.encode()) <= 200
    assert len({name.casefold() for name in inside}) == len(names)


def book_of(names: Sequence[str]) -> bytes:
    """A zip of pages with these names on the server, each holding its own as far as it is text."""
    ordered = [names[place] for place in order_pages(names)]
    made, entries = io.BytesIO(), []
    for name, title in zip(ordered, book_names(ordered), strict=True):
        data = name.encode("utf-8", "surrogatepass")
        entries.append(Entry(title, zlib.crc32(data), len(data)))
        made.write(local_header(*entries[-1]) + data)
    made.write(central_directory(entries))
    return made.getvalue()


@given(series=texts, volume=texts)
def test_any_names_make_a_key_that_every_store_takes(series: str, volume: str) -> None:
    key = library_key(TEMPLATE, FIELDS | {"series": series, "volume": volume})

    assert keys.is_key(key)
    assert key.count("/") == 1
    assert not SHOWN_BADLY.search(key)
    assert not set(key) & set('<>:"|?*\\')
    assert re.fullmatch(r"[a-z0-9-]{1,60}", keys.volume_id(f"/c/{series}/{volume}"))


@pytest.mark.parametrize("unit", [" ", ". ", "\t", "1", "1.", "[", "第", "一", "e\u0301", "A", "\ud800", "ch 1 "])
def test_a_long_name_costs_its_length_and_not_the_square_of_it(unit: str) -> None:
    name = (unit * 100_000)[:100_000] + "x"
    begun = time.process_time()
    book_names([f"{name}1.jpg", f"{name}2.jpg"])
    library_key(TEMPLATE, FIELDS | {"series": name, "volume": name})
    assert time.process_time() - begun < 5  # by the square it would be minutes


@pytest.fixture
def bound(world: World) -> World:
    """A volume for each nasty name, which is that of its series, its folder and its pages; and one that is well."""
    world.source.folder("/c/Well/Vol 1", "1.jpg")
    for name in NASTY.values():
        for page, data in zip((f"{name}1", f"{name}2", f"{name}10"), PICTURES, strict=True):
            world.source.add(f"/c/{name}/{name}/{page}.jpg", data)
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_book_comes_of_every_name_that_every_reader_takes_and_that_unpacks_where_it_should(bound: World) -> None:
    result = bound.run()

    assert (result.problems, result.held, result.waiting) == ([], [], [])
    assert len(result.bound) == len(NASTY) + 1
    books = {path: by_python(path) for path in sorted((bound.root / "library").rglob("*.cbz"))}
    assert len(books) == len(result.bound)
    for path, pages in books.items():
        if path.parent.name != "Well":
            assert [data for name, data in pages.items() if name != COMICINFO] == PICTURES
    worst = [
        library_key(TEMPLATE, FIELDS | {"series": name, "volume": name}) for name in (NASTY[title] for title in WORST)
    ]
    some = {path: books[path] for path in (bound.root / "library" / key for key in worst)}
    for reader in READERS:
        reader(some)
    unpack(list(some), bound.root / "unpacked")


def unpack(books: Sequence[Path], home: Path) -> None:
    """What comes of each book lies in the folder that it was unpacked into, and nowhere else."""
    unzip = needs("unzip")
    for place, book in enumerate(books):
        folder = home / str(place)
        folder.mkdir(parents=True)
        done = subprocess.run([unzip, "-qq", book, "-d", folder], capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(list(folder.iterdir())) == len(by_python(book))
    assert len(list(home.iterdir())) == len(books)
    assert {folder.name for folder in home.parent.iterdir()} <= {"work", "library", "unpacked"}


def test_names_that_differ_in_case_or_form_alone_are_one_book_and_a_collision(world: World) -> None:
    for title, pair in ALIKE.items():
        for name in pair:
            world.source.folder(f"/c/{title}/{name}", "1.jpg")
            world.source.folder(f"/c/pages/{title}", f"{name}1.jpg", f"{name}2.jpg")

    result = world.run()

    firsts = {min(f"/c/{title}/{name}" for name in pair) for title, pair in ALIKE.items()}
    assert {volume.path for volume in result.bound} == firsts | {f"/c/pages/{title}" for title in ALIKE}
    assert [problem.code for problem in result.problems] == ["collision"] * len(ALIKE)
    assert {volume.path for volume in result.held} == {
        max(f"/c/{title}/{name}" for name in pair) for title, pair in ALIKE.items()
    }
    for title in ALIKE:
        inside = world.pages_in(f"pages/{title}.cbz")
        assert len({keys.library_digest(name) for name in inside}) == 4


# -- in messages


def test_what_is_shown_has_no_character_that_acts() -> None:
    for name in NASTY.values():
        assert not SHOWN_BADLY.search(printable(name))
        error = ListingFailed(f"cannot list {name}", fix=f"rename {name}")
        assert not SHOWN_BADLY.search(error.message + error.fix + str(error))
    assert printable("a1é漢\u3000👩‍👧") == "a1é漢\u3000👩‍👧"
    assert ListingFailed("a\x1b\u202e\ud800\x9b").message == "a\\x1b\\u202e\\ud800\\x9b"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A volume that is well, and one of such a name, which lacks a page."""
    made = Served(tmp_path, DemoServer({"/comics": LocalDrive(folder=tmp_path / "comics")}))
    made.volume("Well/Vol 1")
    made.volume(f"{ACTS}/{ACTS}", [f"{ACTS}1.png"])
    made.write(f"{ACTS}/{ACTS}/{ACTS}2.png", b"<html>")
    return made


def test_no_command_shows_what_acts_on_a_terminal_and_json_says_it_exactly(served: Served) -> None:
    with served.server:
        config = ["--config", str(served.config())]
        for words in ("run -vv", "status", "plan", "verify", "run", "bind"):
            arguments = [*words.split(), *config, *([f"/comics/{ACTS}/{ACTS}"] if words == "bind" else [])]
            result = CliRunner().invoke(pagebind, arguments, env=served.environment(), catch_exceptions=False)
            shown = result.stdout + result.stderr
            assert not SHOWN_BADLY.search(shown.replace("\n", "")), words
            assert "page" in shown or words == "verify"
        found = served.run()

    assert (found.status, found.codes) == (3, {"page_failed"})
    assert [volume["path"] for volume in found.document["waiting"]] == [f"/comics/{ACTS}/{ACTS}"]
    assert list(served.books()) == ["Well/Vol 1.cbz"]
