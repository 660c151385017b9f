"""What fetch sees of a file as its bytes pass, and whether that is what was listed."""

from __future__ import annotations

import hashlib
import io
import logging
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from pagebind.core import comicinfo, image_kind
from pagebind.core.entry import EntryFacts
from pagebind.core.image_end import ImageEnd
from pagebind.core.model import listed_hash
from pagebind.errors import PageWrong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.ports.dispatch import FetchTask

log = logging.getLogger(__name__)

_HEAD_BYTES = 256 * 2**10
"""Pictures tell their measures near their beginning."""
_INFO_HEAD_BYTES = 4 * 2**10
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Extend = Callable[[int, bytes], int]
"""The CRC-32C of what the first argument is that of, followed by the bytes."""


class HashDiffersError(Exception):
    """The listed hash differs for the first time: fetch once more."""


class Sums:
    """Bytes as they pass: counted, summed, and held against the listed hash."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self.size = self.crc32 = 0
        self._kind, self._listed = listed_hash(hashes)
        self._running = hashlib.new(self._kind, usedforsecurity=False) if self._kind else None

    def take(self, chunk: bytes) -> None:
        """The next bytes."""
        self.size += len(chunk)
        self.crc32 = zlib.crc32(chunk, self.crc32)
        if self._running is not None:
            self._running.update(chunk)

    def differing_hash(self) -> str | None:
        """The kind of the listed hash if these bytes do not have it, else None."""
        return self._kind if self._running is not None and self._running.hexdigest() != self._listed else None


class Body(Sums):
    """A page's bytes as they pass: also its first ones, and whether the picture's end is among them."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        super().__init__(hashes)
        self.head = b""
        self._end = ImageEnd()

    def take(self, chunk: bytes) -> None:
        """The next bytes."""
        super().take(chunk)
        self._end.take(chunk)
        if len(self.head) < _HEAD_BYTES:
            self.head += chunk[: _HEAD_BYTES - len(self.head)]

    @property
    def kind(self) -> str | None:
        """Which known image it is, by its first bytes."""
        return image_kind.kind_of(self.head[: image_kind.HEAD_BYTES])

    @property
    def whole(self) -> bool:
        """Whether the picture does not end in its middle, as far as its kind tells."""
        return self._end.whole


def check_size(task: FetchTask, size: int) -> None:
    """Raises: PageWrong: more or fewer bytes came than are listed."""
    if size != task.size:
        much = f"more than {task.size}" if size > task.size else f"{size}"
        raise PageWrong(
            f"{task.path}: {much} bytes came where {task.size} are listed",
            fix="look at the file on the server; a listing out of date is renewed by itself",
            path=task.path,
        )


def check_content(task: FetchTask, body: Body) -> None:
    """Raises: PageWrong: it is no picture or one that is cut or, for a ComicInfo.xml, not that."""
    if task.kind == "info":
        _check_info(task, body.head)
    elif body.kind is None:
        raise PageWrong(
            f"{task.path} is no picture: {_what(body.head, 'its first bytes are those of no known image type')}",
            fix="replace or remove the file on the server, or leave it out by `exclude`",
            path=task.path,
        )
    elif not body.whole:
        raise PageWrong(
            f"{task.path} ends before its picture does",
            fix="put the whole picture on the server, or leave it out by `exclude`",
            path=task.path,
        )


def check_hash(task: FetchTask, sums: Sums, *, again: bool, strict: bool) -> None:
    """Hold the bytes against the listed hash.

    Args:
        task: what was fetched.
        sums: of its bytes.
        again: the file can be fetched once more.
        strict: a hash that differs then too is an error, not only a warning.

    Raises:
        HashDiffersError: it differs; fetch once more.
        PageWrong: it differs for good.
    """
    kind = sums.differing_hash()
    if kind is None:
        return
    if again:
        raise HashDiffersError
    if strict:
        raise PageWrong(
            f"{task.path}: what comes does not have the listed {kind}",
            fix='replace the file on the server; where a drive lists wrong hashes, set hash = "warn"',
            path=task.path,
        )
    log.warning("hash differs", extra={"volume": task.volume, "seq": task.seq, "page": task.path, "hash": kind})


def facts_of(task: FetchTask, body: Body, crc32c: int) -> EntryFacts:
    """What is recorded of an entry whose CRC-32C, header included, is this."""
    plain = EntryFacts(task.page, body.crc32, body.size, crc32c)
    if task.kind != "page":
        return plain
    width, height = _measures(body.head)
    kind = _other_kind(task, body)
    return plain._replace(width=width, height=height, kind=kind, renamed=bool(kind) and task.rename)


def name_of(task: FetchTask, body: Body) -> str:
    """The entry's name in the book; with the suffix of what it is, if the task asks for that."""
    kind = _other_kind(task, body)
    if kind:
        log.debug(
            "page of another kind",
            extra={"volume": task.volume, "page": task.path, "kind": kind, "renamed": task.rename},
        )
    return image_kind.renamed(task.book_name, kind) if kind and task.rename else task.book_name


def _other_kind(task: FetchTask, body: Body) -> str:
    """What a page is where its name says something else, or an empty text."""
    kind = body.kind if task.kind == "page" else None
    return "" if kind is None or image_kind.is_called_so(task.book_name, kind) else kind


def _check_info(task: FetchTask, head: bytes) -> None:
    start = head[:_INFO_HEAD_BYTES]
    text = start.decode("utf-16" if start.startswith(_UTF16_MARKS) else "utf-8-sig", "replace").lstrip()
    if not (text.startswith("<") and "<ComicInfo" in text):
        raise PageWrong(
            f"{task.path} is no {comicinfo.NAME}: {_what(head, 'it does not begin like one')}",
            fix="replace or remove the file on the server, or leave it out by `exclude`",
            path=task.path,
        )


def _what(head: bytes, otherwise: str) -> str:
    """What a body seems to be that is not what it should be; ``otherwise`` where nobody knows."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if not head:
        return "the file is empty"
    if start.startswith((b"{", b"[")):
        return "it begins like JSON"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "it begins like HTML"
    return otherwise


def _measures(head: bytes) -> tuple[int | None, int | None]:
    """Width and height in pixels where the picture's beginning tells them."""
    import imagesize

    try:
        width, height = imagesize.get(io.BytesIO(head))
    except Exception:  # noqa: BLE001  it parses bytes from anywhere, and the measures are only a courtesy
        return None, None
    return (width, height) if width > 0 and height > 0 else (None, None)
