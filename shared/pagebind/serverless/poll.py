"""The function that looks at the server: by a schedule, or because somebody asks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pagebind import logs
from pagebind.app.result import EMPTY_PLAN, EMPTY_RUN, plan_document, run_document
from pagebind.errors import AuthRefused, PagebindError, UsageError
from pagebind.serverless import requests
from pagebind.serverless.answers import Answer, done, to_people
from pagebind.serverless.requests import PollRequest

if TYPE_CHECKING:
    from flask import Request

    from pagebind.app.result import RunResult
    from pagebind.serverless.instance import Instance, Kept

log = logging.getLogger(__name__)


def answer(request: Request, instance: Instance) -> Answer:
    """Poll, or with ``dry_run`` only plan. An error stands in the same document, which is empty but for it."""
    asked = PollRequest()
    with logs.traced(request.headers):
        try:
            asked = requests.poll_request(request)
            return _poll(asked, instance)
        except PagebindError as error:
            if not isinstance(error, UsageError):
                _tell(error)
            answered = to_people(error)
            empty = EMPTY_PLAN if asked.dry_run else EMPTY_RUN
            return answered._replace(document={**empty, **answered.document})


def _poll(asked: PollRequest, instance: Instance) -> Answer:
    kept = instance.for_poll()
    try:
        if asked.dry_run:
            return _plan(asked, kept)
        result = _run(asked, kept)
    except AuthRefused:
        kept.note_refusal()
        raise
    if result.error is None:
        _sum_up(result)
        return done(run_document(result))
    if isinstance(result.error, AuthRefused):
        kept.note_refusal()
    _tell(result.error)
    return to_people(result.error)._replace(document=run_document(result))


def _plan(asked: PollRequest, kept: Kept) -> Answer:
    from pagebind import wiring
    from pagebind.app import select
    from pagebind.app.plan import make_plan

    parts = kept.parts
    rates, own_rates = wiring.download_rates(parts.settings)
    made = make_plan(
        parts.plan(),
        select.paths(asked.paths, parts.watches),
        rates=rates,
        own_rates=own_rates,
        limit=asked.limit,
        until=parts.clock.monotonic() + parts.settings.poll.budget,
    )
    return done(plan_document(made))


def _run(asked: PollRequest, kept: Kept) -> RunResult:
    """Hand out to the queues or, where there are none, do all of it here."""
    parts = kept.parts
    paths: tuple[str, ...] = ()
    if asked.paths:
        from pagebind.app import select

        paths = select.paths(asked.paths, parts.watches)
    if parts.settings.queue.fetch is not None:
        from pagebind.serverless.hand_out import hand_out

        return hand_out(kept, paths, asked.limit)
    from pagebind.local import Runner, RunRequest

    return Runner(parts, lambda: parts.run_lock(_tell_of_another)).run(RunRequest(paths, asked.limit))


def _tell_of_another() -> None:
    log.info("waiting for another run")


def _tell(error: PagebindError) -> None:
    log.error("poll failed", extra={"code": error.code, "reason": error.message, "fix": error.fix})


def _sum_up(result: RunResult) -> None:
    """One line for each volume that waits for a decision, and one for the poll."""
    for report in result.held:
        code = report.problem.code if report.problem else ""
        about = {"volume": report.volume, "seq": report.seq, "key": report.key, "code": code, "reason": report.reason}
        log.warning("held", extra=about)
    log.info(
        "poll ended",
        extra={
            "bound": len(result.bound),
            "up_to_date": len(result.up_to_date),
            "waiting": len(result.waiting),
            "held": len(result.held),
            "problems": len(result.problems),
            "seconds": result.seconds,
        },
    )
