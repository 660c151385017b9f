"""Bodies of files that lie about what they are: one error, in time, and in little memory."""

from __future__ import annotations

import gzip
import itertools
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.hostile_server import PICTURE, HostileServer, Peer, answer, dripping, endless, head, saying
from tests.support.lied_to import (
    WINDOW,
    check_run_with_one_bad_page,
    failure,
    fetched,
    file_failure,
    source_of,
    traced,
    wanted,
)

from pagebind.errors import PageCut, PageFailed, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = len(PICTURE)
BOMB = gzip.compress(bytes(64 << 20))
"""64 MiB in 64 KiB."""
ENVELOPE = b'{"code": 500, "message": "'


def chunked(*chunks: bytes) -> bytes:
    return head(Transfer_Encoding="chunked") + b"".join(chunks)


def ranged(said: str, body: bytes = PICTURE[100:]) -> Callable[[Peer], None]:
    """The first half, and then, whatever is asked for, this answer."""
    answers = itertools.chain(
        [head(length=SIZE) + PICTURE[:100]], itertools.repeat(answer(body, 206, Content_Range=said))
    )
    return lambda peer: peer.say(next(answers))


def steady(first: bytes) -> Callable[[Peer], None]:
    """Some 5 KiB a second behind it, for ever."""
    return lambda peer: peer.drip(itertools.chain([first], itertools.repeat(b"<p>" * 85)), pause=0.05)


