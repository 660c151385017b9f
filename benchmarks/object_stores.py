"""What finalize and fetch ask of object stores, counted by a proxy, and how fast that is."""

from __future__ import annotations

import json
import math
import statistics
import urllib.request
from functools import cache
from typing import TYPE_CHECKING, Any

from benchmarks.bench import MIB, Compared, Result, compare, run_child
from benchmarks.buckets import LIBRARY, WORK, buckets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.bench import Child
    from benchmarks.buckets import Buckets, Staged

    from pagebind.demo.store_calls import Call

_FEW = 10
_SIZES = {_FEW: 50_000, 200: 50_000, 1_000: 50_000}
_LARGE = {10_000: 200}
"""Bytes of a page, by the number of pages."""

_KEYS_A_LISTING = 1_000
_PREFIXES_LISTED = 5
_FAN_IN_LESS_ONE = 31

_FRAMING = 2 * 1_024
"""Bytes, at most, of the metadata that go up in one body with the tail, and with the receipt."""

_PAGES, _PAGE_BYTES = 200, 500_000
_S3_MEMORY = (3 + 1) * 8 + 16
"""MiB: three parts of 8 on their way and one that is being filled, and 16 of entries read ahead."""


def finalize_on_google() -> Iterator[Result]:
    """Finalize of few pages and of many."""
    yield from _finalize_on_google(_SIZES)


def large_finalize_on_google() -> Iterator[Result]:
    """Finalize of very many pages: fake-gcs-server takes minutes to store and to delete them."""
    yield from _finalize_on_google(_LARGE)


def _finalize_on_google(sizes: Mapping[int, int]) -> Iterator[Result]:
    with buckets("gs") as place:
        least = statistics.median(_finalized(place, place.stage(f"few {n}", _FEW, _SIZES[_FEW])) for n in range(3))
    for pages, size in sizes.items():
        with buckets("gs") as place:
            staged = place.stage("Vol", pages, size)
            peak = _finalized(place, staged)
            about = f"finalize on Google Cloud Storage, {pages:,} pages"
            yield _bytes_of_pages(place, staged, f"{about} of {size:,} bytes")
            yield from _operations(place, pages, about)
            assert not any(name.startswith("staging/") for name in _objects(place, WORK))
        if pages > _FEW:
            yield Result(
                f"{about}: peak memory above that of {_FEW} pages",
                (peak - least) / MIB,
                4 + pages * 2048 / MIB,
                " MiB",
                f"{peak / MIB:.1f} MiB and {least / MIB:.1f} MiB (median of 3)",
            )


def _finalized(place: Buckets, staged: Staged) -> int:
    """Finalize, counted from here on; the peak of memory."""
    place.proxy.reset()
    return _peak(place.run("finalize_volume", staged.volume, counted=True))


def _bytes_of_pages(place: Buckets, staged: Staged, about: str) -> Result:
    """Bytes of bodies that are neither the book's tail, the receipt, nor the manifest: to the store and from it."""
    book = sum(_objects(place, LIBRARY).values())
    tail = book - staged.entries
    receipt = sum(size for name, size in _objects(place, WORK).items() if name.startswith("done/"))
    sent = sum(call.sent for call in place.proxy.calls if call.operation.startswith("objects.insert"))
    received = _received(place.proxy.calls, "objects.get_media")
    through = max(0, sent - tail - receipt - _FRAMING) + max(0, received - staged.manifest)
    detail = f"sent {sent:,}: tail {tail:,}, receipt {receipt:,}, framing; received {received:,}: the manifest"
    return Result(f"{about}: bytes of pages through the process", through, 0, "", detail)


def _received(calls: Sequence[Call], operation: str) -> int:
    return sum(call.received for call in calls if call.operation == operation)


def _operations(place: Buckets, pages: int, about: str) -> Iterator[Result]:
    found, kinds = place.proxy.price_counts(), place.proxy.counts()
    listings = _PREFIXES_LISTED - 1 + math.ceil(pages / _KEYS_A_LISTING)
    most = math.ceil(pages / _FAN_IN_LESS_ONE) + len(("tail", "publish", "receipt")) + listings
    said = ", ".join(f"{count} {name.removeprefix('objects.')}" for name, count in kinds.items())
    yield Result(f"{about}: class A operations", found["A"], most, "", said)
    yield Result(f"{about}: class B operations", found["B"], 4, "", f"besides them {found['free']} deletes, free")


