"""Gathering the facts about each volume, so that the planner can judge it."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.inventory import Inventory, is_waived, load_manifest, waived_contents
from pagebind.app.report import VolumeReport
from pagebind.core import decisions, keys
from pagebind.core.keys import FailureMark
from pagebind.core.manifest import pictures
from pagebind.core.planner import Facts, Policy, Seen, Verdict, judge
from pagebind.core.shelf import Shelf, ShelfView, is_bound, may_be_adopted
from pagebind.errors import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from pagebind.app.sighting import Sighting
    from pagebind.core.history import History
    from pagebind.core.manifest import Page
    from pagebind.core.reuse import Content
    from pagebind.ports.store import Store


_CLAIMS = {Shelf.OURS: 0, Shelf.CHANGED: 1, Shelf.REMOVED: 1}
_NO_CLAIM = 2
"""How good a volume's claim to its key is: the lower the better."""


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
    files that the book may go without, whether missing or not.
    """

    sighting: Sighting
    history: History
    facts: Facts
    verdict: Verdict
    missing: Missing | None
    waived: frozenset[Content] = frozenset()

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
        no_longer_there: gives the ids of volumes that are known to be gone, though nobody looks for them now.
    """

    def __init__(
        self,
        work: Store,
        library: Store,
        policy: Policy,
        existing: Mapping[str, str],
        sent_here: set[tuple[str, int]],
        no_longer_there: Callable[[], Container[str]] = tuple,
    ) -> None:
        self._work = work
        self._library = library
        self._policy = policy
        self._existing = existing
        self._sent_here = sent_here
        self._no_longer_there = no_longer_there

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
        """Whose each contested key is: by whose book stands there, then by who had one there, then by path."""
        claims: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for s in sightings.values():
            forgotten = inventory.history(s.volume).standing.forgotten
            if s.seen in (Seen.LISTED, Seen.UNKNOWN) and (not forgotten or views[s.volume].shelf is Shelf.OURS):
                claims[keys.library_digest(s.key)].append(
                    (_CLAIMS.get(views[s.volume].shelf, _NO_CLAIM), s.path, s.volume)
                )
        if restricted:
            self._claims_out_of_sight(claims, sightings, inventory)
        return {key: min(claim)[1:] for key, claim in claims.items() if len(claim) > 1}

    def _claims_out_of_sight(
        self,
        claims: defaultdict[str, list[tuple[int, str, str]]],
        sightings: Mapping[str, Sighting],
        inventory: Inventory,
    ) -> None:
        contested = [
            (volume, history, head)
            for volume, history in inventory.volumes.items()
            if (head := history.head) is not None and head.key_digest in claims and volume not in sightings
        ]
        gone = self._no_longer_there() if contested else ()
        for volume, history, head in contested:
            if volume not in gone:
                with suppress(KeyMissing):
                    path = load_manifest(self._work, volume, head).path
                    claims[head.key_digest].append((0 if history.proofs else _NO_CLAIM, path, volume))

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
        view, taken_by = self._taken(sighting, view, owners, sightings)
        bound = head is not None and is_bound(history, view, head)
        waived = waived_contents(self._work, sighting.volume, history)
        listed = None if bound else self._listed(sighting, history)
        lacking = None if listed is None else _lacking(listed, history, waived)
        final = self._policy.given_up(history, now) if lacking and history.failures else set[str]()
        without_info = any(page.kind == "info" and page.id in final for page in (lacking or ())[-1:])
        if lacking and without_info:
            lacking = lacking[:-1]
        missing = None if lacking is None else _counted(lacking)
        existing = self._existing.get(sighting.subscription, "keep")
        facts = Facts(
            history=history,
            seen=sighting.seen,
            why=sighting.why,
            fresh=sighting.fresh,
            may_refresh=sighting.may_refresh,
            asked=sighting.asked,
            view=view,
            existing=existing,
            refusal=self._refusal(sighting.volume, history, view) if existing == "adopt" else "",
            taken_by=taken_by,
            moved_to=self._path_of(history.standing.handed_to, sightings),
            moved_from=sighting.moved_from,
            shrunk=sighting.shrunk,
            pages=sighting.pages,
            missing=None if missing is None else missing.files,
            failed=sum(page.id in final for page in lacking or ()),
            without_info=without_info,
            nothing_left=bool(waived) and listed is not None and not _is_anything_left(listed, history, waived),
            waived=self._went_without(sighting.volume, history, view, waived) if bound and waived else 0,
            leftovers=self._leftovers(history, inventory, sighting),
            sent_here=head is not None and (sighting.volume, head.seq) in self._sent_here,
            path=sighting.path,
        )
        return Assessment(sighting, history, facts, judge(facts, self._policy, now), missing, waived)

    def _taken(
        self,
        sighting: Sighting,
        view: ShelfView,
        owners: Mapping[str, tuple[str, str]],
        sightings: Mapping[str, Sighting],
    ) -> tuple[ShelfView, str]:
        """The view in the light of another volume's claim, and that one's path.

        While that one is listed no version is shown, so that no decision goes over its book.
        """
        owner = owners.get(keys.library_digest(sighting.key))
        if owner is not None and owner[1] != sighting.volume:
            return view._replace(shelf=Shelf.TAKEN, version=""), owner[0]
        if view.shelf is not Shelf.TAKEN:
            return view, ""
        if view.owner in sightings and sightings[view.owner].seen in (Seen.LISTED, Seen.UNKNOWN):
            view = view._replace(version="")
        return view, self._path_of(view.owner, sightings)

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

    @staticmethod
    def _path_of(volume: str, sightings: Mapping[str, Sighting]) -> str:
        known = sightings.get(volume)
        return known.path if known else volume

    def _leftovers(self, history: History, inventory: Inventory, sighting: Sighting) -> bool:
        if not self._policy.keep_pages and (history.staged or history.debris):
            return True
        key_digest = keys.library_digest(sighting.key)
        renamed = history.standing.renamed == key_digest
        return renamed and inventory.former_book(history, key_digest) is not None

    def _listed(self, sighting: Sighting, history: History) -> tuple[Page, ...] | None:
        """The files of the newest listing; None where nobody needs to know which are missing."""
        head = history.head
        if sighting.content is not None:
            return sighting.content
        if head is None or sighting.planned is not None or not history.epochs(head):
            return None
        try:
            return load_manifest(self._work, sighting.volume, head).pages
        except KeyMissing:
            return None  # the survey has noted it

    def _went_without(self, volume: str, history: History, view: ShelfView, waived: frozenset[Content]) -> int:
        """How many of the listed pages the book does not hold; asked only of volumes with waivers."""
        from pagebind.core import receipt

        head = history.head
        mark = next((m for m in history.proofs if m.version_digest == view.version and m.seq == view.seq), None)
        try:
            listed = load_manifest(self._work, volume, head).pages if head else ()
            bound = receipt.load(self._work.get(keys.receipt_key(volume, mark))).pages if mark else ()
        except (KeyMissing, ValueError):
            return 0
        held = {row.page for row in bound}
        return sum(is_waived(page, waived) and page.id not in held for page in listed)


def _lacking(listed: Sequence[Page], history: History, waived: frozenset[Content]) -> tuple[Page, ...]:
    return tuple(page for page in listed if page.id not in history.staged and not is_waived(page, waived))


def _is_anything_left(listed: Sequence[Page], history: History, waived: frozenset[Content]) -> bool:
    """Whether a book without what is waived would have a page."""
    return any(page.id in history.staged or not is_waived(page, waived) for page in pictures(listed))


def _counted(pages: Sequence[Page]) -> Missing:
    return Missing(len(pages), len(pictures(pages)), sum(page.size for page in pages))
