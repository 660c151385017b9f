"""What is needless, and that nothing else is: whatever part of it is gone, every answer is as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagebind.core import keys
from pagebind.core.decisions import Kind
from pagebind.core.garbage import is_orphan, kept_manifests, may_be_littered, needless
from pagebind.core.history import History, final_failures
from pagebind.core.keys import DecisionMark, FailureMark, ManifestMark, ReceiptMark, SentMark
from pagebind.core.shelf import Shelf, ShelfView, is_bound, may_be_adopted

DAY = 86400.0
NOW = 2000 * DAY
V = "v-1"


def manifest(seq: int, revision: str, days_ago: float, key: str = "k") -> ManifestMark:
    return ManifestMark(seq, revision, key, NOW - days_ago * DAY)


def sent(seq: int, revision: str, days_ago: float, epoch: int = 1) -> SentMark:
    return SentMark(seq, revision, epoch, NOW - days_ago * DAY)


def failure(page: str, seq: int, days_ago: float, epoch: int = 1) -> FailureMark:
    return FailureMark(page, seq, epoch, NOW - days_ago * DAY)


def receipt(seq: int, version: str, days_ago: float, decision: int = 0) -> ReceiptMark:
    return ReceiptMark(seq, version, decision, NOW - days_ago * DAY)


def ours(seq: int, revision: str, version: str = "b") -> ShelfView:
    return ShelfView(Shelf.OURS, version, seq, revision, receipted=True)


def named(history: History, view: ShelfView, wanted: set[str] | None = None, epochs: int = 3) -> set[str]:
    """The names of what is needless, without prefix and volume."""
    found = list(needless(V, history, view, NOW, wanted, epochs=epochs))
    assert len(set(found)) == len(found)
    return {key.replace(f"/{V}/", " ") for key in found}


@pytest.fixture
def replaced() -> History:
    """A book that was bound, and replaced 40 days ago by one of another listing."""
    return History(
        manifests=[manifest(1, "a", 100), manifest(2, "b", 41)],
        sent=[sent(1, "a", 99), sent(2, "b", 40)],
        failures=[failure("p", 1, 99), failure("q", 2, 40)],
        receipts=[receipt(1, "a", 98), receipt(2, "b", 40)],
    )


def test_what_a_replaced_book_leaves(replaced: History) -> None:
    assert named(replaced, ours(2, "b")) == {
        "manifests 000001.a.k.json",
        "sent 000001.a.0001",
        "failures p.000001.0001.json",
        "failures q.000002.0001.json",
        "done 000001.a.000000.json",
    }


def test_in_an_order_that_leaves_no_receipt_or_marker_behind(replaced: History) -> None:
    prefixes = [key.partition("/")[0] for key in needless(V, replaced, ours(2, "b"), NOW)]

    assert prefixes == ["done", "failures", "failures", "sent", "manifests"]


def test_an_older_book_that_was_put_back_keeps_its_receipt_and_manifest(replaced: History) -> None:
    assert named(replaced, ours(1, "a", version="a")) == set()


def test_a_book_under_the_former_key_keeps_all_receipts(replaced: History) -> None:
    assert not any(key.startswith("done") for key in named(replaced, ShelfView(Shelf.FREE, elsewhere=True)))


@pytest.mark.parametrize(("days", "gone"), [(29, False), (31, True)])
def test_a_receipt_is_kept_for_a_month_after_the_next(replaced: History, days: float, gone: bool) -> None:
    replaced.receipts[1] = receipt(2, "b", days)

    assert ("done 000001.a.000000.json" in named(replaced, ours(2, "b"))) is gone
    assert ("manifests 000001.a.k.json" in named(replaced, ours(2, "b"))) is gone


def test_a_receipt_of_an_older_decision_is_superseded_too() -> None:
    history = History(manifests=[manifest(1, "a", 90)], receipts=[receipt(1, "a", 80), receipt(1, "b", 40, decision=1)])

    assert named(history, ours(1, "a")) == {"done 000001.a.000000.json"}


@pytest.mark.parametrize(("days", "gone"), [(6, False), (8, True)])
def test_a_listing_is_remembered_for_a_week_after_the_next(days: float, gone: bool) -> None:
    history = History(manifests=[manifest(1, "a", 30), manifest(2, "b", days)])

    assert named(history, ShelfView()) == ({"manifests 000001.a.k.json"} if gone else set())


def test_the_next_listing_counts_not_the_newest() -> None:
    history = History(manifests=[manifest(1, "a", 30), manifest(2, "b", 20), manifest(3, "c", 1)])

    assert named(history, ShelfView()) == {"manifests 000001.a.k.json"}


def test_what_was_sent_and_is_above_the_book_may_still_become_one() -> None:
    history = History(
        manifests=[manifest(1, "a", 60), manifest(2, "b", 50), manifest(3, "c", 40), manifest(4, "d", 30)],
        sent=[sent(1, "a", 60), sent(2, "b", 50)],
        receipts=[receipt(1, "a", 60)],
    )

    assert named(history, ours(1, "a", "a")) == {"manifests 000003.c.k.json"}


@pytest.mark.parametrize(("days", "gone"), [(6, False), (8, True)])
def test_what_was_sent_has_a_week_after_the_next_was(days: float, gone: bool) -> None:
    history = History(
        manifests=[manifest(1, "a", 60), manifest(2, "b", 50)], sent=[sent(1, "a", 60), sent(2, "b", days)]
    )

    assert named(history, ShelfView()) == ({"manifests 000001.a.k.json", "sent 000001.a.0001"} if gone else set())


def test_of_all_that_was_sent_the_newest_stays_whatever_was_listed_after_it() -> None:
    history = History(
        manifests=[manifest(seq, chr(96 + seq), 60 - seq) for seq in range(1, 7)],
        sent=[sent(seq, chr(96 + seq), 60 - seq) for seq in range(1, 5)],
    )

    assert {name for name in named(history, ShelfView()) if name.startswith("manifests")} == {
        f"manifests {seq:06}.{chr(96 + seq)}.k.json" for seq in (1, 2, 3, 5)
    }


def test_a_marker_of_another_listing_outdoes_nothing() -> None:
    history = History(
        manifests=[manifest(1, "a", 60), manifest(2, "b", 50)], sent=[sent(1, "a", 60), sent(2, "lost", 50)]
    )

    assert named(history, ShelfView()) == set()


@pytest.mark.parametrize(("days", "gone"), [(29, False), (31, True)])
def test_receipts_from_before_the_book_was_handed_on_are_kept_for_a_month(days: float, gone: bool) -> None:
    history = History(
        manifests=[manifest(1, "a", 90), manifest(2, "b", 80)],
        receipts=[receipt(1, "a", 90), receipt(2, "b", 80)],
        decisions=[DecisionMark(1, Kind.MOVED, "v-2", NOW - days * DAY)],
    )

    assert named(history, ShelfView(Shelf.TAKEN, "b")) == (
        {"done 000001.a.000000.json", "done 000002.b.000000.json", "manifests 000001.a.k.json"} if gone else set()
    )


def test_a_receipt_that_was_handed_on_and_names_the_highest_seq_stays() -> None:
    history = History(
        manifests=[manifest(1, "a", 90)],
        receipts=[receipt(2, "b", 80)],
        decisions=[DecisionMark(1, Kind.MOVED, "v-2", NOW - 40 * DAY)],
    )

    assert named(history, ShelfView()) == set()


def test_a_receipt_that_was_handed_on_supersedes_none() -> None:
    history = History(
        manifests=[manifest(1, "a", 90), manifest(2, "b", 80)],
        receipts=[receipt(2, "b", 80), receipt(1, "a", 10, decision=1)],
        decisions=[DecisionMark(1, Kind.MOVED, "v-2", NOW - 20 * DAY)],
    )

    assert named(history, ours(1, "a", "other")) == set()


def test_an_accepted_listing_that_came_once_more_stays_twice() -> None:
    history = History(
        manifests=[manifest(1, "a", 60), manifest(2, "b", 50), manifest(3, "a", 40), manifest(4, "c", 30)],
        decisions=[DecisionMark(1, Kind.ACCEPT_SHRINK, "a", NOW - 55 * DAY)],
    )

    assert named(history, ShelfView()) == {"manifests 000002.b.k.json"}


def test_of_a_page_that_fails_for_good_the_first_failure_and_the_newest_stay() -> None:
    history = History(
        manifests=[manifest(9, "i", 2)], failures=[failure("p", seq, 50 - seq) for seq in (1, 2, 3, 4, 5, 6, 9)]
    )

    assert named(history, ShelfView(), epochs=3) == {f"failures p.{seq:06}.0001.json" for seq in (2, 3, 4)}
    assert named(history, ShelfView(), epochs=7) == set()


def test_failures_from_before_a_retry_tell_nothing_more() -> None:
    history = History(
        manifests=[manifest(9, "i", 2)],
        failures=[
            failure("p", 1, 50),
            failure("p", 2, 40),
            failure("p", 3, 20),
            failure("q", 1, 50),
            failure("q", 2, 45),
        ],
        decisions=[DecisionMark(1, Kind.RETRY, "", NOW - 30 * DAY)],
    )

    assert named(history, ShelfView()) == {
        "failures p.000001.0001.json",
        "failures p.000002.0001.json",
        "failures q.000001.0001.json",
    }


def test_a_refusal_to_adopt_counts_for_the_book_that_stands_and_the_newest_listing() -> None:
    here, before = keys.adoption("x"), keys.adoption("w")
    history = History(
        manifests=[manifest(1, "a", 50), manifest(2, "b", 40)],
        failures=[failure(before, 2, 30), failure(here, 1, 30), failure(here, 2, 30), failure(before, 2, 0.5, epoch=2)],
    )

    assert {name for name in named(history, ShelfView(Shelf.FOREIGN, "x")) if name.startswith("failures")} == {
        f"failures {before}.000002.0001.json",
        f"failures {here}.000001.0001.json",
    }


@pytest.mark.parametrize(
    ("staged", "sent_days_ago", "failures", "expected"),
    [
        (0, 90, 0, False),
        (3, 90, 0, True),
        (3, 29, 0, False),
        (4, 29, 0, False),
        (5, 29, 0, True),
        (0, 1, 100, False),
        (0, 1, 101, True),
    ],
)
def test_where_a_closer_look_pays(staged: int, sent_days_ago: float, failures: int, expected: bool) -> None:
    history = History(
        manifests=[manifest(1, "a", 100)],
        sent=[sent(1, "a", sent_days_ago)],
        staged={str(page) for page in range(staged)},
        failures=[failure("p", 1, 1, epoch) for epoch in range(failures)],
    )

    assert may_be_littered(history, 3, NOW) is expected
    assert not may_be_littered(replace(history, manifests=[]), 3, NOW)


def test_a_listing_that_is_the_books_again_counts_as_bound() -> None:
    history = History(
        manifests=[manifest(1, "a", 60), manifest(2, "b", 50), manifest(3, "a", 40)],
        sent=[sent(1, "a", 60), sent(2, "b", 50)],
        receipts=[receipt(1, "a", 60)],
    )

    assert named(history, ours(1, "a", "a")) == {"manifests 000002.b.k.json", "sent 000002.b.0001"}


def test_of_listings_equal_to_the_book_the_newest_stays() -> None:
    """Without it what came before would count as newer than the book."""
    history = History(
        manifests=[manifest(1, "a", 60), manifest(2, "b", 50), manifest(3, "a", 40), manifest(4, "c", 30)],
        sent=[sent(2, "b", 50)],
        receipts=[receipt(1, "a", 60)],
    )

    assert named(history, ours(1, "a", "a")) == {"manifests 000002.b.k.json", "sent 000002.b.0001"}


def test_the_listing_that_a_book_without_receipt_names_stays() -> None:
    history = History(manifests=[manifest(1, "a", 60), manifest(2, "b", 50), manifest(3, "a", 40)])

    assert named(history, ours(1, "a")) == {"manifests 000002.b.k.json"}


def test_the_last_listing_under_a_former_key_stays() -> None:
    history = History(manifests=[manifest(1, "a", 60, "old"), manifest(2, "b", 50, "old"), manifest(3, "b", 40, "new")])

    assert named(history, ShelfView()) == {"manifests 000001.a.old.json"}


def test_an_accepted_listing_stays() -> None:
    history = History(
        manifests=[manifest(1, "a", 60), manifest(2, "b", 50), manifest(3, "c", 40)],
        decisions=[DecisionMark(1, Kind.ACCEPT_SHRINK, "b", NOW - 50 * DAY)],
    )

    assert named(history, ShelfView()) == {"manifests 000001.a.k.json"}


def test_markers_whose_manifest_has_gone_already_go_too() -> None:
    history = History(manifests=[manifest(3, "c", 40)], sent=[sent(2, "b", 50), sent(4, "d", 30)])

    assert named(history, ShelfView()) == {"sent 000002.b.0001"}


def test_a_volume_without_a_manifest_is_left_alone() -> None:
    history = History(sent=[sent(2, "b", 50)], failures=[failure("p", 2, 50)], receipts=[receipt(2, "b", 50)])

    assert named(history, ShelfView()) == set()


def test_failures_of_the_newest_listing_stay_until_it_is_bound(replaced: History) -> None:
    unbound = replace(replaced, manifests=[*replaced.manifests, manifest(3, "c", 20)])
    unbound.failures.append(failure("r", 3, 20))

    for view in (ours(2, "b"), ShelfView(Shelf.CHANGED, "x")):
        assert not any(key.startswith("failures") for key in named(unbound, view))
    assert {key for key in named(unbound, ours(2, "b"), {"r"}) if key.startswith("failures")} == {
        "failures p.000001.0001.json"
    }
    assert not any(key.startswith("failures") for key in named(unbound, ours(2, "b"), {"p", "q", "r"}))


def test_a_decision_that_the_book_does_not_know_keeps_failures(replaced: History) -> None:
    replaced.decisions.append(DecisionMark(1, Kind.WITHOUT_MISSING, "", NOW - 2 * DAY))

    assert not any(key.startswith("failures") for key in named(replaced, ours(2, "b")))


def test_nothing_younger_than_a_day_is_touched() -> None:
    history = History(
        manifests=[manifest(1, "a", 0.5), manifest(2, "b", 41)],
        sent=[sent(1, "a", 0.5)],
        failures=[failure("p", 1, 0.5)],
        receipts=[receipt(1, "a", 0.5), receipt(2, "b", 40)],
    )

    assert named(history, ours(2, "b")) == set()


@pytest.mark.parametrize(
    ("name", "days", "wanted", "gone"),
    [
        ("p.entry", 31, set(), True),
        ("p.entry", 31, {"q"}, True),
        ("p.entry", 31, {"p"}, False),
        ("p.entry", 29, set(), False),
        ("p.5f3a.data", 31, {"p"}, True),
        ("p.5f3a.data", 29, {"p"}, False),
    ],
)
def test_staging(name: str, days: float, wanted: set[str], gone: bool) -> None:
    assert is_orphan(f"{keys.STAGING}{V}/{name}", NOW - days * DAY, NOW, wanted) is gone


AGES = st.one_of(st.floats(0, 3), st.floats(0, 120)).map(lambda days: NOW - days * DAY)
SEQS = st.integers(1, 7)
REVISIONS = st.sampled_from("abc")
PAGES = st.sampled_from("pq")
TROUBLES = PAGES | st.sampled_from([keys.adoption("x"), keys.adoption("y")])
EPOCHS = 2
VERSIONS = st.sampled_from("xyz")
HISTORIES = st.builds(
    History,
    manifests=st.lists(st.builds(ManifestMark, SEQS, REVISIONS, st.sampled_from("kl"), AGES), max_size=8),
    sent=st.lists(st.builds(SentMark, SEQS, REVISIONS, st.integers(1, 2), AGES), max_size=8),
    failures=st.lists(st.builds(FailureMark, TROUBLES, SEQS, st.integers(1, 3), AGES), max_size=8),
    receipts=st.lists(st.builds(ReceiptMark, SEQS, VERSIONS, st.integers(0, 1), AGES), max_size=5),
    decisions=st.lists(
        st.builds(DecisionMark, st.integers(1, 3), st.sampled_from(list(Kind)), REVISIONS, AGES), max_size=2
    ),
)
BOOKS = st.tuples(st.sampled_from(list(Shelf)), VERSIONS, SEQS, REVISIONS, st.booleans())


def shelf_of(history: History, book: tuple[Shelf, str, int, str, bool]) -> ShelfView:
    """What `look_at_shelf` could say: ours by a receipt, else by the book's own word."""
    shelf, version, seq, revision, elsewhere = book
    if shelf is not Shelf.OURS:
        return ShelfView(shelf, version if shelf is not Shelf.FREE else "", elsewhere=elsewhere)
    named = [mark for mark in history.proofs if mark.version_digest == version]
    if not named:
        return ShelfView(shelf, version, seq, revision)
    mark = max(named, key=lambda mark: (mark.seq, mark.decision))
    return ShelfView(shelf, version, mark.seq, history.revision_of(mark.seq), mark.decision, receipted=True)


