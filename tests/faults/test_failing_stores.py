"""Stores that fail: one clear error, no book but a whole one, nothing lost, and the next run goes on.

The folders are real ones, on real disks where root may mount; what a real disk does only by chance is made to happen
at every single write.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.app.world import World
from tests.support.clock import FakeClock
from tests.support.disks import FullFrom, tmpfs
from tests.support.lying_store import LyingStore
from tests.support.memory_source import picture
from tests.support.watched_store import WatchedStore

from pagebind.adapters.stores.folder import FolderStore
from pagebind.core import keys
from pagebind.errors import KeyRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pagebind.app.result import RunResult

VOLUMES = ("Vol 1", "Vol 2")
KEYS = [f"Series/{volume}.cbz" for volume in VOLUMES]
PAGES = [f"/c/Series/{volume}/{number}.jpg" for volume in VOLUMES for number in (1, 2, 3)]


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the stores are durable is shown by their own tests."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


def filled(root: Path) -> World:
    """Two volumes on the server, in a new place."""
    world = World(root)
    for path in PAGES:
        world.source.add(path)
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return filled(tmp_path)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The books of a run that nobody disturbed."""
    world = filled(tmp_path_factory.mktemp("undisturbed"))
    assert len(run(world).bound) == len(KEYS)
    return world.files("library")


def run(world: World) -> RunResult:
    """One run; the process lives on until the page and the book are through that were under way at its end."""
    result = world.run()
    for thread in threading.enumerate():
        if thread.name.startswith("pagebind-"):
            thread.join(10)
    return result


def one_error(result: RunResult, *words: str) -> StoreUnavailable:
    """The run ended by one error of the store, said once and in one line."""
    assert isinstance(result.error, StoreUnavailable), result.error
    assert [problem.message for problem in result.problems] == [result.error.message]
    assert all(word in result.error.message for word in words), result.error.message
    assert "\n" not in result.error.message + result.error.fix
    assert result.error.fix
    return result.error


def unsafe(world: World) -> int:
    """How many pages are neither staged nor in a book: these, and no others, may be asked for."""
    books, missing = world.files("library"), 0
    for folder, pages in Counter(path.rpartition("/")[0] for path in world.source.files).items():
        staged = world.names(f"{keys.STAGING}{keys.volume_id(folder)}/")
        bound = f"{folder.removeprefix('/c/')}.cbz" in books
        missing += 0 if bound else pages - sum(name.endswith(".entry") for name in staged)
    return missing


def assert_recovers(world: World, right: dict[str, bytes]) -> None:
    """The next run makes every book, asks for no page again that was safe, and leaves nothing behind."""
    missing, before = unsafe(world), world.source.downloads.total()
    result = run(world)
    assert result.error is None, result.error
    assert world.files("library") == right
    assert world.source.downloads.total() - before == missing
    assert world.names(keys.STAGING) == []
    assert len(world.names(keys.DONE)) == len(KEYS)
    assert world.names(keys.FAILURES) == []
    assert left_behind(world) == []


def left_behind(world: World) -> list[str]:
    """What is half-written in either folder."""
    return [
        path.name
        for place in ("work/.tmp", "library")
        for path in (world.root / place).glob("*")
        if path.is_file() and not path.name.endswith(".cbz")
    ]


def assert_no_wrong_book(world: World, right: dict[str, bytes]) -> None:
    books = world.files("library")
    assert books.items() <= right.items()


class TestFullDisk:
    @pytest.mark.parametrize(("places", "step"), [(("work",), 2), (("library",), 1), (("work", "library"), 5)])
    def test_at_every_single_write(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        right: dict[str, bytes],
        places: Sequence[str],
        step: int,
    ) -> None:
        counted = 0
        number = 0
        while number == 0 or number <= counted:
            world = filled(tmp_path / str(number))
            world.concurrency = 1
            with monkeypatch.context() as patch:
                disk = FullFrom(patch, [world.root / place for place in places])
                disk.number = number or None
                result = run(world)
            counted = counted or disk.calls
            assert_no_wrong_book(world, right)
            assert left_behind(world) == [], number
            if result.error is not None:
                one_error(result, "is full")
                assert "free some space" in result.error.fix
                assert world.source.downloads.total() <= len(PAGES) - unsafe(world) + world.concurrency, number
            assert (result.error is None) <= (world.files("library") == right), number
            assert_recovers(world, right)
            number += step
        assert counted > 15

    @pytest.mark.parametrize("options", ["size=256k", "size=8m,nr_inodes=30"])
    def test_a_real_one(self, world: World, right: dict[str, bytes], options: str) -> None:
        """Room or names run out among thirty pages; with more of both the next run goes on where this one ended."""
        world.concurrency = 2
        for number in range(10, 40):
            world.source.add(f"/c/Series/Vol 3/{number}.jpg", picture(str(number), 12_000))
        with tmpfs(world.root / "work", options) as disk:
            result = run(world)
            one_error(result, "is full", str(world.root / "work"))
            asked = world.source.downloads.copy()
            missing = unsafe(world)
            assert 0 < missing < 36
            assert asked.total() <= 36 - missing + world.concurrency
            disk.remount("size=8m,nr_inodes=2000")
            again = run(world)
            assert again.error is None
            assert world.source.downloads.total() == asked.total() + missing
            assert set(world.pages_in("Series/Vol 3.cbz").values()) == {
                file.data for path, file in world.source.files.items() if "Vol 3" in path
            }
            assert world.files("library").items() >= right.items()
            assert left_behind(world) == []


