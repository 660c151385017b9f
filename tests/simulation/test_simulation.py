"""A thousand worlds keep every rule, and each rule is broken by the mistake that it is there for."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.simulation.__main__ import main
from tests.simulation.mistakes import MISTAKES
from tests.simulation.schedule import EndlessError, Schedule
from tests.simulation.simulate import simulate, told
from tests.support.paths import REPOSITORY

from pagebind.app.poll import Poll
from pagebind.core.keys import volume_id

if TYPE_CHECKING:
    from tests.simulation.simulate import Outcome

SEEDS = 1000
_AT_ONCE = 100

FOUND = {
    "no_precondition": (289, "no_book_lost"),
    "receipt_before_book": (9, "bound_or_held"),
    "staging_cleared_before_the_receipt": (0, "no_entry_lost"),
    "library_version_read_late": (289, "no_book_lost"),
    "fixed_finalize_name": (8, "bound_or_held"),
    "clearing_across_revisions": (14, "no_entry_lost"),
    "sent_after_the_tasks": (463, "no_flood_of_tasks"),
    "a_b_a_ignored": (13, "bound_or_held"),
    "decision_waits_for_the_next_epoch": (10, "decision_takes_effect"),
    "always_due": (12, "no_flood_of_epochs"),
    "never_cleared": (0, "staging_ends_empty"),
    "no_back_pressure": (17, "back_pressure_is_kept"),
    "settled_by_when_it_is_judged": (4001, "one_settled_revision"),
    "retry_does_nothing": (1, "decision_takes_effect"),
    "without_missing_does_nothing": (7, "decision_takes_effect"),
    "staged_is_asked_for_again": (1, "what_is_staged_is_kept"),
    "accept_shrink_does_nothing": (3, "decision_takes_effect"),
    "replace_does_nothing": (3, "decision_takes_effect"),
    "forget_does_nothing": (11, "no_book_of_what_is_forgotten"),
}
"""The first seed that finds each mistake, and the rule that it breaks. When worlds are drawn otherwise they are others:
`tests/simulate --seeds 1000 --mistake NAME` tells which."""


LEAST = {
    "decided: retry": 20,
    "decided: without_missing": 5,
    "decided: accept_shrink": 5,
    "decided: replace": 20,
    "decided: forget": 10,
    "decided: delete": 1,
    "a decision that is refused": 20,
    "a book without what was waived": 3,
    "held: page_failed": 50,
    "held: shrunk": 30,
    "held: foreign": 30,
    "held: changed": 5,
    "held: removed": 5,
    "a death": 50,
    "a refusal": 10,
    "a lost answer": 50,
    "a stall": 200,
    "a late delivery": 30,
    "a second delivery": 30,
    "a listing without an answer": 3,
    "a listing that fails": 3,
    "a listing that lacks files": 1,
    "a download: not to be had": 100,
    "a book that is changed": 20,
    "a book that is removed": 3,
    "a leap": 5,
    **dict.fromkeys((f"drive: {what}" for what in ("add", "replace", "remove", "break", "gone", "revert", "back")), 5),
}
"""So much happens at least in each hundred of worlds: what does not happen is not shown to be harmless."""

_MOST_WITHOUT_A_BOOK = 15
"""So many of a hundred worlds publish nothing at most."""


def in_words(outcome: Outcome) -> str:
    """What a failing seed prints."""
    assert outcome.broken is not None
    trace = "\n".join([*told(outcome)][-60:])
    found = f"seed {outcome.seed} breaks {outcome.broken.rule}: {outcome.broken.what}"
    return f"{found}\nall of it: tests/simulate --replay {outcome.seed}\n{trace}"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, _AT_ONCE))
def test_a_thousand_worlds_keep_every_rule(first: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first, first + _AT_ONCE):
        outcome = simulate(seed)
        assert outcome.broken is None, in_words(outcome)
        counts += outcome.counts
        counts["a world without a book"] += not outcome.books

    assert {what: counts[what] for what, least in LEAST.items() if counts[what] < least} == {}
    assert counts["a world without a book"] <= _MOST_WITHOUT_A_BOOK


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found(mistake: str) -> None:
    seed, rule = FOUND[mistake]

    made = simulate(seed, mistake)

    assert made.broken is not None
    assert made.broken.rule == rule
    assert simulate(seed).broken is None


@pytest.mark.parametrize("seed", [3, 54])
def test_a_seed_is_the_same_world_in_every_process(seed: int) -> None:
    def world(hash_seed: str) -> str:
        words = [sys.executable, "-m", "tests.simulation", "--replay", str(seed)]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout

    first = world("1")

    assert len(first.splitlines()) > 100
    assert world("2") == first


def test_an_exception_is_a_finding_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(Poll, "_send", fails)

    made = simulate(7)

    assert made.broken is not None
    assert made.broken.rule == "exception"
    assert "ZeroDivisionError: of the test, in fails" in in_words(made)
    assert "tests/simulate --replay 7" in in_words(made)


def test_a_world_without_end_comes_to_one() -> None:
    schedule = Schedule(random.Random(0), 0.0)

    def again() -> None:
        schedule.at(schedule.now + 1.0, again)

    again()

    with pytest.raises(EndlessError):
        schedule.run()


def test_the_command_counts_and_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3", "--jobs", "1", "--first", "5"]) == 0

    told_ = capsys.readouterr().out
    assert "3 worlds, seeds 5 to 7: " in told_
    assert "Every rule held in each of them." in told_


def test_the_command_tells_how_to_replay_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    mistake = "staging_cleared_before_the_receipt"
    seed, rule = FOUND[mistake]
    assert main(["--seeds", "1", "--first", str(seed), "--mistake", mistake, "--jobs", "1"]) == 1

    found = capsys.readouterr().out
    assert f"seed {seed} breaks {rule}: " in found
    assert f"tests/simulate --replay {seed} --mistake {mistake}" in found
    assert main(["--replay", str(seed), "--mistake", mistake]) == 1
    replayed = capsys.readouterr().out
    assert "BROKEN" in replayed
    assert f"{volume_id('/c/S/1')} is /c/S/1" in replayed
