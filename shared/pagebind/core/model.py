"""The words of the trade as frozen data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a listing, as the server gave it.

    The field names are those of `fs/list`, so that a decoder can fill it without a second pass. ``modified`` is the
    server's RFC 3339 text; ``hash_info`` maps kinds (``md5``, ``sha1``, ``sha256``) to hex digests.
    """

    name: str
    size: int = 0
    is_dir: bool = False
    modified: str = ""
    sign: str = ""
    hash_info: dict[str, str] | None = None
