"""What a function answers: one decision for each outcome, so that the caller does the right thing.

A queue tries again whatever is not answered by 200 to 299, and slows down for everybody at 429 and 503. So only what a
repetition can mend is answered by anything else; the table in docs/design.md lists all.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind import errors
from pagebind.app.report import SCHEMA, problem_of

if TYPE_CHECKING:
    from pagebind.errors import PagebindError

HttpAnswer = tuple[str, int, dict[str, str]]
"""Body, status and headers, as Flask takes them."""

_SOON = 30.0
"""Seconds until a server or store that is out of order is asked again, where it does not say so itself."""

_LATER = 300.0
"""Seconds until something is tried again that a person has to mend first."""

_LONGEST = 3600.0
"""Seconds; whoever asks for more is asked again all the same."""


class BadRequest(errors.UsageError):
    """The request is wrong in its form; ``status`` says how, ``allow`` what methods there are."""

    def __init__(self, status: HTTPStatus, message: str, *, fix: str, allow: str = "") -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.allow = allow


class Answer(NamedTuple):
    """An answer. ``document`` is JSON; ``retry_after`` in seconds; ``allow``: the methods, where another came."""

    status: HTTPStatus
    document: dict[str, Any]
    retry_after: float | None = None
    allow: str = ""

    def http(self) -> HttpAnswer:
        """As the framework takes it."""
        headers = {"Content-Type": "application/json"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(round(min(max(1.0, self.retry_after), _LONGEST)))
        if self.allow:
            headers["Allow"] = self.allow
        # Names on servers that are no valid Unicode stay escaped.
        return json.dumps({"schema": SCHEMA, **self.document}) + "\n", int(self.status), headers


def done(document: dict[str, Any]) -> Answer:
    """It is done, or never will be: nobody has to come again."""
    return Answer(HTTPStatus.OK, document)


def to_queue(error: PagebindError, *, of_one_book: bool = False) -> Answer:
    """What the queue is told of a task that failed by ``error``.

    ``of_one_book``: a right that is missing may be missing for this book alone, and poll asks for it again.
    """
    if of_one_book and isinstance(error, errors.AccessDenied):
        return done({"outcome": "failed", **_problem(error)})
    status, wait = _for_queue(error)
    return Answer(status, {"outcome": "failed", **_problem(error)}, wait)


def _for_queue(error: PagebindError) -> tuple[HTTPStatus, float | None]:
    match error:
        case errors.PageFailed() if error.retry_after is None:
            return HTTPStatus.INTERNAL_SERVER_ERROR, None
        case errors.PageFailed():
            return HTTPStatus.TOO_MANY_REQUESTS, error.retry_after
        case errors.UsageError() | errors.AuthRefused() | errors.KeyRefused():
            return HTTPStatus.OK, None  # a repetition would do no good, and refused credentials would do harm
        case errors.ConfigError() | errors.AccessDenied():
            return HTTPStatus.SERVICE_UNAVAILABLE, _LATER
        case errors.KeyBusy() | errors.PartDamaged() | errors.ConditionFailed() | errors.KeyMissing():
            return HTTPStatus.INTERNAL_SERVER_ERROR, None
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE, error.retry_after or _SOON


def to_people(error: PagebindError) -> Answer:
    """What a person, or the scheduler, is told of a request that failed by ``error``."""
    match error:
        case BadRequest():
            return Answer(error.status, _problem(error), allow=error.allow)
        case errors.UsageError():
            return Answer(HTTPStatus.BAD_REQUEST, _problem(error))
        case errors.ConfigError():
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, _problem(error))
        case errors.SourceError():
            return done(_problem(error))
        case _:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _problem(error), error.retry_after or _SOON)


def _problem(error: PagebindError) -> dict[str, Any]:
    return {"problems": [problem_of(error)._asdict()]}
