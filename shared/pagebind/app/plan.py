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


def make_plan(poll: Poll, paths: Sequence[str], *, rates: Rates, own_rates: Mapping[str, Rates]) -> Plan:
    """Look, and sum up.

    Args:
        poll: one that writes nothing.
        paths: as `Poll.look`.
        rates: of all subscriptions together.
        own_rates: instead of these, for subscriptions that have their own, by path.

    Raises:
        ListingFailed: no subscription's root could be listed.
        AuthRefused, ServerUnreachable, StoreError.
    """
    poll.look(paths)
    assessments = poll.step().assessments
    reports = [assessment.report() for assessment in assessments]
    to_fetch = [a for a in assessments if a.verdict.action in (Action.FETCH, Action.SETTLE)]
    shared = [a for a in to_fetch if a.sighting.subscription not in own_rates]
    alone = [([a for a in to_fetch if a.sighting.subscription == path], own) for path, own in own_rates.items()]
    times = [_seconds(some, bounds) for some, bounds in [(shared, rates), *alone]]
    return Plan(
        reports,
        [*poll.survey.problems, *(report.problem for report in reports if report.problem)],
        sum(map(_pages, to_fetch)),
        sum(map(_bytes, to_fetch)),
        max((time for time in times if time is not None), default=None),
    )


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