def at_page(world: World, number: int, act: Callable[[], object]) -> None:
    """Let something happen right before the ``number``-th page is written."""
    written = 0

    def before(operation: str, key: str) -> None:
        nonlocal written
        if operation == "put" and key.endswith(".entry"):
            written += 1
            if written == number:
                act()

    world.work = WatchedStore(world.folders, before=before)


def at_book(world: World, number: int, act: Callable[[], object]) -> None:
    """Let something happen right before the ``number``-th book is written."""
    written = 0

    def before(operation: str, _: str) -> None:
        nonlocal written
        if operation == "assemble":
            written += 1
            if written == number:
                act()

    world.library = WatchedStore(world.books, before=before)


def undisturbed(world: World) -> None:
    """From now on nothing happens to the stores."""
    world.work, world.library = world.folders, world.books


class TestReadOnly:
    @pytest.mark.parametrize("place", ["work", "library"])
    @pytest.mark.parametrize("at", [0, 2])
    def test_a_disk(self, world: World, right: dict[str, bytes], place: str, at: int) -> None:
        """It is so from the beginning, or from the second page or book on, as after an error of the disk."""
        world.concurrency = 1
        with tmpfs(world.root / place, "size=8m") as disk:
            if at:
                (at_page if place == "work" else at_book)(world, at, lambda: disk.remount("ro"))
            else:
                disk.remount("ro")
            result = run(world)
            error = one_error(result, "is not writable", str(world.root / place))
            assert "let the user who runs this write there" in error.fix
            assert_no_wrong_book(world, right)
            assert world.source.downloads.total() <= len(PAGES) - unsafe(world) + world.concurrency
            disk.remount("rw")
            undisturbed(world)
            assert_recovers(world, right)


def test_a_folder_of_one_volume_that_may_not_be_written_costs_one_page_and_one_line(
    world: World, right: dict[str, bytes]
) -> None:
    """What is somebody else's in the middle of work, as after a run of another user."""
    world.concurrency = 1

    def refuse(operation: str, key: str) -> None:
        if operation == "put" and key.startswith(f"{keys.STAGING}{keys.volume_id('/c/Series/Vol 1')}/"):
            raise KeyRefused(f"{key} is not writable (Permission denied)", fix="let the user who runs this write there")

    world.work = WatchedStore(world.folders, before=refuse)
    result = run(world)
    assert result.error is None
    assert [volume.key for volume in result.bound] == [KEYS[1]]
    assert ["is not writable" in problem.message for problem in result.problems] == [True]
    assert sum(times for path, times in world.source.downloads.items() if "Vol 1" in path) == 1
    undisturbed(world)
    assert_recovers(world, right)


class TestGone:
    """What is written into the bare mount point would be hidden below the disk that comes back."""

    @pytest.mark.parametrize("place", ["work", "library"])
    @pytest.mark.parametrize("at", [1, 2])
    def test_a_disk_that_is_taken_away(self, world: World, right: dict[str, bytes], place: str, at: int) -> None:
        world.concurrency = 1
        with tmpfs(world.root / place, "size=8m") as disk:
            kept = world.root / "kept"
            kept.mkdir()
            bind(disk.folder, kept)
            try:
                (at_page if place == "work" else at_book)(world, at, disk.unmount)
                result = run(world)
                undisturbed(world)
                assert everything_below(disk.folder) == []
                one_error(result, f"{world.root / place} is not there any more")
                bind(kept, disk.folder)
                disk.mounted = True
                assert_no_wrong_book(world, right)
                assert_recovers(world, right)
            finally:
                subprocess.run(["umount", "--lazy", str(kept)], check=True)

    @pytest.mark.parametrize("place", ["work", "library"])
    @pytest.mark.parametrize("at", [1, 2])
    def test_a_folder_that_is_moved_away(self, world: World, right: dict[str, bytes], place: str, at: int) -> None:
        world.concurrency = 1
        folder, aside = world.root / place, world.root / "aside"
        folder.mkdir()
        (at_page if place == "work" else at_book)(world, at, lambda: shutil.move(folder, aside))
        result = run(world)
        undisturbed(world)
        assert everything_below(folder) == []
        one_error(result, f"{folder} is not there any more")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(aside, folder)
        assert_no_wrong_book(world, right)
        assert_recovers(world, right)


