"""Whole runs over real folders: what a person gets."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from tests.support.memory_source import picture
from tests.support.watched_store import Death, Died, WatchedStore

from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.core import keys
from pagebind.errors import AccessDenied, PageCut, ServerUnreachable
from pagebind.local import Runner, RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.app.world import World

FOLDER = "/c/Series/Vol 1"
KEY = "Series/Vol 1.cbz"


@pytest.fixture
def filled(world: World) -> World:
    world.source.folder(FOLDER, "1.jpg", "2.jpg", "3.jpg")
    return world


def test_a_folder_becomes_a_book(filled: World) -> None:
    result = filled.run()

    assert result.error is None
    assert [volume.key for volume in result.bound] == [KEY]
    assert (result.pages_fetched, result.problems) == (3, [])
    assert list(filled.pages_in(KEY).values()) == [file.data for file in filled.source.files.values()]


def test_a_second_run_does_nothing(filled: World) -> None:
    filled.run()
    before, downloads = filled.files(""), dict(filled.source.downloads)

    result = filled.run()

    assert [volume.key for volume in result.up_to_date] == [KEY]
    assert filled.source.downloads == downloads
    after = filled.files("")
    assert {name for name in after if after[name] != before.get(name)} == {
        name for name in after if name.startswith("work/runs/") and name not in before
    }
    assert before.keys() <= after.keys()


def test_a_page_more_is_bound_anew(filled: World) -> None:
    filled.run()
    filled.source.add(f"{FOLDER}/4.jpg")

    result = filled.run()

    assert [volume.seq for volume in result.bound] == [2]
    assert len(filled.pages_in(KEY)) == 4


def test_a_better_page_is_taken(filled: World) -> None:
    filled.run()
    better = picture("better", 200)
    filled.source.add(f"{FOLDER}/2.jpg", better)

    filled.run()

    assert list(filled.pages_in(KEY).values())[1] == better


def test_a_broken_page_never_gets_in_and_the_others_go_on(filled: World) -> None:
    filled.source.add("/c/Series/Vol 2/1.jpg", b"<html>")

    result = filled.run()

    assert [volume.key for volume in result.bound] == [KEY]
    assert [volume.path for volume in result.waiting] == ["/c/Series/Vol 2"]
    assert [problem.code for problem in result.problems] == ["page_failed"]


def test_a_passing_fault_is_overcome(filled: World) -> None:
    path = f"{FOLDER}/1.jpg"
    filled.source.page_faults[path] = [PageCut("cut"), PageCut("cut again"), PageCut("and again")]

    assert filled.run().bound == []
    assert filled.source.downloads[path] == 3
    filled.source.page_faults.clear()
    assert len(filled.run().bound) == 1


def test_a_server_that_goes_down_ends_the_run(filled: World) -> None:
    filled.source.page_faults = {path: [ServerUnreachable("down")] for path in filled.source.files}
    filled.source.answering = False

    result = filled.run()

    assert isinstance(result.error, ServerUnreachable)
    assert filled.names(keys.FAILURES) == []


def test_one_page_that_never_answers_fails_alone(filled: World) -> None:
    filled.source.folder("/c/Series/Vol 2", "1.jpg")
    filled.source.page_faults = {"/c/Series/Vol 2/1.jpg": [ServerUnreachable("504")]}

    result = filled.run()

    assert result.error is None
    assert [volume.key for volume in result.bound] == [KEY]
    assert [(problem.code, "504" in problem.message) for problem in result.problems] == [("page_failed", True)]
    assert "the next run tries again" in result.waiting[0].reason
    assert len(filled.names(keys.FAILURES)) == 1


def test_what_stands_in_the_way_of_one_book_stops_no_other(filled: World) -> None:
    filled.source.folder("/c/Z/Vol 2", "1.jpg")
    (filled.root / "library").mkdir()
    (filled.root / "library" / KEY.partition("/")[0]).write_bytes(b"a file where the series belongs")

    result = filled.run()

    assert result.error is None
    assert [volume.path for volume in result.bound] == ["/c/Z/Vol 2"]
    assert [problem.code for problem in result.problems] == ["store"]


@pytest.mark.parametrize(("held", "ends"), [(("Vol 1",), False), (("Vol 1", "Vol 2"), True)])
def test_a_hold_on_one_book_stops_no_other_and_a_right_that_lacks_for_all_ends_the_run(
    filled: World, held: tuple[str, ...], ends: bool
) -> None:
    def refuse(operation: str, key: str) -> None:
        if operation == "assemble" and any(name in key for name in held):
            raise AccessDenied(f"may not write {key}", fix="grant it", path=key)

    for volume in ("Vol 2", "Vol 3"):
        filled.source.folder(f"/c/Series/{volume}", "1.jpg")
    filled.library = WatchedStore(filled.books, before=refuse)

    result = filled.run()

    assert (result.error is not None) is ends
    assert result.problems[0].code == "store"
    assert ends or [volume.path for volume in result.bound] == ["/c/Series/Vol 2", "/c/Series/Vol 3"]


def test_waiting_lets_a_folder_settle(filled: World) -> None:
    result = filled.run(settle=None, wait=True)

    assert len(result.bound) == 1
    assert filled.clock.waits == [600.0]


@pytest.mark.parametrize("calls", range(0, 60, 2))
def test_whenever_a_run_dies_the_next_one_completes_it(filled: World, calls: int) -> None:
    filled.concurrency = 1
    death = Death(calls)
    filled.work = WatchedStore(filled.folders, before=death)
    filled.library = WatchedStore(filled.books, before=death)
    try:
        filled.run()
    except Died:
        assert death.struck
    filled.work, filled.library = filled.folders, filled.books

    filled.run()

    assert list(filled.pages_in(KEY).values()) == [file.data for file in filled.source.files.values()]
    assert len(filled.names(keys.DONE)) == 1
    assert filled.names(keys.STAGING) == []


class Signalled(BaseException):
    """As the command's signal handler raises it."""


