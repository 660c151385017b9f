"""A server that misbehaves: once, and the run still binds; for ever, and only the books concerned are missing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import oracle
from tests.support.attended import Attended
from tests.support.world import World

from pagebind.demo.drives import LocalDrive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pagebind.demo.answers import Request

FILE_FAULTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "cut": ("cut", {"after": 40}),
    "cut at once": ("cut", {"after": 0}),
    "stall": ("stall", {"after": 40}),
    "429": ("status", {"code": 429, "on": "file", "retry_after": 0}),
    "500": ("status", {"code": 500, "on": "file"}),
    "503": ("status", {"code": 503, "on": "file"}),
    "404": ("status", {"code": 404, "on": "file"}),
    "json": ("json200", {"code": 500, "message": "failed link: too many requests"}),
    "html": ("html", {}),
    "zero": ("zero", {}),
    "long": ("long", {}),
    "wrong bytes": ("wrong_bytes", {}),
    "sign expired": ("sign_expired", {}),
}


def add_faults(world: World, **options: Any) -> None:
    """A volume for each fault, whose second page it strikes, and one that is well."""
    world.values |= {"source.read_timeout": "0.3s", "source.concurrency": 32}
    world.volume("Well/Vol 1")
    for title, (name, own) in FILE_FAULTS.items():
        world.volume(f"{title}/Vol 1")
        world.server.faults.add(name, f"/comics/{title}/Vol 1/2.png", **(own | options))


def check_all(world: World) -> None:
    assert sorted(world.books()) == sorted(f"{title}/Vol 1.cbz" for title in (*FILE_FAULTS, "Well"))
    for title in (*FILE_FAULTS, "Well"):
        oracle.check_book(world.library / title / "Vol 1.cbz", oracle.pages_of(world.comics / title / "Vol 1"))


def test_every_fault_of_a_download_once(world: World) -> None:
    add_faults(world, times=1)

    run = world.run()
    assert (run.status, run.document["problems"], run.document["waiting"]) == (0, [], [])
    check_all(world)


def test_every_fault_of_a_download_for_ever(world: World) -> None:
    add_faults(world, after=0)  # else a page so small would come in pieces

    run = world.run()
    assert list(world.books()) == ["Well/Vol 1.cbz"]
    assert (run.status, run.codes) == (3, {"page_failed"})
    assert sorted(run.keys("waiting")) == sorted(f"{title}/Vol 1.cbz" for title in FILE_FAULTS)
    assert {problem["path"] for problem in run.document["problems"]} == {
        f"/comics/{title}/Vol 1/2.png" for title in FILE_FAULTS
    }
    oracle.check_book(world.library / "Well/Vol 1.cbz", oracle.pages_of(world.comics / "Well/Vol 1"))

    world.server.faults.clear()
    run = world.run()
    assert (run.status, run.fetched) == (0, len(FILE_FAULTS))
    check_all(world)


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_listings_that_fail_once(world: World, code: int) -> None:
    world.volume("Series/Vol 1")
    world.server.faults.add("status", "/comics/Series/Vol 1", code=code, on="list", times=1, retry_after=0)

    run = world.run()
    assert (run.status, run.keys("bound")) == (0, ["Series/Vol 1.cbz"])


def test_a_hash_that_the_drive_lists_wrong_does_not_lose_the_page(world: World, drive: LocalDrive) -> None:
    drive.hashes = ("md5",)
    world.volume("Series/Vol 1")
    world.server.faults.add("wrong_hash", "/comics/Series/Vol 1/2.png")

    run = world.run()
    assert (run.status, run.keys("bound")) == (0, ["Series/Vol 1.cbz"])
    assert "2.png" in run.stderr
    asked = [world.server.count("file", f"/comics/Series/Vol 1/{number}.png") for number in (1, 2, 3)]
    assert asked == [1, 2, 1]
    oracle.check_book(world.library / "Series/Vol 1.cbz", oracle.pages_of(world.comics / "Series/Vol 1"))
    assert world.run().keys("up_to_date") == ["Series/Vol 1.cbz"]


def test_wrong_bytes_that_a_hash_reveals_are_fetched_again(world: World, drive: LocalDrive) -> None:
    drive.hashes = ("md5",)
    world.volume("Series/Vol 1")
    world.server.faults.add("wrong_bytes", "/comics/Series/Vol 1/2.png", after=100, times=1)

    assert world.run().status == 0
    oracle.check_book(world.library / "Series/Vol 1.cbz", oracle.pages_of(world.comics / "Series/Vol 1"))


def test_a_server_that_goes_away_in_the_middle_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    with Attended({"/comics": LocalDrive(folder=tmp_path / "comics")}) as server:
        world = World(tmp_path, server)
        world.volume("Series/Vol 1", [f"{number}.png" for number in range(1, 31)])
        world.values |= {"source.concurrency": 2}

        server.faults.add("delay", on="file", seconds=0.1)  # longer than stopping takes
        once = threading.Lock()

        def stop(_: Request) -> None:
            if server.count("file") >= 10 and once.acquire(blocking=False):
                server.stop()

        server.before = stop
        run = world.run()
        assert (run.status, run.codes, world.books()) == (1, {"server"}, {})

        server.before = lambda _: None
        server.faults.clear()
        server.start()
        staged = len(world.stored("staging"))
        assert 5 <= staged < 30  # requests that were under way still got their answers
        run = world.run()
        assert (run.status, run.fetched) == (0, 30 - staged)
        oracle.check_book(world.library / "Series/Vol 1.cbz", oracle.pages_of(world.comics / "Series/Vol 1"))
