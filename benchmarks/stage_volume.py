"""``CONFIG NAME PAGES BYTES``: put a whole volume into work, as poll and fetch would; prints what it is as JSON."""

from __future__ import annotations

import json
import os
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c

from pagebind import wiring
from pagebind.config import parse, read
from pagebind.core import keys, manifest
from pagebind.core.entry import EntryFacts
from pagebind.core.keys import ManifestMark, SentMark
from pagebind.core.manifest import Manifest
from pagebind.core.model import About, Item
from pagebind.core.zip_layout import local_header
from pagebind.ports.store import ABSENT

if TYPE_CHECKING:
    from pagebind.core.manifest import Page
    from pagebind.ports.store import Store

_THREADS = 12


def main(config: str, name: str, pages: str, size: str) -> None:
    work, _ = wiring.stores(parse(read(Path(config)), os.environ, config))
    items = [Item(f"{number:05}.jpg", int(size), modified="2026-01-01T00:00:00Z") for number in range(int(pages))]
    recorded = _manifest(f"/comics/Series/{name}", manifest.pages_of(items))
    filler = os.urandom(int(size))

    def stage(page: Page) -> int:
        return _stage(work, recorded.volume, page, page.name.encode() + filler[len(page.name) :])

    with ThreadPoolExecutor(_THREADS) as pool:
        entries = sum(pool.map(stage, recorded.pages))
    document = _record(work, recorded)
    sys.stdout.write(json.dumps({"volume": recorded.volume, "entries": entries, "manifest": document}))


def _manifest(path: str, pages: tuple[Page, ...]) -> Manifest:
    title = path.rpartition("/")[2]
    about = About(series="Series", title=title)
    revision = manifest.revision_of(pages)
    return Manifest(keys.volume_id(path), path, "/comics", f"Series/{title}.cbz", about, 1, revision, pages)


def _stage(work: Store, volume: str, page: Page, content: bytes) -> int:
    """Write one entry; its bytes."""
    crc32 = zlib.crc32(content)
    entry = local_header(page.book_name, crc32, page.size) + content
    facts = EntryFacts(page.id, crc32, page.size, google_crc32c.value(entry), width=1200, height=1800)
    work.put(keys.entry_key(volume, page.id), entry, condition=ABSENT, metadata=facts.metadata())
    return len(entry)


def _record(work: Store, recorded: Manifest) -> int:
    """Write the manifest, of which the bytes are given, and that it was sent."""
    document = manifest.dump(recorded)
    mark = ManifestMark(recorded.seq, recorded.revision, keys.library_digest(recorded.key))
    work.put(keys.manifest_key(recorded.volume, mark), document, condition=ABSENT)
    work.put(keys.sent_key(recorded.volume, SentMark(recorded.seq, recorded.revision, 1)), b"", condition=ABSENT)
    return len(document)


main(*sys.argv[1:])
