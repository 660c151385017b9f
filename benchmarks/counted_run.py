"""``CONFIG``: a run over stores that count their calls, and the files opened in them; prints the counts as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagebind import wiring
from pagebind.adapters.stores.folder import FolderStore
from pagebind.config import parse, read
from pagebind.local import Runner, RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagebind.ports.store import ObjectInfo

called: Counter[str] = Counter()
listed: Counter[str] = Counter()


class CountingStore(FolderStore):
    """Counts what is asked of it, also by the other store that keeps its records here."""

    def get(self, key: str) -> bytes:
        called[f"get {key.partition('/')[0]}"] += 1
        return super().get(key)

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        called[f"stream {key.partition('/')[0]}"] += 1
        return super().stream(key, start=start, length=length)

    def head(self, key: str) -> ObjectInfo | None:
        called[f"head {key.partition('/')[0]}"] += 1
        return super().head(key)

    def put(self, key: str, *args: Any, **options: Any) -> ObjectInfo:
        called[f"put {key.partition('/')[0]}"] += 1
        return super().put(key, *args, **options)

    def assemble(self, key: str, *args: Any, **options: Any) -> ObjectInfo:
        called["assemble"] += 1
        return super().assemble(key, *args, **options)

    def delete(self, key: str, *, version: str | None = None) -> None:
        called[f"delete {key.partition('/')[0]}"] += 1
        super().delete(key, version=version)

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        listed[prefix or "library"] += 1
        return super().list(prefix, metadata=metadata, after=after)


def main(config: str) -> None:
    settings = wiring.with_settle(parse(read(Path(config)), os.environ, config), 0.0)
    work = CountingStore(settings.store.work_folder)
    library = CountingStore(settings.store.library_folder, work=work)
    parts = wiring.build(settings, os.environ)._replace(work=work, library=library)
    runner = Runner(parts, lambda: parts.run_lock(lambda: None))
    roots = (str(work.root), str(library.root))
    opened: list[str] = []

    def watch(event: str, about: tuple[Any, ...]) -> None:
        if event == "open" and str(about[0]).startswith(roots):
            opened.append(str(about[0]))

    sys.addaudithook(watch)
    with closing(parts.source):
        result = runner.run(RunRequest())
    counts = {"called": called, "listed": listed, "opened": len(opened), "up_to_date": len(result.up_to_date)}
    sys.stdout.write(json.dumps(counts))


main(sys.argv[1])
