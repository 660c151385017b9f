"""What is a volume: how the folders of a server become volumes. Layouts that are written out: `layout_pattern`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from pagebind.core.image_kind import ARCHIVE_EXTENSIONS, PAGE_EXTENSIONS
from pagebind.core.model import COMICINFO, LARGEST_COMICINFO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pagebind.core.model import Item

_CONTAINERS = frozenset({"jpg", "png", "webp", "images", "pages", "scans"})
"""Folders that only hold the pages of the folder above, whose name they take."""

JUNK_FOLDERS = frozenset({"__macosx", "@eadir"})
"""Folders that macOS and Synology leave behind, in lower case."""

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
            if item.name.lower() not in JUNK_FOLDERS:
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
    parts = parts_below(subscription, folder)
    drop_containers(parts, 0)
    match parts:
        case []:
            return Placed(folder, root, root, parent=root)
        case [only]:
            return Placed(folder, only, only, parent=root)
        case [*_, above, own]:
            return Placed(folder, above, own, parent=above)
    raise AssertionError(parts)


def drop_containers(parts: list[str], depth: int) -> None:
    """Take away what only holds the pages of the folder above, down to a depth."""
    while len(parts) > depth and parts[-1].lower() in _CONTAINERS:
        parts.pop()


def parts_below(root: str, folder: str) -> list[str]:
    """The names of the folders that lead from the subscription's root to a folder."""
    return [part for part in folder.removeprefix(root).split("/") if part]


def name_of(path: str) -> str:
    """The last part of a server path; that of ``/`` is ``root``."""
    return path.rpartition("/")[2] or "root"


def is_below(path: str, folder: str) -> bool:
    """Whether a server path is this folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def parent(path: str) -> str:
    """The folder that a server path lies in; that of ``/`` is itself."""
    return path.rpartition("/")[0] or "/"


def join(folder: str, name: str) -> str:
    """A server path."""
    return f"{folder.rstrip('/')}/{name}"
