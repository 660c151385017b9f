"""What is known of the books in a library folder, kept in the work store: a folder of books holds nothing but books.

A record is the object ``meta/<digest of the key>/<version>.json``. It is written before the version is published, so no
book lacks it; those of older versions go with the next publication. The record of a deleted book stays: it tells which
versions have been used up.
"""

from __future__ import annotations

import json
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

from pagebind.core import keys
from pagebind.core.keys import digest
from pagebind.errors import ConditionFailed, KeyMissing, StoreError
from pagebind.ports.store import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pagebind.ports.store import Store


class BookRecords:
    """The records of one library, in the store ``work``. Writers hold the library's lock."""

    def __init__(self, work: Store) -> None:
        self._work = work

    def any(self) -> bool:
        """Whether a book was ever published; what was written without metadata, to try the folder, is none."""
        return any(self._read(info.key) for info in self._work.list(keys.BOOK_RECORDS))

    def write(self, key: str, version: str, metadata: Mapping[str, str]) -> bool:
        """Record a version durably; False if it has a record already. Raises: StoreUnavailable."""
        record = {"key": key, "version": version, "metadata": dict(metadata)}
        try:
            self._work.put(_record_key(key, version), json.dumps(record).encode(), condition=ABSENT)
        except ConditionFailed:
            return False
        return True

    def metadata(self, key: str, version: str) -> dict[str, str] | None:
        """As recorded; None where there is no record, empty where it is damaged. Raises: StoreUnavailable."""
        return self._read(_record_key(key, version))

    def _read(self, record_key: str) -> dict[str, str] | None:
        try:
            record = self._work.get(record_key)
        except KeyMissing:
            return None
        with suppress(ValueError, KeyError, TypeError):
            return dict(json.loads(record)["metadata"])
        return {}

    def versions(self, key: str) -> list[str]:
        """Every version of the book that has a record."""
        above = _records_of(key)
        return [info.key.removeprefix(above).removesuffix(".json") for info in self._work.list(above)]

    def remove(self, key: str, matches: Callable[[str], bool]) -> None:
        """Remove the records of matching versions; what cannot be removed now goes another time."""
        with suppress(StoreError):
            for version in filter(matches, self.versions(key)):
                self._work.delete(_record_key(key, version))


def _records_of(key: str) -> str:
    return f"{keys.BOOK_RECORDS}{digest(unicodedata.normalize('NFC', key), 32)}/"


def _record_key(key: str, version: str) -> str:
    return f"{_records_of(key)}{version}.json"