BODIES: dict[str, tuple[bytes | Callable[[Peer], None], type[SourceError], str]] = {
    "shorter than its length": (head(length=SIZE) + PICTURE[:-1], PageCut, "ignores ranges"),
    "empty and cut": (head(length=SIZE), PageCut, "broke off"),
    "a length that is none": (head(Content_Length="many") + PICTURE, PageCut, "not HTTP"),
    "a negative length": (head(Content_Length="-1") + PICTURE, PageCut, "not HTTP"),
    "a length with a sign": (head(Content_Length="+201") + PICTURE, PageCut, "not HTTP"),
    "a length of 5,000 digits": (head(Content_Length="9" * 5000) + PICTURE, PageCut, "not HTTP"),
    "a length of 2^63": (head(length=2**63) + PICTURE[:-1], PageCut, "ignores ranges"),
    "chunks that are none": (chunked(b"what\r\n", PICTURE), PageCut, "not HTTP"),
    "a chunk of 2^64 bytes": (chunked(b"10000000000000000\r\n", PICTURE[:-1]), PageCut, "ignores ranges"),
    "a chunk of -1 bytes": (chunked(b"-1\r\n", PICTURE), PageCut, "not HTTP"),
    "a chunk's head without end": (endless(chunked(b"1;"), b"x" * 4096), PageCut, "not HTTP"),
    "no last chunk": (chunked(b"64\r\n", PICTURE[:100], b"\r\n"), PageCut, "ignores ranges"),
    "trailers without end": (
        endless(chunked(b"1\r\nx\r\n0\r\n"), b"X-More: more\r\n" * 100),
        PageCut,
        "ignores ranges",
    ),
    "an unknown transfer encoding": (head(Transfer_Encoding="gzip, chunked") + PICTURE, PageCut, "not HTTP"),
    "a part that nobody asked for": (answer(PICTURE, 206, Content_Range="bytes 0-200/201"), PageFailed, "HTTP 206"),
    "no range where none was asked for": (answer(b"", 416), PageFailed, "HTTP 416"),
    "another range": (ranged("bytes 99-200/201"), PageCut, "another range"),
    "a range of another file": (ranged("bytes 100-200/202"), PageCut, "another file"),
    "a range of 5,000 digits": (ranged(f"bytes {'9' * 5000}-1/*"), PageCut, "ignores ranges"),
    "a range of two lines": (ranged("bytes 100-200/201, bytes 0-1/201"), PageCut, "ignores ranges"),
    "nothing in the range": (ranged("bytes 100-200/201", b""), PageCut, "asking for the rest did not help"),
    "stalled": (saying(head(length=SIZE) + PICTURE[:40], Peer.stall), PageCut, "ignores ranges"),
    "drop by drop": (dripping(head(length=SIZE)), PageCut, "less than 1 KiB a second"),
    "chunks drop by drop": (dripping(chunked(), b"1\r\nx\r\n"), PageCut, "less than 1 KiB a second"),
    "a chunk's head drop by drop": (dripping(chunked(b"1;")), PageCut, "less than 1 KiB a second"),
    "an error drop by drop": (
        dripping(head(500, kind="text/html") + b"<p>sorry"),
        PageCut,
        "less than 1 KiB a second",
    ),
    "JSON drop by drop": (dripping(head(kind="application/json") + ENVELOPE), PageCut, "less than 1 KiB a second"),
    "an error without end": (endless(head(500, kind="text/html") + b"<p>sorry"), PageFailed, "HTTP 500"),
    "HTML without end": (endless(head(kind="text/html") + b"<p>sorry"), PageFailed, "text/html"),
    "packed": (answer(gzip.compress(PICTURE), Content_Encoding="gzip"), PageFailed, "packed"),
    "a bomb": (answer(BOMB, Content_Encoding="gzip"), PageFailed, "packed"),
    "packed by br": (answer(PICTURE, Content_Encoding="br"), PageFailed, "packed"),
    "packed twice": (answer(PICTURE, Content_Encoding="gzip, deflate"), PageFailed, "packed"),
    "packed with a parameter": (answer(PICTURE, Content_Encoding="gzip;q=1"), PageFailed, "packed"),
    "encrypted": (answer(PICTURE, Content_Encoding="aes128gcm"), PageFailed, "packed"),
    "an error that comes steadily": (steady(head(500, kind="text/html") + b"<p>sorry"), PageCut, "1 KiB a second"),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies(case: str) -> None:
    script, kind, words = BODIES[case]
    with HostileServer().on("/d/bad", script) as server, source_of(server.url) as source:
        error = file_failure(source)
        assert type(error) is kind
        assert words in error.message
        assert error.retryable
        assert len(server.requests) <= 6


@pytest.mark.parametrize("case", ["drop by drop", "chunks drop by drop", "an error drop by drop", "packed"])
def test_no_second_request_is_made_for_what_drips_or_is_packed(case: str) -> None:
    with HostileServer().on("/d/bad", BODIES[case][0]) as server, source_of(server.url) as source:
        failure(lambda: fetched(source, "bad"))
        assert len(server.requests) == 1


def test_what_drips_in_the_middle_of_an_archive_does_not_say_that_it_cannot_begin_there() -> None:
    """A PageCut before the first byte would mean that, and what was fetched of it would be thrown away."""
    with HostileServer() as server, source_of(server.url) as source:
        server.on("/d/bad", dripping(b"HTTP/1.1 206 P\r\nX: "))
        error = failure(lambda: list(source.download(replace(wanted("bad"), start=100))))
        assert not isinstance(error, PageCut)


@pytest.mark.parametrize("size", [0, -1, 1, SIZE])
def test_a_body_without_end_ends_one_byte_late(size: int) -> None:
    with HostileServer().on("/d/bad", endless(head())) as server, source_of(server.url) as source:
        assert len(fetched(source, "bad", size)) == size + 1
        assert fetched(source, "good") == PICTURE
    assert server.sent["/d/bad"] < 16 << 20


def test_a_body_as_large_as_any_is_not_kept_in_memory() -> None:
    """64 MiB of what is listed as 2^63 - 1 bytes."""
    server = HostileServer().on("/d/bad", endless(head(length=2**63 - 1), b"x" * (1 << 20)))
    with server, source_of(server.url, window=5) as source, traced() as peak:
        stream = source.download(wanted("bad", 2**63 - 1))
        came = 0
        while came < 64 << 20:
            came += len(next(stream))
        stream.close()  # type: ignore[attr-defined]
        assert peak() < 8 << 20
        assert fetched(source, "good") == PICTURE


def test_time_that_the_reader_takes_is_not_the_servers() -> None:
    server = HostileServer().on("/d/bad", saying(head(length=SIZE) + PICTURE[:100], pausing(PICTURE[100:])))
    with server, source_of(server.url) as source:
        came = b""
        for chunk in source.download(wanted("bad")):
            came += chunk
            time.sleep(2 * WINDOW)
        assert came == PICTURE
    assert len(server.requests) == 1


def pausing(rest: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.drip([b"", rest], pause=0.3 * WINDOW)


@pytest.mark.parametrize(
    "packed", [BOMB, zlib.compress(PICTURE), b"\x1f\x8b" + bytes(1000)], ids=["gzip", "zlib", "odd"]
)
def test_what_says_nothing_of_being_packed_is_given_as_it_is(packed: bytes) -> None:
    """It is never unpacked; that it is no picture is found later."""
    with HostileServer().on("/d/bad", answer(packed)) as server, source_of(server.url) as source:
        assert fetched(source, "bad", len(packed)) == packed


def test_json_that_lies_in_itself_is_a_file_like_any_other() -> None:
    deep = b'{"code":500,"data":' + b"[" * 60_000
    with HostileServer().on("/d/bad", answer(deep, kind="application/json")) as server, source_of(server.url) as source:
        assert fetched(source, "bad", len(deep)) == deep


def test_encodings_that_are_none_are_ignored() -> None:
    """S3 keeps what an upload said, and some say this."""
    with HostileServer() as server, source_of(server.url) as source:
        for name in ("aws-chunked", "identity", "utf-8", "binary"):
            server.on("/d/bad", answer(PICTURE, Content_Encoding=name))
            assert fetched(source, "bad") == PICTURE


# --- whole runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("drop by drop", "less than 1 KiB a second"),
        ("a bomb", "packed"),
        ("a length of 2^63", "ignores ranges"),
    ],
)
def test_a_run_reports_the_page_and_binds_the_others(case: str, words: str, tmp_path: Path) -> None:
    with HostileServer().on("/LINKCANARY", BODIES[case][0]) as drive:
        check_run_with_one_bad_page(tmp_path, f"{drive.url}/LINKCANARY?LINKCANARY", words)


def test_a_run_with_a_body_without_end(tmp_path: Path) -> None:
    with HostileServer().on("/LINKCANARY", endless(head())) as drive:
        check_run_with_one_bad_page(tmp_path, f"{drive.url}/LINKCANARY", "bytes")
    assert drive.sent["/LINKCANARY"] < 16 << 20
