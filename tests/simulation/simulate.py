"""From a seed to what came of it."""

from __future__ import annotations

import logging
import random
import uuid
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

import stamina
from tests.simulation.green import threads
from tests.simulation.mistakes import MISTAKES
from tests.simulation.profile import draw
from tests.simulation.world import World

from pagebind.adapters.stores.retrying import ATTEMPTS
from pagebind.core import keys

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from tests.simulation.profile import Profile
    from tests.simulation.rules import Broken
    from tests.simulation.schedule import Line


class Outcome(NamedTuple):
    """What came of a seed: the rule that was broken, or None; all that happened, and what of it how often.

    ``volumes``: the path of each by its id.
    """

    seed: int
    profile: Profile
    broken: Broken | None
    trace: list[Line]
    books: int
    tasks: int
    counts: Counter[str]
    volumes: dict[str, str]


def simulate(seed: int, mistake: str | None = None) -> Outcome:
    """Let the world of a seed live, perhaps with a mistake switched on, and see."""
    dice = random.Random(seed)
    profile = draw(dice)
    world = World(dice, profile)
    with _determined(dice), threads(world.schedule), MISTAKES[mistake]() if mistake else nullcontext():
        try:
            world.live()
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding, with its seed
            world.rules.exception(error)
    rules = world.rules
    counts, volumes = world.schedule.counts, {keys.volume_id(path): path for path in world.paths}
    return Outcome(seed, profile, rules.broken, world.schedule.trace, rules.books, rules.tasks, counts, volumes)


@contextmanager
def _determined(dice: random.Random) -> Iterator[None]:
    """Nothing is left to chance but what the seed decides; and nobody logs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            patch("uuid.uuid4", lambda: uuid.UUID(int=dice.getrandbits(128))),
            patch("pagebind.adapters.dispatch.local.random", dice),
            stamina.set_testing(True, attempts=ATTEMPTS),  # waits take no time: a call on its way takes some
        ):
            yield
    finally:
        logging.disable(disabled)


def told(outcome: Outcome) -> Iterator[str]:
    """The trace in words, a line each."""
    begin = outcome.trace[0].when if outcome.trace else 0.0
    for when, who, what in outcome.trace:
        yield f"{when - begin:12.2f} s  {who:12}  {what}"
