"""On every kind of store: a book that somebody else made, changed or removed is held, until `bind --replace`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.app.world import World
from tests.support.clock import FakeClock

from pagebind.app.decide import Decide
from pagebind.app.verify import Verify
from pagebind.core import keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER = "/c/Series/Vol 1"
KEY = "Series/Vol 1.cbz"
VOLUME = keys.volume_id(FOLDER)


@pytest.fixture(params=["folder", "gcs", "s3"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    world = World(tmp_path, None if request.param == "folder" else request.getfixturevalue(f"{request.param}_stores")())
    world.clock = FakeClock(time.time())
    world.source.folder(FOLDER, "1.jpg", "2.jpg")
    return world


def decide(world: World) -> Decide:
    return Decide(world.work, world.library, world.policy, world.clock)


def foreign(world: World) -> None:
    world.replace_book(KEY, b"somebody's own")


def changed(world: World) -> None:
    world.run()
    world.replace_book(KEY, b"edited")


def changed_by_a_tool_that_keeps_metadata(world: World) -> None:
    world.run()
    info = world.books.head(KEY)
    assert info is not None
    world.books.put(KEY, b"edited", metadata=info.metadata)


def removed(world: World) -> None:
    world.run()
    world.replace_book(KEY, None)


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        (foreign, "foreign"),
        (changed, "changed"),
        (changed_by_a_tool_that_keeps_metadata, "changed"),
        (removed, "removed"),
    ],
)
def test_only_a_decision_puts_ours_there(world: World, happens: Callable[[World], None], code: str) -> None:
    happens(world)
    standing = {key: world.books.get(key) for key in world.shelf()}
    for _ in range(2):
        [held] = world.run().held
        assert held.problem is not None
        assert held.problem.code == code
        assert {key: world.books.get(key) for key in world.shelf()} == standing

    decide(world).replace(VOLUME)
    [bound] = world.run().bound

    assert bound.key == KEY
    assert list(world.pages_in(KEY)) == ["1.jpg", "2.jpg"]
    assert world.names(keys.STAGING) == []
    [again] = world.run().up_to_date
    assert again.key == KEY


def test_a_moved_and_renamed_book_needs_no_page_of_the_server(world: World) -> None:
    world.run()
    asked = world.source.downloads.total()
    world.watches = (world.watches[0]._replace(template="{series} - {volume}.cbz"),)

    decide(world).rename(VOLUME, world.watches[0])
    world.run()

    assert world.shelf() == ["Series - Vol 1.cbz"]
    assert world.source.downloads.total() == asked


def test_a_decision_is_spent_by_the_book_that_it_made(world: World) -> None:
    foreign(world)
    world.run()
    decide(world).replace(VOLUME)
    world.run()
    foreign(world)

    [held] = world.run().held

    assert held.problem is not None
    assert held.problem.code == "changed"
    assert world.books.get(KEY) == b"somebody's own"


def test_a_book_that_was_deleted_by_decision_and_made_again_is_guarded_as_before(world: World) -> None:
    world.run()
    decide(world).forget(VOLUME, delete_book=True)
    world.run()
    assert world.shelf() == []
    decide(world).retry(VOLUME)
    world.run()
    _, named = Verify(world.work, world.library, read=True).books()
    assert list(named) == [VOLUME]

    world.replace_book(KEY, None)

    [held] = world.run().held
    assert held.problem is not None
    assert held.problem.code == "removed"


def test_a_book_of_which_one_byte_was_changed_is_told_apart(world: World) -> None:
    world.run()
    info, content = world.books.head(KEY), world.books.get(KEY)
    assert info is not None
    world.books.put(KEY, content[:90] + bytes([content[90] ^ 1]) + content[91:], metadata=info.metadata)

    [held] = world.run().held

    assert held.problem is not None
    assert held.problem.code == "changed"
