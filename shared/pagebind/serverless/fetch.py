"""The function that stages one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagebind.adapters.dispatch import task_body
from pagebind.errors import AuthRefused
from pagebind.serverless.answers import Answer, done
from pagebind.serverless.tasks import answering

if TYPE_CHECKING:
    from flask import Request

    from pagebind.ports.dispatch import FetchTask
    from pagebind.serverless.instance import Instance, Kept
    from pagebind.serverless.requests import Delivery


def answer(request: Request, instance: Instance) -> Answer:
    """Stage the page of the task that a request carries."""
    return answering(
        request,
        task_body.load_fetch,
        lambda task, config, delivery: _stage(task, instance.for_task(config), delivery),
    )


def _stage(task: FetchTask, kept: Kept, delivery: Delivery) -> Answer:
    last = delivery.is_last(kept.parts.settings.queue.max_attempts)
    try:
        fetched = kept.fetch(task, last_attempt=last, repetition=delivery.retries > 0)
    except AuthRefused:
        kept.note_refusal()
        raise
    return done({"outcome": fetched.outcome.value, "volume": task.volume, "page": task.page})
