"""Which conditions a store honours: taken for granted at AWS, elsewhere as set, or tried out once per process.

Backblaze B2 answers 501 to conditional writes, Garage ignores the headers: only trying them tells. What is tried stands
in the work store below ``meta/probe/`` and is removed again; what a process left that died meanwhile, the next one that
tries removes. It may take away what another is trying with: so nothing is held to be lacking by one trial alone.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import google_crc32c

from pagebind.adapters.stores.s3_bucket import Block, Content, conditions_of
from pagebind.adapters.stores.s3_errors import NotOffered, UploadGone
from pagebind.core import keys
from pagebind.errors import ConditionFailed, KeyMissing
from pagebind.ports.store import ABSENT, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.stores.s3_bucket import Bucket

_PROBES = f"{keys.BOOK_RECORDS}probe/"
_TRIALS = 3
_BYTE = Block(b"\0", google_crc32c.value(b"\0"))
_NOTHING = Content({})
_NEVER = Version("00000000000000000000000000000000")


class Offered(NamedTuple):
    """What a store honours: conditions on writes, whole and in parts; on deletes; checksums of whole objects."""

    writes: bool
    deletes: bool
    checksums: bool


class Conditions:
    """What the store that ``bucket`` is in offers. ``setting`` is ``on``, ``off`` or ``auto``."""

    def __init__(self, bucket: Bucket, setting: str) -> None:
        self._bucket = bucket
        self._lock = threading.Lock()
        self._offered: Offered | None = None
        self._lacking = setting == "off"
        self._granted = setting == "on" or (setting == "auto" and bucket.is_aws)

    @property
    def lacking(self) -> bool:
        """Whether it is known that writes cannot be conditional."""
        return self._lacking

    def found_lacking(self) -> None:
        """The store has refused a conditional write for not knowing it."""
        self._lacking = True

    def make_sure(self) -> None:
        """Find out, where nobody knows. Raises: StoreError: it cannot be found out now."""
        if not self._granted and not self._lacking:
            self.offered()

    def offered(self) -> Offered:
        """Everything that the store offers; tried out once, except at AWS. Raises: StoreError: not to be tried now."""
        if self._bucket.is_aws:
            return Offered(writes=not self._lacking, deletes=not self._lacking, checksums=self._bucket.sends_checksums)
        with self._lock:
            if self._offered is None:
                self._offered = self._try_out()
                self._lacking = self._lacking or not self._offered.writes
            return self._offered

    def _try_out(self) -> Offered:
        self._clear()
        offered = Offered(writes=False, deletes=False, checksums=False)
        for _ in range(_TRIALS):
            with suppress(UploadGone):
                offered = self._try_once()
            if offered.writes or self._lacking:
                break
        return offered

    def _try_once(self) -> Offered:
        key = f"{_PROBES}{uuid.uuid4().hex}"
        self._bucket.put(key, _BYTE, _NOTHING, {})
        try:
            writes = not self._lacking and self._honours_conditional_writes(key)
            deletes = writes and _is_refused(lambda: self._bucket.delete(key, conditions_of(_NEVER)))
            return Offered(writes, deletes, self._offers_checksums(key))
        finally:
            self._bucket.delete(key, {})

    def _clear(self) -> None:
        for upload in self._bucket.uploads(_PROBES):
            with suppress(UploadGone):
                self._bucket.abort(upload)
        for probe in self._bucket.list(_PROBES, ""):
            self._bucket.delete(probe.key, {})

    def _honours_conditional_writes(self, key: str) -> bool:
        to_be_refused = [conditions_of(ABSENT), conditions_of(_NEVER)]
        if not all(_is_refused(partial(self._bucket.put, key, _BYTE, _NOTHING, one)) for one in to_be_refused):
            return False
        with self._upload(key) as complete:
            return all(_is_refused(partial(complete, one)) for one in to_be_refused)

    @contextmanager
    def _upload(self, key: str) -> Iterator[Callable[[dict[str, str]], object]]:
        upload = self._bucket.begin_upload(key, _NOTHING)
        try:
            sent = [self._bucket.send_part(upload, 1, _BYTE)]
            yield lambda conditions: self._bucket.complete(upload, sent, _BYTE.crc32c, _NOTHING, conditions)
        finally:
            with suppress(UploadGone):
                self._bucket.abort(upload)

    def _offers_checksums(self, key: str) -> bool:
        if not self._bucket.sends_checksums:
            return False
        upload = self._bucket.begin_upload(key, _NOTHING)
        self._bucket.abort(upload)
        return upload.proves_whole


def _is_refused(call: Callable[[], object]) -> bool:
    """Whether a request whose condition does not hold is refused for that; else the store does not know conditions."""
    try:
        call()
    except (ConditionFailed, KeyMissing):
        return True
    except NotOffered:
        return False
    return False
