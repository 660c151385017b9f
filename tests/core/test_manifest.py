from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core import manifest
from pagebind.core.manifest import Manifest, Page, keep_identities, lacking, pages_of, revision_of
from pagebind.core.model import About, Item

if TYPE_CHECKING:
    from collections.abc import Collection

T1, T2 = "2024-01-01T00:00:00Z", "2024-06-01T00:00:00Z"

items = st.builds(
    Item,
    st.text("019aA é頁", min_size=1, max_size=4).map(lambda stem: f"{stem}.jpg"),
    st.integers(0, 3),
    modified=st.sampled_from([T1, T2]),
    hash_info=st.sampled_from([None, {}, {"md5": "AB"}, {"md5": "cd", "sha1": "ef"}, {"sha256": ""}]),
)
listings = st.lists(items, max_size=8, unique_by=lambda item: item.name)


def pages(
    count: int = 10, *, modified: str = T1, hashes: dict[str, str] | None = None, moved: Collection[int] = ()
) -> list[Item]:
    """A folder of pages of one size; those ``moved`` have another time."""
    return [
        Item(f"{n:03}.jpg", 100, modified=T2 if n in moved else modified, hash_info=hashes) for n in range(1, count + 1)
    ]


@given(listing=listings, seed=st.integers(0, 2**32))
def test_any_order_of_a_listing_gives_the_same_revision(listing: list[Item], seed: int) -> None:
    shuffled = list(listing)
    random.Random(seed).shuffle(shuffled)

    assert pages_of(shuffled) == pages_of(listing)
    assert revision_of(pages_of(shuffled)) == revision_of(pages_of(listing))


@given(one=listings, other=listings)
def test_only_equal_lists_are_the_same_revision(one: list[Item], other: list[Item]) -> None:
    identities = [{(p.name, p.size, p.mark) for p in pages_of(listing)} for listing in (one, other)]

    assert (revision_of(pages_of(one)) == revision_of(pages_of(other))) == (identities[0] == identities[1])


@given(listing=listings)
def test_every_page_of_a_folder_has_an_id_of_its_own(listing: list[Item]) -> None:
    ids = [page.id for page in pages_of(listing)]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("hashes", "mark"),
    [
        (None, f"time:{T1}"),
        ({"md5": ""}, f"time:{T1}"),
        ({"md5": "AB"}, "md5:ab"),
        ({"md5": "ab", "sha1": "cd"}, "sha1:cd"),
        ({"sha256": "ef", "sha1": "cd"}, "sha256:ef"),
        ({"gcid": "ab"}, f"time:{T1}"),
    ],
)
def test_what_tells_versions_of_a_page_apart(hashes: dict[str, str] | None, mark: str) -> None:
    assert pages_of([Item("1.jpg", 1, modified=T1, hash_info=hashes)])[0].mark == mark


def test_a_time_is_the_same_in_every_zone() -> None:
    ids = {
        pages_of([Item("1.jpg", 1, modified=text)])[0].mark
        for text in ("2024-01-01T08:00:00+08:00", "2024-01-01T00:00:00+00:00")
    }

    assert len(ids) == 1


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00+08:00"])
def test_a_time_that_is_none_is_taken_as_it_is(text: str) -> None:
    assert pages_of([Item("1.jpg", 1, modified=text)])[0].mark == f"time:{text}"


# -- identities that stay


def revision_after(new: list[Item], old: list[Item]) -> str:
    return revision_of(keep_identities(pages_of(new), pages_of(old)))


def is_same(new: list[Item], old: list[Item]) -> bool:
    return revision_after(new, old) == revision_of(pages_of(old))


@given(listing=listings)
def test_an_unchanged_listing_keeps_all(listing: list[Item]) -> None:
    assert keep_identities(pages_of(listing), pages_of(listing)) == pages_of(listing)


@pytest.mark.parametrize(
    ("moved", "count", "same"),
    [(10, 10, True), (6, 10, True), (5, 10, False), (1, 10, False), (4, 4, True), (3, 3, False), (4, 7, True)],
)
def test_times_are_made_up_if_most_of_them_move(moved: int, count: int, same: bool) -> None:
    new = pages(count, moved=range(1, moved + 1))

    assert is_same(new, pages(count)) is same


def test_only_the_page_with_another_time_is_another() -> None:
    old, new = pages_of(pages()), keep_identities(pages_of(pages(moved=[3])), pages_of(pages()))

    assert [a.id == b.id for a, b in zip(old, new, strict=True)] == [n != 3 for n in range(1, 11)]


