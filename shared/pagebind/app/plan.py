"""Plan: a poll that only looks, and what the work that it sees would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.planner import Action, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class Rates(NamedTuple):
    """What bounds the downloads of some subscriptions together: files and bytes a second, 0 for no limit."""

    downloads_per_second: float
    bandwidth: float


def make_plan(
    poll: Poll,
    paths: Sequence[str],
    *,
    rates: Rates,
    own_rates: Mapping[str, Rates],
    limit: int | None = None,
    until: float | None = None,
) -> Plan:
    """Look, and sum up.

    Args:
        poll: one that writes nothing.
        paths: as `Poll.look`.
        rates: of all subscriptions together.
        own_rates: instead of these, for subscriptions that have their own, by path.
        limit: so many volumes are handed out at most.
        until: a time of the monotonic clock, after which no folder is listed any more.

    Raises:
        ListingFailed: no subscription's root could be listed.
        AuthRefused, ServerUnreachable, StoreError.
    """
    poll.look(paths, until=until)
    assessments = poll.step().assessments
    left_out = _beyond(limit, assessments)
    reports = [assessment.report() for assessment in assessments]
    reports = [_not_now(report) if report.volume in left_out else report for report in reports]
    to_fetch = [
        a
        for a in assessments
        if a.verdict.action in (Action.FETCH, Action.SETTLE) and a.sighting.volume not in left_out
    ]
    shared = [a for a in to_fetch if a.sighting.subscription not in own_rates]
    alone = [([a for a in to_fetch if a.sighting.subscription == path], own) for path, own in own_rates.items()]
    times = [_seconds(some, bounds) for some, bounds in [(shared, rates), *alone]]
    return Plan(
        reports,
        [*poll.survey.problems, *poll.told_of_budget(), *(report.problem for report in reports if report.problem)],
        sum(map(_pages, to_fetch)),
        sum(map(_bytes, to_fetch)),
        max((time for time in times if time is not None), default=None),
    )


def _beyond(limit: int | None, assessments: Sequence[Assessment]) -> set[str]:
    """The volumes that are due, and too many for ``limit``."""
    if limit is None:
        return set()
    due = [a.sighting.volume for a in assessments if a.verdict.action in (Action.FETCH, Action.BIND)]
    return set(due[limit:])


def _not_now(report: VolumeReport) -> VolumeReport:
    return report._replace(action=Action.NONE, reason=f"{report.reason}; left out by the limit")


def _seconds(to_fetch: Sequence[Assessment], rates: Rates) -> float | None:
    """How long these downloads take at these rates; None where nothing bounds them."""
    times = []
    if rates.downloads_per_second > 0:
        times.append(sum(map(_pages, to_fetch)) / rates.downloads_per_second)
    if rates.bandwidth > 0:
        times.append(sum(map(_bytes, to_fetch)) / rates.bandwidth)
    return max(times, default=None)


def _pages(assessment: Assessment) -> int:
    if assessment.sighting.to_ask is not None:
        return assessment.sighting.to_ask[0]
    return assessment.sighting.pages if assessment.missing is None else assessment.missing.files


def _bytes(assessment: Assessment) -> int:
    if assessment.sighting.to_ask is not None:
        return assessment.sighting.to_ask[1]
    return assessment.sighting.size if assessment.missing is None else assessment.missing.bytes
