"""Disks that are full, read-only, or taken away: real ones where root may mount, and one that fails by number."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


class Tmpfs:
    """A file system in memory on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounted = False

    def mount(self, options: str) -> None:
        """Put a new, empty one there. Skips the test where that is not allowed."""
        if shutil.which("mount") is None or os.geteuid() != 0:
            pytest.skip("mounting takes root")
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mount: {done.stderr.strip()}")
        self.mounted = True

    def remount(self, options: str) -> None:
        """Give it other options; ``ro`` is refused by the system while a file there is open for writing."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], capture_output=True, check=True)

    def unmount(self) -> None:
        """Take it away at once, whoever has files open there: the bare mount point appears."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=True)
            self.mounted = False


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Tmpfs]:
    """A file system of memory on the folder, until the block ends."""
    disk = Tmpfs(folder)
    disk.mount(options)
    try:
        yield disk
    finally:
        disk.unmount()


class FullFrom:
    """Counts what takes room below some folders, and lets it fail from the ``number``-th time on (1 is the first).

    A disk that is full stays full: nothing is written after the first failure, but files may still be removed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folders: Sequence[Path]) -> None:
        self.calls = 0
        self.number: int | None = None
        self._below = tuple(f"{folder}{os.sep}" for folder in folders)
        self._files: set[int] = set()
        self._write, self._open, self._close = os.write, os.open, os.close
        monkeypatch.setattr(os, "write", self._writing)
        monkeypatch.setattr(os, "open", self._opening)
        monkeypatch.setattr(os, "close", self._closing)
        for name, place in (("mkdir", 0), ("link", 1), ("rename", 1), ("replace", 1)):
            monkeypatch.setattr(os, name, self._naming(getattr(os, name), place))

    def _take_room(self, path: object) -> None:
        self.calls += 1
        if self.number is not None and self.calls >= self.number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _is_here(self, path: object) -> bool:
        return f"{path}{os.sep}".startswith(self._below)

    def _opening(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if not (flags & os.O_CREAT and self._is_here(path)):
            return self._open(path, flags, *rest, **more)
        if not os.path.lexists(path):
            self._take_room(path)
        fd = self._open(path, flags, *rest, **more)
        self._files.add(fd)
        return fd

    def _closing(self, fd: int) -> None:
        self._files.discard(fd)
        self._close(fd)

    def _writing(self, fd: int, data: Any) -> int:
        if fd in self._files:
            self._take_room(None)
        return self._write(fd, data)

    def _naming(self, act: Callable[..., Any], place: int) -> Callable[..., Any]:
        @wraps(act)
        def counted(*paths: Any, **more: Any) -> Any:
            if self._is_here(paths[place]):
                self._take_room(paths[place])
            return act(*paths, **more)

        return counted