LOCAL_DRAIN = LocalDispatch.drain


@pytest.fixture
def patient() -> Iterator[threading.Event]:
    """What whoever hangs in a store waits for; it comes at the end of the test."""
    go_on = threading.Event()
    yield go_on
    go_on.set()


@pytest.mark.parametrize("grace", [0.0, 0.02])
@pytest.mark.parametrize("hangs", ["list", "put"])
def test_a_signal_is_obeyed_while_the_store_hangs(
    filled: World, monkeypatch: pytest.MonkeyPatch, patient: threading.Event, grace: float, hangs: str
) -> None:
    """A book is bound and a page is missing when the store answers no more."""
    filled.policy = filled.policy._replace(settle=0.0)
    filled.source.add("/c/Series/Vol 2/1.jpg", b"<html>")
    store = filled.work = WatchedStore(filled.folders)

    def hang(operation: str, key: str) -> None:
        assert operation != hangs or patient.wait(10), f"somebody waits for {operation} {key}"

    def drain(dispatch: LocalDispatch) -> None:
        LOCAL_DRAIN(dispatch)
        store.before = hang
        raise Signalled

    monkeypatch.setattr("pagebind.local._STOCK_SECONDS", 0.02 if hangs == "list" else 0.5)
    monkeypatch.setattr(LocalDispatch, "drain", drain)
    runner = Runner(filled.parts(), nullcontext, grace=grace)
    with pytest.raises(Signalled):
        runner.run(RunRequest())
    result = runner.interrupted()

    assert result.interrupted
    assert [(volume.key, volume.state) for volume in result.bound] == [(KEY, "bound")]
    assert [volume.path for volume in result.waiting] == ["/c/Series/Vol 2"]
    assert result.pages_fetched == 3
    assert [problem.code for problem in result.problems] == ["page_failed"]
    assert filled.names(keys.RUNS) == []
