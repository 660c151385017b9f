"""A server in memory: folders and files, with faults that tests switch on."""

from __future__ import annotations

import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pagebind.core.model import Item
from pagebind.errors import ListingFailed, PageCut, PageFailed, RefreshRefused
from pagebind.ports.source import Account, Download, Drive, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pagebind.errors import PagebindError

SIGN = "s1gn-0f-th3-l1nk"
"""Begins every sign that is listed; nothing that is stored may hold it."""


def picture(text: str, size: int = 120) -> bytes:
    """The frame of a PNG of 7 x 9 pixels, whole at its end; ``text`` tells it from others."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 7, 9, 8, 2, 0, 0, 0, 0)
    words, end = text.encode(), struct.pack(">II4sI", 0, 0, b"IEND", 0)
    words = words.ljust(size - len(head) - 8 - len(end), b".")
    return head + struct.pack(">I4s", len(words), b"tEXt") + words + end


@dataclass(slots=True)
class File:
    """One file; ``listed`` is the size in the listing where it is not that of ``data``."""

    data: bytes
    modified: str
    hashes: dict[str, str] | None = None
    listed: int | None = None


@dataclass(slots=True)
class MemorySource:
    """Implements `pagebind.ports.source.Source`.

    Attributes:
        files: by server path; folders above them exist by themselves.
        empty_folders: further folders.
        failing: what listing a folder raises, by path.
        page_faults: what the next downloads of a file raise, one after the other, by path; the last one stays.
        next_bodies: what the next downloads of a file give instead of its data, by path.
        cuts: after how many bytes the next downloads of a file end with `PageCut`, by path.
        chunk_size: bytes of what downloads give at a time.
        versions: what files are told by, by path; a download of the middle of another version is refused.
        no_ranges: files that can only be had from their beginning.
        down: what every call raises.
        refresh_refused: the account may not ask for fresh listings.
        answering: the server itself answers, whatever its folders and files do.
        listed: every listing, as (path, refresh). downloads: how often each file was asked for.
    """

    files: dict[str, File] = field(default_factory=dict)
    empty_folders: set[str] = field(default_factory=set)
    failing: dict[str, PagebindError] = field(default_factory=dict)
    page_faults: dict[str, list[PagebindError]] = field(default_factory=dict)
    next_bodies: dict[str, list[bytes]] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    chunk_size: int = 64
    versions: dict[str, str] = field(default_factory=dict)
    no_ranges: set[str] = field(default_factory=set)
    down: PagebindError | None = None
    refresh_refused: bool = False
    answering: bool = True
    all_drives: Sequence[Drive] | None = None
    target: str | None = None
    listed: list[tuple[str, bool]] = field(default_factory=list)
    asked: list[Download] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    downloads: Counter[str] = field(default_factory=Counter)
    who: Account = field(default_factory=lambda: Account("reader", "/", admin=False, guest=False))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        path: str,
        data: bytes | None = None,
        *,
        modified: str = "2024-01-01T00:00:00Z",
        hashes: Mapping[str, str] | None = None,
        listed: int | None = None,
    ) -> None:
        """Put a file there; by default a picture of its own."""
        self.files[path] = File(
            picture(path) if data is None else data, modified, dict(hashes) if hashes else None, listed
        )

    def folder(self, path: str, *names: str) -> None:
        """Put a folder of pictures there."""
        self.empty_folders.add(path)
        for name in names:
            self.add(f"{path}/{name}")

    def remove(self, folder: str) -> None:
        """Take a folder or file away."""
        self.files = {path: file for path, file in self.files.items() if not _is_below(path, folder)}
        self.empty_folders = {path for path in self.empty_folders if not _is_below(path, folder)}

    def server(self) -> ServerInfo:
        self._answer()
        return ServerInfo("openlist", "v4.2.0")

    def answers(self) -> bool:
        return self.answering and self.down is None

    def account(self) -> Account:
        self._answer()
        return self.who

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        with self._lock:
            self.listed.append((path, refresh))
            self.passwords.append(password)
        self._answer()
        if path in self.failing:
            raise self.failing[path]
        if refresh and self.refresh_refused:
            raise RefreshRefused(f"{path}: no right to refresh", path=path)
        items = self._items(path)
        if not items and path not in self.empty_folders:
            raise ListingFailed(f"{path}: object not found", path=path)
        return items

    def _items(self, path: str) -> Sequence[Item]:
        base = path.rstrip("/") + "/"
        folders: dict[str, Item] = {}
        items = []
        for full, file in self.files.items():
            name, below, _ = full.removeprefix(base).partition("/")
            if not full.startswith(base):
                continue
            if below:
                folders[name] = Item(name, is_dir=True)
            else:
                size = len(file.data) if file.listed is None else file.listed
                items.append(Item(name, size, modified=file.modified, sign=f"{SIGN}:{full}", hash_info=file.hashes))
        for full in self.empty_folders:
            name = full.removeprefix(base).partition("/")[0]
            if full.startswith(base) and name:
                folders[name] = Item(name, is_dir=True)
        return [*items, *folders.values()]

    def link(self, path: str) -> str:
        return path

    def download(self, wanted: Download) -> Iterator[bytes]:
        with self._lock:
            self.downloads[wanted.path] += 1
            self.asked.append(wanted)
            faults = self.page_faults.get(wanted.path)
            fault = (faults.pop(0) if len(faults) > 1 else faults[0]) if faults else None
        self._answer()
        if fault is not None:
            raise fault
        file = self.files.get(wanted.path)
        if file is None:
            raise PageFailed(f"{wanted.path}: object not found", path=wanted.path)
        instead = self.next_bodies.get(wanted.path)
        if wanted.start and wanted.path in self.no_ranges:
            raise PageCut(f"{wanted.path}: the server cannot begin at byte {wanted.start}", path=wanted.path)
        version = self.versions.get(wanted.path, "")
        if wanted.version and version and wanted.version != version:
            raise PageCut(f"{wanted.path}: the file has changed meanwhile", path=wanted.path)
        if wanted.noted is not None:
            wanted.noted(wanted.version or version)
        body = memoryview(instead.pop(0) if instead else file.data)[wanted.start : wanted.size + 1]
        cuts = self.cuts.get(wanted.path)
        end = min(cuts.pop(0), len(body)) if cuts else len(body)
        step = self.chunk_size
        yield from (bytes(body[at : min(at + step, end)]) for at in range(0, end, step))
        if end < len(body):
            raise PageCut(f"{wanted.path}: cut", path=wanted.path)

    def drives(self) -> Sequence[Drive] | None:
        self._answer()
        return self.all_drives

    def redirect_target(self, wanted: Download) -> str | None:
        self._answer()
        return self.target

    def close(self) -> None:
        """Nothing to give back."""

    def _answer(self) -> None:
        if self.down is not None:
            raise self.down


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")
