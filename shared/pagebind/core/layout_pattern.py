"""Layouts that are written out, such as ``{series}/{volume}/{chapter}``: what each level of folders means."""

from __future__ import annotations

import re
from typing import NamedTuple
from unicodedata import normalize

from pagebind.core.layout import AUTO, Layout, Placed, drop_containers, join, name_of, parts_below

FIELDS = ("series", "volume", "chapter", "_")
"""What a pattern of folders may hold between braces."""

_FIELD = r"\{([^{}]*)\}"
_LONGEST_NAME = 1024
"""No file system has longer names; matching takes time in proportion to the square of the length."""


def parse_layout(text: str) -> Layout:
    """Compile a pattern such as ``{series}/{volume}/{chapter}``, relative to a subscription's path.

    Between slashes stand literal text, which is compared without case, and fields. A field stands for some text within
    one name: ``{series}`` for as much as fits, the others for as little; ``{_}`` may be nothing.

    Raises:
        ValueError: with what is wrong, in one line.
    """
    if text == "auto":
        return AUTO
    parts = text.split("/")
    homes: dict[str, int] = {}
    for place, part in enumerate(parts):
        for field in _fields_of(part):
            if field in homes:
                raise ValueError(f"holds {{{field}}} twice")
            if field != "_":
                homes[field] = place
    book = homes.get("volume", homes.get("chapter"))
    if book is None:
        raise ValueError("holds neither {volume} nor {chapter}")
    if homes.get("series", 0) > book:
        raise ValueError("holds {series} below what belongs to it")
    merges = "volume" in homes and "chapter" in homes
    if merges and homes["chapter"] <= book:
        raise ValueError("has {chapter} not below {volume}; chapters are merged into the volume's folder above them")
    return _Pattern(tuple(map(_compiled, parts)), book, merges)


def _fields_of(part: str) -> list[str]:
    """The names of the fields in one part of a pattern, which is checked for all that concerns it alone."""
    if part in {"", ".", ".."}:
        raise ValueError("has an empty, . or .. part")
    fields: list[str] = re.findall(_FIELD, part)
    for field in fields:
        if field not in FIELDS:
            raise ValueError(f"uses the unknown field {{{field}}}")
    rest = re.sub(_FIELD, "", part)
    if "{" in rest or "}" in rest:
        raise ValueError("has a { or } that is not one of a pair")
    if "}{" in part:
        raise ValueError("has two fields with nothing between them")
    return fields


def _compiled(part: str) -> re.Pattern[str]:
    """One part as a regular expression.

    A field that takes as little as it can never needs another try once the text after it was found: atomic groups keep
    that from costing more than once through the name.
    """
    first, *rest = re.split(_FIELD, normalize("NFC", part))
    expression = re.escape(first)
    for place in range(0, len(rest), 2):
        field, literal = rest[place], re.escape(rest[place + 1])
        if field == "series":
            expression += f"(?P<series>.+){literal}"
        else:
            taken = ".*?" if field == "_" else f"(?P<{field}>.+?)"
            is_last = place + 2 == len(rest)
            expression += f"{taken}{literal}" if is_last else f"(?>{taken}{literal})"
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


class _Pattern(NamedTuple):
    """A layout that was written out.

    Attributes:
        parts: what each folder's name below the subscription must match.
        book: which of them names the book.
        merges: see `Layout`.
    """

    parts: tuple[re.Pattern[str], ...]
    book: int
    merges: bool

    def place(self, root: str, folder: str) -> Placed | None:
        """See `Layout.place`."""
        parts = parts_below(root, folder)
        drop_containers(parts, len(self.parts))
        fields = self._match(parts) if len(parts) == len(self.parts) else None
        if fields is None and self.merges:
            drop_containers(parts, self.book + 1)
            fields = self._match(parts) if len(parts) == self.book + 1 else None
        if fields is None:
            return None
        own = parts[self.book]
        above = parts[self.book - 1] if self.book else ""
        chapter = "" if self.merges else fields.get("chapter", "")
        return Placed(
            join(root, "/".join(parts[: self.book + 1])) if self.merges else folder,
            fields.get("series") or above or own,
            chapter or fields["volume"],
            chapter,
            above or name_of(root),
        )

    def _match(self, parts: list[str]) -> dict[str, str] | None:
        """The fields of the names, as far as there are any; None if one of them does not fit."""
        fields: dict[str, str] = {}
        for pattern, name in zip(self.parts, parts, strict=False):
            found = pattern.fullmatch(normalize("NFC", name)) if len(name) <= _LONGEST_NAME else None
            if found is None:
                return None
            fields |= found.groupdict()
        fields = {field: text.strip() for field, text in fields.items()}
        return fields if all(fields.values()) else None
