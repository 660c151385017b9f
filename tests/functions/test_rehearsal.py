"""The whole serverless path on this machine; `tests/rehearse` is the same for people."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.rehearsal import rate
from tests.rehearsal.acts import perform
from tests.rehearsal.stage import Stage
from tests.support.servers import skipping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="groups of processes are POSIX"),
]


@pytest.fixture
def up() -> Iterator[Callable[[Stage], Stage]]:
    """Sets a stage up, or skips the test where a server is not installed."""
    with ExitStack() as resources:

        def enter(stage: Stage) -> Stage:
            with skipping():
                return resources.enter_context(stage)

        yield enter


def test_every_act_comes_true(up: Callable[[Stage], Stage], tmp_path: Path) -> None:
    perform(up(Stage(tmp_path)), print)


def test_the_rate_of_the_queue_holds_across_three_processes(up: Callable[[Stage], Stage], tmp_path: Path) -> None:
    rate.measure(up(rate.stage(tmp_path)))


def test_the_fullest_second() -> None:
    assert rate.most_in_a_second([5.0, 1.0, 1.5, 1.99, 2.0, 2.49]) == 4
