"""Settling over hours that pass in no time, against a server that keeps its listings for half an hour."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

import pytest
from tests.support import oracle
from tests.support.world import World

from pagebind import wiring
from pagebind.adapters.clock import SystemClock
from pagebind.adapters.stores.folder import FolderStore
from pagebind.demo.accounts import User
from pagebind.demo.drives import LISTING_CACHE_SECONDS, LocalDrive
from pagebind.demo.server import DemoServer
from pagebind.local import Runner, RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pagebind.app.result import RunResult

PATH, KEY = "Series/Vol 1", "Series/Vol 1.cbz"
FOLDER = "/comics/Series/Vol 1"
SETTLE, MINUTE = 600.0, 60.0


class FakeClock(SystemClock):
    """Stands still but for `wait`."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.passed

    def monotonic(self) -> float:
        return self.passed

    def wait(self, seconds: float) -> None:
        self.passed += seconds


class Settling(World):
    """A world whose clock is ours."""

    clock: FakeClock

    def at(self, seconds: float, request: RunRequest | None = None) -> RunResult:
        """A run, so long after the first."""
        self.clock.passed = seconds
        settings, env = self.settings(), self.environment()
        work = FolderStore(self.work, clock=self.clock)
        library = FolderStore(self.library, work=work, clock=self.clock)
        parts = wiring.build(settings, env)._replace(clock=self.clock, work=work, library=library)
        with closing(parts.source):
            return Runner(parts, lambda: parts.run_lock(_alone)).run(request or RunRequest())

    def refreshed(self) -> list[str]:
        """The folders of which fresh listings were asked."""
        return [one.path for one in self.server.requests if one.refresh]


def _alone() -> NoReturn:
    raise AssertionError("nobody else is at work")


@pytest.fixture
def settling(tmp_path: Path) -> Iterator[Settling]:
    clock = FakeClock()
    drive = LocalDrive(folder=tmp_path / "comics", cache_seconds=LISTING_CACHE_SECONDS)
    with DemoServer({"/comics": drive}, clock=clock.now) as server:
        world = Settling(tmp_path, server, {"bind.settle": "10m"})
        world.clock = clock
        world.volume(PATH)
        yield world


def states(result: RunResult) -> dict[str, list[str]]:
    assert result.error is None
    assert result.problems == []
    lists = {name: getattr(result, name) for name in ("bound", "up_to_date", "waiting", "held")}
    return {name: [report.key for report in reports] for name, reports in lists.items() if reports}


def check_bound(world: Settling) -> None:
    oracle.check_book(world.library / KEY, oracle.pages_of(world.comics / PATH))


def test_the_listing_that_settles_is_asked_fresh_of_that_one_folder(settling: Settling) -> None:
    first = settling.at(0)
    assert states(first) == {"waiting": [KEY]}
    assert first.waiting[0].settles_at == settling.clock.now() + SETTLE
    settling.volume("Series/Vol 2")
    settling.server.restart()  # so that its parent shows the new folder
    assert states(settling.at(SETTLE / 2)) == {"waiting": [KEY, "Series/Vol 2.cbz"]}
    assert (settling.refreshed(), settling.books()) == ([], {})

    assert states(settling.at(SETTLE)) == {"bound": [KEY], "waiting": ["Series/Vol 2.cbz"]}
    assert settling.refreshed() == [FOLDER]
    check_bound(settling)

    assert states(settling.at(SETTLE * 1.5)) == {"up_to_date": [KEY], "bound": ["Series/Vol 2.cbz"]}
    assert settling.refreshed() == [FOLDER, "/comics/Series/Vol 2"]
    assert states(settling.at(SETTLE * 9)) == {"up_to_date": [KEY, "Series/Vol 2.cbz"]}
    assert len(settling.refreshed()) == 2


def test_a_page_that_the_cache_hides_is_seen_in_time(settling: Settling) -> None:
    settling.at(0)
    settling.write(f"{PATH}/4.png")
    assert states(settling.at(SETTLE / 2)) == {"waiting": [KEY]}
    assert states(settling.at(SETTLE)) == {"waiting": [KEY]}  # the fresh listing is another: it settles anew
    assert states(settling.at(SETTLE * 2 - 1)) == {"waiting": [KEY]}
    assert states(settling.at(SETTLE * 2)) == {"bound": [KEY]}
    check_bound(settling)
    assert settling.refreshed() == [FOLDER, FOLDER]


def test_a_folder_that_keeps_changing_never_settles(settling: Settling) -> None:
    for number in range(4):
        settling.write(f"{PATH}/{number + 4}.png")
        assert states(settling.at(number * SETTLE)) == {"waiting": [KEY]}
    assert settling.books() == {}
    assert states(settling.at(4 * SETTLE)) == {"bound": [KEY]}
    check_bound(settling)


def test_where_refresh_is_refused_time_stands_in_for_it(settling: Settling) -> None:
    settling.server.accounts.add(User("reader", "secret"))
    settling.values |= {"source.token": None, "source.username": "reader", "source.password": "env:PASSWORD"}
    settling.env["PASSWORD"] = "secret"
    due = SETTLE + LISTING_CACHE_SECONDS
    assert states(settling.at(0)) == {"waiting": [KEY]}
    settling.write(f"{PATH}/4.png")  # the cache hides it until half an hour is over

    refused = settling.at(SETTLE)
    assert states(refused) == {"waiting": [KEY]}
    assert refused.waiting[0].settles_at == settling.clock.now() - SETTLE + due
    assert settling.refreshed() == [FOLDER]
    assert states(settling.at(due)) == {"waiting": [KEY]}  # by now the page shows: anew
    assert states(settling.at(2 * due - 1)) == {"waiting": [KEY]}
    assert states(settling.at(2 * due)) == {"bound": [KEY]}
    check_bound(settling)


def test_a_run_may_wait_for_it(settling: Settling) -> None:
    result = settling.at(0, RunRequest(wait=True))
    assert states(result) == {"bound": [KEY]}
    assert SETTLE <= settling.clock.passed < SETTLE + 2 * MINUTE
    check_bound(settling)


def test_settling_outlives_a_failed_listing(settling: Settling) -> None:
    settling.at(0)
    settling.server.faults.add("list_error", FOLDER)
    result = settling.at(SETTLE)
    assert [problem.code for problem in result.problems] == ["listing_failed"]
    settling.server.faults.clear()
    assert states(settling.at(SETTLE + MINUTE)) == {"bound": [KEY]}
