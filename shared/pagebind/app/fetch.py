"""Fetch: one page from the server into an entry, checked on the way.

An entry is the page as it will stand in the book: local file header + bytes. The header holds the CRC-32, known only
when the last byte is in. So a page waits in memory up to a budget; a larger one goes to the store as it is and is
put together there with its header.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import time
import uuid
import zlib
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import crc32c as crc32c_math
from pagebind.core import image_kind, keys
from pagebind.core.entry import EntryFacts
from pagebind.core.keys import FailureMark
from pagebind.core.zip_layout import local_header
from pagebind.errors import ConditionFailed, PageCut, PageFailed, PageWrong, ServerUnreachable, SourceError
from pagebind.ports.source import Download, Source
from pagebind.ports.store import ABSENT, Store, StoredPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pagebind.core.watch import Watch
    from pagebind.ports.dispatch import FetchTask

log = logging.getLogger(__name__)

MEMORY = 4 * 2**20
"""Bytes of a page that wait in memory; a larger page goes through the store."""

_HASH_KINDS = ("sha256", "sha1", "md5")
_DIMENSIONS_BYTES = 256 * 2**10
"""Pictures tell their size near their beginning."""


Extend = Callable[[int, bytes], int]
"""The CRC-32C of what the first argument is that of, followed by the bytes."""


class Outcome(StrEnum):
    """How a fetch ended. A ``failed`` one is on record."""

    STAGED = "staged"
    DUPLICATE = "duplicate"
    FAILED = "failed"


class Fetched(NamedTuple):
    """How a fetch ended; ``error`` says why a page failed."""

    outcome: Outcome
    error: PageFailed | None = None


class _Body:
    """A page's bytes as they pass: counted, summed, held against the listed hash, and the first ones kept."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self.size = self.crc32 = self.crc32c = 0
        self.head = b""
        self._kind = next((kind for kind in _HASH_KINDS if hashes.get(kind)), None)
        self._listed = hashes[self._kind].lower() if self._kind else ""
        self._running = hashlib.new(self._kind, usedforsecurity=False) if self._kind else None

    def take(self, chunk: bytes, extend: Extend | None) -> None:
        self.size += len(chunk)
        self.crc32 = zlib.crc32(chunk, self.crc32)
        if extend is not None:
            self.crc32c = extend(self.crc32c, chunk)
        if len(self.head) < _DIMENSIONS_BYTES:
            self.head += chunk[: _DIMENSIONS_BYTES - len(self.head)]
        if self._running is not None:
            self._running.update(chunk)

    def differing_hash(self) -> str | None:
        """The kind of the listed hash if these bytes do not have it, else None."""
        return self._kind if self._running is not None and self._running.hexdigest() != self._listed else None


