"""Volumes of other shapes than one folder of pictures: chapters in one book, archives, a ComicInfo of their own."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from zipfile import ZipFile, ZipInfo

import pytest
from tests.support.memory_source import picture

from pagebind.core import keys
from pagebind.core.layout_pattern import parse_layout
from pagebind.core.planner import Action, State
from pagebind.core.watch import Watch
from pagebind.errors import ListingFailed, PageFailed

if TYPE_CHECKING:
    from tests.app.world import World

    from pagebind.app.result import RunResult

TEMPLATE = "{series}/{volume}.cbz"
CHAPTERS = Watch("/c", TEMPLATE, layout=parse_layout("{series}/{volume}/{chapter}"))
COPIED = Watch("/c", TEMPLATE, archives="copy")


def states(result: RunResult) -> dict[str, State]:
    listed = (*result.bound, *result.up_to_date, *result.waiting, *result.held)
    return {report.path: report.state for report in listed}


def reasons(result: RunResult) -> dict[str, str]:
    return {report.path: report.reason for report in (*result.waiting, *result.held)}


# -- chapters in one book


def chapters(world: World) -> None:
    world.watches = (CHAPTERS,)
    for chapter in ("Ch 1", "Ch 2", "Ch 10"):
        world.source.folder(f"/c/S/V/{chapter}", "1.jpg", "2.jpg")


def test_chapters_follow_each_other_in_one_book(world: World) -> None:
    chapters(world)
    world.source.add("/c/S/V/cover.jpg")

    result = world.run()

    assert states(result) == {"/c/S/V": State.BOUND}
    book = world.pages_in("S/V.cbz")
    order = ["cover.jpg", *(f"{chapter}/{page}.jpg" for chapter in ("Ch 1", "Ch 2", "Ch 10") for page in (1, 2))]
    assert [book[name] for name in sorted(book)] == [world.source.files[f"/c/S/V/{name}"].data for name in order]
    assert not any("/" in name for name in book)
    assert states(world.run()) == {"/c/S/V": State.BOUND}


def test_a_new_chapter_costs_only_its_own_pages(world: World) -> None:
    chapters(world)
    world.run()
    world.source.folder("/c/S/V/Ch 3", "1.jpg")

    world.run()

    assert world.source.downloads.total() == 7
    assert len(world.pages_in("S/V.cbz")) == 7


def test_chapters_settle_together(world: World) -> None:
    chapters(world)
    world.run(settle=None)
    world.clock.advance(600)

    result = world.run(settle=None)

    assert states(result) == {"/c/S/V": State.BOUND}
    assert {path for path, refresh in world.source.listed if refresh} == {
        "/c/S/V",
        "/c/S/V/Ch 1",
        "/c/S/V/Ch 2",
        "/c/S/V/Ch 10",
    }


def test_a_chapter_that_cannot_be_listed_leaves_the_volume_as_it_is(world: World) -> None:
    chapters(world)
    world.run()
    book = world.files("library")
    world.source.failing["/c/S/V/Ch 2"] = ListingFailed("no", path="/c/S/V/Ch 2")
    world.source.add("/c/S/V/Ch 1/3.jpg")

    result = world.run()

    assert world.files("library") == book
    assert states(result) == {"/c/S/V": State.BOUND}
    assert [problem.code for problem in result.problems] == ["listing_failed"]


def test_a_chapter_that_vanishes_is_a_shrink(world: World) -> None:
    chapters(world)
    world.run()
    world.source.remove("/c/S/V/Ch 2")

    assert states(world.run()) == {"/c/S/V": State.HELD}


def test_a_path_inside_a_volume_means_all_of_it(world: World) -> None:
    chapters(world)

    result = world.run("/c/S/V/Ch 2")

    assert states(result) == {"/c/S/V": State.BOUND}
    assert len(world.pages_in("S/V.cbz")) == 6


def test_more_pages_than_fit_into_memory_are_listed_again(world: World) -> None:
    chapters(world)
    world.policy = world.policy._replace(rate=0.001)

    assert states(world.run()) == {"/c/S/V": State.BOUND}


def test_what_has_no_place_in_the_layout_is_ignored(world: World) -> None:
    chapters(world)
    world.source.folder("/c/S/V/Ch 1/extras/more", "x.jpg")
    world.source.folder("/c/Stray", "1.jpg")

    result = world.run()

    assert states(result)["/c/Stray"] is State.IGNORED
    assert "layout" in reasons(result)["/c/Stray"]
    assert states(result)["/c/S/V"] is State.BOUND


def test_what_was_bound_by_another_layout_is_no_longer_looked_at(world: World) -> None:
    world.source.folder("/c/S/V/Ch 1", "1.jpg", "2.jpg")
    world.run()
    world.watches = (CHAPTERS,)

    result = world.run()

    assert states(result) == {"/c/S/V": State.BOUND, "/c/S/V/Ch 1": State.IGNORED}


# -- archives


def archive(text: str, members: int = 2) -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w") as book:
        for number in range(members):
            book.writestr(ZipInfo(f"{number}.png"), picture(f"{text} {number}"))
    return stream.getvalue()


def test_archives_are_ignored_unless_asked_for(world: World) -> None:
    world.source.add("/c/S/1.cbz", archive("1"))

    assert states(world.run()) == {"/c/S": State.IGNORED}
    assert world.files("library") == {}


def test_archives_are_copied_under_their_own_suffixes(world: World) -> None:
    world.watches = (COPIED,)
    files = {"1.cbz": archive("1"), "2.zip": archive("2"), "3.CBR": archive("3")}
    for name, data in files.items():
        world.source.add(f"/c/S/{name}", data)

    result = world.run()

    assert world.files("library") == {
        "S/1.cbz": files["1.cbz"],
        "S/2.cbz": files["2.zip"],
        "S/3.cbr": files["3.CBR"],
    }
    assert set(states(result).values()) == {State.BOUND}
    assert world.source.downloads.total() == 3
    assert states(world.run()) == states(result)
    assert world.source.downloads.total() == 3
    assert world.names(keys.STAGING) == []


def test_an_archive_settles_like_a_volume(world: World) -> None:
    world.watches = (COPIED,)
    world.source.add("/c/S/1.cbz", archive("1"))

    assert states(world.run(settle=None)) == {"/c/S/1.cbz": State.WAITING}
    world.clock.advance(600)
    assert states(world.run(settle=None)) == {"/c/S/1.cbz": State.BOUND}
    assert [path for path, refresh in world.source.listed if refresh] == ["/c/S"]


def test_a_better_archive_replaces_the_one_before(world: World) -> None:
    world.watches = (COPIED,)
    world.source.add("/c/S/1.cbz", archive("1"))
    world.run()
    world.source.add("/c/S/1.cbz", archive("better", 5), modified="2025-01-01T00:00:00Z")

    world.run()

    assert world.files("library") == {"S/1.cbz": archive("better", 5)}


def test_a_cut_archive_is_never_published(world: World) -> None:
    world.watches = (COPIED,)
    whole = archive("1")
    world.source.add("/c/S/1.cbz", whole[: len(whole) // 2])

    result = world.run()

    assert world.files("library") == {}
    assert states(result) == {"/c/S/1.cbz": State.FETCHING}
    assert [problem.code for problem in result.problems] == ["page_failed"]


def test_an_archive_stands_for_the_folder_of_its_name(world: World) -> None:
    world.watches = (COPIED,)
    world.source.add("/c/S/1.cbz", archive("1"))
    world.source.folder("/c/S/1/jpg", "1.jpg", "2.jpg", "3.jpg")
    world.source.folder("/c/S/2", "1.jpg", "2.jpg", "3.jpg")

    result = world.run()

    assert states(result) == {"/c/S/1.cbz": State.BOUND, "/c/S/1/jpg": State.IGNORED, "/c/S/2": State.BOUND}
    assert "shadowed" in reasons(result)["/c/S/1/jpg"]
    assert world.files("library")["S/1.cbz"] == archive("1")


def test_a_folder_that_is_a_book_already_stays_one(world: World) -> None:
    world.source.folder("/c/S/1", "1.jpg", "2.jpg", "3.jpg")
    world.run()
    world.watches = (COPIED,)
    world.source.add("/c/S/1.cbz", archive("1"))

    result = world.run()

    assert states(result) == {"/c/S/1": State.BOUND, "/c/S/1.cbz": State.IGNORED}


def test_archives_no_longer_asked_for_are_ignored_and_stay(world: World) -> None:
    world.watches = (COPIED,)
    world.source.add("/c/S/1.cbz", archive("1"))
    world.run()
    world.watches = (Watch("/c", TEMPLATE),)

    result = world.run()

    assert states(result)["/c/S/1.cbz"] is State.IGNORED
    assert list(world.files("library")) == ["S/1.cbz"]


def test_a_renamed_archive_is_recognised(world: World) -> None:
    world.watches = (COPIED,)
    world.source.add("/c/S/1.cbz", archive("1"))
    world.run()
    world.source.files["/c/S/One.cbz"] = world.source.files.pop("/c/S/1.cbz")

    result = world.run()

    assert states(result) == {"/c/S/One.cbz": State.BOUND, "/c/S/1.cbz": State.MOVED}
    assert world.source.downloads.total() == 1
    assert list(world.files("library")) == ["S/1.cbz"]


def test_excluded_archives_are_left_out(world: World) -> None:
    world.watches = (COPIED._replace(excluded=lambda path, is_dir: path.endswith("raw.cbz")),)
    world.source.add("/c/S/raw.cbz", archive("1"))
    world.source.add("/c/S/1.cbz", archive("1"))

    assert states(world.run()) == {"/c/S/1.cbz": State.BOUND}


# -- a ComicInfo.xml of the folder's own

INFO = b"<?xml version='1.0'?><ComicInfo><Series>Theirs</Series><Writer>Somebody</Writer></ComicInfo>"


def info_in(world: World, key: str = "S/A.cbz") -> str:
    with ZipFile(world.root / "library" / key) as book:
        return book.read("ComicInfo.xml").decode() if "ComicInfo.xml" in book.namelist() else ""


def test_a_comicinfo_is_kept_and_completed(world: World) -> None:
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")
    world.source.add("/c/S/A/ComicInfo.xml", INFO)

    result = world.run()

    kept = info_in(world)
    assert "<Series>Theirs</Series>" in kept
    assert "<Writer>Somebody</Writer>" in kept
    assert "<PageCount>2</PageCount>" in kept
    assert [(report.pages, report.staged) for report in result.bound] == [(2, 0)]
    assert sorted(world.pages_in("S/A.cbz")) == ["1.jpg", "2.jpg"]


def test_a_change_of_the_comicinfo_alone_makes_a_new_book_and_asks_no_page(world: World) -> None:
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")
    world.source.add("/c/S/A/ComicInfo.xml", INFO)
    world.run()
    world.source.add("/c/S/A/ComicInfo.xml", INFO.replace(b"Somebody", b"Another"), modified="2025-01-01T00:00:00Z")

    world.run()

    assert "Another" in info_in(world)
    assert world.source.downloads["/c/S/A/1.jpg"] == 1


def test_a_comicinfo_that_goes_is_no_shrink(world: World) -> None:
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")
    world.source.add("/c/S/A/ComicInfo.xml", INFO)
    world.run()
    world.source.remove("/c/S/A/ComicInfo.xml")

    assert states(world.run()) == {"/c/S/A": State.BOUND}
    assert "<Series>S</Series>" in info_in(world)


def test_a_comicinfo_that_is_none_does_not_spoil_the_book(world: World) -> None:
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")
    world.source.add("/c/S/A/ComicInfo.xml", b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><ComicInfo/>")

    world.run()

    assert "<Series>S</Series>" in info_in(world)


def test_a_comicinfo_that_cannot_be_had_does_not_hold_its_book(world: World) -> None:
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")
    world.source.add("/c/S/A/ComicInfo.xml", INFO)
    world.source.page_faults["/c/S/A/ComicInfo.xml"] = [PageFailed("object not found")]
    for _ in range(2):
        assert states(world.run()) == {"/c/S/A": State.FETCHING}
        world.clock.advance(86400)

    assert states(world.run()) == {"/c/S/A": State.BOUND}

    assert "<Series>S</Series>" in info_in(world)
    assert states(world.run()) == {"/c/S/A": State.BOUND}


def test_comicinfo_can_be_switched_off(world: World) -> None:
    world.watches = (Watch("/c", TEMPLATE, comicinfo=False),)
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")
    world.source.add("/c/S/A/ComicInfo.xml", INFO)

    result = world.run()

    assert info_in(world) == ""
    assert states(result) == {"/c/S/A": State.BOUND}
    assert world.source.downloads.total() == 2


def test_a_waived_page_is_told_in_the_book(world: World) -> None:
    from tests.app.test_decisions import page_waived

    page_waived(world)

    assert "<Notes>Bound without 1 page that could not be had: 2.jpg</Notes>" in info_in(world)
    assert "<PageCount>2</PageCount>" in info_in(world)


# -- pages of another type than their names say


@pytest.mark.parametrize(("fix", "names"), [(False, ["1.jpg", "2.jpg"]), (True, ["1.png", "2.png"])])
def test_suffixes_that_lie_are_mended_where_asked(world: World, fix: bool, names: list[str]) -> None:
    world.watches = (Watch("/c", TEMPLATE, fix_extensions=fix),)
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")

    world.run()

    assert sorted(world.pages_in("S/A.cbz")) == names
    assert states(world.run()) == {"/c/S/A": State.BOUND}


def test_a_mended_suffix_never_makes_two_names_one(world: World) -> None:
    world.watches = (Watch("/c", TEMPLATE, fix_extensions=True),)
    world.source.folder("/c/S/A", "1.jpg", "1.png", "2.jpg")

    world.run()

    assert len(set(world.pages_in("S/A.cbz"))) == 3


def test_a_mended_book_grows_by_one_page(world: World) -> None:
    world.watches = (Watch("/c", TEMPLATE, fix_extensions=True),)
    world.source.folder("/c/S/A", "1.jpg", "2.jpg")
    world.run()
    world.source.add("/c/S/A/3.jpg")

    world.run()

    assert world.source.downloads.total() == 3
    assert sorted(world.pages_in("S/A.cbz")) == ["1.png", "2.png", "3.png"]


def test_a_plan_shows_what_a_run_would_do(world: World) -> None:
    chapters(world)

    assert [(v.path, v.pages, v.action) for v in world.plan().volumes] == [("/c/S/V", 6, Action.FETCH)]
