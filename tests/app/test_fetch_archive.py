"""Fetch: archives, in pieces that outlive the fetch that began them."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import google_crc32c
import pytest
from tests.support.watched_store import Death, Died, WatchedStore

from pagebind.app import fetch as fetching
from pagebind.app.fetch import Outcome
from pagebind.core import entry, keys
from pagebind.errors import PageCut, PageFailed, PageWrong, ServerUnreachable, StoreUnavailable
from pagebind.ports.dispatch import FetchTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.app.world import World

    from pagebind.ports.store import ObjectInfo

PATH = "/c/A.cbz"
PIECE = 100
ENTRY = keys.entry_key("vol", "page")


def zipped(seed: bytes = b"a page", size: int = 900) -> bytes:
    """A zip of exactly so many bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        # One time, and so the same bytes, and the same name of a test, in every worker.
        archive.writestr(zipfile.ZipInfo("1.jpg"), (seed * size)[: size - 108])
    assert len(out.getvalue()) == size
    return out.getvalue()


BODY = zipped()
LAST = len(BODY) // PIECE - 1
TASK = FetchTask("vol", "page", PATH, "/c", "A.cbz", len(BODY), 1, 1, kind="archive")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MEMORY", PIECE)


@pytest.fixture
def server(world: World) -> World:
    """A world whose server has the archive."""
    world.source.add(PATH, BODY)
    return world


def piece(number: int) -> str:
    return keys.piece_key("vol", "page", number)


def put_piece(world: World, number: int, content: bytes, *, version: str = "") -> ObjectInfo:
    """As fetch writes them."""
    facts = {"crc32c": f"{google_crc32c.value(content):08x}"} | ({"version": version} if version else {})
    return world.folders.put(piece(number), content, metadata=facts)


def staging(world: World) -> list[str]:
    return world.names(keys.STAGING)


def starts(world: World) -> list[int]:
    return [wanted.start for wanted in world.source.asked]


def assert_staged(world: World, body: bytes = BODY) -> None:
    """The entry is the archive, with the facts of it, and nothing else is left."""
    assert world.folders.get(ENTRY) == body
    info = world.folders.head(ENTRY)
    facts = entry.parse(info.metadata if info else None)
    assert facts == entry.EntryFacts("page", zlib.crc32(body), len(body), google_crc32c.value(body))
    assert staging(world) == [ENTRY]


@pytest.mark.parametrize("size", [900, 901, 999, 150, 130])
def test_an_archive_is_staged_as_it_is(world: World, size: int) -> None:
    body = zipped(size=size)
    world.source.add(PATH, body)

    assert world.fetch(TASK._replace(size=size)).outcome is Outcome.STAGED

    assert_staged(world, body)
    assert starts(world) == [0]


def test_an_archive_smaller_than_a_piece_is_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MEMORY", 4 * 2**20)
    world.source.add(PATH, BODY)
    world.fetch(TASK)
    assert_staged(world)


def test_whatever_the_chunks_pieces_are_of_one_size(server: World) -> None:
    server.work = watched = WatchedStore(server.folders)
    server.fetch(TASK)
    assert [key for operation, key in watched.calls if operation == "put"] == [piece(n) for n in range(LAST + 1)]


