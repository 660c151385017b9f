"""Pages, their identity, and the manifest: the exact, ordered list of pages of one revision of a volume."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import names, rows
from pagebind.core.image_kind import is_archive
from pagebind.core.keys import digest
from pagebind.core.model import COMICINFO, About, listed_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pagebind.core.model import Item

_WITH_OFFSET = re.compile(r"(?P<seconds>[^.]+?)(?P<fraction>(\.\d+)?)(?P<offset>[+-]\d\d:\d\d)")
_NO_HASHES: Mapping[str, str] = {}  # one for all pages: most drives list none
_REVISION_LENGTH = 16
_PAGE_LENGTH = 20
_MADE_UP_TIMES = 4
"""So many pages at least must have moved in time, and more than half, before times are taken for made up."""

BY_TIME = "time:"
"""Begins the mark of a page of which no hash is listed."""

SHRINK_MEMORY = 7 * 86400.0
"""Seconds for which a larger listing is remembered when a smaller one comes."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file of a volume: a picture, or a ComicInfo.xml, which comes last; or an archive, which is alone.

    Attributes:
        name: the file's path below the volume's folder on the server; its name, where chapters are not merged.
        book_name: its name inside the book.
        size: bytes, as listed.
        mark: what tells two versions of it apart: ``md5:<hex>`` (or sha1, sha256), else ``time:<RFC 3339>``.
        modified: the listed time.
        hashes: the listed hashes by kind.
        sign: of its link; never written anywhere but into its fetch task.
    """

    name: str
    book_name: str
    size: int
    mark: str
    modified: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    sign: str = field(default="", repr=False, compare=False)

    @property
    def id(self) -> str:
        """Digest of its identity, the name of its entry: name in the book, size, and hash or time."""
        return digest(f"{self.book_name}\0{self.size}\0{self.mark}", _PAGE_LENGTH)

    @property
    def kind(self) -> str:
        """``page``, ``info`` or ``archive``."""
        if self.name == COMICINFO:
            return "info"
        return "archive" if is_archive(self.name) else "page"


class Manifest(NamedTuple):
    """One revision of a volume, as recorded. ``path`` and ``subscription`` are server paths, ``key`` the book's."""

    volume: str
    path: str
    subscription: str
    key: str
    about: About
    seq: int
    revision: str
    pages: tuple[Page, ...]


def pages_of(items: Sequence[Item], info: Item | None = None) -> tuple[Page, ...]:
    """The pages of a folder in the order of the book, named as in the book. Any order of the items gives the same.

    Args:
        items: pictures; their names are paths where chapters are merged.
        info: the folder's ComicInfo.xml.
    """
    order = names.order_pages([item.name for item in items])
    ordered = [items[place] for place in order]
    titles = names.book_names([item.name for item in ordered])
    if info is not None:
        ordered.append(info)
        titles.append(info.name)
    return tuple(
        Page(item.name, title, item.size, _mark(item), item.modified, item.hash_info or _NO_HASHES, item.sign)
        for item, title in zip(ordered, titles, strict=True)
    )


def archive_of(item: Item) -> tuple[Page, ...]:
    """The one file of a volume that is an archive already."""
    return (Page(item.name, item.name, item.size, _mark(item), item.modified, item.hash_info or _NO_HASHES, item.sign),)


def pictures(pages: Sequence[Page]) -> Sequence[Page]:
    """The pages without the ComicInfo.xml that may follow them."""
    return pages[:-1] if pages and pages[-1].name == COMICINFO else pages


def _mark(item: Item) -> str:
    if item.hash_info:
        kind, value = listed_hash(item.hash_info)
        if kind:
            return f"{kind}:{value}"
    return f"{BY_TIME}{_utc(item.modified)}"


