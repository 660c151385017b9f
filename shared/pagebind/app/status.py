"""Status: where every volume stands, from the stores alone; the server is not asked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.app import inventory as inventories
from pagebind.app import runs as records
from pagebind.app.assess import Assessor
from pagebind.app.inventory import CLOCK_TOLERANCE, load_manifest
from pagebind.app.report import VolumeReport, problem_of
from pagebind.app.sighting import Sighting, remembered
from pagebind.core.planner import PASSED_BY, Action, Policy, Problem, Seen, State
from pagebind.errors import KeyMissing, PageFailed

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from pagebind.ports.clock import Clock
    from pagebind.ports.store import Store


class Status(NamedTuple):
    """All volumes by path, damaged objects, and the record of the last run as written (None: there was none)."""

    volumes: list[VolumeReport]
    damaged: list[Problem]
    last_run: Mapping[str, Any] | None


def status(work: Store, library: Store, policy: Policy, clock: Clock, existing: Mapping[str, str]) -> Status:
    """Where every volume stands.

    What only a walk can tell (gone, ignored, shrunk) is taken from the records of the last runs, back to where
    everything had been walked. ``existing``: what each subscription, by its path, does with books that Pagebind did not
    make.
    """
    inventory = inventories.take(work, library)
    runs = list(records.whole_round(work, clock.now() + CLOCK_TOLERANCE))
    last = runs[0] if runs else None
    told = records.told_by(runs)
    sightings: dict[str, Sighting] = {}
    damaged: list[Problem] = []
    for volume, history in inventory.volumes.items():
        head = history.head
        if head is not None:
            try:
                sightings[volume] = remembered(load_manifest(work, volume, head), Seen.UNKNOWN)
            except KeyMissing as error:
                damaged.append(problem_of(error))
    assessments = Assessor(work, library, policy, existing, set()).assess(sightings, inventory, clock.now())
    reports = [_with_last_run(a.report(), told.pop(a.sighting.volume, None)) for a in assessments]
    reports += [_report(entry) for entry in told.values() if entry["state"] in PASSED_BY]
    failed = _failed_pages(last, {report.path for report in reports})
    reports = [_with_failed_page(report, failed) for report in reports]
    return Status(sorted(reports, key=lambda report: report.path), damaged, last)


def _with_last_run(report: VolumeReport, told: Mapping[str, Any] | None) -> VolumeReport:
    if told is None or (report.state is State.BOUND and told["state"] not in PASSED_BY):
        return report
    same = told["seq"] == report.seq
    if told["state"] in PASSED_BY or (same and told["state"] == State.HELD and report.state is not State.HELD):
        problem = Problem(**told["problem"]) if told["problem"] else None
        return report._replace(
            state=State(told["state"]), action=Action(told["action"]), reason=told["reason"], problem=problem
        )
    if same and told["state"] == report.state:
        return report._replace(
            reason=told["reason"],
            action=Action(told["action"]),
            settles_at=report.settles_at if told["settles_at"] is None else _instant(told["settles_at"]),
            problem=report.problem or (Problem(**told["problem"]) if told["problem"] else None),
        )
    return report


def _failed_pages(last: Mapping[str, Any] | None, volumes: Container[str]) -> dict[str, Problem]:
    """Why pages failed in the last run: one problem for each volume, by its path.

    A page lies in its volume's folder or, where chapters are merged, below it; an archive is its volume.
    """
    problems = [Problem(**problem) for problem in (last or {}).get("problems", [])]
    failed = {}
    for problem in reversed(problems):
        path = problem.path or ""
        while path and path not in volumes:
            path = path.rpartition("/")[0]
        if problem.code == PageFailed.code and path:
            failed[path] = problem
    return failed


def _with_failed_page(report: VolumeReport, failed: Mapping[str, Problem]) -> VolumeReport:
    if report.state is State.FETCHING and report.problem is None:
        return report._replace(problem=failed.get(report.path))
    return report


def _report(told: Mapping[str, Any]) -> VolumeReport:
    return VolumeReport(
        told["volume"],
        told["path"],
        told["key"],
        State(told["state"]),
        told["seq"],
        told["revision"],
        told["pages"],
        told["staged"],
        told["bytes"],
        _instant(told["settles_at"]),
        _instant(told["bound_at"]),
        Action(told["action"]),
        told["reason"],
        Problem(**told["problem"]) if told["problem"] else None,
    )


def _instant(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
