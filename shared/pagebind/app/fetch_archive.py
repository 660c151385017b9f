"""Archives on their way: staged as they are, in pieces, so that a fetch that was broken off goes on where it was.

Each piece is an object of its own, written once. Whoever fetches the same archive at the same time writes the same
pieces; whoever comes later reads them back and asks the server only for the rest.
"""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pagebind.app.fetch_body import HashDiffersError, Sums, check_hash, check_size
from pagebind.core import archive_kind, keys
from pagebind.core import crc32c as crc32c_math
from pagebind.core.entry import EntryFacts
from pagebind.errors import ConditionFailed, KeyMissing, PageCut, PageFailed, PageWrong, PartDamaged
from pagebind.ports.store import ABSENT, StoredPart

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from pagebind.app.fetch_body import Extend
    from pagebind.errors import StoreError
    from pagebind.ports.dispatch import FetchTask
    from pagebind.ports.source import Download
    from pagebind.ports.store import ObjectInfo, Store

    Ask = Callable[[Download], Generator[bytes, None, None]]

log = logging.getLogger(__name__)

_VERSION = "version"
"""In a piece's metadata: what `Download.noted` was told of the file that it is of."""


class ArchiveCut(PageWrong):
    """As many bytes came as are listed, they begin like an archive, and they are not the whole of it."""


