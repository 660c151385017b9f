"""Plan: a poll that only looks, and what the work that it sees would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.planner import Action, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.app.assess import Assessment
    from pagebind.app.poll import Poll
    from pagebind.app.report import VolumeReport


class Plan(NamedTuple):
    """What a run would do now and later: downloads, their bytes, and their seconds at the set rates (None: no rate)."""

    volumes: list[VolumeReport]
    problems: list[Problem]
    requests: int
    bytes: int
    seconds: float | None


def make_plan(poll: Poll, paths: Sequence[str], *, downloads_per_second: float, bandwidth: float) -> Plan:
    """Look, and sum up.

    Raises:
        ListingFailed: no subscription's root could be listed.
        AuthRefused, ServerUnreachable, StoreError.
    """
    poll.look(paths)
    assessments = poll.step().assessments
    reports = [assessment.report() for assessment in assessments]
    to_fetch = [a for a in assessments if a.verdict.action in (Action.FETCH, Action.SETTLE)]
    requests = sum(_pages(a) for a in to_fetch)
    size = sum(_bytes(a) for a in to_fetch)
    times = [
        requests / downloads_per_second if downloads_per_second > 0 else None,
        size / bandwidth if bandwidth > 0 else None,
    ]
    return Plan(
        reports,
        [*poll.survey.problems, *(report.problem for report in reports if report.problem)],
        requests,
        size,
        max((time for time in times if time is not None), default=None),
    )


def _pages(assessment: Assessment) -> int:
    return assessment.sighting.pages if assessment.missing is None else len(assessment.missing)


def _bytes(assessment: Assessment) -> int:
    missing, content = assessment.missing, assessment.sighting.content
    if missing is None or content is None:
        return assessment.sighting.size
    wanted = set(missing)
    return sum(page.size for page in content if page.id in wanted)
