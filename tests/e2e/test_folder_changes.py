"""What happens to a book when its folder changes, or only seems to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.support import oracle

from pagebind.demo.drives import LocalDrive
from pagebind.demo.pictures import seeming_jpeg, webp

if TYPE_CHECKING:
    from tests.support.world import World

FOLDER, KEY = "Series/Vol 1", "Series/Vol 1.cbz"
OTHER = "Other/Vol 1.cbz"


def picture(seed: str, size: int = 700) -> bytes:
    return b"".join(seeming_jpeg(seed, size))


@pytest.fixture
def bound(world: World) -> World:
    """A world with two books that are up to date."""
    for number in range(1, 7):
        world.write(f"{FOLDER}/{number}.jpg", picture(str(number)))
    world.volume("Other/Vol 1")
    run = world.run()
    assert (run.status, run.keys("bound")) == (0, [OTHER, KEY])
    return world


def check_rebound(world: World) -> None:
    run = world.run()
    assert (run.status, run.keys("bound"), run.keys("up_to_date")) == (0, [KEY], [OTHER])
    oracle.check_book(world.library / KEY, oracle.pages_of(world.comics / FOLDER))
    assert world.stored("staging") == []
    again = world.run()
    assert (again.status, again.keys("up_to_date"), again.fetched) == (0, [OTHER, KEY], 0)


def test_a_page_more(bound: World) -> None:
    bound.write(f"{FOLDER}/7.jpg", picture("7"))
    check_rebound(bound)


def test_a_page_in_the_middle(bound: World) -> None:
    bound.write(f"{FOLDER}/3b.jpg", picture("3b"))
    check_rebound(bound)


def test_a_cover_that_comes_late(bound: World) -> None:
    bound.write(f"{FOLDER}/cover.jpg", picture("cover"))
    check_rebound(bound)


def test_a_better_version_of_a_page(bound: World) -> None:
    bound.write(f"{FOLDER}/2.jpg", picture("better", 900))
    check_rebound(bound)


def test_a_better_version_of_the_same_size(bound: World) -> None:
    file = bound.write(f"{FOLDER}/2.jpg", picture("better"))
    later = file.stat().st_mtime + 60
    os.utime(file, (later, later))
    check_rebound(bound)


def test_a_better_version_of_the_same_size_and_time_but_another_hash(world: World, drive: LocalDrive) -> None:
    drive.hashes = ("md5",)
    file = world.write(f"{FOLDER}/1.jpg", picture("1"))
    found = file.stat()
    assert world.run().status == 0
    world.write(f"{FOLDER}/1.jpg", picture("better"))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    drive._known_hashes.clear()
    assert world.run().keys("bound") == [KEY]
    oracle.check_book(world.library / KEY, oracle.pages_of(world.comics / FOLDER))


def test_a_page_of_another_type_under_the_same_stem(bound: World) -> None:
    bound.comics.joinpath(FOLDER, "3.jpg").unlink()
    bound.write(f"{FOLDER}/3.webp", webp("3"))
    check_rebound(bound)


@pytest.mark.parametrize("gone", [["6.jpg"], ["1.jpg"], [f"{number}.jpg" for number in range(2, 7)]])
def test_a_folder_that_shrank_is_held_until_its_pages_are_back(bound: World, gone: list[str]) -> None:
    books = bound.books()
    kept = {name: bound.comics.joinpath(FOLDER, name).rename(bound.home / name) for name in gone}

    run = bound.run()
    assert (run.status, run.keys("held"), run.codes, run.fetched) == (3, [KEY], {"shrunk"}, 0)
    assert bound.books() == books
    for name, file in kept.items():
        file.rename(bound.comics / FOLDER / name)
    assert bound.run().status == 0
    assert bound.books() == books


def test_a_page_exchanged_for_another_is_held_too(bound: World) -> None:
    books = bound.books()
    bound.comics.joinpath(FOLDER, "6.jpg").rename(bound.comics / FOLDER / "7.jpg")

    run = bound.run()
    assert (run.status, run.keys("held"), run.codes) == (3, [KEY], {"shrunk"})
    assert bound.books() == books


@pytest.mark.parametrize("where", ["/comics/Series/Vol 1", "/comics/Series", "/comics"])
@pytest.mark.parametrize("fault", ["list_error", "list_empty", "list_html"])
def test_a_drive_in_trouble_changes_nothing(bound: World, fault: str, where: str) -> None:
    books, manifests = bound.books(), bound.stored("manifests")
    bound.server.faults.add(fault, where)

    run = bound.run()
    assert (bound.books(), bound.stored("manifests"), run.fetched) == (books, manifests, 0)
    assert not run.keys("held")
    if fault != "list_empty":
        # A web page from the only root is a server that is no Alist at all.
        code = "server" if (fault, where) == ("list_html", "/comics") else "listing_failed"
        assert (run.status, run.codes) == (1 if where == "/comics" else 3, {code})
    bound.server.faults.clear()
    again = bound.run()
    assert (again.status, again.keys("up_to_date"), again.fetched) == (0, [OTHER, KEY], 0)


def test_a_mounted_drive_that_breaks_changes_nothing(bound: World) -> None:
    bound.server.mount("/comics/Cloud", LocalDrive(folder=bound.comics / "Series"))
    assert bound.run().keys("bound") == ["Cloud/Vol 1.cbz"]
    books = bound.books()
    bound.server.break_drive("/comics/Cloud", "failed to refresh token")

    run = bound.run()
    assert (run.status, run.codes, bound.books()) == (3, {"listing_failed"}, books)
    assert "failed to refresh token" in run.document["problems"][0]["message"]
    bound.server.repair_drive("/comics/Cloud")
    assert (bound.run().status, bound.books()) == (0, books)


def test_a_vanished_folder_takes_no_book_with_it(bound: World) -> None:
    books = bound.books()
    bound.comics.joinpath("Series").rename(bound.home / "away")

    run = bound.run()
    assert (run.status, bound.books()) == (0, books)
    assert [volume["state"] for volume in run.document["waiting"]] == ["gone"]


def test_times_that_a_drive_makes_up_are_no_change(bound: World) -> None:
    bound.server.faults.add("moving_times", "/comics/Series/Vol 1")
    for _ in range(2):
        run = bound.run()
        assert (run.status, run.keys("up_to_date"), run.fetched) == (0, [OTHER, KEY], 0)


def test_a_total_that_is_wrong_for_a_moment(world: World) -> None:
    world.volume(FOLDER)
    world.server.faults.add("total_lies", "/comics/Series/Vol 1", times=1)
    assert world.run().keys("bound") == [KEY]


def test_a_total_that_stays_wrong_binds_nothing(world: World) -> None:
    world.volume(FOLDER)
    world.volume("Other/Vol 1")
    world.server.faults.add("total_lies", "/comics/Series/Vol 1")

    run = world.run()
    assert (run.status, run.codes, list(world.books())) == (3, {"listing_failed"}, [OTHER])


def test_a_server_that_repeats_its_first_page_binds_nothing_and_is_not_asked_for_ever(world: World) -> None:
    data = picture("same")
    for number in range(250):
        world.write(f"{FOLDER}/{number}.jpg", data)
    world.server.faults.add("repeat_page", "/comics/Series/Vol 1")

    run = world.run()
    assert (run.status, run.codes, world.books()) == (3, {"listing_failed"}, {})
    assert world.server.count("list", "/comics/Series/Vol 1") <= 12
