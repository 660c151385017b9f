"""A thousand worlds keep every rule, and each rule is broken by the mistake that it is there for."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.simulation.__main__ import main
from tests.simulation.mistakes import MISTAKES
from tests.simulation.simulate import simulate, told
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from tests.simulation.simulate import Outcome

SEEDS = 1000
_AT_ONCE = 100

FOUND = {
    "no_precondition": (94, "never_older"),
    "receipt_before_book": (38, "bound_or_held"),
    "staging_cleared_before_the_receipt": (0, "no_entry_lost"),
    "library_version_read_late": (158, "no_book_lost"),
    "fixed_finalize_name": (6, "bound_or_held"),
    "clearing_across_revisions": (61, "no_entry_lost"),
    "sent_after_the_tasks": (111, "no_flood_of_tasks"),
    "a_b_a_ignored": (4, "bound_or_held"),
}
"""The first seed that finds each mistake, and the rule that it breaks. When worlds are drawn otherwise they are others:
`tests/simulate --seeds 1000 --mistake NAME` tells which."""


def in_words(outcome: Outcome) -> str:
    """What a failing seed prints."""
    assert outcome.broken is not None
    trace = "\n".join([*told(outcome)][-60:])
    found = f"seed {outcome.seed} breaks {outcome.broken.rule}: {outcome.broken.what}"
    return f"{found}\nall of it: tests/simulate --replay {outcome.seed}\n{trace}"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, _AT_ONCE))
def test_a_thousand_worlds_keep_every_rule(first: int) -> None:
    for seed in range(first, first + _AT_ONCE):
        outcome = simulate(seed)
        assert outcome.broken is None, in_words(outcome)


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
    assert "BROKEN" in capsys.readouterr().out
