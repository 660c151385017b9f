"""The server's drive: folders that change under way, what was listed of them, and how they fail."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tests.support.memory_source import picture

from pagebind.core.model import Item
from pagebind.errors import ListingFailed, PageCut, PageFailed, PageWrong, RefreshRefused, ServerUnreachable
from pagebind.ports.source import Account, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.simulation.schedule import Process, Schedule
    from tests.simulation.wire import Wire

    from pagebind.ports.source import Download, Drive

CACHE = 30 * 60.0
"""Seconds for which a listing is served from the cache."""

_BROKEN = b"<html>"
"""Comes instead of a picture."""

Pages = dict[str, bytes]


class File(NamedTuple):
    """What is listed under a name, and since when by the drive. One that is not ``sound`` cannot be had."""

    data: bytes
    modified: float
    sound: bool = True


Folder = dict[str, File]


class Heard(NamedTuple):
    """A listing that a process was given: of a volume's folder, the names and what stood under them.

    ``fresh``: not from the cache. ``again``: the same process had listed that folder before.
    """

    when: float
    by: Process
    path: str
    pages: Pages
    fresh: bool
    again: bool


class Trouble(NamedTuple):
    """What is wrong with the drive now: chances from 0 to 1, of listings and of downloads."""

    silent: float = 0.0
    unlisted: float = 0.0
    lacking: float = 0.0
    page: float = 0.0


class Library:
    """All that is on the drive, below one subscription.

    Attributes:
        folders: volumes by path.
        hashes: it lists them. Without, each version of a file has another size, for nobody could tell them apart.
        may_refresh: the account may ask for fresh listings.
        heard: all listings that were given, in order.
        asked: when downloads of a file were begun, by path.
        failed: when one failed, or brought something else than was listed, by path.
    """

    def __init__(self, schedule: Schedule, root: str, *, hashes: bool, may_refresh: bool, cache: float) -> None:
        self.root = root
        self.hashes = hashes
        self.may_refresh = may_refresh
        self.folders: dict[str, Folder] = {}
        self.trouble = Trouble()
        self.heard: list[Heard] = []
        self.asked: defaultdict[str, list[float]] = defaultdict(list)
        self.failed: defaultdict[str, list[float]] = defaultdict(list)
        self._schedule = schedule
        self._lasts = cache
        self._cache: dict[str, tuple[float, Folder]] = {}
        self._versions = 0

    def another(self, name: str, *, sound: bool = True) -> File:
        """A version of a file that there was never before."""
        self._versions += 1
        size = 90 + (0 if self.hashes else self._versions)
        text = f"{name} {self._versions}"
        return File(picture(text, size), self._schedule.now, sound)

    def pages(self, path: str) -> Pages:
        """What stands in a volume's folder now."""
        return {name: file.data for name, file in self.folders.get(path, {}).items()}

    def lost(self, path: str) -> set[str]:
        """Names of the files of a volume that cannot be had."""
        return {name for name, file in self.folders.get(path, {}).items() if not file.sound}

    def mend(self, path: str) -> None:
        """All files of a volume can be had again. Its listing stays as it is."""
        folder = self.folders[path]
        self.folders[path] = {name: file._replace(sound=True) for name, file in folder.items()}

    def listing(self, path: str, *, fresh: bool) -> tuple[list[str], Folder, bool]:
        """Names of folders, files, and whether it is as the drive is now. Raises: ListingFailed."""
        cached = self._cache.get(path)
        now = self._schedule.now
        if cached is None or fresh or now - cached[0] >= self._lasts:
            cached = self._cache[path] = (now, dict(self._look(path)))
        below = sorted({rest.partition("/")[0] for p in self.folders if (rest := _below(p, path))})
        return below, cached[1], cached[0] == now

    def _look(self, path: str) -> Folder:
        if path in self.folders:
            return self.folders[path]
        if path != self.root and not any(_below(p, path) for p in self.folders):
            raise ListingFailed(f"{path}: object not found", path=path)
        return {}

    def item(self, name: str, file: File) -> Item:
        """As a listing shows it."""
        modified = datetime.fromtimestamp(file.modified, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        hashes = {"md5": hashlib.md5(file.data).hexdigest()} if self.hashes else None
        return Item(name, len(file.data), modified=modified, sign="sign", hash_info=hashes)


class SourceOnTheWire:
    """Implements `pagebind.ports.source.Source`: the drive as a process sees it."""

    def __init__(self, wire: Wire, library: Library) -> None:
        self._wire = wire
        self._library = library
        self._schedule = wire.schedule
        self._listed: set[str] = set()

    def server(self) -> ServerInfo:
        return ServerInfo("openlist", "v4.2.0")

    def answers(self) -> bool:
        self._wire.wait()
        return not self._dice(self._library.trouble.silent)

    def account(self) -> Account:
        return Account("reader", "/", admin=False, guest=False)

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        del password
        self._wire.wait()
        library, tell = self._library, self._schedule.tell
        if self._dice(library.trouble.silent):
            tell(f"lists {path}: no answer", "a listing without an answer")
            raise ServerUnreachable("no answer")
        if refresh and not library.may_refresh:
            raise RefreshRefused(f"{path}: not allowed", path=path)
        if self._dice(library.trouble.unlisted):
            tell(f"lists {path}: failed", "a listing that fails")
            raise ListingFailed(f"{path}: the drive failed", path=path)
        folders, files, fresh = library.listing(path, fresh=refresh)
        if files and self._dice(library.trouble.lacking):
            files = dict(list(files.items())[: self._schedule.dice.randrange(len(files))])
            self._schedule.counts["a listing that lacks files"] += 1
        tell(
            f"lists {path}: {', '.join([*folders, *(f'{n} {_short(f.data)}' for n, f in files.items())]) or 'nothing'}"
            + ("" if fresh else " (cached)")
        )
        process = self._schedule.strand.process
        pages = {name: file.data for name, file in files.items()}
        library.heard.append(Heard(self._schedule.now, process, path, pages, fresh, path in self._listed))
        self._listed.add(path)
        return [Item(name, is_dir=True) for name in folders] + [library.item(*it) for it in files.items()]

    def link(self, path: str) -> str:
        return path

    def download(self, wanted: Download) -> Iterator[bytes]:
        self._wire.wait()
        library, dice = self._library, self._schedule.dice
        folder, _, name = wanted.path.rpartition("/")
        library.asked[wanted.path].append(self._schedule.now)
        if self._dice(library.trouble.silent):
            self._failed(wanted.path, "no answer")
            raise ServerUnreachable("no answer")
        if self._dice(library.trouble.page):
            yield from self._spoilt(wanted)
            return
        file = library.folders.get(folder, {}).get(name)
        if file is None:
            self._failed(wanted.path, "not found")
            raise PageFailed(f"{wanted.path}: not found", path=wanted.path)
        if not file.sound:
            self._failed(wanted.path, "not to be had")
            yield _BROKEN.ljust(wanted.size)
            return
        self._schedule.tell(f"downloads {wanted.path}: {_short(file.data)}")
        body = file.data[: wanted.size + 1]
        if len(file.data) != wanted.size:
            library.failed[wanted.path].append(self._schedule.now)
        middle = dice.randrange(len(body))
        yield body[:middle]
        yield body[middle:]

    def _spoilt(self, wanted: Download) -> Iterator[bytes]:
        """A download of a drive in trouble."""
        match self._schedule.dice.randrange(4):
            case 0:
                self._failed(wanted.path, "cut")
                yield b"\x89PNG\r\n"
                raise PageCut(f"{wanted.path}: cut", path=wanted.path)
            case 1:
                self._failed(wanted.path, "an HTML page")
                yield _BROKEN.ljust(wanted.size)
            case 2:
                self._failed(wanted.path, "leave me alone")
                raise PageFailed(f"{wanted.path}: leave me alone", path=wanted.path, retry_after=30.0)
            case _:
                self._failed(wanted.path, "wrong")
                raise PageWrong(f"{wanted.path}: JSON", path=wanted.path)

    def _failed(self, path: str, how: str) -> None:
        self._schedule.tell(f"downloads {path}: {how}", f"a download: {how}")
        self._library.failed[path].append(self._schedule.now)

    def drives(self) -> Sequence[Drive] | None:
        return None

    def redirect_target(self, wanted: Download) -> str | None:
        del wanted
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def _dice(self, chance: float) -> bool:
        return bool(chance) and self._schedule.dice.random() < chance


def _below(path: str, folder: str) -> str:
    return path[len(folder) + 1 :] if path.startswith(folder + "/") else ""


def _short(data: bytes) -> str:
    """What tells one version of a file from others."""
    return hashlib.md5(data).hexdigest()[:6]


def differing(pages: Pages, others: Mapping[str, bytes]) -> str:
    """In words, what tells two folders, or a folder and a book, apart."""
    missing, more = sorted(pages.keys() - others.keys()), sorted(others.keys() - pages.keys())
    changed = sorted(name for name in pages.keys() & others.keys() if pages[name] != others[name])
    return f"lacks {missing}, has besides {more}, and other bytes in {changed}"
