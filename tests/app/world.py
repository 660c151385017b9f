"""A small world to run the use cases in: a server in memory, folder stores, a clock that tests set."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING
from zipfile import ZipFile

from tests.support.clock import FakeClock
from tests.support.memory_source import MemorySource

from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.adapters.secrets import KeptSecrets
from pagebind.adapters.stores.folder import FolderStore
from pagebind.app.fetch import Fetch, Fetched
from pagebind.app.finalize import Finalize, Finalized
from pagebind.app.plan import Plan, Rates, make_plan
from pagebind.app.poll import Poll, Round
from pagebind.config.settings import BindSettings, PollSettings, QueueSettings, Settings, SourceSettings, StoreSettings
from pagebind.core import keys
from pagebind.core.planner import Policy
from pagebind.core.watch import Watch
from pagebind.local import Runner, RunRequest
from pagebind.ports.dispatch import FetchTask, FinalizeTask
from pagebind.ports.progress import Silent
from pagebind.wiring import Parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pagebind.adapters.dispatch.local import HandleFetch, HandleFinalize
    from pagebind.app.assess import Assessment
    from pagebind.app.result import RunResult
    from pagebind.ports.store import Store

TEMPLATE = "{series}/{volume}.cbz"
POLICY = Policy(settle=600.0, give_up_epochs=3, give_up_after=86400.0, rate=16.0, durable=False)
CACHE = 30 * 60.0


class RecordingDispatch:
    """Implements `pagebind.ports.dispatch.Dispatch`: notes what it is given, does nothing."""

    def __init__(self, *, durable: bool) -> None:
        self._durable = durable
        self.pages: list[FetchTask] = []
        self.books: list[FinalizeTask] = []
        self.delays: list[float] = []

    @property
    def durable(self) -> bool:
        return self._durable

    def open(self) -> None:
        pass

    def fetch(self, task: FetchTask) -> None:
        self.pages.append(task)

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:
        self.books.append(task)
        self.delays.append(delay)

    def flush(self) -> None:
        pass


class PartsWithoutPauses(Parts):
    """Parts whose queue tries again at once."""

    def local_dispatch(self, fetch: HandleFetch, finalize: HandleFinalize) -> LocalDispatch:
        return LocalDispatch(fetch, finalize, self.clock, workers=self.settings.source.concurrency, backoff=0.0)


@dataclass
class Polled:
    """What one poll saw, and what it handed out."""

    poll: Poll
    round: Round
    dispatch: RecordingDispatch

    def of(self, path: str) -> Assessment:
        return next(a for a in self.round.assessments if a.sighting.path == path)


class World:
    """``settle`` is 600 seconds unless ``policy`` says otherwise; the one subscription is ``/c``.

    Its stores are two folders below ``root``, or the given pair of work and library. ``folders`` and ``books`` are
    those stores as they are, ``work`` and ``library`` what the use cases see.
    """

    def __init__(self, root: Path, stores: tuple[Store, Store] | None = None) -> None:
        self.root = root
        self.clock = FakeClock()
        self.source = MemorySource()
        self.folders, self.books = stores or self._in_folders()
        self.work: Store = self.folders
        self.library: Store = self.books
        self.policy = POLICY
        self.watches: tuple[Watch, ...] = (Watch("/c", TEMPLATE),)
        self.concurrency = 2
        self.sent_here: set[tuple[str, int]] = set()

    def _in_folders(self) -> tuple[Store, Store]:
        work = FolderStore(self.root / "work", clock=self.clock)
        return work, FolderStore(self.root / "library", work=work, clock=self.clock)

    def exclude(self, excluded: Callable[[str, bool], bool] | None) -> None:
        self.watches = (self.watches[0]._replace(excluded=excluded),)

    def poll(self, *paths: str, write: bool = True, limit: int | None = None, interval: float = 900.0) -> Polled:
        dispatch = RecordingDispatch(durable=self.policy.durable)
        poll = Poll(
            self.source,
            self.work,
            self.library,
            dispatch,
            self.clock,
            Silent(),
            watches=self.watches,
            policy=self.policy,
            interval=interval,
            concurrency=self.concurrency,
            write=write,
            sent_here=self.sent_here,
        )
        poll.look(paths)
        return Polled(poll, poll.step(limit), dispatch)

    def fetch(self, task: FetchTask, *, last_attempt: bool = True, repetition: bool = False) -> Fetched:
        watches = {watch.path: watch for watch in self.watches}
        fetch = Fetch(self.source, self.work, self.library, watches, downloads=4)
        return fetch(task, last_attempt=last_attempt, repetition=repetition)

    def finalize(self, path: str, seq: int = 1) -> Finalized:
        finalize = Finalize(self.work, self.library, keep_pages=self.policy.keep_pages)
        return finalize(FinalizeTask(keys.volume_id(path), seq, 1))

    def stage(self, path: str) -> Polled:
        """Poll without settling and fetch what that hands out, but put nothing together."""
        self.policy, asked = self.policy._replace(settle=0.0), self.policy
        polled = self.poll(path)
        self.policy = asked
        for task in polled.dispatch.pages:
            self.fetch(task)
        return polled

    def parts(self) -> Parts:
        settings = Settings(
            SourceSettings("http://localhost", None, None, None, None, 0, 0, 0, self.concurrency, {}, 1, 1),
            StoreSettings((self.root / "work").as_uri(), (self.root / "library").as_uri()),
            PollSettings(900.0, 480.0, 0),
            QueueSettings(None, None, None, None, None, 8),
            BindSettings(self.policy.settle, self.policy.give_up_epochs, self.policy.give_up_after, keep_pages=False),
            (),
        )
        return PartsWithoutPauses(
            settings,
            self.source,
            self.work,
            self.library,
            self.clock,
            self.watches,
            self.policy,
            Silent(),
            KeptSecrets({}, self.clock),
        )

    def run(self, *paths: str, limit: int | None = None, wait: bool = False, settle: float | None = 0.0) -> RunResult:
        """One run as a process of its own; ``settle`` None keeps the policy's."""
        self.policy, asked = self.policy if settle is None else self.policy._replace(settle=settle), self.policy
        try:
            return Runner(self.parts(), nullcontext).run(RunRequest(paths, limit, wait))
        finally:
            self.policy = asked
            self.clock.advance(0.01)  # no two runs end in one millisecond

    def plan(self, *paths: str) -> Plan:
        """What a run without settling would do."""
        parts = self.parts()._replace(policy=self.policy._replace(settle=0.0))
        return make_plan(parts.plan(), paths, rates=Rates(0, 0), own_rates={})

    def files(self, place: str) -> dict[str, bytes]:
        """Every file below a folder of this world, by relative path, without the stores' own."""
        folder = self.root / place
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
        }

    def shelf(self) -> list[str]:
        """The keys of everything in the library."""
        return [info.key for info in self.books.list()]

    def replace_book(self, key: str, content: bytes | None) -> None:
        """Put something in a book's place, or nothing, as somebody does who knows nothing of Pagebind."""
        if not isinstance(self.books, FolderStore):
            self.books.delete(key) if content is None else self.books.put(key, content)
            return
        path = self.root / "library" / key
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def damage(self, key: str, content: bytes) -> None:
        """Give an object of work other bytes, as far as it can be done behind the store's back; metadata intact."""
        if isinstance(self.folders, FolderStore):
            path = self.root / "work" / key
            with_metadata = path.read_bytes()
            path.write_bytes(content + with_metadata[len(self.folders.get(key)) :])
        else:
            info = self.folders.head(key)
            assert info is not None
            self.folders.put(key, content, metadata=info.metadata)

    def names(self, prefix: str) -> list[str]:
        """The keys in work that begin so."""
        return [info.key for info in self.folders.list(prefix)]

    def pages_in(self, key: str) -> dict[str, bytes]:
        """What a book holds besides its ComicInfo.xml."""
        with ZipFile(BytesIO(self.books.get(key))) as book:
            assert book.testzip() is None
            return {name: book.read(name) for name in book.namelist() if name != "ComicInfo.xml"}
