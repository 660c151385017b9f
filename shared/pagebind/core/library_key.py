"""The key of a book in the library: safe on every file system and in every reader."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from pagebind.errors import NOT_IN_A_LINE

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = ("series", "volume", "number", "chapter", "subscription", "parent", "ext")
"""What a template may hold between braces; ``{number:03}`` pads with zeros to three digits."""

SUFFIXES = (".cbz", ".{ext}")
"""How a template ends. Both stand for the suffix of the book."""

PART_BYTES = 140
"""A part of a key, suffix included. eCryptfs, the tightest file system in common use, takes 143 bytes a name."""

_UNSAFE = re.compile(rf'[<>:"|?*\\/{NOT_IN_A_LINE}\ufffe\uffff]')
"""What Windows and SMB refuse in names, and what nothing that is shown may hold."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
"""Device names on Windows, with any suffix."""

_TAIL_BYTES = 40
"""What a part that is too long keeps of its end."""

_TO_LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""Readers would take ``c012`` in a digest for chapter 12."""


# Not compiled at import: a poll is started often, and most templates have no numbers.
_FIELD = r"(\{[a-z]+(?::0[1-9])?\})"
_NUMBER_OR_RANGE = r"[0-9]+(?:\.[0-9]+)?(?:-[0-9]+(?:\.[0-9]+)?)?"


def library_key(template: str, fields: Mapping[str, str], *, suffix: str = "cbz") -> str:
    """Fill the template, e.g. ``{series}/{volume}.cbz``, and make every part safe.

    Two volumes may come to the same key; whose it is then is the planner's to say.

    Args:
        template: with no other fields than `FIELDS`, ending with one of `SUFFIXES`.
        fields: a text for each field of the template but ``ext``.
        suffix: of the book, without the dot.
    """
    *folders, book = _split(template)
    known = {**fields, "ext": suffix}
    parts = [safe_part(_filled(tokens, known)) for tokens in folders]
    return "/".join([*parts, safe_part(_filled(book, known), suffix=f".{suffix}")])


@lru_cache(maxsize=64)  # one for each subscription
def _split(template: str) -> tuple[tuple[str, ...], ...]:
    """The template's parts, each as text and fields by turns, without the suffix of the last one."""
    stem = next(template.removesuffix(suffix) for suffix in SUFFIXES if template.endswith(suffix))
    return tuple(tuple(re.split(_FIELD, part)) for part in stem.split("/"))


def _filled(tokens: tuple[str, ...], fields: Mapping[str, str]) -> str:
    return "".join(_value(token[1:-1], fields) if place % 2 else token for place, token in enumerate(tokens))


def _value(field: str, fields: Mapping[str, str]) -> str:
    name, _, width = field.partition(":")
    value = fields[name]
    if not width or not re.fullmatch(_NUMBER_OR_RANGE, value):
        return value
    return "-".join(_padded(number, int(width)) for number in value.split("-"))


def _padded(number: str, width: int) -> str:
    """With zeros before it, until so many digits stand before the point."""
    whole, point, fraction = number.partition(".")
    return whole.zfill(width) + point + fraction


def safe_part(text: str, *, suffix: str = "") -> str:
    """One part of a key, ``suffix`` appended: NFC, without unsafe characters, at most `PART_BYTES` long.

    A longer one loses its middle, for what tells volumes apart mostly stands at the end (``第01巻``). A digest of the
    whole takes its place, so that what differs in the middle only still differs.
    """
    clean = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip(" ")
    if not suffix:
        clean = clean.rstrip(". ").ljust(len(clean), "_")
    if clean.startswith("."):  # hidden from readers
        clean = f"_{clean[1:]}"
    if _RESERVED.match(clean):
        clean = f"_{clean}"
    return (_fitted(clean, PART_BYTES - len(suffix.encode())) or "_") + suffix


def _fitted(text: str, room: int) -> str:
    """``text`` in at most ``room`` bytes, cut between characters."""
    whole = text.encode()
    if len(whole) <= room:
        return text
    middle = f"…{_digest(whole)}…"
    head = whole[: room - _TAIL_BYTES - len(middle.encode())].decode(errors="ignore")
    tail = whole[-_TAIL_BYTES:].decode(errors="ignore")
    return head.rstrip(" ") + middle + tail


def _digest(whole: bytes) -> str:
    from hashlib import blake2b  # here, not above: few names are that long

    return blake2b(whole, digest_size=3).hexdigest().translate(_TO_LETTERS)
