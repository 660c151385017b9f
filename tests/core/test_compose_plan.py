from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pagebind.core.compose_plan import Compose, plan


def leaves(calls: tuple[Compose, ...], n_sources: int) -> list[int]:
    """The sources in the order in which they stand in the whole, by carrying the calls out."""
    content = {number: [number] for number in range(n_sources)}
    for call in calls:
        content[call.node] = [leaf for source in call.sources for leaf in content[source]]
    return content[calls[-1].node] if calls else content[0]


@given(n_sources=st.integers(1, 5000), fan_in=st.integers(2, 40))
@example(n_sources=1023, fan_in=32)
@example(n_sources=1024, fan_in=32)
@example(n_sources=1025, fan_in=32)
def test_any_number_is_joined_in_order_by_the_fewest_calls(n_sources: int, fan_in: int) -> None:
    calls = plan(n_sources, fan_in)

    assert leaves(calls, n_sources) == list(range(n_sources))
    assert len(calls) == -(-(n_sources - 1) // (fan_in - 1))
    assert all(2 <= len(call.sources) <= fan_in for call in calls)


@given(n_sources=st.integers(2, 5000), fan_in=st.integers(2, 40))
def test_every_node_is_made_before_it_is_used_and_used_once(n_sources: int, fan_in: int) -> None:
    calls = plan(n_sources, fan_in)

    used = Counter(source for call in calls for source in call.sources)
    assert [call.node for call in calls] == list(range(n_sources, n_sources + len(calls)))
    assert used == Counter(range(n_sources + len(calls) - 1))


@given(n_sources=st.integers(2, 5000), fan_in=st.integers(2, 40))
@example(n_sources=1023, fan_in=32)
def test_calls_of_a_level_need_only_lower_ones_and_levels_are_as_few_as_can_be(n_sources: int, fan_in: int) -> None:
    calls = plan(n_sources, fan_in)

    level_of = dict.fromkeys(range(n_sources), -1) | {call.node: call.level for call in calls}
    assert all(level_of[source] < call.level for call in calls for source in call.sources)
    depth = calls[-1].level + 1
    assert fan_in ** (depth - 1) < n_sources <= fan_in**depth


@pytest.mark.parametrize(("pages", "calls"), [(1, 1), (31, 1), (32, 2), (200, 7), (1000, 33), (65_600, 2117)])
def test_pages_and_a_tail_need_no_more_calls_than_promised(pages: int, calls: int) -> None:
    assert len(plan(pages + 1)) == calls == -(-pages // 31)


@pytest.mark.parametrize(("n_sources", "fan_in"), [(0, 32), (-1, 32), (5, 1)])
def test_what_cannot_be_joined_is_refused(n_sources: int, fan_in: int) -> None:
    with pytest.raises(ValueError, match="cannot join"):
        plan(n_sources, fan_in)
