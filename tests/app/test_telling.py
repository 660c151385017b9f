"""What people and readers of books are told, when, and how often: whatever dies, fails or happens at once."""

from __future__ import annotations

import io
import logging
import tempfile
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.app.world import PartsWithoutPauses, RecordingDispatch, World
from tests.support.faulty_store import Fault, FaultyStore
from tests.support.memory_source import picture
from tests.support.watched_store import Death, Died, WatchedStore

from pagebind.app.gc import Gc
from pagebind.app.notices import News, Run, tell
from pagebind.app.survey import Survey
from pagebind.config.settings import HookSettings, NotifySettings
from pagebind.core import decisions, keys
from pagebind.core.decisions import Decision, Kind
from pagebind.core.history import History
from pagebind.core.keys import LEFT, DecisionMark, NoticeMark, ReceiptMark
from pagebind.core.message import Message, Tone
from pagebind.errors import (
    AuthRefused,
    ListingFailed,
    NotifyFailed,
    NotifyRefused,
    PageFailed,
    SecretsUnavailable,
    ServerUnreachable,
    StoreUnavailable,
)
from pagebind.local import Runner, RunRequest
from pagebind.serve import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.app.result import RunResult
    from pagebind.errors import PagebindError
    from pagebind.ports.notify import Hook
    from pagebind.ports.store import Store
    from pagebind.wiring import Parts

FOLDER = "/c/Series/Vol 1"
OTHER = "/c/Series/Vol 2"
KEY = "Series/Vol 1.cbz"
QUARTER = 900.0
HOUR = 3600.0
DAY = 86400.0
EVERYTHING = ("bound", "held", "failed", "source")


@dataclass
class Mailbox:
    """Implements `pagebind.ports.notify.Notifier`. ``fault`` is raised; ``arriving`` is called with each message."""

    name: str = "env:ONE"
    fault: PagebindError | None = None
    arriving: Callable[[Message], None] = lambda _: None
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.fault is not None:
            raise self.fault
        self.messages.append(message)
        self.arriving(message)

    @property
    def titles(self) -> list[str]:
        return [message.title.removeprefix("Pagebind: ") for message in self.messages]

    def take(self) -> list[str]:
        """The titles of what came since the last time."""
        titles = self.titles
        self.messages.clear()
        return titles


