"""Round after round in one process: what it does, and that it keeps nothing of it."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import time
import tracemalloc
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.app import health
from pagebind.app.result import RunResult
from pagebind.core import keys
from pagebind.core.planner import Problem
from pagebind.errors import AuthRefused, ConfigError, PageCut, ServerUnreachable, StoreUnavailable
from pagebind.local import Runner
from pagebind.serve import Memory, Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.app.world import World

    from pagebind.errors import PagebindError
    from pagebind.wiring import Parts

QUARTER = 900.0
DAY = 86400.0
FOLDER = "/c/Series/Vol 1"
_OPEN = Path("/proc/self/fd")


def alone(_parts: Parts) -> AbstractContextManager[None]:
    return nullcontext()


def rounds_of(world: World, every: float = QUARTER) -> Rounds:
    return Rounds(world.parts, alone, every=every)


def open_files() -> int:
    return len(list(_OPEN.iterdir())) if _OPEN.is_dir() else 0


def threads_left(most: int) -> int:
    """Threads that are still there after those that are about to end have had time to."""
    deadline = time.monotonic() + 5
    while threading.active_count() > most and time.monotonic() < deadline:
        time.sleep(0.001)
    return threading.active_count()


def memory_of_ours() -> int:
    """Bytes that the product's own lines hold: what the tests, or whoever measures them, hold grows with the rounds."""
    traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/pagebind/*")]).traces
    return sum(trace.size for trace in traces)


def test_two_hundred_rounds_leave_nothing_behind(world: World) -> None:
    world.source.folder(FOLDER, "1.jpg", "2.jpg")
    gc.collect()  # what earlier tests left open
    threads, files = threading.active_count(), open_files()
    memory = Memory()
    told: list[tuple[int, str]] = []
    bound: dict[str, int] = {}
    at_rest: dict[int, int] = {}
    tracemalloc.start()
    try:
        for number, result in enumerate(islice(rounds_of(world, every=DAY), 200)):
            said = memory.compare(result)
            told += [(number, problem.code) for problem in said.problems]
            told += [(number, f"back after {said.back}")] if said.back else []
            bound |= {volume.path: number for volume in result.bound}
            if number == 49:
                world.source.folder("/c/Series/Vol 2", *(f"{page}.jpg" for page in range(30)))
            world.source.down = ServerUnreachable(f"down {number}") if 79 <= number < 99 else None
            world.source.listed.clear()
            assert threads_left(threads) <= threads
            assert open_files() <= files
            if number in (70, 199):
                gc.collect()
                at_rest[number] = memory_of_ours()
    finally:
        tracemalloc.stop()

    assert bound == {FOLDER: 1, "/c/Series/Vol 2": 51}
    assert told == [(80, "server"), (100, "back after 20")]
    assert at_rest[199] - at_rest[70] < 50_000
    assert len(world.names(keys.RUNS)) == 90
    assert len(world.names("")) == 90 + 2 * len((keys.MANIFESTS, keys.SENT, keys.DONE, keys.BOOK_RECORDS))


def test_a_round_begins_so_long_after_the_one_before_began(world: World) -> None:
    begun = []

    class Slow:
        """Takes its time, each round another one."""

        def __enter__(self) -> None:
            begun.append(world.clock.now())
            world.clock.advance((100.0, 900.0, 5000.0, 0.0)[len(begun) - 1])

        def __exit__(self, *_: object) -> None:
            pass

    started = world.clock.now()
    list(islice(Rounds(world.parts, lambda _: Slow(), every=QUARTER), 4))

    assert [moment - started for moment in begun] == [0.0, 900.0, 1800.0, 6800.0]
    assert world.clock.waits == [800.0]


def test_never_two_rounds_at_once_and_each_under_the_lock(world: World) -> None:
    held: list[int] = []

    @contextmanager
    def lock(_parts: Parts) -> Iterator[None]:
        assert not held
        held.append(1)
        yield
        held.pop()

    world.source.folder(FOLDER, "1.jpg")
    results = list(islice(Rounds(world.parts, lock, every=QUARTER), 3))

    assert [result.error for result in results] == [None] * 3


@pytest.mark.parametrize(
    "error", [ServerUnreachable("down"), StoreUnavailable("full"), AuthRefused("no"), ConfigError("no secret")]
)
def test_what_goes_wrong_ends_the_round_and_not_the_process(world: World, error: PagebindError) -> None:
    world.source.folder(FOLDER, "1.jpg")
    world.policy = world.policy._replace(settle=0.0)
    rounds = iter(rounds_of(world))
    world.source.down = error

    assert next(rounds).error is error
    world.source.down = None
    assert [volume.path for volume in next(rounds).bound] == [FOLDER]


def test_a_fault_while_pages_come_leaves_no_thread(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0)
    world.source.folder(FOLDER, *(f"{page}.jpg" for page in range(40)))
    world.source.page_faults = {path: [PageCut("cut")] for path in world.source.files}
    before = threading.active_count()
    rounds = iter(rounds_of(world))

    assert next(rounds).error is None
    world.source.page_faults = {path: [ServerUnreachable("down")] for path in world.source.files}
    world.source.answering = False
    assert isinstance(next(rounds).error, ServerUnreachable)
    assert threads_left(before) == before


def test_refused_credentials_are_asked_for_anew(world: World) -> None:
    built = []

    def build() -> Parts:
        built.append(1)
        if len(built) == 2:
            raise ConfigError("the file with the token is gone")
        return world.parts()

    world.source.folder(FOLDER, "1.jpg")
    world.source.down = AuthRefused("no")
    rounds = iter(Rounds(build, alone, every=QUARTER))
    refused = next(rounds)
    world.source.down = None
    without_token = next(rounds)

    assert [refused.error and refused.error.code, without_token.error and without_token.error.code] == [
        "auth",
        "config",
    ]
    assert [next(rounds).error, next(rounds).error, len(built)] == [None, None, 3]


def test_parts_that_cannot_be_made_end_it_before_it_begins() -> None:
    def build() -> Parts:
        raise ConfigError("no such secret")

    with pytest.raises(ConfigError):
        Rounds(build, alone, every=QUARTER)


LOCAL_JOIN = LocalDispatch.join


class Signalled(BaseException):
    """As the command's signal handler raises it."""


def during_a_page(world: World, act: Callable[[], None]) -> None:
    """Let pages come through only when ``act`` has been called in another thread."""
    fetch = world.source.download

    def download(wanted: object) -> Iterator[bytes]:
        act()
        yield from fetch(wanted)  # type: ignore[arg-type]

    object.__setattr__(world, "source", _Instead(world.source, download))


class _Instead:
    """A source with another `download`."""

    def __init__(self, source: object, download: object) -> None:
        self._source = source
        self.download = download

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)


def test_a_signal_lets_pages_under_way_end_and_begins_none(world: World) -> None:
    """The signal comes to the thread that waits for the pages, while as many are under way as may be."""
    world.policy = world.policy._replace(settle=0.0)
    world.source.folder(FOLDER, *(f"{page:02}.jpg" for page in range(12)))
    under_way, go_on = threading.Semaphore(0), threading.Event()

    def drain(_dispatch: LocalDispatch) -> None:
        for _ in range(2):
            assert under_way.acquire(timeout=10)
        raise Signalled

    def join(dispatch: LocalDispatch, seconds: float) -> bool:
        go_on.set()
        return LOCAL_JOIN(dispatch, seconds)

    def act() -> None:
        under_way.release()
        assert go_on.wait(10)

    during_a_page(world, act)
    rounds = rounds_of(world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalDispatch, "drain", drain)
        patch.setattr(LocalDispatch, "join", join)
        with pytest.raises(Signalled):
            next(iter(rounds))

    result = rounds.broken_off()
    assert result is not None
    assert (result.pages_fetched, [volume.staged for volume in result.waiting]) == (2, [2])
    assert len(world.names(keys.STAGING)) == 2
    (record,) = (json.loads(world.work.get(key)) for key in world.names(keys.RUNS))
    assert (result.interrupted, record["interrupted"], record["error"]) == (True, True, None)
    assert len(world.run().bound) == 1


def test_a_signal_while_the_server_is_down_is_no_success(world: World) -> None:
    """The round that it breaks off has done nothing, neither good nor bad."""
    world.source.folder(FOLDER, "1.jpg")
    world.source.down = ServerUnreachable("down")
    memory = Memory()
    rounds = rounds_of(world)
    failed = [memory.compare(result) for result in islice(rounds, 2)]
    world.clock.advance(1)

    def interrupt(_runner: object, *_: object) -> None:
        raise Signalled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "_rounds", interrupt)
        with pytest.raises(Signalled):
            next(iter(rounds))
    result = rounds.broken_off()

    assert result is not None
    assert [said.again for said in failed] == [1, 2]
    assert memory.compare(result) == ([], 0, 0)
    assert len(world.names(keys.RUNS)) == 3
    checked = health.check(world.work, world.clock, max_age=DAY, at_work=lambda: False)
    assert checked.problem is not None
    assert checked.problem.code == "server"


def test_a_store_that_disappears_between_rounds_is_not_begun_anew(world: World) -> None:
    world.policy = world.policy._replace(settle=0.0)
    world.watches = (world.watches[0]._replace(existing="replace"),)
    for number in (1, 2):
        world.source.folder(f"/c/Series/Vol {number}", "1.jpg")
    rounds = iter(rounds_of(world))
    assert len(next(rounds).bound) == 2
    books, work = world.files("library"), world.root / "work"
    shutil.move(work, world.root / "elsewhere")
    for mount_point in (False, True):
        if mount_point:
            work.mkdir()
        world.source.listed.clear()
        result = next(rounds)
        assert isinstance(result.error, StoreUnavailable)
        assert result.error.message == "the store is empty, but held 2 volumes before"
        assert "mount it" in result.error.fix
        assert world.source.listed == []
        assert not world.files("work")
        assert world.files("library") == books
    shutil.rmtree(work)
    shutil.move(world.root / "elsewhere", work)

    assert len(next(rounds).up_to_date) == 2


def test_a_store_without_volumes_may_stay_empty(world: World) -> None:
    world.source.empty_folders.add("/c")

    assert [result.error for result in islice(rounds_of(world), 3)] == [None] * 3


DOWN, DOWN_TOO, FULL = ServerUnreachable("refused"), ServerUnreachable("timed out"), StoreUnavailable("full")
HELD = Problem("removed", "somebody removed the book")
OTHER = Problem("page_failed", "a page failed")
NEW = Problem("page_failed", "another one failed")


def test_a_trouble_is_told_once_and_its_end_too() -> None:
    memory = Memory()

    def of(error: PagebindError | None = None, *problems: Problem) -> tuple[list[str], int, int]:
        said = memory.compare(RunResult(error=error, problems=list(problems)))
        return [problem.message for problem in said.problems], said.again, said.back

    def interrupted(*problems: Problem) -> list[Problem]:
        said = memory.compare(RunResult(problems=list(problems), interrupted=True))
        assert (said.again, said.back) == (0, 0)
        return said.problems

    assert of() == ([], 0, 0)
    assert of(None, HELD) == ([HELD.message], 0, 0)
    assert of(None, HELD, OTHER) == ([OTHER.message], 0, 0)
    assert of(DOWN) == (["refused"], 1, 0)
    assert of(DOWN_TOO) == ([], 2, 0)
    assert of(FULL) == (["full"], 3, 0)
    assert of(FULL) == ([], 4, 0)
    assert interrupted(HELD, OTHER, NEW) == [NEW]
    assert of(None, HELD) == ([], 0, 4)
    assert of(DOWN) == (["refused"], 1, 0)
    assert of(None, HELD, OTHER) == ([OTHER.message], 0, 1)