def answers(history: History, view: ShelfView) -> object:
    """All that is asked of a history and can change what happens."""
    head = history.head
    assert head is not None
    same = [mark for mark in history.manifests if mark.revision == history.standing.accepted]
    accepted = [mark.seq for mark in same if mark.created <= history.standing.accepted_at]
    equal = [mark.seq for mark in history.manifests if history.revision_of(mark.seq) == view.revision]
    book = max([view.seq or 0, *equal]) if view.shelf is Shelf.OURS else 0
    return {
        "head": (head, history.ambiguous, history.next_seq, sorted(history.epochs(head))),
        "receipt": history.receipt and (history.receipt.seq, history.receipt.decision),
        "book": [mark for mark in history.proofs if mark.version_digest == view.version],
        "bound": (history.was_bound(head), is_bound(history, view, head), view.seq and history.revision_of(view.seq)),
        "accepted": (max((mark.seq for mark in same), default=0), max(accepted, default=0)),
        "adopted": is_bound(history, view, head) or may_be_adopted(history, view, "adopt"),
        "keys": {mark.key_digest for mark in history.manifests},
        "next book": _eligible(history, book - (view.decision < history.standing.shape))[-1:],
        "decisions": history.decisions,
    }


def _eligible(history: History, above: int) -> list[ManifestMark]:
    """The sent manifests that may go over a book that is as new as the seq ``above``, the newest last."""
    marks = (history.of_seq(seq) for seq in sorted({mark.seq for mark in history.sent if mark.seq > above}))
    return [mark for mark in marks if mark is not None and history.epochs(mark)]


