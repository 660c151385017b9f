"""Fetch: what gets into an entry, and what never does."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import google_crc32c
import pytest
from tests.support.memory_source import SIGN, picture
from tests.support.watched_store import WatchedStore

from pagebind.app import fetch as fetching
from pagebind.app.fetch import Outcome
from pagebind.core import entry, keys
from pagebind.core.entry import EntryFacts
from pagebind.core.image_kind import kind_of
from pagebind.core.watch import Watch
from pagebind.core.zip_layout import local_header, parse_local_header
from pagebind.demo.pictures import gif, jpeg, png, webp
from pagebind.errors import AuthRefused, PageCut, PageFailed, PageWrong, ServerUnreachable, StoreUnavailable
from pagebind.ports.dispatch import FetchTask

if TYPE_CHECKING:
    import logging

    from tests.app.world import World

PATH = "/c/A/1.jpg"
BODY = picture("page one", 300)


@pytest.fixture(params=[4 * 2**20, 100], ids=["small", "large"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pages wait in memory, or go through the store."""
    monkeypatch.setattr(fetching, "MEMORY", request.param)
    return int(request.param)


def task(size: int = len(BODY), *, hashes: dict[str, str] | None = None) -> FetchTask:
    return FetchTask("vol", "page", PATH, "/c", "0001.jpg", size, 1, 1, hashes or {}, f"{SIGN}:1")


def entry_of(world: World) -> bytes:
    return world.folders.get(keys.entry_key("vol", "page"))


def facts(world: World) -> EntryFacts:
    info = world.folders.head(keys.entry_key("vol", "page"))
    found = entry.parse(info.metadata if info else None)
    assert found is not None
    return found


def notes(caplog: pytest.LogCaptureFixture, words: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if words in record.getMessage()]


def staging(world: World) -> list[str]:
    return world.names(keys.STAGING)


def test_an_entry_is_the_page_as_it_stands_in_the_book(world: World, memory: int) -> None:
    world.source.add(PATH, BODY)

    assert world.fetch(task()).outcome is Outcome.STAGED

    stored = entry_of(world)
    name, crc32, size, length = parse_local_header(stored)
    assert (name, size, stored[length:]) == ("0001.jpg", len(BODY), BODY)
    assert stored[:length] == local_header("0001.jpg", crc32, size)
    found = facts(world)
    assert (found.page, found.crc32, found.size, found.width, found.height) == ("page", crc32, len(BODY), 7, 9)
    assert staging(world) == [keys.entry_key("vol", "page")]


def test_large_and_small_pages_give_the_same_entry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.source.add(PATH, BODY)
    world.fetch(task())
    small = world.folders.head(keys.entry_key("vol", "page"))
    in_one = entry_of(world)
    world.folders.delete(keys.entry_key("vol", "page"))
    monkeypatch.setattr(fetching, "MEMORY", 100)

    world.fetch(task())

    large = world.folders.head(keys.entry_key("vol", "page"))
    assert entry_of(world) == in_one
    assert small is not None
    assert large is not None
    assert large.metadata == small.metadata


JSON = b'{"code": 500, "message": "object not found", "data": null}'
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.mark.parametrize(
    ("body", "listed", "says"),
    [
        (BODY[:-1], len(BODY), "299 bytes came where 300 are listed"),
        (BODY + b"x", len(BODY), "more than 300 bytes came"),
        (BODY + b"x" * 1000, len(BODY), "more than 300 bytes came"),
        (b"", len(BODY), "0 bytes came"),
        (b"", 0, "the file is empty"),
        (JSON, len(JSON), "it begins like JSON"),
        (HTML, len(HTML), "it begins like HTML"),
        (b" " * 300, 300, "no known image type"),
        (b"BM" + b"x" * 298, 300, "no known image type"),
        (BODY[:200], 200, "ends before its picture does"),
        (jpeg("cut")[:-2], len(jpeg("cut")) - 2, "ends before its picture does"),
        (webp("cut")[:-1], len(webp("cut")) - 1, "ends before its picture does"),
        (gif("cut")[:-1], len(gif("cut")) - 1, "ends before its picture does"),
    ],
)
def test_what_is_not_the_listed_picture_never_gets_in(
    world: World, memory: int, body: bytes, listed: int, says: str
) -> None:
    world.source.add(PATH, body)

    with pytest.raises(PageWrong, match=says) as raised:
        world.fetch(task(listed), last_attempt=False)

    assert raised.value.path == PATH
    assert raised.value.fix
    assert staging(world) == []


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("upper", [False, True])
def test_a_right_hash_is_fetched_once(world: World, memory: int, kind: str, upper: bool) -> None:
    value = hashlib.new(kind, BODY).hexdigest()
    world.source.add(PATH, BODY)

    world.fetch(task(hashes={kind: value.upper() if upper else value}))

    assert world.source.downloads[PATH] == 1


