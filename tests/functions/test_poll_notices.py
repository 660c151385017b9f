"""What the poll function tells, through Apprise and over HTTP, and what that costs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.functions.over_a_bucket import over_a_bucket
from tests.functions.test_imports import EVERY, POLL, first_request, libraries, ours
from tests.support.aged import age
from tests.support.receiver import Receiver

from pagebind.core import keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functions.conftest import Cloud
    from tests.functions.over_a_bucket import OverABucket

    from pagebind.demo.store_proxy import StoreProxy

pytest.importorskip("apprise")

TELLING = ("[notify]", 'urls = ["env:NOTIFY_URL"]')


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def telling(cloud: Cloud, receiver: Receiver) -> Cloud:
    """The functions, which tell people at ``/notify`` and a reader at ``/scan``."""
    cloud.env["NOTIFY_URL"] = receiver.address()
    cloud.configure(*TELLING, "[[hook]]", f'url = "{receiver.url}/scan"')
    return cloud


def titles(receiver: Receiver) -> list[str]:
    return [message["title"].removeprefix("Pagebind: ") for message in receiver.messages()]


def test_books_that_finalize_bound_are_told_once_by_the_next_poll(telling: Cloud, receiver: Receiver) -> None:
    telling.poll()
    telling.folder("One Piece/Vol 01")
    telling.folder("One Piece/Vol 02")
    telling.poll()
    telling.deliver_all()
    assert receiver.calls == []
    for _ in range(3):
        answer = telling.poll()
        assert (answer.status, answer.document["problems"]) == (200, [])
    [message] = receiver.messages()
    assert message["title"] == "Pagebind: 2 books"
    assert message["message"] == "2 books bound:\n- One Piece/Vol 01.cbz\n- One Piece/Vol 02.cbz"
    assert message["type"] == "success"
    assert len(receiver.to("/scan")) == 1


def test_a_poll_that_does_all_itself_tells_what_it_did(alone: Cloud, receiver: Receiver) -> None:
    alone.env["NOTIFY_URL"] = receiver.address()
    alone.configure(*TELLING)
    alone.folder("A/1")
    assert len(alone.poll().document["bound"]) == 1
    alone.poll()
    assert titles(receiver) == ["1 book"]


def test_refused_credentials_over_ten_polls_are_one_message_and_one_when_they_end(
    telling: Cloud, receiver: Receiver
) -> None:
    telling.poll()
    (telling.home / "token").write_text("alist-wrong")
    telling.instances.clear()  # which keep a secret for some minutes
    for _ in range(10):
        answer = telling.poll()
        assert (answer.status, answer.document["problems"][0]["code"]) == (200, "auth")
    assert titles(receiver) == ["credentials refused"]
    (telling.home / "token").write_text(telling.server.token)
    telling.poll()
    telling.poll()
    assert titles(receiver) == ["credentials refused", "credentials accepted again"]
    assert telling.server.token not in str(receiver.messages())
    assert telling.server.url.rpartition("/")[2] not in str(receiver.messages())


def test_pages_that_failed_and_books_that_are_held_are_told(telling: Cloud, receiver: Receiver) -> None:
    telling.poll()
    telling.folder("A/1")
    (telling.home / "comics" / "A" / "1" / "002.jpg").write_bytes(b"<html>the drive is full</html>")
    telling.folder("A/2")
    telling.library.put("A/2.cbz", b"of another tool")
    telling.poll()
    for task in telling.queue.pages:
        telling.deliver(task, retries=2)
    for _ in range(2):
        telling.poll()
    [held, failed] = receiver.messages()
    assert held["title"] == "Pagebind: 1 held"
    assert "- /comics/A/2: a book that Pagebind did not make stands under this key. To do: " in held["message"]
    assert failed["title"] == "Pagebind: 1 failed"
    assert "- /comics/A/1: 1 page: 002.jpg is no picture" in failed["message"]


def test_volumes_that_a_short_poll_does_not_come_to_stay_as_they_were(telling: Cloud, receiver: Receiver) -> None:
    for name in ("A", "B", "C"):
        telling.folder(f"{name}/1")
        telling.library.put(f"{name}/1.cbz", b"of another tool")
    telling.env["PAGEBIND_POLL_LISTINGS"] = "3"
    telling.instances.clear()
    walked = [len(telling.poll().document["held"]) for _ in range(8)]
    assert max(walked) < 3
    assert sum(int(title.split()[0]) for title in titles(receiver)) == 3


def test_a_message_that_was_refused_is_sent_by_a_poll_a_quarter_of_an_hour_later(
    telling: Cloud, receiver: Receiver
) -> None:
    telling.poll()
    telling.folder("A/1")
    telling.poll()
    telling.deliver_all()
    before = receiver.reply
    receiver.refuse(500)
    answer = telling.poll()
    assert (answer.status, answer.document["problems"]) == (200, [])
    receiver.reply = before
    receiver.calls.clear()
    telling.poll()
    assert receiver.calls == []
    age(telling.home / "store" / keys.NOTICES, 900.0)
    telling.poll()
    telling.poll()
    assert titles(receiver) == ["1 book"]
    assert receiver.to("/scan") == []


def test_without_anybody_to_tell_nothing_is_written(cloud: Cloud) -> None:
    cloud.folder("A/1")
    cloud.poll()
    cloud.deliver_all()
    cloud.poll()
    assert not [info.key for prefix in (keys.NOTICES, keys.HOOKS) for info in cloud.work.list(prefix)]


@pytest.fixture
def functions(gcs_bucket: str, tmp_path: Path) -> Iterator[OverABucket]:
    """With one book that people know of."""
    with over_a_bucket(gcs_bucket, tmp_path) as made, Receiver() as receiver:
        made.env["NOTIFY_URL"] = receiver.address()
        made.env["PAGEBIND_NOTIFY_URLS"] = "env:NOTIFY_URL"
        made.volume("A/1")
        made.poll()
        made.stage()
        made.bind()
        made.poll()
        assert titles(receiver) == ["1 book"]
        yield made


def test_nothing_new_costs_one_list_and_one_read_more(functions: OverABucket, gcs_proxy: StoreProxy) -> None:
    gcs_proxy.reset()
    functions.poll()
    asked = Counter((call.operation, call.key.partition("/")[2].partition("/")[0]) for call in gcs_proxy.calls)
    assert {operation: count for (operation, folder), count in asked.items() if folder == "notices"} == {
        "objects.list": 1,
        "objects.get_media": 1,
    }
    assert asked.total() == 8 + 2 + 2


def test_nothing_new_loads_what_comparing_needs_and_no_notifiers(functions: OverABucket) -> None:
    found = first_request(functions, "poll")
    assert found["status"] == 200
    more = ours(found) - EVERY - POLL
    assert more == {"app.findings", "app.notices", "core.message", "core.notices", "core.receipt"} | {
        name for name in more if name.startswith("adapters.notify.")
    }
    assert not libraries(found) & {"apprise", "markdown", "yaml"}
