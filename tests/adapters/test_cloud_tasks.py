"""Dispatch by Cloud Tasks, against its emulator behind the strict proxy."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.support.clock import FakeClock
from tests.support.cloud_tasks import CloudTasks
from tests.support.servers import skipping
from tests.support.task_queue import QueueRules
from tests.support.tasks_emulator import Emulator

from pagebind.adapters.dispatch import task_body
from pagebind.adapters.dispatch.cloud_tasks import FETCH_DEADLINE, FINALIZE_DEADLINE, CloudTasksDispatch, Queues
from pagebind.errors import ConfigError, PagebindError, QueueUnavailable
from pagebind.ports.dispatch import FetchTask, FinalizeTask, Held

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGN = "canary-sign-of-one-file=:0"
_PATIENCE = 20.0
_PAGE = FetchTask("one-piece-1", "0" * 20, "/comics/1/001.jpg", "/comics", "001.jpg", 3, 1, 1, sign=_SIGN)
_BOOK = FinalizeTask("one-piece-1", 1, 1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with skipping(), Emulator() as running:
        yield running


@pytest.fixture
def service(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudTasks]:
    """Two queues that deliver nothing: these tests are about what gets into them."""
    with CloudTasks({"fetch": QueueRules(), "finalize": QueueRules()}, emulator=emulator) as running:
        running.pause()
        monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", running.host)
        yield running


@pytest.fixture
def queues(service: CloudTasks) -> Queues:
    return Queues(
        service.queue_name("fetch"),
        service.queue_name("finalize"),
        "https://fetch.example",
        "https://finalize.example",
        "caller@project.example",
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _dispatch(opened: ExitStack, queues: Queues, clock: FakeClock) -> CloudTasksDispatch:
    made = CloudTasksDispatch(queues, clock, config="digest")
    opened.callback(made.close)
    return made


@pytest.fixture
def dispatch(opened: ExitStack, queues: Queues, clock: FakeClock) -> CloudTasksDispatch:
    return _dispatch(opened, queues, clock)


def _page(number: int, **fields: Any) -> FetchTask:
    return _PAGE._replace(page=f"{number:020x}", **fields)


def test_a_page_is_a_task_of_its_own(service: CloudTasks, dispatch: CloudTasksDispatch) -> None:
    page = _PAGE._replace(hashes={"md5": "0" * 32}, held=Held("library/a.cbz", 5, "7", 1))
    dispatch.fetch(page)
    dispatch.flush()

    (task,) = service.created
    assert task.queue == "fetch"
    assert task.url == task.audience == "https://fetch.example"
    assert task.account == "caller@project.example"
    assert task.headers == {"Content-Type": "application/json"}
    assert (task.schedule, task.deadline) == (None, FETCH_DEADLINE)
    assert task_body.load_fetch(task.body) == (page, "digest")


def test_a_book_is_due_after_its_pages(service: CloudTasks, dispatch: CloudTasksDispatch, clock: FakeClock) -> None:
    clock.advance(-clock.now() + 1_700_000_000.0)
    dispatch.finalize(_BOOK, delay=90.5)
    dispatch.finalize(_BOOK._replace(attempt=1), delay=0.2)
    dispatch.flush()

    first, second = sorted(service.created, key=lambda task: len(task.body))
    assert first.url == first.audience == "https://finalize.example"
    assert (first.schedule, first.deadline) == (1_700_000_090.5, FINALIZE_DEADLINE)
    assert second.schedule is None
    assert task_body.load_finalize(second.body) == (_BOOK._replace(attempt=1), "digest")


def test_what_is_due_in_the_far_future_is_due_as_late_as_a_queue_can(
    service: CloudTasks, opened: ExitStack, queues: Queues
) -> None:
    dispatch = _dispatch(opened, queues, FakeClock(time.time()))
    dispatch.finalize(_BOOK, delay=float("inf"))
    dispatch.flush()
    assert service.created[0].schedule is not None


def test_calls_carry_no_identity_where_none_is_named(
    service: CloudTasks, opened: ExitStack, queues: Queues, clock: FakeClock
) -> None:
    dispatch = _dispatch(opened, queues._replace(service_account=""), clock)
    dispatch.fetch(_PAGE)
    dispatch.flush()
    assert (service.created[0].account, service.created[0].audience) == ("", "")


def test_what_is_queued_already_is_queued(service: CloudTasks, dispatch: CloudTasksDispatch) -> None:
    for _ in range(2):
        dispatch.fetch(_PAGE)
        dispatch.finalize(_BOOK, delay=0.0)
        dispatch.flush()
    dispatch.fetch(_PAGE._replace(epoch=2))
    dispatch.fetch(_PAGE._replace(again=1))
    dispatch.flush()
    assert sorted(task.queue for task in service.created) == ["fetch", "fetch", "fetch", "finalize"]


def test_tasks_are_created_in_parallel(service: CloudTasks, dispatch: CloudTasksDispatch) -> None:
    service.latency = 0.4  # so that also a busy machine has many under way
    for number in range(40):
        dispatch.fetch(_page(number))
    dispatch.flush()
    assert len(service.created) == 40
    assert 12 < service.most_at_once <= 32


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    ],
)
def test_a_passing_fault_is_tried_again(
    service: CloudTasks, dispatch: CloudTasksDispatch, clock: FakeClock, code: grpc.StatusCode
) -> None:
    service.fail_next(1, code)
    service.fail_next(1, code, after=True)
    dispatch.fetch(_PAGE)
    dispatch.flush()
    assert len(service.created) == 1
    assert len(clock.waits) == 2
    assert clock.waits[0] < clock.waits[1]


def test_a_queue_that_stays_away_is_given_up_and_tried_again_by_the_next_poll(
    service: CloudTasks, dispatch: CloudTasksDispatch, clock: FakeClock
) -> None:
    service.fail_next(8, grpc.StatusCode.UNAVAILABLE, "down for\nmaintenance")
    dispatch.fetch(_PAGE)
    with pytest.raises(QueueUnavailable, match=r"queues/fetch takes no tasks now: UNAVAILABLE: down for") as caught:
        dispatch.flush()
    assert "\n" not in str(caught.value)
    assert sum(clock.waits) <= 20.0
    dispatch.fetch(_PAGE)
    dispatch.flush()
    assert len(service.created) == 1


def test_a_server_that_is_not_there_is_named(
    opened: ExitStack, queues: Queues, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", "127.0.0.1:1")
    dispatch = _dispatch(opened, queues, clock)
    dispatch.fetch(_PAGE)
    with pytest.raises(QueueUnavailable, match=r"127\.0\.0\.1:1"):
        dispatch.flush()


_LACKS = 'The principal lacks IAM permission "{}" for the resource "x" (or the resource may not exist).'


@pytest.mark.parametrize(
    ("code", "said", "fix"),
    [
        ("PERMISSION_DENIED", _LACKS.format("cloudtasks.tasks.create"), "roles/cloudtasks.enqueuer"),
        (
            "PERMISSION_DENIED",
            _LACKS.format("iam.serviceAccounts.actAs"),
            "roles/iam.serviceAccountUser on caller@project.example",
        ),
        ("PERMISSION_DENIED", "Cloud Tasks API has not been used in project 1 before", "gcloud services enable"),
        ("UNAUTHENTICATED", "who are you?", "credentials"),
        ("INVALID_ARGUMENT", "what is\nthis?", "[queue]"),
        ("FAILED_PRECONDITION", "not like this", "[queue]"),
    ],
)
def test_what_somebody_has_to_mend_is_said_in_one_line(
    service: CloudTasks, dispatch: CloudTasksDispatch, clock: FakeClock, code: str, said: str, fix: str
) -> None:
    service.fail_next(1, grpc.StatusCode[code], said)
    dispatch.fetch(_PAGE)
    with pytest.raises(ConfigError) as caught:
        dispatch.flush()
    assert fix in caught.value.fix
    assert caught.value.message.isprintable()
    assert not clock.waits


def test_a_queue_that_does_not_exist_is_named(
    opened: ExitStack, queues: Queues, service: CloudTasks, clock: FakeClock
) -> None:
    dispatch = _dispatch(opened, queues._replace(finalize=service.queue_name("finalise")), clock)
    dispatch.finalize(_BOOK, delay=0.0)
    with pytest.raises(ConfigError, match=r"there is no queue projects/.*/finalise"):
        dispatch.flush()


def test_after_an_error_no_more_tasks_are_taken_until_it_was_told(
    service: CloudTasks, dispatch: CloudTasksDispatch
) -> None:
    service.fail_next(1, grpc.StatusCode.PERMISSION_DENIED)
    dispatch.fetch(_PAGE)
    _wait_until_created(dispatch)
    with pytest.raises(ConfigError):
        dispatch.finalize(_BOOK, delay=0.0)
    dispatch.flush()
    assert not service.created


def test_each_thread_learns_of_its_own_tasks(service: CloudTasks, dispatch: CloudTasksDispatch) -> None:
    service.fail_next(1, grpc.StatusCode.PERMISSION_DENIED)
    dispatch.fetch(_PAGE)
    _wait_until_created(dispatch)

    def other() -> None:
        dispatch.fetch(_page(1))
        dispatch.flush()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(other).result(_PATIENCE)
    with pytest.raises(ConfigError):
        dispatch.flush()
    assert [task_body.load_fetch(task.body)[0] for task in service.created] == [_page(1)]


def test_who_gives_more_than_can_be_held_waits(dispatch: CloudTasksDispatch) -> None:
    go_on = threading.Event()
    dispatch._api = _Holding(go_on)  # type: ignore[assignment]
    given = []

    def give() -> None:
        for number in range(300):
            dispatch.fetch(_page(number))
            given.append(number)
        dispatch.flush()

    with ThreadPoolExecutor(1) as pool:
        giving = pool.submit(give)
        _wait_for(lambda: len(given) == 256)
        assert not giving.done()
        go_on.set()
        giving.result(_PATIENCE)
    assert len(given) == 300


class _Holding:
    def __init__(self, go_on: threading.Event) -> None:
        self._go_on = go_on

    def create(self, *_: object) -> bool:
        return self._go_on.wait(_PATIENCE)

    def close(self) -> None:
        """Nothing."""


def test_a_task_too_large_for_a_queue_is_reported_and_stops_no_other(
    service: CloudTasks, dispatch: CloudTasksDispatch, caplog: pytest.LogCaptureFixture
) -> None:
    dispatch.fetch(_PAGE._replace(book_name="n" * 100_000))
    dispatch.fetch(_page(1))
    dispatch.flush()
    assert [task_body.load_fetch(task.body)[0] for task in service.created] == [_page(1)]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (record.__dict__["volume"], record.__dict__["page"]) == (_PAGE.volume, _PAGE.path)


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE])
def test_the_sign_of_a_file_is_told_to_the_queue_only(
    service: CloudTasks,
    dispatch: CloudTasksDispatch,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    code: grpc.StatusCode,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(logging.getLogger("google"), "propagate", True)
    dispatch.fetch(_PAGE)
    dispatch.fetch(_page(1)._replace(book_name="n" * 100_000))
    dispatch.flush()
    service.fail_next(8, code, f"cannot take {_SIGN}")
    dispatch.fetch(_page(2))
    with pytest.raises(PagebindError) as caught:
        dispatch.flush()

    assert _SIGN.encode() in service.created[0].body
    told = [*caplog.messages, *(str(record.__dict__) for record in caplog.records)]
    told += traceback.format_exception(caught.value)
    in_json = base64.b64encode(service.created[0].body).decode()  # as the library writes requests
    assert not [text for text in told if _SIGN in text or in_json in text]
    assert code.name in str(caught.value)


def test_its_threads_end_with_it(queues: Queues, clock: FakeClock) -> None:
    dispatch = CloudTasksDispatch(queues, clock, config="")
    dispatch.fetch(_PAGE)
    dispatch.flush()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("pagebind-tasks")]
    dispatch.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pagebind-tasks")]


def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, opened: ExitStack, clock: FakeClock
) -> None:
    monkeypatch.delitem(sys.modules, "pagebind.adapters.dispatch.cloud_tasks_api", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    dispatch = _dispatch(opened, Queues("f", "z", "", ""), clock)
    with pytest.raises(ConfigError, match="grpc") as caught:
        dispatch.fetch(_PAGE)
    assert caught.value.fix == 'pip install "pagebind[functions]"'


def test_missing_credentials_are_named(
    monkeypatch: pytest.MonkeyPatch, opened: ExitStack, clock: FakeClock, tmp_path: object
) -> None:
    monkeypatch.delenv("CLOUD_TASKS_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/key.json")
    dispatch = _dispatch(opened, Queues("f", "z", "", ""), clock)
    with pytest.raises(ConfigError, match=r"Cloud Tasks has no credentials to use: .*key\.json") as caught:
        dispatch.fetch(_PAGE)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.fix


def test_nothing_of_the_library_is_loaded_before_the_first_task() -> None:
    program = """
import sys
from pagebind.adapters.clock import SystemClock
from pagebind.adapters.dispatch.cloud_tasks import CloudTasksDispatch, Queues
dispatch = CloudTasksDispatch(Queues("f", "z", "", ""), SystemClock(), config="")
dispatch.flush()
dispatch.close()
sys.exit(str([name for name in sys.modules if name.startswith(("grpc", "google.api", "google.auth", "google.cloud."))]))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stderr.strip() == "[]"


def _wait_until_created(dispatch: CloudTasksDispatch) -> None:
    _wait_for(lambda: not dispatch._batches[threading.get_ident()].unfinished)


def _wait_for(condition: Any) -> None:
    changed = threading.Event()
    for _ in range(int(_PATIENCE * 100)):
        if condition():
            return
        changed.wait(0.01)
    raise TimeoutError
