"""Gathering the facts about each volume, so that the planner can judge it."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.inventory import Inventory, ShelfView, load_manifest, look_at_shelf
from pagebind.app.report import VolumeReport
from pagebind.core import keys
from pagebind.core.history import History, final_failures
from pagebind.core.planner import Facts, Policy, Seen, Shelf, Verdict, judge
from pagebind.errors import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pagebind.app.sighting import Sighting
    from pagebind.ports.store import ObjectInfo, Store


class Assessment(NamedTuple):
    """A volume with its facts and what follows from them. ``history`` includes a listing that is only planned."""

    sighting: Sighting
    history: History
    facts: Facts
    verdict: Verdict
    missing: tuple[str, ...] | None

    def report(self) -> VolumeReport:
        """The volume as people see it."""
        sighting, verdict, head = self.sighting, self.verdict, self.history.head
        planned = sighting.planned is not None
        return VolumeReport(
            sighting.volume,
            sighting.path,
            sighting.key,
            verdict.state,
            None if head is None or planned else head.seq,
            sighting.revision if head is None or planned else head.revision,
            sighting.pages,
            self._staged(),
            sighting.size,
            verdict.settles_at,
            self.facts.bound_at,
            verdict.action,
            verdict.reason,
            verdict.problem,
        )

    def _staged(self) -> int:
        if self.missing is not None:
            return self.sighting.pages - len(self.missing)
        return min(len(self.history.staged), self.sighting.pages)


class Assessor:
    """Turns sightings and histories into verdicts. ``sent_here``: the (volume, seq) that this process handed out."""

    def __init__(self, work: Store, library: Store, policy: Policy, sent_here: set[tuple[str, int]]) -> None:
        self._work = work
        self._library = library
        self._policy = policy
        self._sent_here = sent_here

    def assess(
        self, sightings: Mapping[str, Sighting], inventory: Inventory, now: float, *, restricted: bool = False
    ) -> list[Assessment]:
        """All volumes, by path."""
        views = {s.volume: self._view(s, inventory) for s in sightings.values()}
        owners = self._owners(sightings, views, inventory, restricted=restricted)
        ordered = sorted(sightings.values(), key=lambda s: s.path)
        return [self._assess(s, inventory, views[s.volume], owners, sightings, now) for s in ordered]

    def _view(self, sighting: Sighting, inventory: Inventory) -> ShelfView:
        history = inventory.history(sighting.volume)
        book = inventory.book(keys.library_digest(sighting.key), history)
        return look_at_shelf(sighting.volume, history, book, self._read)

    def _read(self, key: str) -> ObjectInfo | None:
        return self._library.head(key)

    def _owners(
        self,
        sightings: Mapping[str, Sighting],
        views: Mapping[str, ShelfView],
        inventory: Inventory,
        *,
        restricted: bool,
    ) -> dict[str, tuple[str, str]]:
        """Whose each contested key is: the volume with a book there, else the one whose path sorts first."""
        claims: defaultdict[str, list[tuple[bool, str, str]]] = defaultdict(list)
        for s in sightings.values():
            if s.seen in (Seen.LISTED, Seen.UNKNOWN):
                ours = views[s.volume].shelf in (Shelf.OURS, Shelf.CHANGED, Shelf.REMOVED)
                claims[keys.library_digest(s.key)].append((not ours, s.path, s.volume))
        if restricted:
            self._claims_out_of_sight(claims, sightings, inventory)
        return {key: min(claim)[1:] for key, claim in claims.items() if len(claim) > 1}

    def _claims_out_of_sight(
        self,
        claims: defaultdict[str, list[tuple[bool, str, str]]],
        sightings: Mapping[str, Sighting],
        inventory: Inventory,
    ) -> None:
        for volume, history in inventory.volumes.items():
            head = history.head
            if volume not in sightings and head is not None and head.key_digest in claims:
                with suppress(KeyMissing):
                    path = load_manifest(self._work, volume, head).path
                    claims[head.key_digest].append((not history.receipts, path, volume))

    def _assess(
        self,
        sighting: Sighting,
        inventory: Inventory,
        view: ShelfView,
        owners: Mapping[str, tuple[str, str]],
        sightings: Mapping[str, Sighting],
        now: float,
    ) -> Assessment:
        history = inventory.history(sighting.volume)
        if sighting.planned is not None:
            history = replace(history, manifests=[*history.manifests, sighting.planned])
        head = history.head
        missing = self._missing(sighting, history)
        failed = self._failed(history, missing, now)
        shelf, taken_by = view.shelf, ""
        owner = owners.get(keys.library_digest(sighting.key))
        if owner is not None and owner[1] != sighting.volume:
            shelf, taken_by = Shelf.TAKEN, owner[0]
        elif shelf is Shelf.TAKEN:
            known = sightings.get(view.owner)
            taken_by = known.path if known else view.owner
        facts = Facts(
            history=history,
            seen=sighting.seen,
            why=sighting.why,
            fresh=sighting.fresh,
            may_refresh=sighting.may_refresh,
            shelf=shelf,
            taken_by=taken_by,
            bound_seq=view.bound_seq,
            bound_revision=view.bound_revision,
            bound_at=view.bound_at,
            receipted=view.receipted,
            shrunk=sighting.shrunk,
            pages=sighting.pages,
            missing=None if missing is None else len(missing),
            failed=failed,
            leftovers=not self._policy.keep_pages and bool(history.staged or history.debris),
            sent_here=head is not None and (sighting.volume, head.seq) in self._sent_here,
            path=sighting.path,
        )
        return Assessment(sighting, history, facts, judge(facts, self._policy, now), missing)

    def _missing(self, sighting: Sighting, history: History) -> tuple[str, ...] | None:
        """Pages of the newest manifest without an entry; None where nobody needs to know."""
        head = history.head
        if sighting.content is not None:
            return tuple(page.id for page in sighting.content if page.id not in history.staged)
        if head is None or sighting.planned is not None or not history.epochs(head) or _is_done(history, head.seq):
            return None
        try:
            pages = load_manifest(self._work, sighting.volume, head).pages
        except KeyMissing:
            return None  # the survey has noted it
        return tuple(page.id for page in pages if page.id not in history.staged)

    def _failed(self, history: History, missing: Iterable[str] | None, now: float) -> int:
        if not history.failures or missing is None:
            return 0
        final = final_failures(
            history.failures, now=now, epochs=self._policy.give_up_epochs, after=self._policy.give_up_after
        )
        return len(final.intersection(missing))


def _is_done(history: History, seq: int) -> bool:
    return any(receipt.seq == seq for receipt in history.receipts)