def everything_below(folder: Path) -> list[Path]:
    """All that stands there, hidden or not, but for locks: they hold nothing."""
    return [path for path in folder.rglob("*") if path.name not in {".lock", ".run.lock"}]


def bind(folder: Path, also: Path) -> None:
    """Let a file system stand in a second place."""
    subprocess.run(["mount", "--bind", str(folder), str(also)], check=True)


def lying(world: World) -> tuple[LyingStore, LyingStore]:
    """Let both stores of the world lie when they are told to."""
    work, library = LyingStore(world.folders), LyingStore(world.books)
    world.work, world.library = work, library
    return work, library


class TestLies:
    """A store that does not do what it says is not ours to mend; but no book is wrong, and nothing goes on for ever."""

    @pytest.mark.parametrize("prefix", [keys.MANIFESTS, keys.SENT, keys.STAGING, keys.DONE, keys.RUNS])
    def test_writes_that_are_lost(self, world: World, right: dict[str, bytes], prefix: str) -> None:
        """While it lies no book is wrong; when it does not any more the next run makes what lacks."""
        work, _ = lying(world)
        work.loses = lambda key: key.startswith(prefix)
        result = run(world)
        assert work.told
        assert_no_wrong_book(world, right)
        assert world.source.downloads.total() <= 2 * len(PAGES)
        assert result.error is None
        work.truth()
        assert run(world).error is None
        assert world.files("library") == right
        assert run(world).error is None
        assert world.names(keys.STAGING) == []

    def test_a_book_that_is_lost(self, world: World, right: dict[str, bytes]) -> None:
        """There is a receipt for it: that looks as if somebody had removed it, and is held."""
        _, library = lying(world)
        library.loses = lambda key: key == KEYS[0]
        for _ in range(2):
            result = run(world)
            library.truth()
            assert world.files("library") == {KEYS[1]: right[KEYS[1]]}
            assert [problem.code for problem in result.problems] == ["removed"]
            assert "have it made again by `pagebind bind" in result.problems[0].fix

    @pytest.mark.parametrize("lie", ["flips", "cuts"])
    @pytest.mark.parametrize("prefix", [keys.MANIFESTS, keys.STAGING, keys.DONE])
    def test_other_bytes_than_were_written(self, world: World, right: dict[str, bytes], prefix: str, lie: str) -> None:
        work, _ = lying(world)
        setattr(work, lie, lambda key: key.startswith(prefix))
        run(world)
        run(world)
        assert_no_wrong_book(world, right)
        work.truth()
        result = run(world)
        assert result.error is None
        assert world.files("library") == right

    @pytest.mark.parametrize("prefix", [keys.MANIFESTS, keys.SENT, keys.STAGING, keys.DONE])
    def test_listings_that_lack_what_is_new(self, world: World, right: dict[str, bytes], prefix: str) -> None:
        work, _ = lying(world)
        work.hides = lambda key: key.startswith(prefix)
        run(world)
        assert work.told
        assert_no_wrong_book(world, right)
        work.truth()
        assert run(world).error is None
        assert world.files("library") == right

    def test_listings_that_show_what_is_deleted(self, world: World, right: dict[str, bytes]) -> None:
        work, _ = lying(world)
        assert run(world).error is None
        work.ghosts = lambda key: key.startswith(keys.STAGING)
        world.source.add("/c/Series/Vol 1/4.jpg")
        run(world)
        run(world)
        assert work.told
        books = world.files("library")
        assert books[KEYS[1]] == right[KEYS[1]]
        work.truth()
        assert run(world).error is None
        assert list(world.pages_in(KEYS[0]).values()) == [
            file.data for path, file in world.source.files.items() if "Vol 1" in path
        ]

    @pytest.mark.parametrize("hours", [-30, -5, 5, 30])
    def test_a_clock_that_is_hours_off(self, world: World, right: dict[str, bytes], hours: int) -> None:
        skewed = FakeClock(world.clock.now() + hours * 3600)
        work = FolderStore(world.root / "work", clock=skewed)
        world.work, world.library = work, FolderStore(world.root / "library", work=work, clock=skewed)
        for _ in range(2):
            result = run(world)
            assert result.error is None
            assert world.files("library") == right
        world.source.add("/c/Series/Vol 1/4.jpg")
        assert run(world).error is None
        assert len(world.pages_in(KEYS[0])) == 4
