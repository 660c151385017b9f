"""What a book is made of: its staged pages, a ComicInfo.xml and the central directory; or an archive as it came."""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import crc32c, image_kind, keys, names, zip_layout
from pagebind.core.manifest import pictures as pictures_of
from pagebind.core.model import COMICINFO
from pagebind.core.receipt import BoundPage
from pagebind.core.wording import counted
from pagebind.errors import KeyMissing, PartDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.core.comicinfo import Kept
    from pagebind.core.entry import EntryFacts
    from pagebind.core.manifest import Manifest, Page
    from pagebind.ports.store import Part, Store, StoredPart

log = logging.getLogger(__name__)

_NAMED = 10


class Staged(NamedTuple):
    """A file of the volume with its entry, checked against what fetch recorded."""

    page: Page
    facts: EntryFacts
    part: StoredPart

    @property
    def name(self) -> str:
        """What it is called in the book."""
        return called(self.page, self.facts)


class Content(NamedTuple):
    """What a receipt is to say of a book: its pages, its CRC-32C and size in bytes, and its kind (see `Receipt`).

    ``rows`` are given once, when the book stands: until then memory need not hold them.
    """

    rows: Iterator[BoundPage]
    crc32c: int
    size: int
    kind: str


class Book(NamedTuple):
    """A book as parts; ``pages`` counts its pictures."""

    parts: list[Part]
    pages: int
    content: Content
    content_type: str


def called(page: Page, facts: EntryFacts) -> str:
    """A page's name in the book: the manifest's, or with the suffix of what the file really is."""
    return image_kind.renamed(page.book_name, facts.kind) if facts.renamed else page.book_name


def put_together(manifest: Manifest, staged: Sequence[Staged], work: Store) -> Book:
    """Lay out the book of a manifest.

    Args:
        manifest: what was listed. Pages of it that are not staged are waived, and the book says so.
        staged: its files in order.
        work: where the entries are; only a folder's own ComicInfo.xml is read.

    Raises:
        PartDamaged: the entry of that ComicInfo.xml is missing, or is not what was recorded.
    """
    if manifest.pages[0].kind == "archive":
        return _archive(staged[0])
    pictures = [one for one in staged if one.page.kind == "page"]
    info = _info(manifest, pictures, staged, work) if manifest.about.comicinfo else None
    tail = _tail(pictures, info)
    entries = crc32c.combine_all((one.facts.crc32c, one.part.size) for one in pictures)
    whole = crc32c.combine(entries, _crc32c(tail), len(tail))
    size = sum(one.part.size for one in pictures) + len(tail)
    parts: list[Part] = [*(one.part for one in pictures), tail]
    return Book(parts, len(pictures), Content(_rows(pictures), whole, size, "bound"), keys.BOOK_TYPE)


def _archive(one: Staged) -> Book:
    row = BoundPage(one.page.id, one.page.book_name, 0, one.facts.size, one.facts.crc32)
    suffix = one.page.name.rpartition(".")[2].lower()
    content = Content(iter((row,)), one.facts.crc32c, one.facts.size, "archive")
    return Book([one.part], 1, content, keys.ARCHIVE_TYPES[suffix])


def _info(manifest: Manifest, pictures: Sequence[Staged], staged: Sequence[Staged], work: Store) -> bytes:
    from pagebind.core import comicinfo

    own = next((one for one in staged if one.page.kind == "info"), None)
    return comicinfo.comicinfo(
        manifest.about,
        (
            comicinfo.PageFacts(one.facts.size, one.facts.width, one.facts.height, names.is_cover(one.page.name))
            for one in pictures
        ),
        notes=_notes(manifest, pictures),
        kept=_kept(manifest, own, work) if own else None,
    )


def _kept(manifest: Manifest, own: Staged, work: Store) -> Kept | None:
    """What the folder's own ComicInfo.xml says; nothing where it cannot be used, which is no reason to have no book."""
    from pagebind.app import kept_info

    entry = _proved(own.part, work)
    found = kept_info.read(entry[len(entry) - own.facts.size :])
    if isinstance(found, kept_info.Unusable):
        log.warning(
            "ComicInfo.xml not kept",
            extra={"volume": manifest.volume, "path": manifest.path, "reason": found.reason},
        )
        return None
    return found


def _proved(part: StoredPart, work: Store) -> bytes:
    """The content of an entry that goes into the book in another form, so that nobody else compares it."""
    try:
        content = work.get(part.key)
    except KeyMissing as error:
        raise PartDamaged.gone(part.key) from error
    if _crc32c(content) != part.crc32c:
        raise PartDamaged.differs(part.key)
    return content


def _notes(manifest: Manifest, pictures: Sequence[Staged]) -> str:
    if len(pictures) == len(listed := pictures_of(manifest.pages)):
        return ""
    there = {one.page.id for one in pictures}
    lacking = [page.name for page in listed if page.id not in there]
    named = ", ".join(lacking[:_NAMED]) + (" ..." if len(lacking) > _NAMED else "")
    return f"Bound without {counted(len(lacking), 'page')} that could not be had: {named}"


def _tail(pictures: Sequence[Staged], info: bytes | None) -> bytes:
    """ComicInfo, if there is one, and the central directory."""
    entries = [zip_layout.Entry(one.name, one.facts.crc32, one.facts.size) for one in pictures]
    if info is None:
        return zip_layout.central_directory(entries)
    last = zip_layout.Entry(COMICINFO, zlib.crc32(info), len(info))
    header = zip_layout.local_header(last.name, last.crc32, last.size)
    return b"".join([header, info, zip_layout.central_directory([*entries, last])])


def _crc32c(content: bytes) -> int:
    import google_crc32c

    value: int = google_crc32c.value(content)
    return value


def _rows(pictures: Sequence[Staged]) -> Iterator[BoundPage]:
    """What a receipt says of pages that follow each other from the book's first byte on."""
    offset = 0
    for one in pictures:
        offset += one.part.size
        yield BoundPage(one.page.id, one.name, offset - one.facts.size, one.facts.size, one.facts.crc32)
