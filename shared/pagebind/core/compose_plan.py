"""Which compose calls turn many objects into one, where a call takes only so many sources.

A call with ``k`` sources leaves ``k - 1`` objects fewer, so no plan has fewer than ``ceil((n - 1) / (fan_in - 1))``
calls. This one has exactly that many and the least depth too: the first calls bring the number down to a power of
``fan_in``; from there on every call is full.
"""

from __future__ import annotations

from typing import NamedTuple

GCS_FAN_IN = 32
"""Sources that one compose call of Google Cloud Storage takes at most."""


class Compose(NamedTuple):
    """One call.

    Attributes:
        node: the number of its result: sources are 0 to n - 1, results go on from n; the last one is the whole.
        sources: the numbers of what it joins, in this order; neighbours in the final object.
        level: calls of one level do not need one another; each level needs the ones below. The first is 0.
    """

    node: int
    sources: tuple[int, ...]
    level: int


def plan(n_sources: int, fan_in: int = GCS_FAN_IN) -> tuple[Compose, ...]:
    """The fewest calls that join ``n_sources`` objects in order; none for a single one.

    Raises:
        ValueError: nothing to join, or calls that cannot join anything.
    """
    if n_sources < 1 or fan_in < 2:  # noqa: PLR2004 - fewer than two sources join nothing
        raise ValueError(f"cannot join {n_sources} objects by calls of {fan_in}")
    calls: list[Compose] = []
    nodes = list(range(n_sources))
    level = 0
    while len(nodes) > 1:
        joined = _level(nodes, n_sources + len(calls), level, fan_in)
        calls += joined
        taken = sum(len(call.sources) for call in joined)
        nodes = [call.node for call in joined] + nodes[taken:]
        level += 1
    return tuple(calls)


def _level(nodes: list[int], next_node: int, level: int, fan_in: int) -> list[Compose]:
    """Calls over the first nodes that leave as many as the next smaller power of ``fan_in``."""
    calls: list[Compose] = []
    surplus = len(nodes) - _power_below(len(nodes), fan_in)
    start = 0
    while surplus > 0:
        end = start + min(fan_in, surplus + 1)
        calls.append(Compose(next_node + len(calls), tuple(nodes[start:end]), level))
        surplus -= end - start - 1
        start = end
    return calls


def _power_below(count: int, base: int) -> int:
    """The largest power of ``base`` that is smaller than ``count``, which is 2 or more."""
    power = 1
    while power * base < count:
        power *= base
    return power
