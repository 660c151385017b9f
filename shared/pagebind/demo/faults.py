"""Faults that tests ask for by name."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LISTING_FAULTS = frozenset(
    {
        "list_error",  # `code` and `message` in the body
        "list_empty",  # no content, total 0
        "list_html",  # a web page with HTTP 200
        "shrunk",  # lacks `names`, or the last `drop` items
        "moving_times",  # every listing shows other times
        "total_lies",  # the total is `extra` too high
        "repeat_page",  # every page is page 1
        "entries",  # holds `entries` as well, and is there even where nothing is
        "wrong_hash",  # hashes of listed files are wrong; matched by the file's path
    }
)
FILE_FAULTS = frozenset(
    {
        "cut",  # the connection closes after `after` bytes
        "stall",  # nothing comes after `after` bytes, for `seconds` or until the server stops
        "json200",  # a JSON error with HTTP 200: `code` and `message`
        "html",  # a web page with HTTP 200
        "wrong_bytes",  # the right length, but only the first `after` bytes are right
        "zero",  # nothing, and says so
        "long",  # `extra` bytes more than listed
        "sign_expired",  # the sign is refused
        "no_range",  # Range is ignored
        "redirect",  # elsewhere: to `url`
    }
)
ANY_FAULTS = frozenset(
    {
        "delay",  # the answer comes `seconds` later
        "status",  # HTTP `code`, with Retry-After `retry_after`
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        name: one of the above.
        pattern: an absolute server path and all below it; with ``*``, which stands for anything, exactly what fits.
            Requests about no path are known by their URL, e.g. ``/api/me``.
        times: how often it strikes; None: always.
        skip: how many fitting requests go well before.
        on: which requests: ``any``, ``list``, ``get``, ``file`` or ``other``. Faults of listings and files know theirs.
        after: bytes that come as they should.
        seconds: of a delay or stall.
        code: of the answer; 0: the fault's own.
        message: in the answer.
        retry_after: seconds, the header; None: no header.
        names: of the items that a shrunk listing lacks.
        drop: how many of the last items it lacks, without ``names``.
        extra: bytes or items too many.
        url: of a redirect.
        entries: of a listing: a list of objects, or what is to pass for it, as JSON; ``{n}`` in it is the number of the
            listing, so that each can be another.
    """

    name: str
    pattern: str = "*"
    times: int | None = None
    skip: int = 0
    on: str = "any"
    after: int = 0
    seconds: float = 0.0
    code: int = 0
    message: str = "the demo server was asked to fail here"
    retry_after: int | None = None
    names: tuple[str, ...] = ()
    drop: int = 1
    extra: int = 7
    url: str = ""
    entries: str = "[]"

    def __post_init__(self) -> None:
        if self.name not in LISTING_FAULTS | FILE_FAULTS | ANY_FAULTS:
            raise ValueError(f"no fault is called {self.name!r}")

    def fits(self, kind: str, path: str) -> bool:
        """Whether a request of this kind about this path is meant."""
        if self.name in ANY_FAULTS and self.on not in ("any", kind):
            return False
        if "*" in self.pattern:
            pattern = ".*".join(re.escape(part) for part in self.pattern.split("*"))
            return re.fullmatch(pattern, path, re.DOTALL) is not None
        return path == self.pattern or path.startswith(self.pattern.rstrip("/") + "/")


class Faults:
    """The faults of one server. Safe for use by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._met: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, name: str, pattern: str = "*", **options: Any) -> Fault:
        """Add a fault; the options are those of `Fault`. Raises: ValueError for an unknown name."""
        fault = Fault(name, pattern, **options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Everything goes well again."""
        with self._lock:
            self._faults.clear()
            self._met.clear()

    def replace(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Take these instead; each is the fields of a `Fault`, as JSON has them. Raises: ValueError, TypeError."""
        new = [Fault(**{**fault, "names": tuple(fault.get("names", ()))}) for fault in faults]
        with self._lock:
            self._faults = new
            self._met.clear()

    def strike(self, names: Iterable[str], path: str, kind: str) -> list[Fault]:
        """The faults of these names that hit this request; it counts as one time for each."""
        if not self._faults:
            return []
        wanted = frozenset(names)
        with self._lock:
            return [fault for fault in self._faults if fault.name in wanted and self._hits(fault, kind, path)]

    def _hits(self, fault: Fault, kind: str, path: str) -> bool:
        if not fault.fits(kind, path):
            return False
        met = self._met.get(id(fault), 0)
        self._met[id(fault)] = met + 1
        return met >= fault.skip and (fault.times is None or met < fault.skip + fault.times)
