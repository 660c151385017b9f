from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core import keys
from pagebind.core.keys import DecisionMark, FailureMark, ManifestMark, ReceiptMark, SentMark

paths = st.lists(st.text(min_size=1, max_size=8).filter(lambda t: "/" not in t), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@given(path=paths)
def test_an_id_is_safe_on_every_store(path: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", keys.volume_id(path))
    assert len(keys.volume_id(path)) <= 40 + 1 + 12


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/comics/One Piece/Vol. 01", "one-piece-vol-01"),
        ("/comics/Café/Ⅳ", "cafe-iv"),
        ("/漫画/第1話", "1"),
        ("/漫画/話", "volume"),
        ("/a/" + "x" * 60, "a-" + "x" * 38),
    ],
)
def test_an_id_can_be_read(path: str, slug: str) -> None:
    assert keys.volume_id(path).rpartition("-")[0] == slug


@given(one=paths, other=paths)
def test_different_paths_have_different_ids(one: str, other: str) -> None:
    assert (keys.volume_id(one) == keys.volume_id(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("A/x.cbz", "a/X.CBZ", True),
        ("Stra\u00dfe.cbz", "STRASSE.cbz", True),
        ("e\u0301.cbz", "\u00e9.cbz", True),
        ("\u00c9.cbz", "e\u0301.cbz", True),
        ("a.cbz", "b.cbz", False),
        ("a/b.cbz", "ab.cbz", False),
    ],
)
def test_keys_collide_without_case_and_form(one: str, other: str, alike: bool) -> None:
    assert (keys.library_digest(one) == keys.library_digest(other)) is alike


@given(seq=st.integers(1, 999_999), epoch=st.integers(1, 9999), created=st.floats(0, 1e10))
def test_marks_survive_their_keys(seq: int, epoch: int, created: float) -> None:
    manifest = ManifestMark(seq, "0123abcd", "feed", created)
    sent = SentMark(seq, "0123abcd", epoch, created)
    failure = FailureMark("page", seq, epoch, created)

    assert keys.parse_manifest(keys.manifest_key("v", manifest), created) == manifest
    assert keys.parse_sent(keys.sent_key("v", sent), created) == sent
    assert keys.parse_failure(keys.failure_key("v", failure), created) == failure
    receipt = ReceiptMark(seq, keys.version_digest("some/version"), epoch, created)
    assert keys.parse_receipt(keys.receipt_key("v", receipt), created) == receipt
    decision = DecisionMark(seq, "replace", keys.version_digest("some/version"), created)
    assert keys.parse_decision(keys.decision_key("v", decision), created) == decision
    assert keys.parse_decision(keys.decision_key("v", decision._replace(subject=""))) == DecisionMark(seq, "replace")


@pytest.mark.parametrize("name", ["x", "x.json", "a.b.c.d", "1.r.json", "x.r.k.json", "1.2.3.4.5", ""])
def test_other_objects_are_no_marks(name: str) -> None:
    key = f"anything/v/{name}"

    assert keys.parse_manifest(key) is None
    assert keys.parse_failure(key) is None
    assert keys.parse_receipt(key) is None
    assert keys.parse_sent(key) is None


@given(one=st.integers(1, 999_999), other=st.integers(1, 999_999))
def test_the_order_of_keys_is_the_order_of_events(one: int, other: int) -> None:
    first, second = (keys.manifest_key("v", ManifestMark(seq, "r", "k")) for seq in (one, other))

    assert (first < second) == (one < other)


@given(one=st.integers(0, 10**12), later=st.integers(1, 10**9))
def test_the_newest_run_comes_first(one: int, later: int) -> None:
    assert keys.run_key((one + later) / 1000 + 0.0005, "x") < keys.run_key(one / 1000 + 0.0005, "x")


def test_keys_are_taken_apart() -> None:
    assert keys.volume_of(keys.entry_key("vol", "page")) == "vol"
    assert keys.volume_of("runs/123.json") == ""
    assert keys.page_of(keys.entry_key("vol", "page")) == "page"
    assert keys.page_of(keys.data_key("vol", "page", "nonce")) is None