@dataclass
class Reader:
    """Implements `pagebind.ports.notify.Hook`: counts its calls."""

    name: str = "http://komga.example/scan"
    debounce: float = 300.0
    fault: PagebindError | None = None
    calls: int = 0

    def call(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.calls += 1


class Telling(World):
    """A world whose runs tell ``boxes`` and ``readers``."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.source.empty_folders.update({"/c", "/c/Elsewhere"})
        self.box = Mailbox()
        self.boxes = [self.box]
        self.readers: list[Hook] = []
        self.on: tuple[str, ...] = EVERYTHING
        self.limit = 20

    def news(self) -> News:
        return News(tuple(self.boxes), tuple(self.readers), self.on, self.limit)

    def parts(self) -> Parts:
        make_news = self.news

        class PartsThatTell(PartsWithoutPauses):
            def news(self) -> News:
                return make_news()

        made = super().parts()
        people = NotifySettings(tuple(box.name for box in self.boxes))
        hooks = tuple(HookSettings(reader.name, {}, reader.debounce) for reader in self.readers)
        return PartsThatTell(*made._replace(settings=made.settings._replace(notify=people, hooks=hooks)))

    def later(self, *paths: str) -> list[str]:
        """A run a quarter of an hour later; gives the titles of what it tells."""
        self.clock.advance(QUARTER)
        self.run(*paths)
        return self.box.take()

    def walk(self, *paths: str) -> Run:
        """A poll that binds nothing itself, as a function does; whoever wants tells of it."""
        polled = self.poll(*paths)
        return Run(polled.poll, polled.round.assessments, None, paths)

    def tell(self, run: Run, store: Store | None = None) -> None:
        tell(self.news, store or self.work, self.clock, run)


@pytest.fixture
def world(tmp_path: Path) -> Telling:
    return Telling(tmp_path)


@pytest.fixture
def known(world: Telling) -> Telling:
    """One book that people know of."""
    world.source.folder(FOLDER, "1.jpg", "2.jpg")
    world.run()
    assert world.box.take() == ["1 book"]
    return world


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """The lines of the log that are about telling: event and reason."""
    caplog.set_level(logging.INFO, logger="pagebind.app.notices")

    def lines() -> list[tuple[str, str]]:
        ours = [record for record in caplog.records if record.name == "pagebind.app.notices"]
        caplog.clear()
        return [(record.message, getattr(record, "reason", "")) for record in ours]

    return lines


# -- what is told


def test_a_run_tells_the_books_that_it_has_made_and_the_next_one_nothing(world: Telling) -> None:
    world.source.folder(FOLDER, "1.jpg")
    world.source.folder(OTHER, "1.jpg")
    world.run()

    assert world.box.messages == [
        Message("Pagebind: 2 books", f"2 books bound:\n- {KEY}\n- Series/Vol 2.cbz", Tone.SUCCESS)
    ]
    world.box.messages.clear()
    assert [world.later() for _ in range(3)] == [[], [], []]


def test_what_changed_is_told_and_books_from_before_are_not(world: Telling) -> None:
    world.source.folder(FOLDER, "1.jpg")
    world.boxes = []
    world.run()
    world.boxes = [world.box]
    assert world.later() == []
    world.source.add(f"{FOLDER}/2.jpg")
    world.source.folder(OTHER, "1.jpg")
    assert world.later(OTHER) == ["1 book"]
    assert world.later() == ["1 book"]


def test_a_book_that_finalize_bound_is_told_by_the_next_poll(world: Telling) -> None:
    world.policy = world.policy._replace(durable=True)
    world.tell(world.walk())
    world.source.folder(FOLDER, "1.jpg")
    world.stage(FOLDER)
    world.tell(world.walk())
    assert world.box.take() == []
    world.finalize(FOLDER)
    world.clock.advance(QUARTER)
    world.tell(world.walk("/c/Elsewhere"))  # it need not look at it
    assert world.box.take() == ["1 book"]
    world.clock.advance(QUARTER)
    world.tell(world.walk())
    assert world.box.take() == []


def test_an_adopted_book_is_called_so(world: Telling) -> None:
    world.later()
    world.watches = (world.watches[0]._replace(existing="adopt"),)
    world.source.folder(FOLDER, "1.jpg")
    book = io.BytesIO()
    with ZipFile(book, "w") as archive:
        archive.writestr("1.jpg", world.source.files[f"{FOLDER}/1.jpg"].data)
    world.replace_book(KEY, book.getvalue())
    world.run()
    assert world.box.messages[0].body == f"1 book bound:\n- {KEY}: adopted: another tool had made it"


def test_a_held_volume_is_told_once_with_what_to_do(known: Telling) -> None:
    book = known.books.get(KEY)
    known.replace_book(KEY, b"another")
    assert known.later() == ["1 held"]
    assert known.later() == []
    assert known.later("/c/Elsewhere") == []
    known.replace_book(KEY, None)
    known.clock.advance(QUARTER)
    known.run()
    [message] = known.box.messages
    assert message.tone is Tone.WARNING
    assert message.body.startswith("1 volume waits for a decision:\n- /c/Series/Vol 1: somebody removed the book")
    assert "To do: put it back" in message.body
    assert "`pagebind bind '/c/Series/Vol 1' --replace`" in message.body
    known.box.take()
    known.replace_book(KEY, book)
    known.later()
    known.clock.advance(DAY)
    known.replace_book(KEY, None)
    assert known.later() == ["1 held"]


def test_what_comes_and_goes_is_told_once_a_day(known: Telling) -> None:
    shelved, away = known.root / "library" / KEY, known.root / "away"
    known.source.folder(OTHER, "1.jpg")
    assert known.later() == ["1 book"]

    def go() -> list[str]:
        shelved.rename(away)
        known.source.failing[OTHER] = ListingFailed("no such storage", path=OTHER)
        return known.later()

    def come() -> list[str]:
        away.rename(shelved)
        known.source.failing.clear()
        return known.later()

    heard = [told for _ in range(4) for told in (go(), come())]
    assert heard == [["1 held, 1 folder not listed"]] + [[]] * 7
    shelved.rename(away)
    known.replace_book(KEY, b"another")
    assert known.later() == ["1 held"], "for another reason"
    assert come() == []
    known.clock.advance(DAY)
    assert go() == ["1 held, 1 folder not listed"]


def test_a_book_that_is_made_anew_is_called_a_new_revision(known: Telling) -> None:
    known.source.add(f"{FOLDER}/3.jpg")
    known.source.folder(OTHER, "1.jpg")
    known.clock.advance(QUARTER)
    known.run()
    assert known.box.messages[0].body == f"2 books bound:\n- {KEY} (new revision)\n- Series/Vol 2.cbz"


def test_a_held_volume_that_cannot_be_listed_for_a_while_stays_held(known: Telling) -> None:
    known.source.remove(f"{FOLDER}/2.jpg")
    assert known.later() == ["1 held"]
    known.source.failing[FOLDER] = ListingFailed("no such storage", path=FOLDER)
    assert known.later() == ["1 folder not listed"]
    known.source.failing.clear()
    assert known.later() == []


def test_a_volume_of_which_pages_fail_is_told_when_that_begins(known: Telling) -> None:
    known.source.folder(OTHER, "1.jpg", "2.jpg")
    fault = PageFailed(f"{OTHER}/2.jpg: cdn.example:443 answered 500", path=f"{OTHER}/2.jpg")
    known.source.page_faults[f"{OTHER}/2.jpg"] = [fault]
    known.clock.advance(QUARTER)
    known.run()
    [message] = known.box.messages
    assert message == Message(
        "Pagebind: 1 failed",
        f"Pages of 1 volume could not be had; they are tried again:\n- {OTHER}: 1 page: 2.jpg: the server answered 500",
        Tone.WARNING,
    )
    known.box.take()
    assert [known.later() for _ in range(2)] == [[], []]
    known.source.page_faults.clear()
    assert known.later() == ["1 book"]


def test_a_volume_that_fails_for_good_is_told_as_held(known: Telling) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.source.page_faults[f"{OTHER}/1.jpg"] = [PageFailed("gone")]
    assert known.later() == ["1 failed"]
    known.clock.advance(DAY)
    assert [known.later() for _ in range(3)] == [[], ["1 held"], []]


@pytest.fixture
def cloud(world: Telling) -> Telling:
    """Where polls hand out to a queue, and one failure is enough."""
    world.policy = world.policy._replace(durable=True, settle=0.0, give_up_epochs=1, give_up_after=HOUR)
    world.tell(world.walk())
    return world


def test_failures_that_an_operator_has_voided_are_not_told(cloud: Telling) -> None:
    cloud.source.folder(FOLDER, "1.jpg")
    cloud.source.page_faults[f"{FOLDER}/1.jpg"] = [PageFailed("gone")]
    cloud.stage(FOLDER)
    cloud.clock.advance(2 * HOUR)
    cloud.tell(cloud.walk())
    assert cloud.box.take() == ["1 held"]
    retry = keys.decision_key(keys.volume_id(FOLDER), DecisionMark(1, Kind.RETRY))
    cloud.work.put(retry, decisions.dump(Decision(Kind.RETRY, FOLDER)))
    for _ in range(2):
        cloud.clock.advance(QUARTER)
        cloud.tell(cloud.walk())
    assert cloud.box.take() == []


def test_a_page_that_came_after_all_has_not_failed(cloud: Telling) -> None:
    cloud.source.folder(FOLDER, "1.jpg", "2.jpg")
    [first, _] = cloud.poll().dispatch.pages
    cloud.source.page_faults[first.path] = [PageFailed("busy"), PageFailed("busy")]
    cloud.fetch(first)
    del cloud.source.page_faults[first.path]
    cloud.fetch(first, repetition=True)
    assert cloud.names(keys.FAILURES)
    cloud.tell(cloud.walk())
    assert cloud.box.take() == []


def test_a_folder_that_cannot_be_listed_is_told_when_that_begins(known: Telling) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.later()
    refused = ListingFailed(f"cannot list {OTHER}: no such storage", fix="mend the drive", path=OTHER)
    known.source.failing[OTHER] = refused
    known.clock.advance(QUARTER)
    known.run()
    told = f"1 folder could not be listed:\n- {OTHER}: no such storage. To do: mend the drive"
    assert known.box.messages[0].body == told
    known.box.take()
    assert known.later() == []
    assert known.later(FOLDER) == []
    known.source.failing.clear()
    assert known.later() == []
    known.clock.advance(DAY)
    known.source.failing[OTHER] = ListingFailed("again", path=OTHER)
    assert known.later() == ["1 folder not listed"]


def test_a_folder_that_a_short_walk_does_not_come_to_is_as_it_was(known: Telling) -> None:
    def walk(listings: int | None = None) -> list[str]:
        poll = known.parts().poll(RecordingDispatch(durable=True), write=True)
        poll.look(listings=listings)
        known.tell(Run(poll, poll.step().assessments, None))
        known.clock.advance(QUARTER)
        return known.box.take()

    known.source.folder("/c/Z", "1.jpg")
    known.source.failing["/c/Z"] = ListingFailed("no such storage", path="/c/Z")
    assert walk() == ["1 folder not listed"]
    known.source.failing.clear()
    assert walk(1) == []
    known.source.failing["/c/Z"] = ListingFailed("no such storage", path="/c/Z")
    assert walk() == []
    known.source.failing.clear()
    assert walk() == []
    known.clock.advance(DAY)
    known.source.failing["/c/Z"] = ListingFailed("no such storage", path="/c/Z")
    assert walk() == ["1 folder not listed"]


def test_a_server_of_which_no_root_can_be_listed_answers(known: Telling) -> None:
    known.source.down = ServerUnreachable("away")
    assert known.later() == ["server unreachable"]
    known.source.down = None
    known.source.failing["/c"] = ListingFailed("no such storage", path="/c")
    assert known.later() == ["server reachable again, 1 folder not listed"]


@pytest.mark.parametrize(
    ("fault", "begins", "ends"),
    [
        (AuthRefused("refused", fix="check [source] token"), "credentials refused", "credentials accepted again"),
        (ServerUnreachable("alist.example:5244 is away"), "server unreachable", "server reachable again"),
    ],
)
def test_a_source_in_trouble_is_told_once_when_it_begins_and_once_when_it_ends(
    known: Telling, fault: PagebindError, begins: str, ends: str
) -> None:
    known.source.down = fault
    assert [known.later() for _ in range(10)] == [[begins]] + [[]] * 9
    known.source.down = None
    known.clock.advance(QUARTER)
    known.run()
    assert known.box.titles == [ends]
    assert "for 2 h 30 min" in known.box.messages[0].body
    known.box.take()
    assert known.later() == []


def test_another_kind_of_trouble_in_between_is_one_message_more(known: Telling) -> None:
    troubles: list[PagebindError | None] = [AuthRefused("no"), ServerUnreachable("away"), ServerUnreachable("h"), None]
    heard = []
    for trouble in troubles:
        known.source.down = trouble
        heard.append(known.later())
    assert heard == [["credentials refused"], ["server unreachable"], [], ["server reachable again"]]


def test_a_first_run_that_is_refused_tells_it(world: Telling) -> None:
    world.source.down = AuthRefused("refused at alist.example", fix="check [source] token")
    assert world.later() == ["credentials refused"]
    assert world.later() == []


def test_a_run_that_does_not_ask_the_server_does_not_say_that_it_answers(known: Telling) -> None:
    known.source.down = ServerUnreachable("away")
    known.later()
    known.clock.advance(QUARTER)
    Runner(known.parts(), nullcontext).run(RunRequest(volumes=(keys.volume_id(FOLDER),), look=False))
    assert known.box.take() == []


def test_books_that_were_bound_before_the_server_went_away_are_told(known: Telling) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.source.page_faults[f"{FOLDER}/3.jpg"] = [AuthRefused("no")]
    known.boxes = []
    known.later(OTHER)
    known.boxes = [known.box]
    known.source.down = AuthRefused("no")
    assert known.later() == ["credentials refused, 1 book"]


def test_what_nobody_wants_to_hear_is_not_told_later_either(known: Telling) -> None:
    known.on = ("source",)
    known.source.folder(OTHER, "1.jpg")
    known.replace_book(KEY, b"another")
    assert known.later() == []
    known.on = EVERYTHING
    assert known.later() == []


def test_only_so_many_are_named_and_read(known: Telling) -> None:
    for number in range(10, 17):
        known.source.folder(f"/c/Series/Vol {number}", "1.jpg")
    known.limit = 3
    known.clock.advance(QUARTER)
    known.work = store = WatchedStore(known.folders)
    known.run()
    [message] = known.box.messages
    assert message.body.splitlines()[-1] == "- and 4 more"
    receipts = [key for operation, key in store.calls if operation == "get" and key.startswith(keys.DONE)]
    assert len(receipts) == 3


def test_what_cannot_be_read_in_time_is_named_by_its_id(known: Telling) -> None:
    def slow(operation: str, key: str) -> None:
        if operation == "get" and key.startswith(keys.DONE):
            known.clock.advance(6)

    for number in range(2, 6):
        known.source.folder(f"/c/Series/Vol {number}", "1.jpg")
    known.clock.advance(QUARTER)
    known.work = WatchedStore(known.folders, before=slow)
    known.run()
    named = known.box.messages[0].body.splitlines()[1:]
    assert Counter(line.endswith(".cbz") for line in named) == {True: 2, False: 2}
    assert all("vol-" in line for line in named if not line.endswith(".cbz"))


def test_a_book_that_moved_with_its_folder_is_no_new_book(known: Telling) -> None:
    pages = {path: file.data for path, file in known.source.files.items()}
    known.source.remove(FOLDER)
    for path, data in pages.items():
        known.source.add(path.replace(FOLDER, OTHER), data)
    assert [known.later() for _ in range(3)] == [[], [], []]
    assert known.shelf() == [KEY]


# -- what it costs, and what it may not do


def asked(store: WatchedStore) -> list[tuple[str, str]]:
    return [call for call in store.calls if call[1].startswith((keys.NOTICES, keys.HOOKS))]


def test_nothing_new_costs_one_list_and_one_read(known: Telling) -> None:
    known.readers = [Reader()]
    known.later()
    run = known.walk()
    store = WatchedStore(known.folders)
    known.tell(run, store)
    hook = keys.hook_prefix(keys.digest("http://komga.example/scan"))
    [call] = known.names(hook)
    newest = keys.notice_key(NoticeMark(2))
    assert asked(store) == [("list", hook), ("get", call), ("list", keys.NOTICES), ("get", newest)]


def test_a_run_lists_the_notices_once_more_to_see_whether_people_know_anything(known: Telling) -> None:
    known.work = store = WatchedStore(known.folders)
    known.later()
    assert [operation for operation, _ in asked(store)] == ["list", "list", "get"]
    known.boxes = []
    store.calls.clear()
    known.later()
    assert asked(store) == []


def test_a_message_costs_two_objects(known: Telling) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.work = store = WatchedStore(known.folders)
    known.later()
    mark = NoticeMark(3, keys.digest("env:ONE"))
    puts = [("put", keys.notice_key(NoticeMark(3))), ("put", keys.notice_key(mark))]
    assert asked(store)[-2:] == puts


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("operation", ["list", "get", "put"])
def test_a_store_that_fails_changes_nothing_of_the_run(
    known: Telling, operation: str, lost: bool, told: Callable[[], list[tuple[str, str]]]
) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.work = FaultyStore(
        known.folders,
        lambda called, key: Fault(lost) if called == operation and key.startswith(keys.NOTICES) else None,
    )
    known.clock.advance(QUARTER)
    result = known.run()
    assert (result.error, result.problems, len(result.bound)) == (None, [], 1)
    [(event, reason), *_] = told()
    assert event == "not notified"
    assert "no answer" in reason
    known.work = known.folders
    known.later()
    assert Counter(known.box.titles + known.later())["1 book"] <= 2


def test_a_store_out_of_order_is_not_told(known: Telling) -> None:
    def fail(operation: str, key: str) -> Fault | None:
        return Fault(error=StoreUnavailable("full")) if key.startswith(keys.MANIFESTS) else None

    known.source.folder(OTHER, "1.jpg")
    known.work = FaultyStore(known.folders, fail)
    assert known.later() == []


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema":1,"text":3}', b"\xff"])
def test_a_notice_that_nobody_can_read_is_begun_anew(
    known: Telling, content: bytes, told: Callable[[], list[tuple[str, str]]]
) -> None:
    known.work.put(keys.notice_key(NoticeMark(7)), content)
    known.source.folder(OTHER, "1.jpg")
    assert known.later() == ["1 book"]
    assert [event for event, _ in told()] == ["not notified", "notified"]
    assert known.later() == []
    assert known.names(keys.NOTICES)[-1] == keys.notice_key(NoticeMark(8))


@pytest.mark.parametrize("content", [b"", b'{"schema":1,"text":3}'])
def test_after_a_damaged_notice_the_one_before_it_counts(
    known: Telling, content: bytes, told: Callable[[], list[tuple[str, str]]]
) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.box.fault = NotifyFailed("away")
    known.boxes, boxes = [], known.boxes
    known.later()
    known.boxes = boxes
    known.replace_book(KEY, b"another")
    assert known.later() == []
    known.box.fault = None
    damaged = keys.notice_key(NoticeMark(9))
    known.work.put(damaged, content)
    told()
    known.clock.advance(QUARTER)
    known.run()
    assert known.box.take() == ["1 book, 1 held"], "is owed still"
    [(event, reason), *_] = told()
    assert event == "not notified"
    assert f"{damaged} is not readable, the one before it counts" in reason
    assert known.later() == []
    assert told() == []


def test_a_damaged_notice_is_told_once_though_nothing_is_new(
    known: Telling, told: Callable[[], list[tuple[str, str]]]
) -> None:
    known.work.put(keys.notice_key(NoticeMark(9)), b"{}")
    assert [known.later() for _ in range(2)] == [[], []]
    assert [event for event, _ in told()] == ["not notified"]


def test_what_else_lies_there_does_no_harm(known: Telling) -> None:
    for name in ("x", "notes.txt", "000009.abc", "a/b.json"):
        known.work.put(f"{keys.NOTICES}{name}", b"?")
    known.source.folder(OTHER, "1.jpg")
    assert known.later() == ["1 book"]


def test_secrets_that_cannot_be_had_change_nothing_of_the_run(
    known: Telling, monkeypatch: pytest.MonkeyPatch, told: Callable[[], list[tuple[str, str]]]
) -> None:
    def fail() -> News:
        raise SecretsUnavailable("they are away")

    monkeypatch.setattr(known, "news", fail)
    known.source.folder(OTHER, "1.jpg")
    known.clock.advance(QUARTER)
    result = known.run()
    assert (result.error, result.problems, len(result.bound)) == (None, [], 1)
    assert told() == [("not notified", "they are away")]


def test_the_time_that_telling_takes_is_not_the_runs(known: Telling) -> None:
    known.box.arriving = lambda _: known.clock.advance(20)
    known.source.folder(OTHER, "1.jpg")
    known.clock.advance(QUARTER)
    assert known.run().seconds < 1
    assert known.box.take() == ["1 book"]


def test_an_interrupted_run_tells_nothing_and_the_next_one_does(known: Telling) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(operation: str, key: str) -> None:
        if operation == "put" and key.startswith(keys.DONE):
            raise Interrupt

    known.source.folder(OTHER, "1.jpg")
    known.clock.advance(QUARTER)
    known.work = WatchedStore(known.folders, after=interrupt)
    with pytest.raises(Interrupt):
        known.run()
    assert known.box.take() == []
    known.work = known.folders
    assert known.later() == ["1 book"]


@pytest.mark.parametrize("error", [None, StoreUnavailable("full")])
def test_books_of_a_first_run_that_was_broken_off_are_told_by_the_next_one(
    world: Telling, error: PagebindError | None
) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(operation: str, key: str) -> None:
        if operation == "put" and key.startswith(keys.DONE):
            raise error or Interrupt

    world.boxes = []
    world.source.folder(FOLDER, "1.jpg")
    world.run()
    world.boxes = [world.box]
    world.source.folder(OTHER, "1.jpg")
    world.work = WatchedStore(world.folders, after=interrupt)
    with suppress(Interrupt):
        world.run()
    assert world.box.take() == []
    world.work = world.folders
    assert world.later() == ["1 book"]
    assert world.later() == []


def test_a_store_that_keeps_no_beginning_changes_nothing_of_the_run(world: Telling) -> None:
    world.source.folder(FOLDER, "1.jpg")
    world.work = FaultyStore(
        world.folders, lambda operation, key: Fault() if key == keys.notice_key(NoticeMark(1)) else None
    )
    result = world.run()
    assert (result.error, len(result.bound)) == (None, 1)


def test_a_signal_while_people_are_told_leaves_what_the_run_has_done(known: Telling) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(_: Message) -> None:
        raise Interrupt

    known.source.folder(OTHER, "1.jpg")
    known.box.arriving = interrupt
    known.policy = known.policy._replace(settle=0.0)
    runner = Runner(known.parts(), nullcontext)
    with pytest.raises(Interrupt):
        runner.run(RunRequest())
    result = runner.interrupted()
    assert [volume.path for volume in result.bound] == [OTHER]
    assert len(known.names(keys.RUNS)) == 2
    known.box.arriving = lambda _: None
    known.box.take()
    assert known.later() == ["1 book"]
    assert known.later() == []


# -- once


@pytest.mark.parametrize("operation", ["list", "get", "put"])
def test_of_two_polls_at_once_one_tells(known: Telling, operation: str) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.boxes = []
    known.later()
    known.boxes = [known.box]
    first, second = known.walk(), known.walk()
    began: list[str] = []

    def meanwhile(called: str, key: str) -> None:
        if called == operation and key.startswith(keys.NOTICES) and not began:
            began.append(key)
            known.tell(second)

    known.tell(first, WatchedStore(known.folders, before=meanwhile))
    assert len(began) == 1
    assert known.box.take() == ["1 book"]
    assert known.later() == []


def test_while_one_poll_sends_another_does_not(known: Telling) -> None:
    known.source.folder(OTHER, "1.jpg")
    known.boxes = []
    known.later()
    known.boxes = [known.box]
    first, second = known.walk(), known.walk()

    def arriving(_: Message) -> None:
        known.box.arriving = lambda _: None
        known.clock.advance(20)
        known.tell(second)

    known.box.arriving = arriving
    known.tell(first)
    assert known.box.take() == ["1 book"]


def test_whenever_a_process_is_killed_a_message_comes_once_or_twice(tmp_path: Path) -> None:
    heard = Counter[int]()
    for calls in range(40):
        world = Telling(tmp_path / str(calls))
        world.boxes.append(Mailbox("env:TWO"))
        world.tell(world.walk())
        world.source.folder(FOLDER, "1.jpg")
        world.boxes, boxes = [], world.boxes
        world.run()
        world.boxes = boxes
        death = Death(calls)
        for box in boxes:
            box.arriving = lambda _, death=death: death("send", "")  # type: ignore[misc]
        run = world.walk()
        with suppress(Died):
            world.tell(run, WatchedStore(world.folders, before=death, after=death))
        for box in boxes:
            box.arriving = lambda _: None
        for _ in range(4):
            world.clock.advance(QUARTER)
            world.tell(world.walk())
        for box in boxes:
            assert 1 <= len(box.messages) <= 2, (calls, box.titles)
            heard[len(box.messages)] += 1
        if not death.struck:
            break
    else:
        raise AssertionError("it never came to its end")
    assert heard[2] > 0


@pytest.mark.parametrize("lost", [True, False])
def test_whichever_call_of_the_store_fails_a_message_comes_once_or_twice(tmp_path: Path, lost: bool) -> None:
    for number in range(12):
        world = Telling(tmp_path / str(number))
        world.tell(world.walk())
        world.source.folder(FOLDER, "1.jpg")
        world.boxes = []
        world.run()
        world.boxes = [world.box]
        seen: list[str] = []

        def choose(operation: str, key: str, number: int = number, seen: list[str] = seen) -> Fault | None:
            seen.append(key)
            return Fault(lost) if len(seen) == number + 1 else None

        world.tell(world.walk(), FaultyStore(world.folders, choose))
        for _ in range(2):
            world.clock.advance(QUARTER)
            world.tell(world.walk())
        assert 1 <= len(world.box.messages) <= 2
        if len(seen) <= number:
            return
    raise AssertionError("it never came to its end")


# -- what was not sent


def test_a_message_that_did_not_go_out_is_sent_later_to_whom_it_lacks(
    known: Telling, told: Callable[[], list[tuple[str, str]]]
) -> None:
    two = Mailbox("env:TWO", fault=NotifyFailed("the service is away"))
    known.boxes.append(two)
    known.source.folder(OTHER, "1.jpg")
    assert known.later() == ["1 book"]
    assert sorted(told()) == [("not notified", "the service is away"), ("notified", "")]
    assert known.later() == []
    two.fault = None
    known.clock.advance(HOUR)
    known.source.folder("/c/Series/Vol 3", "1.jpg")
    assert known.later() == ["1 book"]
    assert [message.body for message in two.messages] == [
        "1 book bound:\n- Series/Vol 2.cbz",
        "1 book bound:\n- Series/Vol 3.cbz",
    ]
    assert known.later() == []
    assert len(two.messages) == 2


def test_a_message_is_tried_again_after_pauses_that_double_and_no_poll_in_between_writes(
    known: Telling, told: Callable[[], list[tuple[str, str]]]
) -> None:
    known.box.fault = NotifyFailed("away")
    known.source.folder(OTHER, "1.jpg")
    known.later()
    began, tried = known.clock.now(), []
    told()
    for _ in range(100):
        known.clock.advance(QUARTER)
        before = known.names(keys.NOTICES)
        known.run()
        lines = told()
        tried += [(round((known.clock.now() - began) / QUARTER), reason) for _, reason in lines]
        assert (known.names(keys.NOTICES) != before) is bool(lines)
    away = [(quarters, "away") for quarters in (1, 3, 7, 15, 31, 63)]
    assert tried == [*away, (96, "notice 3 is given up: it could not be sent for a day")]


def test_a_poll_that_comes_a_little_early_tries_again_too(known: Telling) -> None:
    known.box.fault = NotifyFailed("away")
    known.source.folder(OTHER, "1.jpg")
    known.later()
    known.box.fault = None
    known.clock.advance(QUARTER - 30)
    known.run()
    assert known.box.take() == ["1 book"]


def test_many_that_did_not_go_out_come_five_at_a_time_the_oldest_first(known: Telling) -> None:
    known.box.fault = NotifyFailed("away")
    for number in range(2, 9):
        known.source.folder(f"/c/Series/Vol {number}", "1.jpg")
        known.later()
    known.box.fault = None
    known.clock.advance(8 * HOUR)
    for books in ([2, 3, 4, 5, 6], [7, 8], []):
        known.clock.advance(QUARTER)
        known.run()
        bodies = [f"1 book bound:\n- Series/Vol {number}.cbz" for number in books]
        assert [message.body for message in known.box.messages] == bodies
        known.box.take()


def test_one_message_that_is_refused_holds_up_no_other(known: Telling) -> None:
    def refuse(message: Message) -> None:
        if "Vol 2" in message.body:
            raise NotifyFailed("it answered 400")

    known.box.fault = NotifyFailed("away")
    for number in (2, 3):
        known.source.folder(f"/c/Series/Vol {number}", "1.jpg")
        known.later()
    known.box.fault, known.box.arriving = None, refuse
    known.clock.advance(HOUR)
    known.run()
    assert [message.body[-5:] for message in known.box.messages] == ["2.cbz", "3.cbz"]


def test_after_one_that_took_long_nothing_more_is_sent_and_the_rest_is_not_counted_as_tried(known: Telling) -> None:
    def time_out(message: Message) -> None:
        if "Vol 2" in message.body:
            known.clock.advance(15)
            raise NotifyFailed("no answer within 15 s")

    known.box.fault = NotifyFailed("away")
    for number in (2, 3):
        known.source.folder(f"/c/Series/Vol {number}", "1.jpg")
        known.later()
    known.later()
    known.box.fault, known.box.arriving = None, time_out
    known.clock.advance(2 * QUARTER)
    known.run()
    assert [message.body[-5:] for message in known.box.messages] == ["2.cbz"]
    known.clock.advance(QUARTER)
    known.run()
    assert [message.body[-5:] for message in known.box.messages] == ["2.cbz", "3.cbz"]


def test_after_a_day_it_is_given_up(
    known: Telling, told: Callable[[], list[tuple[str, str]]], caplog: pytest.LogCaptureFixture
) -> None:
    known.box.fault = NotifyFailed("away")
    known.source.folder(OTHER, "1.jpg")
    known.later()
    assert [record.levelname for record in caplog.records if record.name == "pagebind.app.notices"] == ["WARNING"]
    assert told() == [("not notified", "away")]
    known.clock.advance(DAY - 2 * QUARTER)
    known.later()
    assert told() == [("not notified", "away")]
    known.box.fault = None
    known.clock.advance(QUARTER)
    assert known.later() == []
    [record] = [record for record in caplog.records if record.name == "pagebind.app.notices"]
    assert (record.levelname, record.__dict__["fix"]) == ("ERROR", "try pagebind notify --test")
    assert told() == [("not notified", "notice 3 is given up: it could not be sent for a day")]
    assert known.later() == []
    assert told() == []


@pytest.mark.parametrize(
    ("fault", "level"),
    [(NotifyRefused("wrong", fix="mend it"), "ERROR"), (NotifyFailed("away", fix="wait"), "WARNING")],
)
def test_what_somebody_has_to_mend_is_an_error(
    known: Telling, fault: NotifyFailed, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    known.box.fault = fault
    known.readers = [Reader(fault=fault)]
    known.source.folder(OTHER, "1.jpg")
    known.later()
    records = [record for record in caplog.records if record.name == "pagebind.app.notices"]
    assert [(record.message, record.levelname, record.__dict__["fix"]) for record in records] == [
        ("reader not told", level, fault.fix),
        ("not notified", level, fault.fix),
    ]


def test_who_is_new_is_not_told_what_was_before(known: Telling) -> None:
    known.box.fault = NotifyFailed("away")
    known.source.folder(OTHER, "1.jpg")
    known.later()
    new = Mailbox("env:NEW")
    known.boxes = [new]
    known.later()
    known.source.folder("/c/Series/Vol 3", "1.jpg")
    known.later()
    assert [message.body for message in new.messages] == ["1 book bound:\n- Series/Vol 3.cbz"]
    before = known.names(keys.NOTICES)
    known.later()
    assert known.names(keys.NOTICES) == before


def test_slow_ones_do_not_hold_up_the_run_and_none_is_always_last(known: Telling) -> None:
    slow = [Mailbox(f"env:SLOW{number}") for number in range(5)]
    for box in slow:
        box.arriving = lambda _: known.clock.advance(12)
    known.boxes = [*slow]
    known.source.folder(OTHER, "1.jpg")
    known.clock.advance(QUARTER)
    known.run()
    assert sum(len(box.messages) for box in slow) == 3
    known.later()
    assert [len(box.messages) for box in slow] == [1] * 5
    for number in range(3, 6):
        known.source.folder(f"/c/Series/Vol {number}", "1.jpg")
        known.later()
    assert min(len(box.messages) for box in slow) >= 2
    for _ in range(4):
        known.later()
    assert [len(box.messages) for box in slow] == [4] * 5


# -- readers


@pytest.fixture
def reader(world: Telling) -> Reader:
    reader = Reader()
    world.readers = [reader]
    return reader


def test_a_reader_is_called_after_a_run_with_new_books(
    world: Telling, reader: Reader, told: Callable[[], list[tuple[str, str]]]
) -> None:
    world.boxes = []
    world.later()
    assert reader.calls == 0
    world.source.folder(FOLDER, "1.jpg")
    world.later()
    world.later()
    assert reader.calls == 1
    assert told() == [("reader told", "")]
    assert world.names(keys.NOTICES) == []


def test_a_reader_is_not_called_again_too_soon(world: Telling, reader: Reader) -> None:
    reader.debounce = 2 * QUARTER
    calls = []
    for number in range(1, 6):
        if number < 4:
            world.source.folder(f"/c/Series/Vol {number}", "1.jpg")
        world.later()
        calls.append(reader.calls)
    assert calls == [1, 1, 2, 2, 2]


def test_a_reader_that_fails_is_called_again(
    world: Telling, reader: Reader, told: Callable[[], list[tuple[str, str]]]
) -> None:
    reader.fault = NotifyFailed("it answered 500")
    world.source.folder(FOLDER, "1.jpg")
    world.clock.advance(QUARTER)
    result = world.run()
    assert (result.error, result.problems) == (None, [])
    assert ("reader not told", "it answered 500") in told()
    reader.fault = None
    world.later()
    world.later()
    assert reader.calls == 1


def test_of_a_reader_one_call_is_remembered(world: Telling, reader: Reader) -> None:
    for number in range(1, 6):
        world.source.folder(f"/c/Series/Vol {number}", "1.jpg")
        world.later()
    assert reader.calls == 5
    assert len(world.names(keys.HOOKS)) == 1


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_what_a_reader_knows_may_be_unreadable(world: Telling, reader: Reader, content: bytes) -> None:
    world.source.folder(FOLDER, "1.jpg")
    world.later()
    [call] = world.names(keys.HOOKS)
    world.work.put(call, content)
    world.later()
    world.later()
    assert reader.calls == 2


def test_a_clock_that_ran_ahead_silences_no_reader(world: Telling, reader: Reader) -> None:
    world.clock.advance(10 * DAY)
    world.source.folder(FOLDER, "1.jpg")
    world.later()
    world.clock.advance(-10 * DAY)
    assert reader.calls == 1
    world.source.folder(OTHER, "1.jpg")
    reader.debounce = DAY
    which = keys.digest(reader.name)
    world.later()
    world.later()
    assert reader.calls == 2
    [call] = world.names(keys.hook_prefix(which))
    assert keys.hook_time(call) == pytest.approx(world.clock.now() + 10 * DAY, abs=DAY)


class Slow(Reader):
    """Takes ten seconds."""

    def __init__(self, world: Telling, name: str) -> None:
        super().__init__(name)
        self.world = world

    def call(self) -> None:
        super().call()
        self.world.clock.advance(10)


def test_slow_readers_leave_time_for_people_and_who_had_none_is_told_so(
    known: Telling, told: Callable[[], list[tuple[str, str]]]
) -> None:
    readers = [Slow(known, f"http://reader.example/{number}") for number in range(4)]
    known.readers = [*readers]
    known.box.arriving = lambda _: known.clock.advance(20)
    known.boxes = [known.box, Mailbox("env:TWO", arriving=known.box.arriving)]
    known.source.folder(OTHER, "1.jpg")
    known.clock.advance(QUARTER)
    known.run()
    assert [len(box.messages) for box in known.boxes] == [1, 1], "within 45 seconds, of which readers took 20"
    assert sorted(reader.calls for reader in readers) == [0, 0, 1, 1]
    assert told().count(("reader not told", "no time was left; the next run calls it")) == 2
    known.later()
    assert [reader.calls for reader in readers] == [1, 1, 1, 1]


def test_nothing_is_sent_after_three_quarters_of_a_minute(known: Telling) -> None:
    known.readers = [Slow(known, f"http://reader.example/{number}") for number in range(2)]
    known.boxes = [Mailbox(f"env:{number}", arriving=lambda _: known.clock.advance(12)) for number in range(5)]
    known.source.folder(OTHER, "1.jpg")
    known.clock.advance(QUARTER)
    known.run()
    assert sum(len(box.messages) for box in known.boxes) == 3  # 20, 32 and 44 seconds after the beginning


def test_readers_take_turns_to_be_the_first(world: Telling) -> None:
    readers = [Slow(world, f"http://reader.example/{number}") for number in range(3)]
    first = Counter[str]()
    for reader in readers:
        reader.debounce = 0.0
    world.readers = [*readers]
    for number in range(30):
        before = [reader.calls for reader in readers]
        world.source.add(f"{FOLDER}/{number:03}.png", picture(f"{number}"))
        world.later()
        called = [reader.name for reader, calls in zip(readers, before, strict=True) if reader.calls > calls]
        first.update(called)
    assert min(first[reader.name] for reader in readers) >= 10


@pytest.mark.parametrize("lost", [True, False])
def test_a_reader_whose_call_cannot_be_noted_was_told(
    world: Telling, reader: Reader, lost: bool, told: Callable[[], list[tuple[str, str]]]
) -> None:
    world.boxes = []
    world.source.folder(FOLDER, "1.jpg")
    world.work = FaultyStore(
        world.folders,
        lambda operation, key: Fault(lost) if operation == "put" and key.startswith(keys.HOOKS) else None,
    )
    world.later()
    assert reader.calls == 1
    assert [event for event, _ in told()] == ["reader told", "call not noted"]


# -- in `serve`


def test_rounds_tell_each_what_is_new_in_it(world: Telling) -> None:
    world.policy = world.policy._replace(settle=0.0)
    world.source.folder(FOLDER, "1.jpg")
    rounds: Iterator[RunResult] = iter(Rounds(world.parts, lambda _: nullcontext(), every=QUARTER))
    next(rounds)
    assert world.box.take() == ["1 book"]
    next(rounds)
    assert world.box.take() == []
    world.source.down = AuthRefused("no")
    list(islice(rounds, 3))
    assert world.box.take() == ["credentials refused"]
    world.source.down = None
    world.source.folder(OTHER, "1.jpg")
    next(rounds)
    assert world.box.take() == ["credentials accepted again, 1 book"]


# -- what is old


def test_notices_do_not_grow_in_number_and_the_newest_stays(known: Telling) -> None:
    for number in range(60):
        known.source.add(f"{FOLDER}/{number:03}.png", picture(f"{number}"))
        known.clock.advance(DAY / 4)
        known.run()
    assert len(known.names(keys.NOTICES)) <= 2 * 4 * 3
    before = known.names(keys.NOTICES)[-2:]
    known.clock.advance(10 * DAY)
    collected = Gc(known.folders, known.books, known.clock)()
    assert collected.removed["notices"] > 0
    assert known.names(keys.NOTICES) == before
    known.box.take()
    assert known.later() == []


def test_gc_keeps_the_newest_call_of_each_reader(world: Telling) -> None:
    for which in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        for days in (9, 5, 1):
            world.work.put(keys.hook_key(which, world.clock.now() - days * DAY), b"{}")
    world.clock.advance(3 * DAY)
    newest = [world.names(keys.hook_prefix(which))[0] for which in ("aaaaaaaaaaaa", "bbbbbbbbbbbb")]
    assert Gc(world.folders, world.books, world.clock)(dry_run=True).removed["hooks"] == 4
    assert Gc(world.folders, world.books, world.clock)().removed["hooks"] == 4
    assert world.names(keys.HOOKS) == newest


# -- whatever happens


class Sequence(Telling):
    """Polls over histories that a test makes up."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.histories: dict[str, History] = {}

    def bind(self, volume: str) -> None:
        receipts = self.histories.setdefault(volume, History()).receipts
        receipts.append(ReceiptMark(len(receipts) + 1, "v", 0, self.clock.now()))

    def look(self) -> Run:
        poll = self.parts().poll(RecordingDispatch(durable=True), write=True)
        poll.volumes = {volume: History(receipts=[*history.receipts]) for volume, history in self.histories.items()}
        poll.survey = Survey()
        return Run(poll, [], None)


STEPS = st.lists(
    st.tuples(st.sampled_from(["bind", "bind", "poll", "fail", "work", "wait", "twice"]), st.integers(0, 5)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_where_nothing_dies_every_book_is_told_exactly_once(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = Sequence(Path(folder))
        world.tell(world.look())
        bound = Counter[str]()
        since: set[str] = set()
        for what, number in steps:
            volume = f"v{number}"
            match what:
                case "bind":
                    world.bind(volume)
                    since.add(volume)
                case "poll" | "twice":
                    runs = [world.look() for _ in range(1 + (what == "twice"))]
                    for run in runs:
                        world.tell(run)
                    bound.update(since)
                    since.clear()
                case "fail" | "work":
                    world.box.fault = NotifyFailed("away") if what == "fail" else None
                case _:
                    world.clock.advance(number * 100.0)
            world.clock.advance(1.0)
        bound.update(since)
        world.box.fault = None
        for _ in range(12):
            world.clock.advance(2 * HOUR - 1)
            world.tell(world.look())
        lines = (
            line.removesuffix(" (new revision)")
            for message in world.box.messages
            for line in message.body.splitlines()[1:]
        )
        assert Counter(line[2:] for line in lines) == bound
        assert not {key for key in world.names(keys.NOTICES) if key.endswith(LEFT)} or world.box.messages
