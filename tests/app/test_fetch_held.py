"""Fetch: pages whose bytes are here already are copied, not asked of the server."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from tests.support.memory_source import picture
from tests.support.watched_store import WatchedStore

from pagebind.app import fetch as fetching
from pagebind.app.fetch import Outcome
from pagebind.core import entry, keys
from pagebind.core.zip_layout import local_header
from pagebind.demo.pictures import webp
from pagebind.errors import StoreUnavailable
from pagebind.ports.dispatch import FetchTask, Held

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.app.world import World

PATH = "/c/A/1.jpg"
BODY = picture("page one", 300)
BOOK = "A/A.cbz"
BEFORE = b"what stands before it in the book"
TASK = FetchTask("vol", "page", PATH, "/c", "0001.png", len(BODY), 1, 1, {"md5": "0" * 32})
KEY = keys.entry_key("vol", "page")
OTHER_KEY = keys.entry_key("vol", "other")


@pytest.fixture(params=[4 * 2**20, 100], ids=["small", "large"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages wait in memory, or go through the store."""
    monkeypatch.setattr(fetching, "MEMORY", request.param)


@pytest.fixture
def server(world: World) -> World:
    """A world whose server has the page as well."""
    world.source.add(PATH, BODY)
    return world


def in_book(world: World, body: bytes = BODY) -> Held:
    info = world.books.put(BOOK, BEFORE + body + b"what follows")
    return Held(BOOK, len(BEFORE), info.version, zlib.crc32(body))


def in_entry(world: World, body: bytes = BODY) -> Held:
    """The same bytes, staged under another name in the book."""
    world.source.add("/c/A/old.jpg", body)
    world.fetch(TASK._replace(page="other", path="/c/A/old.jpg", book_name="1.png", size=len(body), hashes={}))
    return Held(OTHER_KEY, len(local_header("1.png", 0, len(body))))


def staging(world: World) -> list[str]:
    return world.names(keys.STAGING)


@pytest.mark.parametrize("held", [in_book, in_entry])
def test_a_page_that_is_here_is_copied(server: World, memory: None, held: Callable[[World], Held]) -> None:
    task = TASK._replace(held=held(server))
    others = staging(server)

    assert server.fetch(task).outcome is Outcome.COPIED

    assert server.source.downloads[PATH] == 0
    assert server.folders.get(KEY) == local_header("0001.png", zlib.crc32(BODY), len(BODY)) + BODY
    info = server.folders.head(KEY)
    facts = entry.parse(info.metadata if info else None)
    assert facts is not None
    assert (facts.page, facts.width, facts.height, facts.kind) == ("page", 7, 9, "")
    assert staging(server) == sorted([*others, KEY])


@pytest.mark.parametrize("held", [in_book, in_entry])
def test_a_copy_is_the_entry_that_a_download_would_be(server: World, memory: None, held: Callable[..., Held]) -> None:
    body = webp("one")
    server.source.add(PATH, body)
    task = TASK._replace(size=len(body), rename=True, hashes={})
    server.fetch(task)
    fetched, downloaded = server.folders.head(KEY), server.folders.get(KEY)
    server.folders.delete(KEY)

    assert server.fetch(task._replace(held=held(server, body))).outcome is Outcome.COPIED

    copied = server.folders.head(KEY)
    assert server.folders.get(KEY) == downloaded
    assert fetched is not None
    assert copied is not None
    assert copied.metadata == fetched.metadata


def test_an_entry_that_was_renamed_says_itself_where_its_bytes_begin(server: World, memory: None) -> None:
    body = webp("one")
    server.source.add("/c/A/old.jpg", body)
    former = TASK._replace(page="other", path="/c/A/old.jpg", book_name="1.png", size=len(body), hashes={}, rename=True)
    server.fetch(former)

    task = TASK._replace(size=len(body), held=Held(OTHER_KEY, len(local_header("1.png", 0, len(body)))))

    assert server.fetch(task).outcome is Outcome.COPIED
    assert server.folders.get(KEY).endswith(body)


