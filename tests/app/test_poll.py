"""Polls over time: settling, shrinking, collisions, and what is handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.app.world import CACHE, RecordingDispatch
from tests.support.memory_source import SIGN, MemorySource

from pagebind.core import keys
from pagebind.core.planner import Action, State
from pagebind.errors import AuthRefused, PageFailed, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.app.world import Polled, World
    from tests.support.clock import FakeClock

    from pagebind.core.model import Item

A = "/c/A"
SETTLE = 600.0


class Slow(MemorySource):
    """Another source, of which one folder takes its time."""

    def __init__(self, source: MemorySource, clock: FakeClock) -> None:
        super().__init__(source.files, source.empty_folders, refresh_refused=source.refresh_refused)
        self.clock = clock

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        if path == "/c/B":
            self.clock.advance(SETTLE + CACHE)
        return super().list(path, password=password, refresh=refresh)


def outcome(polled: Polled, path: str = A) -> tuple[State, Action]:
    verdict = polled.of(path).verdict
    return verdict.state, verdict.action


def problem(polled: Polled, path: str = A) -> str | None:
    found = polled.of(path).verdict.problem
    return found.code if found else None


def test_a_volume_settles_in_two_listings_the_second_one_fresh(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg")

    assert world.poll().dispatch.pages == []
    world.clock.advance(SETTLE - 1)
    assert world.poll().dispatch.pages == []
    world.clock.advance(1)
    polled = world.poll()

    assert [task.path for task in polled.dispatch.pages] == ["/c/A/1.jpg", "/c/A/2.jpg"]
    assert len(polled.dispatch.books) == 1
    assert [path for path, refresh in world.source.listed if refresh] == [A]


def test_where_refreshing_is_refused_the_cache_is_waited_for(world: World) -> None:
    world.source.folder(A, "1.jpg")
    world.source.refresh_refused = True
    world.poll()

    world.clock.advance(SETTLE)
    assert world.poll().dispatch.pages == []
    world.clock.advance(CACHE - 1)
    assert world.poll().dispatch.pages == []
    world.clock.advance(1)
    assert len(world.poll().dispatch.pages) == 1


@pytest.mark.parametrize("may_refresh", [True, False])
def test_one_listing_settles_nothing_however_long_its_walk_takes(world: World, *, may_refresh: bool) -> None:
    """The folder changes, and the walk that finds it so is held up elsewhere for longer than it takes to settle."""
    world.source.folder(A, "1.jpg")
    world.source.refresh_refused = not may_refresh
    world.poll()
    world.clock.advance(SETTLE + CACHE - 1)
    world.source.folder(A, "2.jpg")
    world.source.folder("/c/B", "1.jpg")
    world.concurrency = 1
    world.source = Slow(world.source, world.clock)

    polled = world.poll()

    assert outcome(polled) == (State.WAITING, Action.SETTLE)
    assert polled.dispatch.pages == []


def test_a_change_starts_the_clock_anew(world: World) -> None:
    world.source.folder(A, "1.jpg")
    world.poll()
    world.clock.advance(SETTLE)
    world.source.add("/c/A/2.jpg")

    assert world.poll().dispatch.pages == []
    world.clock.advance(SETTLE)
    assert len(world.poll().dispatch.pages) == 2


def test_there_and_back_are_three_listings(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg")
    world.poll()
    world.source.add("/c/A/3.jpg")
    world.poll()
    world.source.remove("/c/A/3.jpg")
    world.poll()

    marks = [keys.parse_manifest(key) for key in world.names(keys.MANIFESTS)]
    assert [mark.seq for mark in marks if mark] == [1, 2, 3]
    assert len({mark.revision for mark in marks if mark}) == 2


def test_a_seq_that_stands_twice_is_left_behind(world: World) -> None:
    world.source.folder(A, "1.jpg")
    world.poll()
    [key] = world.names(keys.MANIFESTS)
    mark = keys.parse_manifest(key)
    assert mark is not None
    twin = keys.manifest_key(keys.volume_id(A), mark._replace(revision="0" * 16))
    world.folders.put(twin, world.folders.get(key))
    world.clock.advance(SETTLE)

    assert world.poll().dispatch.pages == []

    assert len(world.names(keys.MANIFESTS)) == 3
    assert keys.parse_manifest(world.names(keys.MANIFESTS)[-1]) is not None
    world.clock.advance(SETTLE)
    assert len(world.poll().dispatch.pages) == 1


def test_a_plan_changes_nothing(world: World) -> None:
    world.source.folder(A, "1.jpg")
    world.policy = world.policy._replace(settle=0.0)

    polled = world.poll(write=False)

    assert outcome(polled) == (State.WAITING, Action.FETCH)
    assert polled.of(A).report().seq is None
    assert world.names("") == []


def test_a_folder_that_shrinks_is_held_for_a_week(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg", "3.jpg")
    world.poll()
    world.source.remove("/c/A/2.jpg")
    world.clock.advance(SETTLE)
    world.poll()
    world.clock.advance(SETTLE)

    assert problem(world.poll()) == "shrunk"
    world.clock.advance(7 * 86400.0)
    assert len(world.poll().dispatch.pages) == 2


def test_a_folder_that_lacks_pages_of_its_book_is_held_for_good(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg", "3.jpg")
    world.run()
    world.source.remove("/c/A/2.jpg")
    world.clock.advance(30 * 86400.0)
    world.poll()
    world.clock.advance(SETTLE)

    assert problem(world.poll()) == "shrunk"


def test_what_the_user_excludes_is_no_shrinking(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg", "zz.jpg")
    world.poll()
    world.exclude(lambda path, is_dir: path.endswith("zz.jpg"))
    world.poll()
    world.clock.advance(SETTLE + 1)

    assert len(world.poll().dispatch.pages) == 2


def test_a_better_kind_of_picture_is_no_shrinking(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg")
    world.run()
    world.source.remove(A)
    world.source.folder(A, "1.webp", "2.webp")
    world.poll()
    world.clock.advance(SETTLE + 1)

    assert len(world.poll().dispatch.pages) == 2


def test_of_two_folders_with_one_key_the_first_path_has_it(world: World) -> None:
    world.source.folder("/c/x/S/1", "1.jpg")
    world.source.folder("/c/y/s/1", "1.jpg")

    polled = world.poll()

    assert problem(polled, "/c/x/S/1") is None
    assert problem(polled, "/c/y/s/1") == "collision"


@pytest.mark.parametrize("change", ["nothing", "changed", "removed"])
def test_of_two_folders_with_one_key_the_bound_one_has_it(world: World, change: str) -> None:
    world.source.folder("/c/y/S/1", "1.jpg")
    world.run()
    book = world.root / "library" / "S/1.cbz"
    if change == "changed":
        book.write_bytes(b"edited")
    elif change == "removed":
        book.unlink()
    world.source.folder("/c/x/S/1", "1.jpg")

    polled = world.poll()

    assert problem(polled, "/c/x/S/1") == "collision"
    assert problem(polled, "/c/y/S/1") == (None if change == "nothing" else change)


def test_what_is_under_way_holds_back_what_is_next(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0, durable=True, rate=1.0)
    for name in ("A", "B", "C"):
        world.source.folder(f"/c/{name}", *(f"{n}.jpg" for n in range(4)))

    assert len(world.poll(interval=4.0).dispatch.pages) == 8
    assert world.poll(interval=4.0).dispatch.pages == []


def test_no_more_volumes_than_asked_for(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0)
    for name in ("A", "B", "C"):
        world.source.folder(f"/c/{name}", "1.jpg")

    assert len(world.poll(limit=2).dispatch.books) == 2


def test_another_process_hands_out_what_a_dead_one_had_queued(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0)
    world.source.folder(A, "1.jpg")
    world.poll()

    assert world.poll().dispatch.pages == []
    world.sent_here.clear()
    assert len(world.poll().dispatch.pages) == 1


def test_credentials_refused_for_fresh_signs_end_the_poll(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0)
    world.source.folder(A, "1.jpg")
    polled = world.poll(limit=0, interval=0.0)
    world.source.down = AuthRefused("the token was revoked")

    with pytest.raises(AuthRefused):
        polled.poll.step()


def test_no_sign_is_stored(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg")
    world.source.add("/c/A/3.jpg", b"{}")
    world.run()
    world.poll()

    stored = world.files("work")
    assert any(name.startswith(keys.FAILURES) for name in stored)
    assert not any(SIGN.encode() in content for content in stored.values())


def durable(world: World) -> World:
    """With a queue that outlives its process, one page a second, and room for 20 pages at 10 s between polls."""
    world.policy = world.policy._replace(settle=0.0, durable=True, rate=1.0)
    return world


def test_pages_that_failed_hold_nobody_back(world: World) -> None:
    durable(world)
    for number in range(30):
        world.source.add(f"/c/Dead/1/{number:03}.jpg")
    tasks = world.poll(interval=10.0).dispatch.pages
    world.source.folder("/c/Sound/1", "001.jpg")
    assert world.poll(interval=10.0).dispatch.pages == [], "thirty pages are under way"
    for task in tasks:
        world.source.page_faults[task.path] = [PageFailed("the drive is dead")] * 3
        world.fetch(task)
    assert [task.path for task in world.poll(interval=10.0).dispatch.pages] == ["/c/Sound/1/001.jpg"]


def test_a_book_that_only_waits_to_be_bound_takes_no_place(world: World) -> None:
    durable(world)
    world.source.folder("/c/A/1", "001.jpg")
    for task in world.poll().dispatch.pages:
        world.fetch(task)
    for number in range(30):
        world.source.add(f"/c/B/1/{number:03}.jpg")
    dispatch = world.poll(interval=10.0).dispatch
    assert len(dispatch.pages) == 30
    assert len(dispatch.books) == 2


def test_a_queue_that_takes_nothing_costs_one_volume_its_epoch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: RecordingDispatch) -> None:
        raise QueueUnavailable("no queue")

    durable(world)
    for name in ("1", "2", "3"):
        world.source.folder(f"/c/A/{name}", "001.jpg")
    monkeypatch.setattr(RecordingDispatch, "flush", refuse)
    with pytest.raises(QueueUnavailable):
        world.poll()
    assert len(list(world.work.list("sent/"))) == 1


def test_a_book_is_looked_for_after_all_that_was_handed_out_before_it(world: World) -> None:
    durable(world)
    for name in ("A", "B"):
        world.source.folder(f"/c/{name}", *(f"{n}.jpg" for n in range(4)))
    assert world.poll().dispatch.delays == [5.0, 10.0]
