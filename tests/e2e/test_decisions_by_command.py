"""Each decision by the command: what it does, what it says, what `status` says then, and that it lasts."""

from __future__ import annotations

import io
import random
import shutil
from typing import TYPE_CHECKING, NamedTuple
from zipfile import ZipFile

import pytest
from tests.cli import shapes
from tests.cli.command import call
from tests.support import readers

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Answer
    from tests.support.world import World

FOLDER, PATH, KEY = "Series/Vol 1", "/comics/Series/Vol 1", "Series/Vol 1.cbz"
RENAMED = "Books/Series - Vol 1.cbz"
OTHER = "Other/Vol 1.cbz"
LOST = f"{PATH}/2.png"


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch, impatient: None) -> World:
    """One whose command is to be called, with a volume besides that nothing is decided about."""
    monkeypatch.setenv("TOKEN", world.server.token)
    world.values |= {"bind.give_up_epochs": 1, "bind.give_up_after": "0s"}
    world.volume("Other/Vol 1")
    return world


def command(world: World, name: str, *words: str) -> Answer:
    return call(name, "--config", world.config(), *words)


def lost(world: World) -> None:
    """A page is given up."""
    world.volume(FOLDER)
    world.server.faults.add("status", LOST, code=404, on="file")
    held(world, "page_failed")


def held(world: World, code: str) -> None:
    run = world.run()
    assert (run.status, run.keys("held"), run.codes) == (3, [KEY], {code})


def lost_for_a_while(world: World) -> None:
    lost(world)
    world.server.faults.clear()


def waived(world: World) -> None:
    lost(world)
    assert command(world, "bind", PATH, "--without-missing").status == 0
    world.server.faults.clear()


def bound(world: World) -> None:
    world.volume(FOLDER)
    assert world.run().status == 0


def shrunk(world: World) -> None:
    bound(world)
    world.comics.joinpath(FOLDER, "3.png").unlink()
    held(world, "shrunk")


def foreign(world: World) -> None:
    put_book(world)
    world.volume(FOLDER)
    held(world, "foreign")


def changed(world: World) -> None:
    bound(world)
    put_book(world)
    held(world, "changed")


def put_book(world: World) -> None:
    book = world.library / KEY
    book.parent.mkdir(parents=True, exist_ok=True)
    book.unlink(missing_ok=True)
    book.write_bytes(b"somebody's own")


def removed(world: World) -> None:
    bound(world)
    world.library.joinpath(KEY).unlink()
    held(world, "removed")


def other_settings(world: World) -> None:
    bound(world)
    world.values["subscription.library"] = "Books/{series} - {volume}.cbz"
    assert world.run().status == 0
    assert KEY in world.books()


def forgotten(world: World) -> None:
    bound(world)
    assert command(world, "forget", PATH).status == 0
    world.write(f"{FOLDER}/4.png")
    assert world.run().status == 0


class Case(NamedTuple):
    """A situation, the decision, what `status` says from then on, and the book that stands there with its pages."""

    before: Callable[[World], None]
    words: tuple[str, ...]
    kind: str
    told: str
    state: str = "bound"
    key: str = KEY
    pages: tuple[str, ...] = ("1.png", "2.png", "3.png")
    asked: int = 0


