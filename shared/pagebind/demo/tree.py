"""The folder tree of a demo server: mounts, the listing cache, folder passwords."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pagebind.demo.accounts import BYPASS_PASSWORDS, Refused, User
from pagebind.demo.drives import Drive, DriveFailed, Entry, LocalDrive, NotThere

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagebind.demo.bodies import Body, Redirect
    from pagebind.demo.dialects import Dialect

_DENIED = "password is incorrect or you have no permission"


@dataclass(slots=True)
class Mount:
    """A drive at a path. ``listings`` holds cached ones by folder, with the time when they were made."""

    path: str
    drive: Drive
    number: int
    modified: int
    listings: dict[str, tuple[list[Entry], float]] = field(default_factory=dict)

    def as_folder(self, name: str) -> Entry:
        """How it stands in the folder above."""
        return Entry(name, 0, True, self.modified, self.modified)


@dataclass(frozen=True, slots=True)
class Folder:
    """A listed folder."""

    entries: list[Entry]
    provider: str


def clean(path: str) -> str:
    """The path with one slash at the front and between its parts, none at the end."""
    return "/" + "/".join(part for part in path.split("/") if part)


class Tree:
    """Everything below ``/``. Errors are `Refused` with code 500 and the words of the real servers."""

    def __init__(self, dialect: Dialect, clock: Callable[[], float]) -> None:
        self._dialect = dialect
        self._clock = clock
        self._lock = threading.Lock()
        self.mounts: list[Mount] = []
        self._passwords: dict[str, str] = {}

    def mount(self, path: str, drive: Drive) -> Mount:
        """Mount a drive."""
        with self._lock:
            mount = Mount(clean(path), drive, len(self.mounts) + 1, time.time_ns())
            self.mounts = [*self.mounts, mount]
        return mount

    def mounted(self, path: str) -> Mount:
        """The mount at exactly this path. Raises: KeyError."""
        for mount in self.mounts:
            if mount.path == clean(path):
                return mount
        raise KeyError(path)

    def set_password(self, path: str, password: str) -> None:
        """Protect a folder and what is below it; an empty password opens it again."""
        self._passwords[clean(path)] = password

    def protected(self, path: str) -> bool:
        """Whether a folder password holds here."""
        return bool(self._password(path))

    def check_password(self, path: str, password: str, user: User) -> None:
        """Raises: Refused (403)."""
        wanted = self._password(path)
        if wanted and password != wanted and not user.may(BYPASS_PASSWORDS):
            raise Refused(403, _DENIED)

    def _password(self, path: str) -> str:
        above = [known for known in self._passwords if path == known or path.startswith(known.rstrip("/") + "/")]
        return self._passwords[max(above, key=len)] if above else ""

    def folder(self, path: str, *, refresh: bool = False) -> Folder:
        """The objects of a folder. Raises: Refused."""
        mounted = self._mounted_below(path)
        found = self._locate(path)
        if found is None:
            if not mounted:
                raise Refused(500, f"failed get storage: storage not found; rawPath: {path}")
            return Folder(mounted, "unknown")
        mount, relative = found
        try:
            entries = self._listing(mount, relative, refresh=refresh)
        except Refused as error:
            if not mounted:
                raise Refused(500, f"failed get objs: {error.message}") from error
            entries = []
        names = {entry.name for entry in entries}
        entries = entries + [entry for entry in mounted if entry.name not in names]
        return Folder(entries, self.provider(mount))

    def constant(self, path: str) -> bool:
        """Whether the listing of this folder can never be another."""
        found = self._locate(path)
        if found is None or self._mounted_below(path):
            return False
        return found[0].drive.constant and not found[0].drive.broken

    def find(self, path: str) -> tuple[Entry, Mount | None]:
        """One object and its mount. Raises: Refused."""
        name = path.rsplit("/", 1)[1]
        found = self._locate(path)
        if found is None:
            if not self._mounted_below(path):
                raise Refused(500, f"storage not found; rawPath: {path}")
            return Entry(name or "root", 0, True, 0, 0), None
        mount, relative = found
        if not relative:
            return mount.as_folder(name or "root"), mount
        return self._find(mount, relative), mount

    def open(self, path: str) -> tuple[Entry, Body | Redirect]:
        """A file and its bytes. Raises: Refused."""
        found = self._locate(path)
        if found is None:
            raise Refused(500, f"storage not found; rawPath: {path}")
        mount, relative = found
        try:
            entry = self.find(path)[0]
        except Refused as error:
            raise Refused(500, f"failed link: failed to get file: {error.message}") from error
        if entry.is_dir:
            raise Refused(500, "failed link: not a file")
        try:
            return entry, mount.drive.open(relative)
        except (DriveFailed, NotThere) as error:
            raise Refused(500, f"failed link: failed get link: {error}") from error

    def provider(self, mount: Mount) -> str:
        """What the driver is called."""
        return mount.drive.driver or self._dialect.remote_driver

    def _locate(self, path: str) -> tuple[Mount, str] | None:
        fitting = [one for one in self.mounts if path == one.path or path.startswith(one.path.rstrip("/") + "/")]
        if not fitting:
            return None
        mount = max(fitting, key=lambda one: len(one.path))
        return mount, path[len(mount.path) :].strip("/")

    def _mounted_below(self, path: str) -> list[Entry]:
        prefix = path.rstrip("/") + "/"
        entries: dict[str, Entry] = {}
        for mount in self.mounts:
            if mount.path.startswith(prefix) and mount.path != prefix:
                name = mount.path[len(prefix) :].split("/", 1)[0]
                entries.setdefault(name, mount.as_folder(name))
        return list(entries.values())

    def _listing(self, mount: Mount, relative: str, *, refresh: bool = False) -> list[Entry]:
        """The drive's own listing, or the cached one. Raises: Refused."""
        if relative:
            try:
                entry = self._find(mount, relative)
            except Refused as error:
                raise Refused(500, f"failed get dir: {error.message}") from error
            if not entry.is_dir:
                raise Refused(500, "not a folder")
        kept = mount.listings.get(relative)
        if kept and not refresh and self._clock() - kept[1] < mount.drive.cache_seconds:
            return kept[0]
        try:
            entries = mount.drive.list(relative)
        except (DriveFailed, NotThere) as error:
            raise Refused(500, f"failed to list objs: {error}") from error
        if mount.drive.cache_seconds:
            mount.listings[relative] = entries, self._clock()
        return entries

    def _find(self, mount: Mount, relative: str) -> Entry:
        """One object below the root of a mount. Raises: Refused."""
        above, _, name = relative.rpartition("/")
        if mount.drive.cache_seconds:
            try:
                entries = self._listing(mount, above)
            except Refused as error:
                raise Refused(500, f"failed get parent list: {error.message}") from error
            for entry in entries:
                if entry.name == name:
                    return entry
            raise Refused(500, "object not found")
        try:
            return mount.drive.stat(relative)
        except NotThere as error:
            raise Refused(500, self._dialect.missing) from error
        except DriveFailed as error:
            if self._dialect.finds_by_stat and isinstance(mount.drive, LocalDrive):
                raise Refused(500, self._dialect.missing) from error
            between = "failed get dir: failed get parent list: " * relative.count("/")
            raise Refused(500, f"failed get parent list: {between}failed to list objs: {error}") from error
