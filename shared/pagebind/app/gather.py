"""Volumes that consist of several folders: their listings wait for each other."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pagebind.core import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.app.walk import Folder
    from pagebind.core.model import Item


@dataclass(slots=True)
class _Parts:
    """One volume on its way: folders that are still to come, those that came, and whether one failed."""

    pending: set[str] = field(default_factory=set)
    folders: list[Folder] = field(default_factory=list)
    failed: bool = False


class Gatherer:
    """Collects the folders of volumes that merge chapters. Safe for use by many threads.

    A volume's own folder is always listed first, then those below, so it is known when the last one has come.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._volumes: dict[str, _Parts] = {}

    def add(self, volume: str, folder: Folder, members: Sequence[str]) -> _Parts | None:
        """Note a folder's listing.

        Args:
            volume: path of the volume that it belongs to.
            folder: the listing.
            members: paths of the folders in it that belong to the same volume and are going to be listed.

        Returns:
            All parts of the volume, once the last one is here.
        """
        with self._lock:
            parts = self._volumes.setdefault(volume, _Parts())
            parts.folders.append(folder)
            parts.pending.update(members)
            return self._done(volume, folder.path)

    def fail(self, volume: str, path: str) -> _Parts | None:
        """Note that a folder could not be listed; returns as `add`."""
        with self._lock:
            self._volumes.setdefault(volume, _Parts()).failed = True
            return self._done(volume, path)

    def _done(self, volume: str, path: str) -> _Parts | None:
        parts = self._volumes[volume]
        parts.pending.discard(path)
        return None if parts.pending else self._volumes.pop(volume)


def merge(volume: str, folders: Sequence[Folder]) -> Folder:
    """One listing of a volume's folders, in which files are called by their paths below the volume's own folder."""
    own = next((folder for folder in folders if folder.path == volume), folders[0])
    return own._replace(
        path=volume,
        contents=own.contents._replace(
            pages=tuple(item for folder in folders for item in _below(volume, folder)), folders=()
        ),
        fresh=all(folder.fresh for folder in folders),
        may_refresh=all(folder.may_refresh for folder in folders),
        asked=min(folder.asked for folder in folders),
    )


def _below(volume: str, folder: Folder) -> Iterator[Item]:
    prefix = folder.path.removeprefix(volume).strip("/")
    for item in folder.contents.pages:
        yield replace(item, name=layout.join(prefix, item.name)) if prefix else item
