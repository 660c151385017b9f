"""The function that binds one book, or comes back for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagebind.adapters.dispatch import task_body
from pagebind.core.planner import resend_at
from pagebind.serverless.answers import Answer, done
from pagebind.serverless.tasks import answering

if TYPE_CHECKING:
    from flask import Request

    from pagebind.app.finalize import Finalized
    from pagebind.ports.dispatch import FinalizeTask
    from pagebind.serverless.instance import Instance, Kept

_SOONEST, _LATEST = 20.0, 600.0
"""Seconds after which finalize comes back for pages that are on their way (docs/design.md, finalize)."""

_MAX_DOUBLINGS = 5


def answer(request: Request, instance: Instance) -> Answer:
    """Bind the book of the task that a request carries."""
    return answering(request, task_body.load_finalize, lambda task, config, _: _bind(task, instance.for_task(config)))


def _bind(task: FinalizeTask, kept: Kept) -> Answer:
    finalized = kept.finalize(task)
    comes_back = kept.parts.settings.queue.fetch is not None and _is_worth_coming_back(kept, finalized)
    if comes_back:
        _come_back(kept, task, finalized)
    return done(
        {
            "outcome": finalized.outcome.value,
            "volume": task.volume,
            "key": finalized.key,
            "pages": finalized.pages,
            "missing": finalized.missing,
            "comes_back": comes_back,
        }
    )


def _is_worth_coming_back(kept: Kept, finalized: Finalized) -> bool:
    """Whether something may still come. When poll would hand out again what is missing, it is poll's to look after."""
    if finalized.refetch:
        return True
    if not finalized.pending or finalized.sent is None:
        return False
    parts = kept.parts
    return parts.clock.now() < resend_at(finalized.sent, finalized.listed, parts.policy.rate)


def _come_back(kept: Kept, task: FinalizeTask, finalized: Finalized) -> None:
    """Hand out what was damaged once more, and ask for this task itself again.

    Both have the names of this attempt, so that a repetition of it asks for nothing twice.
    """
    dispatch = kept.dispatch
    if finalized.refetch:
        from pagebind.app.hand_out import refetch_tasks

        for again in refetch_tasks(kept.parts.work, task, finalized.refetch):
            dispatch.fetch(again._replace(again=task.attempt + 1, asker=task.asker))
    # Doubled each time: tasks that were lost do not come, and a store that spoils pages is not asked for ever.
    patience = _SOONEST * 2.0 ** min(task.attempt, _MAX_DOUBLINGS)
    delay = min(max(patience, finalized.pending / kept.parts.policy.rate), _LATEST)
    dispatch.finalize(task._replace(attempt=task.attempt + 1), delay=delay)
    dispatch.flush()
