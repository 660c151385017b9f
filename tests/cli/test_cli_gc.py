"""`pagebind gc`: what it says, and that it is never beside a run."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.cli import shapes
from tests.cli.command import Home, end, until

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400.0


def old_run(home: Home) -> Path:
    """The record of a run, 100 days ago."""
    inverted = 10**13 - 1 - int((time.time() - 100 * DAY) * 1000)
    record = home.store / "runs" / f"{inverted:013d}.0.json"
    record.write_bytes(b"{}")
    return record


def old_page(home: Home) -> Path:
    page = home.store / "staging" / "lost-1" / "p.entry"
    page.parent.mkdir(parents=True)
    page.write_bytes(b"12345")
    then = time.time() - 40 * DAY
    os.utime(page, (then, then))
    return page


def test_what_it_removes_and_says(bound: Home) -> None:
    needless = [old_run(bound), old_page(bound)]
    books = bound.books()

    said = bound.call("gc", "--dry-run")
    assert (said.status, said.out) == (0, "would remove 1 staged page, 1 run (7 B at least)\n")
    assert all(file.exists() for file in needless)

    answer = bound.call("gc", "--json")
    assert (answer.status, answer.err) == (0, "")
    shapes.check("gc", answer.document)
    assert answer.document["removed"] == {
        "manifests": 0,
        "sent": 0,
        "failures": 0,
        "receipts": 0,
        "entries": 1,
        "runs": 1,
        "notices": 0,
        "hooks": 0,
    }
    assert answer.document["bytes"] == 7
    assert not any(file.exists() for file in needless)
    assert bound.call("gc").out == "nothing to remove\n"
    assert bound.books() == books
    assert bound.call("run", "--json").document["pages_fetched"] == 0


def test_it_waits_for_a_run(home: Home) -> None:
    gate = home.shut()
    run = home.spawn("run", "--quiet")
    until(lambda: gate.asked > 0)
    process = home.spawn("gc", "--json")
    assert process.stderr is not None
    assert b"another run is at work" in process.stderr.readline()
    assert process.poll() is None
    gate.opened.set()
    assert end(run).status == 0
    assert end(process).document["removed"]["runs"] == 0


def test_a_damaged_manifest_is_told_of(bound: Home) -> None:
    (manifest,) = (bound.store / "manifests").glob("a-*/*.json")
    manifest.write_bytes(b"{")
    page = bound.store / "staging" / manifest.parent.name / "p.entry"
    page.parent.mkdir(parents=True)
    page.write_bytes(b"12345")
    os.utime(page, (0, 0))

    answer = bound.call("gc")

    assert answer.status == 3
    assert answer.line.startswith("problem: manifests/a-")
    assert page.exists()
