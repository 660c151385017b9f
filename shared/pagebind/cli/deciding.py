"""What `retry`, `bind` and `forget` share: find the volumes, decide, and do at once what follows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pagebind.app import inventory as inventories
from pagebind.app import select
from pagebind.app.decide import Decide, Decided
from pagebind.app.inventory import load_manifest
from pagebind.app.status import status
from pagebind.app.walk import covering
from pagebind.cli.run import run_with
from pagebind.core import layout
from pagebind.core.decisions import Kind
from pagebind.core.planner import State
from pagebind.core.printable import printable
from pagebind.errors import KeyMissing, UsageError
from pagebind.local import RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pagebind.app.inventory import Inventory
    from pagebind.cli.session import Session
    from pagebind.core.manifest import Manifest
    from pagebind.core.watch import Watch
    from pagebind.wiring import Parts


class Volume(NamedTuple):
    """A volume that the command is about.

    ``watch`` is its subscription, None where none covers it any more; ``moved``: another volume has its book by now.
    """

    manifest: Manifest
    watch: Watch | None
    moved: bool

    @property
    def demanded_watch(self) -> Watch:
        """The subscription. Raises: UsageError."""
        if self.watch is None:
            raise UsageError(
                f"{self.manifest.path} lies in no subscription", fix="add a [[subscription]] that covers it"
            )
        return self.watch

    @property
    def listed_by(self) -> str:
        """The folder whose listing shows it."""
        path = self.manifest.path
        return layout.parent(path) if self.manifest.pages[0].kind == "archive" else path


def decide(
    session: Session,
    word: str | None,
    make: Callable[[Decide, Volume], Decided],
    *,
    every: Callable[[Inventory], Sequence[str]] = lambda _: (),
    look: bool = True,
) -> int:
    """Make decisions and do what follows from them now.

    Args:
        session: of the command.
        word: what names the volumes; None: those that ``every`` names.
        every: gives ids of volumes where no word does.
        make: decides about one volume; of several, those to which it does not apply are passed over.
        look: ask the server as well, where the stores alone do not settle it.

    Raises:
        UsageError: no volume is called so, or the decision applies to none of them.
    """
    settings = session.settings()

    def prepare(parts: Parts) -> tuple[RunRequest, dict[str, Any]]:
        known, inventory = _known(parts)
        chosen = _chosen(word, known) if word is not None else [known[v] for v in every(inventory) if v in known]
        made = _make(Decide(parts.work, parts.library, parts.policy, parts.clock), chosen, make)
        for one in made:
            session.say(printable(f"decided: {one.kind}: {one.path}"))
        if not made:
            session.say("nothing is to be tried again")
        concerned = {one.volume for one in made}
        seen_by = {volume.listed_by for volume in chosen if volume.manifest.volume in concerned and volume.watch}
        listed_anew = {one.volume for one in made if one.kind == Kind.RENAME}  # only a listing records the new key
        recalled = tuple(sorted(concerned - listed_anew))
        request = RunRequest(tuple(sorted(seen_by)), volumes=recalled, look=look and bool(seen_by))
        return request, {"decided": [one._asdict() for one in made]}

    return run_with(session, settings, os.environ, prepare)


def _known(parts: Parts) -> tuple[dict[str, Volume], Inventory]:
    """All volumes that have a manifest, by their ids."""
    inventory = inventories.take(parts.work, parts.library)
    existing = {watch.path: watch.existing for watch in parts.watches}
    told = status(parts.work, parts.library, parts.policy, parts.clock, existing).volumes
    moved = {report.volume for report in told if report.state is State.MOVED}
    known = {}
    for volume, history in inventory.volumes.items():
        head = history.head
        if head is not None:
            try:
                manifest = load_manifest(parts.work, volume, head)
            except KeyMissing as error:
                click.echo(printable(f"problem: {error.message}"), err=True)
            else:
                known[volume] = Volume(manifest, _subscription(parts.watches, manifest.path), volume in moved)
    return known, inventory


def _subscription(watches: Sequence[Watch], path: str) -> Watch | None:
    return covering(watches, path) if any(layout.is_below(path, watch.path) for watch in watches) else None


def _chosen(word: str, known: dict[str, Volume]) -> list[Volume]:
    named = (select.Named(v.manifest.volume, v.manifest.path, v.manifest.key, v.moved) for v in known.values())
    return [known[one.volume] for one in select.volumes(word, named)]


def _refuse_moved(volume: Volume) -> None:
    if volume.moved:
        raise UsageError(
            f"{volume.manifest.path} has moved: its book belongs to another volume now",
            fix="`pagebind status` says to which; decide about that one",
        )


def _make(decider: Decide, chosen: Sequence[Volume], make: Callable[[Decide, Volume], Decided]) -> list[Decided]:
    """Raises: UsageError, if it applies to none of them."""
    made: list[Decided] = []
    refused: UsageError | None = None
    for volume in chosen:
        try:
            _refuse_moved(volume)
            made.append(make(decider, volume))
        except UsageError as error:
            refused = refused or error
    if refused is not None and not made:
        raise refused
    return made
