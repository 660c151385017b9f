"""What comes in: who calls, and what they ask for."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from werkzeug.exceptions import HTTPException

from pagebind.errors import UsageError
from pagebind.serverless.answers import BadRequest

if TYPE_CHECKING:
    from flask import Request

LARGEST = 2**20
"""Bytes of a body; a task has at most 100 KB, and nobody names so many paths."""

_MOST_PATHS = 1_000
_MOST_DIGITS = 6

_JSON = "application/json"


class PollRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a poll is asked for: all is left out by the scheduler."""

    paths: Annotated[tuple[str, ...], msgspec.Meta(max_length=_MOST_PATHS)] = ()
    dry_run: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Delivery(NamedTuple):
    """How a task was delivered: by a queue, which tried ``retries`` times before, or by a person."""

    by_queue: bool
    retries: int

    def is_last(self, max_attempts: int) -> bool:
        """Whether the queue will not try again. What a person sends by hand gives no page up."""
        return self.by_queue and self.retries + 1 >= max_attempts


def delivery(request: Request) -> Delivery:
    """Whether a queue delivers, and how often it tried before."""
    said = request.headers.get("X-CloudTasks-TaskRetryCount", "")
    retries = int(said[:_MOST_DIGITS]) if said.isascii() and said.isdigit() else 0
    return Delivery("X-CloudTasks-QueueName" in request.headers, retries)


def body(request: Request, *, required: bool) -> bytes:
    """The body of a POST, as far as it is JSON by its type.

    Args:
        request: as it came.
        required: there must be one; without, nobody has to say its type.

    Raises:
        BadRequest: another method, another type, too large, or nothing where something is needed.
    """
    if request.method != "POST":
        raise BadRequest(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not what this takes", fix="use POST", allow="POST"
        )
    length = request.content_length or 0
    content = _read(request) if length <= LARGEST else b""
    if max(length, len(content)) > LARGEST:
        raise BadRequest(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {LARGEST} bytes", fix="ask for less"
        )
    if not content.strip() and not required:
        return b""
    if request.mimetype != _JSON:
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is {request.mimetype or 'of no type'}, not {_JSON}",
            fix=f"send JSON, with the header Content-Type: {_JSON}",
        )
    return content


def _read(request: Request) -> bytes:
    """As much of the body as may come. Raises: BadRequest: it was cut off, or cut into chunks wrongly."""
    try:
        content = request.stream.read(LARGEST + 1)
    except (OSError, HTTPException) as error:  # of the server, and of the framework
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the body cannot be read", fix="send it whole") from error
    if len(content) < (request.content_length or 0):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the body ended before its length", fix="send it whole")
    return content


def poll_request(request: Request) -> PollRequest:
    """What a poll is asked for.

    Raises:
        BadRequest: see `body`.
        UsageError: the JSON is none, or holds what means nothing here.
    """
    content = body(request, required=False)
    fix = 'for example {"paths": ["/comics/One Piece"], "dry_run": true, "limit": 1}; all three may be left out'
    try:
        return msgspec.convert(json.loads(content or b"{}"), PollRequest)
    except msgspec.ValidationError as error:
        raise UsageError(f"the body means nothing here: {error}", fix=fix) from None
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is no JSON", fix=fix) from error
