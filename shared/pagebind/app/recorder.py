"""The manifests that a survey reads and appends."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from pagebind.app.inventory import load_manifest
from pagebind.app.report import problem_of
from pagebind.core import keys
from pagebind.core import manifest as manifests
from pagebind.core.history import History
from pagebind.core.keys import ManifestMark
from pagebind.core.manifest import Manifest, Page
from pagebind.errors import ConditionFailed, KeyMissing
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from pagebind.app.inventory import Inventory
    from pagebind.app.sighting import Sighting
    from pagebind.core.planner import Problem
    from pagebind.ports.clock import Clock

log = logging.getLogger(__name__)


class Recorder:
    """Safe for use by many threads.

    Args:
        inventory: what it appends becomes part of it.
        write: without, new listings are only planned.
    """

    def __init__(self, work: Store, inventory: Inventory, clock: Clock, *, write: bool) -> None:
        self.inventory = inventory
        self.write = write
        self.problems: list[Problem] = []
        self._work = work
        self._clock = clock
        self._lock = threading.Lock()

    def recorded(self, volume: str, mark: ManifestMark) -> Manifest | None:
        """A manifest, or None where it is damaged: that is noted, and the volume is recorded anew when it is listed."""
        try:
            return load_manifest(self._work, volume, mark)
        except KeyMissing as error:
            with self._lock:
                self.problems.append(problem_of(error))
            return None

    def pages(self, volume: str, mark: ManifestMark) -> tuple[Page, ...]:
        """The pages of a manifest; none where it is damaged."""
        recorded = self.recorded(volume, mark)
        return recorded.pages if recorded else ()

    def append(self, sighting: Sighting, pages: tuple[Page, ...]) -> None:
        """Record a listing under the volume's next seq; where nothing may be written, note it as planned."""
        seq = self.inventory.history(sighting.volume).next_seq
        revision = sighting.revision or ""
        mark = ManifestMark(seq, revision, keys.library_digest(sighting.key), self._clock.now())
        sighting.planned = mark
        if not self.write:
            return
        document = Manifest(
            sighting.volume,
            sighting.path,
            sighting.subscription,
            sighting.key,
            sighting.about,
            seq,
            revision,
            pages,
        )
        try:
            info = self._work.put(keys.manifest_key(sighting.volume, mark), manifests.dump(document), condition=ABSENT)
        except ConditionFailed:
            return  # another poll saw the same
        log.debug("new listing", extra={"volume": sighting.volume, "seq": seq, "pages": len(pages)})
        sighting.planned = None
        self.history_to_extend(sighting.volume).manifests.append(mark._replace(created=info.created))

    def history_to_extend(self, volume: str) -> History:
        """A volume's history in the inventory, made where nothing was known of it."""
        with self._lock:
            volumes = self.inventory.volumes
            assert isinstance(volumes, dict)
            history: History = volumes.setdefault(volume, History())
            return history
