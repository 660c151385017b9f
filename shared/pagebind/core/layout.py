"""What is a volume: how the folders of a server become volumes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol
from unicodedata import normalize

from pagebind.core.image_kind import ARCHIVE_EXTENSIONS, PAGE_EXTENSIONS
from pagebind.core.model import COMICINFO, LARGEST_COMICINFO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pagebind.core.model import Item

_CONTAINERS = frozenset({"jpg", "png", "webp", "images", "pages", "scans"})
"""Folders that only hold the pages of the folder above, whose name they take."""

_JUNK_FOLDERS = frozenset({"__macosx", "@eadir"})
FIELDS = ("series", "volume", "chapter", "_")
"""What a pattern of folders may hold between braces."""

_FIELD = r"\{([^{}]*)\}"
_LONGEST_NAME = 1024
"""No file system has longer names; matching takes time in proportion to the square of the length."""

_EXTENSIONS = PAGE_EXTENSIONS | ARCHIVE_EXTENSIONS | {"xml"}
_LOOSE = 2
"""So few pictures beside subfolders with pages are a cover or a banner, not a book."""


class Contents(NamedTuple):
    """One folder's listing, sorted into what matters. Junk of macOS, Windows and Synology is in none of them."""

    pages: tuple[Item, ...]
    folders: tuple[str, ...]
    archives: tuple[Item, ...]
    excluded_pages: int
    excluded_folders: tuple[str, ...]
    info: Item | None = None


class Placed(NamedTuple):
    """Which volume a folder with pages belongs to.

    Attributes:
        volume: server path of the volume's folder: this folder, or one above it that merges its chapters.
        series, name, chapter: as they are called on the server; ``chapter`` is empty where the layout knows none, or
            merges several.
        parent: name of the folder above the one that ``name`` comes from; the subscription's at its top.
    """

    volume: str
    series: str
    name: str
    chapter: str = ""
    parent: str = ""


class Layout(Protocol):
    """How folders become volumes."""

    @property
    def merges(self) -> bool:
        """Whether one volume may consist of several folders."""
        ...

    def place(self, root: str, folder: str) -> Placed | None:
        """The volume that ``folder`` belongs to, in the subscription ``root``; None: the layout has no place for it."""
        ...


def sort_out(items: Iterable[Item], excluded: Callable[[str, bool], bool] | None) -> Contents:
    """Tell pages, folders and archives apart.

    Args:
        items: a listing.
        excluded: says of a name in this folder, and whether it is a folder, that the user's filters leave it out.
    """
    pages: list[Item] = []
    folders: list[str] = []
    left_out: list[str] = []
    archives: list[Item] = []
    info: Item | None = None
    excluded_pages = 0
    for item in items:
        if item.is_dir:
            if item.name.lower() not in _JUNK_FOLDERS:
                (left_out if excluded and excluded(item.name, True) else folders).append(item.name)
            continue
        _, dot, suffix = item.name.rpartition(".")
        extension = suffix.lower() if dot else ""
        if extension not in _EXTENSIONS or item.name.startswith("._"):
            continue
        if excluded and excluded(item.name, False):
            excluded_pages += extension in PAGE_EXTENSIONS
        elif extension in PAGE_EXTENSIONS:
            pages.append(item)
        elif extension in ARCHIVE_EXTENSIONS:
            archives.append(item)
        elif item.name == COMICINFO and 0 < item.size <= LARGEST_COMICINFO:
            info = item
    return Contents(
        tuple(pages), tuple(sorted(folders)), tuple(archives), excluded_pages, tuple(sorted(left_out)), info
    )


def is_loose(contents: Contents) -> bool:
    """Whether these pictures are no book if a folder below holds pages."""
    return bool(contents.folders) and len(contents.pages) <= _LOOSE


class Auto:
    """`layout = "auto"`: every folder that holds pages is a volume."""

    merges = False

    def place(self, root: str, folder: str) -> Placed:
        """See `Layout.place`."""
        return name_volume(root, folder)


AUTO: Layout = Auto()


def name_volume(subscription: str, folder: str) -> Placed:
    """Series and volume of a folder that holds pages.

    The series is the name of the folder above, or the folder's own where it lies directly under the subscription; pages
    in the subscription's root itself carry the root's name. ``jpg``, ``scans`` and the like take their parent's name.
    """
    root = name_of(subscription)
    parts = _parts_below(subscription, folder)
    _drop_containers(parts, 0)
    match parts:
        case []:
            return Placed(folder, root, root, parent=root)
        case [only]:
            return Placed(folder, only, only, parent=root)
        case [*_, above, own]:
            return Placed(folder, above, own, parent=above)
    raise AssertionError(parts)