def _utc(text: str) -> str:
    """The same instant in the same words, whatever time zone the server happens to run in."""
    moved = None if text.endswith("Z") else _WITH_OFFSET.fullmatch(text)
    if moved is None:
        return text
    try:
        instant = datetime.fromisoformat(moved["seconds"] + moved["offset"]).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return f"{instant:%Y-%m-%dT%H:%M:%S}{moved['fraction']}Z"


def revision_of(pages: Iterable[Page]) -> str:
    """Digest of the ordered list: names, sizes and identities. Equal lists, and only they, are the same revision."""
    lines = "\n".join([f"{p.name}\0{p.book_name}\0{p.size}\0{p.mark}" for p in pages])
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()[:_REVISION_LENGTH]


def keep_identities(pages: Sequence[Page], previous: Sequence[Page]) -> tuple[Page, ...]:
    """Let pages that are the same as before keep the identity that they had in the newest manifest.

    A page with the name and size that it had is the same if a kind of hash listed both times agrees or, with no common
    kind, if its time is the same, or if times moved on more than half of such pages, 4 at least: some drives make times
    up anew at every listing.
    """
    before = {page.name: page for page in previous}
    alike = {p.name: old for p in pages if (old := before.get(p.name)) is not None and old.size == p.size}
    by_time = [p for p in pages if p.name in alike and not _common_kinds(p, alike[p.name])]
    moved = sum(_utc(p.modified) != _utc(alike[p.name].modified) for p in by_time)
    made_up = moved >= _MADE_UP_TIMES and moved * 2 > len(by_time)

    def settled(page: Page) -> Page:
        old = alike.get(page.name)
        if old is None or old.mark == page.mark:
            return page
        kinds = _common_kinds(page, old)
        same = (
            any(page.hashes[kind].lower() == old.hashes[kind].lower() for kind in kinds)
            if kinds
            else made_up or _utc(page.modified) == _utc(old.modified)
        )
        return replace(page, mark=old.mark) if same else page

    return tuple(settled(page) for page in pages)


def _common_kinds(page: Page, old: Page) -> list[str]:
    return [kind for kind, value in page.hashes.items() if value and old.hashes.get(kind)]


def lacking(pages: Iterable[Page], reference: Sequence[Page], *, explained: Callable[[str], bool]) -> list[str]:
    """Names of reference pages that a listing lacks by stem (``001.jpg`` may have become ``001.webp``).

    ``explained`` says of a name that the user's own filters leave it out now: such a page is not lacking, nor is one
    whose hash is listed under a name that is new.
    """
    before = {_stem(page.name) for page in reference}
    stems, renamed = set[str](), set[tuple[int, str]]()
    for page in pages:
        stem = _stem(page.name)
        stems.add(stem)
        if stem not in before and not page.mark.startswith(BY_TIME):
            renamed.add((page.size, page.mark))
    return [
        page.name
        for page in reference
        if _stem(page.name) not in stems and (page.size, page.mark) not in renamed and not _explained(page, explained)
    ]


def _explained(page: Page, explained: Callable[[str], bool]) -> bool:
    return page.kind == "info" or explained(page.name)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def dump(manifest: Manifest) -> bytes:
    """The manifest as JSON: no sign, no link, no token."""
    fields = {
        "schema": 1,
        "volume": manifest.volume,
        "path": manifest.path,
        "subscription": manifest.subscription,
        "key": manifest.key,
        "about": manifest.about._asdict(),
        "seq": manifest.seq,
        "revision": manifest.revision,
    }
    return rows.dump(
        fields, ([p.name, p.book_name, p.size, p.mark, p.modified, dict(p.hashes)] for p in manifest.pages)
    )


def load(content: bytes) -> Manifest:
    """Read back what `dump` wrote.

    Raises:
        ValueError: it is not a manifest.
    """
    try:
        document = json.loads(content)
        pages = tuple(Page(*row) for row in document["pages"])
        fields = {name: document[name] for name in Manifest._fields if name not in ("pages", "about")}
        return Manifest(pages=pages, about=About(**document["about"]), **fields)
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a manifest: {error}") from error
