"""Files and folders that outlive a loss of power, and the file system's errors in plain words."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, Self

from pagebind.errors import KeyRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

BINARY = getattr(os, "O_BINARY", 0)  # Windows would turn line ends otherwise

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def speaking_plainly(place: Path, doing: Literal["read", "write"]) -> Iterator[None]:
    """Turn what the operating system says about ``place`` into `StoreUnavailable`."""
    try:
        yield
    except OSError as error:
        raise _in_plain_words(error, place, doing) from error


def _in_plain_words(error: OSError, place: Path, doing: Literal["read", "write"]) -> StoreUnavailable:
    reason = error.strerror or type(error).__name__
    match error.errno:
        case code if code in _FULL:
            message, fix = f"{place} is full ({reason})", "free some space there and run it again"
        case code if code in _FORBIDDEN and doing == "write" and os.access(place, os.W_OK | os.X_OK):
            message = f"{error.filename2 or error.filename or place} is not writable ({reason})"
            return KeyRefused(message, fix="let the user who runs this write there", path=str(place))
        case code if code in _FORBIDDEN and doing == "write":
            message, fix = f"{place} is not writable ({reason})", "let the user who runs this write there"
        case code if code in _FORBIDDEN:
            message, fix = f"{place} may not be read ({reason})", "let the user who runs this read it"
        case errno.ENAMETOOLONG:
            message = f"a name is too long for the file system of {place}"
            return KeyRefused(message, fix="choose shorter names", path=str(place))
        case errno.ENOTDIR | errno.EISDIR | errno.EEXIST | errno.ENOTEMPTY:
            message = f"file and folder are in each other's way at {error.filename2 or error.filename or place}"
            return KeyRefused(message, fix="move what stands there away", path=str(place))
        case errno.EXDEV:
            message = f"{error.filename2 or place} lies on another file system than the folder {place}"
            fix = "let all of the folder be one file system, without links or mounts inside"
        case _:
            message, fix = f"{place} cannot be used ({reason})", "check that the disk or mount is there and sound"
    return StoreUnavailable(message, fix=fix, path=str(place))


def sync_folder(folder: Path) -> None:
    """Make the folder's list of names durable, where its file system can do that."""
    if os.name == "nt":  # pragma: no cover - folders cannot be opened there; the journal has to do
        return
    try:
        fd = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return  # emptied and removed by another delete since: its names are of no use to anybody
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make the folder and what is missing above it, durably. One that is there is well."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
    sync_folder(folder.parent)


def link_or_refuse(source: Path, target: Path) -> bool:
    """Give ``source`` the second name ``target``, atomically; False where the file system knows no such thing.

    Raises:
        FileExistsError: the name is taken.
        FileNotFoundError: the folder is missing.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            return False
        raise
    return True


class PartFile:
    """A file under a temporary name, removed at the end of the ``with`` block whatever happened.

    Raises:
        OSError: from every method, as the operating system gave it.
    """

    def __init__(self, folder: Path, prefix: str, suffix: str) -> None:
        self.path = folder / f"{prefix}{os.urandom(8).hex()}{suffix}"
        # Not mkstemp: a book must be readable by whoever the umask lets, such as the reader's own user.
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o666)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what matters was synced or is being thrown away
            os.close(self._fd)
        with suppress(OSError):  # renamed by now, or left to the next sweep
            self.path.unlink()

    def write(self, data: bytes) -> None:
        """Append all of it."""
        written = os.write(self._fd, data)
        if written < len(data):
            rest = memoryview(data)[written:]
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def sync(self) -> None:
        """Make the content durable."""
        os.fsync(self._fd)

    def seal(self, mtime_ns: int) -> os.stat_result:
        """Give it this time of change, make content and time durable, and say how the file system keeps them."""
        with suppress(PermissionError):
            # Somebody else's file, as on an SMB mount under a fixed user, keeps the time that it has.
            os.utime(self.path, ns=(mtime_ns, mtime_ns))
        os.fsync(self._fd)
        return os.fstat(self._fd)