@pytest.mark.parametrize("cut", [1, 99, 100, 450, 899])
def test_what_was_cut_goes_on_where_it_was(server: World, cut: int) -> None:
    server.source.cuts[PATH] = [cut]

    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)
    assert staging(server) == [piece(number) for number in range(cut // PIECE)]
    assert server.fetch(TASK).outcome is Outcome.STAGED

    assert_staged(server)
    assert starts(server) == [0, cut // PIECE * PIECE]


@pytest.mark.parametrize("cut", [1, 450, 899])
def test_pieces_of_another_version_are_none_of_this_one(server: World, cut: int) -> None:
    """It has the same name, size and time."""
    server.source.versions[PATH] = "v1"
    server.source.cuts[PATH] = [cut]
    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)
    other = zipped(b"another")
    server.source.add(PATH, other)
    server.source.versions[PATH] = "v2"

    assert server.fetch(TASK).outcome is Outcome.STAGED

    assert_staged(server, other)
    begun = cut // PIECE * PIECE
    assert starts(server) == ([0, begun, 0] if begun else [0, 0])


@pytest.mark.parametrize(("before", "after"), [("v1", ""), ("", "v2"), ("v1", "v1"), ("", "")])
def test_where_nothing_tells_versions_apart_it_goes_on(server: World, before: str, after: str) -> None:
    server.source.versions[PATH] = before
    server.source.cuts[PATH] = [450]
    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)
    server.source.versions[PATH] = after

    server.fetch(TASK)

    assert_staged(server)
    assert starts(server) == [0, 400]
    assert server.source.asked[-1].version == before


def test_pieces_of_two_versions_are_begun_anew(server: World) -> None:
    put_piece(server, 0, BODY[:100], version="v1")
    put_piece(server, 1, BODY[100:200])
    put_piece(server, 2, BODY[200:300], version="v2")
    server.fetch(TASK)
    assert_staged(server)
    assert starts(server) == [0]


def test_a_death_at_any_store_call_costs_at_most_the_piece_under_way(server: World) -> None:
    """Fetch after fetch dies, each a little later, until one comes through; no good piece is asked for twice."""
    allowed = 0
    while True:
        server.work = WatchedStore(server.folders, before=(death := Death(allowed)))
        here = sum(keys.piece_of(key) is not None for key in staging(server))
        asked = len(server.source.asked)
        staged = ENTRY in staging(server)
        try:
            server.fetch(TASK)
        except Died:
            allowed += 1
        assert server.source.asked[asked:] == [] or starts(server)[-1] == here * PIECE
        assert not (staged and server.source.asked[asked:])
        if not death.struck:
            break
    assert allowed > LAST
    assert_staged(server)


def test_where_everything_is_here_the_server_is_not_asked(server: World) -> None:
    for number in range(LAST + 1):
        put_piece(server, number, BODY[number * PIECE : (number + 1) * PIECE])

    assert server.fetch(TASK).outcome is Outcome.STAGED

    assert_staged(server)
    assert server.source.asked == []


def test_a_server_that_cannot_begin_in_the_middle_is_asked_for_everything(server: World) -> None:
    server.source.cuts[PATH] = [450]
    server.source.no_ranges.add(PATH)
    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)

    assert server.fetch(TASK).outcome is Outcome.STAGED

    assert_staged(server)
    assert starts(server) == [0, 400, 0]


def test_a_server_that_cannot_begin_at_all_is_asked_once(server: World) -> None:
    server.source.page_faults[PATH] = [PageCut("stalled")]
    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)
    assert starts(server) == [0]


def test_a_server_that_has_gone_leaves_the_pieces(server: World) -> None:
    server.source.cuts[PATH] = [450]
    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)
    server.source.down = ServerUnreachable("down")
    with pytest.raises(ServerUnreachable):
        server.fetch(TASK)
    assert staging(server) == [piece(number) for number in range(4)]


# --- pieces that are no good --------------------------------------------------------------------------------------


def short(world: World) -> None:
    put_piece(world, 2, BODY[200:299])


def damaged(world: World) -> None:
    info = put_piece(world, 2, BODY[200:300])
    world.folders.put(piece(2), b"?" * 100, metadata=info.metadata)


def unsigned(world: World) -> None:
    world.folders.put(piece(2), BODY[200:300])


def missing(world: World) -> None:
    world.folders.delete(piece(2))


@pytest.mark.parametrize("spoil", [short, damaged, unsigned, missing])
def test_pieces_count_up_to_the_first_that_is_no_good(server: World, spoil: Callable[[World], None]) -> None:
    server.source.cuts[PATH] = [550]
    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)
    spoil(server)

    assert server.fetch(TASK).outcome is Outcome.STAGED

    assert_staged(server)
    assert starts(server) == [0, 200]


def test_a_piece_too_many_is_removed(server: World) -> None:
    put_piece(server, LAST + 1, b"x" * PIECE)
    server.fetch(TASK)
    assert_staged(server)


