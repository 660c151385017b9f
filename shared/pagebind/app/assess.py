"""Gathering the facts about each volume, so that the planner can judge it."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.inventory import Inventory, load_manifest, waived_pages
from pagebind.app.report import VolumeReport
from pagebind.core import decisions, keys
from pagebind.core.history import History, final_failures
from pagebind.core.keys import FailureMark
from pagebind.core.manifest import pictures
from pagebind.core.planner import Facts, Policy, Seen, Verdict, judge
from pagebind.core.shelf import Shelf, ShelfView, is_bound, may_be_adopted
from pagebind.errors import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pagebind.app.sighting import Sighting
    from pagebind.core.manifest import Page
    from pagebind.ports.store import Store


class Missing(NamedTuple):
    """How much of the newest manifest is neither staged nor waived: files, pictures among them, bytes.

    Not the files themselves: an assessment outlives the listing.
    """

    files: int
    pictures: int
    bytes: int


class Assessment(NamedTuple):
    """A volume with its facts and what follows from them.

    ``history`` includes a listing that is only planned. ``missing`` is None where nobody needed to know. ``waived`` are
    ids of pages, whether missing or not.
    """

    sighting: Sighting
    history: History
    facts: Facts
    verdict: Verdict
    missing: Missing | None
    waived: frozenset[str] = frozenset()

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
            self.facts.view.bound_at,
            verdict.action,
            self._reason(),
            verdict.problem,
        )

    def _reason(self) -> str:
        """Why it is so, and what was decided last."""
        told = decisions.told(self.history.decisions)
        return f"{self.verdict.reason} (decided: {told})" if told else self.verdict.reason

    def _staged(self) -> int:
        if self.missing is not None:
            return self.sighting.pages - self.missing.pictures
        return min(len(self.history.staged), self.sighting.pages)


class Assessor:
    """Turns sightings and histories into verdicts.

    Args:
        existing: what each subscription, by its path, does with books that Pagebind did not make.
        sent_here: the (volume, seq) that this process handed out.
    """

    def __init__(
        self,
        work: Store,
        library: Store,
        policy: Policy,
        existing: Mapping[str, str],
        sent_here: set[tuple[str, int]],
    ) -> None:
        self._work = work
        self._library = library
        self._policy = policy
        self._existing = existing
        self._sent_here = sent_here

    def assess(
        self, sightings: Mapping[str, Sighting], inventory: Inventory, now: float, *, restricted: bool = False
    ) -> list[Assessment]:
        """All volumes, by path."""
        views = {
            s.volume: inventory.view(s.volume, keys.library_digest(s.key), self._library.head)
            for s in sightings.values()
        }
        owners = self._owners(sightings, views, inventory, restricted=restricted)
        ordered = sorted(sightings.values(), key=lambda s: s.path)
        return [self._assess(s, inventory, views[s.volume], owners, sightings, now) for s in ordered]

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
            forgotten = inventory.history(s.volume).standing.forgotten
            if s.seen in (Seen.LISTED, Seen.UNKNOWN) and (not forgotten or views[s.volume].shelf is Shelf.OURS):
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
        taken_by = ""
        owner = owners.get(keys.library_digest(sighting.key))
        if owner is not None and owner[1] != sighting.volume:
            view, taken_by = view._replace(shelf=Shelf.TAKEN), owner[0]
        elif view.shelf is Shelf.TAKEN:
            known = sightings.get(view.owner)
            taken_by = known.path if known else view.owner
        bound = head is not None and is_bound(history, view, head)
        waived = frozenset[str]() if bound else waived_pages(self._work, sighting.volume, history)
        lacking = None if bound else self._lacking(sighting, history, waived)
        missing = None if lacking is None else _counted(lacking)
        existing = self._existing.get(sighting.subscription, "keep")
        facts = Facts(
            history=history,
            seen=sighting.seen,
            why=sighting.why,
            fresh=sighting.fresh,
            may_refresh=sighting.may_refresh,
            view=view,
            existing=existing,
            refusal=self._refusal(sighting.volume, history, view) if existing == "adopt" else "",
            taken_by=taken_by,
            moved_from=sighting.moved_from,
            shrunk=sighting.shrunk,
            pages=sighting.pages,
            missing=None if missing is None else missing.files,
            failed=self._failed(history, lacking or (), now),
            leftovers=self._leftovers(history, inventory, sighting),
            sent_here=head is not None and (sighting.volume, head.seq) in self._sent_here,
            path=sighting.path,
        )
        return Assessment(sighting, history, facts, judge(facts, self._policy, now), missing, waived)

    def _refusal(self, volume: str, history: History, view: ShelfView) -> str:
        """Why the foreign book was not adopted; empty while it was not compared with the newest listing."""
        head = history.head
        if head is None or view.shelf is not Shelf.FOREIGN or may_be_adopted(history, view, "adopt"):
            return ""
        mark = FailureMark(keys.adoption(view.version), head.seq, 0)
        try:
            return str(json.loads(self._work.get(keys.failure_key(volume, mark)))["message"])
        except (KeyMissing, ValueError, KeyError, TypeError):
            return "it does not hold the listed pages"

    def _leftovers(self, history: History, inventory: Inventory, sighting: Sighting) -> bool:
        if not self._policy.keep_pages and (history.staged or history.debris):
            return True
        key_digest = keys.library_digest(sighting.key)
        renamed = history.standing.renamed == key_digest
        return renamed and inventory.former_book(history, key_digest) is not None

    def _lacking(self, sighting: Sighting, history: History, waived: frozenset[str]) -> tuple[Page, ...] | None:
        head = history.head
        pages = sighting.content
        if pages is None:
            if head is None or sighting.planned is not None or not history.epochs(head):
                return None
            try:
                pages = load_manifest(self._work, sighting.volume, head).pages
            except KeyMissing:
                return None  # the survey has noted it
        return tuple(page for page in pages if page.id not in history.staged and page.id not in waived)

    def _failed(self, history: History, lacking: Iterable[Page], now: float) -> int:
        if not history.failures:
            return 0
        final = self.final_failures(history, now)
        return sum(page.id in final for page in lacking)

    def final_failures(self, history: History, now: float) -> set[str]:
        """The pages that have failed for good since the last `retry`, by id."""
        return final_failures(
            history.failures,
            now=now,
            epochs=self._policy.give_up_epochs,
            after=self._policy.give_up_after,
            since=history.standing.retried,
        )


def _counted(pages: Sequence[Page]) -> Missing:
    return Missing(len(pages), len(pictures(pages)), sum(page.size for page in pages))
