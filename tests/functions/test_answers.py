"""What each error makes of an answer: to the queue, and to people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pagebind import errors
from pagebind.errors import PagebindError
from pagebind.serverless.answers import BadRequest, done, to_people, to_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

TO_QUEUE: dict[type[PagebindError], tuple[int, bool]] = {
    errors.UsageError: (200, False),
    BadRequest: (200, False),
    errors.ConfigError: (503, True),
    errors.SecretsUnavailable: (503, True),
    errors.SourceError: (503, True),
    errors.ServerUnreachable: (503, True),
    errors.AuthRefused: (200, False),
    errors.LockedOut: (200, False),
    errors.ListingFailed: (503, True),
    errors.RefreshRefused: (503, True),
    errors.PageFailed: (500, False),
    errors.SignRefused: (500, False),
    errors.PageCut: (500, False),
    errors.PageWrong: (500, False),
    errors.QueueUnavailable: (503, True),
    errors.StoreError: (503, True),
    errors.KeyMissing: (500, False),
    errors.ConditionFailed: (500, False),
    errors.PartDamaged: (500, False),
    errors.StoreUnavailable: (503, True),
    errors.AccessDenied: (503, True),
    errors.KeyBusy: (500, False),
    errors.KeyRefused: (200, False),
}
"""Status, and whether everybody is to slow down. What becomes of a message is nobody's task."""


def made(kind: type[PagebindError]) -> PagebindError:
    return BadRequest(405, "what", fix="this") if kind is BadRequest else kind("what", fix="this")  # type: ignore[arg-type]


def all_kinds(kind: type[PagebindError] = PagebindError) -> Iterator[type[PagebindError]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("pagebind"):
            yield below
            yield from all_kinds(below)


@pytest.mark.parametrize("kind", [kind for kind in all_kinds() if not issubclass(kind, errors.NotifyFailed)])
def test_each_error_has_its_answer_to_the_queue(kind: type[PagebindError]) -> None:
    known = next(TO_QUEUE[one] for one in kind.__mro__ if one in TO_QUEUE)
    body, status, headers = to_queue(made(kind)).http()
    assert (status, "Retry-After" in headers) == known
    assert json.loads(body)["problems"][0]["message"] == "what"


def test_a_book_that_may_not_be_written_holds_no_other_back() -> None:
    error = errors.AccessDenied("a hold is on this object")
    assert to_queue(error, of_one_book=True).http()[1:] == (200, {"Content-Type": "application/json"})
    assert to_queue(errors.StoreUnavailable("away"), of_one_book=True).status == 503


def test_a_drive_that_asks_to_be_left_alone_slows_everybody_down() -> None:
    _, status, headers = to_queue(errors.PageFailed("too many", retry_after=42.0)).http()
    assert (status, headers["Retry-After"]) == (429, "42")


def test_a_store_that_says_how_long_is_believed() -> None:
    assert to_queue(errors.StoreUnavailable("full", retry_after=7.4)).http()[2]["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UsageError("no"), 400),
        (errors.ConfigError("no"), 500),
        (errors.AuthRefused("no"), 200),
        (errors.ServerUnreachable("no"), 200),
        (errors.ListingFailed("no"), 200),
        (errors.StoreUnavailable("no"), 503),
        (errors.AccessDenied("no"), 503),
        (errors.QueueUnavailable("no"), 503),
    ],
)
def test_what_people_and_the_scheduler_are_told(error: PagebindError, status: int) -> None:
    assert to_people(error).status == status


@pytest.mark.parametrize(("said", "told"), [(0.0, "1"), (99_999_999.0, "3600"), (float("inf"), "3600")])
def test_nobody_is_believed_beyond_an_hour(said: float, told: str) -> None:
    assert to_queue(errors.PageFailed("too many", retry_after=said)).http()[2]["Retry-After"] == told


def test_names_that_are_no_valid_unicode_stay_escaped() -> None:
    body, _, headers = done({"path": "a\udc80"}).http()
    assert json.loads(body) == {"schema": 1, "path": "a\udc80"}
    assert body.isascii()
    assert headers == {"Content-Type": "application/json"}
