"""From the folders of a server to books: the same pages, bytes, names and order as the server's own files."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.support import oracle, readers
from tests.support.paths import RECORDED_LIBRARY
from tests.support.world import World

from pagebind.demo.dialects import DIALECTS
from pagebind.demo.drives import LocalDrive
from pagebind.demo.library import MAIN_SUBSCRIPTION, OTHER_SUBSCRIPTIONS, write_demo_library
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DEMO_FOLDERS = {
    "100% Cotton/Vol 1 #2.cbz": "100% Cotton/Vol 1 #2",
    "Akira/Vol 1.cbz": "Akira/Vol 1",
    "Berserk/Vol 3.cbz": "Berserk/Vol 3/jpg",
    "One Piece/Vol 01.cbz": "One Piece/Vol 01",
    "One Piece/Vol 02.cbz": "One Piece/Vol 02",
    "深夜食堂/第1巻.cbz": "深夜食堂/第1巻",
    "Dr.スランプ/第1巻.cbz": "鳥山明/Dr.スランプ/第1巻",
    "Moby Dick/Tome 1.cbz": "Moby Dick/Tome 1",
    "One Piece 海贼王/Vol 03 第3卷.cbz": "Ongoing/One Piece 海贼王（更新至1101话）/Vol 03 第3卷",  # noqa: RUF001
}
DEMO_CHAPTERS, DEMO_ARCHIVE = "Tower/Tower 001.cbz", "Berserk/Berserk v02.cbz"
DEMO_BOOKS = sorted([*DEMO_FOLDERS, DEMO_CHAPTERS, DEMO_ARCHIVE])
RECORDED_BOOKS = {
    "100% Cotton/Vol 1.cbz": "100% Cotton/Vol 1",
    "Long/Vol 1.cbz": "Long/Vol 1",
    "One Piece/Vol 01.cbz": "One Piece/Vol 01",
    "One Piece/Vol 02.cbz": "One Piece/Vol 02",
    "深夜食堂/第1巻.cbz": "深夜食堂/第1巻",
}
ODD_NAMES = (
    "1 with spaces.png",
    "2 100%.png",
    "3 50%25.png",
    "4 #1.png",
    "5 who?.png",
    "6 a+b.png",
    "7 c & d.png",
    '8 it\'s "quoted".png',
    "9 第１巻 表紙.png",
    "10 😀👩\u200d👧.png",
    "11 naïve [é] {x}; =@,$!^`~.png",
    "12 %E3%81%82%2F.png",
)

dialects = pytest.mark.parametrize("dialect", sorted(DIALECTS))


def expected(world: World, books: Mapping[str, str]) -> dict[Path, readers.Pages]:
    return {world.library / key: oracle.pages_of(world.comics / folder) for key, folder in books.items()}


def check_books(world: World, books: Mapping[str, str]) -> None:
    assert sorted(world.books()) == sorted(books)
    check_folders(world, books)


def check_folders(world: World, books: Mapping[str, str]) -> None:
    for book, pages in expected(world, books).items():
        oracle.check_book(book, pages)


def demo_world(home: Path, server: DemoServer) -> World:
    """With the demo's own subscriptions."""
    return World(home, server, values=dict(MAIN_SUBSCRIPTION), more=OTHER_SUBSCRIPTIONS)


def check_demo_books(world: World) -> None:
    assert sorted(world.books()) == DEMO_BOOKS
    check_folders(world, DEMO_FOLDERS)
    assert world.books()[DEMO_ARCHIVE] == world.comics.joinpath(DEMO_ARCHIVE).read_bytes()
    chapters = [world.comics / "Chapters/Tower/Vol 1" / name for name in ("Ch 1", "Ch 2", "Ch 10")]
    listed = [data for chapter in chapters for data in oracle.pages_of(chapter).values()]
    assert list(readers.by_python(world.library / DEMO_CHAPTERS).values())[:-1] == listed
    kept = readers.by_python(world.library / "Moby Dick/Tome 1.cbz")["ComicInfo.xml"]
    assert b"<Writer>Herman Melville</Writer>" in kept


@dialects
def test_books_equal_the_servers_own_files(tmp_path: Path, dialect: str) -> None:
    write_demo_library(tmp_path / "comics")
    drive = LocalDrive(folder=tmp_path / "comics", hashes=("md5",), order="shuffled")
    with DemoServer({"/comics": drive}, dialect=dialect) as server:
        world = demo_world(tmp_path, server)
        first = world.run()
        assert (first.status, sorted(first.keys("bound"))) == (0, DEMO_BOOKS)
        check_demo_books(world)
        books, asked = world.books(), server.count("file")
        second = world.run()
        assert (second.status, sorted(second.keys("up_to_date"))) == (0, DEMO_BOOKS)
        assert (server.count("file"), world.books()) == (asked, books)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, readers.Pages]:
    """Books as they were bound, with all that they hold."""
    home = tmp_path_factory.mktemp("shelf")
    write_demo_library(home / "comics")
    with DemoServer({"/comics": home / "comics"}) as server:
        world = demo_world(home, server)
        world.volume("Odd/Names", ODD_NAMES)
        assert world.run().status == 0
        # A name that every locale can pass to a program; the names in question are those inside.
        books = [world.library / key for key in world.books()]
        plain = [book.rename(home / f"{number}.cbz") for number, book in enumerate(books)]
        return {book: readers.by_python(book) for book in plain}


@pytest.mark.parametrize("accepts", readers.READERS)
def test_every_reader_opens_every_book(
    shelf: dict[Path, readers.Pages], accepts: Callable[[Mapping[Path, readers.Pages]], None]
) -> None:
    assert len(shelf) == len(DEMO_BOOKS) + 1
    accepts(shelf)


@pytest.mark.skipif(not RECORDED_LIBRARY.exists(), reason="the library of the recordings is not here")
@dialects
def test_the_recorded_library_but_for_a_volume_with_files_that_are_no_pictures(tmp_path: Path, dialect: str) -> None:
    with zipfile.ZipFile(RECORDED_LIBRARY) as archive:
        archive.extractall(tmp_path / "comics")
    with DemoServer({"/comics": tmp_path / "comics"}, dialect=dialect) as server:
        world = World(tmp_path, server)
        run = world.run()
        assert (run.status, run.codes) == (3, {"page_failed"})
        assert "Mixed/Vol 1.cbz" in run.keys("waiting")
        assert {problem["path"] for problem in run.document["problems"]} == {
            "/comics/Mixed/Vol 1/fake.jpg",
            "/comics/Mixed/Vol 1/zero.jpg",
        }
        check_books(world, RECORDED_BOOKS)


@dialects
@pytest.mark.parametrize("sign_all", [True, False])
def test_odd_names_arrive_intact_inside_the_book(tmp_path: Path, dialect: str, sign_all: bool) -> None:
    (tmp_path / "comics").mkdir()
    with DemoServer({"/comics": tmp_path / "comics"}, dialect=dialect, sign_all=sign_all) as server:
        world = World(tmp_path, server)
        folder = "50% & more #1/Who? a+b 'c' \"d\" 第1巻 😀"
        world.volume(folder, ODD_NAMES)
        run = world.run()
        assert run.status == 0
        (key,) = world.books()
        pages = readers.by_python(world.library / key)
        del pages["ComicInfo.xml"]
        files = {file.name: file.read_bytes() for file in world.comics.joinpath(folder).iterdir()}
        # Numbers are padded, so that the order is the same everywhere; nothing else of a name changes.
        assert {name.lstrip("0"): data for name, data in pages.items()} == files
        assert [name.lstrip("0") for name in pages] == list(ODD_NAMES)