# --- what is no archive -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "listed", "says"),
    [
        (BODY[:-1], 900, "899 bytes came where 900 are listed"),
        (BODY + b"x", 900, "more than 900 bytes came"),
        (b"<html>" + b"x" * 800, 806, "is no archive known here"),
        (b"{}", 2, "is no archive known here"),
        (b"", 0, "is empty"),
    ],
)
def test_what_is_no_archive_never_gets_in(world: World, body: bytes, listed: int, says: str) -> None:
    world.source.add(PATH, body)

    with pytest.raises(PageWrong, match=says) as raised:
        world.fetch(TASK._replace(size=listed), last_attempt=False)

    assert raised.value.fix
    assert staging(world) == []


@pytest.mark.parametrize("size", [800, 899])
def test_a_cut_archive_never_gets_in_and_is_asked_for_once(world: World, size: int) -> None:
    world.source.add(PATH, BODY[:size])
    task = TASK._replace(size=size)

    first = world.fetch(task, last_attempt=False)
    again = world.fetch(task._replace(epoch=2), last_attempt=False)

    assert (first.outcome, again.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert "has no whole directory at its end" in str(first.error)
    assert world.source.downloads[PATH] == 1
    assert world.folders.head(keys.entry_key(task.volume, task.page)) is None


def test_a_cut_archive_is_asked_for_again_once_that_is_decided(world: World) -> None:
    world.source.add(PATH, BODY[:899])
    world.fetch(TASK._replace(size=899))

    world.fetch(TASK._replace(size=899, anew=True))

    assert world.source.downloads[PATH] == 2


def test_the_next_try_after_a_wrong_body_begins_anew(server: World) -> None:
    server.source.next_bodies[PATH] = [b"<html>".ljust(900)]
    with pytest.raises(PageWrong):
        server.fetch(TASK, last_attempt=False)

    assert server.fetch(TASK).outcome is Outcome.STAGED

    assert_staged(server)
    assert starts(server) == [0, 0]


def test_a_failure_is_recorded_at_the_last_attempt(world: World) -> None:
    world.source.add(PATH, BODY[:-1])

    fetched = world.fetch(TASK._replace(size=899))

    assert fetched.outcome is Outcome.FAILED
    assert len(world.names(keys.FAILURES)) == 1


# --- hashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [None, 450])
def test_the_right_hash_is_summed_over_all_pieces(server: World, cut: int | None) -> None:
    server.watches = (server.watches[0]._replace(hash_check="strict"),)
    task = TASK._replace(hashes={"sha1": hashlib.sha1(BODY).hexdigest()})
    if cut:
        server.source.cuts[PATH] = [cut]
        with pytest.raises(PageCut):
            server.fetch(task, last_attempt=False)

    assert server.fetch(task).outcome is Outcome.STAGED
    assert starts(server) == ([0, 400] if cut else [0])


@pytest.mark.parametrize(("mode", "asked"), [("warn", 2), ("strict", 2), ("off", 1)])
def test_a_wrong_hash(server: World, mode: str, asked: int, caplog: pytest.LogCaptureFixture) -> None:
    server.watches = (server.watches[0]._replace(hash_check=mode),)
    task = TASK._replace(hashes={"md5": "0" * 32})

    if mode == "strict":
        with pytest.raises(PageWrong, match="listed md5"):
            server.fetch(task, last_attempt=False)
        assert staging(server) == []
    else:
        assert server.fetch(task).outcome is Outcome.STAGED
        assert_staged(server)
    assert starts(server) == [0] * asked
    assert [wanted.in_one for wanted in server.source.asked] == [False, True][:asked]
    assert [r.__dict__["hash"] for r in caplog.records if r.msg == "hash differs"] == ["md5"] * (mode == "warn")


def test_a_hash_that_was_wrong_only_once_leaves_the_right_bytes(server: World) -> None:
    server.source.next_bodies[PATH] = [zipped(b"another")]
    server.fetch(TASK._replace(hashes={"md5": hashlib.md5(BODY).hexdigest()}))
    assert_staged(server)


# --- two at once --------------------------------------------------------------------------------------------------


def test_an_archive_that_is_staged_is_not_asked_for(server: World) -> None:
    server.fetch(TASK)
    put_piece(server, 0, BODY[:PIECE])

    assert server.fetch(TASK).outcome is Outcome.DUPLICATE

    assert_staged(server)
    assert starts(server) == [0]


class Between:
    """A hook: acts before the ``number``-th call of this kind, once."""

    def __init__(self, operation: str, number: int, act: Callable[[], object]) -> None:
        self._operation = operation
        self._left = number
        self._act = act

    def __call__(self, operation: str, key: str) -> None:
        if operation == self._operation and not (self._operation == "put" and keys.piece_of(key) is None):
            self._left -= 1
            if self._left == -1:
                self._act()


def another(world: World) -> Outcome:
    """A second fetch of the same archive, from beginning to end."""
    work, world.work = world.work, world.folders
    try:
        return world.fetch(TASK, last_attempt=False).outcome
    finally:
        world.work = work


def half(world: World) -> None:
    """A second fetch that has written some pieces more, and dies."""
    for number in range(LAST):
        if world.folders.head(piece(number)) is None:
            put_piece(world, number, BODY[number * PIECE : (number + 1) * PIECE])


@pytest.mark.parametrize("number", range(LAST + 1))
def test_pieces_that_another_fetch_has_just_written_are_used(server: World, number: int) -> None:
    server.work = WatchedStore(server.folders, before=Between("put", number, lambda: half(server)))
    assert server.fetch(TASK).outcome is Outcome.STAGED
    assert_staged(server)


@pytest.mark.parametrize("operation", ["put", "stream", "assemble", "list", "get", "delete"])
@pytest.mark.parametrize("number", [0, 1, 4, LAST])
def test_another_fetch_may_come_through_at_any_moment(server: World, operation: str, number: int) -> None:
    server.source.cuts[PATH] = [250]
    with pytest.raises(PageCut):
        server.fetch(TASK, last_attempt=False)
    server.work = WatchedStore(server.folders, before=Between(operation, number, lambda: another(server)))

    with suppress(PageFailed):  # whose pieces were taken away under its hands
        server.fetch(TASK, last_attempt=False)

    server.fetch(TASK, last_attempt=False)
    assert_staged(server)


def test_other_bytes_in_the_same_piece_are_a_reason_to_begin_anew(server: World) -> None:
    def other_bytes() -> None:
        put_piece(server, 3, b"?" * PIECE)

    server.work = WatchedStore(server.folders, before=Between("put", 3, other_bytes))

    with pytest.raises(PageFailed, match="other bytes came") as raised:
        server.fetch(TASK, last_attempt=False)

    assert raised.value.retryable
    assert staging(server) == []
    server.fetch(TASK)
    assert_staged(server)


@pytest.mark.parametrize("operation", ["stream", "assemble"])
def test_a_piece_that_is_damaged_at_the_end_is_fetched_again(server: World, operation: str) -> None:
    server.work = WatchedStore(server.folders, before=Between(operation, 0, lambda: damaged(server)))

    with pytest.raises(PageFailed) as raised:
        server.fetch(TASK, last_attempt=False)

    assert raised.value.retryable
    assert server.fetch(TASK).outcome is Outcome.STAGED
    assert starts(server) == [0, 200]
    assert_staged(server)


def test_a_store_that_is_full_is_no_failure_of_the_archive(server: World) -> None:
    def full(operation: str, key: str) -> None:
        if operation == "put":
            raise StoreUnavailable("full")

    server.work = WatchedStore(server.folders, before=full)
    with pytest.raises(StoreUnavailable):
        server.fetch(TASK)
    assert server.names("") == []


@pytest.mark.parametrize("cut", [None, 20 * 2**20])
def test_memory_holds_a_few_pieces_at_most(world: World, monkeypatch: pytest.MonkeyPatch, cut: int | None) -> None:
    monkeypatch.setattr(fetching, "MEMORY", 2**20)
    body = zipped(size=24 * 2**20)
    world.source.add(PATH, body)
    world.source.chunk_size = 2**16
    task = TASK._replace(size=len(body), hashes={"sha256": hashlib.sha256(body).hexdigest()})
    if cut:
        world.source.cuts[PATH] = [cut]
        with pytest.raises(PageCut):
            world.fetch(task, last_attempt=False)
    tracemalloc.start()

    assert world.fetch(task).outcome is Outcome.STAGED

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 2**20
    assert_staged(world, body)
