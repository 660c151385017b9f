"""The poll function: by the scheduler, by people, with queues and without."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from flask import Request
from tests.functions.conftest import request
from werkzeug.test import EnvironBuilder

from pagebind.cli.main import pagebind
from pagebind.demo.accounts import User
from pagebind.errors import AccessDenied, ConfigError, QueueUnavailable
from pagebind.serverless import hand_out

if TYPE_CHECKING:
    from tests.functions.conftest import Cloud

    from pagebind.serverless.answers import Answer


def command(cloud: Cloud, *words: str) -> dict[str, Any]:
    """The document of the real command with the same configuration."""
    arguments = [*words, "--json", "--config", str(cloud.home / "pagebind.toml")]
    return json.loads(CliRunner().invoke(pagebind, arguments).stdout)  # type: ignore[no-any-return]


def shape(document: dict[str, Any]) -> dict[str, Any]:
    """Names and types, also those of one bound volume."""
    types = {key: type(value) for key, value in document.items()}
    return {**types, "bound": {key: type(value) for key, value in document["bound"][0].items()}}


def cut_off(body: bytes) -> Request:
    """A request of which nothing came but the head."""
    whole = EnvironBuilder(method="POST", data=body, content_type="application/json").get_environ()
    return Request({**whole, "wsgi.input": BytesIO()})


def error_of(answer: Answer) -> dict[str, Any]:
    [problem] = answer.document["problems"]
    return problem  # type: ignore[no-any-return]


def test_without_queues_one_request_makes_the_books(alone: Cloud) -> None:
    alone.folder("One Piece/Vol 01")
    answer = alone.poll()
    assert answer.status == 200
    assert [volume["key"] for volume in answer.document["bound"]] == ["One Piece/Vol 01.cbz"]
    [book] = alone.books().values()
    assert zipfile.ZipFile(BytesIO(book)).testzip() is None


def test_it_answers_as_run_json_does(alone: Cloud) -> None:
    alone.folder("A/1")
    told = json.loads(alone.poll(b"").http()[0])
    alone.folder("A/2")
    assert shape(told) == shape(command(alone, "run"))


def test_a_dry_run_answers_as_plan_json_does_and_changes_nothing(cloud: Cloud) -> None:
    cloud.folder("A/1")
    answer = cloud.poll({"dry_run": True})
    assert not (cloud.home / "store").exists() or not list(cloud.work.list())
    assert not cloud.queue.pages
    assert json.loads(answer.http()[0]) == command(cloud, "plan")


def test_with_queues_each_missing_page_is_one_task(cloud: Cloud) -> None:
    cloud.folder("A/1", pages=3)
    cloud.folder("A/2", pages=2)
    answer = cloud.poll(X_CloudScheduler="true")
    assert answer.status == 200
    assert (len(cloud.queue.pages), len(cloud.queue.books)) == (5, 2)
    assert {one["action"] for one in answer.document["waiting"]} == {"fetch"}
    assert not cloud.books()
    assert all(outcome in ("staged", "bound") for outcome, _ in cloud.deliver_all())
    assert sorted(cloud.books()) == ["A/1.cbz", "A/2.cbz"]


def test_a_poll_with_nothing_new_queues_nothing(cloud: Cloud) -> None:
    cloud.folder("A/1")
    cloud.poll()
    cloud.deliver_all()
    answer = cloud.poll()
    assert not cloud.queue.pages
    assert not cloud.queue.books
    assert [one["key"] for one in answer.document["up_to_date"]] == ["A/1.cbz"]


def test_the_scheduler_may_send_no_body_and_any_type(cloud: Cloud) -> None:
    assert cloud.call("poll", request(kind="application/octet-stream", X_CloudScheduler="true")).status == 200


def test_people_may_name_paths_and_a_limit(cloud: Cloud) -> None:
    for name in ("A/1", "A/2", "B/1"):
        cloud.folder(name, pages=1)
    cloud.poll({"paths": ["/comics/A"], "limit": 1})
    assert [task.path for task in cloud.queue.pages] == ["/comics/A/1/001.jpg"]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        (request(method="GET"), 405, "GET"),
        (request(b"paths=/comics", kind="application/x-www-form-urlencoded"), 415, "x-www-form-urlencoded"),
        (request(b"{", kind="application/json"), 400, "no JSON"),
        (request(b"[]"), 400, "object"),
        (request({"path": ["/comics"]}), 400, "`path`"),
        (request({"paths": "/comics"}), 400, "paths"),
        (request({"limit": 0}), 400, "limit"),
        (request({"paths": ["/comics"] * 1001}), 400, "paths"),
        (cut_off(b'{"dry_run": true}'), 400, "cannot be read"),
        (request({"dry_run": "yes"}), 400, "dry_run"),
        (request({"paths": ["/elsewhere"]}), 400, "/elsewhere"),
        (request(b'{"paths": ["' + b"x" * 2**20 + b'"]}'), 413, "larger"),
    ],
)
def test_what_people_do_wrong_is_said(cloud: Cloud, asked: Any, status: int, words: str) -> None:
    answer = cloud.call("poll", asked)
    assert answer.status == status
    assert words in error_of(answer)["message"]
    assert error_of(answer)["fix"]
    assert not cloud.server.requests


def test_refused_credentials_are_on_record_and_nothing_is_queued(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.folder("A/1")
    (cloud.home / "token").write_text("alist-wrong")
    answer = cloud.poll(X_CloudScheduler="true")
    assert answer.status == 200
    assert error_of(answer)["code"] == "auth"
    assert not cloud.queue.pages
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    (cloud.home / "token").write_text(cloud.server.token)
    assert cloud.poll().document["problems"] == []
    assert len(cloud.queue.pages) == 3


def test_a_wrong_password_is_tried_once_in_each_poll(cloud: Cloud) -> None:
    cloud.folder("A/1")
    cloud.server.accounts.add(User("reader", "right"))
    text = (cloud.home / "pagebind.toml").read_text()
    login = f'username = "reader"\npassword = "file:{cloud.home}/password"'
    (cloud.home / "pagebind.toml").write_text(text.replace(f'token = "file:{cloud.home}/token"', login))
    (cloud.home / "password").write_text("wrong")
    for polls in (1, 2):
        assert error_of(cloud.poll())["code"] == "auth"
        assert cloud.server.count(path="/api/auth/login") == polls
    (cloud.home / "password").write_text("right")
    assert cloud.poll().document["problems"] == []


def test_a_server_that_is_away_is_on_record(cloud: Cloud) -> None:
    cloud.folder("A/1")
    cloud.server.stop()
    answer = cloud.poll()
    assert (answer.status, error_of(answer)["code"]) == (200, "server")
    cloud.server.start()
    cloud.poll()
    assert len(cloud.queue.pages) == 3


def test_a_wrong_configuration_is_said_in_one_line(cloud: Cloud) -> None:
    (cloud.home / "pagebind.toml").write_text("[source]\nurl = 3\n")
    answer = cloud.poll()
    assert (answer.status, error_of(answer)["code"]) == (500, "config")
    cloud.configure()
    assert cloud.poll().status == 200


def test_a_new_subscription_needs_no_new_process(cloud: Cloud) -> None:
    cloud.configure('exclude = ["A/"]')
    cloud.folder("A/1")
    cloud.poll()
    assert not cloud.queue.pages
    cloud.configure()
    cloud.poll()
    assert len(cloud.queue.pages) == 3


def test_a_store_that_is_away_is_a_503(cloud: Cloud) -> None:
    (cloud.home / "store").write_text("a file")
    answer = cloud.poll()
    assert answer.status == 503
    assert "Retry-After" in answer.http()[2]


def test_a_queue_that_is_away_ends_the_poll_and_the_next_epoch_goes_on(cloud: Cloud, monkeypatch: Any) -> None:
    def refuse() -> None:
        raise QueueUnavailable("no queue")

    cloud.folder("A/1")
    monkeypatch.setattr(cloud.queue, "flush", refuse)
    answer = cloud.poll()
    assert (answer.status, error_of(answer)["code"]) == (503, "queue")
    [run] = cloud.work.list("runs/")
    assert json.loads(cloud.work.get(run.key))["error"]["code"] == "queue"


def test_two_polls_hand_a_page_out_once(cloud: Cloud) -> None:
    cloud.folder("A/1")
    cloud.poll()
    cloud.poll()
    assert len(cloud.queue.pages) == 3


def test_a_limit_holds_for_a_dry_run_as_well(cloud: Cloud) -> None:
    for name in ("A/1", "A/2", "B/1"):
        cloud.folder(name, pages=2)
    made = cloud.poll({"dry_run": True, "limit": 1}).document
    assert [volume["action"] for volume in made["volumes"]] == ["fetch", "none", "none"]
    assert made["requests"] == 2


def test_a_queue_that_cannot_be_used_costs_no_epoch(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConfigError("no credentials")

    cloud.folder("A/1")
    monkeypatch.setattr(cloud.queue, "open", refuse)
    assert cloud.poll().status == 500
    assert not list(cloud.work.list("sent/"))


def test_what_cannot_be_tidied_costs_no_record(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AccessDenied("may not delete")

    cloud.folder("A/1")
    monkeypatch.setattr("pagebind.app.gc.collect_a_little", refuse)
    assert cloud.poll().status == 200
    assert len(list(cloud.work.list("runs/"))) == 1


def cursor_of_the_newest_poll(cloud: Cloud) -> str:
    newest = next(iter(cloud.work.list("runs/")))
    return str(json.loads(cloud.work.get(newest.key))["cursor"])


def test_a_poll_whose_budget_ends_leaves_its_cursor_and_the_next_one_goes_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_out, "_TO_WALK", 0.0)
    for name in ("A/1", "A/2", "B/1"):
        cloud.folder(name, pages=1)
    cursors = []
    for _ in range(20):
        assert cloud.poll().document["problems"] == []
        cloud.deliver_all()
        cursors.append(cursor_of_the_newest_poll(cloud))
        if not cursors[-1]:
            break
    assert cursors == ["/comics/A", "/comics/A/1", "/comics/A/2", "/comics/B", "/comics/B/1", ""]
    assert sorted(cloud.books()) == ["A/1.cbz", "A/2.cbz", "B/1.cbz"]


def test_a_poll_lists_no_more_folders_than_it_may(cloud: Cloud) -> None:
    cloud.env["PAGEBIND_POLL_LISTINGS"] = "2"
    for name in ("A/1", "A/2", "B/1"):
        cloud.folder(name, pages=1)
    cloud.poll()
    assert cloud.server.count("list") == 2
    assert cursor_of_the_newest_poll(cloud) == "/comics/A/1"