def test_a_wrong_hash_is_fetched_once_more_and_kept(
    world: World, memory: int, caplog: pytest.LogCaptureFixture
) -> None:
    world.source.add(PATH, BODY)

    assert world.fetch(task(hashes={"md5": "0" * 32})).outcome is Outcome.STAGED

    assert [wanted.in_one for wanted in world.source.asked] == [False, True]
    assert entry_of(world).endswith(BODY)
    [note] = notes(caplog, "hash differs")
    assert (note.levelname, note.__dict__["hash"]) == ("WARNING", "md5")
    assert staging(world) == [keys.entry_key("vol", "page")]


def test_a_hash_that_was_wrong_only_once_leaves_the_right_bytes(world: World, memory: int) -> None:
    world.source.add(PATH, BODY)
    world.source.next_bodies[PATH] = [picture("broken on the way", len(BODY))]

    world.fetch(task(hashes={"md5": hashlib.md5(BODY).hexdigest()}))

    assert entry_of(world).endswith(BODY)
    assert world.source.downloads[PATH] == 2


def test_an_entry_that_is_there_stays(world: World, memory: int) -> None:
    world.source.add(PATH, BODY)
    world.fetch(task())
    world.source.add(PATH, picture("another", len(BODY)))

    assert world.fetch(task()).outcome is Outcome.DUPLICATE

    assert entry_of(world).endswith(BODY)
    assert staging(world) == [keys.entry_key("vol", "page")]


def test_a_repetition_looks_before_it_asks(world: World) -> None:
    world.source.add(PATH, BODY)
    world.fetch(task())

    assert world.fetch(task(), repetition=True).outcome is Outcome.DUPLICATE

    assert world.source.downloads[PATH] == 1


def test_a_first_delivery_is_one_write_and_no_read(world: World) -> None:
    world.source.add(PATH, BODY)
    world.work = watched = WatchedStore(world.folders)

    world.fetch(task())

    assert watched.calls == [("put", keys.entry_key("vol", "page"))]


@pytest.mark.parametrize("error", [PageFailed("gone"), PageCut("cut"), PageWrong("wrong")])
def test_a_failure_is_recorded_at_the_last_attempt_only(world: World, error: PageFailed) -> None:
    world.source.add(PATH, BODY)
    world.source.page_faults[PATH] = [error]

    with pytest.raises(PageFailed):
        world.fetch(task(), last_attempt=False)
    assert world.names(keys.FAILURES) == []

    fetched = world.fetch(task(), last_attempt=True)
    assert fetched.outcome is Outcome.FAILED
    assert fetched.error is error
    [key] = world.names(keys.FAILURES)
    assert json.loads(world.folders.get(key))["message"] == error.message

    world.fetch(task(), last_attempt=True)
    assert world.names(keys.FAILURES) == [key]
    world.fetch(task()._replace(epoch=2), last_attempt=True)
    assert len(world.names(keys.FAILURES)) == 2


@pytest.mark.parametrize("error", [ServerUnreachable("down"), AuthRefused("no")])
def test_a_server_out_of_order_is_no_failure_of_the_page(
    world: World, memory: int, error: ServerUnreachable | AuthRefused
) -> None:
    world.source.add(PATH, BODY)
    world.source.down = error

    with pytest.raises(type(error)):
        world.fetch(task(), last_attempt=True)

    assert world.names("") == []


def test_a_store_out_of_order_is_no_failure_of_the_page(world: World, memory: int) -> None:
    def full(operation: str, key: str) -> None:
        raise StoreUnavailable("full")

    world.source.add(PATH, BODY)
    world.work = WatchedStore(world.folders, before=full)

    with pytest.raises(StoreUnavailable):
        world.fetch(task(), last_attempt=True)

    assert world.names("") == []


def test_the_subscriptions_headers_and_password_go_along(world: World) -> None:
    world.source.add(PATH, BODY)
    world.watches = (Watch("/c", "{volume}.cbz", password=lambda: "knock", headers={"User-Agent": "pan"}),)

    world.fetch(task())

    [asked] = world.source.asked
    assert (asked.sign, asked.size, asked.password(), asked.headers) == (
        f"{SIGN}:1",
        len(BODY),
        "knock",
        {"User-Agent": "pan"},
    )


# --- kinds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [png("a"), gif("a"), webp("a")])
def test_another_kind_than_the_name_says_is_noted_and_kept(
    world: World, memory: int, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="pagebind")
    world.source.add(PATH, body)

    world.fetch(task(len(body)))

    assert (facts(world).kind, facts(world).renamed) == (kind_of(body), False)
    assert parse_local_header(entry_of(world))[0] == "0001.jpg"
    [note] = notes(caplog, "another kind")
    assert (note.levelname, note.__dict__["kind"]) == ("DEBUG", kind_of(body))


