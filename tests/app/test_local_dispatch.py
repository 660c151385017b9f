"""The queue in the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import FakeClock

from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.errors import AuthRefused, PagebindError, PageCut, ServerUnreachable, StoreUnavailable
from pagebind.ports.dispatch import FetchTask, FinalizeTask

if TYPE_CHECKING:
    from collections.abc import Callable


def page(name: str, volume: str = "v") -> FetchTask:
    return FetchTask(volume, name, f"/c/{name}", "/c", name, 1, 1, 1)


def queue(fetch: Callable[[FetchTask, bool], None], finalize: Callable[[FinalizeTask], None]) -> LocalDispatch:
    return LocalDispatch(fetch, finalize, FakeClock(), workers=2, backoff=0.0)


def no_book(_task: FinalizeTask) -> None:
    raise AssertionError("not asked for")


def test_a_book_comes_after_all_its_pages() -> None:
    events: list[str] = []
    lock = threading.Lock()

    def note(what: str) -> None:
        with lock:
            events.append(what)

    dispatch = queue(lambda task, _last: note(task.page), lambda task: note(task.volume))
    for number in range(100):
        dispatch.fetch(page(str(number)))
    dispatch.finalize(FinalizeTask("v", 1, 1), delay=0.0)
    dispatch.drain()
    dispatch.stop()

    assert events[-1] == "v"
    assert sorted(events[:-1], key=int) == [str(number) for number in range(100)]


def test_a_passing_fault_is_tried_again_and_the_last_try_is_told() -> None:
    tries: list[bool] = []

    def fetch(_task: FetchTask, last: bool) -> None:
        tries.append(last)
        if not last:
            raise PageCut("cut")

    dispatch = queue(fetch, no_book)
    dispatch.fetch(page("1"))
    dispatch.drain()
    dispatch.stop()

    assert tries == [False, False, True]


@pytest.mark.parametrize(
    ("error", "tries"), [(ServerUnreachable("down"), 3), (AuthRefused("no"), 1), (StoreUnavailable("full"), 1)]
)
def test_what_is_out_of_order_ends_everything(error: PagebindError, tries: int) -> None:
    seen: list[str] = []

    def fetch(task: FetchTask, _last: bool) -> None:
        seen.append(task.page)
        raise error

    dispatch = queue(fetch, no_book)
    dispatch.fetch(page("1"))
    dispatch.finalize(FinalizeTask("v", 1, 1), delay=0.0)

    with pytest.raises(type(error)):
        dispatch.drain()
    assert len(seen) == tries
    dispatch.fetch(page("2"))
    assert "2" not in seen


def test_a_book_that_fails_ends_everything() -> None:
    def finalize(_task: FinalizeTask) -> None:
        raise StoreUnavailable("full")

    dispatch = queue(lambda _task, _last: None, finalize)
    dispatch.finalize(FinalizeTask("v", 1, 1), delay=0.0)

    with pytest.raises(StoreUnavailable):
        dispatch.drain()


def test_stopped_it_drops_what_is_queued() -> None:
    dispatch = queue(lambda _task, _last: None, no_book)
    dispatch.stop()
    dispatch.fetch(page("1"))
    dispatch.drain()

    assert not dispatch.durable


def test_whoever_joins_waits_for_pages_under_way_but_not_for_ever() -> None:
    under_way, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def fetch(task: FetchTask, _last: bool) -> None:
        under_way.set()
        assert go_on.wait(10)
        done.append(task.page)

    dispatch = LocalDispatch(fetch, no_book, FakeClock(), workers=1, backoff=0.0)
    for name in "ab":
        dispatch.fetch(page(name))
    assert under_way.wait(10)
    dispatch.stop()

    assert not dispatch.join(0.0)
    go_on.set()
    assert dispatch.join(10.0)
    assert done == ["a"]