def without(history: History, gone: set[str]) -> History:
    return History(
        manifests=[mark for mark in history.manifests if keys.manifest_key(V, mark) not in gone],
        sent=[mark for mark in history.sent if keys.sent_key(V, mark) not in gone],
        failures=[mark for mark in history.failures if keys.failure_key(V, mark) not in gone],
        receipts=[mark for mark in history.receipts if keys.receipt_key(V, mark) not in gone],
        decisions=history.decisions,
    )


@settings(max_examples=800)
@given(history=HISTORIES, book=BOOKS, wanted=st.none() | st.sets(PAGES), data=st.data())
def test_whatever_part_of_it_is_gone_all_answers_are_the_same(
    history: History, book: tuple[Shelf, str, int, str, bool], wanted: set[str] | None, data: st.DataObject
) -> None:
    history = _each_key_once(history)
    view = shelf_of(history, book)
    found = list(needless(V, history, view, NOW, wanted, epochs=EPOCHS))
    if history.head is None:
        assert found == []
        return

    left = without(history, set(data.draw(st.sets(st.sampled_from(found)))) if found else set())

    assert answers(left, view) == answers(history, view)
    if not is_bound(history, view, history.head):
        concerned = {"p", "q"} if wanted is None else wanted
        assert _final(left) & concerned == _final(history) & concerned
        head = history.head.seq
        assert _of(left, head) == _of(history, head)


