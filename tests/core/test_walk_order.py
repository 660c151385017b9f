"""The order of walks, and stretches of it, against what they mean on a small tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.walk_order import EVERYTHING, Stretch, above, left_over, place

NAMES = ("A", "B", "B b", "B-b")
TREE = ["/", *(f"/{a}" for a in NAMES), *(f"/{a}/{b}" for a in NAMES for b in NAMES)]
PATHS = st.sampled_from(TREE)
STRETCHES = st.builds(Stretch, st.sampled_from(["", *TREE]), st.sampled_from(["", *TREE]))


def inside(stretch: Stretch) -> set[str]:
    return {
        path
        for path in TREE
        if place(path) >= place(stretch.begin) and (not stretch.end or place(path) < place(stretch.end))
    }


def test_what_lies_below_a_folder_follows_it_at_once() -> None:
    walked: list[str] = []

    def walk(folder: str) -> None:
        walked.append(folder)
        for path in sorted(path for path in TREE if path != "/" and next(above(path)) == folder):
            walk(path)

    walk("/")

    assert sorted(TREE, key=place) == walked


@given(STRETCHES, PATHS)
def test_a_stretch_touches_what_has_something_at_or_after_its_begin(stretch: Stretch, folder: str) -> None:
    own_and_below = {folder, stretch.begin} & {path for path in TREE if folder in {path, *above(path)}}

    assert stretch.touches(folder) == any(place(path) >= place(stretch.begin) for path in own_and_below)


@given(STRETCHES, PATHS)
def test_a_stretch_holds_a_folder_with_all_below(stretch: Stretch, folder: str) -> None:
    own_and_below = {path for path in TREE if folder in {path, *above(path)}}
    ends_inside = bool(stretch.end) and folder in above(stretch.end) and stretch.end != "/"

    assert stretch.holds_all_of(folder) == (own_and_below <= inside(stretch) and not ends_inside)


@given(st.lists(STRETCHES, max_size=5))
def test_what_is_left_over_was_not_walked(walked: list[Stretch]) -> None:
    gaps = [EVERYTHING]
    for stretch in walked:
        gaps = left_over(gaps, stretch)

    assert set().union(*map(inside, gaps)) == set(TREE).difference(*map(inside, walked))
    assert all(inside(gap) for gap in gaps if gap.end)


@pytest.mark.parametrize(("path", "folders"), [("/", []), ("/c", ["/"]), ("/c/A/1", ["/c/A", "/c", "/"])])
def test_the_folders_above_a_path(path: str, folders: list[str]) -> None:
    assert [*above(path)] == folders
