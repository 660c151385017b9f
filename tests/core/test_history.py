from __future__ import annotations

from pagebind.core import keys
from pagebind.core.history import History, final_failures
from pagebind.core.keys import FailureMark, ManifestMark, ReceiptMark, SentMark

DAY = 86400.0


def manifest(seq: int, revision: str) -> ManifestMark:
    return ManifestMark(seq, revision, "k")


def test_the_highest_seq_is_the_newest() -> None:
    history = History(manifests=[manifest(1, "a"), manifest(3, "a"), manifest(2, "b")])

    assert history.head == manifest(3, "a")
    assert not history.ambiguous


def test_without_a_manifest_there_is_no_newest() -> None:
    assert History().head is None
    assert not History().ambiguous


def test_of_one_seq_twice_neither_settles() -> None:
    history = History(manifests=[manifest(1, "x"), manifest(2, "a"), manifest(2, "b")])

    assert history.ambiguous


def test_of_one_seq_twice_the_sent_one_counts() -> None:
    history = History(manifests=[manifest(2, "a"), manifest(2, "b")], sent=[SentMark(2, "b", 1)])

    assert not history.ambiguous
    assert history.head == manifest(2, "b")
    assert history.of_seq(2) == manifest(2, "b")
    assert history.revision_of(2) == "b"


def test_of_one_seq_sent_twice_nobody_knows_which_the_book_is() -> None:
    """Two polls at once, where listings settle at once. The next listing is appended, and bound over either."""
    both = [SentMark(2, "a", 1), SentMark(2, "b", 1)]
    history = History(manifests=[manifest(2, "a"), manifest(2, "b")], sent=both, receipts=[ReceiptMark(2, "v")])

    assert history.ambiguous
    assert history.revision_of(2) is None
    assert not history.was_bound(manifest(3, "a"))


def test_the_same_listing_recorded_twice_is_no_contradiction() -> None:
    assert not History(manifests=[manifest(1, "a"), ManifestMark(1, "a", "other key")]).ambiguous


def test_an_older_seq_that_stands_twice_is_past() -> None:
    assert not History(manifests=[manifest(1, "a"), manifest(1, "b"), manifest(2, "c")]).ambiguous


def test_epochs_are_those_of_the_very_manifest() -> None:
    history = History(sent=[SentMark(1, "a", 1), SentMark(2, "a", 1), SentMark(2, "b", 1), SentMark(2, "b", 2)])

    assert history.epochs(manifest(2, "b")) == [SentMark(2, "b", 1), SentMark(2, "b", 2)]
    assert history.epochs(manifest(3, "b")) == []


def test_a_receipt_is_found_by_the_version_of_the_book() -> None:
    first, second = ReceiptMark(1, keys.version_digest("v1")), ReceiptMark(2, keys.version_digest("v2"))
    again = ReceiptMark(3, keys.version_digest("v1"))
    history = History(receipts=[first, again, second])

    assert history.receipt_for("v2") == second
    assert history.receipt_for("v1") == again
    assert history.receipt_for("v3") is None


def failures(*marks: tuple[int, int, float]) -> list[FailureMark]:
    return [FailureMark("page", seq, epoch, created) for seq, epoch, created in marks]


def final(marks: list[FailureMark], now: float) -> set[str]:
    return final_failures(marks, now=now, epochs=3, after=DAY)


def test_a_failure_is_final_after_epochs_and_time() -> None:
    three = failures((1, 1, 0.0), (1, 2, 10.0), (1, 3, 20.0))

    assert final(three, DAY) == {"page"}
    assert final(three, DAY - 1) == set()
    assert final(three[:2], 10 * DAY) == set()


def test_epochs_of_several_seqs_count_together() -> None:
    assert final(failures((1, 1, 0.0), (2, 1, 0.0), (3, 1, 0.0)), DAY) == {"page"}


def test_pages_fail_each_for_itself() -> None:
    marks = [FailureMark(page, 1, epoch, 0.0) for page in ("a", "b") for epoch in (1, 2, 3)]

    assert final(marks[:5], DAY) == {"a"}
