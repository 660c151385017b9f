"""The shapes of ``--json``: the contract with machines. Each document has ``"schema": 1`` in front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.core.planner import Problem
    from pagebind.local import RunResult

_RUN: dict[str, Any] = {
    "bound": [],
    "up_to_date": [],
    "waiting": [],
    "held": [],
    "problems": [],
    "pages_fetched": 0,
    "pages_reused": 0,
    "bytes_fetched": 0,
    "seconds": 0.0,
}

REMOVED = ("manifests", "sent", "failures", "receipts", "entries", "runs")
"""What `gc` counts."""

EMPTY: dict[str, dict[str, Any]] = {
    "init": {"config": None, "problems": []},
    "doctor": {"checks": [], "problems": []},
    "plan": {"volumes": [], "problems": [], "requests": 0, "bytes": 0, "seconds": None},
    "run": _RUN,
    "serve": _RUN,
    "status": {"volumes": [], "problems": [], "last_run": None},
    "verify": {"books": [], "problems": []},
    "retry": {"decided": [], **_RUN},
    "bind": {"decided": [], **_RUN},
    "forget": {"decided": [], **_RUN},
    "gc": {"removed": dict.fromkeys(REMOVED, 0), "bytes": 0, "problems": []},
    "demo": _RUN,
}
"""Each subcommand's document before it has anything to say."""


def run_document(result: RunResult) -> dict[str, Any]:
    """The document of `run` and `demo`."""
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
