"""The receipt of a published book: what stands where in it, and which version of it this is true of."""

from __future__ import annotations

import json
from typing import NamedTuple

from pagebind.core import rows


class BoundPage(NamedTuple):
    """One page in the book.

    ``offset`` is where its bytes begin, after its local header; -1 where they do not stand there as they are, because
    the tool that made the book compressed them.
    """

    page: str
    name: str
    offset: int
    size: int
    crc32: int


class Receipt(NamedTuple):
    """A book that is ours.

    Attributes:
        version: the store's.
        size, crc32c: of the whole book.
        pages: what stands where in it.
        kind: ``bound`` where Pagebind made it, ``archive`` where it is a copy of an archive, ``adopted`` where another
            tool made it: then its headers are not ours.
    """

    volume: str
    path: str
    key: str
    seq: int
    revision: str
    version: str
    size: int
    crc32c: int
    pages: tuple[BoundPage, ...]
    kind: str = "bound"


def dump(receipt: Receipt) -> bytes:
    """The receipt as JSON."""
    fields = {
        "schema": 1,
        "volume": receipt.volume,
        "path": receipt.path,
        "key": receipt.key,
        "seq": receipt.seq,
        "revision": receipt.revision,
        "version": receipt.version,
        "size": receipt.size,
        "crc32c": f"{receipt.crc32c:08x}",
        "kind": receipt.kind,
    }
    return rows.dump(fields, ([p.page, p.name, p.offset, p.size, f"{p.crc32:08x}"] for p in receipt.pages))


def load(content: bytes) -> Receipt:
    """Read back what `dump` wrote.

    Raises:
        ValueError: it is not a receipt.
    """
    try:
        document = json.loads(content)
        pages = tuple(BoundPage(p, n, offset, size, int(crc, 16)) for p, n, offset, size, crc in document["pages"])
        named = {name: document[name] for name in Receipt._fields if name not in ("pages", "crc32c")}
        return Receipt(pages=pages, crc32c=int(document["crc32c"], 16), **named)
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a receipt: {error}") from error