def test_made_up_times_do_not_hide_another_size() -> None:
    new = pages(modified=T2)
    new[2] = Item("003.jpg", 101, modified=T2)

    kept = keep_identities(pages_of(new), pages_of(pages()))

    assert [page.mark for page in kept if page.name != "003.jpg"] == [f"time:{T1}"] * 9
    assert kept[2].mark == f"time:{T2}"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (None, {"md5": "aa"}, True),
        ({"md5": "aa"}, None, True),
        ({"md5": "aa"}, {"sha1": "bb"}, True),
        ({"md5": "aa"}, {"md5": "AA", "sha256": "bb"}, True),
        ({"md5": "aa"}, {"md5": "bb"}, False),
        ({"md5": "aa"}, {"md5": "bb", "sha1": "cc"}, False),
    ],
)
def test_hashes_that_appear_vanish_or_change_kind(
    old: dict[str, str] | None, new: dict[str, str] | None, same: bool
) -> None:
    assert is_same(pages(hashes=new), pages(hashes=old)) is same


@pytest.mark.parametrize(("old", "new"), [(None, {"md5": "aa"}), ({"md5": "aa"}, {"sha1": "bb"})])
def test_without_a_common_hash_the_time_decides(old: dict[str, str] | None, new: dict[str, str]) -> None:
    assert not is_same(pages(3, modified=T2, hashes=new), pages(3, hashes=old))


def test_an_agreeing_hash_outweighs_the_time() -> None:
    assert is_same(pages(modified=T2, hashes={"md5": "aa"}), pages(hashes={"md5": "aa"}))


def test_a_differing_hash_outweighs_made_up_times() -> None:
    old, new = pages(hashes=None), pages(modified=T2)
    old[0] = Item("001.jpg", 100, modified=T1, hash_info={"md5": "aa"})
    new[0] = Item("001.jpg", 100, modified=T1, hash_info={"md5": "bb"})

    kept = keep_identities(pages_of(new), pages_of(old))

    assert [page.mark for page in kept] == ["md5:bb"] + [f"time:{T1}"] * 9


@given(old=listings, new=listings)
def test_only_marks_are_kept(old: list[Item], new: list[Item]) -> None:
    listed, kept = pages_of(new), keep_identities(pages_of(new), pages_of(old))

    assert [(p.name, p.book_name, p.size, p.modified, p.hashes) for p in kept] == [
        (p.name, p.book_name, p.size, p.modified, p.hashes) for p in listed
    ]
    known = {p.mark for p in pages_of(old)}
    assert all(k.mark in (p.mark, *known) for k, p in zip(kept, listed, strict=True))


# -- shrinking


def nothing(_name: str) -> bool:
    return False


def test_what_a_listing_lacks_is_judged_by_stem() -> None:
    reference = pages_of([Item(name, 1) for name in ("1.jpg", "2.jpg", "3.jpg")])
    better = pages_of([Item(name, 1) for name in ("1.webp", "3.png")])

    assert lacking(better, reference, explained=nothing) == ["2.jpg"]
    assert lacking(better, reference, explained=lambda name: name == "2.jpg") == []
    assert lacking(reference, better, explained=nothing) == []


# -- the document


@given(listing=listings, text=st.text())
def test_a_manifest_survives(listing: list[Item], text: str) -> None:
    one = Manifest("v", text, "/c", text, About(text, text), 3, "r", pages_of(listing))

    assert manifest.load(manifest.dump(one)) == one


def test_a_manifest_holds_no_sign() -> None:
    content = manifest.dump(
        Manifest("v", "/p", "/c", "k", About("s", "t"), 1, "r", pages_of([Item("1.jpg", 1, sign="open-sesame")]))
    )

    assert b"sesame" not in content
    assert manifest.load(content).pages[0].sign == ""
    assert "sesame" not in repr(pages_of([Item("1.jpg", 1, sign="open-sesame")]))


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"[]", b"{}", b"\xff\xfe", json.dumps({"pages": [[1]]}).encode()])
def test_anything_else_is_no_manifest(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own message stands in it
        manifest.load(content)


def test_a_page_is_told_by_its_name_in_the_book_its_size_and_its_mark() -> None:
    page = Page("1.jpg", "1.jpg", 5, "md5:aa")
    others = [
        Page("1.jpg", "0001_1.jpg", 5, "md5:aa"),
        Page("1.jpg", "1.jpg", 6, "md5:aa"),
        Page("1.jpg", "1.jpg", 5, "md5:ab"),
    ]

    assert page.id not in {other.id for other in others}
    assert page.id == Page("0.jpg", "1.jpg", 5, "md5:aa", T1, {"md5": "aa"}).id