@pytest.mark.parametrize("name", ["0001.jpg", "0001.JPEG", "0001.jfif"])
@pytest.mark.parametrize("rename", [False, True])
def test_a_page_that_is_what_its_name_says_keeps_it(
    world: World, memory: int, name: str, rename: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="pagebind")
    body = jpeg("a")
    world.source.add(PATH, body)

    world.fetch(task(len(body))._replace(book_name=name, rename=rename))

    assert (facts(world).kind, facts(world).renamed) == ("", False)
    assert parse_local_header(entry_of(world))[0] == name
    assert notes(caplog, "another kind") == []


def test_a_page_that_may_be_renamed_is_called_what_it_is(world: World, memory: int) -> None:
    body = webp("a")
    world.source.add(PATH, body)

    world.fetch(task(len(body))._replace(rename=True))

    stored, found = entry_of(world), facts(world)
    header = local_header("0001.webp", found.crc32, len(body))
    assert stored == header + body
    assert (found.kind, found.renamed, found.crc32c) == ("webp", True, google_crc32c.value(stored))


# --- hashes -------------------------------------------------------------------------------------------------------


def hash_check(world: World, mode: str) -> None:
    world.watches = (world.watches[0]._replace(hash_check=mode),)


def test_strictly_a_hash_that_differs_twice_is_wrong(world: World, memory: int) -> None:
    hash_check(world, "strict")
    world.source.add(PATH, BODY)

    with pytest.raises(PageWrong, match="listed md5") as raised:
        world.fetch(task(hashes={"md5": "0" * 32}), last_attempt=False)

    assert "warn" in raised.value.fix
    assert SIGN not in f"{raised.value!r} {raised.value.message} {raised.value.fix}"
    assert world.source.downloads[PATH] == 2
    assert staging(world) == []


def test_strictly_a_hash_that_differs_once_is_forgiven(world: World, memory: int) -> None:
    hash_check(world, "strict")
    world.source.add(PATH, BODY)
    world.source.next_bodies[PATH] = [picture("broken on the way", len(BODY))]

    assert world.fetch(task(hashes={"md5": hashlib.md5(BODY).hexdigest()})).outcome is Outcome.STAGED

    assert entry_of(world).endswith(BODY)


def test_hashes_can_be_left_alone(world: World, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def computed(*_: object, **__: object) -> None:
        raise AssertionError("a hash was computed")

    hash_check(world, "off")
    world.source.add(PATH, BODY)
    monkeypatch.setattr(hashlib, "new", computed)

    assert world.fetch(task(hashes={"md5": "0" * 32})).outcome is Outcome.STAGED

    assert world.source.downloads[PATH] == 1


# --- ComicInfo.xml ------------------------------------------------------------------------------------------------

INFO = b'<?xml version="1.0"?>\n<ComicInfo><Series>One</Series></ComicInfo>'
INFO_TASK = task()._replace(book_name="ComicInfo.xml", kind="info")


@pytest.mark.parametrize(
    "body",
    [
        INFO,
        b"\xef\xbb\xbf\r\n " + INFO,
        INFO.decode().encode("utf-16"),
        b"<!-- " + b"x" * 3000 + b" -->" + INFO,
        b"<ComicInfo/>",
    ],
)
def test_a_comicinfo_is_staged_as_it_is(world: World, memory: int, body: bytes) -> None:
    world.source.add(PATH, body)

    assert world.fetch(INFO_TASK._replace(size=len(body))).outcome is Outcome.STAGED

    name, _, _, length = parse_local_header(entry_of(world))
    assert (name, entry_of(world)[length:]) == ("ComicInfo.xml", body)
    assert facts(world)._replace(crc32=0, crc32c=0) == EntryFacts("page", 0, len(body), 0)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (HTML, "begins like HTML"),
        (JSON, "begins like JSON"),
        (b"", "is empty"),
        (b'"<ComicInfo>"', "no ComicInfo.xml"),
        (b"<x>" + b" " * 5000 + INFO, "no ComicInfo.xml"),
        (png("a"), "no ComicInfo.xml: it does not begin like one"),
    ],
)
def test_what_is_no_comicinfo_never_gets_in(world: World, memory: int, body: bytes, says: str) -> None:
    world.source.add(PATH, body)

    with pytest.raises(PageWrong, match=says):
        world.fetch(INFO_TASK._replace(size=len(body)), last_attempt=False)

    assert staging(world) == []


@pytest.mark.parametrize(("kind", "largest"), [("page", 2**31), ("info", 2**20), ("archive", 2**38)])
@pytest.mark.parametrize("size", [None, 2**63 - 1])
def test_nobody_is_asked_for_a_file_larger_than_any_of_its_kind(
    world: World, kind: str, largest: int, size: int | None
) -> None:
    size = largest + 1 if size is None else size
    huge = FetchTask("vol", "page", PATH, "/c", "1", size, 1, 1, {}, f"{SIGN}:1", kind=kind)

    with pytest.raises(PageWrong, match=f"is listed with {size} bytes, where {largest} are the most"):
        world.fetch(huge, last_attempt=False)
    assert world.fetch(huge).outcome is Outcome.FAILED
    assert (world.source.downloads, staging(world)) == ({}, [])
