"""Claims: how a book is published by one process at a time where the store knows no conditional writes.

Whoever is about to publish writes an object of its own below ``meta/claims/<digest of the book's key>/`` in the work
store and lists that folder. Listings are strongly consistent, so of two processes the later writer sees the other's
claim; it withdraws its own and tries again later. At most one goes on: it looks at the book, publishes, and removes its
claim. All that takes seconds, the parts having been sent before.

A claim stays after a request of which nobody knows whether the store did it, for it may still be at it. It keeps other
processes away, not the one that holds it: that looks again, and publishes or finds that it has. The claim of a process
that died is dead after `LIFETIME`; one that was held up does not publish under its claim any more. That time cannot be
cut short by a process that finds the claim: nothing in a bucket tells whether another one lives.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from pagebind.adapters.stores.retrying import again
from pagebind.adapters.stores.s3_bucket import Block, Content
from pagebind.adapters.stores.s3_errors import OutcomeUnknown
from pagebind.core import keys
from pagebind.errors import ConditionFailed, KeyBusy, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.stores.s3_bucket import Bucket
    from pagebind.ports.store import ObjectInfo

log = logging.getLogger(__name__)

LIFETIME: Final = 300.0
"""Seconds, by the store's clock."""

CLAIMS: Final = f"{keys.BOOK_RECORDS}claims/"

_LONGEST_WAIT: Final = 60.0
"""Seconds after claiming in which publishing may begin. Its requests end three minutes later at the latest, all retries
and time-outs counted (see `retrying.again`, `s3_client`): a minute before the claim is dead."""

_USUAL: Final = 20.0
"""Seconds in which a process that lives has published; a claim that is older is waited for."""


class Claims:
    """The claims in the work store ``work`` on books in ``library``."""

    def __init__(self, work: Bucket, library: Bucket, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._library = library
        self._monotonic = monotonic
        self._left: set[str] = set()
        """Claims of this process that stand though it is not about to publish under them."""

    @contextmanager
    def held(self, key: str) -> Iterator[Callable[[], None]]:
        """Hold the only claim on a book; gives what must be called right before publishing.

        After a publishing of which nobody knows whether it was done the claim stays, until this process has held the
        one on this book again, or it is dead.

        Raises:
            KeyBusy: another process is about to publish this book.
            StoreUnavailable: it took too long to publish.
        """
        folder = f"{CLAIMS}{keys.digest(f'{self._library.name}/{self._library.prefix}{key}', 32)}/"
        begun = self._monotonic()
        mine = self._claim(f"{folder}{uuid.uuid4().hex}")
        publishing = False

        def about_to_publish() -> None:
            nonlocal publishing
            if self._monotonic() - begun > _LONGEST_WAIT:
                raise StoreUnavailable(f"it took too long to publish {key}", path=key)
            publishing = True

        try:
            self._demand_alone(folder, mine, key)
            yield about_to_publish
        except BaseException as error:
            if publishing and (isinstance(error, OutcomeUnknown) or not isinstance(error, StoreError)):
                self._left.add(mine.key)
            else:
                self._withdraw(mine.key)
            if isinstance(error, ConditionFailed):
                self._withdraw_left(folder)
            raise
        self._withdraw(mine.key)
        self._withdraw_left(folder)

    def sweep(self, before: float) -> None:
        """Remove claims that were made before that moment."""
        for claim in self._work.list(CLAIMS, ""):
            if claim.created < before:
                self._work.delete(claim.key, {})

    def _claim(self, name: str) -> ObjectInfo:
        try:
            return again(partial(self._work.put, name, Block(b"", 0), Content({}), {}), f"claim {name}")
        except BaseException:
            self._left.add(name)  # it may stand
            raise

    def _demand_alone(self, folder: str, mine: ObjectInfo, key: str) -> None:
        for claim in again(lambda: tuple(self._work.list(folder, "")), f"list {folder}"):
            age = mine.created - claim.created
            if claim.key != mine.key and claim.key not in self._left and age <= LIFETIME:
                wait = LIFETIME - age if age > _USUAL else None
                raise KeyBusy(
                    f"another process is about to publish {key}, or died of it",
                    fix=f"try again in {LIFETIME // 60:.0f} minutes",
                    path=key,
                    retry_after=wait,
                )

    def _withdraw(self, claim: str) -> None:
        try:
            again(partial(self._work.delete, claim, {}), f"withdraw {claim}")
        except StoreError as error:
            self._left.add(claim)
            log.warning("claim left", extra={"key": claim, "reason": error.message})
        else:
            self._left.discard(claim)

    def _withdraw_left(self, folder: str) -> None:
        """Now it is known what stands."""
        for claim in [left for left in tuple(self._left) if left.startswith(folder)]:
            self._withdraw(claim)
