"""Books of several folders, called by their numbers, and what they say of themselves to readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import defusedxml.ElementTree
import pytest
import xmlschema
from tests.cli.command import call
from tests.e2e.processes import run
from tests.support import oracle, readers
from tests.support.paths import COMICINFO_SCHEMA

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from tests.support.world import World

VOLUME, KEY = "Tower/Vol 2", "Tower/Tower 002.cbz"
CHAPTERS = ("Ch 9", "Ch 10", "Ch 11")
SCHEMA = xmlschema.XMLSchema(COMICINFO_SCHEMA)


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch, impatient: None) -> World:
    monkeypatch.setenv("TOKEN", world.server.token)
    world.values |= {
        "subscription.layout": "{series}/{volume}/{chapter}",
        "subscription.library": "{series}/{series} {number:03}.cbz",
        "subscription.language": "ja",
        "subscription.reading_direction": "rtl",
        "subscription.reader": "komga",
    }
    for chapter in CHAPTERS:
        world.volume(f"{VOLUME}/{chapter}", ("1.png", "2.png", "10.png"))
    return world


def pages(world: World, *chapters: str) -> list[bytes]:
    """Of some folders, one after the other."""
    return [page for chapter in chapters for page in oracle.pages_of(world.comics / VOLUME / chapter).values()]


def content(world: World, key: str = KEY) -> list[bytes]:
    """The pages of a book in its order, which is that of their names, too."""
    book = readers.by_python(world.library / key)
    del book["ComicInfo.xml"]
    assert sorted(book, key=oracle.natural) == sorted(book) == list(book)
    return list(book.values())


def info(world: World, key: str = KEY) -> dict[str, str]:
    """The texts of a book's ComicInfo.xml, which keeps to its schema."""
    document = readers.by_python(world.library / key)["ComicInfo.xml"].decode()
    SCHEMA.validate(document)
    root = defusedxml.ElementTree.fromstring(document)
    return {element.tag: element.text or "" for element in root if element.tag != "Pages"}


def test_chapters_become_one_book_in_their_order(world: World) -> None:
    world.write(f"{VOLUME}/cover.png")
    world.volume("Tower/Vol 3/Ch 12/jpg")

    result = run(world)

    assert (result.status, result.keys("bound")) == (0, [KEY, "Tower/Tower 003.cbz"])
    cover = world.comics.joinpath(VOLUME, "cover.png").read_bytes()
    assert content(world) == [cover, *pages(world, *CHAPTERS)]
    again = run(world)
    assert (again.status, again.keys("up_to_date"), again.fetched) == (0, result.keys("bound"), 0)


@pytest.mark.parametrize(
    ("reader", "expected"),
    [("komga", {"Number": "2"}), ("kavita", {"Volume": "2"}), (None, {})],
)
def test_what_a_reader_gets_to_know(world: World, reader: str | None, expected: dict[str, str]) -> None:
    world.values["subscription.reader"] = reader
    assert world.run().status == 0
    assert info(world) == {
        "Title": "Vol 2",
        "Series": "Tower",
        "PageCount": "9",
        "LanguageISO": "ja",
        "Manga": "YesAndRightToLeft",
        **expected,
    }


def test_a_chapter_that_is_a_book_has_its_number(world: World) -> None:
    world.values |= {
        "subscription.path": f"/comics/{VOLUME}",
        "subscription.layout": "{chapter}",
        "subscription.series": "The Tower",
        "subscription.reading_direction": "ltr",
        "subscription.reader": None,
        "subscription.library": "{series}/{number:04}.cbz",
    }

    result = world.run()

    assert (result.status, result.keys("bound")) == (0, [f"The Tower/{number:04}.cbz" for number in (10, 11, 9)])
    told = info(world, "The Tower/0010.cbz")
    assert (told["Series"], told["Number"], told["Title"], told["Manga"]) == ("The Tower", "10", "Ch 10", "No")
    assert "Volume" not in told


def test_a_new_chapter_costs_its_own_pages(world: World) -> None:
    world.run()
    asked = world.server.count("file")
    world.volume(f"{VOLUME}/Ch 12", ("1.png", "2.png"))

    result = run(world)

    assert (result.status, result.keys("bound"), result.fetched) == (0, [KEY], 2)
    assert world.server.count("file") == asked + 2
    assert content(world) == pages(world, *CHAPTERS, "Ch 12")
    assert info(world)["PageCount"] == "11"


def test_a_chapter_that_fails_to_list_or_vanishes_leaves_the_book(world: World) -> None:
    world.run()
    books = world.books()
    world.server.faults.add("list_error", f"/comics/{VOLUME}/Ch 10")
    assert (world.run().codes, world.books()) == ({"listing_failed"}, books)
    world.server.faults.clear()
    world.comics.joinpath(VOLUME, "Ch 10").rename(world.home / "away")
    result = world.run()
    assert (result.status, result.codes, result.keys("held")) == (3, {"shrunk"}, [KEY])
    assert world.books() == books


def test_status_says_which_page_of_a_chapter_failed(world: World) -> None:
    world.server.faults.add("html", f"/comics/{VOLUME}/Ch 10/2.png")
    assert world.run().status == 3

    answer = call("status", VOLUME, "--config", world.config())

    assert answer.status == 3
    assert f"/comics/{VOLUME}/Ch 10/2.png" in answer.out
    world.server.faults.clear()
    assert (world.run().fetched, content(world)) == (1, pages(world, *CHAPTERS))


def test_a_comicinfo_of_the_folder_is_kept_and_completed(world: World) -> None:
    theirs = "<?xml version='1.0'?><ComicInfo><Number>7</Number><Writer>Somebody</Writer></ComicInfo>"
    world.write(f"{VOLUME}/ComicInfo.xml", theirs.encode())
    assert world.run().status == 0
    told = info(world)
    assert (told["Writer"], told["Number"], told["Series"], told["PageCount"]) == ("Somebody", "7", "Tower", "9")

    asked = world.server.count("file")
    world.write(f"{VOLUME}/ComicInfo.xml", theirs.replace("Somebody", "Somebody else").encode())
    result = world.run()

    assert (result.status, result.keys("bound")) == (0, [KEY])
    assert info(world)["Writer"] == "Somebody else"
    assert world.server.count("file") == asked + 1


def test_names_that_grow_stay_one_book(world: World) -> None:
    world.values |= {
        "subscription.path": "/comics/Ongoing",
        "subscription.layout": "auto",
        "subscription.library": "{series}/{volume}.cbz",
        "subscription.strip": [r"更新至\d+话"],
    }
    world.volume("Ongoing/海贼王 更新至1101话/第1卷")
    assert world.run().keys("bound") == ["海贼王/第1卷.cbz"]
    asked, books = world.server.count("file"), world.books()
    world.comics.joinpath("Ongoing/海贼王 更新至1101话").rename(world.comics / "Ongoing/海贼王 更新至1102话")
    world.write("Ongoing/海贼王 更新至1102话/第2卷/1.png", png("new"))

    result = world.run()

    assert (result.status, result.keys("bound")) == (0, ["海贼王/第2卷.cbz"])
    assert result.keys("up_to_date") == ["海贼王/第1卷.cbz"]
    assert world.server.count("file") == asked + 1
    assert world.books()["海贼王/第1卷.cbz"] == books["海贼王/第1卷.cbz"]
