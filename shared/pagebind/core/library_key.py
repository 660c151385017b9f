"""The key of a book in the library: safe on every file system and in every reader."""

from __future__ import annotations

import re
import unicodedata

PART_BYTES = 140
"""A part of a key, suffix included. eCryptfs, the tightest file system in common use, takes 143 bytes a name."""

_UNSAFE = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]')
"""What Windows and SMB refuse in names, control characters, and those that change the direction of what follows."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
"""Device names on Windows, with any suffix."""


def library_key(template: str, series: str, volume: str) -> str:
    """Fill the template, e.g. ``{series}/{volume}.cbz``, and make every part safe.

    Two volumes may come to the same key; whose it is then is the planner's to say.
    """
    parts = template.split("/")
    named = [part.replace("{series}", "\0s").replace("{volume}", "\0v") for part in parts]
    folders = [safe_part(_fill(part, series, volume)) for part in named[:-1]]
    stem, dot, suffix = named[-1].rpartition(".")
    return "/".join([*folders, safe_part(_fill(stem, series, volume), suffix=dot + suffix)])


def _fill(part: str, series: str, volume: str) -> str:
    return part.replace("\0s", series.replace("\0", "_")).replace("\0v", volume.replace("\0", "_"))


def safe_part(text: str, *, suffix: str = "") -> str:
    """One part of a key, ``suffix`` appended: NFC, without unsafe characters, at most `PART_BYTES` long."""
    clean = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip(" ")
    room = PART_BYTES - len(suffix.encode())
    clean = _cut(clean, room)
    if not suffix:
        clean = re.sub(r"[. ]+$", lambda dots: "_" * len(dots[0]), clean)
    if clean.startswith("."):  # hidden from readers
        clean = f"_{clean[1:]}"
    if _RESERVED.match(clean):
        clean = f"_{_cut(clean, room - 1)}"
    return (clean or "_") + suffix


def _cut(text: str, room: int) -> str:
    return text.encode()[:room].decode("utf-8", "ignore").rstrip(" ")