CASES = {
    "retry": Case(waived, ("retry", PATH), "retry", "tried again", asked=1),
    "retry all": Case(waived, ("retry",), "retry", "tried again", asked=1),
    "retry what was given up": Case(
        lost_for_a_while,
        ("retry", PATH),
        "retry",
        "tried again",
        asked=1,
    ),
    "without missing": Case(
        lost,
        ("bind", PATH, "--without-missing"),
        "without-missing",
        "without pages that could not be had",
        pages=("1.png", "3.png"),
    ),
    "accept a shrink": Case(
        shrunk,
        ("bind", PATH, "--accept-shrink"),
        "accept-shrink",
        "the shorter listing is right",
        pages=("1.png", "2.png"),
    ),
    "replace a foreign book": Case(
        foreign, ("bind", KEY, "--replace"), "replace", "ours goes over what stood there", asked=3
    ),
    "replace a changed book": Case(
        changed, ("bind", PATH, "--replace"), "replace", "ours goes over what stood there", asked=3
    ),
    "replace a removed book": Case(
        removed, ("bind", "Series/*", "--replace"), "replace", "ours goes over what stood there", asked=3
    ),
    "rename": Case(
        other_settings, ("bind", PATH, "--rename"), "rename", "moved to the key of the settings", key=RENAMED
    ),
    "forget": Case(bound, ("forget", PATH), "forget", "forgotten", state="ignored"),
    "forget and delete": Case(bound, ("forget", PATH, "--delete-book"), "forget", "forgotten", state="ignored", key=""),
    "retry what was forgotten": Case(
        forgotten,
        ("retry", PATH),
        "retry",
        "tried again",
        pages=("1.png", "2.png", "3.png", "4.png"),
        asked=1,
    ),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def check_library(world: World, case: Case) -> None:
    others = [key for key in world.books() if key != OTHER]
    assert others == ([case.key] if case.key else [])
    if case.key:
        book = readers.by_python(world.library / case.key)
        del book["ComicInfo.xml"]
        assert book == {name: png(f"{FOLDER}/{name}") for name in case.pages}


def check_status(world: World, case: Case) -> None:
    """One line for the volume, with the state and what was decided."""
    answer = command(world, "status", PATH)
    assert answer.status == 0
    line = answer.out.splitlines()[0]
    assert line.startswith(f"{case.state:<13}{PATH} -> ")
    assert line.endswith(f"(decided: {case.told})")


@each
def test_what_a_program_gets_and_that_it_lasts(world: World, case: Case) -> None:
    case.before(world)
    asked = world.server.count("file")

    answer = command(world, *case.words, "--json")

    assert answer.status == 0
    document = answer.document
    decided = document.pop("decided")
    shapes.check("run", document)
    (volume,) = [one for name in ("bound", "up_to_date", "waiting", "held") for one in document[name]]
    assert decided == [{"volume": volume["volume"], "path": PATH, "key": KEY, "kind": case.kind}]
    assert (volume["path"], volume["state"], document["problems"]) == (PATH, case.state, [])
    assert f"(decided: {case.told})" in volume["reason"]
    check_library(world, case)
    check_status(world, case)
    assert world.server.count("file") - asked == case.asked
    books = world.books()

    for _ in range(2):
        run = world.run()
        assert (run.status, run.fetched, run.keys("bound")) == (0, 0, [])
        assert world.books() == books
        check_status(world, case)
    verified = command(world, "verify", "--read", "--json")
    assert verified.status == 0
    assert sorted(book["key"] for book in verified.document["books"]) == sorted(books)


@pytest.mark.parametrize(
    "name", ["retry all", "without missing", "accept a shrink", "replace a foreign book", "rename", "forget and delete"]
)
def test_what_a_person_gets(world: World, name: str) -> None:
    case = CASES[name]
    case.before(world)

    answer = command(world, *case.words)

    assert answer.status == 0
    first, second, *_ = answer.out.splitlines()
    assert first == f"decided: {case.kind}: {PATH}"
    assert " held" in second
    check_library(world, case)


def test_what_is_staged_is_bound_without_the_server(world: World) -> None:
    lost(world)
    world.server.stop()

    answer = command(world, "bind", PATH, "--without-missing", "--json")

    assert answer.status == 0
    assert [volume["key"] for volume in answer.document["bound"]] == [KEY]
    info = readers.by_python(world.library / KEY)["ComicInfo.xml"]
    assert b"<Notes>Bound without 1 page that could not be had: 2.png</Notes>" in info
    world.server.start()
    assert (world.run().status, world.run().fetched) == (0, 0)


def test_a_decision_that_needs_the_server_stands_although_it_is_down(world: World) -> None:
    foreign(world)
    world.server.stop()

    answer = command(world, "bind", PATH, "--replace", "--json")

    assert answer.status == 1
    assert [one["kind"] for one in answer.document["decided"]] == ["replace"]
    assert {problem["code"] for problem in answer.document["problems"]} == {"server"}
    assert world.books()[KEY] == b"somebody's own"
    world.server.start()
    assert world.run().keys("bound") == [KEY]


def test_a_volume_is_forgotten_without_the_server(world: World) -> None:
    bound(world)
    world.server.stop()

    answer = command(world, "forget", PATH, "--delete-book")

    assert answer.status == 0
    assert KEY not in world.books()


def test_a_page_that_comes_after_all_makes_a_better_book(world: World) -> None:
    lost(world)
    command(world, "bind", PATH, "--without-missing")
    thin = world.books()[KEY]
    world.values["bind.give_up_epochs"] = 2
    assert command(world, "retry", PATH).status == 3  # the page is still not to be had
    assert world.books()[KEY] == thin
    world.server.faults.clear()

    assert world.run().keys("bound") == [KEY]

    assert set(readers.by_python(world.library / KEY)) == {"1.png", "2.png", "3.png", "ComicInfo.xml"}


def test_the_later_of_two_decisions_wins(world: World) -> None:
    bound(world)
    assert command(world, "forget", PATH, "--delete-book").status == 0
    assert command(world, "retry", PATH).status == 0
    assert KEY in world.books()
    assert command(world, "forget", PATH).status == 0
    world.write(f"{FOLDER}/4.png")
    assert world.run().status == 0
    assert "4.png" not in readers.by_python(world.library / KEY)


# -- what a reader of the state would not expect


def test_an_archive_cannot_be_waived(world: World) -> None:
    world.values["subscription.archives"] = "copy"
    world.write("Series/Vol 1.cbz", b"PK\x03\x04 cut")
    assert world.run().status == 3
    answer = command(world, "bind", "/comics/Series/Vol 1.cbz", "--without-missing")
    assert answer.status == 2
    assert not world.stored("decisions")
    assert world.run().status == 3


def test_a_book_without_any_page_is_not_made(world: World) -> None:
    world.volume(FOLDER)
    world.server.faults.add("status", PATH, code=404, on="file")
    assert world.run().status == 3
    assert command(world, "bind", PATH, "--without-missing").status == 2
    assert KEY not in world.books()


def moved(world: World) -> None:
    bound(world)
    world.comics.joinpath("Series").rename(world.comics / "New")
    assert world.run().status == 0


def test_a_moved_volume_has_no_book_to_delete(world: World) -> None:
    moved(world)
    assert command(world, "forget", PATH, "--delete-book").status == 2
    run = world.run()
    assert (run.status, KEY in world.books()) == (0, True)


def test_a_key_means_the_volume_whose_book_stands_there(world: World) -> None:
    moved(world)
    assert command(world, "bind", KEY, "--rename").status == 0


def test_status_says_gone(world: World) -> None:
    bound(world)
    shutil.rmtree(world.comics / FOLDER)
    assert [volume["state"] for volume in world.run().document["waiting"]] == ["gone"]
    assert command(world, "status", PATH).out.startswith("gone ")


def test_a_waiver_that_ended_is_not_told(world: World) -> None:
    waived(world)
    world.write(f"{FOLDER}/2.png", png("better"))
    assert world.run().keys("bound") == [KEY]
    assert "waived" not in command(world, "status", PATH).out


def test_bytes_fetched_are_those_that_came(world: World) -> None:
    world.values["subscription.archives"] = "copy"
    world.values["bind.give_up_epochs"] = 3
    out = io.BytesIO()
    with ZipFile(out, "w") as book:
        book.writestr("1.jpg", random.Random(1).randbytes(9 << 20))
    world.write("Series/Vol 1.cbz", out.getvalue())
    world.server.faults.add("cut", PATH + ".cbz", after=8 << 20, times=1)
    world.server.faults.add("cut", PATH + ".cbz", after=0, skip=1)
    assert world.run().status == 3
    world.server.faults.clear()
    run = world.run()
    assert run.status == 0
    assert run.document["bytes_fetched"] < 2 << 20
