"""News of real runs, each in a process of its own, arrive at a real server by Apprise; so do the calls of readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli.command import end
from tests.e2e.processes import begin, run
from tests.support.aged import age
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.world import Run, World

CANARY = "kanarienvogel"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def told(world: World, receiver: Receiver) -> World:
    """One to be told, and one reader, of a world without books."""
    world.values |= {
        "notify.urls": ["env:NOTIFY_URL"],
        "hook.url": f"{receiver.url}/scan?library=1",
        "hook.headers": {"X-API-Key": "env:READER_KEY"},
        "hook.debounce": "0s",
    }
    world.env |= {"NOTIFY_URL": receiver.address(f"/notify/{CANARY}"), "READER_KEY": CANARY}
    return world


def ran(world: World, status: int) -> Run:
    done = run(world)
    assert done.status == status, done.stderr
    assert CANARY not in done.stderr
    return done


def texts(receiver: Receiver) -> list[str]:
    """The messages that came in, and no more of them than that."""
    found = [f"{one['title']}\n{one['message']}" for one in receiver.messages(f"/notify/{CANARY}")]
    receiver.calls.clear()
    return found


def test_new_books_are_told_once_and_the_reader_is_called_once(told: World, receiver: Receiver) -> None:
    told.volume("Alpha/Vol 1")
    told.volume("Beta/Vol 7")
    ran(told, 0)
    assert [call.path for call in receiver.to("/scan")] == ["/scan?library=1"]
    assert receiver.to("/scan")[0].headers["x-api-key"] == CANARY
    [first] = texts(receiver)
    assert "Alpha/Vol 1" in first
    assert "Beta/Vol 7" in first

    ran(told, 0)
    assert receiver.calls == [], "nothing is new"

    told.volume("Gamma/Vol 2")
    ran(told, 0)
    assert len(receiver.to("/scan")) == 1
    [second] = texts(receiver)
    assert "Gamma/Vol 2" in second
    assert "Alpha" not in second


def test_refused_credentials_are_told_when_they_begin_and_when_they_end(told: World, receiver: Receiver) -> None:
    told.volume("Alpha/Vol 1")
    ran(told, 0)
    texts(receiver)
    right = told.environment()["TOKEN"]
    told.env["TOKEN"] = "wrong"
    for _ in range(10):
        assert ran(told, 1).codes == {"auth"}
    assert receiver.to("/scan") == []
    [begun] = texts(receiver)
    assert "refuse" in begun.lower()
    assert right not in begun

    told.env["TOKEN"] = right
    told.volume("Beta/Vol 7")
    ran(told, 0)
    [ended] = texts(receiver)
    assert "accepted again" in ended
    assert "Beta/Vol 7" in ended
    ran(told, 0)
    assert receiver.calls == []


def test_a_message_that_did_not_go_out_comes_later_and_changes_no_result(told: World, receiver: Receiver) -> None:
    told.volume("Alpha/Vol 1")
    receiver.refuse(503, "/")
    failed = ran(told, 0)
    assert failed.keys("bound") == ["Alpha/Vol 1.cbz"]
    assert "not notified (notifier=env:NOTIFY_URL, code=notify, reason=env:NOTIFY_URL (json://)" in failed.stderr
    assert f"reader not told (reader={receiver.url}/scan, code=notify" in failed.stderr
    texts(receiver)

    receiver.refuse(200, "/")
    age(told.work / "notices", 900.0)
    later = ran(told, 0)
    assert later.keys("up_to_date") == ["Alpha/Vol 1.cbz"]
    assert len(receiver.to("/scan")) == 1
    [message] = texts(receiver)
    assert "Alpha/Vol 1" in message


def test_with_quiet_what_somebody_has_to_mend_is_still_told(told: World) -> None:
    told.volume("Alpha/Vol 1")
    del told.env["NOTIFY_URL"], told.env["READER_KEY"]
    done = end(begin(told, "run", "--quiet"))
    assert (done.status, done.out) == (0, "")
    lines = done.err.splitlines()
    assert len(lines) == 2
    for event, secret in (("reader not told", "env:READER_KEY"), ("not notified", "env:NOTIFY_URL")):
        [line] = [line for line in lines if f" error: {event} (" in line]
        assert f"reason={secret} leads nowhere" in line
        assert ", fix=" in line


def test_a_secret_that_is_not_there_fails_no_book(told: World, receiver: Receiver) -> None:
    told.volume("Alpha/Vol 1")
    del told.env["NOTIFY_URL"], told.env["READER_KEY"]
    done = ran(told, 0)
    assert done.keys("bound") == ["Alpha/Vol 1.cbz"]
    assert "env:NOTIFY_URL leads nowhere" in done.stderr
    assert "env:READER_KEY leads nowhere" in done.stderr
    assert receiver.calls == []
