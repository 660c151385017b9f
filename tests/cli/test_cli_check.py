"""`pagebind status --check`: the exit status is the answer."""

from __future__ import annotations

import pytest
from tests.cli import shapes
from tests.cli.command import Home, end, until


def test_before_any_run(home: Home) -> None:
    answer = home.call("status", "--check")
    assert (answer.status, answer.out) == (1, "")
    assert answer.line.startswith("problem: no run has ended yet (")
    assert not home.store.exists()


def test_after_a_good_run_also_without_the_server(bound: Home) -> None:
    (bound.library / "A" / "Vol 1.cbz").unlink()
    bound.server.faults.add("status", code=500)
    before = bound.server.count()
    answer = bound.call("status", "--check", "--json")
    assert (answer.status, answer.err) == (0, "")
    shapes.check("status", answer.document)
    assert (answer.document["volumes"], answer.document["problems"]) == ([], [])
    assert answer.document["last_run"]["error"] is None
    assert bound.server.count() == before
    assert bound.call("status", "--check", "--quiet").out == ""


def test_too_long_ago(bound: Home) -> None:
    answer = bound.call("status", "--check", "--max-age", "0.001s", "--json")
    assert answer.status == 1
    shapes.check("status", answer.document)
    assert answer.document["volumes"] == []
    assert answer.document["problems"][0]["message"].startswith("no run has ended since ")


def test_after_a_run_that_failed(home: Home) -> None:
    home.server.faults.add("status", code=401, on="list")
    assert home.call("run", "--quiet").status == 1
    answer = home.call("status", "--check")
    assert (answer.status, answer.out) == (1, "")
    assert "the last one failed: " in answer.line


def test_while_a_run_is_at_work(home: Home) -> None:
    gate = home.shut()
    run = home.spawn("run", "--quiet")
    until(lambda: gate.asked > 0)
    assert home.call("status", "--check").status == 0
    gate.opened.set()
    assert end(run).status == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--max-age", "2h"),
        ("--check", "--max-age", "old"),
        ("--check", "--max-age", "0"),
        ("--check", "--max-age", "4000d"),
        ("--check", "A/*"),
    ],
)
def test_words_that_mean_nothing(bound: Home, words: tuple[str, ...]) -> None:
    answer = bound.call("status", "--json", *words)
    assert answer.status == 2
    shapes.check("status", answer.document)
    assert [problem["code"] for problem in answer.document["problems"]] == ["usage"]
