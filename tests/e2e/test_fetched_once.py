"""What is here already is not asked of the server again; counted there, run by run, each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.app.test_adopt import gallery_dl
from tests.cli.command import call, end
from tests.e2e.processes import begin, run
from tests.support import oracle, readers

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from tests.support.world import Run, World

FOLDER, KEY = "Series/Vol 1", "Series/Vol 1.cbz"
BOOKS = 50


def states(result: Run) -> dict[str, str]:
    """Where each volume stands, by its path below the subscription."""
    lists = (result.document[name] for name in ("bound", "up_to_date", "waiting", "held"))
    return {volume["path"].removeprefix("/comics/"): volume["state"] for one in lists for volume in one}


def check_book(world: World) -> None:
    oracle.check_book(world.library / KEY, oracle.pages_of(world.comics / FOLDER))


@pytest.mark.parametrize("count", [9, 99, 200])
def test_a_page_more_is_one_page_asked(world: World, count: int) -> None:
    world.volume(FOLDER, [f"{number}.png" for number in range(1, count + 1)])
    assert run(world).keys("bound") == [KEY]
    assert world.server.count("file") == count
    new = world.write(f"{FOLDER}/{count + 1}.png")

    result = run(world)

    assert (result.status, result.keys("bound")) == (0, [KEY])
    assert (result.fetched, result.document["pages_reused"]) == (1, count)
    assert result.document["bytes_fetched"] == new.stat().st_size
    assert world.server.count("file") == count + 1
    assert world.server.count("file", f"/comics/{FOLDER}/{count + 1}.png") == 1
    check_book(world)
    assert world.stored("staging") == []


def test_a_series_folder_that_was_renamed_costs_no_page(world: World) -> None:
    volumes = [f"Vol {number}" for number in range(1, 5)]
    for volume in volumes:
        world.volume(f"Old/{volume}")
    world.volume("Other/Vol 1")
    assert run(world).status == 0
    books, asked = world.books(), world.server.count("file")
    world.comics.joinpath("Old").rename(world.comics / "New")
    now = {f"New/{v}": "bound" for v in volumes} | {f"Old/{v}": "moved" for v in volumes} | {"Other/Vol 1": "bound"}

    for _ in range(2):
        result = run(world)

        assert (result.status, states(result)) == (0, now)
        assert world.server.count("file") == asked
        assert world.books() == books
    status = end(begin(world, "status"))
    assert status.status == 0
    for volume in volumes:  # whose books have the same size and second
        told = f"moved        /comics/Old/{volume} -> Old/{volume}.cbz, 0/3 pages: moved to /comics/New/{volume};"
        assert told in status.out


def test_a_volume_that_moved_grows_where_its_book_is(world: World) -> None:
    world.volume(FOLDER, [f"{number}.png" for number in range(1, 10)])
    world.run()
    world.comics.joinpath(FOLDER).rename(world.comics / "Series/First")
    world.run()
    world.write("Series/First/10.png")

    assert world.run().keys("bound") == [KEY]

    assert world.server.count("file") == 10
    assert list(world.books()) == [KEY]
    pages = list(oracle.pages_of(world.comics / "Series/First").values())
    assert list(readers.by_python(world.library / KEY).values())[:-1] == pages


def adopted(world: World) -> dict[str, bytes]:
    """Books of gallery-dl, one for each of some folders on the server."""
    world.values["subscription.existing"] = "adopt"
    books = {}
    for number in range(1, BOOKS + 1):
        folder = f"Series {number % 5}/Vol {number:02}"
        pages = {f"{page:03}.png": png(f"{folder}/{page}") for page in range(1, 5)}
        for name, data in pages.items():
            world.write(f"{folder}/{name}", data)
        books[f"{folder}.cbz"] = gallery_dl(pages)
    for key, book in books.items():
        file = world.library / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(book)
    return dict(sorted(books.items()))


def test_books_of_gallery_dl_are_adopted_without_a_download(world: World) -> None:
    books = adopted(world)

    first = run(world)

    assert (first.status, sorted(first.keys("bound"))) == (0, list(books))
    assert (first.fetched, world.server.count("file")) == (0, 0)
    assert world.books() == books
    verified = end(begin(world, "verify", "--read", "--json"))
    assert verified.status == 0
    assert [(book["ok"], book["pages"]) for book in verified.document["books"]] == [(True, 4)] * BOOKS
    second = run(world)
    assert (second.status, sorted(second.keys("up_to_date"))) == (0, list(books))
    assert (world.server.count("file"), world.books()) == (0, books)

    world.write("Series 1/Vol 01/005.png")
    third = run(world)

    assert (third.status, third.keys("bound"), third.fetched) == (0, ["Series 1/Vol 01.cbz"], 1)
    assert world.server.count("file") == 1
    oracle.check_book(world.library / "Series 1/Vol 01.cbz", oracle.pages_of(world.comics / "Series 1/Vol 01"))
    left = {key: book for key, book in world.books().items() if key != "Series 1/Vol 01.cbz"}
    assert left == {key: book for key, book in books.items() if key in left}


def test_books_of_a_series_folder_that_was_renamed_can_be_renamed_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", world.server.token)
    for volume in ("Vol 1", "Vol 2"):
        world.volume(f"Old/{volume}")
    world.run()
    world.comics.joinpath("Old").rename(world.comics / "New")
    world.run()
    asked = world.server.count("file")

    renamed = call("bind", "--config", world.config(), "*", "--rename", "--json")

    assert renamed.status == 0
    decided = [(one["path"], one["kind"]) for one in renamed.document["decided"]]
    assert decided == [("/comics/New/Vol 1", "rename"), ("/comics/New/Vol 2", "rename")]
    for _ in range(2):
        assert list(world.books()) == ["New/Vol 1.cbz", "New/Vol 2.cbz"]
        assert world.server.count("file") == asked
        result = world.run()
        assert (result.status, result.document["held"]) == (0, [])
    verified = call("verify", "--config", world.config(), "--json")
    assert [book["key"] for book in verified.document["books"] if book["ok"]] == ["New/Vol 1.cbz", "New/Vol 2.cbz"]
    assert verified.status == 0
    oracle.check_book(world.library / "New/Vol 1.cbz", oracle.pages_of(world.comics / "New/Vol 1"))
