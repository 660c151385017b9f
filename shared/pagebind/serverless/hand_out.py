"""One poll that hands out to queues: inside its budget, from where the one before it stopped."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from pagebind.app.poll import Round, record_run
from pagebind.app.result import RunResult, all_problems
from pagebind.app.runs import newest_cursor
from pagebind.errors import PagebindError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.app.poll import Poll
    from pagebind.serverless.instance import Kept
    from pagebind.wiring import Parts

log = logging.getLogger(__name__)

_TO_WALK = 0.75
"""This part of the budget may go by while the server is listed."""

_TO_HAND_OUT = 0.85
"""When this part has gone by no further volume is handed out: the last one has to be queued, and all written down."""


def hand_out(kept: Kept, paths: Sequence[str], limit: int | None) -> RunResult:
    """Poll once, and tell what is new. An error that ends it is in the result, with what was done before.

    Args:
        kept: what it works with.
        paths: on the server; none: everything that is subscribed.
        limit: hand out at most so many volumes.
    """
    parts = kept.parts
    clock = parts.clock
    begun, started = clock.monotonic(), clock.now()
    budget = parts.settings.poll.budget
    result = RunResult()
    found: str | None = None
    done = Round([], 0, queued=False)
    poll = parts.poll(kept.dispatch, write=True)
    try:
        found = None if paths else newest_cursor(parts.work, started)
        poll.look(
            paths,
            cursor=found or "",
            until=begun + _TO_WALK * budget,
            listings=parts.settings.poll.listings or None,
            config=kept.configuration.digest,
        )
        done = poll.step(limit, until=begun + _TO_HAND_OUT * budget)
    except PagebindError as error:
        result.error = error
        with suppress(PagebindError):  # what was given is still queued; the poll has failed anyway
            kept.dispatch.flush()
    for assessment in done.assessments:
        result.file(assessment.report())
    cut_short = poll.told_of_budget() if paths else ()  # else the next poll goes on there
    result.problems = all_problems(result.error, poll.survey.problems, cut_short, done.assessments)
    if not isinstance(result.error, StoreError):
        # A poll that failed has handed out only some of what is due: the next one begins where it began.
        _write_down(parts, poll, started, done, result, cursor=poll.cursor if result.error is None else found)
    result.seconds = round(clock.monotonic() - begun, 3)
    if parts.settings.anybody_is_told:
        from pagebind.app import notices

        notices.tell(parts.news, parts.work, clock, notices.Run(poll, done.assessments, result.error, paths))
    return result


def _write_down(
    parts: Parts,
    poll: Poll,
    started: float,
    done: Round,
    result: RunResult,
    *,
    cursor: str | None,
) -> None:
    """Record the poll; then take away a little of what no state needs any more.

    A poll with nothing new leaves that to one which has something: so it lists every prefix once, and no more.
    """
    record_run(
        parts.work,
        parts.clock,
        started=started,
        assessments=done.assessments,
        problems=result.problems,
        error=result.error,
        complete=poll.complete,
        cursor=cursor,
        walked=poll.walked,
    )
    if result.error is not None or not done.queued:
        return
    from pagebind.app.gc import collect_after

    try:
        collect_after(parts.work, done.assessments, parts.clock.now(), epochs=parts.policy.give_up_epochs)
    except StoreError as error:
        log.warning("not tidied", extra={"code": error.code, "reason": error.message})
