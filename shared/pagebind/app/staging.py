"""What stands in a volume's staging, from one listing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.book import Staged, called
from pagebind.core import entry, keys, zip_layout
from pagebind.ports.store import ObjectInfo, StoredPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.core.entry import EntryFacts
    from pagebind.core.manifest import Page
    from pagebind.ports.store import Store

_UNKNOWN = -1


class Staging(NamedTuple):
    """A volume's objects in staging.

    Attributes:
        entries: by page id, what fetch recorded of each entry, None where the entry is not what was recorded.
        others: composites, large pages on their way, pieces of archives.
    """

    entries: dict[str, tuple[EntryFacts | None, StoredPart]]
    others: list[ObjectInfo]

    def objects(self) -> Iterator[ObjectInfo]:
        """Everything, to be deleted."""
        for _, part in self.entries.values():
            yield object_of(part)
        yield from self.others

    def pick(self, pages: Sequence[Page]) -> tuple[list[Staged], list[Page], list[tuple[Page, ObjectInfo]]]:
        """Of these pages, in their order: those with a good entry, those without one, those whose entry is damaged."""
        good: list[Staged] = []
        missing: list[Page] = []
        damaged: list[tuple[Page, ObjectInfo]] = []
        for page in pages:
            if page.id not in self.entries:
                missing.append(page)
                continue
            facts, part = self.entries[page.id]
            if facts is None or part.size != _expected_size(page, facts):
                damaged.append((page, object_of(part)))
            else:
                good.append(Staged(page, facts, part))
        return good, missing, damaged


def take_staging(work: Store, volume: str) -> Staging:
    """List a volume's staging. Each entry is boiled down as it comes: memory never holds the metadata of all."""
    staging = Staging({}, [])
    for info in work.list(f"{keys.STAGING}{volume}/", metadata=True):
        page_id = keys.page_of(info.key)
        if page_id is None:
            staging.others.append(info._replace(metadata=None))
            continue
        facts = entry.parse(info.metadata)
        if facts is not None and (facts.page != page_id or info.crc32c not in (None, facts.crc32c)):
            facts = None
        crc32c = facts.crc32c if facts else _UNKNOWN
        staging.entries[page_id] = (facts, StoredPart(info.key, info.version, info.size, crc32c))
    return staging


def _expected_size(page: Page, facts: EntryFacts) -> int:
    """Bytes of the entry, as fetch recorded it."""
    if page.kind == "archive":
        return facts.size
    return zip_layout.entry_size(zip_layout.Entry(called(page, facts), facts.crc32, facts.size))


def object_of(part: StoredPart) -> ObjectInfo:
    """A part as the object that it is, to be deleted."""
    return ObjectInfo(part.key, part.size, part.version, 0.0)
