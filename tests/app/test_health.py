"""Whether runs succeed: by their records, and by whoever is at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.watched_store import WatchedStore

from pagebind.app import health
from pagebind.app.poll import record_run
from pagebind.core import keys
from pagebind.errors import ServerUnreachable

if TYPE_CHECKING:
    from tests.app.world import World

HOUR = 3600.0


def check(world: World, *, at_work: bool = False) -> str | None:
    """The message of the problem, None where all is well."""
    found = health.check(world.work, world.clock, max_age=2 * HOUR, at_work=lambda: at_work)
    return found.problem.message if found.problem else None


def fail(world: World) -> None:
    world.source.down = ServerUnreachable("the server is down")
    world.run()
    world.source.down = None


def test_no_run_yet(world: World) -> None:
    assert check(world) == "no run has ended yet"
    assert check(world, at_work=True) is None


@pytest.mark.parametrize(("hours", "well"), [(0, True), (1.9, True), (2.1, False)])
def test_a_good_run_is_good_for_a_while(world: World, hours: float, well: bool) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.run()
    world.clock.advance(hours * HOUR)

    message = check(world)

    assert (message is None) is well
    if message:
        assert message.startswith("no run has ended since ")
    assert check(world, at_work=True) is None


def test_a_failed_run_after_a_good_one_is_forgiven_for_a_while(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.run()
    world.clock.advance(1.5 * HOUR)
    fail(world)

    assert check(world) is None
    world.clock.advance(HOUR)
    found = health.check(world.work, world.clock, max_age=2 * HOUR, at_work=lambda: False)
    assert found.problem is not None
    assert found.problem.code == "server"
    assert found.problem.message.endswith("; the last one failed: the server is down")
    assert found.last_run is not None
    assert found.last_run["error"]["code"] == "server"


def break_off(world: World) -> None:
    """What a run leaves that a signal ended."""
    record_run(world.work, world.clock, started=world.clock.now(), assessments=[], problems=[], interrupted=True)


def test_an_interrupted_run_is_neither_good_nor_bad(world: World) -> None:
    break_off(world)
    assert (check(world) or "").startswith("no run has succeeded since ")
    assert "; the last one was interrupted at " in (check(world) or "")
    world.clock.advance(60)
    fail(world)
    world.clock.advance(60)
    break_off(world)
    assert (check(world) or "").endswith("; the last one failed: the server is down")

    world.clock.advance(60)
    world.source.folder("/c/A", "1.jpg")
    world.run()
    world.clock.advance(60)
    break_off(world)
    found = health.check(world.work, world.clock, max_age=2 * HOUR, at_work=lambda: False)
    assert found.problem is None
    assert found.last_run is not None
    assert found.last_run["interrupted"] is True


def test_held_volumes_do_not_matter(world: World) -> None:
    world.source.folder("/c/Series/Vol 1", "1.jpg")
    world.books.put("Series/Vol 1.cbz", b"somebody else's")

    assert len(world.run().held) == 1
    assert check(world) is None


def test_a_run_of_a_clock_that_ran_ahead_does_not_count(world: World) -> None:
    world.clock.advance(10 * 24 * HOUR)
    world.source.folder("/c/A", "1.jpg")
    world.run()
    world.clock.advance(-10 * 24 * HOUR)

    assert check(world) == "no run has ended yet"


def test_a_damaged_record_is_passed_over(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.run()
    world.clock.advance(60)
    world.work.put(keys.run_key(world.clock.now(), "x"), b"{")

    assert check(world) is None


def test_it_reads_no_more_than_it_needs(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    for _ in range(5):
        world.run()
        world.clock.advance(60)
    fail(world)
    world.work = store = WatchedStore(world.folders)

    assert check(world) is None
    assert [operation for operation, _ in store.calls] == ["list", "get", "get"]
    assert {key.partition("/")[0] for _, key in store.calls} == {"runs"}
