"""Fetch and finalize as functions: what they answer to the queue, and what that leads to."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.functions.conftest import request

from pagebind.adapters.dispatch import task_body
from pagebind.demo.accounts import User
from pagebind.errors import ConfigError
from pagebind.serverless.instance import Instance

if TYPE_CHECKING:
    from tests.functions.conftest import Cloud

    from pagebind.ports.dispatch import FetchTask, FinalizeTask

PAGE = "/comics/A/1/001.jpg"


@pytest.fixture
def tasks(cloud: Cloud) -> list[FetchTask]:
    """The tasks of a volume of three pages."""
    cloud.folder("A/1")
    cloud.poll()
    return list(cloud.queue.pages)


@pytest.fixture
def book(cloud: Cloud, tasks: list[FetchTask]) -> FinalizeTask:
    """The finalize task of that volume."""
    return cloud.queue.books[0]


def failures(cloud: Cloud) -> list[str]:
    return [info.key for info in cloud.work.list("failures/")]


def test_a_page_costs_the_server_one_request(cloud: Cloud, tasks: list[FetchTask]) -> None:
    cloud.server.requests.clear()
    answer = cloud.deliver(tasks[0])
    assert (answer.status, answer.document["outcome"]) == (200, "staged")
    assert [one.kind for one in cloud.server.requests] == ["file"]


def test_fetch_reads_no_secret_and_no_manifest(
    cloud: Cloud, tasks: list[FetchTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    (cloud.home / "token").unlink()
    monkeypatch.setattr("pagebind.adapters.stores.folder.FolderStore.get", None)
    monkeypatch.setattr("pagebind.adapters.stores.folder.FolderStore.list", None)
    monkeypatch.setattr("pagebind.adapters.stores.folder.FolderStore.head", None)
    assert cloud.deliver(tasks[0]).document["outcome"] == "staged"


def test_the_configuration_is_read_once_by_each_instance(cloud: Cloud, tasks: list[FetchTask]) -> None:
    assert cloud.deliver(tasks[0]).status == 200
    (cloud.home / "pagebind.toml").unlink()
    assert cloud.deliver(tasks[1]).status == 200


def test_a_task_of_another_configuration_has_it_read_again(cloud: Cloud, tasks: list[FetchTask]) -> None:
    cloud.deliver(tasks[0])
    before = cloud.instances["fetch"].for_task("")
    cloud.configure('headers = { "X-Drive" = "1" }')
    config = cloud.instances["poll"].for_poll().configuration.digest
    cloud.call("fetch", request(task_body.dump(tasks[1], config=config)))
    after = cloud.instances["fetch"].for_task("")
    assert before is not after
    assert after.parts.watches[0].headers == {"X-Drive": "1"}
    (cloud.home / "pagebind.toml").unlink()
    assert cloud.instances["fetch"].for_task(config) is after


def test_what_came_twice_is_a_duplicate(cloud: Cloud, tasks: list[FetchTask]) -> None:
    cloud.deliver(tasks[0])
    assert cloud.deliver(tasks[0]).document["outcome"] == "duplicate"
    cloud.server.requests.clear()
    again = cloud.deliver(tasks[0], retries=1)
    assert (again.status, again.document["outcome"]) == (200, "duplicate")
    assert not cloud.server.requests, "a repetition looks for its entry first"


def test_a_temporary_fault_is_a_500_until_the_last_attempt_records_it(cloud: Cloud, tasks: list[FetchTask]) -> None:
    cloud.server.faults.add("json200", PAGE)
    for retries in (0, 1):
        assert cloud.deliver(tasks[0], retries=retries).status == 500
        assert not failures(cloud)
    last = cloud.deliver(tasks[0], retries=2)
    assert (last.status, last.document["outcome"]) == (200, "failed")
    assert len(failures(cloud)) == 1
    assert cloud.deliver(tasks[0], retries=2).status == 200
    assert len(failures(cloud)) == 1


def test_what_a_person_sends_by_hand_gives_no_page_up(cloud: Cloud, tasks: list[FetchTask]) -> None:
    cloud.server.faults.add("json200", PAGE)
    assert cloud.call("fetch", request(task_body.dump(tasks[0], config=""))).status == 500
    assert not failures(cloud)


def test_a_server_that_is_away_slows_everybody_down_and_no_page_is_to_blame(
    cloud: Cloud, tasks: list[FetchTask]
) -> None:
    cloud.server.stop()
    for retries in (0, 2):
        answer = cloud.deliver(tasks[0], retries=retries)
        assert answer.status == 503
        assert "Retry-After" in answer.http()[2]
    assert not failures(cloud)


def test_a_refused_sign_costs_one_more_question(cloud: Cloud, tasks: list[FetchTask]) -> None:
    cloud.server.requests.clear()
    assert cloud.deliver(tasks[0]._replace(sign="old:0")).document["outcome"] == "staged"
    assert [one.kind for one in cloud.server.requests] == ["file", "get", "file"]


def test_refused_credentials_are_told_once_and_not_again(
    cloud: Cloud, tasks: list[FetchTask], caplog: pytest.LogCaptureFixture
) -> None:
    (cloud.home / "token").write_text("alist-wrong")
    answer = cloud.deliver(tasks[0]._replace(sign="old:0"))
    assert answer.status == 200, "a repetition would only be refused again"
    assert answer.document["problems"][0]["code"] == "auth"
    assert [record.levelname for record in caplog.records if record.levelno > 30] == ["ERROR"]
    assert not failures(cloud)


@pytest.mark.parametrize("function", ["fetch", "finalize"])
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"volume": "a"}', "application/json", 400),
        (b"", "application/json", 400),
        (b"x", "text/plain", 415),
        (b"x" * (2**20 + 1), "application/json", 413),
    ],
)
def test_what_is_no_task_is_an_error_to_people_and_dropped_by_the_queue(
    cloud: Cloud, function: str, body: bytes, kind: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert cloud.call(function, request(body, kind=kind)).status == status
    caplog.clear()
    assert cloud.call(function, request(body, kind=kind, X_CloudTasks_QueueName="q")).status == 200
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_book_whose_pages_are_on_their_way_is_asked_for_again(
    cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask
) -> None:
    cloud.deliver(tasks[0])
    cloud.queue.books.clear()
    for _ in range(2):
        answer = cloud.deliver(book)
        assert (answer.document["outcome"], answer.document["comes_back"]) == ("incomplete", True)
    assert cloud.queue.books == [book._replace(attempt=1)] * 2, "a repetition asks by the same name"


def test_a_book_whose_pages_have_failed_is_left_to_poll(
    cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask
) -> None:
    cloud.server.faults.add("json200", PAGE)
    for task in tasks:
        cloud.deliver(task, retries=2)
    cloud.queue.books.clear()
    answer = cloud.deliver(book)
    assert (answer.status, answer.document["comes_back"]) == (200, False)
    assert not cloud.queue.books


def test_an_older_epoch_does_not_come_back(cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask) -> None:
    manifest = next(iter(cloud.work.list("sent/"))).key
    cloud.work.put(f"{manifest[:-4]}0002", b"")
    cloud.queue.books.clear()
    assert not cloud.deliver(book).document["comes_back"]


def test_a_damaged_page_is_fetched_again_and_the_book_is_bound(
    cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask
) -> None:
    for task in tasks:
        cloud.deliver(task)
    cloud.queue.pages.clear()
    cloud.queue.books.clear()
    entry = next(iter(cloud.work.list("staging/")))
    stored = cloud.work.head(entry.key)
    assert stored is not None
    damaged = bytearray(cloud.work.get(entry.key))
    damaged[-1] ^= 1
    cloud.work.delete(entry.key)
    cloud.work.put(entry.key, bytes(damaged), metadata=stored.metadata or {})

    assert cloud.deliver(book).document["comes_back"]
    [again] = cloud.queue.pages
    assert (again.again, again.sign) == (1, "")
    assert [outcome for outcome, _ in cloud.deliver_all()] == ["staged", "bound"]


def test_a_book_that_is_held_is_done_for_the_queue(cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask) -> None:
    cloud.library.put("A/1.cbz", b"somebody else's")
    for task in tasks:
        cloud.deliver(task)
    answer = cloud.deliver(book)
    assert (answer.status, answer.document["outcome"]) == (200, "held")


def test_a_book_that_is_bound_is_bound_once(cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask) -> None:
    for task in tasks:
        cloud.deliver(task)
    assert cloud.deliver(book).document["outcome"] == "bound"
    assert cloud.deliver(book).document["outcome"] == "nothing"


def test_finalize_reads_no_secret(cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask) -> None:
    for task in tasks:
        cloud.deliver(task)
    (cloud.home / "token").unlink()
    assert cloud.deliver(book).document["outcome"] == "bound"


def test_a_count_of_retries_that_is_no_number_is_none(cloud: Cloud, tasks: list[FetchTask]) -> None:
    for said in ("-1", "x", "9" * 5000):
        headers = {"X_CloudTasks_QueueName": "fetch", "X_CloudTasks_TaskRetryCount": said}
        assert cloud.call("fetch", request(task_body.dump(tasks[0], config=""), **headers)).status == 200


def test_tasks_try_a_refused_login_once(cloud: Cloud) -> None:
    cloud.server.accounts.add(User("reader", "right"))
    text = (cloud.home / "pagebind.toml").read_text()
    login = f'username = "reader"\npassword = "file:{cloud.home}/password"'
    (cloud.home / "pagebind.toml").write_text(text.replace(f'token = "file:{cloud.home}/token"', login))
    (cloud.home / "password").write_text("right")
    cloud.folder("A/1", pages=8)
    cloud.poll()
    (cloud.home / "password").write_text("wrong")
    cloud.server.requests.clear()
    answers = [cloud.deliver(task._replace(sign="old:0")) for task in cloud.queue.pages]
    assert {answer.document["problems"][0]["code"] for answer in answers} == {"auth"}
    assert cloud.server.count(path="/api/auth/login") == 1


def test_a_refusal_is_forgotten_after_five_minutes(
    cloud: Cloud, tasks: list[FetchTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    (cloud.home / "token").write_text("alist-wrong")
    assert cloud.deliver(tasks[0]._replace(sign="old:0")).document["outcome"] == "failed"
    (cloud.home / "token").write_text(cloud.server.token)
    kept = cloud.instances["fetch"].for_task("")
    assert kept.refused is not None
    kept.refused -= 300.0
    assert cloud.deliver(tasks[0]._replace(sign="old:0")).document["outcome"] == "staged"


def test_a_book_whose_pages_do_not_come_is_poll_s_after_an_hour(
    cloud: Cloud, tasks: list[FetchTask], book: FinalizeTask
) -> None:
    sent = cloud.home / "store" / next(iter(cloud.work.list("sent/"))).key
    for age, comes_back in ((3000, True), (3700, False)):
        then = time.time() - age
        os.utime(sent, (then, then))
        cloud.queue.books.clear()
        assert cloud.deliver(book).document["comes_back"] is comes_back
        assert bool(cloud.queue.books) is comes_back


def test_a_configuration_that_could_not_be_read_is_read_again(cloud: Cloud, tasks: list[FetchTask]) -> None:
    fetch = cloud.instances.setdefault("fetch", Instance(cloud.env, cloud.queue))
    first = fetch.for_task("")
    (cloud.home / "pagebind.toml").write_text("[source]\nurl = 3\n")
    for _ in range(2):
        with pytest.raises(ConfigError):
            fetch.for_task("another")
    cloud.configure('hash = "off"')
    assert fetch.for_task("another") is not first