def gone_book(world: World) -> Held:
    held = in_book(world)
    world.books.delete(BOOK)
    return held


def replaced_book(world: World) -> Held:
    held = in_book(world)
    world.books.put(BOOK, BEFORE + BODY + b"and more")
    return held


def wrong_place(world: World) -> Held:
    return in_book(world)._replace(offset=3)


def beyond_the_end(world: World) -> Held:
    return in_book(world)._replace(offset=10_000)


def without_sum(world: World) -> Held:
    return in_book(world)._replace(crc32=None)


def gone_entry(world: World) -> Held:
    held = in_entry(world)
    world.folders.delete(held.key)
    return held


def entry_of_another_size(world: World) -> Held:
    return in_entry(world, picture("another", 400))


def damaged_entry(world: World) -> Held:
    held = in_entry(world)
    info = world.folders.head(held.key)
    assert info is not None
    content = world.folders.get(held.key)
    world.folders.put(held.key, content[:-30] + b"?" + content[-29:], metadata=info.metadata)
    return held


def entry_without_facts(world: World) -> Held:
    world.folders.put(OTHER_KEY, BODY)
    return Held(OTHER_KEY, 0)


@pytest.mark.parametrize(
    "held",
    [
        gone_book,
        replaced_book,
        wrong_place,
        beyond_the_end,
        without_sum,
        gone_entry,
        entry_of_another_size,
        damaged_entry,
        entry_without_facts,
    ],
)
def test_what_does_not_fit_is_asked_of_the_server(server: World, memory: None, held: Callable[[World], Held]) -> None:
    task = TASK._replace(held=held(server), hashes={})
    others = staging(server)

    assert server.fetch(task).outcome is Outcome.STAGED

    assert server.source.downloads[PATH] == 1
    assert server.folders.get(KEY).endswith(BODY)
    assert staging(server) == sorted([*others, KEY])


@pytest.mark.parametrize("body", [BODY[:-12] + b"x" * 12, b"no picture at all".ljust(len(BODY), b".")])
def test_what_would_not_be_taken_now_is_asked_of_the_server(server: World, memory: None, body: bytes) -> None:
    task = TASK._replace(held=in_book(server, body), hashes={})

    assert server.fetch(task).outcome is Outcome.STAGED
    assert server.folders.get(KEY).endswith(BODY)


@pytest.mark.parametrize("reading", ["head", "stream"])
def test_a_library_that_cannot_be_read_is_no_error(server: World, memory: None, reading: str) -> None:
    def unreadable(operation: str, key: str) -> None:
        if operation == reading:
            raise StoreUnavailable("a bad sector")

    task = TASK._replace(held=in_book(server), hashes={})
    server.library = WatchedStore(server.books, before=unreadable)

    assert server.fetch(task).outcome is Outcome.STAGED


def test_a_work_store_that_cannot_be_written_is_one(server: World, memory: None) -> None:
    def full(operation: str, key: str) -> None:
        if operation.startswith("put"):
            raise StoreUnavailable("full")

    task = TASK._replace(held=in_book(server))
    server.work = WatchedStore(server.folders, before=full)

    with pytest.raises(StoreUnavailable):
        server.fetch(task)
    assert server.source.downloads[PATH] == 0


def test_a_page_that_was_staged_meanwhile_stays(server: World, memory: None) -> None:
    server.fetch(TASK._replace(hashes={}))

    assert server.fetch(TASK._replace(held=in_book(server))).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize("kind", ["info", "archive"])
def test_whatever_was_bound_can_be_copied(server: World, memory: None, kind: str) -> None:
    body = b"<ComicInfo/>" + b" " * 200
    task = TASK._replace(book_name="ComicInfo.xml", kind=kind, size=len(body), held=in_book(server, body))

    assert server.fetch(task).outcome is Outcome.COPIED

    header = local_header("ComicInfo.xml", zlib.crc32(body), len(body)) if kind == "info" else b""
    assert server.folders.get(KEY) == header + body
    assert staging(server) == [KEY]
