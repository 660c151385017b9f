"""Removing what no state needs any more: a little in each run, all of it by `pagebind gc`.

Objects are deleted by key, one after the other, so that doing it again, or dying in the middle of it, is harmless.
Nobody else may be at work meanwhile.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app import inventory as inventories
from pagebind.app.inventory import load_manifest
from pagebind.app.report import problem_of
from pagebind.core import garbage, keys
from pagebind.errors import KeyMissing, KeyRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pagebind.app.assess import Assessment
    from pagebind.app.inventory import Inventory
    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark
    from pagebind.core.planner import Problem
    from pagebind.core.shelf import ShelfView
    from pagebind.ports.clock import Clock
    from pagebind.ports.store import ObjectInfo, Store

log = logging.getLogger(__name__)

_LITTLE = 200
"""So many objects at most are removed in a run."""

_CLOSER = 3
"""At so many volumes at most a run looks more closely."""

_KINDS = {
    keys.MANIFESTS: "manifests",
    keys.SENT: "sent",
    keys.FAILURES: "failures",
    keys.DONE: "receipts",
    keys.STAGING: "entries",
    keys.RUNS: "runs",
    keys.NOTICES: "notices",
    keys.HOOKS: "hooks",
}


class _Needless(NamedTuple):
    """One object to remove; ``size`` in bytes where a listing has told it, else 0."""

    key: str
    size: int = 0


@dataclass(slots=True)
class Collected:
    """What was removed, or would be: so many objects of each kind, and bytes as far as they are known."""

    removed: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)

    def count(self, one: _Needless) -> None:
        """Add one object."""
        self.removed[_KINDS[one.key.partition("/")[0] + "/"]] += 1
        self.bytes += one.size


class Known(NamedTuple):
    """A volume as a run knows it: id, objects, book, and how many pages its newest listing has."""

    volume: str
    history: History
    view: ShelfView
    pages: int


def collect_a_little(work: Store, volumes: Sequence[Known], now: float, *, epochs: int) -> Collected:
    """Remove a little of what is known to be needless from ``volumes``, and by one listing of runs.

    At a few volumes, others each time, where much seems to be left over, it looks as closely as `Gc` does.

    ``epochs``: in so many a page must have failed to be given up.

    Raises:
        StoreUnavailable: the store cannot be listed or written.
    """
    collected = Collected()
    littered = [one for one in volumes if garbage.may_be_littered(one.history, one.pages, now)]
    littered.sort(key=lambda one: keys.digest(f"{one.volume} {now}"))
    closer = {one.volume for one in littered[:_CLOSER]}
    found = (
        needless
        for one in volumes
        for needless in (
            _all_of_one(work, one, _old_staging(work, now, one.volume), now, epochs, collected.problems)
            if one.volume in closer
            else map(_Needless, garbage.needless(one.volume, one.history, one.view, now, epochs=epochs))
        )
    )
    for needless in islice(chain(_old_runs(work, now), found), _LITTLE):
        _remove(work, needless, collected)
    if objects := collected.removed.total():
        log.info("tidied", extra={"objects": objects, "bytes": collected.bytes})
    return collected


def collect_after(work: Store, assessments: Iterable[Assessment], now: float, *, epochs: int) -> Collected:
    """`collect_a_little` of the volumes that a run has judged."""
    found = [
        Known(a.sighting.volume, a.history, a.facts.view, a.sighting.pages)
        for a in assessments
        if a.sighting.planned is None
    ]
    return collect_a_little(work, found, now, epochs=epochs)


class Gc:
    """The use case: everything that is needless, of all volumes.

    Args:
        epochs: in so many a page must have failed to be given up, by the settings.
    """

    def __init__(self, work: Store, library: Store, clock: Clock, *, epochs: int = garbage.MOST_EPOCHS) -> None:
        self._work = work
        self._library = library
        self._clock = clock
        self._epochs = epochs

    def __call__(self, *, dry_run: bool = False) -> Collected:
        """Remove it, or with ``dry_run`` only say what.

        Raises:
            StoreUnavailable: a store cannot be listed or written, or the library is not mounted.
        """
        now = self._clock.now()
        inventory = inventories.take(self._work, self._library)
        inventory.demand_a_library()
        collected = Collected()
        old = _old_staging(self._work, now)
        staging = {
            volume: list(found) for volume, found in groupby(old, lambda info: keys.volume_of(info.key)) if volume
        }
        for volume in sorted(inventory.volumes.keys() | staging.keys()):
            for needless in self._of_volume(volume, inventory, staging.get(volume, []), now, collected.problems):
                self._take(needless, collected, dry_run=dry_run)
        for needless in chain(_old_runs(self._work, now), _old_news(self._work, now)):
            self._take(needless, collected, dry_run=dry_run)
        return collected

    def _take(self, needless: _Needless, collected: Collected, *, dry_run: bool) -> None:
        if dry_run:
            collected.count(needless)
        else:
            _remove(self._work, needless, collected)

    def _of_volume(
        self, volume: str, inventory: Inventory, staging: list[ObjectInfo], now: float, problems: list[Problem]
    ) -> Iterator[_Needless]:
        history = inventory.history(volume)
        head = history.head
        if head is None:
            return iter([_Needless(info.key, info.size) for info in staging])
        view = inventory.view(volume, head.key_digest, self._library.head)
        return _all_of_one(self._work, Known(volume, history, view, 0), staging, now, self._epochs, problems)


def _old_staging(work: Store, now: float, volume: str = "") -> Iterator[ObjectInfo]:
    """Old objects in staging, of one volume or of all; mostly there are none."""
    prefix = f"{keys.STAGING}{volume}/" if volume else keys.STAGING
    return (info for info in work.list(prefix) if garbage.is_orphan(info.key, info.created, now, ()))


def _all_of_one(
    work: Store, one: Known, staging: Iterable[ObjectInfo], now: float, epochs: int, problems: list[Problem]
) -> Iterator[_Needless]:
    """All that is needless of a volume with a manifest. ``staging``: its old objects there."""
    volume, history, view, _ = one
    head = history.head
    old = list(staging)
    try:
        wanted = _pages(work, volume, [head]) if head and history.failures else None
        held = _pages(work, volume, garbage.kept_manifests(history, view, now)) if old else frozenset()
    except KeyMissing as error:  # of a volume that is damaged nothing is removed
        problems.append(problem_of(error))
        return
    for info in old:
        if garbage.is_orphan(info.key, info.created, now, held):
            yield _Needless(info.key, info.size)
    yield from map(_Needless, garbage.needless(volume, history, view, now, wanted, epochs=epochs))


def _pages(work: Store, volume: str, marks: Iterable[ManifestMark]) -> frozenset[str]:
    """Ids of all pages of some manifests. Raises: KeyMissing."""
    return frozenset(page.id for mark in marks for page in load_manifest(work, volume, mark).pages)


def _old_runs(work: Store, now: float) -> Iterator[_Needless]:
    """Records of runs, whose keys are inverted times: the old ones are the last ones."""
    for info in work.list(keys.RUNS, after=keys.run_key(now - garbage.RUN_MEMORY, "")):
        yield _Needless(info.key, info.size)


def _old_news(work: Store, now: float) -> Iterator[_Needless]:
    """Old notices and calls of hooks. A run removes them where it writes new ones, for it has listed them then."""
    listed = (keys.parse_notice(info.key, info.created) for info in work.list(keys.NOTICES))
    for mark in garbage.needless_notices(filter(None, listed), now):
        yield _Needless(keys.notice_key(mark))
    calls = ((info.key, info.created) for info in work.list(keys.HOOKS) if keys.hook_time(info.key) is not None)
    yield from map(_Needless, garbage.needless_calls(calls, now))


def _remove(work: Store, needless: _Needless, collected: Collected) -> None:
    try:
        work.delete(needless.key)
    except KeyRefused as error:
        collected.problems.append(problem_of(error))
        return
    log.debug("removed", extra={"key": needless.key})
    collected.count(needless)
