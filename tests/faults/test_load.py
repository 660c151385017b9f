"""A long run in its quick form: nothing of it grows with what is done already.

The long form, watched from outside and timed: ``python -m benchmarks.run load``.
"""

from __future__ import annotations

import gc
import itertools
import threading
import time
import tracemalloc
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from benchmarks.bench import serving
from tests.support.watched_store import WatchedStore

from pagebind import wiring
from pagebind.adapters.stores.folder import FolderStore
from pagebind.config import parse, read
from pagebind.local import Runner, RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from benchmarks.bench import Server

    from pagebind.app.result import RunResult
    from pagebind.ports.store import ObjectInfo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]

VOLUMES, PAGES, SIZE = 24, 50, 2_000
THIRD = VOLUMES // 3
POLL_INTERVAL = 8.0
AT_ONCE = 5
"""Volumes that are handed out, and held in memory for it, at once: what 16 pages a second come to in two intervals."""

MORE_MEMORY = 64 * 1024
"""Bytes by which the last third may stand above the first, a whole third being 800 kB of pages.

Each volume has a row in the result, 1.3 kB in all; 50 bytes kept for each page besides are too many.
"""


class Moment(NamedTuple):
    """How the process stood when a book was published."""

    files: int
    threads: int
    traced: int


@dataclass
class Seen:
    """What a run did to its stores, and how the process stood meanwhile.

    Attributes:
        calls: by the volume or book that they were about; of no volume in particular: under an empty string.
        listed: objects that the stores gave out in listings about one volume.
        moments: one for each book.
        left: files and threads that the run left behind.
    """

    calls: dict[str, Counter[str]] = field(default_factory=dict)
    listed: Counter[str] = field(default_factory=Counter)
    moments: list[Moment] = field(default_factory=list)
    left: tuple[int, int] = (0, 0)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, operation: str, key: str) -> None:
        kind, _, rest = key.partition("/")
        with self._lock:
            self.calls.setdefault(about(rest), Counter())[f"{operation} {kind}"] += 1

    def published(self, operation: str, _key: str) -> None:
        if operation == "assemble":
            gc.collect()
            self.moments.append(Moment(files(), threading.active_count(), tracemalloc.get_traced_memory()[0]))

    def growth(self, choose: Callable[[Iterable[int]], int], of: Callable[[Moment], int]) -> int:
        """How far the last third stands above the first, the first two books left out."""
        return choose(map(of, self.moments[-THIRD:])) - choose(map(of, self.moments[2:THIRD]))


class CountedStore(WatchedStore):
    """Counts calls, keeping none of them, and what its listings of one volume give."""

    def __init__(self, inner: FolderStore, seen: Seen) -> None:
        super().__init__(inner, before=seen.call, after=seen.published)
        self._seen = seen

    def _begin(self, operation: str, key: str) -> None:
        self.before(operation, key)

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        given = 0
        for given, info in enumerate(super().list(prefix, metadata=metadata, after=after), start=1):  # noqa: B007
            yield info
        self._seen.listed[about(prefix.partition("/")[2])] += given


def about(rest: str) -> str:
    return rest.partition("/")[0]


def files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start(1)
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """A run over all volumes, with the server in another process."""
    seen = Seen()
    with serving(f"{VOLUMES}x{PAGES}x{SIZE}") as server:
        stood = files(), threading.active_count()
        with traced():
            result = run(server, tmp_path_factory.mktemp("load"), seen)
        deadline = time.monotonic() + 10
        while threading.active_count() > stood[1] and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.left = files() - stood[0], threading.active_count() - stood[1]
    assert (len(result.bound), result.pages_fetched, result.problems) == (VOLUMES, VOLUMES * PAGES, [])
    return seen


def run(server: Server, home: Path, seen: Seen) -> RunResult:
    config = server.config(home)
    settings = wiring.with_settle(parse(read(config), server.env, str(config)), 0.0)
    settings = settings._replace(poll=settings.poll._replace(interval=POLL_INTERVAL))
    folder = FolderStore(settings.store.work_folder)
    library = FolderStore(settings.store.library_folder, work=folder)
    parts = wiring.build(settings, server.env)
    parts = parts._replace(work=CountedStore(folder, seen), library=CountedStore(library, seen))
    with closing(parts.source):
        return Runner(parts, lambda: parts.run_lock(lambda: None)).run(RunRequest())


def test_every_volume_costs_the_stores_the_same(seen: Seen) -> None:
    calls = {volume: counted for volume, counted in seen.calls.items() if counted["put staging"]}

    assert len(calls) == VOLUMES
    read = [counted.pop("get manifests") for counted in calls.values()]
    assert max(read) <= 2, "once for the book, and once where the listing was not kept in memory until it was its turn"
    first, *others = calls.values()
    assert others == [first] * (VOLUMES - 1)
    assert first["put staging"] == first["delete staging"] == PAGES
    assert first.total() - 2 * PAGES <= 9
    assert len({seen.listed[volume] for volume in calls}) == 1


def test_everything_is_listed_once_for_what_is_handed_out_at_once(seen: Seen) -> None:
    listings = {what: often for what, often in seen.calls[""].items() if what.startswith("list ")}

    assert max(listings.values()) <= -(-VOLUMES // AT_ONCE) + 1


def test_open_files_and_threads_stay_as_many_and_none_is_left(seen: Seen) -> None:
    assert len(seen.moments) == VOLUMES
    assert seen.growth(max, lambda moment: moment.threads) <= 0
    assert seen.growth(max, lambda moment: moment.files) < THIRD
    assert max(seen.left) <= 0


def test_memory_does_not_grow_with_what_is_done(seen: Seen) -> None:
    assert seen.growth(min, lambda moment: moment.traced) < MORE_MEMORY


def test_what_is_staged_is_cleared_without_a_lock_for_each_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path / "work")
    for number in range(200):
        store.put(f"staging/v/{number}", b"")
    taken, take = itertools.count(), store.exclusive.held

    def held() -> AbstractContextManager[None]:
        next(taken)
        return take()

    monkeypatch.setattr(store.exclusive, "held", held)
    store.delete_all(list(store.list("staging/")))

    assert next(taken) == 4
    assert not (store.root / "staging").exists()


def test_where_nothing_is_to_be_deleted_nothing_is_made(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "work")
    gone = store.put("staging/v/1", b"")
    elsewhere = FolderStore(tmp_path / "unmounted")

    elsewhere.delete_all([gone])

    assert not elsewhere.root.exists()
