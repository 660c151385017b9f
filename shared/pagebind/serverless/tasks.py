"""What fetch and finalize share: a task comes in by HTTP, and its outcome or its error is the answer."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from pagebind import logs
from pagebind.errors import PagebindError, UsageError
from pagebind.ports.dispatch import FetchTask, FinalizeTask
from pagebind.serverless import requests
from pagebind.serverless.answers import Answer, to_people, to_queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Request

    from pagebind.serverless.requests import Delivery

log = logging.getLogger(__name__)

_Task = TypeVar("_Task", FetchTask, FinalizeTask)


def answering(
    request: Request,
    decode: Callable[[bytes], tuple[_Task, str]],
    work: Callable[[_Task, str, Delivery], Answer],
) -> Answer:
    """The answer to the task that a request carries.

    Args:
        request: as it came.
        decode: makes a task of the body, and the digest of the configuration by which it was made.
        work: does it; its error is an answer as well.
    """
    delivery = requests.delivery(request)
    task: _Task | None = None
    with logs.traced(request.headers):
        try:
            task, config = decode(requests.body(request, required=True))
            return work(task, config, delivery)
        except PagebindError as error:
            if isinstance(error, UsageError) and not delivery.by_queue:
                return to_people(error)
            answer = to_queue(error, of_one_book=isinstance(task, FinalizeTask))
            _tell(error, answer, delivery, task)
            return answer


def _tell(error: PagebindError, answer: Answer, delivery: Delivery, task: FetchTask | FinalizeTask | None) -> None:
    """One line: an error where nobody will come again, or somebody has to mend something."""
    about = {"volume": task.volume, "seq": task.seq, "epoch": task.epoch} if task else {}
    if isinstance(task, FetchTask):
        about["page"] = task.path
    passes = error.retryable and answer.status is not HTTPStatus.OK
    log.log(
        logging.WARNING if passes else logging.ERROR,
        "task failed",
        extra={
            **about,
            "code": error.code,
            "reason": error.message,
            "fix": error.fix,
            "status": int(answer.status),
            "retries": delivery.retries,
        },
    )
