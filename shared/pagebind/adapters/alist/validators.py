"""What tells one version of a file from another (RFC 9110, 8.8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_TAG: Final = re.compile(r"[!-~]{1,130}")
_TIME: Final = re.compile(r"[A-Za-z0-9,:+ -]{1,40}")
_WEAK: Final = "W/"


class Validators(NamedTuple):
    """Those of one answer; empty where it has none. What is no plain text is none."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, header: Callable[[str], str]) -> Validators:
        """Those among the headers of an answer."""
        etag, modified = header("ETag"), header("Last-Modified")
        return cls(etag if _TAG.fullmatch(etag) else "", modified if _TIME.fullmatch(modified) else "")

    @classmethod
    def parse(cls, text: str) -> Validators:
        """What ``text`` was made of."""
        modified, _, etag = text.partition("|")
        return cls(etag, modified)

    @property
    def text(self) -> str:
        """As it is kept, in plain ASCII; empty where there are none."""
        return f"{self.modified}|{self.etag}" if any(self) else ""

    @property
    def condition(self) -> str:
        """What ``If-Range`` may hold, or an empty text: a weak tag does not tell bytes apart."""
        return "" if self.etag.startswith(_WEAK) else self.etag

    def with_those_of(self, other: Validators) -> Validators:
        """These, and of the others what lacks here."""
        return Validators(self.etag or other.etag, self.modified or other.modified)

    def tell_from(self, other: Validators) -> bool:
        """Whether it is another version, by one that both have."""
        tags = self.etag.removeprefix(_WEAK), other.etag.removeprefix(_WEAK)
        return any(mine and theirs and mine != theirs for mine, theirs in (tags, (self.modified, other.modified)))
