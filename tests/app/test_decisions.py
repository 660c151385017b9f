"""Every decision by the whole path: it holds over further polls, a crash while it is made, and until a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.app.world import TEMPLATE, World
from tests.support.memory_source import picture
from tests.support.watched_store import Death, Died, WatchedStore

from pagebind.app.decide import Decide
from pagebind.app.status import status
from pagebind.core import keys
from pagebind.core.planner import State
from pagebind.core.watch import Watch
from pagebind.errors import PageFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pagebind.app.report import VolumeReport

A = "/c/S/A"
VOLUME = keys.volume_id(A)
KEY = "S/A.cbz"
RENAMED = "books/S - A.cbz"
DAY = 86400.0


def decider(world: World) -> Decide:
    return Decide(world.work, world.library, world.policy, world.clock)


def later(world: World, polls: int = 1) -> None:
    for _ in range(polls):
        world.clock.advance(900)
        world.run()


def state(world: World) -> State:
    return report(world).state


def report(world: World) -> VolumeReport:
    seen = status(world.folders, world.books, world.policy, world.clock, {w.path: w.existing for w in world.watches})
    return next(volume for volume in seen.volumes if volume.path == A)


def names(world: World, key: str = KEY) -> list[str]:
    return sorted(world.pages_in(key))


def asked(world: World) -> int:
    return world.source.downloads.total()


# -- what the decisions are about


def page_lost(world: World) -> None:
    """The second page is given up."""
    world.source.folder(A, "1.jpg", "2.jpg", "3.jpg")
    world.source.page_faults[f"{A}/2.jpg"] = [PageFailed("object not found")]
    for _ in range(3):
        world.run()
        world.clock.advance(DAY)
    world.run()
    assert state(world) is State.HELD


def page_waived(world: World) -> None:
    page_lost(world)
    decider(world).without_missing(VOLUME)
    world.run()
    assert names(world) == ["1.jpg", "3.jpg"]


def page_waived_and_there_again(world: World) -> None:
    page_waived(world)
    del world.source.page_faults[f"{A}/2.jpg"]


def bound(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg", "3.jpg")
    world.run()
    world.clock.advance(1)
    assert state(world) is State.BOUND


def shrunk(world: World) -> None:
    bound(world)
    world.source.remove(f"{A}/3.jpg")
    world.run()
    assert state(world) is State.HELD


def foreign(world: World) -> None:
    (world.root / "library/S").mkdir(parents=True)
    (world.root / "library" / KEY).write_bytes(b"another's")
    world.source.folder(A, "1.jpg", "2.jpg", "3.jpg")
    world.run()
    assert state(world) is State.HELD


def changed(world: World) -> None:
    bound(world)
    (world.root / "library" / KEY).write_bytes(b"changed by somebody")
    world.run()
    assert state(world) is State.HELD


def removed(world: World) -> None:
    bound(world)
    (world.root / "library" / KEY).unlink()
    world.run()
    assert state(world) is State.HELD


def other_settings(world: World) -> None:
    bound(world)
    world.watches = (Watch("/c", "books/{series} - {volume}.cbz"),)
    world.run()
    assert list(world.files("library")) == [KEY]


def forgotten(world: World) -> None:
    bound(world)
    decider(world).forget(VOLUME, delete_book=False)
    world.source.add(f"{A}/4.jpg")
    world.run()
    assert names(world) == ["1.jpg", "2.jpg", "3.jpg"]


class Case(NamedTuple):
    """A situation, the decision about it, and what holds from then on."""

    before: Callable[[World], None]
    decide: Callable[[World], object]
    holds: Callable[[World], bool]


def complete(world: World) -> bool:
    return state(world) is State.BOUND and names(world) == ["1.jpg", "2.jpg", "3.jpg"]


def without_the_second(world: World) -> bool:
    return state(world) is State.BOUND and names(world) == ["1.jpg", "3.jpg"]


def without_the_third(world: World) -> bool:
    return state(world) is State.BOUND and names(world) == ["1.jpg", "2.jpg"]


def at_its_new_key(world: World) -> bool:
    moved = list(world.files("library")) == [RENAMED] and names(world, RENAMED) == ["1.jpg", "2.jpg", "3.jpg"]
    return state(world) is State.BOUND and moved


def left_alone(world: World) -> bool:
    return state(world) is State.IGNORED and names(world) == ["1.jpg", "2.jpg", "3.jpg"]


def deleted(world: World) -> bool:
    return state(world) is State.IGNORED and world.files("library") == {}


def with_the_fourth(world: World) -> bool:
    return state(world) is State.BOUND and names(world) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]


CASES = {
    "without-missing": Case(page_lost, lambda w: decider(w).without_missing(VOLUME), without_the_second),
    "retry": Case(page_waived_and_there_again, lambda w: decider(w).retry(VOLUME), complete),
    "accept-shrink": Case(shrunk, lambda w: decider(w).accept_shrink(VOLUME, w.watches[0]), without_the_third),
    "replace foreign": Case(foreign, lambda w: decider(w).replace(VOLUME), complete),
    "replace changed": Case(changed, lambda w: decider(w).replace(VOLUME), complete),
    "replace removed": Case(removed, lambda w: decider(w).replace(VOLUME), complete),
    "rename": Case(other_settings, lambda w: decider(w).rename(VOLUME, w.watches[0]), at_its_new_key),
    "forget": Case(bound, lambda w: decider(w).forget(VOLUME, delete_book=False), left_alone),
    "forget and delete": Case(bound, lambda w: decider(w).forget(VOLUME, delete_book=True), deleted),
    "retry what was forgotten": Case(forgotten, lambda w: decider(w).retry(VOLUME), with_the_fourth),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@each
def test_a_decision_holds_over_ten_polls(world: World, case: Case) -> None:
    case.before(world)
    case.decide(world)
    world.run()
    assert case.holds(world)
    books, asked_for = world.files("library"), asked(world)

    later(world, polls=10)

    assert case.holds(world)
    assert (world.files("library"), asked(world)) == (books, asked_for)
    assert world.names(keys.STAGING) == []


@each
def test_status_tells_what_was_decided(world: World, case: Case) -> None:
    case.before(world)
    case.decide(world)
    world.run()

    assert "decided: " in report(world).reason


@each
def test_a_crash_at_any_store_call_changes_nothing_in_the_end(tmp_path: Path, case: Case) -> None:
    calls = 0
    while True:
        world = World(tmp_path / str(calls))
        case.before(world)
        death = Death(calls)
        world.work, world.library = (WatchedStore(store, before=death) for store in (world.work, world.library))
        _decide_and_run(world, case)
        world.work, world.library = world.folders, world.books
        if not any(
            key.startswith(f"{keys.DECISIONS}{VOLUME}/") for key in world.names(keys.DECISIONS)[_earlier(case) :]
        ):
            case.decide(world)  # it was not made: then nothing has changed, and it can be made
        world.clock.advance(1)
        world.run()
        assert case.holds(world), f"after a crash at call {calls}"
        if not death.struck:
            return
        calls += 1


def _earlier(case: Case) -> int:
    """How many decisions the situation begins with."""
    return int(case.before in (page_waived_and_there_again, forgotten))


def _decide_and_run(world: World, case: Case) -> None:
    try:
        case.decide(world)
        world.run()
    except Died:
        pass


# -- a later decision wins


def test_retry_ends_a_waiver_and_the_better_book_has_the_same_seq(world: World) -> None:
    page_waived_and_there_again(world)
    before, downloads = report(world), asked(world)

    decider(world).retry(VOLUME)
    world.run()

    assert names(world) == ["1.jpg", "2.jpg", "3.jpg"]
    assert report(world).seq == before.seq
    assert asked(world) == downloads + 1


def test_until_the_page_comes_the_book_without_it_stays(world: World) -> None:
    page_waived(world)
    book = world.files("library")

    decider(world).retry(VOLUME)
    later(world, polls=3)

    assert world.files("library") == book
    assert state(world) is State.FETCHING


def test_a_waiver_after_a_retry_wins_again(world: World) -> None:
    page_waived(world)
    decider(world).retry(VOLUME)
    for _ in range(4):
        world.run()
        world.clock.advance(DAY)
    assert state(world) is State.HELD

    decider(world).without_missing(VOLUME)
    world.run()

    assert without_the_second(world)


def test_a_waiver_ends_when_its_page_changes(world: World) -> None:
    page_waived_and_there_again(world)
    world.source.add(f"{A}/2.jpg", picture("better"), modified="2025-01-01T00:00:00Z")

    world.run()

    assert names(world) == ["1.jpg", "2.jpg", "3.jpg"]


def test_a_waiver_stays_while_other_pages_come(world: World) -> None:
    page_waived(world)
    world.source.add(f"{A}/4.jpg")

    world.run()

    assert names(world) == ["1.jpg", "3.jpg", "4.jpg"]


def test_a_volume_of_which_only_waived_pages_are_left_is_held_until_it_is_tried_again(world: World) -> None:
    page_waived_and_there_again(world)
    for name in ("1.jpg", "3.jpg"):
        world.source.remove(f"{A}/{name}")
    world.run()
    decider(world).accept_shrink(VOLUME, world.watches[0])

    later(world, 2)

    assert state(world) is State.HELD
    assert "waived" in report(world).reason
    decider(world).retry(VOLUME)
    world.run()
    assert names(world) == ["2.jpg"]


def test_only_pages_given_up_are_waived(world: World) -> None:
    world.source.folder(A, "1.jpg", "2.jpg")
    world.source.page_faults[f"{A}/2.jpg"] = [PageFailed("object not found")]
    world.run()

    with pytest.raises(UsageError, match="no page has failed for good"):
        decider(world).without_missing(VOLUME)


def test_retry_gives_a_page_its_full_time_again(world: World) -> None:
    page_lost(world)
    decider(world).retry(VOLUME)

    later(world)

    assert state(world) is State.FETCHING


def test_forget_after_retry_and_retry_after_forget(world: World) -> None:
    page_lost(world)
    decider(world).retry(VOLUME)
    decider(world).forget(VOLUME, delete_book=False)
    later(world)
    assert state(world) is State.IGNORED

    decider(world).retry(VOLUME)
    del world.source.page_faults[f"{A}/2.jpg"]
    later(world)
    assert complete(world)


def test_a_book_that_was_deleted_comes_back_by_retry(world: World) -> None:
    bound(world)
    decider(world).forget(VOLUME, delete_book=True)
    later(world)

    decider(world).retry(VOLUME)
    later(world)

    assert complete(world)


def test_a_library_that_was_emptied_by_decision_is_no_missing_disk(world: World) -> None:
    bound(world)
    world.source.folder("/c/S/B", "1.jpg", "2.jpg")
    world.run()
    for volume in (VOLUME, keys.volume_id("/c/S/B")):
        decider(world).forget(volume, delete_book=True)
    later(world)
    assert world.files("library") == {}
    for volume in (VOLUME, keys.volume_id("/c/S/B")):
        decider(world).retry(volume)

    later(world)

    assert sorted(world.files("library")) == [KEY, "S/B.cbz"]


def test_a_rename_accepts_no_shrink(world: World) -> None:
    shrunk(world)
    world.watches = (Watch("/c", "books/{series} - {volume}.cbz"),)
    decider(world).rename(VOLUME, world.watches[0])
    world.clock.advance(30 * DAY)

    world.run()

    assert state(world) is State.HELD
    assert names(world) == ["1.jpg", "2.jpg", "3.jpg"]


def test_a_waiver_goes_by_the_file_and_not_by_its_name_in_the_book(world: World) -> None:
    world.source.folder(A, *(f"{number}.jpg" for number in range(1, 10)))
    world.source.page_faults[f"{A}/2.jpg"] = [PageFailed("object not found")]
    for _ in range(4):
        world.run()
        world.clock.advance(DAY)
    decider(world).without_missing(VOLUME)
    world.run()
    world.source.add(f"{A}/10.jpg")

    world.run()

    assert state(world) is State.BOUND
    assert names(world) == [f"{number:04}.jpg" for number in (1, *range(3, 11))]
    assert "without 1 page" in report(world).reason


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_a_book_without_any_page_is_refused(world: World, kind: str) -> None:
    path = A if kind == "folder" else f"{A}.cbz"
    files = [f"{A}/1.jpg", f"{A}/2.jpg"] if kind == "folder" else [path]
    world.watches = (Watch("/c", TEMPLATE, archives="copy"),)
    for file in files:
        world.source.add(file)
        world.source.page_faults[file] = [PageFailed("object not found")]
    for _ in range(4):
        world.run()
        world.clock.advance(DAY)

    with pytest.raises(UsageError, match="nothing would be left"):
        decider(world).without_missing(keys.volume_id(path))

    assert world.files("library") == {}


def test_renaming_back_never_publishes_what_is_older(world: World) -> None:
    other_settings(world)
    decider(world).rename(VOLUME, world.watches[0])
    world.source.add(f"{A}/4.jpg")
    world.run()
    assert names(world, RENAMED) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    world.watches = (Watch("/c", TEMPLATE),)
    decider(world).rename(VOLUME, world.watches[0])
    world.source.add(f"{A}/5.jpg")
    world.source.page_faults[f"{A}/5.jpg"] = [PageFailed("not now")]

    world.run()

    assert list(world.files("library")) == [RENAMED]
    del world.source.page_faults[f"{A}/5.jpg"]
    world.run()
    assert list(world.files("library")) == [KEY]
    assert len(names(world)) == 5


def test_an_accepted_shrink_is_over_when_the_pages_were_there_again(world: World) -> None:
    shrunk(world)
    decider(world).accept_shrink(VOLUME, world.watches[0])
    later(world)
    world.source.add(f"{A}/3.jpg")
    later(world)
    world.clock.advance(100 * DAY)
    world.source.remove(f"{A}/3.jpg")

    later(world)

    assert state(world) is State.HELD
    assert names(world) == ["1.jpg", "2.jpg", "3.jpg"]


def test_only_retry_takes_back_what_was_forgotten(world: World) -> None:
    forgotten(world)
    world.watches = (Watch("/c", "books/{series} - {volume}.cbz"),)

    with pytest.raises(UsageError, match="is forgotten"):
        decider(world).rename(VOLUME, world.watches[0])

    later(world)
    assert state(world) is State.IGNORED


def test_a_book_published_while_it_was_being_forgotten_goes_too(world: World) -> None:
    bound(world)
    world.source.add(f"{A}/4.jpg")

    def decide(operation: str, _key: str) -> None:
        if operation == "assemble" and not world.names(keys.DECISIONS):
            Decide(world.folders, world.books, world.policy, world.clock).forget(VOLUME, delete_book=True)

    world.library = WatchedStore(world.books, before=decide)
    world.run()
    world.library = world.books
    later(world)

    assert deleted(world)


def test_a_book_of_a_volume_that_is_gone_is_replaced_by_decision(world: World) -> None:
    world.source.folder("/c/Old/S/A", "1.jpg", "2.jpg")
    world.run()
    world.source.remove("/c/Old")
    world.source.folder("/c/New/S/A", "1.jpg", "2.jpg", "3.jpg")
    world.run()
    newcomer = keys.volume_id("/c/New/S/A")
    assert names(world) == ["1.jpg", "2.jpg"]

    decider(world).replace(newcomer)
    later(world, polls=2)

    assert names(world) == ["1.jpg", "2.jpg", "3.jpg"]


def test_retry_saves_a_book_that_was_to_be_deleted(world: World) -> None:
    bound(world)
    decider(world).forget(VOLUME, delete_book=True)
    decider(world).retry(VOLUME)

    later(world)

    assert complete(world)


def test_a_book_that_changed_since_is_not_deleted(world: World) -> None:
    bound(world)
    decider(world).forget(VOLUME, delete_book=True)
    (world.root / "library" / KEY).write_bytes(b"another one by now")

    later(world)

    assert world.files("library") == {KEY: b"another one by now"}


@pytest.mark.parametrize("before", [foreign, changed])
def test_replace_holds_for_the_version_that_stood_there(world: World, before: Callable[[World], None]) -> None:
    before(world)
    decider(world).replace(VOLUME)
    (world.root / "library" / KEY).write_bytes(b"yet another one, by somebody else")

    later(world)

    assert state(world) is State.HELD
    assert world.files("library")[KEY] == b"yet another one, by somebody else"


def test_replace_holds_for_the_absence_that_was_seen(world: World) -> None:
    removed(world)
    decider(world).replace(VOLUME)
    later(world)
    assert complete(world)

    (world.root / "library" / KEY).unlink()
    later(world)

    assert state(world) is State.HELD


def test_a_book_put_there_after_an_absence_was_decided_on_stays(world: World) -> None:
    removed(world)
    decider(world).replace(VOLUME)
    (world.root / "library" / KEY).write_bytes(b"somebody's own")

    later(world)

    assert world.files("library")[KEY] == b"somebody's own"


def test_pages_that_come_back_after_an_accepted_shrink_are_taken(world: World) -> None:
    shrunk(world)
    decider(world).accept_shrink(VOLUME, world.watches[0])
    world.run()
    world.source.add(f"{A}/3.jpg")

    world.run()

    assert complete(world)


def test_a_further_shrink_is_held_again(world: World) -> None:
    shrunk(world)
    decider(world).accept_shrink(VOLUME, world.watches[0])
    world.run()
    world.source.remove(f"{A}/2.jpg")

    world.run()

    assert state(world) is State.HELD
    assert names(world) == ["1.jpg", "2.jpg"]


def test_a_rename_costs_no_page_and_can_be_taken_back(world: World) -> None:
    other_settings(world)
    downloads = asked(world)
    decider(world).rename(VOLUME, world.watches[0])
    world.run()
    assert at_its_new_key(world)

    world.watches = (Watch("/c", TEMPLATE),)
    decider(world).rename(VOLUME, world.watches[0])
    world.run()

    assert list(world.files("library")) == [KEY]
    assert asked(world) == downloads


def test_a_rename_does_not_go_over_what_stands_there(world: World) -> None:
    other_settings(world)
    (world.root / "library/books").mkdir()
    (world.root / "library" / RENAMED).write_bytes(b"another's")
    decider(world).rename(VOLUME, world.watches[0])

    world.run()

    assert state(world) is State.HELD
    assert world.files("library")[RENAMED] == b"another's"
    assert KEY in world.files("library")


@pytest.mark.parametrize(
    ("decide", "says"),
    [
        (lambda w: decider(w).retry(VOLUME), "nothing is to be tried again"),
        (lambda w: decider(w).without_missing(VOLUME), "no page has failed"),
        (lambda w: decider(w).accept_shrink(VOLUME, w.watches[0]), "lacks no page"),
        (lambda w: decider(w).replace(VOLUME), "ours already"),
        (lambda w: decider(w).rename(VOLUME, w.watches[0]), "already"),
    ],
)
def test_a_decision_about_nothing_is_refused(world: World, decide: Callable[[World], object], says: str) -> None:
    bound(world)

    with pytest.raises(UsageError, match=says):
        decide(world)

    assert world.names(keys.DECISIONS) == []
