"""Claims: how a book is published by one process at a time where the store knows no conditional writes.

Whoever is about to publish writes an object of its own below ``meta/claims/<digest of the book's key>/`` in the work
store and lists that folder. Listings are strongly consistent, so of two processes the later writer sees the other's
claim; it withdraws its own and tries again later. At most one goes on: it looks at the book, publishes, and removes its
claim. All that takes seconds, the parts having been sent before. A claim of a process that died is dead after
`LIFETIME`; one whose process was held up does not publish under it any more.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pagebind.adapters.stores.s3_bucket import Block, Content
from pagebind.adapters.stores.s3_errors import OutcomeUnknown
from pagebind.core import keys
from pagebind.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.stores.s3_bucket import Bucket

log = logging.getLogger(__name__)

LIFETIME: Final = 900.0
"""Seconds, by the store's clock."""

CLAIMS: Final = f"{keys.BOOK_RECORDS}claims/"

_LONGEST_WAIT: Final = 300.0
"""Seconds after claiming in which publishing may begin: even with its retries it ends before the claim is dead."""


class Claims:
    """The claims in the work store ``work`` on books in ``library``."""

    def __init__(self, work: Bucket, library: Bucket, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._library = library
        self._monotonic = monotonic

    @contextmanager
    def held(self, key: str) -> Iterator[Callable[[], None]]:
        """Hold the only claim on a book; gives what must be called right before publishing.

        After a publishing of which nobody knows whether it was done the claim stays until it is dead: the store may
        still be at it.

        Raises:
            StoreUnavailable: another process is about to publish this book.
        """
        folder = f"{CLAIMS}{keys.digest(f'{self._library.name}/{self._library.prefix}{key}', 32)}/"
        begun = self._monotonic()
        mine = self._work.put(f"{folder}{uuid.uuid4().hex}", Block(b"", 0), Content({}), {})

        publishing = False

        def about_to_publish() -> None:
            nonlocal publishing
            if self._monotonic() - begun > _LONGEST_WAIT:
                raise StoreUnavailable(f"it took too long to publish {key}", path=key)
            publishing = True

        try:
            self._demand_alone(folder, mine.key, mine.created, key)
            yield about_to_publish
        except BaseException as error:
            if not publishing or (isinstance(error, StoreError) and not isinstance(error, OutcomeUnknown)):
                self._withdraw(mine.key)
            raise
        self._withdraw(mine.key)

    def sweep(self, before: float) -> None:
        """Remove claims that were made before that moment."""
        for claim in self._work.list(CLAIMS, ""):
            if claim.created < before:
                self._work.delete(claim.key, {})

    def _demand_alone(self, folder: str, mine: str, now: float, key: str) -> None:
        for claim in self._work.list(folder, ""):
            if claim.key != mine and claim.created >= now - LIFETIME:
                raise StoreUnavailable(f"another process is about to publish {key}", path=key)

    def _withdraw(self, claim: str) -> None:
        try:
            self._work.delete(claim, {})
        except StoreError as error:
            log.warning("a claim stays for %d minutes: %s", LIFETIME // 60, error.message)
