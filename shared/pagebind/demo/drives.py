"""Drives: where the demo server's folders and files come from."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import re
import urllib.parse
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pagebind.demo.bodies import Body, Pieces, Redirect, file_at
from pagebind.demo.pictures import seeming_jpeg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LISTING_CACHE_SECONDS = 30 * 60
"""How long the real servers keep a listing, of all drives but ``Local``."""

_BILLION = 1_000_000_000


class DriveFailed(Exception):  # the drive's own words, on their way into an answer
    """The drive itself has failed."""


class NotThere(Exception):  # as above
    """There is no such object."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in a folder.

    Attributes:
        name: its name.
        size: bytes; 0 for a folder.
        is_dir: whether it is a folder.
        modified: nanoseconds since the epoch.
        created: the same.
        path: where the drive has it.
        hashes: what the drive knows, by kind, or None where it has no notion of hashes.
    """

    name: str
    size: int
    is_dir: bool
    modified: int
    created: int
    path: str = ""
    hashes: Mapping[str, str] | None = None


def natural(name: str) -> list[tuple[str, int]]:
    """The order in which the servers sort by name: digits count as numbers."""
    return [("0", int(part)) if part.isdigit() else (part, -1) for part in re.findall(r"[0-9]+|[^0-9]+", name)]


@dataclass(slots=True, kw_only=True)
class Drive(ABC):
    """What can be mounted.

    Attributes:
        driver: its kind, as the servers call it.
        order: of its listings: ``name`` (natural, folders first), ``reversed`` or ``shuffled`` (always the same way).
        cache_seconds: how long the server may serve a listing again; 0 for not at all.
        constant: a listing never changes, so that the server may keep what it rendered.
        broken: the words with which it fails, or empty.
    """

    driver: str = "Local"
    order: str = "name"
    cache_seconds: float = 0
    constant: bool = False
    broken: str = ""

    @property
    def root(self) -> str:
        """The drive's own path of its root."""
        return "/"

    @property
    def status(self) -> str:
        """``work`` or why it does not."""
        return self.broken or "work"

    def list(self, relative: str) -> list[Entry]:
        """The objects of a folder, ``""`` being the root, in the drive's order. Raises: DriveFailed, NotThere."""
        self.check()
        entries = sorted(self.entries(relative), key=lambda entry: (not entry.is_dir, natural(entry.name)))
        if self.order == "reversed":
            entries.reverse()
        elif self.order == "shuffled":
            random.Random(relative).shuffle(entries)
        return entries

    def check(self) -> None:
        """Raises: DriveFailed when it is broken."""
        if self.broken:
            raise DriveFailed(self.broken)

    @abstractmethod
    def entries(self, relative: str) -> Sequence[Entry]:
        """The objects of a folder in any order. Raises: DriveFailed, NotThere."""

    @abstractmethod
    def stat(self, relative: str) -> Entry:
        """One object. Raises: DriveFailed, NotThere."""

    @abstractmethod
    def open(self, relative: str) -> Body | Redirect:
        """The bytes of one file, or where they are. Raises: DriveFailed, NotThere."""


