"""Pages are fetched once: what is here already is copied, whatever it is called now."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
from tests.support.memory_source import picture
from tests.support.watched_store import Death, Died, WatchedStore

from pagebind.app.decide import Decide
from pagebind.core import keys
from pagebind.core.planner import State
from pagebind.core.watch import Watch

if TYPE_CHECKING:
    from tests.app.world import World

    from pagebind.app.result import RunResult

A = "/c/S/A"
TEMPLATE = "{series}/{volume}.cbz"


def pages(world: World, count: int, folder: str = A) -> None:
    world.source.folder(folder, *(f"{number}.jpg" for number in range(1, count + 1)))


def states(result: RunResult) -> dict[str, State]:
    listed = (*result.bound, *result.up_to_date, *result.waiting, *result.held)
    return {report.path: report.state for report in listed}


@pytest.mark.parametrize("count", [1, 9, 99, 200])
def test_one_page_more_is_one_page_asked(world: World, count: int) -> None:
    pages(world, count)
    world.run()
    assert world.source.downloads.total() == count
    world.source.add(f"{A}/{count + 1}.jpg")

    result = world.run()

    assert world.source.downloads.total() == count + 1
    assert (result.pages_fetched, result.pages_reused) == (1, count)
    assert sorted(world.pages_in("S/A.cbz").values()) == sorted(file.data for file in world.source.files.values())
    assert world.names(keys.STAGING) == []


def test_before_there_is_a_book_staged_pages_are_copied_under_their_new_names(world: World) -> None:
    pages(world, 9)
    world.stage("/c")
    assert world.source.downloads.total() == 9
    world.source.add(f"{A}/10.jpg")

    world.run()

    assert world.source.downloads.total() == 10
    assert len(world.pages_in("S/A.cbz")) == 10


def test_a_book_that_changed_under_way_is_not_copied_from(world: World) -> None:
    pages(world, 3)
    world.run()
    world.source.add(f"{A}/4.jpg")
    world.policy = world.policy._replace(settle=0.0)
    polled = world.poll()
    (world.root / "library/S/A.cbz").write_bytes(b"x" * (world.root / "library/S/A.cbz").stat().st_size)

    for task in polled.dispatch.pages:
        world.fetch(task)

    assert world.source.downloads.total() == 3 + 4


def test_a_plan_counts_only_what_would_be_asked_for(world: World) -> None:
    pages(world, 9)
    world.run()
    world.source.add(f"{A}/10.jpg", b"\x89PNG\r\n\x1a\n" + b"x" * 100)

    planned = world.plan()

    assert (planned.requests, planned.bytes) == (1, 108)


@pytest.mark.parametrize("staged", [0, 4])
def test_a_plan_asks_for_what_a_deleted_book_held(world: World, staged: int) -> None:
    """As a run leaves it that was broken off after ``staged`` pages: the receipt outlives the book."""
    pages(world, 10)
    pages(world, 3, "/c/S/B")
    world.run()
    decide = Decide(world.work, world.library, world.policy, world.clock)
    decide.forget(keys.volume_id(A), delete_book=True)
    world.run()
    decide.retry(keys.volume_id(A))
    world.policy = world.policy._replace(settle=0.0)
    for task in world.poll().dispatch.pages[:staged]:
        world.fetch(task)
    asked = world.source.downloads.total()

    planned = world.plan()

    world.run()
    sizes = [len(world.source.files[f"{A}/{number}.jpg"].data) for number in range(1, 11)]
    assert planned.requests == world.source.downloads.total() - asked == 10 - staged
    assert planned.bytes == sum(sizes[staged:])


def test_a_plan_asks_for_no_page_that_the_book_goes_without(world: World) -> None:
    pages(world, 3)
    world.source.add(f"{A}/4.jpg", b"<html>")
    world.policy = world.policy._replace(give_up_epochs=1, give_up_after=0.0)
    world.run()
    Decide(world.work, world.library, world.policy, world.clock).without_missing(keys.volume_id(A))
    world.source.add(f"{A}/5.jpg")

    assert world.plan().requests == 1


# -- moved


def test_a_renamed_series_is_recognised(world: World) -> None:
    for name in ("A", "B", "C"):
        pages(world, 3, f"/c/Old/{name}")
    world.run()
    asked = world.source.downloads.total()
    for path in list(world.source.files):
        world.source.files[path.replace("/Old/", "/New/")] = world.source.files.pop(path)
    world.source.empty_folders = {path.replace("/Old/", "/New/") for path in world.source.empty_folders}

    result = world.run()

    assert world.source.downloads.total() == asked
    assert states(result) == {
        **{f"/c/New/{name}": State.BOUND for name in "ABC"},
        **{f"/c/Old/{name}": State.MOVED for name in "ABC"},
    }
    assert sorted(world.files("library")) == ["Old/A.cbz", "Old/B.cbz", "Old/C.cbz"]
    assert states(world.run()) == states(result)


def test_a_plan_knows_what_has_moved(world: World) -> None:
    pages(world, 3)
    world.run()
    move(world, A, "/c/S/Z")

    planned = world.plan()

    assert {(volume.path, volume.key, volume.state) for volume in planned.volumes} == {
        (A, "S/A.cbz", State.MOVED),
        ("/c/S/Z", "S/A.cbz", State.WAITING),
    }
    assert planned.requests == 0
    assert world.names(keys.DECISIONS) == []


def test_a_moved_volume_goes_on_growing_where_its_book_is(world: World) -> None:
    pages(world, 9)
    world.run()
    move(world, A, "/c/S/Z")
    world.run()
    world.source.add("/c/S/Z/10.jpg")

    world.run()

    assert world.source.downloads.total() == 10
    assert list(world.files("library")) == ["S/A.cbz"]
    assert len(world.pages_in("S/A.cbz")) == 10


def test_a_copy_is_another_volume(world: World) -> None:
    pages(world, 3)
    world.run()
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        world.source.files[f"/c/S/Copy/{name}"] = world.source.files[f"{A}/{name}"]

    world.run()

    assert sorted(world.files("library")) == ["S/A.cbz", "S/Copy.cbz"]


def test_a_walk_of_some_paths_sees_nothing_move(world: World) -> None:
    pages(world, 3)
    world.run()
    move(world, A, "/c/S/Z")

    world.run("/c/S/Z")

    assert sorted(world.files("library")) == ["S/A.cbz", "S/Z.cbz"]


def move(world: World, old: str, new: str) -> None:
    for path in [path for path in world.source.files if path.startswith(f"{old}/")]:
        world.source.files[path.replace(old, new)] = world.source.files.pop(path)
    world.source.remove(old)
    world.source.empty_folders.add(new)


def test_what_moved_back_is_its_old_self_again(world: World) -> None:
    pages(world, 3)
    world.run()
    move(world, A, "/c/S/Z")
    world.run()
    move(world, "/c/S/Z", A)

    result = world.run()

    assert states(result) == {A: State.BOUND, "/c/S/Z": State.MOVED}
    assert world.source.downloads.total() == 3


def test_a_path_that_is_used_again_has_no_claim_to_the_book_that_moved(world: World) -> None:
    pages(world, 3)
    world.run()
    move(world, A, "/c/S/Z")
    world.run()
    for number in range(1, 6):
        world.source.add(f"{A}/{number}.jpg", picture(f"another comic {number}"), modified="2025-01-01T00:00:00Z")
    book = world.files("library")

    result = world.run()

    assert states(result) == {A: State.HELD, "/c/S/Z": State.BOUND}
    assert world.files("library") == book
    world.source.add("/c/S/Z/4.jpg")
    world.run()
    assert len(world.pages_in("S/A.cbz")) == 4


def test_what_moved_grew_and_moved_back_is_one_book(world: World) -> None:
    pages(world, 3)
    world.run()
    move(world, A, "/c/S/Z")
    world.run()
    world.source.add("/c/S/Z/4.jpg")
    world.run()
    move(world, "/c/S/Z", A)

    result = world.run()

    assert states(result) == {A: State.BOUND, "/c/S/Z": State.MOVED}
    assert world.source.downloads.total() == 4


def test_a_subscription_that_moved_takes_its_books_along(world: World) -> None:
    pages(world, 3)
    world.run()
    move(world, A, "/d/S/A")
    world.watches = (Watch("/d", TEMPLATE),)

    result = world.run()

    assert states(result) == {"/d/S/A": State.BOUND, A: State.MOVED}
    assert world.source.downloads.total() == 3


def test_what_was_forgotten_stays_forgotten_where_it_moves(world: World) -> None:
    pages(world, 3)
    world.run()
    Decide(world.work, world.library, world.policy, world.clock).forget(keys.volume_id(A), delete_book=True)
    world.run()
    move(world, A, "/c/S/Z")

    result = world.run()

    assert states(result) == {A: State.MOVED, "/c/S/Z": State.IGNORED}
    assert world.files("library") == {}


@pytest.mark.parametrize("calls", range(12))
def test_a_crash_while_a_book_is_handed_on_changes_nothing_in_the_end(world: World, calls: int) -> None:
    pages(world, 3)
    world.run()
    move(world, A, "/c/S/Z")
    death = Death(2 * calls)
    world.work = WatchedStore(world.folders, before=death)
    with suppress(Died):
        world.run()
    world.work = world.folders

    result = world.run()

    assert states(result) == {A: State.MOVED, "/c/S/Z": State.BOUND}
    assert world.source.downloads.total() == 3
    assert list(world.files("library")) == ["S/A.cbz"]


# -- books that were there before


def put_book(world: World, contents: dict[str, bytes], *, compression: int = ZIP_STORED, key: str = "S/A.cbz") -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w", compression) as book:
        for name, content in contents.items():
            book.writestr(name, content)
    path = world.root / "library" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())
    return stream.getvalue()


def contents(world: World) -> dict[str, bytes]:
    return {path.rpartition("/")[2]: file.data for path, file in world.source.files.items()}


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED])
def test_an_adopted_book_costs_no_page(world: World, compression: int) -> None:
    pages(world, 12)
    book = put_book(world, contents(world), compression=compression)
    world.watches = (Watch("/c", TEMPLATE, existing="adopt"),)

    first, second = world.run(), world.run()

    assert states(first) == states(second) == {A: State.BOUND}
    assert world.source.downloads.total() == 0
    assert world.files("library") == {"S/A.cbz": book}


@pytest.mark.parametrize(("compression", "asked"), [(ZIP_STORED, 1), (ZIP_DEFLATED, 13)])
def test_an_adopted_book_grows_by_what_is_new(world: World, compression: int, asked: int) -> None:
    pages(world, 12)
    put_book(world, contents(world), compression=compression)
    world.watches = (Watch("/c", TEMPLATE, existing="adopt"),)
    world.run()
    world.source.add(f"{A}/13.jpg")

    world.run()

    assert world.source.downloads.total() == asked
    assert len(world.pages_in("S/A.cbz")) == 13


def test_a_book_of_fewer_pages_is_not_adopted_and_not_looked_into_twice(world: World) -> None:
    pages(world, 3)
    book = put_book(world, {"1.jpg": contents(world)["1.jpg"]})
    world.watches = (Watch("/c", TEMPLATE, existing="adopt"),)

    result = world.run()

    assert states(result) == {A: State.HELD}
    assert result.held[0].problem is not None
    assert result.held[0].problem.code == "foreign"
    assert "it holds 1 of 3 pages" in result.held[0].problem.message
    assert len(world.names(keys.FAILURES)) == 1
    world.run()
    assert (world.files("library"), world.source.downloads.total()) == ({"S/A.cbz": book}, 0)


def test_a_book_is_compared_once_the_folder_has_settled(world: World) -> None:
    pages(world, 3)
    put_book(world, contents(world))
    world.watches = (Watch("/c", TEMPLATE, existing="adopt"),)

    assert states(world.run(settle=None)) == {A: State.WAITING}
    world.clock.advance(600)
    assert states(world.run(settle=None)) == {A: State.BOUND}


def test_foreign_books_are_replaced_where_the_settings_say_so(world: World) -> None:
    pages(world, 3)
    put_book(world, {"other.jpg": picture("other")})
    world.watches = (Watch("/c", TEMPLATE, existing="replace"),)

    assert states(world.run()) == {A: State.BOUND}

    assert len(world.pages_in("S/A.cbz")) == 3
    put_book(world, {"mine.jpg": picture("mine, and longer", 500)})
    assert states(world.run()) == {A: State.HELD}
