"""How slow is too slow."""

from __future__ import annotations

import pytest

from pagebind.adapters.alist.meter import Meter


@pytest.mark.parametrize(
    ("steps", "enough"),
    [
        ([(59.9, 0)], True),  # silence is the time-out's business
        ([(59.0, 1), (1.0, 1)], False),
        ([(60.0, 60 * 1024)], True),
        ([(60.0, 60 * 1024 - 1)], False),
        ([(1.0, 1024)] * 600, True),
        ([(1.0, 1023)] * 60, False),
        ([(0.0, 1)] * 1000, True),  # what comes at once is never too slow
        ([(1.0, 10_000_000)] + [(1.0, 1)] * 118, True),  # what came before counts within its window alone
        ([(1.0, 10_000_000)] + [(1.0, 1)] * 119, False),
        ([(0.5, 300)] * 119 + [(0.5, 60_000)], True),  # a slow beginning, made up for
    ],
)
def test_a_window_of_a_minute(steps: list[tuple[float, int]], enough: bool) -> None:
    meter = Meter(60)
    answers = [meter.is_enough(*step) for step in steps]
    assert answers == [True] * (len(steps) - 1) + [enough]