class ArchiveFetch:
    """One archive on its way.

    Args:
        task: which.
        work: where it is staged.
        wanted: its file, from the beginning.
        download: gives the bytes of a file.
        extend: of CRC-32C.
        piece_size: bytes of a piece; the last one may be smaller.
        hashes: what it is held against.
        strict: see `check_hash`.

    Attributes:
        received: bytes that came from the server.
    """

    def __init__(
        self,
        task: FetchTask,
        work: Store,
        wanted: Download,
        download: Ask,
        extend: Extend,
        *,
        piece_size: int,
        hashes: Mapping[str, str],
        strict: bool,
    ) -> None:
        self._task = task
        self._work = work
        self._wanted = replace(wanted, noted=self._note)
        self._download = download
        self._extend = extend
        self._piece_size = piece_size
        self._hashes = hashes
        self._strict = strict
        self._entry_key = keys.entry_key(task.volume, task.page)
        self._parts: list[StoredPart] = []
        self._sums = Sums(hashes)
        self._version = ""
        self.received = 0

    def stage(self) -> bool:
        """Stage the archive; False if it was staged already.

        Raises:
            PageFailed, ServerUnreachable, StoreError: pieces that are good stay for the next time.
        """
        if self._task.anew:
            self._drop()
        for again in (True, False):
            try:
                return self._stage(again=again)
            except HashDiffersError:
                self._drop()
            except ArchiveCut:
                raise  # that is what the server has: its gigabytes need not come again in each run
            except PageWrong:
                self._drop()
                raise
            except (KeyMissing, PartDamaged) as error:
                return self._without_pieces(error)
        raise AssertionError("the second try keeps or refuses an archive whose hash differs")

    def _stage(self, *, again: bool) -> bool:
        taken = self._take_up()
        if taken:
            self._receive(in_one=not again)
            self._check(again=again)
            taken = self._put_together()
        self._drop()
        return taken

    def _without_pieces(self, error: StoreError) -> bool:
        """Pieces have gone: whoever was done first has removed them, or the disk is bad. The next try looks closely."""
        if self._work.head(self._entry_key) is not None:
            self._drop()
            return False
        raise PageFailed(f"{self._task.path}: {error.message}", path=self._task.path) from error

    # -- pieces that are here already

    def _take_up(self) -> bool:
        """Sum the unbroken run of good pieces, and remove what spoils it; False if the archive is staged already."""
        found: dict[int, ObjectInfo] = {}
        for info in self._work.list(keys.piece_prefix(self._task.volume, self._task.page), metadata=True):
            if info.key == self._entry_key:
                return False
            number = keys.piece_of(info.key)
            if number is not None:
                found[number] = info
        while (piece := found.get(len(self._parts))) is not None:
            content = self._content(piece)
            if content is None:
                with suppress(ConditionFailed):
                    self._work.delete(piece.key, version=piece.version)
                break
            version = (piece.metadata or {}).get(_VERSION, "")
            if version and self._version and version != self._version:
                self._drop()
                break
            self._note(self._version or version)
            self._add(piece, content, self._extend(0, content))
        return True

    def _note(self, version: str) -> None:
        """What the file is told by from its other versions: kept with each piece, so that nothing else is added."""
        self._version = version

    def _content(self, info: ObjectInfo) -> bytes | None:
        """What a piece holds, or None if it is not what was written."""
        if info.size != min(self._piece_size, self._left) or not info.size:
            return None
        try:
            content = self._work.get(info.key)
        except KeyMissing:
            return None
        recorded = (info.metadata or {}).get("crc32c")
        return content if recorded == f"{self._extend(0, content):08x}" and len(content) == info.size else None

    @property
    def _left(self) -> int:
        return self._task.size - self._sums.size

    def _add(self, info: ObjectInfo, content: bytes, crc32c: int) -> None:
        self._parts.append(StoredPart(info.key, info.version, len(content), crc32c))
        self._sums.take(content)

    def _drop(self) -> None:
        """Remove all pieces, and begin anew."""
        self._parts, self._sums, self._version = [], Sums(self._hashes), ""
        prefix = keys.piece_prefix(self._task.volume, self._task.page)
        for info in list(self._work.list(prefix)):
            if keys.piece_of(info.key) is not None:
                self._work.delete(info.key)

    # -- pieces that come

    def _receive(self, *, in_one: bool) -> None:
        """Ask the server for what is not here, and write it piece by piece."""
        if self._task.size and not self._left:
            return
        waiting = bytearray()
        with closing(self._chunks(in_one=in_one)) as chunks:
            for chunk in chunks:
                self.received += len(chunk)
                waiting += chunk
                while len(waiting) >= self._piece_size:
                    self._write(bytes(waiting[: self._piece_size]))
                    del waiting[: self._piece_size]
        check_size(self._task, self._sums.size + len(waiting))
        if waiting:
            self._write(bytes(waiting))

    def _chunks(self, *, in_one: bool) -> Generator[bytes, None, None]:
        """What follows the pieces that are here; everything where the server cannot begin there or has another file."""
        wanted = replace(self._wanted, in_one=in_one)
        chunks = self._download(replace(wanted, start=self._sums.size, version=self._version))
        try:
            yield next(chunks, b"")
        except PageCut as error:
            if not self._sums.size:
                raise
            log.info(
                "archive begun anew",
                extra={"volume": self._task.volume, "page": self._task.path, "reason": error.message},
            )
            self._drop()
            chunks = self._download(wanted)
        yield from chunks

    def _write(self, content: bytes) -> None:
        key = keys.piece_key(self._task.volume, self._task.page, len(self._parts))
        crc32c = self._extend(0, content)
        try:
            info = self._work.put(key, content, condition=ABSENT, metadata=self._facts(crc32c))
        except ConditionFailed:
            info = self._standing(key, content)
        self._add(info, content, crc32c)

    def _facts(self, crc32c: int) -> dict[str, str]:
        return {"crc32c": f"{crc32c:08x}"} | ({_VERSION: self._version} if self._version else {})

    def _standing(self, key: str, content: bytes) -> ObjectInfo:
        """The piece that another fetch has written meanwhile, if it is the same.

        Raises:
            KeyMissing: that fetch is done and has removed it.
            PageFailed: it is another one: nobody knows which is right, so both begin anew.
        """
        info = self._work.head(key)
        if self._work.get(key) == content and info is not None:
            return info
        self._drop()
        raise PageFailed(f"{self._task.path}: other bytes came than a moment ago", path=self._task.path)

    # -- the whole

    def _check(self, *, again: bool) -> None:
        reason = archive_kind.fault(self._sums.size, self._read)
        if reason is not None:
            cut = archive_kind.begins_like_one(self._read(0, archive_kind.HEAD))
            raise (ArchiveCut if cut else PageWrong)(
                f"{self._task.path} {reason}",
                fix="put the whole archive on the server, or leave it out by `exclude`",
                path=self._task.path,
            )
        check_hash(self._task, self._sums, again=again, strict=self._strict)

    def _read(self, start: int, length: int) -> bytes:
        """Bytes of the archive from its pieces; fewer at its end."""
        got = bytearray()
        while len(got) < length and start + len(got) < self._sums.size:
            number, within = divmod(start + len(got), self._piece_size)
            for chunk in self._work.stream(self._parts[number].key, start=within, length=length - len(got)):
                got += chunk
        return bytes(got)

    def _put_together(self) -> bool:
        crc32c = crc32c_math.combine_all((part.crc32c, part.size) for part in self._parts)
        facts = EntryFacts(self._task.page, self._sums.crc32, self._sums.size, crc32c)
        try:
            self._work.assemble(
                self._entry_key, self._parts, crc32c=crc32c, condition=ABSENT, metadata=facts.metadata()
            )
        except ConditionFailed:
            return False
        return True