def streaming_on_google() -> Iterator[Result]:
    """Finalize beside the streaming way: all entries down, one object up, through google-cloud-storage."""
    with buckets("gs") as place:
        found, inside = _compared(place, rounds=5)
        staged = place.stage("counted", _PAGES, _PAGE_BYTES)
        theirs = _bytes(place, "bare_streaming", staged)
        ours = _bytes(place, "finalize_volume", staged)
    about = f"finalize on Google Cloud Storage, {_PAGES} pages of {_PAGE_BYTES // 1000} kB"
    yield Result(f"{about}: time of the streaming way", found.ours / found.bare, 1.0, " times", inside)
    yield Result(
        f"{about}: bytes of bodies, of those of the streaming way",
        ours / theirs,
        0.01,
        " times",
        f"{ours:,} against {theirs:,}",
    )


def _bytes(place: Buckets, module: str, staged: Staged) -> int:
    place.proxy.reset()
    place.run(module, staged.volume, counted=True)
    return sum(call.sent + call.received for call in place.proxy.calls)


def finalize_on_s3() -> Iterator[Result]:
    """Finalize beside the same entries through the same client, unchecked and unlisted."""
    with buckets("s3") as place:
        found, inside = _compared(place, rounds=5)
        few = statistics.median(_peak_of(place, f"few {number}", 10) for number in range(3))
        many = statistics.median(_peak_of(place, f"many {number}", _PAGES) for number in range(3))
    about = f"finalize on S3 (SeaweedFS), {_PAGES} pages of {_PAGE_BYTES // 1000} kB"
    yield Result(f"{about}: time of getting all and uploading one", found.ours / found.bare, 1.3, " times", inside)
    yield Result(
        f"{about}: peak memory above that of 10 pages",
        (many - few) / MIB,
        _S3_MEMORY,
        " MiB",
        f"{many / MIB:.1f} MiB and {few / MIB:.1f} MiB (medians of 3)",
    )


def _peak_of(place: Buckets, name: str, pages: int) -> int:
    return _peak(place.run("finalize_volume", place.stage(name, pages, _PAGE_BYTES).volume))


def _peak(finalized: Child) -> int:
    """As the process says itself: this one holds bodies that the proxy has passed on, and may be the larger one."""
    return int(json.loads(finalized.out)["peak"])


def _compared(place: Buckets, *, rounds: int) -> tuple[Compared, str]:
    """Finalize against the bare client, straight at the server, each on the same entries."""
    volumes = iter([place.stage(f"Vol {number}", _PAGES, _PAGE_BYTES).volume for number in range(rounds)])
    kept = place.stage("kept", _PAGES, _PAGE_BYTES).volume
    own: list[float] = []
    theirs: list[float] = []

    def ours() -> Child:
        child = place.run("finalize_volume", next(volumes))
        own.append(json.loads(child.out)["seconds"])
        return child

    def bare() -> Child:
        child = place.run("bare_streaming", kept)
        theirs.append(json.loads(child.out)["seconds"])
        return child

    found = compare(ours, bare, rounds=rounds)
    return found, f"{found.detail}; without start and imports {min(own):.2f} s against {min(theirs):.2f} s"


def fetch() -> Iterator[Result]:
    """A first delivery."""
    for kind, name in (("gs", "Google Cloud Storage"), ("s3", "S3 (SeaweedFS)")):
        counted = count_volume(kind)
        found, pages = counted["fetch"]["classes"], counted["volumes"] * counted["pages"]
        about, said = f"fetch to {name}, a page's first delivery", json.dumps(counted["fetch"]["operations"])
        yield Result(f"{about}: writes to the store", found["A"] / pages, 1, "", f"{pages} pages: {said}")
        yield Result(f"{about}: reads from it", found["B"] / pages, 0, "", "the same")


@cache
def count_volume(kind: str) -> dict[str, Any]:
    """What `counted_volume` says: by phase the operations, and the requests by class of price."""
    counted: dict[str, Any] = json.loads(run_child(["-m", "benchmarks.counted_volume", kind], {}).out)
    return counted


def _objects(place: Buckets, bucket: str) -> dict[str, int]:
    """Bytes of each object of a bucket of fake-gcs-server, asked without a library."""
    found: dict[str, int] = {}
    token = ""
    while True:
        url = f"{place.server.url}/storage/v1/b/{bucket}/o?maxResults=1000&pageToken={token}"
        with urllib.request.urlopen(url) as answer:
            page = json.load(answer)
        found |= {item["name"]: int(item["size"]) for item in page.get("items", ())}
        token = page.get("nextPageToken", "")
        if not token:
            return found
