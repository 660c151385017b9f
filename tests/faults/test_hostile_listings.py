"""Listings that lie: an entry no file can be costs its volume a problem, a folder without end itself, nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.adapters.alist.doubles import Server, item, ok
from tests.support import oracle
from tests.support.world import World

from pagebind.adapters.alist.envelope import ListData
from pagebind.adapters.alist.listing import MOST_ENTRIES, list_folder
from pagebind.core.model import Item
from pagebind.demo.drives import LocalDrive
from pagebind.demo.pictures import png
from pagebind.demo.server import DemoServer
from pagebind.errors import ListingFailed, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("in_haste")

MILLION = 10**6


@pytest.fixture
def drive(tmp_path: Path) -> LocalDrive:
    (tmp_path / "comics").mkdir()
    return LocalDrive(folder=tmp_path / "comics")


@pytest.fixture
def world(tmp_path: Path, drive: LocalDrive) -> Iterator[World]:
    """A server with a volume that is well."""
    with DemoServer({"/comics": drive}) as server:
        made = World(tmp_path, server)
        made.volume("Well/Vol 1")
        yield made


def entry(**fields: object) -> str:
    """One entry of a listing, as JSON."""
    return json.dumps([item("9.png") | fields])


def check(world: World, *titles: str) -> None:
    """Of these and of the one that is well there are books, all of them right; nothing else."""
    assert sorted(world.books()) == sorted(f"{title}/Vol 1.cbz" for title in (*titles, "Well"))
    for title in (*titles, "Well"):
        oracle.check_book(world.library / title / "Vol 1.cbz", oracle.pages_of(world.comics / title / "Vol 1"))


# -- folders that cannot be read

UNREADABLE: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "a million entries": ("total_lies", {"extra": MILLION}, "it holds 1,000,003 entries where 100,000 are the most"),
    "2^63 entries": ("total_lies", {"extra": 2**63}, "it holds 9,223,372,036,854,775,807 entries"),
    "a total that lies": ("total_lies", {}, "says that it holds 10 entries, and gave 3"),
    "no number": ("entries", {"entries": '[{"name": "9.png", "size": NaN}]'}, "JSON of another kind"),
    "beyond all numbers": ("entries", {"entries": '[{"name": "9.png", "size": 1e999}]'}, "JSON of another kind"),
    "half a character": ("entries", {"entries": '[{"name": "\\ud800.png"}]'}, "JSON of another kind"),
}


def test_a_folder_that_cannot_be_read_is_one_problem_and_costs_no_other_its_book(world: World) -> None:
    for title, (fault, options, _) in UNREADABLE.items():
        world.volume(f"{title}/Vol 1")
        world.server.faults.add(fault, f"/comics/{title}/Vol 1", **options)

    run = world.run()

    assert (run.status, run.codes) == (3, {"listing_failed"})
    told = {problem["path"]: problem["message"] for problem in run.document["problems"]}
    assert len(told) == len(run.document["problems"]) == len(UNREADABLE)
    for title, (_, _, words) in UNREADABLE.items():
        assert words in told[f"/comics/{title}/Vol 1"]
    assert world.server.count("list", "/comics/a million entries/Vol 1") == 1
    check(world)

    world.server.faults.clear()
    assert world.run().status == 0
    check(world, *UNREADABLE)


def test_folders_without_end_cost_no_other_its_book(world: World) -> None:
    (world.comics / "pit").mkdir()
    below = '[{"name": "a{n}", "is_dir": true}, {"name": "b{n}", "is_dir": true}]'
    world.server.faults.add("entries", "/comics/pit*", entries=below)

    run = world.run()

    assert (run.status, run.codes) == (3, {"listing_failed"})
    told = [problem["message"].partition(" lies 64 folders deep: ")[2] for problem in run.document["problems"]]
    assert len(told) <= 6
    assert "nothing more of /comics/pit is listed" in told
    assert world.server.count("list") < 64 * 6 * world.settings().source.concurrency
    check(world)


def silent(page: int) -> ListData:
    """A page of 200 names that nobody ever gave."""
    return ListData(content=[Item(f"{number}.jpg") for number in range(page * 200, page * 200 + 200)])


ENDLESS: Mapping[str, tuple[Callable[[int], ListData], int, str]] = {
    "without a total": (silent, MOST_ENTRIES // 200 + 1, "holds 100,200 entries where 100,000 are the most"),
    "a total that grows": (
        lambda page: ListData(content=silent(page).content, total=200 * page + 1),
        12,
        "says that it holds .* entries, and gave",
    ),
    "a short total, everything at once": (
        lambda _: ListData(content=[Item(str(number)) for number in range(MOST_ENTRIES + 1)], total=3),
        1,
        "holds 100,001 entries",
    ),
    "pages of one": (lambda page: ListData(content=[Item(str(page))]), 2_000, "2,000 pages of them"),
    "pages of one and a total": (lambda page: ListData(content=[Item(str(page))], total=10**5), 4_000, "gave 2000"),
    "numbers of 100 digits": (lambda _: ListData(content=[], total=10**100), 1, "holds 9,223,372,036,854,775,807"),
    "fewer than none": (lambda page: ListData(content=silent(page).content, total=-5), 2, "holds 0 entries"),
}


@pytest.mark.parametrize(("answer", "most", "words"), ENDLESS.values(), ids=ENDLESS)
def test_a_folder_without_end_is_left(answer: Callable[[int], ListData], most: int, words: str) -> None:
    asked: list[int] = []

    def ask(page: int, _refresh: bool) -> ListData:
        asked.append(page)
        return answer(page)

    with pytest.raises(ListingFailed, match=words) as caught:
        list_folder(ask, "/x", refresh=False)
    assert caught.value.path == "/x"
    assert caught.value.fix
    assert len(asked) <= most


@pytest.mark.parametrize("field", ["name", "size", "new"])
def test_lists_in_lists_without_end_are_no_listing(field: str) -> None:
    nested = b"[" * 100_000 + b"]" * 100_000
    whole = ok({"content": [item("1.jpg") | {field: "here"}], "total": 1}).content.replace(b'"here"', nested)
    answer = httpx.Response(200, content=whole, headers={"Content-Type": "application/json"})
    with pytest.raises(SourceError):
        Server().on("/api/fs/list", answer).source().list("/x")


# -- files that cannot be

MISSED: Mapping[str, str] = {
    "size -1": entry(size=-1),
    "size as a text": entry(size="12"),
    "size 2^31+1": entry(size=2**31 + 1),
    "size 2^53+1": entry(size=2**53 + 1),
    "size 2^63-1": entry(size=2**63 - 1),
    "size 2^63": entry(size=2**63),
    "size of 100 digits": entry(size=10**100),
    "size 1e308": entry(size=1e308),
    "size yes": entry(size=True),
    "a way out": entry(name="../../Well/Vol 1/1.png"),
    "a way in": entry(name="/1.png"),
    "NUL": entry(name="9\0.png"),
    "a name of a megabyte": entry(name="9" * 2**20 + ".png"),
    "a name of 10,000 bytes": entry(name="9" * 9_996 + ".png"),
    "a file that is not there": entry(),
}


def test_a_file_that_cannot_be_is_missed_and_costs_no_other_volume_its_book(world: World) -> None:
    for title, entries in MISSED.items():
        world.volume(f"{title}/Vol 1")
        world.server.faults.add("entries", f"/comics/{title}/Vol 1", entries=entries)

    run = world.run()

    assert (run.status, run.codes) == (3, {"page_failed"})
    told = [problem["path"].split("/")[2] for problem in run.document["problems"]]
    assert sorted(told) == sorted(MISSED)
    assert all(problem["message"].isprintable() for problem in run.document["problems"])
    assert run.fetched == 3 * (len(MISSED) + 1)
    check(world)
    assert world.run("/comics/size 2^63").document["waiting"][0]["bytes"] > 2**63 - 1

    world.server.faults.clear()
    assert world.run().status == 3  # a page fewer than before is held
    check(world)


# -- what does not matter

ODD: Mapping[str, dict[str, object]] = {
    "other types": {"type": "x", "thumb": 7, "provider": [], "created": None},
    "a sign of a megabyte": {"sign": "s" * 2**20},
    "a sign of two lines": {"sign": "s:0\r\nX-Evil: 1"},
    "a time of a megabyte": {"modified": "2" * 2**20},
    "the year 0": {"modified": "0000-00-00T00:00:00Z"},
    "the year 1": {"modified": "0001-01-01T00:00:00+14:00"},
    "the year 10000": {"modified": "10000-01-01T00:00:00Z"},
    "before all times": {"modified": "-0001-01-01T00:00:00Z"},
    "nanoseconds": {"modified": "2026-11-22T03:10:58.123456789+08:00"},
    "no zone": {"modified": "2026-11-22T03:10:58"},
    "no time": {"modified": "\x1b[31m\u202e"},
    "a number for a time": {"modified": 7},
    "10,000 hashes": {"hash_info": {f"kind{number}": "0" * 64 for number in range(10_000)}},
    "a hash of a megabyte": {"hash_info": {"md5": "0" * 2**20}},
    "a hash that is none": {"hash_info": {"md5": "\x1b" * 32, "sha1": "0", "sha256": ["x"]}},
    "hashes that are none": {"hash_info": "md5"},
}


def test_odd_fields_make_the_same_books_and_nothing_of_them_is_kept(world: World) -> None:
    for title, fields in ODD.items():
        world.volume(f"{title}/Vol 1")
        page = world.comics / title / "Vol 1" / "3.png"
        usual = {"sign": world.server.signs.sign(f"/comics/{title}/Vol 1/3.png"), "size": page.stat().st_size}
        odd = json.dumps([item("3.png") | usual | fields])
        world.server.faults.add("shrunk", f"/comics/{title}/Vol 1", names=("3.png",))
        world.server.faults.add("entries", f"/comics/{title}/Vol 1", entries=odd)

    run = world.run()

    assert (run.status, run.document["problems"]) == (0, [])
    check(world, *ODD)
    assert max(file.stat().st_size for file in world.stored("manifests")) < 4_000
    assert world.run().keys("up_to_date") == run.keys("bound")


def test_entries_that_come_twice_or_as_a_file_and_a_folder_are_taken_once(world: World) -> None:
    odd: dict[str, dict[str, object]] = {
        "a file": {},
        "a folder": {"is_dir": True},
        "nothing": {"name": ""},
        "up": {"name": ".."},
    }
    for title, fields in odd.items():
        world.volume(f"{title}/Vol 1")
        page = item("1.png", len(png("x"))) | fields
        world.server.faults.add("entries", f"/comics/{title}/Vol 1", entries=json.dumps([page, page]))

    assert world.run().status == 0
    check(world, *odd)


def test_a_page_that_becomes_a_folder_is_a_page_less(world: World) -> None:
    world.volume("Bad/Vol 1", ("1.png", "2.png", "3.png", "4.png"))
    assert world.run().status == 0
    before = world.books()
    world.server.faults.add("shrunk", "/comics/Bad/Vol 1", names=("3.png",))
    world.server.faults.add("entries", "/comics/Bad/Vol 1", entries='[{"name": "3.png", "is_dir": true}]')

    run = world.run()

    assert (run.status, run.codes) == (3, {"shrunk", "listing_failed"})
    assert world.books() == before


# -- listings that change


def test_hashes_that_change_kind_at_each_listing_while_times_move_are_no_change(
    world: World, drive: LocalDrive
) -> None:
    world.volume("Bad/Vol 1", [f"{number}.png" for number in range(1, 9)])
    drive.hashes = ("md5",)
    first = world.run()
    world.server.faults.add("moving_times", "/comics/Bad/Vol 1")

    for kinds in ((), ("sha1",), ("sha256",), ("md5",)):
        drive.hashes = kinds
        run = world.run()
        assert (run.status, run.fetched, run.keys("up_to_date")) == (0, 0, first.keys("bound")), kinds
    check(world, "Bad")


def test_a_size_that_changes_at_each_listing_never_makes_another_book(world: World) -> None:
    world.volume("Bad/Vol 1")
    world.run()
    before = world.books()
    for size in (1, 2**63, 0):
        world.server.faults.clear()
        world.server.faults.add("shrunk", "/comics/Bad/Vol 1", names=("3.png",))
        world.server.faults.add("entries", "/comics/Bad/Vol 1", entries=json.dumps([item("3.png", size)]))
        run = world.run()
        assert (run.status, run.codes) == (3, {"page_failed"})
        assert world.books() == before

    world.server.faults.clear()
    assert world.run().status == 0
    check(world, "Bad")
