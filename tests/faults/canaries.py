"""Canaries: secrets that are known, so that it can be told whether one of them came out, wherever and however written.

A canary is found by any sixteen characters at an end of one of its plain runs: nothing that quotes, escapes or encodes
a text changes them unseen, and what shows a part of a secret is found as well.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import re
import secrets
import string
import traceback
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pagebind.ports.store import Store

_PLAIN = re.compile(r"[A-Za-z0-9_-]{12,}")
_PIECE = 16
_RUN = 24
_DEEPEST = 4
_ENTRY = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
"""How a gzip or zlib stream begins."""


class Canary(NamedTuple):
    """A secret. ``kind``: what it stands for."""

    kind: str
    value: str


def canary(kind: str, awkward: str = '+/&"', length: int = _RUN) -> Canary:
    """A new one. ``awkward`` stands in its middle: characters that each form of text escapes in its own way."""
    return Canary(kind, f"{_random(length)}{awkward}{_random(length)}" if awkward else _random(2 * length))


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


class Found(NamedTuple):
    """A canary that came out. ``where``: the sink; inside of archives with the way to it."""

    kind: str
    where: str


class Sink(NamedTuple):
    """Something that a secret must not be in."""

    name: str
    content: bytes


def search(canaries: Iterable[Canary], sinks: Iterable[Sink]) -> list[Found]:
    """Where canaries stand: as they are, or written in one of the forms of `forms`, however deep in archives."""
    wanted = [(one.kind, exact, folded) for one in canaries for exact, folded in [_needles(one.value)]]
    found: set[Found] = set()
    for sink in sinks:
        for name, content in _opened(sink.name, sink.content, 0):
            lower = content.lower()
            for kind, exact, folded in wanted:
                if any(needle in content for needle in exact) or any(needle in lower for needle in folded):
                    found.add(Found(kind, name))
    return sorted(found)


def pieces(value: str) -> set[str]:
    """What is searched of a secret. Raises: AssertionError: it has no long enough run of plain characters."""
    runs = _PLAIN.findall(value)
    assert runs, "too short to be told from other words"
    return {part for run in runs for part in (run[:_PIECE], run[-_PIECE:])}


def forms(piece: str) -> dict[str, str | bytes]:
    """The ways in which a piece may be written that change its letters; most hold wherever it begins."""
    data = piece.encode("ascii")
    named: dict[str, str | bytes] = {
        "plain": piece,
        "hex": data.hex(),
        "percent": "".join(f"%{byte:02x}" for byte in data),
        "JSON escapes": "".join(f"\\u{byte:04x}" for byte in data),
        "HTML references": "".join(f"&#{byte};" for byte in data),
        "UTF-16, little end first": piece.encode("utf-16-le"),
        "UTF-16, big end first": piece.encode("utf-16-be"),
    }
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6]
        named[f"base64, shifted by {shift}"] = encoded
        named[f"base64 of URLs, shifted by {shift}"] = encoded.translate(bytes.maketrans(b"+/", b"-_"))
    return named


def _needles(value: str) -> tuple[set[bytes], set[bytes]]:
    """What is searched as it is, and what is searched without case."""
    exact, folded = set(), set()
    for piece in pieces(value):
        for name, form in forms(piece).items():
            written = form.encode("ascii") if isinstance(form, str) else form
            if name.startswith("base64"):
                exact.add(written)
            else:
                folded.add(written.lower())
    return exact, folded


def _opened(name: str, content: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    """A content with its name, and what is packed in it."""
    yield name, name.encode("utf-8", "backslashreplace") + b"\n" + content
    if depth == _DEEPEST:
        return
    for inner, unpacked in (*_entries(content), *_streams(content)):
        yield from _opened(f"{name}: {inner}", unpacked, depth + 1)


def _entries(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Of a zip; comments and extra fields stand in the content as they are."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            yield entry.filename, archive.read(entry)


def _streams(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Of gzip and zlib, wherever they begin. Pages hold some, which is why what is no stream is no news."""
    for start in _ENTRY.finditer(content):
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            yield f"packed at {start.start()}", unpack.decompress(content[start.start() :], 2**24)
        except zlib.error:
            continue


# -- sinks


def of_text(name: str, text: str) -> Sink:
    """What was printed or answered."""
    return Sink(name, text.encode("utf-8", "backslashreplace"))


def of_folder(folder: Path) -> Iterator[Sink]:
    """All files below a folder, by their names, with what the file system keeps beside them."""
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        yield Sink(name, bytes(file.readlink()) if file.is_symlink() else b"")
        if file.is_file():
            yield Sink(name, file.read_bytes())
            for attribute in os.listxattr(file) if hasattr(os, "listxattr") else ():
                yield Sink(f"{name} [{attribute}]", os.getxattr(file, attribute))


def of_store(store: Store, name: str) -> Iterator[Sink]:
    """All objects of a store, with their keys, versions and metadata."""
    for listed in store.list():
        info = store.head(listed.key) or listed
        yield of_text(f"{name}: metadata of {listed.key}", f"{listed!r} {info!r} {info.metadata!r}")
        yield Sink(f"{name}: {listed.key}", store.get(listed.key))


def of_error(error: BaseException) -> Iterator[Sink]:
    """Everything that can be printed of an exception and its causes, as Python itself prints it."""
    yield of_text(f"traceback of {type(error).__name__}", "".join(traceback.format_exception(error)))
    one: BaseException | None = error
    while one is not None:
        # Of a context that is suppressed no traceback is printed, but debuggers and error collectors show it.
        yield of_text(f"{type(one).__name__} itself", f"{one} {one!r} {one.args!r} {vars(one)!r}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


class Records:
    """Every record that any logger has for its handlers, at any level, whether it has one or not."""

    def __init__(self) -> None:
        self.sinks: list[Sink] = []

    def take(self, record: logging.LogRecord) -> None:
        """Note one."""
        self.sinks.append(of_text(f"log of {record.name}", f"{record.getMessage()} {record.__dict__!r}"))
        if record.exc_info and record.exc_info[1] is not None:
            self.sinks += of_error(record.exc_info[1])


@contextmanager
def all_records() -> Iterator[Records]:
    """Let everything be logged meanwhile, from DEBUG on, but for loggers that have a level of their own."""
    records, hand_on = Records(), logging.Logger.callHandlers
    root = logging.getLogger()
    level = root.level

    def note(logger: logging.Logger, record: logging.LogRecord) -> None:
        records.take(record)
        hand_on(logger, record)

    root.setLevel(logging.DEBUG)
    try:
        with mock.patch.object(logging.Logger, "callHandlers", note):
            yield records
    finally:
        root.setLevel(level)
