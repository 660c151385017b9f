"""Fetch: one page from the server into an entry, checked on the way.

An entry is the page as it will stand in the book: local file header + bytes. The header holds the CRC-32, known only
when the last byte is in. So a page waits in memory up to a budget; a larger one goes to the store as it is and is
put together there with its header.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.fetch_archive import ArchiveCut, ArchiveFetch
from pagebind.app.fetch_body import Body, HashDiffersError, check_content, check_hash, check_size, facts_of, name_of
from pagebind.app.fetch_held import NotHeldError, copy_of
from pagebind.core import crc32c as crc32c_math
from pagebind.core import keys
from pagebind.core.keys import FailureMark
from pagebind.core.model import LARGEST_ARCHIVE, LARGEST_COMICINFO, LARGEST_PAGE
from pagebind.core.zip_layout import local_header
from pagebind.errors import ConditionFailed, PageCut, PageFailed, PageWrong, PartDamaged, ServerUnreachable, SourceError
from pagebind.ports.source import Download, Source
from pagebind.ports.store import ABSENT, Store, StoredPart

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from pagebind.app.fetch_body import Extend
    from pagebind.core.watch import Watch
    from pagebind.ports.dispatch import FetchTask, Held

    Check = Callable[[Body], None]

log = logging.getLogger(__name__)

MEMORY = 4 * 2**20
"""Bytes of a page that wait in memory; a larger page goes through the store, an archive in pieces of this size."""


_LARGEST = {"page": LARGEST_PAGE, "info": LARGEST_COMICINFO, "archive": LARGEST_ARCHIVE}


class Outcome(StrEnum):
    """How a fetch ended: ``staged`` from the server, ``copied`` from what is here. A ``failed`` one is on record."""

    STAGED = "staged"
    COPIED = "copied"
    DUPLICATE = "duplicate"
    FAILED = "failed"


class Fetched(NamedTuple):
    """How a fetch ended; ``error`` says why a page failed, ``bytes`` how much came from the server and was staged."""

    outcome: Outcome
    error: PageFailed | None = None
    bytes: int = 0


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
        try:
            fetched = self._stage(task, repetition=repetition)
        except (PageFailed, ServerUnreachable) as error:
            asking_again_may_help = error.retryable and not isinstance(error, ArchiveCut)
            if asking_again_may_help and not last_attempt:
                raise
            fetched = self._give_up(task, error)
        _tell(task, fetched, time.perf_counter() - begun)
        return fetched

    def _stage(self, task: FetchTask, *, repetition: bool) -> Fetched:
        if repetition and self._work.head(keys.entry_key(task.volume, task.page)) is not None:
            return Fetched(Outcome.DUPLICATE)
        if task.held is not None and (outcome := self._copy(task, task.held)) is not None:
            return Fetched(outcome)
        _check_listed_size(task)
        watch = self._watches.get(task.subscription)
        hash_check = watch.hash_check if watch else "warn"
        hashes = {} if hash_check == "off" else task.hashes
        strict = hash_check == "strict"
        if task.kind == "archive":
            return self._stage_archive(task, hashes, strict=strict)
        staged = self._stage_page(task, hashes, strict=strict)
        return Fetched(Outcome.STAGED, bytes=task.size) if staged else Fetched(Outcome.DUPLICATE)

    def _copy(self, task: FetchTask, held: Held) -> Outcome | None:
        """Take the bytes from where they stand; None where they do not (any more)."""
        try:
            copy = copy_of(task, held, self._work, self._library)
            staged = self._store(task, copy.chunks, Body({}), partial(_check_copy, task, copy.crc32))
        except NotHeldError:
            log.info("page not held", extra={"volume": task.volume, "page": task.path})
            return None
        return Outcome.COPIED if staged else Outcome.DUPLICATE

    def _stage_archive(self, task: FetchTask, hashes: Mapping[str, str], *, strict: bool) -> Fetched:
        archive = ArchiveFetch(
            task,
            self._work,
            self._wanted(task),
            self._download,
            self._extend,
            piece_size=MEMORY,
            hashes=hashes,
            strict=strict,
        )
        outcome = Outcome.STAGED if archive.stage() else Outcome.DUPLICATE
        return Fetched(outcome, bytes=archive.received)

    def _stage_page(self, task: FetchTask, hashes: Mapping[str, str], *, strict: bool) -> bool:
        for again in (True, False):
            check = partial(_check_download, task, again=again, strict=strict)
            # Two bodies put together wrong in the same way would be the same bytes twice.
            wanted = replace(self._wanted(task), in_one=not again)
            with suppress(HashDiffersError):
                return self._store(task, self._download(wanted), Body(hashes), check)
        raise AssertionError("the second try keeps or refuses a page whose hash differs")

    def _store(self, task: FetchTask, chunks: Iterator[bytes], body: Body, check: Check) -> bool:
        """Write the entry, if the bytes stand the check at their end; False if it was staged already."""
        store = self._store_large if task.size > MEMORY else self._store_small
        try:
            store(task, chunks, body, check)
        except ConditionFailed:
            return False
        return True

    def _store_small(self, task: FetchTask, chunks: Iterator[bytes], body: Body, check: Check) -> None:
        kept = []
        for chunk in chunks:
            body.take(chunk)
            kept.append(chunk)
        check(body)
        content = b"".join([_header(task, body), *kept])
        kept.clear()  # while it waits for the store it is in memory once
        facts = facts_of(task, body, self._extend(0, content))
        self._work.put(keys.entry_key(task.volume, task.page), content, condition=ABSENT, metadata=facts.metadata())

    def _store_large(self, task: FetchTask, chunks: Iterator[bytes], body: Body, check: Check) -> None:
        data = keys.data_key(task.volume, task.page, uuid.uuid4().hex[:8])
        crc32c = 0

        def passing() -> Iterator[bytes]:
            nonlocal crc32c
            for chunk in chunks:
                body.take(chunk)
                crc32c = self._extend(crc32c, chunk)
                yield chunk
            check(body)

        stored = self._work.put_stream(data, passing())
        header = _header(task, body)
        whole = crc32c_math.combine(self._extend(0, header), crc32c, body.size)
        part = StoredPart(data, stored.version, stored.size, crc32c)
        try:
            self._work.assemble(
                keys.entry_key(task.volume, task.page),
                [header, part] if header else [part],
                crc32c=whole,
                condition=ABSENT,
                metadata=facts_of(task, body, whole).metadata(),
            )
        except PartDamaged as error:  # whoever was done first has cleared it away, or the store has lost it
            raise PageFailed(f"{task.path}: {error.message}", path=task.path) from error
        finally:
            self._work.delete(data)

    def _wanted(self, task: FetchTask) -> Download:
        watch = self._watches.get(task.subscription)
        return Download(
            task.path,
            task.sign,
            task.size,
            password=watch.password if watch else str,
            headers=watch.headers if watch else {},
            link=task.link,
        )

    def _download(self, wanted: Download) -> Generator[bytes, None, None]:
        with self._slots:
            yield from self._source.download(wanted)

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
        body = {"schema": 1, "path": task.path, "code": error.code, "message": error.message, "fix": error.fix}
        with suppress(ConditionFailed):  # on record already
            self._work.put(
                keys.failure_key(task.volume, mark),
                json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"),
                condition=ABSENT,
            )


def _tell(task: FetchTask, fetched: Fetched, seconds: float) -> None:
    """The one line of a page."""
    about = {"volume": task.volume, "seq": task.seq, "epoch": task.epoch, "page": task.path}
    about |= {"outcome": fetched.outcome.value, "seconds": round(seconds, 3)}
    if fetched.error is None:
        log.info("page fetched", extra={**about, "bytes": task.size})
    else:
        log.warning("page failed", extra={**about, "code": fetched.error.code, "reason": fetched.error.message})


def _header(task: FetchTask, body: Body) -> bytes:
    """What stands before the bytes in the entry: nothing before an archive's."""
    return b"" if task.kind == "archive" else local_header(name_of(task, body), body.crc32, body.size)


def _check_listed_size(task: FetchTask) -> None:
    """Raises: PageWrong: nothing of that kind is so large; nobody is asked for it, for its body may never end."""
    most = _LARGEST[task.kind]
    if task.size > most:
        raise PageWrong(
            f"{task.path} is listed with {task.size} bytes, where {most} are the most",
            fix="replace or remove the file on the server, or leave it out by `exclude`",
            path=task.path,
        )


def _check_download(task: FetchTask, body: Body, *, again: bool, strict: bool) -> None:
    check_size(task, body.size)
    check_content(task, body)
    check_hash(task, body, again=again, strict=strict)


def _check_copy(task: FetchTask, crc32: int, body: Body) -> None:
    """Raises: NotHeldError: these are not the bytes that were to be there, or no page that would be taken now."""
    if (body.size, body.crc32) != (task.size, crc32):
        raise NotHeldError
    if task.kind != "archive":
        try:
            check_content(task, body)
        except PageWrong as error:
            raise NotHeldError from error
