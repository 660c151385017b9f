"""Requests to Google Cloud Storage that fail once, or whose answer is lost, and what becomes of what they belong to."""

# ruff: noqa: F811 - fixtures are imported, and asked for by name

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import requests
from tests.contracts.store_suite import crc32c, keys
from tests.contracts.test_gcs_only import (  # noqa: F401
    bind,
    bucket,
    client,
    entries,
    kind_of,
    library,
    whole_crc32c,
    wire,
    work,
)

from pagebind.adapters.stores.gcs_upload import PIECE
from pagebind.errors import ConditionFailed, StoreUnavailable
from pagebind.ports.store import ABSENT

if TYPE_CHECKING:
    from tests.contracts.test_gcs_only import Wire

    from pagebind.adapters.stores.gcs import GcsStore


class Once:
    """Each request of these kinds fails once before it is let through: by a status, or by the loss of its answer."""

    def __init__(self, wire: Wire, how: str, *kinds: str) -> None:
        self._wire = wire
        self._kinds = kinds
        self._failed: set[str] = set()
        if how == "503":
            wire.before = lambda request: wire.answer(request, 503, b"{}") if self._is_first(request) else None
        elif how == "request lost":
            wire.before = self._lose
        else:
            wire.after = self._lose

    def _is_first(self, request: requests.PreparedRequest) -> bool:
        what = f"{request.url} {request.headers.get('Content-Range')!s}"
        if kind_of(request) not in self._kinds or what in self._failed:
            return False
        self._failed.add(what)
        return True

    def _lose(self, request: requests.PreparedRequest) -> Any:
        if self._is_first(request):
            raise requests.ConnectionError


HOWS = ["503", "request lost", "answer lost"]


class TestAssemble:
    @pytest.mark.parametrize("how", HOWS)
    def test_no_failed_request_costs_another_one_than_itself(
        self, work: GcsStore, library: GcsStore, wire: Wire, how: str
    ) -> None:
        parts = entries(work, 70)
        wire.forget()
        Once(wire, how, "multipart", "compose", "rewrite", "delete")

        made = bind(library, parts)

        looks = {"look": 5} if how == "answer lost" else {}
        assert Counter(wire.seen) == Counter(multipart=2, compose=6, rewrite=2, delete=8, **looks)
        assert made == library.head("books/b.cbz")
        assert made.crc32c == whole_crc32c(parts)
        assert len(keys(work)) == 70

    def test_a_request_that_always_fails_ends_it(self, work: GcsStore, library: GcsStore, wire: Wire) -> None:
        parts = entries(work, 70)
        wire.forget()
        wire.refuses("compose", 503)
        with pytest.raises(StoreUnavailable):
            bind(library, parts)
        assert wire.count("compose") <= 3 * 4
        assert len(keys(work)) == 70

    def test_what_somebody_else_wrote_is_not_taken_for_its_own(
        self, work: GcsStore, library: GcsStore, wire: Wire
    ) -> None:
        parts = entries(work, 2)

        def forestall(request: requests.PreparedRequest) -> None:
            if kind_of(request) == "rewrite":
                wire.before = lambda _: None
                library.put("books/b.cbz", b"another", metadata={"volume": "v"})
                raise requests.ConnectionError

        wire.before = forestall
        with pytest.raises(ConditionFailed):
            bind(library, parts)
        assert library.get("books/b.cbz") == b"another"
        assert len(keys(work)) == 2


class TestStream:
    @pytest.mark.parametrize("how", HOWS)
    @pytest.mark.parametrize("size", [1, PIECE, PIECE + 1, 2 * PIECE + 300_000])
    def test_is_written_though_each_request_fails_once(self, work: GcsStore, wire: Wire, how: str, size: int) -> None:
        data = bytes(range(251)) * (size // 251 + 1)
        data = data[:size]
        Once(wire, how, "multipart", "resumable", "piece")

        made = work.put_stream("o", iter([data]), condition=ABSENT, metadata={"n": "1"})

        assert (made.size, made.crc32c) == (size, crc32c(data))
        assert made == work.head("o")
        assert work.get("o") == data

    def test_pieces_that_have_come_are_not_sent_again(self, work: GcsStore, wire: Wire) -> None:
        Once(wire, "answer lost", "piece")
        work.put_stream("o", iter([bytes(2 * PIECE + 1)]))
        sent = [len(body) for body, kind in zip(wire.bodies, wire.seen, strict=True) if kind == "piece" and body]
        assert sent == [PIECE, PIECE, 1]

    def test_what_stands_there_already_stays(self, work: GcsStore, wire: Wire) -> None:
        work.put("o", b"another")
        Once(wire, "request lost", "multipart", "piece")
        for size in (1, PIECE + 1):
            with pytest.raises(ConditionFailed):
                work.put_stream("o", iter([bytes(size)]), condition=ABSENT)
        assert work.get("o") == b"another"
