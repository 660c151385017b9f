"""What fetch and finalize share: a task comes in by HTTP, and its outcome or its error is the answer."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from pagebind import logs
from pagebind.errors import PagebindError, UsageError
from pagebind.serverless import requests
from pagebind.serverless.answers import Answer, to_people, to_queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Request

    from pagebind.serverless.requests import Delivery

log = logging.getLogger(__name__)


def answering(request: Request, work: Callable[[bytes, Delivery], Answer]) -> Answer:
    """The answer that ``work`` gives to the body of a request, or the one that its error is."""
    delivery = requests.delivery(request)
    with logs.traced(request.headers):
        try:
            return work(requests.body(request, required=True), delivery)
        except PagebindError as error:
            if isinstance(error, UsageError) and not delivery.by_queue:
                return to_people(error)
            answer = to_queue(error)
            _tell(error, answer, delivery)
            return answer


def _tell(error: PagebindError, answer: Answer, delivery: Delivery) -> None:
    """One line: an error where nobody will come again, or somebody has to mend something."""
    passes = error.retryable and answer.status is not HTTPStatus.OK
    log.log(
        logging.WARNING if passes else logging.ERROR,
        "task failed",
        extra={
            "code": error.code,
            "reason": error.message,
            "fix": error.fix,
            "status": int(answer.status),
            "retries": delivery.retries,
        },
    )
