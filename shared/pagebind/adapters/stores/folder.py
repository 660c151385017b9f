"""A folder as an object store: `FolderStore`, for what is on the way (work) and for finished books (library).

An object is a file. It is written under a temporary name, synced, and then linked or renamed to its own; the folder is
synced as well, so that what `put` has returned survives a loss of power.

- **Version**: size and time of change, nothing else: inodes are unstable on network mounts and after a restored backup.
  A write sets the time itself, later than that of what it replaces, also where files' times are coarse.
- **Work**: metadata stands behind the content in the same file (see `trailer`), so both appear in one step.
- **Library**: nothing but books lies there, their metadata in the work store (see `book_records`). Times of change are
  whole seconds, which every backup and archive keeps.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
import unicodedata
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c

from pagebind.adapters.stores import trailer
from pagebind.adapters.stores.book_records import BookRecords
from pagebind.adapters.stores.durable import (
    BINARY,
    PartFile,
    link_or_refuse,
    make_folder,
    speaking_plainly,
    sync_folder,
)
from pagebind.adapters.stores.run_lock import RUN_LOCK, Exclusive
from pagebind.core.keys import is_key, is_text
from pagebind.errors import ConditionFailed, KeyMissing, KeyRefused, PartDamaged, StoreUnavailable
from pagebind.ports.store import Absent, Condition, ObjectInfo, Part, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pagebind.ports.clock import Clock

_CHUNK = 512 * 1024
_LOCK = ".lock"
_TEMPORARY = ".tmp"
_WORK_NAMES = frozenset({RUN_LOCK, _LOCK, _TEMPORARY})
_LIBRARY_PREFIX = ".pagebind-"
_LIBRARY_SUFFIX = ".part"
_DELETES_AT_ONCE = 64  # that others wait for, at most
_TRIES = 50  # of making a folder that others keep removing
_SECOND = 1_000_000_000
_TICK = 1_000
_WORK_BUMPS = (0, 1_000_000, _SECOND, 2 * _SECOND)  # for clocks of files that tick in ms (SMB), 1 s, 2 s (vfat)
_LIBRARY_BUMPS = (0, _SECOND, 2 * _SECOND)


class FolderStore:
    """A `Store` in the folder ``root``, which is made by the first write.

    Without ``work`` it is a work store, with it the library whose work store is ``work``. Safe for many threads and
    processes. ``clock`` gives the times that objects are created at; by default the computer's.

    In listings without metadata, an object of a work store that has metadata shows the size of its file, which
    includes the metadata.
    """

    def __init__(self, root: Path, *, work: FolderStore | None = None, clock: Clock | None = None) -> None:
        self.root = root
        self._work = work
        self._records = BookRecords(work) if work else None
        self._now: Callable[[], float] = clock.now if clock else time.time
        self.exclusive: Exclusive = work.exclusive if work else Exclusive(root / _LOCK)
        self._latest_ns = 0
        self._device: int | None = None  # that the folder lies on, since it was seen first

    # -- writing

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """See `Store.put`."""
        return self._write(key, iter((data,)), condition, metadata)

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """See `Store.put_stream`."""
        return self._write(key, chunks, condition, metadata)

    def assemble(
        self,
        key: str,
        parts: Sequence[Part],
        *,
        crc32c: int,
        condition: Condition,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,  # noqa: ARG002 - files have none
    ) -> ObjectInfo:
        """See `Store.assemble`. A part counts as what it should be by its bytes, under whichever version."""
        return self._write(key, self._proved(key, parts, crc32c), condition, metadata, crc32c=crc32c)

    def _write(
        self,
        key: str,
        chunks: Iterator[bytes],
        condition: Condition | None,
        metadata: Mapping[str, str] | None,
        *,
        crc32c: int | None = None,
    ) -> ObjectInfo:
        target = self._path(key)
        if condition is not None:
            self._demand(key, condition, self._stat(target))  # before anything is read or written in vain
        with self._part_file() as part:
            size = self._fill(part, chunks, metadata or {})
            found = self._publish(part, key, target, condition, metadata or {})
        return ObjectInfo(key, size, _version(found), found.st_mtime_ns / _SECOND, dict(metadata or {}), crc32c)

    def _fill(self, part: PartFile, chunks: Iterator[bytes], metadata: Mapping[str, str]) -> int:
        """Write content and trailer; the size of the content. What ``chunks`` raises goes through as it is."""
        size, end = 0, b""
        for chunk in chunks:
            with speaking_plainly(self.root, "write"):
                part.write(chunk)
            size += len(chunk)
            end = (end + chunk[-len(trailer.MAGIC) :])[-len(trailer.MAGIC) :]
        if self._work is None and (tail := trailer.encode(metadata, content_end=end)):
            with speaking_plainly(self.root, "write"):
                part.write(tail)
        return size

    def _publish(
        self, part: PartFile, key: str, target: Path, condition: Condition | None, metadata: Mapping[str, str]
    ) -> os.stat_result:
        with speaking_plainly(self.root, "write"):
            if self._work is None and isinstance(condition, Absent):
                found = self._seal(part, 0, lambda _found: True)
                self._place_new(part, key, target)
                return found
            part.sync()  # the long part of it, not to be done while others wait
            with self.exclusive.held():
                return self._publish_held(part, key, target, condition, metadata)

    def _publish_held(
        self, part: PartFile, key: str, target: Path, condition: Condition | None, metadata: Mapping[str, str]
    ) -> os.stat_result:
        """As `_publish`, by whoever holds the lock: nobody records, replaces or deletes meanwhile."""
        standing = self._stat(target)
        if condition is not None:
            self._demand(key, condition, standing)
        old = standing.st_mtime_ns if standing else 0

        def accept(found: os.stat_result) -> bool:
            if found.st_mtime_ns == old:
                return False
            return self._records is None or self._records.write(key, _version(found), metadata)

        found = self._seal(part, max(old, self._latest_recorded(key)), accept)
        try:
            if isinstance(condition, Absent):
                self._place_new(part, key, target)
            else:
                self._in_folder(target.parent, lambda: part.path.replace(target))
                sync_folder(target.parent)
        except ConditionFailed:  # after any other error it may have been published: then it needs its record
            if self._records:
                self._records.remove(key, lambda version: version == _version(found))
            raise
        if self._records:
            self._records.remove(key, lambda version: version != _version(found))
        return found

    def _seal(self, part: PartFile, latest: int, accept: Callable[[os.stat_result], bool]) -> os.stat_result:
        """Make the part durable, under a time of change later than ``latest`` that ``accept`` takes (both in ns)."""
        moment = int(self._now() * _SECOND)
        if self._work is None:  # twice the same moment may not be twice the same version
            moment = self._latest_ns = max(moment, self._latest_ns + _TICK, latest + _TICK)
        else:
            moment = max(moment // _SECOND, latest // _SECOND + 1) * _SECOND
        for bump in _WORK_BUMPS if self._work is None else _LIBRARY_BUMPS:
            found = part.seal(moment + bump)
            if accept(found):
                return found
        raise StoreUnavailable(
            f"{self.root} gives old and new contents the same time of change",
            fix="let the user who runs this own the files there",
            path=str(self.root),
        )

    def _latest_recorded(self, key: str) -> int:
        """The latest time of change that a version of this book, deleted or not, has had; 0 if none is known."""
        return max(map(_time_of, self._records.versions(key)), default=0) if self._records else 0

    def _place_new(self, part: PartFile, key: str, target: Path) -> None:
        try:
            self._in_folder(target.parent, lambda: self._name_new(part.path, target))
        except FileExistsError as error:
            if target.is_dir():
                raise
            raise _condition_failed(key) from error
        sync_folder(target.parent)

    def _name_new(self, source: Path, target: Path) -> None:
        if link_or_refuse(source, target):
            return
        with self.exclusive.held():
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "exists", str(target))
            source.rename(target)

    def _in_folder(self, folder: Path, act: Callable[[], object]) -> None:
        """Act, making the folder as often as it is missing: a delete removes folders that it has emptied."""
        for _ in range(_TRIES):
            try:
                act()
            except FileNotFoundError:
                self._demand_mounted()
                with suppress(FileNotFoundError):
                    make_folder(folder)
            else:
                return
        act()

    def _part_file(self) -> PartFile:
        folder, prefix, suffix = self.root / _TEMPORARY, "", ""
        if self._work is not None:
            folder, prefix, suffix = self.root, self._part_prefix(), _LIBRARY_SUFFIX
        with speaking_plainly(self.root, "write"):
            self._demand_mounted()
            try:
                return PartFile(folder, prefix, suffix)
            except FileNotFoundError:
                make_folder(folder)
                return PartFile(folder, prefix, suffix)

    def _part_prefix(self) -> str:
        assert self._work is not None
        owner = hashlib.sha256(os.fsencode(os.path.realpath(self._work.root))).hexdigest()[:12]
        return f"{_LIBRARY_PREFIX}{owner}-"

    # -- reading

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        with self.opened(key) as (fd, framed), speaking_plainly(self.root, "read"):
            os.lseek(fd, 0, os.SEEK_SET)
            whole = os.read(fd, framed.size)
            if len(whole) == framed.size:
                return whole
            return whole + b"".join(_chunks(fd, len(whole), framed.size))

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `Store.stream`."""
        with self.opened(key) as (fd, framed), speaking_plainly(self.root, "read"):
            end = framed.size if length is None else min(start + length, framed.size)
            yield from _chunks(fd, start, end)

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        target = self._path(key)
        found = self._stat(target)
        return found and self._described(key, target, found)

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`. What does not come after ``after`` is not looked at."""
        above, slash, begins = prefix.rpartition("/")
        base = above + slash
        if (slash and not is_key(above)) or (after > base and not after.startswith(base)):
            return
        self._demand_mounted()
        with speaking_plainly(self.root, "read"):
            for key, entry in self._walk(self.root / above, base, begins, _below(base, after), ()):
                try:
                    found = entry.stat()
                except FileNotFoundError:
                    continue
                if not metadata:
                    yield _info(key, found.st_size, found, None)
                elif described := self._described(key, Path(entry.path), found):
                    yield described

    def _walk(
        self, folder: Path, base: str, begins: str, after: str, above: tuple[tuple[int, int], ...]
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """All files in order of their keys; ``begins`` and ``after`` are of what follows ``base`` in them.

        Folders ``above`` are not entered again, whatever links lead there.
        """
        try:
            itself = folder.stat()
            with os.scandir(folder) as entries:
                named = dict(self._named(entries, begins, after, top=not base))
        except (FileNotFoundError, NotADirectoryError):
            return
        identity = (itself.st_dev, itself.st_ino)
        if identity in above:
            return
        for name in sorted(named):
            entry = named.pop(name)  # while thousands are listed, whoever lists keeps what it makes of them
            if name.endswith("/"):
                yield from self._walk(Path(entry.path), base + name, "", _below(name, after), (*above, identity))
            else:
                yield base + name, entry

    def _named(
        self, entries: Iterator[os.DirEntry[str]], begins: str, after: str, *, top: bool
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Names as they stand in keys, those of folders with a slash, so that they sort as keys do."""
        for entry in entries:
            name = entry.name if entry.name.isascii() else unicodedata.normalize("NFC", entry.name)
            if not name.startswith(begins) or not is_text(name) or (top and self._is_ours(name)):
                continue
            file_comes, folder_comes = name > after, name + "/" > after or after.startswith(name + "/")
            if not file_comes and not folder_comes:
                continue
            if entry.is_dir():
                if folder_comes:
                    yield name + "/", entry
            elif file_comes and entry.is_file():
                yield name, entry

    def _described(self, key: str, target: Path, found: os.stat_result) -> ObjectInfo | None:
        """Info with metadata; None if it has vanished meanwhile."""
        if self._records is not None:
            return self._described_by(self._records, key, target, found)
        with suppress(KeyMissing), self._open_file(key, target) as (fd, framed):
            return _info(key, framed.size, os.fstat(fd), framed.metadata)
        return None

    def _described_by(self, records: BookRecords, key: str, target: Path, found: os.stat_result) -> ObjectInfo | None:
        while True:
            metadata = records.metadata(key, _version(found))
            again = self._stat(target) if metadata is None else found
            if again is None:
                return None
            if _version(again) == _version(found):
                return _info(key, found.st_size, found, metadata or {})
            found = again  # replaced meanwhile, and the record of the old version removed

    @contextmanager
    def opened(self, key: str) -> Iterator[tuple[int, trailer.Framed]]:
        """The open file of an object and how much of it is content. Raises: KeyMissing, StoreUnavailable."""
        with self._open_file(key, self._path(key)) as opened:
            yield opened

    @contextmanager
    def _open_file(self, key: str, target: Path) -> Iterator[tuple[int, trailer.Framed]]:
        with speaking_plainly(self.root, "read"):
            try:
                fd = os.open(target, os.O_RDONLY | BINARY)
            except (FileNotFoundError, NotADirectoryError) as error:
                self._demand_mounted()
                raise _key_missing(key) from error
        try:
            with speaking_plainly(self.root, "read"):
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise _key_missing(key)
                framed = trailer.read(fd, found.st_size) if self._work is None else trailer.Framed(found.st_size)
            yield fd, framed
        finally:
            os.close(fd)

    def _proved(self, key: str, parts: Sequence[Part], crc32c: int) -> Iterator[bytes]:
        """The bytes of all parts; raises `PartDamaged` at the end of a part, or of the whole, that is not right."""
        whole = 0
        for part in parts:
            for chunk in self._proved_part(part) if isinstance(part, StoredPart) else (part,):
                whole = google_crc32c.extend(whole, chunk)
                yield chunk
        if whole != crc32c:
            raise PartDamaged.whole_differs(key)

    def _proved_part(self, part: StoredPart) -> Iterator[bytes]:
        source = self._work or self
        crc32c, size = 0, 0
        try:
            with source.opened(part.key) as (fd, framed):
                if framed.size == part.size:
                    for chunk in _chunks(fd, 0, framed.size):
                        crc32c = google_crc32c.extend(crc32c, chunk)
                        size += len(chunk)
                        yield chunk
        except KeyMissing as error:
            raise PartDamaged.gone(part.key) from error
        except OSError as error:  # a bad sector: as good as lost
            raise PartDamaged(f"{part.key} cannot be read ({error.strerror})", path=part.key) from error
        if (size, crc32c) != (part.size, part.crc32c):
            raise PartDamaged.differs(part.key)

    # -- removing

    def delete(self, key: str, *, version: str | None = None) -> None:
        """See `Store.delete`. The record of a deleted book stays, so that its version is not given again."""
        target = self._path(key)
        if self._stat(target) is None:
            return
        with self.exclusive.held(), speaking_plainly(self.root, "write"):
            self._delete_held(key, target, version)
            self._remove_empty(target.parent)

    def _delete_held(self, key: str, target: Path, version: str | None) -> None:
        """As `delete`, by whoever holds the lock; a folder that it has emptied stays."""
        standing = self._stat(target)
        if standing is None:
            return
        if version is not None:
            self._demand(key, Version(version), standing)
        target.unlink(missing_ok=True)
        if self._work is not None:  # of a work object that comes back after a loss of power nobody is the wiser
            sync_folder(target.parent)

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        """See `Store.delete_all`. Some at a time share the lock, which takes longer than a delete."""
        left = iter(objects)
        while some := list(islice(left, _DELETES_AT_ONCE)):
            targets = [(info, target) for info in some if self._stat(target := self._path(info.key)) is not None]
            if targets:
                self._delete_some(targets)

    def _delete_some(self, targets: Sequence[tuple[ObjectInfo, Path]]) -> None:
        with self.exclusive.held(), speaking_plainly(self.root, "write"):
            for info, target in targets:
                with suppress(ConditionFailed):
                    self._delete_held(info.key, target, info.version)
            for folder in {target.parent for _, target in targets}:
                self._remove_empty(folder)

    def abandon(self, key: str) -> None:
        """See `Store.abandon`. What is half-written has no key yet: `sweep` removes it."""

    def lacks(self) -> tuple[str, ...]:
        """See `Store.lacks`: nothing."""
        return ()

    def sweep(self) -> None:
        """See `Store.sweep`. In a library only what this work store's processes left is removed.

        A disk that stands here now is the right one from now on, whichever stood here before.
        """
        folder = self.root / _TEMPORARY if self._work is None else self.root
        prefix = "" if self._work is None else self._part_prefix()
        with speaking_plainly(self.root, "write"):
            self._device = self._device_now()
            try:
                left = [file for file in folder.iterdir() if file.name.startswith(prefix)]
            except FileNotFoundError:
                return
            for file in left:
                file.unlink(missing_ok=True)

    # -- what stands there

    def _path(self, key: str) -> Path:
        if not is_key(key) or self._is_ours(key.partition("/")[0]):
            raise KeyRefused.of_no_key(key)
        return self.root / unicodedata.normalize("NFC", key)

    def _is_ours(self, name: str) -> bool:
        """Whether this name in the root is no object but the store's own."""
        if self._work is None:
            return name.casefold() in _WORK_NAMES
        return name.startswith(_LIBRARY_PREFIX) and name.endswith(_LIBRARY_SUFFIX)

    def _stat(self, target: Path) -> os.stat_result | None:
        with speaking_plainly(self.root, "read"):
            try:
                found = target.stat()
            except (FileNotFoundError, NotADirectoryError):
                self._demand_mounted()
                return None
        return found if stat.S_ISREG(found.st_mode) else None

    def _demand(self, key: str, condition: Condition, standing: os.stat_result | None) -> None:
        if isinstance(condition, Absent):
            holds = standing is None
        else:
            holds = standing is not None and _version(standing) == condition.version
        if not holds:
            raise _condition_failed(key)

    def _demand_mounted(self) -> None:
        """Take a folder that has gone for what it is: not mounted any more, rather than empty.

        Raises:
            StoreUnavailable: the folder was on another disk before, or is not there any more, or is a library that had
                books and is not there.
        """
        known = self._device  # before the look: another thread may be making the folder
        device = self._device_now()
        if known is None:
            self._device = device or self._device
        elif device != known:
            raise StoreUnavailable(
                f"{self.root} is not there any more: its disk was unmounted, or somebody moved it",
                fix="mount it again and run it again",
                path=str(self.root),
            )
        if device is None:
            self._demand_no_books()

    def _device_now(self) -> int | None:
        """The file system that the folder lies on; None: there is no folder."""
        with speaking_plainly(self.root, "read"):
            try:
                return self.root.stat().st_dev
            except FileNotFoundError:
                return None

    def _demand_no_books(self) -> None:
        if self._records is None:
            return
        # Looked at once more: another process may have made it meanwhile, which it does before it records a book.
        if self._records.any() and not self.root.exists():
            raise StoreUnavailable(
                f"the library {self.root} is not there any more",
                fix="mount it, or make the folder again if it is meant to be empty",
                path=str(self.root),
            )


def _below(folder: str, after: str) -> str:
    """What keys without the ``folder`` that they begin with must come after, where they must come after ``after``."""
    return after.removeprefix(folder) if after.startswith(folder) else ""


def _version(found: os.stat_result) -> str:
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"


def _time_of(version: str) -> int:
    with suppress(ValueError):
        return int(version.rpartition("-")[2], 16)
    return 0


def _info(key: str, size: int, found: os.stat_result, metadata: Mapping[str, str] | None) -> ObjectInfo:
    return ObjectInfo(key, size, _version(found), found.st_mtime_ns / _SECOND, metadata)


def _chunks(fd: int, start: int, end: int) -> Iterator[bytes]:
    """Bytes ``start`` to ``end`` of an open file, or fewer if it has become shorter. Raises: OSError."""
    os.lseek(fd, start, os.SEEK_SET)
    left = end - start
    while left > 0 and (chunk := os.read(fd, min(left, _CHUNK))):
        left -= len(chunk)
        yield chunk


def _key_missing(key: str) -> KeyMissing:
    return KeyMissing(f"nothing stands under {key}", path=key)


def _condition_failed(key: str) -> ConditionFailed:
    return ConditionFailed(f"{key} is not what it was to be before the write", path=key)
