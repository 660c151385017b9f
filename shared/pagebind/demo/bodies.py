"""What a download sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path


class Body(Protocol):
    """Bytes of a known length, sent as cheaply as can be."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """Send the bytes from ``start`` up to ``stop``. Raises: OSError."""
        ...

    def read(self) -> bytes:
        """All of it, in memory. Raises: OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Pieces:
    """Bytes in memory."""

    pieces: Sequence[bytes | memoryview]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(len(piece) for piece in self.pieces)

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """Send a part. Raises: OSError."""
        position = 0
        for piece in self.pieces:
            part = memoryview(piece)[max(start - position, 0) : max(stop - position, 0)]
            if part:
                connection.sendall(part)
            position += len(piece)

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class File:
    """A file on disk, sent by the kernel."""

    path: Path
    size: int

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """Send a part. Raises: OSError."""
        if stop > start:
            with self.path.open("rb") as file:
                connection.sendfile(file, start, stop - start)

    def read(self) -> bytes:
        """All of it. Raises: OSError."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Not bytes, but the address where they are."""

    url: str


def file_at(path: Path) -> File:
    """The file as it is now. Raises: OSError."""
    return File(path, path.stat().st_size)
