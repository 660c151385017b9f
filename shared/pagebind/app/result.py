"""What a run did, and the shapes in which ``--json`` and the functions tell it: the contract with machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pagebind.app.report import problem_of
from pagebind.core.planner import State

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from pagebind.app.assess import Assessment
    from pagebind.app.plan import Plan
    from pagebind.app.report import VolumeReport
    from pagebind.core.planner import Problem
    from pagebind.errors import PagebindError


@dataclass(slots=True)
class RunResult:
    """What a run did. Each volume stands in exactly one list.

    ``error`` is what ended the run early; ``interrupted``: a signal did, so that it neither succeeded nor failed.
    """

    bound: list[VolumeReport] = field(default_factory=list)
    up_to_date: list[VolumeReport] = field(default_factory=list)
    waiting: list[VolumeReport] = field(default_factory=list)
    held: list[VolumeReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    pages_fetched: int = 0
    pages_reused: int = 0
    bytes_fetched: int = 0
    seconds: float = 0.0
    error: PagebindError | None = None
    interrupted: bool = False

    def file(self, report: VolumeReport, bound: Container[str] = ()) -> None:
        """Put a volume into its list. ``bound``: ids of those that this run has bound."""
        match report.state:
            case State.BOUND:
                (self.bound if report.volume in bound else self.up_to_date).append(report)
            case State.HELD:
                self.held.append(report)
            case _:
                self.waiting.append(report)


def all_problems(
    error: PagebindError | None,
    unlisted: Iterable[Problem],
    failures: Iterable[Problem],
    assessments: Iterable[Assessment],
) -> list[Problem]:
    """Everything that a person should know of, each once: what ended the run, folders, pages, held volumes."""
    found = [
        *([problem_of(error)] if error else ()),
        *(problem for problem in unlisted if not error or not problem.message.endswith(error.message)),
        *failures,
        *(a.verdict.problem for a in assessments if a.verdict.problem),
    ]
    return list(dict.fromkeys(found))


def run_document(result: RunResult) -> dict[str, Any]:
    """What a run did, as one document; each has ``"schema": 1`` in front."""
    lists = {name: getattr(result, name) for name in ("bound", "up_to_date", "waiting", "held")}
    return {
        **{name: [report.document() for report in reports] for name, reports in lists.items()},
        "problems": problems(result.problems),
        "pages_fetched": result.pages_fetched,
        "pages_reused": result.pages_reused,
        "bytes_fetched": result.bytes_fetched,
        "seconds": result.seconds,
    }


def problems(found: Sequence[Problem]) -> list[dict[str, Any]]:
    """Problems as they stand in every document."""
    return [problem._asdict() for problem in found]


def plan_document(made: Plan) -> dict[str, Any]:
    """What a run would do, as one document."""
    return {
        "volumes": [report.document() for report in made.volumes],
        "problems": problems(made.problems),
        "requests": made.requests,
        "bytes": made.bytes,
        "seconds": made.seconds,
    }


EMPTY_RUN = run_document(RunResult())
EMPTY_PLAN: dict[str, Any] = {"volumes": [], "problems": [], "requests": 0, "bytes": 0, "seconds": None}
"""The documents of what failed before it had anything to say."""
