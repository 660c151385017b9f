"""What one run has seen of one volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagebind.core.manifest import pictures
from pagebind.core.planner import Seen

if TYPE_CHECKING:
    from pagebind.core.keys import ManifestMark
    from pagebind.core.manifest import Manifest, Page
    from pagebind.core.model import About
    from pagebind.core.naming import Called
    from pagebind.core.watch import Watch


@dataclass(slots=True)
class Sighting:
    """A volume as this run knows it.

    ``content`` holds the pages, with their signs, only of volumes that may be handed out in this run; it is dropped
    otherwise, so that memory does not grow with the listing. ``planned`` is the manifest that `run` would append, where
    nothing may be written; ``moved_from``, likewise, is the path of the gone volume whose pages these are,
    and ``to_ask`` how many files and bytes the server would have to be asked for. ``archive`` is the
    mark of a volume that is an archive, where it is listed. ``asked``: when it was listed, in seconds since the epoch.
    """

    volume: str
    path: str
    subscription: str
    key: str
    about: About
    seen: Seen = Seen.LISTED
    why: str = ""
    revision: str | None = None
    pages: int = 0
    size: int = 0
    fresh: bool = False
    may_refresh: bool = True
    asked: float = 0.0
    shrunk: tuple[str, ...] = ()
    content: tuple[Page, ...] | None = None
    planned: ManifestMark | None = None
    moved_from: str = ""
    to_ask: tuple[int, int] | None = None
    archive: str = ""


def called_at(watch: Watch, path: str, *, archive: bool) -> Called | None:
    """What the settings call the volume at a path now; None where the layout has no place for it."""
    # Here, not above: what only looks at known volumes (`status`, `verify`) names none.
    from pagebind.core import naming

    stem, _, suffix = path.rpartition(".")
    placed = watch.layout.place(watch.path, stem if archive else path)
    if placed is None:
        return None
    return naming.call(watch, placed, suffix=suffix.lower() if archive else "cbz")


def remembered(recorded: Manifest, seen: Seen, why: str = "") -> Sighting:
    """A volume that this run has not listed, from its newest manifest."""
    return Sighting(
        recorded.volume,
        recorded.path,
        recorded.subscription,
        recorded.key,
        recorded.about,
        seen=seen,
        why=why,
        revision=recorded.revision,
        pages=len(pictures(recorded.pages)),
        size=sum(page.size for page in recorded.pages),
    )
