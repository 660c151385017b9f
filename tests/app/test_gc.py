"""Removing what is needless: all of it by `gc`, a little in each run; nothing that is needed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.support.memory_source import picture
from tests.support.watched_store import Death, Died, WatchedStore

from pagebind.app.gc import Gc
from pagebind.core import keys
from pagebind.core.keys import SentMark
from pagebind.errors import KeyRefused, PageWrong, ServerUnreachable, StoreUnavailable

if TYPE_CHECKING:
    from tests.app.world import World

    from pagebind.app.gc import Collected

DAY = 86400.0
FOLDER = "/c/Series/Vol 1"
KEY = "Series/Vol 1.cbz"
VOLUME = keys.volume_id(FOLDER)


@pytest.fixture
def aged(world: World) -> World:
    """A book that was bound three times, and pages that nobody wants, all of it long ago."""
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        world.source.add(f"{FOLDER}/{name}")
        world.run()
        world.clock.advance(DAY)
    for name in ("orphan.entry", "orphan.5f3a.data"):
        world.work.put(f"{keys.STAGING}{VOLUME}/{name}", b"12345")
    world.work.put(f"{keys.STAGING}lost-1/orphan.entry", b"12345")
    world.clock.advance(100 * DAY)
    return world


def collect(world: World, *, dry_run: bool = False) -> Collected:
    return Gc(world.work, world.library, world.clock)(dry_run=dry_run)


def test_all_that_is_needless_goes(aged: World) -> None:
    book = aged.files("library")
    aged.source.downloads.clear()

    collected = collect(aged)

    assert collected.removed == {"manifests": 2, "sent": 2, "receipts": 2, "entries": 3, "runs": 3}
    assert collected.bytes > 15
    assert collected.problems == []
    assert aged.names(keys.RUNS) == aged.names(keys.STAGING) == []
    assert [key.partition(".")[0] for key in aged.names("") if not key.startswith(keys.BOOK_RECORDS)] == [
        f"{prefix}{VOLUME}/000003" for prefix in (keys.DONE, keys.MANIFESTS, keys.SENT)
    ]
    assert aged.files("library") == book
    assert [volume.key for volume in aged.run().up_to_date] == [KEY]
    assert not aged.source.downloads


def test_again_there_is_nothing(aged: World) -> None:
    collect(aged)

    assert not collect(aged).removed


def test_a_dry_run_says_the_same_and_does_nothing(aged: World) -> None:
    before = aged.files("")

    said = collect(aged, dry_run=True)

    assert aged.files("") == before
    assert said == collect(aged)


@pytest.mark.parametrize("calls", range(0, 22, 2))
def test_dying_in_the_middle_of_it_does_no_harm(aged: World, calls: int) -> None:
    aged.work = WatchedStore(aged.folders, before=Death(calls))
    with pytest.raises(Died):
        collect(aged)
    aged.work = aged.folders

    result = aged.run()

    assert [volume.key for volume in result.up_to_date] == [KEY]
    collect(aged)
    assert [len(aged.names(prefix)) for prefix in (keys.DONE, keys.MANIFESTS, keys.SENT, keys.STAGING)] == [1, 1, 1, 0]


def test_pages_of_a_volume_that_is_held_or_on_its_way_stay(world: World) -> None:
    world.source.folder(FOLDER, "1.jpg", "2.jpg")
    world.source.folder("/c/Series/Vol 2", "1.jpg", "2.jpg")
    world.stage(FOLDER)
    world.books.put(KEY, b"somebody else's")
    world.stage("/c/Series/Vol 2")
    world.clock.advance(100 * DAY)

    assert not collect(world).removed
    assert len(world.names(keys.STAGING)) == 4


def test_of_a_volume_whose_manifest_is_damaged_nothing_goes(aged: World) -> None:
    damaged = aged.names(keys.MANIFESTS)[-1]
    aged.work.put(damaged, b"{")

    collected = collect(aged)

    assert [problem.path for problem in collected.problems] == [damaged]
    assert collected.removed == {"entries": 1, "runs": 3}


def test_an_unmounted_library_ends_it(aged: World) -> None:
    aged.source.folder("/c/Series/Vol 2", "1.jpg")
    aged.run()
    for key in (KEY, "Series/Vol 2.cbz"):
        aged.library.delete(key)

    with pytest.raises(StoreUnavailable):
        collect(aged)


def test_one_object_that_cannot_be_removed_stops_no_other(aged: World) -> None:
    stuck = aged.names(keys.DONE)[0]

    def refuse(operation: str, key: str) -> None:
        if (operation, key) == ("delete", stuck):
            raise KeyRefused("not this one", path=key)

    aged.work = WatchedStore(aged.folders, before=refuse)

    collected = collect(aged)

    assert [problem.path for problem in collected.problems] == [stuck]
    assert collected.removed["receipts"] == 1
    assert collected.removed["runs"] == 3


def test_each_run_does_a_little_of_it_with_one_listing_more_and_no_read(aged: World) -> None:
    for key in aged.names(keys.STAGING):
        aged.work.delete(key)
    needless = collect(aged, dry_run=True).removed.total()
    aged.work = store = WatchedStore(aged.folders)

    aged.run()

    listed = [key for operation, key in store.calls if operation == "list"]
    assert len(listed) == len(set(listed)) == 7
    assert [operation for operation, _ in store.calls if operation not in ("list", "put")] == ["delete"] * needless
    assert needless == 9
    assert not collect(aged).removed


def test_but_no_more_than_two_hundred_objects(world: World) -> None:
    world.source.folder(FOLDER, "1.jpg")
    for number in range(250):
        world.work.put(keys.run_key(world.clock.now() - 100 * DAY, f"{number:03}"), b"{}")
    for left in (51, 2):
        world.run()
        assert len(world.names(keys.RUNS)) == left


def test_also_while_the_server_is_down(aged: World) -> None:
    aged.source.down = ServerUnreachable("down")

    aged.run()

    assert len(aged.names(keys.RUNS)) == 1


def test_but_not_while_the_store_is_out_of_order(aged: World) -> None:
    aged.source.down = StoreUnavailable("full")

    aged.run()

    assert len(aged.names(keys.RUNS)) == 3


def test_a_store_that_removes_nothing_is_told_of(aged: World) -> None:
    def refuse(operation: str, key: str) -> None:
        if operation == "delete" and key.startswith(keys.RUNS):
            raise StoreUnavailable("read-only", path=key)

    aged.work = WatchedStore(aged.folders, before=refuse)

    result = aged.run()

    assert (result.error, [problem.message for problem in result.problems]) == (None, ["read-only"])


def test_markers_of_lost_manifests_do_not_give_a_seq_twice(aged: World) -> None:
    aged.work.put(keys.sent_key(VOLUME, SentMark(9, "r", 1)), b"")
    aged.clock.advance(100 * DAY)
    collect(aged)
    aged.source.add(f"{FOLDER}/4.jpg")

    assert [volume.seq for volume in aged.run().bound] == [10]


def of_volume(world: World) -> int:
    """How many objects there are of the one volume."""
    return sum(keys.volume_of(key) == VOLUME for key in world.names(""))


def test_a_volume_that_changes_daily_and_is_never_bound_stays_small(world: World) -> None:
    world.source.folder(FOLDER, "1.jpg", "2.jpg", "3.jpg")
    world.source.page_faults[f"{FOLDER}/3.jpg"] = [PageWrong("no picture")]
    most = 0
    for day in range(400):
        world.source.add(f"{FOLDER}/2.jpg", picture(f"day {day}"), modified=f"{2000 + day}-01-01T00:00:00Z")
        assert not world.run().bound
        most = max(most, of_volume(world))
        world.clock.advance(DAY)

    assert most < 60
    assert {key.partition("/")[0] for key in world.names("")} == {"manifests", "sent", "failures", "staging", "runs"}
    del world.source.page_faults[f"{FOLDER}/3.jpg"]
    world.source.add(f"{FOLDER}/2.jpg")
    assert [volume.pages for volume in world.run().bound] == [3]


def test_failures_of_pages_that_are_listed_no_more_stay_few_too(world: World) -> None:
    world.source.folder(FOLDER, "1.jpg")
    for day in range(150):
        world.source.add(f"{FOLDER}/2.jpg", modified=f"{2000 + day}-01-01T00:00:00Z")
        world.source.page_faults[f"{FOLDER}/2.jpg"] = [PageWrong("no picture")]
        world.run()
        world.clock.advance(DAY)
        assert len(world.names(keys.FAILURES)) < 110


def litter(world: World, volumes: int) -> None:
    """Volumes whose pages have been lying there for long, and one of each that nobody wants."""
    for number in range(volumes):
        folder = f"/c/Series/Vol {number}"
        world.source.folder(folder, "1.jpg", "2.jpg")
        world.stage(folder)
        world.source.page_faults[f"{folder}/2.jpg"] = [PageWrong("no picture")]
        world.work.put(f"{keys.STAGING}{keys.volume_id(folder)}/orphan.entry", b"12345")
        world.books.put(f"Series/Vol {number}.cbz", b"somebody else's")


def orphans(world: World) -> int:
    return sum("/orphan." in key for key in world.names(keys.STAGING))


def test_each_run_looks_closely_at_three_volumes_and_at_all_after_some_runs(world: World) -> None:
    litter(world, 8)
    world.run()
    assert orphans(world) == 8
    world.clock.advance(31 * DAY)
    left = []
    for _ in range(60):
        world.run()
        left.append(orphans(world))
        world.clock.advance(900)

    assert left[0] == 5
    assert all(before - after <= 3 for before, after in pairwise(left))
    assert left[-1] == 0
    assert len(world.names(keys.STAGING)) == 16


def test_a_run_looks_closely_at_no_volume_that_is_in_order(world: World) -> None:
    litter(world, 2)
    world.run()
    world.work = store = WatchedStore(world.folders)

    world.run()

    assert not [key for operation, key in store.calls if operation == "list" and key.startswith(f"{keys.STAGING}s")]


def test_a_book_that_was_handed_on_leaves_no_receipt_for_ever(world: World) -> None:
    world.source.folder(FOLDER, "1.jpg", "2.jpg")
    world.run()
    for name in ("1.jpg", "2.jpg"):
        world.source.files[f"/c/Series/Vol 2/{name}"] = world.source.files.pop(f"{FOLDER}/{name}")
    world.source.remove(FOLDER)
    world.run()
    assert len(world.names(f"{keys.DONE}{VOLUME}/")) == 1
    world.clock.advance(31 * DAY)

    world.run()

    assert world.names(f"{keys.DONE}{VOLUME}/") == []
    assert list(world.files("library")) == [KEY]
    assert [volume.path for volume in world.run().up_to_date] == ["/c/Series/Vol 2"]
