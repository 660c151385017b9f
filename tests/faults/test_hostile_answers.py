"""Answers of the API that are too large, too deep, too slow or no answers: one error, in time, and in little memory."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import oracle
from tests.support.attended import Attended
from tests.support.hostile_server import PICTURE, HostileServer, Peer, answer, dripping, endless, head
from tests.support.lied_to import LONGEST, failure, fetched, source_of, traced
from tests.support.world import World

from pagebind.demo.answers import Answer
from pagebind.demo.bodies import Pieces
from pagebind.demo.drives import LocalDrive
from pagebind.errors import ListingFailed, PageFailed, ServerUnreachable, SourceError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from pagebind.demo.answers import Request

JSON = "application/json"
MIB = 1 << 20


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "size": 1, "is_dir": False, "modified": "2026-11-22T03:10:58Z", "sign": "s:0", **more}


def page(*entries: dict[str, Any]) -> bytes:
    data = {"content": entries, "total": len(entries)}
    return json.dumps({"code": 200, "message": "success", "data": data}).encode()


GOOD = page(entry("1.png"))


def said(body: bytes, encoding: str = "") -> bytes:
    return answer(body, kind=JSON, Content_Encoding=encoding)


def steady(peer: Peer) -> None:
    """Some 100 KiB a second, for ever."""
    peer.drip(itertools.chain([head(kind=JSON) + b'{"code": 200'], itertools.repeat(b" " * 2048)))


def nested(depth: int) -> bytes:
    return b'{"code":200,"message":"","x":' + b"[" * depth + b"]" * depth + b',"data":{"content":[],"total":0}}'


def with_total(total: bytes) -> bytes:
    return b'{"code":200,"message":"","data":{"content":null,"total":' + total + b"}}"


def bomb(unpacked: int, opening: bytes = b'{"code":200,"message":"') -> bytes:
    return gzip.compress(opening + b"x" * unpacked + b'"}', compresslevel=9)


ANSWERS: dict[str, tuple[bytes | Callable[[Peer], None], type[SourceError], str]] = {
    "larger than any": (said(b" " * (17 * MIB) + GOOD), ListingFailed, "larger than 16 MiB"),
    "without end": (endless(head(kind=JSON) + b'{"code": 200, "message": "'), ListingFailed, "larger than 16 MiB"),
    "a bomb": (said(bomb(256 * MIB), "gzip"), ListingFailed, "larger than 16 MiB"),
    "a bomb of zlib": (said(zlib.compress(bytes(64 * MIB)), "deflate"), ListingFailed, "larger than"),
    "packed without end": (
        endless(head(kind=JSON, Content_Encoding="gzip") + gzip.compress(GOOD)),
        ListingFailed,
        "could not be unpacked",
    ),
    "packed in two parts": (said(gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:]), "gzip"), ListingFailed, "unpacked"),
    "packed by br": (said(GOOD, "br"), ListingFailed, "packed in a way"),
    "packed twice": (said(GOOD, "gzip, gzip"), ListingFailed, "packed in a way"),
    "said to be packed": (said(GOOD, "gzip"), ListingFailed, "could not be unpacked"),
    "packed and cut": (said(gzip.compress(GOOD)[:-9], "gzip"), ListingFailed, "could not be unpacked"),
    "drop by drop": (dripping(head(kind=JSON)), ServerUnreachable, "less than 1 KiB a second"),
    "always more": (steady, ServerUnreachable, "less than 1 KiB a second"),
    "a wrong length": (head(length=1000, kind=JSON) + GOOD, ServerUnreachable, "broke off"),
    "lists in lists": (said(nested(1_000_000)), ServerUnreachable, "JSON of another kind"),
    "lists without an end": (said(b"[" * MIB), ServerUnreachable, "JSON of another kind"),
    "a number of a million digits": (said(with_total(b"9" * MIB)), ServerUnreachable, "JSON of another kind"),
    "a code of a million digits": (said(b'{"code":' + b"9" * MIB + b"}"), ServerUnreachable, "JSON of another kind"),
    "no number": (said(with_total(b"NaN")), ServerUnreachable, "JSON of another kind"),
    "no Unicode": (said(page(entry("x")).replace(b'"x"', b'"\xff"')), ServerUnreachable, "JSON of another kind"),
    "half a surrogate pair": (said(b'{"code":200,"message":"\\ud800"}'), ServerUnreachable, "JSON of another kind"),
    "code is a text": (said(GOOD.replace(b"200", b'"200"')), ServerUnreachable, "JSON of another kind"),
    "code is a fraction": (said(GOOD.replace(b"200", b"200.5")), ServerUnreachable, "JSON of another kind"),
    "code is missing": (said(GOOD.replace(b'"code"', b'"cold"')), ServerUnreachable, "JSON of another kind"),
    "data is missing": (said(b'{"code":200,"message":"success"}'), ListingFailed, "without data"),
    "a list": (said(b"[200]"), ServerUnreachable, "JSON of another kind"),
    "nothing": (said(b""), ServerUnreachable, "JSON of another kind"),
    "two answers": (said(GOOD + GOOD), ServerUnreachable, "JSON of another kind"),
    "HTML": (answer(b"<html>", kind="text/html"), ServerUnreachable, "text/html"),
    "a long message": (said(b'{"code":500,"message":"%b"}' % (b"x" * MIB)), ListingFailed, "cannot list /bad"),
    "an odd message": (
        said(b'{"code":500,"message":"a\\u0000\\u001b[31m\\u202e\\r\\nb"}'),
        ListingFailed,
        "cannot list",
    ),
    "millions of nothings": (said(b'{"code":200,"data":[' + b"{}," * 5 * MIB + b"{}]}"), ServerUnreachable, "JSON"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_listings(case: str) -> None:
    script, kind, words = ANSWERS[case]
    with HostileServer().on("/api/fs/list", script) as server, source_of(server.url) as source:
        with traced() as peak:
            error = failure(lambda: source.list("/bad"), longest=2 * LONGEST)
            assert peak() < 96 * MIB
        assert type(error) is kind
        assert words in error.message
        assert error.path == ("/bad" if kind is ListingFailed else None)
        assert error.retryable
        server.on("/api/fs/list", said(GOOD))
        assert [item.name for item in source.list("/good")] == ["1.png"]
        assert fetched(source, "good") == PICTURE


def test_what_comes_behind_a_packed_body_is_not_read() -> None:
    script, _, words = ANSWERS["packed without end"]
    with HostileServer().on("/api/fs/list", script) as server, source_of(server.url) as source:
        assert words in failure(lambda: source.list("/bad")).message
    assert server.sent["/api/fs/list"] < 8 * MIB


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "x-gzip", "GZIP", "deflate"])
def test_answers_may_be_packed_as_we_ask_for(encoding: str) -> None:
    packed = {"": GOOD, "identity": GOOD, "deflate": zlib.compress(GOOD)}.get(encoding, gzip.compress(GOOD))
    with HostileServer() as server, source_of(server.url) as source:
        server.on("/api/fs/list", said(packed, encoding))
        assert [item.name for item in source.list("/good")] == ["1.png"]


def test_a_code_that_comes_twice_counts_as_it_comes_last() -> None:
    """As in Go and in Python."""
    with HostileServer() as server, source_of(server.url) as source:
        server.on("/api/fs/list", said(b'{"code":200,' + GOOD[1:-1] + b',"code":500,"message":"broken"}'))
        assert "broken" in failure(lambda: source.list("/bad")).message


@pytest.mark.parametrize("case", ["a bomb", "drop by drop", "lists in lists", "HTML"])
def test_other_calls(case: str) -> None:
    with HostileServer() as server, source_of(server.url) as source:
        for path in ("/api/me", "/api/public/settings", "/api/admin/storage/list", "/api/fs/get"):
            server.on(path, ANSWERS[case][0])
        for ask in (source.account, source.server, source.drives):
            assert type(failure(ask, longest=2 * LONGEST)) is ServerUnreachable
        assert not source.answers()
        server.on("/d/bad", said(b'{"code":401,"message":"expired"}'))
        error = failure(lambda: fetched(source, "bad"), longest=2 * LONGEST)
        assert isinstance(error, PageFailed if case == "a bomb" else ServerUnreachable)
        assert fetched(source, "good") == PICTURE


def test_an_answer_that_cannot_be_used_is_asked_for_once() -> None:
    with HostileServer().on("/api/fs/list", ANSWERS["a bomb"][0]) as server, source_of(server.url) as source:
        failure(lambda: source.list("/bad"))
        assert len(server.requests) == 1


# --- whole runs ------------------------------------------------------------------------------------------------------


class Lying(Attended):
    """Answers every listing of one folder by these bytes."""

    folder = "/comics/Bad/Vol 1"
    body = b""
    encoding = "identity"

    def answer(self, request: Request, stopping: threading.Event) -> Answer:
        if request.path == "/api/fs/list" and json.loads(request.body)["path"] == self.folder:
            headers = {"Content-Type": JSON, "Content-Encoding": self.encoding}
            return Answer(200, headers, Pieces([self.body]))
        return super().answer(request, stopping)


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [(bomb(64 * MIB), "gzip", "larger than 16 MiB"), (nested(100_000), "identity", "JSON of another kind")],
    ids=["a bomb", "lists in lists"],
)
def test_a_run_reports_the_folder_and_binds_the_others(tmp_path: Path, body: bytes, encoding: str, words: str) -> None:
    with Lying({"/comics": LocalDrive(folder=tmp_path / "comics")}) as server:
        server.body, server.encoding = body, encoding
        world = World(tmp_path, server)
        world.volume("Bad/Vol 1")
        world.volume("Well/Vol 1")
        run = world.run()
        assert (run.status, list(world.books())) == (3, ["Well/Vol 1.cbz"])
        oracle.check_book(world.library / "Well/Vol 1.cbz", oracle.pages_of(world.comics / "Well/Vol 1"))
        (problem,) = run.document["problems"]
        assert problem["path"] == "/comics/Bad/Vol 1"
        assert words in problem["message"]
