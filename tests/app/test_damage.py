"""One damaged object in work, or one damaged book, stops nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pagebind.app.finalize import Outcome
from pagebind.app.status import status
from pagebind.app.verify import Verify
from pagebind.core import keys
from pagebind.core.planner import Action, State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.world import World

PATH, KEY = "/c/A", "A/A.cbz"
OTHER, OTHER_KEY = "/c/B", "B/B.cbz"


@pytest.fixture
def two(world: World) -> World:
    world.source.folder(PATH, "1.jpg", "2.jpg")
    world.source.folder(OTHER, "1.jpg")
    return world


def manifest_of(world: World, path: str) -> Path:
    [key] = world.names(f"{keys.MANIFESTS}{keys.volume_id(path)}/")
    return world.root / "work" / key


def test_a_damaged_manifest_is_recorded_anew_when_its_folder_changes(two: World) -> None:
    two.run()
    manifest_of(two, PATH).write_bytes(b"{")
    two.source.add(f"{PATH}/3.jpg")
    two.source.add(f"{OTHER}/2.jpg")

    result = two.run()

    assert sorted(volume.key for volume in result.bound) == [KEY, OTHER_KEY]
    assert len(two.pages_in(KEY)) == 3
    assert {problem.code for problem in result.problems} == {"store"}


def test_a_damaged_manifest_of_what_is_being_fetched_is_recorded_anew(two: World) -> None:
    two.stage(PATH)
    manifest_of(two, PATH).write_bytes(b"[]")

    result = two.run()

    assert result.error is None
    assert {volume.key: volume.seq for volume in result.bound} == {KEY: 2, OTHER_KEY: 1}


def test_a_lost_manifest_makes_no_old_book_a_new_one(two: World) -> None:
    two.run()
    manifest_of(two, PATH).unlink()
    two.source.add(f"{PATH}/3.jpg")

    result = two.run()

    assert {volume.key: volume.seq for volume in result.bound} == {KEY: 2}
    assert len(two.pages_in(KEY)) == 3


def test_a_manifest_from_a_clock_that_ran_ahead_is_written_anew(two: World) -> None:
    two.poll()
    ahead = two.clock.now() + 10 * 365 * 86400.0
    os.utime(manifest_of(two, PATH), (ahead, ahead))

    assert two.poll().of(PATH).report().seq == 2
    two.clock.advance(601.0)
    assert two.poll().of(PATH).verdict.action is Action.FETCH


def test_an_empty_library_that_had_books_is_taken_for_one_that_is_not_mounted(two: World) -> None:
    two.run()
    for book in (two.root / "library").rglob("*.cbz"):
        book.unlink()
    two.source.folder("/c/C", "1.jpg")

    result = two.run()

    assert result.error is not None
    assert result.error.code == "store"
    assert list((two.root / "library").rglob("*.cbz")) == []


def test_a_foreign_book_that_differs_in_case_alone_makes_ours_no_other(two: World) -> None:
    two.run()
    (two.root / "library" / "a").mkdir()
    (two.root / "library" / "a" / "a.cbz").write_bytes(b"foreign")

    assert {volume.key for volume in two.run().up_to_date} == {KEY, OTHER_KEY}


def test_status_and_verify_tell_of_a_damaged_manifest_and_show_the_rest(two: World) -> None:
    two.run()
    manifest_of(two, PATH).write_bytes(b"\xff")

    shown = status(two.folders, two.books, two.policy, two.clock, {})
    verify = Verify(two.folders, two.books, read=False)
    _, named = verify.books()

    assert [(volume.path, volume.state) for volume in shown.volumes] == [(OTHER, State.BOUND)]
    assert [problem.code for problem in shown.damaged] == ["store"]
    assert [one.path for one in named.values()] == [OTHER]
    assert [problem.code for problem in verify.damaged] == ["store"]


def bound_without_receipt(world: World) -> None:
    """Bind, then be where a crash between book and receipt leaves things, with the book damaged meanwhile."""
    world.stage(PATH)
    entries = {key: (world.folders.get(key), world.folders.head(key)) for key in world.names(keys.STAGING)}
    assert world.finalize(PATH).outcome is Outcome.BOUND
    for key in world.names(keys.DONE):
        world.folders.delete(key)
    for key, (content, info) in entries.items():
        assert info is not None
        world.folders.put(key, content, metadata=info.metadata)
    book = world.root / "library" / KEY
    times = book.stat()
    book.write_bytes(b"\0" * times.st_size)
    os.utime(book, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_book_damaged_before_its_receipt_is_put_together_again(two: World) -> None:
    bound_without_receipt(two)

    result = two.run(PATH)

    assert result.error is None
    assert len(two.pages_in(KEY)) == 2
    assert two.names(keys.STAGING) == []
    assert len(two.names(keys.DONE)) == 1


def test_without_its_entries_it_gets_no_receipt_and_the_others_go_on(two: World) -> None:
    bound_without_receipt(two)
    for key in two.names(keys.STAGING):
        two.folders.delete(key)

    result = two.run()

    assert result.error is None
    assert [volume.key for volume in result.bound] == [OTHER_KEY]
    assert two.names(f"{keys.DONE}{keys.volume_id(PATH)}/") == []


def test_entries_that_are_damaged_again_and_again_are_told_of(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from pagebind.core import entry

    monkeypatch.setattr(entry, "parse", lambda _: None)

    result = two.run(PATH)

    assert [(problem.code, "again and again" in problem.message) for problem in result.problems] == [("store", True)]
    assert two.source.downloads[f"{PATH}/1.jpg"] == 6


def test_a_large_listing_is_remembered_from_when_it_was_replaced(two: World) -> None:
    two.poll()
    two.clock.advance(30 * 86400.0)
    two.source.remove(f"{PATH}/2.jpg")

    assert two.poll().of(PATH).verdict.state is State.HELD
    two.clock.advance(8 * 86400.0)
    assert two.poll().of(PATH).verdict.state is State.WAITING
