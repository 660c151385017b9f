"""Finalize: a book is whole, the newest, and ours, whatever happens in between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.app.world import World
from tests.support.memory_source import picture
from tests.support.watched_store import Death, Died, WatchedStore

from pagebind.app.finalize import Outcome
from pagebind.core import keys, receipt
from pagebind.errors import ConditionFailed, StoreUnavailable
from pagebind.ports.store import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER = "/c/Series/Vol 1"
KEY = "Series/Vol 1.cbz"
VOLUME = keys.volume_id(FOLDER)
NAMES = ("1.jpg", "2.jpg", "3.jpg")
_CALLS = 18
"""A finalize makes so many calls of its stores at most."""


@pytest.fixture(params=["folder", "gcs", "s3"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """On every kind of store the same is demanded."""
    return World(tmp_path, None if request.param == "folder" else request.getfixturevalue(f"{request.param}_stores")())


@pytest.fixture
def staged(world: World) -> World:
    """A volume of three pages, all of them staged, no book yet."""
    world.source.folder(FOLDER, *NAMES)
    world.stage(FOLDER)
    return world


def book(world: World) -> bytes:
    return world.books.get(KEY)


def entry_keys(world: World) -> list[str]:
    return world.names(keys.STAGING)


def pages_of(world: World) -> list[bytes]:
    return [world.source.files[f"{FOLDER}/{name}"].data for name in NAMES]


def assert_done(world: World) -> None:
    """One book of exactly these pages, one receipt that is true of it, nothing left in staging."""
    assert list(world.pages_in(KEY).values()) == pages_of(world)
    info = world.books.head(KEY)
    assert info is not None
    [key] = world.names(keys.DONE)
    document = receipt.load(world.folders.get(key))
    assert (document.version, document.size, document.key) == (info.version, info.size, KEY)
    for page, body in zip(document.pages, pages_of(world), strict=True):
        assert book(world)[page.offset : page.offset + page.size] == body
    assert entry_keys(world) == []
    assert world.shelf() == [KEY]


def test_a_complete_volume_is_bound(staged: World) -> None:
    finalized = staged.finalize(FOLDER)

    assert (finalized.outcome, finalized.key, finalized.pages) == (Outcome.BOUND, KEY, 3)
    assert_done(staged)


def test_the_book_says_what_it_is(staged: World) -> None:
    staged.finalize(FOLDER)

    info = staged.books.head(KEY)
    assert info is not None
    assert info.metadata is not None
    assert (info.metadata["volume"], info.metadata["seq"]) == (VOLUME, "1")


def test_a_second_finalize_changes_nothing(staged: World) -> None:
    staged.finalize(FOLDER)
    before = list(staged.folders.list()), list(staged.books.list())

    assert staged.finalize(FOLDER).outcome is Outcome.NOTHING

    assert (list(staged.folders.list()), list(staged.books.list())) == before


def test_of_an_unknown_volume_there_is_nothing_to_do(world: World) -> None:
    assert world.finalize("/c/nowhere").outcome is Outcome.NOTHING


def test_an_incomplete_volume_is_left_for_later(staged: World) -> None:
    staged.folders.delete(entry_keys(staged)[0])

    finalized = staged.finalize(FOLDER)

    assert (finalized.outcome, finalized.missing) == (Outcome.INCOMPLETE, 1)
    assert staged.shelf() == []


def test_entries_are_kept_if_the_user_wants_it(staged: World) -> None:
    staged.policy = staged.policy._replace(keep_pages=True)

    staged.finalize(FOLDER)

    assert len(entry_keys(staged)) == 3


# -- entries that are not what fetch wrote


def flip(content: bytes) -> bytes:
    return content[:90] + bytes([content[90] ^ 1]) + content[91:]


def cut(content: bytes) -> bytes:
    return content[:60]


def emptied(_content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [flip, cut, emptied])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_entry_is_found_and_asked_for_again(
    staged: World, change: Callable[[bytes], bytes], place: int
) -> None:
    key = entry_keys(staged)[place]
    staged.damage(key, change(staged.folders.get(key)))

    finalized = staged.finalize(FOLDER)

    assert finalized.outcome is Outcome.INCOMPLETE
    assert len(finalized.refetch) == 1
    assert staged.shelf() == []
    assert len(entry_keys(staged)) == 2
    staged.sent_here.clear()
    staged.stage(FOLDER)
    assert staged.finalize(FOLDER).outcome is Outcome.BOUND
    assert_done(staged)


def test_a_damaged_info_is_found_and_asked_for_again(world: World) -> None:
    info = b'<?xml version="1.0"?><ComicInfo><Series>Right</Series></ComicInfo>'
    world.source.folder(FOLDER, *NAMES)
    world.source.add(f"{FOLDER}/ComicInfo.xml", info)
    world.stage(FOLDER)
    [key] = [key for key in entry_keys(world) if world.folders.get(key).endswith(info)]
    world.damage(key, world.folders.get(key).replace(b"Right", b"Wrong"))

    finalized = world.finalize(FOLDER)

    assert [keys.entry_key(VOLUME, page.id) for page in finalized.refetch] == [key]
    assert world.shelf() == []


def test_swapped_entries_are_found(staged: World) -> None:
    one, other = entry_keys(staged)[:2]
    contents = staged.folders.get(one), staged.folders.get(other)
    staged.damage(one, contents[1])
    staged.damage(other, contents[0])

    finalized = staged.finalize(FOLDER)

    assert len(finalized.refetch) == 2
    assert staged.shelf() == []


def test_an_entry_that_vanishes_while_the_book_is_put_together(staged: World) -> None:
    lost = entry_keys(staged)[1]

    def lose(operation: str, key: str) -> None:
        if operation == "assemble":
            staged.folders.delete(lost)

    staged.library = WatchedStore(staged.books, before=lose)

    finalized = staged.finalize(FOLDER)

    assert [keys.entry_key(VOLUME, page.id) for page in finalized.refetch] == [lost]
    assert staged.shelf() == []


# -- books that are not ours


def test_a_foreign_book_is_never_overwritten(staged: World) -> None:
    staged.replace_book(KEY, b"somebody's own")

    assert staged.finalize(FOLDER).outcome is Outcome.HELD

    assert book(staged) == b"somebody's own"


def test_a_foreign_book_that_comes_at_the_last_moment_is_never_overwritten(staged: World) -> None:
    def intrude(operation: str, key: str) -> None:
        if operation == "assemble" and not staged.shelf():
            staged.replace_book(KEY, b"somebody's own")

    staged.library = WatchedStore(staged.books, before=intrude)

    assert staged.finalize(FOLDER).outcome is Outcome.HELD

    assert book(staged) == b"somebody's own"


@pytest.mark.parametrize("receipted", [True, False])
def test_a_changed_book_is_never_overwritten(staged: World, receipted: bool) -> None:
    staged.finalize(FOLDER)
    if not receipted:
        staged.folders.delete(staged.names(keys.DONE)[0])
    staged.replace_book(KEY, b"edited")
    staged.source.add(f"{FOLDER}/4.jpg")
    staged.stage(FOLDER)

    assert staged.finalize(FOLDER, 2).outcome is Outcome.HELD

    assert book(staged) == b"edited"


def test_a_removed_book_is_not_made_again(staged: World) -> None:
    staged.finalize(FOLDER)
    staged.replace_book(KEY, None)
    staged.source.add(f"{FOLDER}/4.jpg")
    staged.stage(FOLDER)

    assert staged.finalize(FOLDER, 2).outcome is Outcome.HELD

    assert staged.shelf() == []


@pytest.mark.parametrize("receipted", [True, False])
def test_a_book_that_was_changed_by_a_tool_that_keeps_metadata_is_told_apart(staged: World, receipted: bool) -> None:
    staged.finalize(FOLDER)
    if not receipted:
        staged.folders.delete(staged.names(keys.DONE)[0])
    info = staged.books.head(KEY)
    assert info is not None
    staged.books.put(KEY, b"edited", metadata=info.metadata)
    newer(staged)

    assert staged.finalize(FOLDER, 2).outcome is Outcome.HELD

    assert book(staged) == b"edited"


def test_a_book_that_keeps_changing_is_given_up(staged: World) -> None:
    staged.finalize(FOLDER)
    staged.folders.delete(staged.names(keys.DONE)[0])
    newer(staged)
    info, content = staged.books.head(KEY), book(staged)
    assert info is not None

    def change(operation: str, key: str) -> None:
        if operation == "assemble":
            staged.books.delete(KEY)
            staged.books.put(KEY, content, metadata=info.metadata)
            raise ConditionFailed(key, path=key)  # stores that name versions by content would not notice

    staged.library = WatchedStore(staged.books, before=change)

    with pytest.raises(StoreUnavailable, match="keeps changing"):
        staged.finalize(FOLDER, 2)


# -- two at once, and older against newer


def test_two_at_once_do_no_harm(staged: World) -> None:
    reached: list[str] = []

    def other_first(operation: str, key: str) -> None:
        if operation == "assemble" and not reached:
            reached.append(key)
            alone.finalize(FOLDER)

    alone = staged
    inner = staged.books
    staged.library = WatchedStore(inner, before=other_first)

    assert staged.finalize(FOLDER).outcome is Outcome.NOTHING

    assert_done(staged)


@pytest.mark.parametrize("at", range(_CALLS))
def test_another_finalize_may_run_between_any_two_calls(staged: World, at: int) -> None:
    calls = iter(range(1000))

    def meanwhile(operation: str, key: str) -> None:
        if next(calls) == at:
            hooked = staged.work, staged.library
            staged.work, staged.library = staged.folders, staged.books
            staged.finalize(FOLDER)
            staged.work, staged.library = hooked

    staged.work = WatchedStore(staged.folders, before=meanwhile)
    staged.library = WatchedStore(staged.books, before=meanwhile)
    first = staged.finalize(FOLDER)
    assert first.outcome in (Outcome.BOUND, Outcome.NOTHING, Outcome.INCOMPLETE)

    staged.work, staged.library = staged.folders, staged.books
    staged.finalize(FOLDER)

    assert_done(staged)


def newer(world: World) -> None:
    """The folder gains a page, which is staged too."""
    world.source.add(f"{FOLDER}/4.jpg")
    world.stage(FOLDER)


def test_the_newest_complete_revision_is_bound(staged: World) -> None:
    newer(staged)

    staged.finalize(FOLDER, 1)

    assert len(staged.pages_in(KEY)) == 4


def test_an_older_revision_is_bound_while_the_newer_is_not_complete(staged: World) -> None:
    newer(staged)
    added = staged.source.files[f"{FOLDER}/4.jpg"].data
    staged.folders.delete(next(key for key in entry_keys(staged) if staged.folders.get(key).endswith(added)))

    staged.finalize(FOLDER, 1)

    assert len(staged.pages_in(KEY)) == 3
    assert len(entry_keys(staged)) == 3


def test_an_older_revision_never_replaces_a_newer(staged: World) -> None:
    done: list[str] = []

    def newer_first(operation: str, key: str) -> None:
        if operation == "assemble" and not done:
            done.append(key)
            newer(staged)
            hooked, staged.library = staged.library, staged.books
            staged.finalize(FOLDER, 2)
            staged.library = hooked

    staged.library = WatchedStore(staged.books, before=newer_first)

    assert staged.finalize(FOLDER, 1).outcome is Outcome.NOTHING

    assert len(staged.pages_in(KEY)) == 4


def test_what_was_seen_between_is_not_bound_once_the_folder_is_as_before(world: World) -> None:
    world.policy = world.policy._replace(keep_pages=True)
    world.source.folder(FOLDER, *NAMES)
    world.stage(FOLDER)
    world.finalize(FOLDER)
    newer(world)
    world.source.remove(f"{FOLDER}/4.jpg")
    world.poll()
    world.source.add(f"{FOLDER}/5.jpg")
    world.poll()

    assert world.finalize(FOLDER, 2).outcome is Outcome.NOTHING

    assert len(world.pages_in(KEY)) == 3


# -- death


def calls_of_a_finalize(world: World) -> int:
    return sum(len(store.calls) for store in (world.work, world.library) if isinstance(store, WatchedStore))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("calls", range(_CALLS))
def test_whenever_it_dies_the_next_one_completes_it(staged: World, calls: int, after: bool) -> None:
    death = Death(calls)
    for_each = {"after": death} if after else {"before": death}
    staged.work = WatchedStore(staged.folders, **for_each)
    staged.library = WatchedStore(staged.books, **for_each)
    try:
        staged.finalize(FOLDER)
    except Died:
        assert death.struck
    staged.work, staged.library = staged.folders, staged.books
    if KEY in staged.shelf():
        assert list(staged.pages_in(KEY).values()) == pages_of(staged)

    staged.finalize(FOLDER)

    assert_done(staged)


def test_dying_was_tried_at_every_call(staged: World) -> None:
    staged.work, staged.library = WatchedStore(staged.folders), WatchedStore(staged.books)

    staged.finalize(FOLDER)

    assert calls_of_a_finalize(staged) <= _CALLS


def test_a_lost_receipt_is_written_again_as_it_was(staged: World) -> None:
    staged.finalize(FOLDER)
    [key] = staged.names(keys.DONE)
    content = staged.folders.get(key)
    staged.folders.delete(key)

    staged.finalize(FOLDER)

    assert staged.names(keys.DONE) == [key]
    assert staged.folders.get(key) == content


def test_a_listing_that_comes_while_finalize_looks_keeps_what_is_staged_of_it(staged: World) -> None:
    """The book is bound; a finalize that tidies up is held up between two of its listings."""
    staged.finalize(FOLDER)
    staged.source.add(f"{FOLDER}/4.jpg")

    def hold_up(operation: str, key: str) -> None:
        if (operation, key) == ("list", f"{keys.SENT}{VOLUME}/"):
            work.before = lambda *_: None
            staged.stage(FOLDER)

    staged.work = work = WatchedStore(staged.folders, before=hold_up)
    assert staged.finalize(FOLDER).outcome is Outcome.NOTHING

    assert len(entry_keys(staged)) == 4


def test_what_large_pages_left_on_their_way_is_cleared(staged: World) -> None:
    staged.folders.put(keys.data_key(VOLUME, "half", "n"), b"x", condition=ABSENT)

    staged.finalize(FOLDER)

    assert_done(staged)


def test_a_receipt_can_be_read(staged: World) -> None:
    staged.finalize(FOLDER)

    [key] = staged.names(keys.DONE)
    document = json.loads(staged.folders.get(key))
    assert document["schema"] == 1
    assert [row[1] for row in document["pages"]] == list(staged.pages_in(KEY))


def test_odd_names_arrive_in_the_book(world: World) -> None:
    names = ["a b.jpg", "100%.jpg", "#1?.jpg", "x+y&z.jpg", 'it\'s "q".jpg', "漫画.jpg", "🦊.jpg"]
    for name in names:
        world.source.add(f"{FOLDER}/{name}", picture(name))
    world.stage(FOLDER)

    world.finalize(FOLDER)

    pages = world.pages_in(KEY)
    assert sorted(pages.values()) == sorted(picture(name) for name in names)
    assert all(any(name in title for title in pages) for name in names)
