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
    from collections.abc import Iterable, Iterator

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

_KINDS = {
    keys.MANIFESTS: "manifests",
    keys.SENT: "sent",
    keys.FAILURES: "failures",
    keys.DONE: "receipts",
    keys.STAGING: "entries",
    keys.RUNS: "runs",
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


def collect_a_little(work: Store, volumes: Iterable[tuple[str, History, ShelfView]], now: float) -> Collected:
    """Remove a little of what is known to be needless from ``volumes`` (id, objects, book) and one listing of runs.

    Raises:
        StoreUnavailable: the store cannot be listed or written.
    """
    marks = (_Needless(key) for one in volumes for key in garbage.needless(*one, now))
    collected = Collected()
    for needless in islice(chain(_old_runs(work, now), marks), _LITTLE):
        _remove(work, needless, collected)
    return collected


class Gc:
    """The use case: everything that is needless, of all volumes."""

    def __init__(self, work: Store, library: Store, clock: Clock) -> None:
        self._work = work
        self._library = library
        self._clock = clock

    def __call__(self, *, dry_run: bool = False) -> Collected:
        """Remove it, or with ``dry_run`` only say what.

        Raises:
            StoreUnavailable: a store cannot be listed or written, or the library is not mounted.
        """
        now = self._clock.now()
        inventory = inventories.take(self._work, self._library)
        inventory.demand_a_library()
        collected = Collected()
        staging = self._old_staging(now)
        for volume in sorted(inventory.volumes.keys() | staging.keys()):
            for needless in self._of_volume(volume, inventory, staging.get(volume, []), now, collected.problems):
                self._take(needless, collected, dry_run=dry_run)
        for needless in _old_runs(self._work, now):
            self._take(needless, collected, dry_run=dry_run)
        return collected

    def _take(self, needless: _Needless, collected: Collected, *, dry_run: bool) -> None:
        if dry_run:
            collected.count(needless)
        else:
            _remove(self._work, needless, collected)

    def _old_staging(self, now: float) -> dict[str, list[ObjectInfo]]:
        """Old objects in staging by volume; mostly there are none."""
        old = (info for info in self._work.list(keys.STAGING) if garbage.is_orphan(info.key, info.created, now, ()))
        return {volume: list(found) for volume, found in groupby(old, lambda info: keys.volume_of(info.key)) if volume}

    def _of_volume(
        self, volume: str, inventory: Inventory, staging: list[ObjectInfo], now: float, problems: list[Problem]
    ) -> Iterator[_Needless]:
        history = inventory.history(volume)
        head = history.head
        if head is None:
            yield from (_Needless(info.key, info.size) for info in staging)
            return
        view = inventory.view(volume, head.key_digest, self._library.head)
        try:
            wanted = self._pages(volume, [head]) if history.failures else None
            held = self._pages(volume, garbage.kept_manifests(history, view, now)) if staging else frozenset()
        except KeyMissing as error:  # of a volume that is damaged nothing is removed
            problems.append(problem_of(error))
            return
        for info in staging:
            if garbage.is_orphan(info.key, info.created, now, held):
                yield _Needless(info.key, info.size)
        yield from map(_Needless, garbage.needless(volume, history, view, now, wanted))

    def _pages(self, volume: str, marks: Iterable[ManifestMark]) -> frozenset[str]:
        """Ids of all pages of some manifests. Raises: KeyMissing."""
        return frozenset(page.id for mark in marks for page in load_manifest(self._work, volume, mark).pages)


def _old_runs(work: Store, now: float) -> Iterator[_Needless]:
    """Records of runs, whose keys are inverted times: the old ones are the last ones."""
    for info in work.list(keys.RUNS, after=keys.run_key(now - garbage.RUN_MEMORY, "")):
        yield _Needless(info.key, info.size)


def _remove(work: Store, needless: _Needless, collected: Collected) -> None:
    try:
        work.delete(needless.key)
    except KeyRefused as error:
        collected.problems.append(problem_of(error))
        return
    log.info("removed", extra={"key": needless.key})
    collected.count(needless)
