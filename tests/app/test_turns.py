"""Folders that take turns: none is forgotten, and none keeps another waiting."""

from __future__ import annotations

from collections import Counter
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from pagebind.app.turns import Turns
from pagebind.app.walk import Start
from pagebind.core.walk_order import above
from pagebind.core.watch import Watch

WATCH = Watch("/c", "{series}/{volume}.cbz")
PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda names: "/c/" + "/".join(names))


def alone(path: str) -> str:
    return path


def drained(turns: Turns) -> list[str]:
    return [start.path for start in iter(turns.take, None)]


@given(st.lists(PATHS, unique=True), st.integers(0, 20))
def test_each_folder_comes_once_whenever_it_was_met(paths: list[str], early: int) -> None:
    turns = Turns(alone)
    for path in paths:
        turns.add(Start(WATCH, path))
    came = [start.path for _, start in zip(range(early), iter(turns.take, None), strict=False)]
    for path in came:
        turns.add(Start(WATCH, f"{path}/new"))
    assert sorted(came + drained(turns)) == sorted([*paths, *(f"{path}/new" for path in came)])


@given(st.sets(PATHS, min_size=2))
def test_of_two_folders_side_by_side_neither_comes_twice_more_than_the_other(paths: set[str]) -> None:
    turns = Turns(alone)
    for path in paths:
        turns.add(Start(WATCH, path))
    left = Counter(folder for path in paths for folder in (path, *above(path)))
    came: Counter[str] = Counter()
    for path in drained(turns):
        for folder in (path, *above(path)):
            came[folder] += 1
        for one in left:
            for other in left:
                beside = one.rpartition("/")[0] == other.rpartition("/")[0]
                if beside and came[other] < left[other]:
                    assert came[one] <= came[other] + 1, (one, other)


def test_trees_without_end_leave_the_others_their_turns() -> None:
    turns, new = Turns(alone), count()
    for path in ("/c/a pit", "/c/good", "/c/pit"):
        turns.add(Start(WATCH, path))
    came: list[str] = []
    while "/c/good/99" not in came:
        start = turns.take()
        assert start is not None
        came.append(start.path)
        below = [f"{start.path}/{next(new)}" for _ in range(100)] if "pit" in start.path else []
        for path in [f"/c/good/{number}" for number in range(100)] if start.path == "/c/good" else below:
            turns.add(Start(WATCH, path))
    assert len(came) <= 3 * 101


def test_the_folders_of_one_volume_come_one_after_the_other() -> None:
    turns = Turns(lambda path: "/".join(path.split("/")[:3]))
    for path in ("/c/a", "/c/b", "/c/a/1", "/c/b/1", "/c/b/2", "/c/a/2"):
        turns.add(Start(WATCH, path))
    assert drained(turns) == ["/c/a/1", "/c/a/2", "/c/b/1", "/c/b/2", "/c/a", "/c/b"]


def test_no_tree_below_one_volume_comes_before_all_others() -> None:
    turns = Turns(lambda path: "/".join(path.split("/")[:3]))
    for path in ("/c/a/1/2/3", "/c/b"):
        turns.add(Start(WATCH, path))
    turns.take()
    turns.add(Start(WATCH, "/c/a/1/2/3/4"))
    assert turns.take() == Start(WATCH, "/c/b")
