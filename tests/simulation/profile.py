"""What kind of world a seed makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.drive import CACHE, Trouble
from tests.simulation.memory_store import Kind
from tests.simulation.queues import Punctuality
from tests.simulation.wire import Weather

if TYPE_CHECKING:
    import random

_KINDS = (Kind(), Kind(sums=True), Kind(by_content=True))
_HOUR = 3600.0
_RESTLESS, _CONTESTED = 0.4, 0.3
"""Chances of a world in which revisions chase each other, and of one in which much is held and decided."""


class Profile(NamedTuple):
    """All that is drawn before anything happens.

    Attributes:
        durable: the queue is a durable one; else it is each process's own.
        kind: of the stores.
        volumes: how many pages each has at first.
        settle, interval: seconds, of the settings.
        rate: pages a second that are expected.
        hashes: the drive lists them.
        may_refresh: the account may ask for fresh listings.
        comicinfo: the books have one.
        polls: so many, until all goes well.
        two_polls: chance that one begins beside another.
        weather, trouble, punctuality: how bad it gets. The trouble begins at times and ends again.
        changes, decisions, meddling: so often does the drive change, the operator decide, and somebody who knows
            nothing of Pagebind put something into the library.
        watchful: chance that somebody decides about a volume that a poll has found held.
        lost: chance that a page cannot be had from the beginning.
        give_up: in so many epochs, and for so many seconds, must a page have failed to be given up.
        leap: chance that weeks pass in the middle.
        retries: calls of the stores are made again, as those of object stores are.
        listings: so many folders does a poll list; 0: no limit. Of a run it is none.
        cache: seconds for which the server gives the same listing again.
        kinds: of changes, each as often as it stands here.
    """

    durable: bool
    kind: Kind
    volumes: tuple[int, ...]
    settle: float
    interval: float
    rate: float
    hashes: bool
    may_refresh: bool
    comicinfo: bool
    polls: int
    two_polls: float
    weather: Weather
    trouble: Trouble
    punctuality: Punctuality
    changes: int
    decisions: int
    meddling: int
    watchful: float
    lost: float
    give_up: tuple[int, float]
    leap: float
    retries: bool
    listings: int
    cache: float = CACHE
    kinds: tuple[str, ...] = (*("add",) * 3, *("replace",) * 4, *("revert",) * 2, "remove", "touch", "break", "gone")

    @property
    def patience(self) -> float:
        """Seconds that a listing must stand."""
        return self.settle + (0.0 if self.may_refresh or not self.settle else CACHE)

    def round(self, folders: int) -> int:
        """So many polls list so many folders: what leads to where the one before stopped is listed again."""
        return folders if self.durable and self.listings else 1

    @property
    def horizon(self) -> float:
        """Seconds until nothing goes wrong any more."""
        return self.polls * self.interval


def draw(dice: random.Random) -> Profile:
    """A world at random: one that is like any, one in which revisions chase each other, or one that is contested."""
    profile, which = _any(dice), dice.random()
    if which < _RESTLESS:
        return _restless(dice, profile)
    return _contested(dice, profile) if which < _RESTLESS + _CONTESTED else profile


def _restless(dice: random.Random, profile: Profile) -> Profile:
    """Listings settle at once, folders change at every poll, and whoever is at work is held up for longer than that."""
    return profile._replace(
        volumes=profile.volumes[:2],
        settle=0.0,
        interval=300.0,
        polls=dice.randrange(6, 12),
        weather=replace(profile.weather, death=profile.weather.death / 3, stall=0.08, longest=1800.0),
        punctuality=Punctuality(late=0.5, twice=dice.choice((0.1, 0.5))),
        changes=dice.randrange(8, 16),
        leap=0.0,
        cache=30.0,
        decisions=profile.decisions // 4,
        kinds=(*("replace",) * 7, "touch"),
    )


def _contested(dice: random.Random, profile: Profile) -> Profile:
    """Pages cannot be had, folders shrink, others are at work in the library; operators see to it while it goes on."""
    return profile._replace(
        volumes=profile.volumes[:2],
        settle=min(profile.settle, 60.0),
        interval=900.0,
        may_refresh=True,
        polls=dice.randrange(6, 10),
        weather=replace(profile.weather, death=profile.weather.death / 3, longest=min(profile.weather.longest, 600.0)),
        changes=dice.randrange(2, 6),
        decisions=dice.randrange(2, 5),
        meddling=dice.choice((0, 1, 2)),
        watchful=dice.choice((0.5, 0.9)),
        lost=dice.choice((0.0, 0.3, 0.5)),
        give_up=dice.choice(((1, 600.0), (2, 1800.0))),
        kinds=("add", "replace", "break", *("remove",) * 3, "revert", "gone"),
    )


def _any(dice: random.Random) -> Profile:
    chance = dice.random
    settle = dice.choice((0.0, 60.0, 600.0))
    interval = dice.choice((300.0, 900.0))
    volumes = tuple(dice.randrange(1, 4) for _ in range(dice.choice((1, 1, 2, 3))))
    return Profile(
        durable=chance() < 0.6,
        kind=dice.choice(_KINDS),
        volumes=volumes,
        settle=settle,
        interval=interval,
        rate=16.0 if chance() < 0.7 else 3.0 / (2.0 * interval),
        hashes=chance() < 0.5,
        may_refresh=chance() < 0.8,
        comicinfo=chance() < 0.3,
        polls=dice.randrange(2, 9),
        two_polls=dice.choice((0.0, 0.3, 0.7)),
        weather=Weather(
            death=dice.choice((0.0, 0.003, 0.01, 0.03)),
            refusal=dice.choice((0.0, 0.0, 0.01)),
            lost=dice.choice((0.0, 0.01, 0.02)),
            stall=dice.choice((0.0, 0.02, 0.05)),
            longest=dice.choice((60.0, 600.0, 2.0 * _HOUR)),
        ),
        trouble=Trouble(*(dice.choice((0.0, 0.0, worst)) for worst in (0.3, 0.3, 0.3, 0.6))),
        punctuality=Punctuality(dice.choice((0.0, 0.2)), dice.choice((0.0, 0.1, 0.5))),
        changes=dice.randrange(7),
        decisions=dice.choice((0, 0, 2, 4)),
        meddling=dice.choice((0, 0, 0, 1, 2)),
        watchful=dice.choice((0.0, 0.5)),
        lost=dice.choice((0.0, 0.0, 0.3)),
        give_up=dice.choice(((1, 600.0), (2, 1800.0), (2, 2.0 * _HOUR))),
        leap=dice.choice((0.0, 0.0, 0.5)),
        retries=chance() < 0.2,
        listings=dice.choice((0, 0, 0, 2, 3)),
    )
