"""Ten kills of a small run; `python -m tests.e2e.kill` does a hundred of a larger one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.e2e.kill import FINALIZE, Plan, campaign

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_a_run_that_was_killed_and_started_again_makes_the_books_of_an_undisturbed_one(tmp_path: Path) -> None:
    findings = campaign(Plan(volumes=6, pages=15), 10, tmp_path, aimed=0.4)

    hit = {phase for phase, times in findings.phases.items() if times}
    assert {"poll", "fetch"} <= hit, findings.histogram()
    assert hit & set(FINALIZE), findings.histogram()