class Fetch:
    """The use case. Safe for use by many threads.

    Args:
        library: where books stand whose pages may be copied.
        watches: the subscriptions by path, for headers and folder passwords.
        downloads: so many at once, at most; checking and writing pages does not count.
    """

    def __init__(
        self, source: Source, work: Store, library: Store, watches: Mapping[str, Watch], *, downloads: int
    ) -> None:
        import google_crc32c

        self._source = source
        self._work = work
        self._library = library
        self._watches = watches
        self._slots = threading.BoundedSemaphore(downloads)
        self._extend: Extend = google_crc32c.extend

    def __call__(self, task: FetchTask, *, last_attempt: bool, repetition: bool = False) -> Fetched:
        """Stage one page.

        Args:
            task: which.
            last_attempt: nobody will try again in this epoch: a failure is to be recorded.
            repetition: the task may have been done before: look for its entry first.

        Raises:
            PageFailed: this time; try again (not at the last attempt).
            ServerUnreachable: also at the last attempt, if the server answers nothing else either.
            AuthRefused, StoreError: not the page's fault, never recorded as its failure.
        """
        begun = time.perf_counter()
        if repetition and self._work.head(keys.entry_key(task.volume, task.page)) is not None:
            return Fetched(Outcome.DUPLICATE)
        try:
            outcome = self._stage(task)
        except (PageFailed, ServerUnreachable) as error:
            if not last_attempt:
                raise
            return self._give_up(task, error)
        log.info(
            "page %s",
            outcome.value,
            extra={
                "volume": task.volume,
                "seq": task.seq,
                "page": task.path,
                "bytes": task.size,
                "seconds": round(time.perf_counter() - begun, 3),
            },
        )
        return Fetched(outcome)

    def _stage(self, task: FetchTask) -> Outcome:
        for again in (True, False):
            body = _Body(task.hashes)
            try:
                return (
                    self._stage_large(task, body, again) if task.size > MEMORY else self._stage_small(task, body, again)
                )
            except _HashDiffersError:
                continue
        raise AssertionError("the second try keeps a page whose hash differs")

    def _stage_small(self, task: FetchTask, body: _Body, again: bool) -> Outcome:
        chunks = []
        for chunk in self._download(task):
            body.take(chunk, None)
            chunks.append(chunk)
        self._check(task, body, again)
        entry = b"".join([local_header(task.book_name, body.crc32, body.size), *chunks])
        facts = self._facts(task, body, self._extend(0, entry))
        try:
            self._work.put(keys.entry_key(task.volume, task.page), entry, condition=ABSENT, metadata=facts.metadata())
        except ConditionFailed:
            return Outcome.DUPLICATE
        return Outcome.STAGED

    def _stage_large(self, task: FetchTask, body: _Body, again: bool) -> Outcome:
        data = keys.data_key(task.volume, task.page, uuid.uuid4().hex[:8])

        def passing() -> Iterator[bytes]:
            for chunk in self._download(task):
                body.take(chunk, self._extend)
                yield chunk
            self._check(task, body, again)

        stored = self._work.put_stream(data, passing())
        header = local_header(task.book_name, body.crc32, body.size)
        whole = crc32c_math.combine(self._extend(0, header), body.crc32c, body.size)
        facts = self._facts(task, body, whole)
        try:
            self._work.assemble(
                keys.entry_key(task.volume, task.page),
                [header, StoredPart(data, stored.version, stored.size, body.crc32c)],
                crc32c=whole,
                condition=ABSENT,
                metadata=facts.metadata(),
            )
        except ConditionFailed:
            return Outcome.DUPLICATE
        finally:
            self._work.delete(data)
        return Outcome.STAGED

    def _download(self, task: FetchTask) -> Iterator[bytes]:
        watch = self._watches.get(task.subscription)
        wanted = Download(
            task.path,
            task.sign,
            task.size,
            password=watch.password() if watch else "",
            headers=watch.headers if watch else {},
        )
        with self._slots:
            yield from self._source.download(wanted)

    def _check(self, task: FetchTask, body: _Body, again: bool) -> None:
        """Hold the body against the listing, and see that it is some picture."""
        if body.size != task.size:
            much = f"more than {task.size}" if body.size > task.size else f"{body.size}"
            raise PageWrong(
                f"{task.path}: {much} bytes came where {task.size} are listed",
                fix="look at the file on the server; a listing out of date is renewed by itself",
                path=task.path,
            )
        if image_kind.kind_of(body.head[: image_kind.HEAD_BYTES]) is None:
            raise PageWrong(
                f"{task.path} is no picture: {_what(body.head)}",
                fix="replace or remove the file on the server, or leave it out by `exclude`",
                path=task.path,
            )
        kind = body.differing_hash()
        if kind is None:
            return
        if again:
            raise _HashDiffersError
        log.warning(
            "kept a page whose listed %s differs: drives list wrong ones",
            kind,
            extra={"volume": task.volume, "page": task.path},
        )

    @staticmethod
    def _facts(task: FetchTask, body: _Body, crc32c: int) -> EntryFacts:
        width, height = _dimensions(body.head)
        return EntryFacts(task.page, body.crc32, body.size, crc32c, width, height)

    def _give_up(self, task: FetchTask, error: PageFailed | ServerUnreachable) -> Fetched:
        """Record the failure, unless it is the server that has gone: then no page is to blame."""
        if isinstance(error, PageCut | ServerUnreachable) and not self._source.answers():
            raise ServerUnreachable(error.message, fix=error.fix) from error
        if isinstance(error, ServerUnreachable):
            error = PageFailed(f"{task.path}: {error.message}", fix=error.fix, path=task.path)
        self._record(task, error)
        return Fetched(Outcome.FAILED, error)

    def _record(self, task: FetchTask, error: SourceError) -> None:
        mark = FailureMark(task.page, task.seq, task.epoch)
        log.info(
            "page failed", extra={"volume": task.volume, "seq": task.seq, "page": task.path, "reason": error.message}
        )
        body = {"schema": 1, "path": task.path, "code": error.code, "message": error.message, "fix": error.fix}
        with suppress(ConditionFailed):  # on record already
            self._work.put(
                keys.failure_key(task.volume, mark),
                json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"),
                condition=ABSENT,
            )


class _HashDiffersError(Exception):
    """The listed hash differs for the first time: fetch once more."""


def _what(head: bytes) -> str:
    """What a body that is no picture seems to be."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if not head:
        return "the file is empty"
    if start.startswith((b"{", b"[")):
        return "it begins like JSON"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "it begins like HTML"
    return "its first bytes are those of no known image type"


def _dimensions(head: bytes) -> tuple[int | None, int | None]:
    """Width and height in pixels where the picture's beginning tells them."""
    import imagesize

    try:
        width, height = imagesize.get(io.BytesIO(head))
    except Exception:  # noqa: BLE001  it parses bytes from anywhere, and the measures are only a courtesy
        return None, None
    return (width, height) if width > 0 and height > 0 else (None, None)
