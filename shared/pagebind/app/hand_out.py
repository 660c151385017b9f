"""Tasks for the pages of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagebind.app import inventory as inventories
from pagebind.app.inventory import load_manifest
from pagebind.app.sighting import Sighting, remembered
from pagebind.core import layout
from pagebind.core.keys import SentMark
from pagebind.core.planner import Seen
from pagebind.ports.dispatch import FetchTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.core.manifest import Page
    from pagebind.ports.dispatch import FinalizeTask
    from pagebind.ports.store import Store


def fetch_task(sighting: Sighting, page: Page, mark: SentMark) -> FetchTask:
    """The task that stages one page of a volume, as its listing has it."""
    return FetchTask(
        sighting.volume,
        page.id,
        sighting.path if page.kind == "archive" else layout.join(sighting.path, page.name),
        sighting.subscription,
        page.book_name,
        page.size,
        mark.seq,
        mark.epoch,
        page.hashes,
        page.sign,
        page.kind,
    )


def refetch_tasks(work: Store, task: FinalizeTask, pages: Sequence[Page]) -> list[FetchTask]:
    """Fetch tasks, without signs, for pages whose entries turned out lost or damaged."""
    head = inventories.take_one(work, task.volume).of_seq(task.seq)
    if head is None:
        return []
    manifest = load_manifest(work, task.volume, head)
    sighting = remembered(manifest, Seen.UNKNOWN)
    return [fetch_task(sighting, page, SentMark(task.seq, head.revision, task.epoch)) for page in pages]