def parse_layout(text: str) -> Layout:
    """Compile a pattern such as ``{series}/{volume}/{chapter}``, relative to a subscription's path.

    Between slashes stand literal text, which is compared without case, and fields. A field stands for some text within
    one name: ``{series}`` for as much as fits, the others for as little; ``{_}`` may be nothing.

    Raises:
        ValueError: with what is wrong, in one line.
    """
    if text == "auto":
        return AUTO
    parts = text.split("/")
    homes: dict[str, int] = {}
    for place, part in enumerate(parts):
        for field in _fields_of(part):
            if field in homes:
                raise ValueError(f"holds {{{field}}} twice")
            if field != "_":
                homes[field] = place
    book = homes.get("volume", homes.get("chapter"))
    if book is None:
        raise ValueError("holds neither {volume} nor {chapter}")
    if homes.get("series", 0) > book:
        raise ValueError("holds {series} below what belongs to it")
    merges = "volume" in homes and "chapter" in homes
    if merges and homes["chapter"] <= book:
        raise ValueError("has {chapter} not below {volume}; chapters are merged into the volume's folder above them")
    return _Pattern(tuple(map(_compiled, parts)), book, merges)


def _fields_of(part: str) -> list[str]:
    """The names of the fields in one part of a pattern, which is checked for all that concerns it alone."""
    if part in {"", ".", ".."}:
        raise ValueError("has an empty, . or .. part")
    fields: list[str] = re.findall(_FIELD, part)
    for field in fields:
        if field not in FIELDS:
            raise ValueError(f"uses the unknown field {{{field}}}")
    rest = re.sub(_FIELD, "", part)
    if "{" in rest or "}" in rest:
        raise ValueError("has a { or } that is not one of a pair")
    if "}{" in part:
        raise ValueError("has two fields with nothing between them")
    return fields


def _compiled(part: str) -> re.Pattern[str]:
    """One part as a regular expression.

    A field that takes as little as it can never needs another try once the text after it was found: atomic groups keep
    that from costing more than once through the name.
    """
    first, *rest = re.split(_FIELD, normalize("NFC", part))
    expression = re.escape(first)
    for place in range(0, len(rest), 2):
        field, literal = rest[place], re.escape(rest[place + 1])
        if field == "series":
            expression += f"(?P<series>.+){literal}"
        else:
            taken = ".*?" if field == "_" else f"(?P<{field}>.+?)"
            is_last = place + 2 == len(rest)
            expression += f"{taken}{literal}" if is_last else f"(?>{taken}{literal})"
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


class _Pattern(NamedTuple):
    """A layout that was written out.

    Attributes:
        parts: what each folder's name below the subscription must match.
        book: which of them names the book.
        merges: see `Layout`.
    """

    parts: tuple[re.Pattern[str], ...]
    book: int
    merges: bool

    def place(self, root: str, folder: str) -> Placed | None:
        """See `Layout.place`."""
        parts = _parts_below(root, folder)
        _drop_containers(parts, len(self.parts))
        fields = self._match(parts) if len(parts) == len(self.parts) else None
        if fields is None and self.merges:
            _drop_containers(parts, self.book + 1)
            fields = self._match(parts) if len(parts) == self.book + 1 else None
        if fields is None:
            return None
        own = parts[self.book]
        above = parts[self.book - 1] if self.book else ""
        chapter = "" if self.merges else fields.get("chapter", "")
        return Placed(
            join(root, "/".join(parts[: self.book + 1])) if self.merges else folder,
            fields.get("series") or above or own,
            chapter or fields["volume"],
            chapter,
            above or name_of(root),
        )

    def _match(self, parts: list[str]) -> dict[str, str] | None:
        """The fields of the names, as far as there are any; None if one of them does not fit."""
        fields: dict[str, str] = {}
        for pattern, name in zip(self.parts, parts, strict=False):
            found = pattern.fullmatch(normalize("NFC", name)) if len(name) <= _LONGEST_NAME else None
            if found is None:
                return None
            fields |= found.groupdict()
        fields = {field: text.strip() for field, text in fields.items()}
        return fields if all(fields.values()) else None


def _drop_containers(parts: list[str], depth: int) -> None:
    """Take away what only holds the pages of the folder above, down to a depth."""
    while len(parts) > depth and parts[-1].lower() in _CONTAINERS:
        parts.pop()


def _parts_below(root: str, folder: str) -> list[str]:
    return [part for part in folder.removeprefix(root).split("/") if part]


def name_of(path: str) -> str:
    """The last part of a server path; that of ``/`` is ``root``."""
    return path.rpartition("/")[2] or "root"


def is_below(path: str, folder: str) -> bool:
    """Whether a server path is this folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def join(folder: str, name: str) -> str:
    """A server path."""
    return f"{folder.rstrip('/')}/{name}"
