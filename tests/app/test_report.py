"""Times as machines get to see them."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.app.report import rfc3339


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (None, None),
        (1_800_000_000.9, "2027-01-15T08:00:00Z"),
        (99_999_999 * 86_400.0, "9999-12-31T23:59:59Z"),
        (-99_999_999 * 86_400.0, "0001-01-01T00:00:00Z"),
        (float("inf"), "9999-12-31T23:59:59Z"),
        (float("nan"), "0001-01-01T00:00:00Z"),
    ],
)
def test_a_moment(instant: float | None, text: str | None) -> None:
    assert rfc3339(instant) == text


@given(st.floats())
def test_any_number_is_one(instant: float) -> None:
    text = rfc3339(instant)
    assert text is not None
    assert datetime.fromisoformat(text).tzinfo is not None
