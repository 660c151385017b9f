"""The machine's clocks."""

from __future__ import annotations

import threading

import pytest

from pagebind.adapters.clock import SystemClock


@pytest.mark.parametrize("seconds", [9_999_999 * 86_400.0, float("inf")])
def test_a_wait_that_is_longer_than_the_machine_can_is_a_long_one(seconds: float) -> None:
    clock = SystemClock()
    waiting = threading.Thread(target=clock.wait, args=(seconds,), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()

    clock.cancel()

    waiting.join(10)
    assert not waiting.is_alive()