@dataclass(slots=True, kw_only=True)
class LocalDrive(Drive):
    """A folder on disk. ``hashes`` names the kinds that are listed: any of md5, sha1, sha256."""

    folder: Path
    hashes: tuple[str, ...] = ()
    worked_when_mounted: bool = field(init=False)
    _known_hashes: dict[tuple[str, int, int], dict[str, str]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.worked_when_mounted = self.folder.is_dir()

    @property
    def root(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def status(self) -> str:
        """``work`` or why it did not when it was mounted."""
        if self.broken or self.worked_when_mounted:
            return self.broken or "work"
        return f"root folder {self.folder} not exists"

    def check(self) -> None:
        """Raises: DriveFailed when it is broken or its folder is gone."""
        if self.broken:
            raise DriveFailed(self.broken)
        if not self.folder.is_dir():
            raise DriveFailed(f"open {self.folder}: no such file or directory")

    def entries(self, relative: str) -> Sequence[Entry]:
        """The objects of a folder."""
        try:
            return [self._entry(path) for path in self.folder.joinpath(relative).iterdir()]
        except FileNotFoundError as error:
            raise NotThere(relative) from error

    def stat(self, relative: str) -> Entry:
        """One object."""
        self.check()
        try:
            return self._entry(self.folder / relative)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotThere(relative) from error

    def open(self, relative: str) -> Body:
        """A file."""
        self.check()
        try:
            return file_at(self.folder / relative)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DriveFailed(f"open {self.folder / relative}: no such file or directory") from error

    def _entry(self, path: Path) -> Entry:
        found = path.stat()
        is_dir = path.is_dir()
        size = 0 if is_dir else found.st_size
        hashes = self._hashes(path, size, found.st_mtime_ns) if self.hashes and not is_dir else None
        return Entry(path.name, size, is_dir, found.st_mtime_ns, found.st_ctime_ns, str(path), hashes)

    def _hashes(self, path: Path, size: int, modified: int) -> dict[str, str]:
        key = (str(path), size, modified)
        if key not in self._known_hashes:
            data = path.read_bytes()
            self._known_hashes[key] = {kind: hashlib.new(kind, data).hexdigest() for kind in self.hashes}
        return self._known_hashes[key]


@dataclass(slots=True, kw_only=True)
class VirtualDrive(Drive):
    """Many volumes that are nowhere: ``Series 001/Vol 001/0001.jpg`` and so on.

    Attributes:
        folders: volumes in all.
        files: pages in each.
        size: bytes of a page, at least 200.
        folders_per_series: volumes in one series.
        modified: of everything, seconds since the epoch.
        hashes: the kinds listed; each costs making the page.
    """

    folders: int
    files: int
    size: int = 500_000
    folders_per_series: int = 25
    modified: int = 1_700_000_000
    hashes: tuple[str, ...] = ()
    constant: bool = True

    def entries(self, relative: str) -> Sequence[Entry]:
        """The objects of a folder."""
        parts = self._parts(relative)
        if not parts:
            series = -(-self.folders // self.folders_per_series)
            return [self._folder(f"Series {number:03}", "") for number in range(1, series + 1)]
        if len(parts) == 1:
            return [self._folder(f"Vol {number:03}", relative) for number in range(1, self._volumes(parts[0]) + 1)]
        if len(parts) == 2:  # noqa: PLR2004  # series and volume
            return [self._page(f"{number:04}.jpg", relative) for number in range(1, self.files + 1)]
        raise NotThere(relative)

    def stat(self, relative: str) -> Entry:
        """One object."""
        self.check()
        parts = self._parts(relative)
        above, _, name = relative.rpartition("/")
        return self._page(name, above) if len(parts) == 3 else self._folder(name, above)  # noqa: PLR2004

    def open(self, relative: str) -> Body:
        """A page."""
        self.check()
        return Pieces(seeming_jpeg(relative, self.size))

    def _parts(self, relative: str) -> list[int]:
        """The numbers in a path. Raises: NotThere."""
        match = re.fullmatch(r"(?:Series (\d{3,})(?:/Vol (\d{3,})(?:/(\d{4,})\.jpg)?)?)?", relative)
        if match is None:
            raise NotThere(relative)
        numbers = [int(part) for part in match.groups() if part is not None]
        limits = (-(-self.folders // self.folders_per_series), self._volumes(numbers[0] if numbers else 1), self.files)
        if any(not 1 <= number <= limit for number, limit in zip(numbers, limits, strict=False)):
            raise NotThere(relative)
        return numbers

    def _volumes(self, series: int) -> int:
        return min(self.folders_per_series, self.folders - (series - 1) * self.folders_per_series)

    def _folder(self, name: str, above: str) -> Entry:
        time = self.modified * _BILLION
        return Entry(name, 0, True, time, time, f"/{above}/{name}".replace("//", "/"))

    def _page(self, name: str, above: str) -> Entry:
        path = f"{above}/{name}"
        hashes = None
        if self.hashes:
            data = b"".join(seeming_jpeg(path, self.size))
            hashes = {kind: hashlib.new(kind, data).hexdigest() for kind in self.hashes}
        time = self.modified * _BILLION
        return Entry(name, self.size, False, time, time, f"/{path}", hashes)


@dataclass(slots=True, kw_only=True)
class RemoteDrive(Drive):
    """Another server mounted here: its files are answered by a redirect to its own link.

    Attributes:
        url: of the other server.
        token: what it wants in ``Authorization``, or empty.
        folder: the folder of the other server that is mounted.
    """

    url: str
    token: str = field(default="", repr=False)
    folder: str = "/"
    driver: str = ""
    cache_seconds: float = LISTING_CACHE_SECONDS

    @property
    def root(self) -> str:
        """The folder on the other server."""
        return self.folder

    def entries(self, relative: str) -> Sequence[Entry]:
        """The objects of a folder."""
        entries: list[Entry] = []
        while True:
            page = len(entries) // 200 + 1
            data = self._ask("list", relative, page=page, per_page=200, refresh=False)
            content = data["content"] or []
            entries += [self._entry(item, relative) for item in content]
            if not content or len(entries) >= data["total"]:
                return entries

    def stat(self, relative: str) -> Entry:
        """One object."""
        self.check()
        return self._entry(self._ask("get", relative), relative.rpartition("/")[0])

    def open(self, relative: str) -> Redirect:
        """Where the other server has it."""
        self.check()
        return Redirect(str(self._ask("get", relative)["raw_url"]))

    def _entry(self, item: dict[str, Any], above: str) -> Entry:
        return Entry(
            name=item["name"],
            size=item["size"],
            is_dir=item["is_dir"],
            modified=_nanoseconds(item["modified"]),
            created=_nanoseconds(item["created"]),
            path=self._path(f"{above}/{item['name']}"),
            hashes=item["hash_info"] or {},
        )

    def _path(self, relative: str) -> str:
        return "/" + "/".join(part for part in f"{self.folder}/{relative}".split("/") if part)

    def _ask(self, what: str, relative: str, **fields: Any) -> dict[str, Any]:
        body = json.dumps({"path": self._path(relative), "password": "", **fields})
        headers = {"Content-Type": "application/json", "Authorization": self.token}
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request("POST", f"/api/fs/{what}", body, headers)
            answer = json.loads(connection.getresponse().read())
        except OSError as error:
            raise DriveFailed(f"request failed: {error}") from error
        finally:
            connection.close()
        if answer["code"] != http.HTTPStatus.OK:
            raise DriveFailed(f"request failed,code: {answer['code']}, message: {answer['message']}")
        data: dict[str, Any] = answer["data"]
        return data


def _nanoseconds(text: str) -> int:
    """RFC 3339 in UTC with up to nine digits after the second."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(seconds + "+00:00").timestamp()) * _BILLION + int(fraction.ljust(9, "0") or 0)
