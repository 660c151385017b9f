"""Runs whose walk takes longer than a stretch: what was seen is bound meanwhile, and nothing else is different."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.app.world import TEMPLATE, World
from tests.support.memory_source import MemorySource

from pagebind.core.layout_pattern import parse_layout
from pagebind.core.model import Item
from pagebind.core.planner import State
from pagebind.core.watch import Watch
from pagebind.errors import AuthRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pagebind.app.result import RunResult

DEEP = 50
"""Less than the levels at which a tree is taken for one that lies in itself."""


class Slow(MemorySource):
    """Each listing takes some seconds. Its folder ``/c/M pit`` holds two folders, and so does each of these."""

    world: World
    seconds = 1.0
    wide = 2
    shelves: list[list[str]]

    def list(self, path: str, *, password: str = "", refresh: bool = False) -> Sequence[Item]:
        self.world.clock.advance(self.seconds)
        if "/M pit" not in path:
            listed = MemorySource.list(self, path)
            pit = [] if path != "/c" or not self.wide else [Item("M pit", is_dir=True)]
            return [*(item for item in listed if item.name != "M pit"), *pit]
        self.listed.append((path, refresh))
        self.shelves.append(self.world.shelf())
        names = range(self.wide if path.count("/") < DEEP else 0)
        return [Item(f"{name}.{len(self.listed)}", is_dir=True) for name in names]


def slow(world: World, *, seconds: float = 1.0, wide: int = 0) -> Slow:
    source = Slow(files=world.source.files)
    source.world, source.seconds, source.wide, source.shelves = world, seconds, wide, []
    world.source = source
    return source


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(("seconds", "in_order", "wide"), [(1.0, 10_000, 2), (0.0, 200, 2), (1.0, 10_000, 10)])
def test_a_tree_without_end_keeps_no_other_volume_from_its_book(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, in_order: int, wide: int
) -> None:
    """A is met before the tree, and z after it; the tree is walked for as long as a subscription may take."""
    monkeypatch.setattr("pagebind.app.walk._MOST_FOLDERS", 1_200)
    monkeypatch.setattr("pagebind.app.agenda._IN_ORDER", in_order)
    for name in ("A", "z"):
        world.source.folder(f"/c/{name}/Vol 1", "1.jpg")
    world.source.folder("/c/M pit/known", "1.jpg")
    world.run()
    for name in ("A", "z"):
        world.source.folder(f"/c/{name}/Vol 2", "1.jpg")
    source = slow(world, seconds=seconds, wide=wide)

    result = world.run()

    assert {v.path for v in result.bound} == {"/c/A/Vol 2", "/c/z/Vol 2"}
    assert len(source.listed) == 1_200
    if seconds:
        assert world.shelf() == source.shelves[1_100], "all are bound after two stretches of 480 seconds"
    assert {path for path, _ in source.listed[: in_order // 2 + 600]} >= {"/c/A/Vol 2", "/c/z/Vol 2"}
    assert [problem.code for problem in result.problems] == ["listing_failed"]
    assert "/c has more than 1,200 folders: /c/M pit/" in result.problems[0].message
    assert {v.path: v.state for v in result.up_to_date}["/c/M pit/known"] == State.BOUND, "it is not gone"


def test_folders_that_are_only_met_are_not_kept_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagebind.app.walk._MOST_MET", 1_000)
    world.source.folder("/c/A", "1.jpg")
    source = slow(world, wide=400)
    result = world.run()
    assert len(source.listed) <= 2 + 1 + 2 * 400, "those in the two that fit, none below them"
    assert [volume.path for volume in result.bound] == ["/c/A"]
    assert [problem.code for problem in result.problems] == ["listing_failed"]


class Told(NamedTuple):
    """What one run told of all volumes, what it listed, and what stands in the library then."""

    volumes: dict[str, tuple[str, str, str]]
    listed: list[tuple[str, bool]]
    shelf: list[str]


def told(result: RunResult) -> dict[str, tuple[str, str, str]]:
    volumes = (*result.bound, *result.up_to_date, *result.waiting, *result.held)
    return {v.path: (v.state, v.key, v.reason) for v in volumes}


def history(world: World, seconds: float) -> list[Told]:
    """Three runs; after the first volumes come, change, move and go."""
    merged = Watch("/m", TEMPLATE, layout=parse_layout("{series}/{volume}/{chapter}"))
    world.watches = (Watch("/c", TEMPLATE, archives="copy"), merged)
    files = world.source
    for path in ("/c/A/Vol 1", "/c/A/Vol 2", "/c/B", "/c/B/Extra", "/c/L", "/c/N/N/N", "/m/S/1/a", "/m/S/1/b"):
        files.folder(path, f"{path[-1]}.jpg", "2.jpg")
    for path in ("/m/S/2/a", "/c/G", "/c/Z/Vol 9"):
        files.folder(path, "1.jpg")
    files.add("/c/Z/Vol 9.cbz", b"no archive at all")
    source = slow(world, seconds=seconds)

    def run() -> Told:
        before = len(source.listed)
        result = world.run()
        assert result.error is None
        return Told(told(result), sorted(source.listed[before:]), world.shelf())

    runs = [run()]
    for file in [one for one in source.files if one.startswith(("/c/A/Vol 2/", "/c/G/", "/m/S/2/"))]:
        former = source.files.pop(file)
        if "Vol 2" in file:
            source.files[file.replace("Vol 2", "Vol 3")] = former
    source.add("/c/A/Vol 1/0.jpg", b"another")
    source.folder("/c/Y/new", "new.jpg")
    return [*runs, run(), run()]


def test_a_run_of_many_stretches_tells_what_one_of_a_single_stretch_tells(tmp_path: Path) -> None:
    """But of what moved: listed before it is known that the old folder is gone, it is fetched like any other."""
    at_once, slowly = (history(World(tmp_path / str(seconds)), seconds) for seconds in (0.0, 100.0))
    assert slowly[0] == at_once[0]
    assert [run.listed for run in slowly] == [run.listed for run in at_once]
    for one, other in zip(slowly, at_once, strict=True):
        for path in one.volumes.keys() - {"/c/A/Vol 2", "/c/A/Vol 3"}:
            assert one.volumes[path] == other.volumes[path]
    states = {path: state for path, (state, _, _) in slowly[1].volumes.items()}
    assert (states["/c/G"], states["/m/S/2"], states["/c/A/Vol 2"]) == (State.GONE, State.GONE, State.GONE)
    assert slowly[2].shelf == sorted([*at_once[2].shelf, "A/Vol 3.cbz"])


def test_a_limit_counts_over_all_stretches(world: World) -> None:
    for name in "ABCD":
        world.source.folder(f"/c/{name}", "1.jpg")
    slow(world, seconds=300.0)
    result = world.run(limit=2)
    assert len(result.bound) == 2
    assert len(result.waiting) == 2


def test_what_was_seen_is_bound_before_the_credentials_are_refused(world: World) -> None:
    for name in "ABCDEF":
        world.source.folder(f"/c/{name}", "1.jpg")
    source = slow(world, seconds=300.0)
    source.failing["/c/F"] = AuthRefused("refused")
    result = world.run()
    assert isinstance(result.error, AuthRefused)
    assert "A/A.cbz" in world.shelf()
    assert State.GONE not in {state for state, _, _ in told(result).values()}
