"""What finalize is measured against: all entries down, one object up, with nothing but the store's library.

``CONFIG VOLUME``. Entries come several at once, as many as finalize reads, in the order of their keys. The clients are
made as Pagebind makes its own. Prints the seconds from the listing to the end as JSON.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagebind.config import parse, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pagebind.config import StoreSettings

_READERS = 12
_PART = 8 * 2**20
_PARTS_AT_ONCE = 3
_BOOK = "bare.cbz"


def in_order(read: Callable[[str], bytes], keys: Iterable[str]) -> Iterator[bytes]:
    """Read some ahead."""
    with ThreadPoolExecutor(_READERS) as pool:
        ahead = deque[Any]()
        for key in keys:
            ahead.append(pool.submit(read, key))
            if len(ahead) > 2 * _READERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


class Reader(io.RawIOBase):
    """Chunks as a file to be read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._rest or next(self._chunks, b"")
        size = min(len(buffer), len(chunk))
        buffer[:size] = chunk[:size]
        self._rest = chunk[size:]
        return size


def on_google(store: StoreSettings, prefix: str) -> float:
    from pagebind.adapters.stores.gcs import connect

    client = connect(connections=_READERS + 1)
    begun = time.perf_counter()
    work, library = client.bucket(store.work_bucket.name), client.bucket(store.library_bucket.name)
    keys = [blob.name for blob in client.list_blobs(work, prefix=prefix)]
    with library.blob(_BOOK).open("wb", chunk_size=_PART) as book:
        for content in in_order(lambda key: bytes(work.blob(key).download_as_bytes()), keys):
            book.write(content)
    return time.perf_counter() - begun


def on_s3(store: StoreSettings, prefix: str) -> float:
    from boto3.s3.transfer import TransferConfig

    from pagebind.adapters.stores.s3 import connect

    client = connect(
        endpoint=store.endpoint,
        region=store.region,
        addressing=store.addressing,
        checksums=store.checksums,
        connections=_READERS + _PARTS_AT_ONCE,
    )
    begun = time.perf_counter()
    bucket = store.work_bucket.name
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    chunks = in_order(lambda key: bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read()), keys)
    parts = TransferConfig(multipart_chunksize=_PART, max_concurrency=_PARTS_AT_ONCE)
    client.upload_fileobj(io.BufferedReader(Reader(chunks), _PART), store.library_bucket.name, _BOOK, Config=parts)
    return time.perf_counter() - begun


def main(config: str, volume: str) -> None:
    store = parse(read(Path(config)), os.environ, config).store
    stream = on_google if store.kind == "gs" else on_s3
    sys.stdout.write(json.dumps({"seconds": stream(store, f"staging/{volume}/")}))


main(*sys.argv[1:])
