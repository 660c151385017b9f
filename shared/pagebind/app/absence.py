"""What the walks of a round did not meet: gone, left out, or of no subscription any more; and what has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.sighting import remembered
from pagebind.app.walk import volume_of
from pagebind.core import layout
from pagebind.core.planner import PASSED_BY, Seen
from pagebind.core.walk_order import above

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from pagebind.app.recorder import Recorder
    from pagebind.app.sighting import Sighting
    from pagebind.app.survey import Survey
    from pagebind.app.walk import Start
    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark
    from pagebind.core.watch import Watch
    from pagebind.ports.store import Store


class Earlier(NamedTuple):
    """What the walks before this one saw in the same round.

    ``seen``: the states of all volumes that they met, by id. ``unlisted``: folders that could not be listed.
    """

    seen: Mapping[str, str]
    unlisted: Sequence[str]


NOTHING_BEFORE = Earlier({}, ())
"""This walk is the whole round."""


def account_for_unseen(survey: Survey, recorder: Recorder, starts: Sequence[Start], earlier: Earlier) -> None:
    """Add to the survey of a walk that ended a round all known volumes that the round did not meet.

    They are gone only if everything that could show them was listed.
    """
    unlisted = (*survey.failed, *earlier.unlisted)
    for volume, history in list(recorder.inventory.volumes.items()):
        head = history.head
        if volume in survey.sightings or volume in earlier.seen or head is None:
            continue
        recorded = recorder.recorded(volume, head)
        if recorded is not None:
            survey.sightings[volume] = remembered(recorded, *_absence(recorded.path, starts, unlisted))


def _absence(path: str, starts: Sequence[Start], unlisted: Sequence[str]) -> tuple[Seen, str]:
    if any(layout.is_below(path, folder) for folder in unlisted):
        return Seen.UNKNOWN, "a folder above could not be listed"
    watches = [start.watch for start in starts if layout.is_below(path, start.path)]
    if not watches:
        return Seen.UNSUBSCRIBED, ""
    watch = max(watches, key=lambda watch: len(watch.path))
    if _is_excluded(watch, path):
        return Seen.IGNORED, "left out by `exclude`"
    if (volume := volume_of(watch, path)) != path:
        return Seen.IGNORED, f"`layout` makes it a part of {volume}"
    return Seen.GONE, ""


def _is_excluded(watch: Watch, path: str) -> bool:
    """Whether the filters leave out a volume that was not listed, or a folder that leads to it."""
    leads_there = (folder for folder in above(path) if folder != watch.path and layout.is_below(folder, watch.path))
    named = [(path, False), *((folder, True) for folder in leads_there)]
    return any(watch.leaves_out(layout.parent(one), layout.name_of(one), is_dir) for one, is_dir in named)


def recognise_moved(survey: Survey, recorder: Recorder, work: Store, earlier: Earlier) -> None:
    """Hand the books of what is gone on to where the same pages are listed now: in this walk or before in the round."""
    gone = {s.revision for s in survey.sightings.values() if s.seen in (Seen.GONE, Seen.UNSUBSCRIBED)}
    if not gone:
        return
    from pagebind.app import moved

    before = _listed_before(recorder, earlier, gone)
    moved.recognise({**survey.sightings, **before}, recorder, work)
    for sighting in before.values():
        sighting.seen = Seen.UNKNOWN  # in this walk: nothing of it is handed out
    survey.sightings.update(before)
    survey.elsewhere.update(before)


def _listed_before(recorder: Recorder, earlier: Earlier, revisions: Container[str | None]) -> dict[str, Sighting]:
    """The volumes that were listed earlier in the round with one of these revisions."""
    found = {}
    for volume, state in earlier.seen.items():
        head = recorder.inventory.history(volume).head
        if state in PASSED_BY or head is None or head.revision not in revisions:
            continue
        recorded = recorder.recorded(volume, head)
        if recorded is not None and not any(layout.is_below(recorded.path, folder) for folder in earlier.unlisted):
            found[volume] = remembered(recorded, Seen.LISTED)
    return found


def recall_under_way(
    survey: Survey, recorder: Recorder, is_under_way: Callable[[str, History, ManifestMark], bool], room: int
) -> None:
    """Add what is sent and not bound, though this walk did not come there: it holds others back, and may be complete.

    ``room``: so many pages may be kept in memory, so that manifests are not read again when they are judged.
    """
    for volume, history in list(recorder.inventory.volumes.items()):
        head = history.head
        if volume in survey.sightings or head is None or not is_under_way(volume, history, head):
            continue
        recorded = recorder.recorded(volume, head)
        if recorded is None:
            continue
        sighting = survey.sightings[volume] = remembered(recorded, Seen.UNKNOWN)
        survey.elsewhere.add(volume)
        if room >= len(recorded.pages):
            room -= len(recorded.pages)
            sighting.content = recorded.pages
