"""The walk: what is seen, what is unknown, and what is no book at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.memory_source import MemorySource

from pagebind.core import keys
from pagebind.core.model import Item
from pagebind.core.planner import Action, State
from pagebind.core.watch import Watch
from pagebind.errors import AuthRefused, ListingFailed, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.app.world import Polled, World

TEMPLATE = "{series}/{volume}.cbz"


def states(polled: Polled) -> dict[str, str]:
    return {a.sighting.path: a.verdict.state.value for a in polled.round.assessments}


def keys_of(polled: Polled) -> dict[str, str]:
    waiting = (a for a in polled.round.assessments if a.verdict.state is State.WAITING)
    return {a.sighting.path: a.sighting.key for a in waiting}


def manifests(world: World) -> list[str]:
    return world.names(keys.MANIFESTS)


# -- folder trees to library keys


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["1.jpg", "2.jpg", "3.jpg"], {"/c": "c/c.cbz"}),
        (["A/1.jpg"], {"/c/A": "A/A.cbz"}),
        (["A/1/1.jpg", "A/2/1.jpg"], {"/c/A/1": "A/1.cbz", "/c/A/2": "A/2.cbz"}),
        (["X/A/1/1.jpg"], {"/c/X/A/1": "A/1.cbz"}),
        (["A/1/jpg/1.jpg"], {"/c/A/1/jpg": "A/1.cbz"}),
        (["A/1/Scans/1.jpg"], {"/c/A/1/Scans": "A/1.cbz"}),
        (["A/cover.jpg", "A/1/1.jpg"], {"/c/A/1": "A/1.cbz"}),
        (["A/a.jpg", "A/b.jpg", "A/1/1.jpg"], {"/c/A/1": "A/1.cbz"}),
        (["A/a.jpg", "A/b.jpg", "A/c.jpg", "A/1/1.jpg"], {"/c/A": "A/A.cbz", "/c/A/1": "A/1.cbz"}),
        (["A/a.jpg", "A/notes/readme.txt"], {"/c/A": "A/A.cbz"}),
        (["A/a.jpg", "A/B/b.jpg", "A/B/C/readme.txt"], {"/c/A/B": "A/B.cbz"}),
        (["A/1.jpg", "A/__MACOSX/._1.jpg", "A/@eaDir/1.jpg"], {"/c/A": "A/A.cbz"}),
        (["A/1.cbz", "A/2.zip"], {}),
        (["A/1.jpg", "A/book.cbz"], {"/c/A": "A/A.cbz"}),
        (["A/readme.txt"], {}),
    ],
)
def test_folder_trees_to_library_keys(world: World, files: list[str], expected: dict[str, str]) -> None:
    for file in files:
        world.source.add(f"/c/{file}")

    assert keys_of(world.poll()) == expected


@pytest.mark.parametrize(
    ("files", "path", "why"),
    [
        (["A/cover.jpg", "A/1/1.jpg"], "/c/A", "1 loose picture"),
        (["A/1.cbz", "A/2.zip"], "/c/A", "2 archives"),
    ],
)
def test_what_is_no_book_is_said_to_be_ignored(world: World, files: list[str], path: str, why: str) -> None:
    for file in files:
        world.source.add(f"/c/{file}")

    verdict = world.poll().of(path).verdict

    assert verdict.state is State.IGNORED
    assert why in verdict.reason


def test_excluded_folders_are_not_entered(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/c/raw/B", "1.jpg")
    world.exclude(lambda path, is_dir: is_dir and path == "raw")

    polled = world.poll()

    assert states(polled) == {"/c/A": "waiting", "/c/raw": "ignored"}
    assert [path for path, _ in world.source.listed] == ["/c", "/c/A"]


def test_excluded_pages_are_no_pages(world: World) -> None:
    world.source.folder("/c/A", "1.jpg", "zz.jpg")
    world.source.folder("/c/B", "zz.jpg")
    world.exclude(lambda path, is_dir: path.endswith("/zz.jpg"))

    polled = world.poll()

    assert polled.of("/c/A").sighting.pages == 1
    assert states(polled)["/c/B"] == "ignored"


def test_a_subscription_in_another_keeps_its_own_settings(world: World) -> None:
    inner = Watch("/c/A", "x/{volume}.cbz", excluded=lambda name, is_dir: name == "bad")
    world.watches = (Watch("/c", TEMPLATE), inner)
    world.source.folder("/c/A/1", "1.jpg")
    world.source.folder("/c/A/bad", "1.jpg")
    world.source.folder("/c/B", "1.jpg")

    polled = world.poll()

    assert states(polled) == {"/c/A/1": "waiting", "/c/A/bad": "ignored", "/c/B": "waiting"}
    assert polled.of("/c/A/1").sighting.key == "x/1.cbz"
    assert sorted(path for path, _ in world.source.listed) == ["/c", "/c/A", "/c/A/1", "/c/B"]


def test_a_subscription_in_what_another_excludes_is_walked(world: World) -> None:
    world.watches = (Watch("/c", TEMPLATE, excluded=lambda name, is_dir: name == "A"), Watch("/c/A", TEMPLATE))
    world.source.folder("/c/A", "1.jpg")

    assert states(world.poll()) == {"/c/A": "waiting"}
    assert states(world.poll("/c")) == {"/c/A": "waiting"}


class Loop(MemorySource):
    """Its folder ``/c/loop`` holds itself, twice."""

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        inside = [Item("loop", is_dir=True), Item("again", is_dir=True)]
        return inside if "loop" in path else [*super().list(path), inside[0]]


def test_a_folder_that_lies_in_itself_ends_somewhere(world: World) -> None:
    world.source = Loop()
    world.source.folder("/c/A", "1.jpg")

    polled = world.poll()

    assert polled.of("/c/A").verdict.state is State.WAITING
    assert {problem.code for problem in polled.poll.survey.problems} == {"listing_failed"}
    assert "lie in itself" in polled.poll.survey.problems[0].message


class Bottomless(MemorySource):
    """Its folder ``/c/pit`` holds two folders with pages, and so does each of these, all of them ever new."""

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        if "/pit" not in path:
            return [*super().list(path), *([Item("pit", is_dir=True)] if path == "/c" else [])]
        self.listed.append((path, refresh))
        return [Item(f"{place}.{len(self.listed)}", is_dir=True) for place in "ab"]


def test_folders_without_end_end_somewhere(world: World) -> None:
    world.source = Bottomless()
    for name in ("A", "z"):
        world.source.folder(f"/c/{name}", "1.jpg")

    polled = world.poll()

    assert [polled.of(f"/c/{name}").verdict.state for name in ("A", "z")] == [State.WAITING, State.WAITING]
    problems = polled.poll.survey.problems
    assert {problem.code for problem in problems} == {"listing_failed"}
    assert any("64 folders deep: nothing more of /c/pit is listed" in problem.message for problem in problems)
    assert len(problems) <= 6
    assert len(world.source.listed) < 64 * 7


def test_a_book_below_folders_without_end_is_not_taken_for_gone(world: World) -> None:
    world.source.folder("/c/pit/a", "1.jpg")
    world.run()
    world.source = Bottomless(files=world.source.files)

    result = world.run()

    assert [(volume.path, volume.state) for volume in result.up_to_date] == [("/c/pit/a", State.BOUND)]
    assert world.shelf() == ["pit/a.cbz"]


def test_a_listing_that_differs_in_times_alone_is_told_so(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.poll()
    world.source.add("/c/A/1.jpg", modified="2025-05-05T05:05:05Z")

    verdict = world.poll().of("/c/A").verdict

    assert verdict.action is Action.SETTLE
    assert "other times or hashes than before" in verdict.reason


# -- what cannot be seen


def test_a_folder_that_fails_is_unknown_and_changes_nothing(world: World) -> None:
    world.source.folder("/c/A", "1.jpg", "2.jpg")
    world.source.folder("/c/B", "1.jpg")
    world.poll()
    world.source.failing["/c/A"] = ListingFailed("the drive is in trouble", path="/c/A")

    polled = world.poll()

    assert len(manifests(world)) == 2
    report = polled.of("/c/A").report()
    assert (report.state, report.action, report.seq, report.pages) == (State.WAITING, Action.NONE, 1, 2)
    assert [(p.code, p.path) for p in polled.poll.survey.problems] == [("listing_failed", "/c/A")]


def test_below_a_folder_that_fails_nothing_is_gone(world: World) -> None:
    world.source.folder("/c/S/1", "1.jpg")
    world.poll()
    world.source.failing["/c/S"] = ListingFailed("no", path="/c/S")

    assert states(world.poll()) == {"/c/S/1": "waiting"}


def test_a_folder_that_vanishes_is_gone(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/c/B", "1.jpg")
    world.poll()
    world.source.remove("/c/B")

    assert states(world.poll()) == {"/c/A": "waiting", "/c/B": "gone"}
    assert len(manifests(world)) == 2


def test_an_empty_listing_is_never_a_manifest(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/c/B")
    world.poll()
    world.source.remove("/c/A/1.jpg")

    assert states(world.poll()) == {"/c/A": "gone"}
    assert len(manifests(world)) == 1


def test_a_volume_that_vanishes_beside_loose_pictures_is_gone_not_ignored(world: World) -> None:
    world.source.folder("/c/A", "cover.jpg")
    world.source.folder("/c/A/1", "1.jpg")
    world.source.folder("/c/A/2", "1.jpg")
    world.poll()
    world.source.remove("/c/A/2")

    assert states(world.poll()) == {"/c/A": "ignored", "/c/A/1": "waiting", "/c/A/2": "gone"}


def test_a_volume_that_the_user_excludes_is_ignored(world: World) -> None:
    world.source.folder("/c/raw/A", "1.jpg")
    world.poll()
    world.exclude(lambda path, is_dir: path == "raw")

    assert states(world.poll())["/c/raw/A"] == "ignored"


def test_a_volume_of_no_subscription_is_unsubscribed(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.poll()
    world.watches = (Watch("/d", TEMPLATE),)
    world.source.folder("/d/B", "1.jpg")

    assert states(world.poll()) == {"/c/A": "unsubscribed", "/d/B": "waiting"}


def test_of_what_was_not_asked_nothing_is_said(world: World) -> None:
    world.source.folder("/c/A", "1.jpg")
    world.source.folder("/c/B", "1.jpg")
    world.poll()
    world.source.remove("/c/B")

    assert states(world.poll("/c/A")) == {"/c/A": "waiting"}


def test_loose_pictures_are_undecided_while_a_folder_below_is_unknown(world: World) -> None:
    world.source.folder("/c/A", "cover.jpg")
    world.source.folder("/c/A/1", "1.jpg")
    world.source.failing["/c/A/1"] = ListingFailed("no", path="/c/A/1")

    world.poll()

    assert manifests(world) == []


# -- servers and credentials out of order


def test_refused_credentials_cost_one_request(world: World) -> None:
    world.watches = (Watch("/c", TEMPLATE), Watch("/d", TEMPLATE), Watch("/e", TEMPLATE))
    world.source.down = AuthRefused("guest access is disabled")

    with pytest.raises(AuthRefused):
        world.poll()

    assert len(world.source.listed) == 1


def test_credentials_refused_midway_end_the_walk(world: World) -> None:
    for number in range(100):
        world.source.folder(f"/c/{number:03}", "1.jpg")
    world.source.failing = {f"/c/{number:03}": AuthRefused("the token was revoked") for number in range(100)}

    with pytest.raises(AuthRefused):
        world.poll()

    assert len(world.source.listed) <= 1 + world.concurrency


def test_a_server_that_is_down_ends_the_walk(world: World) -> None:
    world.source.down = ServerUnreachable("nobody answers")

    with pytest.raises(ServerUnreachable):
        world.poll()


def test_a_server_that_goes_down_midway_ends_the_walk(world: World) -> None:
    for number in range(100):
        world.source.folder(f"/c/{number:03}", "1.jpg")
        world.source.failing[f"/c/{number:03}"] = ServerUnreachable("nobody answers")

    world.source.answering = False
    with pytest.raises(ServerUnreachable):
        world.poll()

    assert len(world.source.listed) < 20


def test_a_drive_that_never_answers_does_not_end_the_walk(world: World) -> None:
    for number in range(100):
        world.source.folder(f"/c/{number:03}", "1.jpg")
        world.source.failing[f"/c/{number:03}"] = ServerUnreachable("504")
    world.source.folder("/c/zzz", "1.jpg")

    polled = world.poll()

    assert polled.of("/c/zzz").verdict.state is State.WAITING
    assert len(polled.poll.survey.problems) == 100
    assert polled.poll.survey.problems[0].message.startswith("/c/")


def test_one_root_that_fails_does_not_stop_the_others(world: World) -> None:
    world.watches = (Watch("/b", TEMPLATE), Watch("/c", TEMPLATE))
    world.source.folder("/c/A", "1.jpg")

    polled = world.poll()

    assert states(polled) == {"/c/A": "waiting"}
    assert [problem.path for problem in polled.poll.survey.problems] == ["/b"]


def test_the_folders_password_goes_along(world: World) -> None:
    world.watches = (Watch("/c", TEMPLATE, password=lambda: "knock"),)
    world.source.folder("/c/A", "1.jpg")

    world.poll()

    assert world.source.passwords == ["knock", "knock"]
