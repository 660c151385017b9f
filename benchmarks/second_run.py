"""What a run costs that finds nothing new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import Result, compare, place, run_child, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOLUMES, _PAGES = 500, 20


def second_run() -> Iterator[Result]:
    """500 volumes that are bound already."""
    with place() as folder, serving(f"{_VOLUMES}x{_PAGES}x400") as server:
        server.pagebind(folder, "run", "--settle", "0", "--quiet")
        server.requests()
        counter = str(Path(__file__).with_name("counted_run.py"))
        counted = json.loads(run_child([counter, str(server.config(folder))], server.env).out)
        own = len(server.requests())
        server.walk()
        theirs = len(server.requests())
        found = compare(
            lambda: server.pagebind(folder, "run", "--settle", "0", "--quiet"),
            server.walk,
            rounds=7,
        )
    assert counted["up_to_date"] == _VOLUMES
    about = f"second `run`, {_VOLUMES} bound volumes of {_PAGES} pages"
    listed = counted["listed"]
    most = max(listed.values())
    yield Result(f"{about}: requests, of the bare client's", own / theirs, 1.0, " times", f"{own} and {theirs}")
    yield Result(f"{about}: store listings of one prefix", most, 1, "", ", ".join(sorted(listed)))
    yield Result(
        f"{about}: other calls of the stores", sum(counted["called"].values()), 2, "", json.dumps(counted["called"])
    )
    yield Result(f"{about}: files opened in the stores", counted["opened"], 4, "", "the lock, and what writes `runs/`")
    yield Result(f"{about}: time of the bare client", found.ours / found.bare, 1.6, " times", found.detail)
