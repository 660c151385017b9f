"""What is a volume, and what is it called: `layout = "auto"`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.image_kind import ARCHIVE_EXTENSIONS, PAGE_EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pagebind.core.model import Item

_CONTAINERS = frozenset({"jpg", "png", "webp", "images", "pages", "scans"})
"""Folders that only hold the pages of the folder above, whose name they take."""

_JUNK_FOLDERS = frozenset({"__macosx", "@eadir"})
_LOOSE = 2
"""So few pictures beside subfolders with pages are a cover or a banner, not a book."""


class Contents(NamedTuple):
    """One folder's listing, sorted into what matters. Junk of macOS, Windows and Synology is in none of them."""

    pages: tuple[Item, ...]
    folders: tuple[str, ...]
    archives: int
    excluded_pages: int
    excluded_folders: tuple[str, ...]


class Name(NamedTuple):
    """What a volume is called, before it is made safe for a file system."""

    series: str
    volume: str


def sort_out(items: Iterable[Item], excluded: Callable[[str, bool], bool] | None) -> Contents:
    """Tell pages, folders and archives apart.

    Args:
        items: a listing.
        excluded: says of a name in this folder, and whether it is a folder, that the user's filters leave it out.
    """
    pages: list[Item] = []
    folders: list[str] = []
    left_out: list[str] = []
    archives = excluded_pages = 0
    for item in items:
        if item.is_dir:
            if item.name.lower() not in _JUNK_FOLDERS:
                (left_out if excluded and excluded(item.name, True) else folders).append(item.name)
            continue
        _, dot, suffix = item.name.rpartition(".")
        extension = suffix.lower() if dot else ""
        if extension in PAGE_EXTENSIONS:
            if item.name.startswith("._"):
                continue
            if excluded and excluded(item.name, False):
                excluded_pages += 1
            else:
                pages.append(item)
        elif extension in ARCHIVE_EXTENSIONS:
            archives += 1
    return Contents(tuple(pages), tuple(sorted(folders)), archives, excluded_pages, tuple(sorted(left_out)))


def is_loose(contents: Contents) -> bool:
    """Whether these pictures are no book if a folder below holds pages."""
    return bool(contents.folders) and len(contents.pages) <= _LOOSE


def name_volume(subscription: str, folder: str) -> Name:
    """Series and volume of a folder that holds pages.

    The series is the name of the folder above, or the folder's own where it lies directly under the subscription; pages
    in the subscription's root itself carry the root's name. ``jpg``, ``scans`` and the like take their parent's name.
    """
    root = subscription.rpartition("/")[2] or "root"
    parts = [part for part in folder.removeprefix(subscription).split("/") if part]
    while parts and parts[-1].lower() in _CONTAINERS:
        parts.pop()
    match parts:
        case []:
            return Name(root, root)
        case [only]:
            return Name(only, only)
        case [*_, above, own]:
            return Name(above, own)
    raise AssertionError(parts)


def is_below(path: str, folder: str) -> bool:
    """Whether a server path is this folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def join(folder: str, name: str) -> str:
    """A server path."""
    return f"{folder.rstrip('/')}/{name}"
