"""Polls with a budget: where they stop, where they go on, and what a round of them tells."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.app.world import RecordingDispatch, World
from tests.support.memory_source import MemorySource
from tests.support.watched_store import WatchedStore

from pagebind.app import runs
from pagebind.app.plan import Rates, make_plan
from pagebind.app.poll import Poll, record_run
from pagebind.app.status import status
from pagebind.core import keys
from pagebind.core.layout_pattern import parse_layout
from pagebind.core.planner import Action, State
from pagebind.core.walk_order import above, place
from pagebind.core.watch import Watch
from pagebind.errors import AuthRefused, ListingFailed, QueueUnavailable, SourceError
from pagebind.ports.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pagebind.app.assess import Assessment
    from pagebind.core.model import Item

    MakeWorld = Callable[..., World]

TEMPLATE = "{series}/{volume}.cbz"
CHAPTERS = Watch("/m", TEMPLATE, layout=parse_layout("{series}/{volume}/{chapter}"))
CONFIG = "the-configuration"
SEEN_NO_MORE = (State.GONE, State.MOVED, State.UNSUBSCRIBED, State.IGNORED)


@dataclass
class Turn:
    """One poll of a round."""

    poll: Poll
    assessments: list[Assessment]
    listed: list[str]
    dispatch: RecordingDispatch = field(repr=False)

    @property
    def cursor(self) -> str | None:
        return self.poll.cursor

    @property
    def states(self) -> dict[str, State]:
        return {a.sighting.path: a.verdict.state for a in self.assessments}


def turn(
    world: World,
    *paths: str,
    listings: int | None = None,
    until: float | None = None,
    cursor: str | None = None,
    config: str = CONFIG,
    step_until: float | None = None,
) -> Turn:
    """One poll as the function makes it: from where the last one stopped, with its record."""
    dispatch = RecordingDispatch(durable=world.policy.durable)
    poll = Poll(
        world.source,
        world.work,
        world.library,
        dispatch,
        world.clock,
        Silent(),
        watches=world.watches,
        policy=world.policy,
        interval=900.0,
        concurrency=world.concurrency,
        write=True,
        sent_here=world.sent_here,
    )
    before, started = len(world.source.listed), world.clock.now()
    where = runs.newest_cursor(world.work, started) if cursor is None else cursor
    error, assessments = None, []
    try:
        poll.look(paths, cursor=where, until=until, listings=listings, config=config)
        assessments = poll.step(until=step_until).assessments
    except SourceError as refused:
        error = refused
    record_run(
        world.work,
        world.clock,
        started=started,
        assessments=assessments,
        problems=poll.survey.problems,
        error=error,
        complete=poll.complete,
        cursor=poll.cursor,
        walked=poll.walked,
    )
    world.clock.advance(0.01)  # no two records of one millisecond
    return Turn(poll, assessments, [path for path, _ in world.source.listed[before:]], dispatch)


def round_of(world: World, *, listings: int, most: int = 50) -> list[Turn]:
    """Polls until one comes to the end."""
    turns = [turn(world, listings=listings)]
    while turns[-1].cursor:
        assert len(turns) < most, "this round never ends"
        turns.append(turn(world, listings=listings))
    return turns


@pytest.fixture(scope="session")
def new_world(tmp_path_factory: pytest.TempPathFactory) -> MakeWorld:
    """Makes a world for each example."""

    def make(concurrency: int = 1) -> World:
        world = World(tmp_path_factory.mktemp("world"))
        world.concurrency = concurrency
        return world

    return make


def shown(world: World) -> dict[str, State]:
    return {v.path: v.state for v in status(world.work, world.library, world.policy, world.clock, {}).volumes}


# -- any tree, any budget

NAMES = st.sampled_from(["A", "B", "C", "B b"])
VOLUMES = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TREES = st.sets(VOLUMES, min_size=1, max_size=9)
BUDGETS = st.integers(1, 6)
THREADS = st.sampled_from([1, 8])


def plant(world: World, root: str, volumes: set[str]) -> None:
    """Folders with enough pages to be no loose pictures, and a text in each, so that none seems to lie in itself."""
    world.source.empty_folders.add(root)
    for volume in volumes:
        folder = f"{root}/{volume}"
        world.source.folder(folder, "1.jpg", "2.jpg", "3.jpg")
        for one in (folder, *above(folder)):
            if one != "/":
                world.source.add(f"{one}/{keys.digest(one)}.txt")


def folders_of(world: World) -> set[str]:
    roots = {watch.path for watch in world.watches}
    below = {folder for file in world.source.files for folder in above(file) if folder != "/"}
    return {folder for folder in below if any(folder == root or root in above(folder) for root in roots)} | roots


@settings(max_examples=40)
@given(auto=TREES, merged=TREES, listings=BUDGETS, threads=THREADS)
def test_a_round_sees_what_one_walk_sees(
    new_world: MakeWorld, auto: set[str], merged: set[str], listings: int, threads: int
) -> None:
    world, other = new_world(threads), new_world()
    for one in (world, other):
        one.watches = (*one.watches, CHAPTERS)
        plant(one, "/c", auto)
        plant(one, "/m", merged)

    turns = round_of(world, listings=listings)
    at_once = turn(other)

    assert at_once.poll.complete
    assert {path for one_turn in turns for path in one_turn.states} == {*at_once.states}
    assert world.names(keys.MANIFESTS) == other.names(keys.MANIFESTS)
    assert {path for one_turn in turns for path in one_turn.listed} >= folders_of(world)
    assert len(turns) <= len(folders_of(world))
    cursors = [place(one_turn.cursor or "") for one_turn in turns[:-1]]
    assert cursors == sorted(set(cursors)), "a poll stood still"
    for one_turn in round_of(world, listings=listings):  # by now it is known which of them have one key
        assert one_turn.states.items() <= at_once.states.items()
    assert shown(world) == shown(other)


@settings(max_examples=40)
@given(data=st.data(), volumes=TREES, listings=BUDGETS, threads=THREADS)
def test_nothing_is_gone_that_was_there_all_the_time(
    new_world: MakeWorld, data: st.DataObject, volumes: set[str], listings: int, threads: int
) -> None:
    world = new_world(threads)
    world.watches = (*world.watches, CHAPTERS)
    plant(world, "/c", volumes)
    plant(world, "/m", {"A/A/A", "A/A/B"})
    turn(world)
    always, never = set(volumes), set[str]()
    for number in range(data.draw(st.integers(1, 12))):
        change = data.draw(VOLUMES, label=f"poll {number}")
        folder = f"/c/{change}"
        if data.draw(st.booleans()):
            world.source.remove(folder)
        else:
            plant(world, "/c", {change})
        present = {volume for volume in volumes if f"/c/{volume}/1.jpg" in world.source.files}
        always &= present
        never -= present
        done = turn(world, listings=listings)
        wrong = {path for path, state in done.states.items() if state in SEEN_NO_MORE}
        assert not wrong & {f"/c/{volume}" for volume in always}
        assert "/m/A/A" not in wrong
        if not done.cursor:
            assert {f"/c/{volume}" for volume in never if f"/c/{volume}" in known(world)} <= wrong
            always, never = set(present), volumes - present


def known(world: World) -> set[str]:
    listed = {json.loads(world.work.get(key))["path"] for key in world.names(keys.MANIFESTS)}
    return {path for path in listed if not any(path in above(file) for file in world.source.files)}


# -- volumes of several folders, loose pictures


@pytest.mark.parametrize("threads", [1, 8])
def test_a_merged_volume_is_seen_in_one_walk(world: World, threads: int) -> None:
    world.concurrency = threads
    world.watches = (CHAPTERS,)
    for chapter in range(6):
        world.source.folder(f"/m/S/1/{chapter}", "1.jpg")
    world.source.folder("/m/S/2/1", "1.jpg")

    turns = round_of(world, listings=4)

    assert turns[0].cursor == "/m/S/1"
    assert [t.states for t in turns if "/m/S/1" in t.states] == [{"/m/S/1": State.WAITING}]
    assert len(world.names(keys.MANIFESTS)) == 2


def test_a_merged_volume_with_a_subscription_in_it_is_seen_in_one_walk(world: World) -> None:
    world.watches = (CHAPTERS, Watch("/m/S/1/2", TEMPLATE))
    for chapter in range(1, 4):
        world.source.folder(f"/m/S/1/{chapter}", "1.jpg")
    world.source.folder("/m/S/1/2/deep", "1.jpg")

    turns = round_of(world, listings=1)

    assert {path for t in turns for path in t.states} >= {"/m/S/1", "/m/S/1/2/deep"}


@pytest.mark.parametrize("below", [{"notes/readme.txt", "other/readme.txt"}, {"a/1.jpg", "other/readme.txt"}])
def test_loose_pictures_are_decided_when_all_below_was_listed(world: World, below: set[str]) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/c/B", "cover.jpg")
    for file in below:
        world.source.add(f"/c/B/{file}")

    turns = round_of(world, listings=4)

    together = {path: state for t in turns for path, state in t.states.items()}
    assert together["/c/B"] is (State.IGNORED if "a/1.jpg" in below else State.WAITING)


def test_loose_pictures_above_more_than_one_walk_hold_nobody_up_and_are_never_gone(world: World) -> None:
    world.source.folder("/c/A", "1.jpg", "2.jpg")
    turn(world)
    for number in range(6):
        world.source.add(f"/c/A/{number}/readme.txt")

    turns = round_of(world, listings=2)

    assert {t.states.get("/c/A") for t in turns} <= {State.WAITING, None}
    assert turns[-1].cursor == ""


# -- where polls go on


def test_a_poll_goes_on_where_the_last_one_stopped(world: World) -> None:
    for name in "ABCD":
        world.source.folder(f"/c/{name}", "1.jpg")

    assert [t.listed for t in round_of(world, listings=3)] == [
        ["/c", "/c/A", "/c/B"],
        ["/c", "/c/C", "/c/D"],
    ]
    assert turn(world, listings=3).listed == ["/c", "/c/A", "/c/B"]


def test_a_cursor_that_vanished_is_passed_over(world: World) -> None:
    for name in "ABCD":
        world.source.folder(f"/c/{name}", "1.jpg")
    assert turn(world, listings=2).cursor == "/c/B"
    world.source.remove("/c/B")

    assert turn(world, listings=2).listed == ["/c", "/c/C"]


@pytest.mark.parametrize(("subscribed", "listed"), [("/b", ["/b"]), ("/d", ["/d"])])
def test_a_cursor_in_what_is_not_subscribed_any_more(world: World, subscribed: str, listed: list[str]) -> None:
    for name in "ABC":
        world.source.folder(f"/c/{name}", "1.jpg")
    world.source.folder(subscribed, "1.jpg", "2.jpg", "3.jpg")
    turn(world, listings=2)
    world.watches = (Watch(subscribed, TEMPLATE),)

    assert turn(world, listings=2).listed == listed


def test_a_run_of_some_paths_keeps_the_place_of_the_round(world: World) -> None:
    for name in "ABCD":
        world.source.folder(f"/c/{name}", "1.jpg")
    turn(world, listings=2)

    some = turn(world, "/c/D")

    assert (some.cursor, some.poll.walked, some.listed) == (None, None, ["/c/D"])
    assert turn(world, listings=2).listed == ["/c", "/c/B"]


def test_a_run_at_home_begins_a_new_round(world: World) -> None:
    for name in "ABC":
        world.source.folder(f"/c/{name}", "1.jpg")
    turn(world, listings=2)
    world.run(settle=None)

    assert runs.newest_cursor(world.work, world.clock.now()) == ""


def test_a_poll_that_fails_keeps_the_place_of_the_round(world: World) -> None:
    for name in "ABC":
        world.source.folder(f"/c/{name}", "1.jpg")
    turn(world, listings=2)
    world.source.down = AuthRefused("the token was revoked")
    assert turn(world, listings=2).cursor == "/c/B"
    world.source.down = None

    assert turn(world, listings=2).listed == ["/c", "/c/B"]


def test_a_subscription_that_fails_holds_nobody_up(world: World) -> None:
    world.watches = (Watch("/c", TEMPLATE), Watch("/d", TEMPLATE))
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/d/A", "1.jpg")
    world.source.failing["/c"] = ListingFailed("no", path="/c")

    turns = round_of(world, listings=1)

    assert [t.listed for t in turns] == [["/c"], ["/d"], ["/d", "/d/A"]]


def test_records_that_cannot_be_read_or_are_of_the_future_say_nothing(world: World) -> None:
    for name in "ABC":
        world.source.folder(f"/c/{name}", "1.jpg")
    turn(world, listings=2)
    now = world.clock.now()
    world.work.put(keys.run_key(now, "x"), b"{")
    world.work.put(keys.run_key(now + 9e6, "x"), b'{"cursor": "/c/Z"}')

    assert runs.newest_cursor(world.work, now) == "/c/B"


def test_two_polls_at_once_from_one_place_do_no_harm(world: World) -> None:
    for name in "ABCDE":
        world.source.folder(f"/c/{name}", "1.jpg")
    turn(world, listings=2)
    first, second = turn(world, listings=2, cursor="/c/B"), turn(world, listings=3, cursor="/c/B")
    world.source.remove("/c/A")

    assert (first.cursor, second.cursor) == ("/c/C", "/c/D")
    rest = round_of(world, listings=2)
    assert State.GONE not in {state for t in rest for state in t.states.values()}
    assert [t.states.get("/c/A") for t in round_of(world, listings=2)][-1] is State.GONE
    assert len(world.names(keys.MANIFESTS)) == 5


# -- what is gone, what has moved


def test_what_is_gone_is_told_when_the_round_ends(world: World) -> None:
    for name in "ABCDE":
        world.source.folder(f"/c/{name}", "1.jpg")
    turn(world)
    world.source.remove("/c/A")

    turns = round_of(world, listings=2)

    assert [t.states.get("/c/A") for t in turns] == [None, None, None, State.GONE]
    assert shown(world) == {"/c/A": State.GONE, **{f"/c/{name}": State.WAITING for name in "BCDE"}}
    turn(world, listings=2)
    assert shown(world)["/c/A"] is State.GONE


@pytest.mark.parametrize("change", ["config", "failed", "damaged"])
def test_nothing_is_gone_if_part_of_the_round_does_not_count(world: World, change: str) -> None:
    for name in ("A", "B", "C", "D"):
        world.source.folder(f"/c/{name}/1", "1.jpg")
    turn(world)
    world.source.remove("/c/A/1")
    world.source.folder("/c/A")
    if change == "failed":
        world.source.failing["/c/A"] = ListingFailed("no", path="/c/A")
    turn(world, listings=3, config="another" if change == "config" else CONFIG)
    if change == "damaged":
        world.work.put(world.names(keys.RUNS)[0], b"{", condition=None)
        turn(world, listings=1, cursor="/c/B")

    rest = round_of(world, listings=3)

    assert State.GONE not in {state for t in rest for state in t.states.values()}


def test_a_subscription_that_comes_back_in_the_middle_of_a_round_is_not_gone(world: World) -> None:
    world.watches = (Watch("/b", TEMPLATE), *world.watches)
    for path in ("/b/A", "/c/A", "/c/B"):
        world.source.folder(path, "1.jpg")
    turn(world)
    both, world.watches = world.watches, world.watches[1:]
    turn(world, listings=2, config="without /b")
    world.watches = both

    last = round_of(world, listings=2)[-1]

    assert last.states.get("/b/A") is None


@pytest.mark.parametrize(("old", "new"), [("/c/A", "/c/Z"), ("/c/Z", "/c/A")])
def test_what_moved_is_recognised_when_the_round_ends(world: World, old: str, new: str) -> None:
    for name in "MNO":
        world.source.folder(f"/c/{name}", "1.jpg")
    world.source.folder(old, "1.jpg", "2.jpg")
    world.run()
    world.source.remove(old)
    world.source.folder(new, "1.jpg", "2.jpg")

    last = round_of(world, listings=2)[-1]

    assert last.states[old] is State.MOVED
    assert shown(world)[new] is State.BOUND
    assert [t.dispatch.pages for t in round_of(world, listings=2)] == [[]] * 4


def test_what_was_emptied_early_in_the_round_and_stands_elsewhere_has_moved(world: World) -> None:
    for name in "MNO":
        world.source.folder(f"/c/{name}", "1.jpg")
    world.source.folder("/c/A", "1.jpg", "2.jpg")
    world.run()
    world.source.remove("/c/A")
    world.source.folder("/c/A")
    world.source.folder("/c/Z", "1.jpg", "2.jpg")

    turns = round_of(world, listings=2)

    assert turns[0].states["/c/A"] is State.GONE
    assert turns[-1].states["/c/A"] is State.MOVED


# -- what it costs


def test_a_poll_reads_no_manifest_of_what_it_does_not_come_to(world: World) -> None:
    for number in range(20):
        world.source.folder(f"/c/{number:02}", "1.jpg")
    world.run()
    world.work = work = WatchedStore(world.folders)
    world.library = WatchedStore(world.books)

    turns = round_of(world, listings=8)

    read = [key for operation, key in work.calls if operation in ("get", "head")]
    assert len(turns) == 3
    assert all(key.startswith(keys.RUNS) for key in read)
    assert len(read) == 3 + 2, "the cursor for each poll, and two records at the end of the round"
    prefixes = [prefix for operation, prefix in work.calls if operation == "list"]
    assert prefixes.count(keys.MANIFESTS) == len(turns)
    assert {operation for operation, _ in work.calls} == {"list", "get", "put"}


def test_status_reads_back_to_where_everything_was_walked(world: World) -> None:
    for name in "ABCD":
        world.source.folder(f"/c/{name}", "1.jpg")
    for _ in range(3):
        round_of(world, listings=2)
    turn(world, listings=2)
    world.work = work = WatchedStore(world.folders)

    shown(world)

    assert len([key for operation, key in work.calls if operation == "get" and key.startswith(keys.RUNS)]) == 4


# -- what is under way


def test_what_is_under_way_elsewhere_holds_others_back_and_is_bound_when_complete(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0, durable=True, rate=0.001)
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/c/B", "1.jpg")
    first = turn(world, listings=2)
    assert [task.path for task in first.dispatch.pages] == ["/c/A/1.jpg"]

    second = turn(world, listings=2)

    assert second.listed == ["/c", "/c/B"]
    assert (second.dispatch.pages, second.dispatch.books) == ([], [])
    assert second.states["/c/A"] is State.FETCHING
    turn(world, listings=2)
    world.fetch(first.dispatch.pages[0])
    third = turn(world, listings=2)
    assert third.listed == ["/c", "/c/B"]
    asked = {task.volume: task.asker != "" for task in third.dispatch.books}
    assert asked == {keys.volume_id("/c/A"): True, keys.volume_id("/c/B"): False}


def test_what_vanished_while_it_was_under_way_is_gone_and_stays_so(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0, durable=True)
    for name in "ABCD":
        world.source.folder(f"/c/{name}", "1.jpg")
    turn(world)
    world.source.remove("/c/D")

    turns = round_of(world, listings=2)

    assert [t.states["/c/D"] for t in turns] == [State.FETCHING, State.FETCHING, State.GONE]
    assert turn(world, listings=2).states["/c/D"] is State.FETCHING
    assert shown(world)["/c/D"] is State.GONE


def test_a_queue_that_takes_nothing_ends_the_poll(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: RecordingDispatch) -> None:
        raise QueueUnavailable("the queue is away")

    monkeypatch.setattr(RecordingDispatch, "flush", refuse)
    world.source.folder("/c/A", "1.jpg")

    with pytest.raises(QueueUnavailable):
        turn(world)


def test_what_stalled_elsewhere_holds_nobody_back_for_ever(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0, durable=True, rate=0.001)
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/c/B", "1.jpg")
    turn(world, listings=2)
    world.clock.advance(4 / 0.001)

    assert [task.path for task in turn(world, listings=2).dispatch.pages] == ["/c/B/1.jpg"]


def test_handing_out_stops_at_the_deadline_but_not_before_the_first(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0, durable=True)
    for name in "ABC":
        world.source.folder(f"/c/{name}", "1.jpg")

    late = turn(world, step_until=world.clock.monotonic() - 1)

    assert len(late.dispatch.books) == 1
    assert late.dispatch.books[0].asker == ""
    assert turn(world, step_until=world.clock.monotonic() - 1).dispatch.books == []
    assert len(turn(world).dispatch.books) == 2


# -- time


class Slow(MemorySource):
    """``seconds`` go by with each listing. Some listings stall until `release` is set, and then fail the test."""

    world: World
    seconds = 0.0

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        items = super().list(path, password=password, refresh=refresh)
        self.world.clock.advance(self.seconds)
        if path in self.stalls:
            self.world.clock.advance(1000.0)
            self.stalling.release()
            assert self.release.wait(30)
        return items

    def prepare(self, world: World, *stalls: str) -> None:
        self.world, self.stalls = world, set(stalls)
        self.release, self.stalling = threading.Event(), threading.Semaphore(0)


@pytest.fixture
def slow(world: World) -> Slow:
    world.source = source = Slow()
    source.prepare(world)
    for name in "ABCD":
        source.folder(f"/c/{name}", "1.jpg")
    return source


def test_no_folder_is_begun_after_the_deadline(world: World, slow: Slow) -> None:
    world.concurrency = 1
    slow.seconds = 10.0

    done = turn(world, until=world.clock.monotonic() + 25.0)

    assert (done.listed, done.cursor) == (["/c", "/c/A", "/c/B"], "/c/C")


@pytest.mark.parametrize("threads", [1, 8])
def test_a_listing_that_stalls_is_left_for_the_next_poll(world: World, slow: Slow, threads: int) -> None:
    world.concurrency = threads
    slow.prepare(world, "/c/C")

    done = turn(world, until=world.clock.monotonic() + 25.0)
    seen = {*done.states}
    slow.release.set()

    assert done.cursor == "/c/C" or threads == 8
    assert "/c/C" not in {*done.poll.survey.sightings} | seen
    slow.prepare(world)
    assert {path for t in round_of(world, listings=9) for path in t.states} >= {"/c/C", "/c/D"}


@pytest.mark.parametrize("stalls", ["/c", "/c/B", "/c/B/1"])
def test_a_listing_that_stalls_for_a_whole_poll_is_passed_over(world: World, slow: Slow, stalls: str) -> None:
    world.watches = (Watch("/c", TEMPLATE), Watch("/d", TEMPLATE))
    world.concurrency = 1
    slow.folder("/d/A", "1.jpg")
    slow.folder("/c/B/1", "1.jpg")
    turn(world)
    slow.prepare(world, stalls)

    done = turn(world, until=world.clock.monotonic() + 25.0, cursor=stalls)
    slow.release.set()

    after = {"/c": "/d", "/c/B": "/c/C", "/c/B/1": "/c/C"}
    assert done.cursor == after[stalls]
    assert [(p.code, p.path) for p in done.poll.survey.problems] == [("listing_failed", stalls)]
    slow.prepare(world)
    rest = round_of(world, listings=9)
    assert State.GONE not in {state for t in rest for state in t.states.values()}


def test_what_comes_too_late_changes_nothing(world: World, slow: Slow) -> None:
    world.concurrency = 2
    slow.prepare(world, "/c/A")
    before = threading.active_count()
    done = turn(world, until=world.clock.monotonic() + 25.0, cursor="/c/A")
    written = world.names("")

    slow.release.set()
    for thread in threading.enumerate():
        if thread.name == "pagebind-walk":
            thread.join(10)

    assert threading.active_count() <= before
    assert world.names("") == written
    assert keys.volume_id("/c/A") not in done.poll.survey.sightings or (
        done.states["/c/A"] is State.WAITING and done.assessments[0].verdict.action is Action.NONE
    )


def test_a_walk_of_its_own_that_was_cut_short_says_where(world: World) -> None:
    for name in ("1", "2", "3"):
        world.source.folder(f"/c/A/{name}", "001.jpg")
    poll = turn(world, "/c/A", listings=2).poll
    [told] = poll.told_of_budget()
    assert (told.code, told.path) == ("listing_failed", "/c/A/2")
    assert turn(world, "/c/A").poll.told_of_budget() == []
    plan = make_plan(world.parts().plan(), (), rates=Rates(0, 0), own_rates={}, until=world.clock.monotonic())
    assert [problem.code for problem in plan.problems] == ["listing_failed"]


def test_what_a_round_found_gone_claims_no_key_in_the_next_one(world: World) -> None:
    world.policy = world.policy._replace(durable=True)
    world.source.folder("/c/x/S/1", "1.jpg", "2.jpg", "3.jpg")
    for name in ("y/S/0", "z/S/8", "z/S/9"):
        world.source.folder(f"/c/{name}", "1.jpg", "2.jpg", "3.jpg")
    round_of(world, listings=2)
    world.source.remove("/c/x/S/1")
    world.source.empty_folders.add("/c/x/S")
    round_of(world, listings=2)
    assert shown(world)["/c/x/S/1"] is State.GONE
    world.source.folder("/c/y/S/1", "4.jpg", "5.jpg", "6.jpg")
    for _ in range(2):
        seen = [one.states["/c/y/S/1"] for one in round_of(world, listings=2) if "/c/y/S/1" in one.states]
        assert seen
        assert State.HELD not in seen
        world.clock.advance(700.0)
