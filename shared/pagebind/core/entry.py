"""An entry's metadata: what fetch recorded of a staged page, and finalize holds against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class EntryFacts(NamedTuple):
    """One staged page.

    Attributes:
        page: the page's id, so that an entry under another's key is noticed.
        crc32: CRC-32 of the page's bytes, as the zip needs it.
        size: bytes of the page.
        crc32c: CRC-32C of the whole entry, header included.
        width, height: pixels where known.
        kind: what the file really is (see `image_kind`), where its name says something else; else empty.
        renamed: its name in the book has the suffix of this kind.
    """

    page: str
    crc32: int
    size: int
    crc32c: int
    width: int | None = None
    height: int | None = None
    kind: str = ""
    renamed: bool = False

    def metadata(self) -> dict[str, str]:
        """As the store keeps it: strings only."""
        known = {
            "page": self.page,
            "crc32": f"{self.crc32:08x}",
            "size": str(self.size),
            "crc32c": f"{self.crc32c:08x}",
            "width": str(self.width or ""),
            "height": str(self.height or ""),
            "kind": self.kind,
            "renamed": "yes" if self.renamed else "",
        }
        return {name: value for name, value in known.items() if value}


def parse(metadata: Mapping[str, str] | None) -> EntryFacts | None:
    """Read back what `EntryFacts.metadata` wrote; None if it is not that."""
    if not metadata:
        return None
    try:
        return EntryFacts(
            metadata["page"],
            int(metadata["crc32"], 16),
            int(metadata["size"]),
            int(metadata["crc32c"], 16),
            int(metadata["width"]) if "width" in metadata else None,
            int(metadata["height"]) if "height" in metadata else None,
            metadata.get("kind", ""),
            "renamed" in metadata,
        )
    except (KeyError, ValueError):
        return None