@settings(max_examples=300)
@given(history=HISTORIES, book=BOOKS)
def test_what_is_young_a_decision_or_kept_is_never_named(
    history: History, book: tuple[Shelf, str, int, str, bool]
) -> None:
    history = _each_key_once(history)
    view = shelf_of(history, book)
    found = set(needless(V, history, view, NOW))

    left = without(history, found)
    for before, after in (
        (history.manifests, left.manifests),
        (history.sent, left.sent),
        (history.failures, left.failures),
        (history.receipts, left.receipts),
    ):
        assert all(mark.created < NOW - DAY for mark in before if mark not in after)
    assert not any(key.startswith(keys.DECISIONS) for key in found)
    assert kept_manifests(history, view, NOW) == (left.manifests if history.head else [])
    assert {mark.seq for mark in left.receipts} <= {mark.seq for mark in left.manifests} | (
        {mark.seq for mark in history.receipts} - {mark.seq for mark in history.manifests}
    )


def _each_key_once(history: History) -> History:
    """As a store lists it: no key twice, in order."""
    return History(
        manifests=sorted({keys.manifest_key(V, mark): mark for mark in history.manifests}.values()),
        sent=sorted({keys.sent_key(V, mark): mark for mark in history.sent}.values()),
        failures=sorted({keys.failure_key(V, mark): mark for mark in history.failures}.values()),
        receipts=sorted({keys.receipt_key(V, mark): mark for mark in history.receipts}.values()),
        decisions=sorted({keys.decision_key(V, mark): mark for mark in history.decisions}.values()),
    )


def _of(history: History, seq: int) -> list[FailureMark]:
    """The failures of a listing's pages."""
    return [mark for mark in history.failures if mark.seq == seq and mark.page in {"p", "q"}]


def _final(history: History) -> set[str]:
    return final_failures(history.failures, now=NOW, epochs=EPOCHS, after=2 * DAY, since=history.standing.retried)
