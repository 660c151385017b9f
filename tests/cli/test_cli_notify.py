"""`pagebind notify --test`: who gets the test, and what is said of those who do not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli import shapes
from tests.cli.command import call, end
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.command import Answer, Home

CANARY = "kanarienvogel"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def told(home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Two to be told, one reader."""
    monkeypatch.setenv("PHONE", receiver.address(f"/phone/{CANARY}"))
    monkeypatch.setenv("MAIL", receiver.address("/mail"))
    monkeypatch.setenv("KEY", CANARY)
    home.configure(
        more=f'[notify]\nurls = ["env:PHONE", "env:MAIL"]\non = ["bound", "source"]\n[[hook]]\n'
        f'url = "{receiver.url}/scan?x={CANARY}"\nheaders = {{ X-API-Key = "env:KEY" }}'
    )
    return home


def checked(answer: Answer, status: int) -> Answer:
    assert answer.status == status
    assert CANARY not in answer.out + answer.err
    return answer


def test_everybody_gets_a_message_and_readers_are_named(told: Home, receiver: Receiver) -> None:
    answer = checked(told.call("notify", "--test"), 0)
    assert answer.out.splitlines() == [
        "told env:PHONE",
        "told env:MAIL",
        f"not called without --hooks: {receiver.url}/scan",
    ]
    assert answer.err == ""
    assert [call.path for call in receiver.calls] == [f"/phone/{CANARY}", "/mail"]
    [message] = receiver.messages("/mail")
    assert (message["title"], message["type"]) == ("Pagebind: a test", "info")
    assert message["message"].endswith("They will tell of new books, a server that refuses or is away.")


def test_readers_are_called_when_asked_for(told: Home, receiver: Receiver) -> None:
    answer = checked(told.call("notify", "--test", "--hooks", "--json"), 0)
    shapes.check("notify", answer.document)
    assert answer.document == {
        "schema": 1,
        "sent": [
            {"name": name, "ok": True, "problem": None} for name in ("env:PHONE", "env:MAIL", f"{receiver.url}/scan")
        ],
        "problems": [],
    }
    assert receiver.to("/scan")[0].headers["x-api-key"] == CANARY


def test_who_fails_is_told_and_the_others_are_tried(told: Home, receiver: Receiver) -> None:
    receiver.refuse(404, "/phone")
    receiver.refuse(403, "/scan")
    answer = checked(told.call("notify", "--test", "--hooks"), 1)
    assert answer.out == "told env:MAIL\n"
    first, second = answer.err.splitlines()
    assert first.startswith("problem: env:PHONE (json://) did not take the message: it answered 404 (")
    assert second.startswith(f"problem: {receiver.url}/scan answered 403 (use the key of an account")
    document = checked(told.call("notify", "--test", "--json"), 1).document
    shapes.check("notify", document)
    assert [(one["name"], one["ok"]) for one in document["sent"]] == [("env:PHONE", False), ("env:MAIL", True)]
    assert [problem["code"] for problem in document["problems"]] == ["notify"]


def test_each_of_several_addresses_is_told_of(told: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONE", f"{receiver.address('/a')} nothing://{CANARY}")
    answer = checked(told.call("notify", "--test", "--json"), 1)
    assert [(one["name"], one["ok"]) for one in answer.document["sent"]] == [
        ("env:PHONE (1 of 2)", True),
        ("env:PHONE (2 of 2)", False),
        ("env:MAIL", True),
    ]


def test_a_secret_that_is_not_there(told: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHONE")
    answer = checked(told.call("notify", "--test"), 1)
    assert answer.err.startswith("problem: env:PHONE leads nowhere")
    assert [call.path for call in receiver.calls] == ["/mail"]


def test_without_apprise(told: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    answer = checked(told.call("notify", "--test"), 1)
    assert 'pip install "pagebind[notify]"' in answer.err.splitlines()[0]


def test_only_problems_are_said_quietly(told: Home, receiver: Receiver) -> None:
    assert checked(told.call("notify", "--test", "--quiet"), 0).out == ""
    receiver.refuse(500, "/mail")
    answer = checked(told.call("notify", "--test", "--quiet"), 1)
    assert answer.out == ""
    assert "env:MAIL" in answer.err


def test_a_reader_alone_is_enough(home: Home, receiver: Receiver) -> None:
    home.configure(more=f'[[hook]]\nurl = "{receiver.url}/scan"')
    assert home.call("notify", "--test").out == f"not called without --hooks: {receiver.url}/scan\n"
    assert home.call("notify", "--test", "--hooks").out == f"told {receiver.url}/scan\n"


def test_neither_server_nor_store_is_asked(told: Home) -> None:
    assert told.call("notify", "--test", "--hooks").status == 0
    assert told.server.requests == []
    assert not told.store.exists()


def test_nobody_is_configured(home: Home) -> None:
    answer = home.call("notify", "--test", "--json")
    assert answer.status == 2
    shapes.check("notify", answer.document)
    [problem] = answer.document["problems"]
    assert (problem["code"], problem["fix"]) == ("config", 'add [notify] and below it urls = ["env:NOTIFY_URL"]')


@pytest.mark.parametrize("words", [(), ("--hooks",)])
def test_without_test_nothing_is_sent(told: Home, receiver: Receiver, words: tuple[str, ...]) -> None:
    answer = told.call("notify", *words, "--json")
    assert answer.status == 2
    shapes.check("notify", answer.document)
    [problem] = answer.document["problems"]
    assert (problem["code"], problem["fix"]) == ("usage", "write pagebind notify --test")
    assert receiver.calls == []


def test_a_wrong_configuration(home: Home) -> None:
    home.configure(more="[notify]\nurls = 1")
    answer = home.call("notify", "--test", "--json")
    assert answer.status == 2
    shapes.check("notify", answer.document)
    assert call("notify", "--test", "--config", "nowhere.toml").status == 2


def test_everything_logged_says_nothing_of_addresses(told: Home, receiver: Receiver) -> None:
    receiver.refuse(500, "/phone")
    answer = checked(end(told.spawn("notify", "--test", "--hooks", "-vv")), 1)
    assert len(answer.err.splitlines()) == 1
