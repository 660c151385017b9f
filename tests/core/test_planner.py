"""The state table, row by row."""

from __future__ import annotations

import pytest

from pagebind.core.history import History
from pagebind.core.keys import ManifestMark, SentMark
from pagebind.core.planner import Action, Facts, Policy, Seen, State, Verdict, judge
from pagebind.core.shelf import Shelf, ShelfView

NOW = 1_000_000.0
SETTLE = 600.0
CACHE = 1800.0
HOUR = 3600.0
POLICY = Policy(settle=SETTLE, give_up_epochs=3, give_up_after=86400.0, rate=2.0, durable=True)


def seen_since(age: float, *, sent: int = 0, sent_age: float = 0.0, revision: str = "a") -> History:
    """A volume whose newest listing was recorded ``age`` seconds ago, and handed out ``sent`` times."""
    return History(
        manifests=[ManifestMark(2, revision, "k", NOW - age)],
        sent=[SentMark(2, revision, epoch, NOW - sent_age) for epoch in range(1, sent + 1)],
    )


def row(verdict: Verdict) -> tuple[State, Action, str | None]:
    return verdict.state, verdict.action, verdict.problem.code if verdict.problem else None


def ruling(facts: Facts, policy: Policy = POLICY) -> tuple[State, Action, str | None]:
    return row(judge(facts, policy, NOW))


SETTLED = Facts(seen_since(SETTLE), fresh=True, pages=10)
SENT = Facts(seen_since(HOUR, sent=1), pages=10, missing=4, sent_here=True)
OURS = ShelfView(Shelf.OURS, "v", 1, "a", receipted=True)
BOUND = Facts(seen_since(HOUR), view=OURS)

FOREIGN = SETTLED._replace(view=ShelfView(Shelf.FOREIGN))

WAITS = (State.WAITING, Action.SETTLE, None)
GOES = (State.WAITING, Action.FETCH, None)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(History()), (State.WAITING, Action.NONE, None)),
        (SETTLED, GOES),
        (SENT, (State.FETCHING, Action.NONE, None)),
        (SENT._replace(missing=0), (State.COMPLETE, Action.BIND, None)),
        (SENT._replace(missing=0, nothing_left=True), (State.HELD, Action.DECIDE, "page_failed")),
        (SENT._replace(failed=1), (State.HELD, Action.DECIDE, "page_failed")),
        (SETTLED._replace(shrunk=("1.jpg",)), (State.HELD, Action.DECIDE, "shrunk")),
        (SETTLED._replace(view=ShelfView(Shelf.FOREIGN)), (State.HELD, Action.DECIDE, "foreign")),
        (SETTLED._replace(view=ShelfView(Shelf.CHANGED)), (State.HELD, Action.DECIDE, "changed")),
        (SETTLED._replace(view=ShelfView(Shelf.REMOVED)), (State.HELD, Action.DECIDE, "removed")),
        (SETTLED._replace(view=ShelfView(Shelf.TAKEN), taken_by="/c/other"), (State.HELD, Action.DECIDE, "collision")),
        (BOUND, (State.BOUND, Action.NONE, None)),
        (SETTLED._replace(seen=Seen.IGNORED), (State.IGNORED, Action.NONE, None)),
        (SETTLED._replace(seen=Seen.GONE), (State.GONE, Action.NONE, None)),
        (SETTLED._replace(seen=Seen.UNSUBSCRIBED), (State.UNSUBSCRIBED, Action.NONE, None)),
        (SETTLED._replace(seen=Seen.UNKNOWN), (State.WAITING, Action.NONE, None)),
    ],
)
def test_each_row_of_the_table(facts: Facts, expected: tuple[State, Action, str | None]) -> None:
    assert ruling(facts) == expected


# -- which row comes first


@pytest.mark.parametrize("seen", [Seen.IGNORED, Seen.GONE, Seen.UNSUBSCRIBED])
@pytest.mark.parametrize(
    "facts", [SENT, BOUND, SENT._replace(missing=0), SETTLED._replace(view=ShelfView(Shelf.FOREIGN))]
)
def test_what_is_not_there_is_left_alone(facts: Facts, seen: Seen) -> None:
    assert ruling(facts._replace(seen=seen))[:2] == (State(seen.value), Action.NONE)


@pytest.mark.parametrize("shelf", [Shelf.FOREIGN, Shelf.CHANGED, Shelf.REMOVED, Shelf.TAKEN])
@pytest.mark.parametrize("facts", [SENT, SETTLED, SENT._replace(missing=0), Facts(History())])
def test_no_book_that_is_not_ours_is_touched(facts: Facts, shelf: Shelf) -> None:
    assert ruling(facts._replace(view=ShelfView(shelf)))[:2] == (State.HELD, Action.DECIDE)


def test_a_bound_volume_is_bound_though_its_folder_could_not_be_listed() -> None:
    assert ruling(BOUND._replace(seen=Seen.UNKNOWN))[0] is State.BOUND


def test_what_was_sent_before_a_shrink_was_noticed_goes_on() -> None:
    assert ruling(SENT._replace(shrunk=("1.jpg",)))[0] is State.FETCHING


def test_a_page_that_failed_is_no_matter_once_all_are_staged() -> None:
    assert ruling(SENT._replace(missing=0, failed=0))[0] is State.COMPLETE


# -- settling


@pytest.mark.parametrize(
    ("age", "fresh", "may_refresh", "expected"),
    [
        (SETTLE - 1, True, True, WAITS),
        (SETTLE, True, True, GOES),
        (SETTLE, False, True, WAITS),
        (CACHE + SETTLE, False, True, WAITS),
        (SETTLE, False, False, WAITS),
        (CACHE + SETTLE - 1, False, False, WAITS),
        (CACHE + SETTLE, False, False, GOES),
    ],
)
def test_settled_is_unchanged_fresh_and_old_enough(
    age: float, fresh: bool, may_refresh: bool, expected: tuple[State, Action, str | None]
) -> None:
    facts = Facts(seen_since(age), fresh=fresh, may_refresh=may_refresh)

    assert ruling(facts) == expected


@pytest.mark.parametrize(("may_refresh", "patience"), [(True, SETTLE), (False, SETTLE + CACHE)])
def test_it_is_said_when_a_volume_settles(may_refresh: bool, patience: float) -> None:
    verdict = judge(Facts(seen_since(100.0), may_refresh=may_refresh), POLICY, NOW)

    assert verdict.settles_at == NOW - 100.0 + patience


@pytest.mark.parametrize("may_refresh", [True, False])
def test_without_settling_one_listing_is_enough(may_refresh: bool) -> None:
    facts = Facts(seen_since(0.0), fresh=False, may_refresh=may_refresh)

    assert ruling(facts, POLICY._replace(settle=0.0)) == GOES


@pytest.mark.parametrize("settle", [0.0, SETTLE])
def test_of_two_manifests_of_one_seq_neither_settles(settle: float) -> None:
    history = seen_since(HOUR)
    history.manifests.append(ManifestMark(2, "b", "k", NOW - HOUR))

    assert ruling(Facts(history, fresh=True), POLICY._replace(settle=settle)) == WAITS


def test_of_two_manifests_of_one_seq_the_sent_one_goes_on() -> None:
    history = seen_since(HOUR, sent=1)
    history.manifests.insert(0, ManifestMark(2, "0", "k", NOW - HOUR))

    assert ruling(SENT._replace(history=history)) == (State.FETCHING, Action.NONE, None)


# -- bound


def test_a_book_of_another_revision_is_out_of_date() -> None:
    assert ruling(BOUND._replace(view=OURS._replace(revision="b"), fresh=True)) == GOES


def test_a_revision_that_comes_back_is_the_book_again() -> None:
    history = History(manifests=[ManifestMark(seq, r, "k", NOW) for seq, r in ((1, "a"), (2, "b"), (3, "a"))])

    assert ruling(BOUND._replace(history=history)) == (State.BOUND, Action.NONE, None)


@pytest.mark.parametrize(
    ("receipted", "leftovers", "tidy"), [(True, False, False), (False, False, True), (True, True, True)]
)
def test_a_book_without_receipt_or_with_leftovers_is_tidied(receipted: bool, leftovers: bool, tidy: bool) -> None:
    assert judge(BOUND._replace(view=OURS._replace(receipted=receipted), leftovers=leftovers), POLICY, NOW).tidy is tidy


# -- handing out once more


@pytest.mark.parametrize(
    ("epochs", "pages", "wait"),
    [
        (1, 10, HOUR),
        (2, 10, 2 * HOUR),
        (3, 10, 4 * HOUR),
        (1, 1800, HOUR),
        (1, 3600, 2 * HOUR),
        (2, 3600, 4 * HOUR),
    ],
)
def test_a_stalled_volume_is_handed_out_again_ever_later(epochs: int, pages: int, wait: float) -> None:
    def at(age: float) -> Action:
        return judge(
            SENT._replace(history=seen_since(HOUR, sent=epochs, sent_age=age), pages=pages), POLICY, NOW
        ).action

    assert at(wait - 1) is Action.NONE
    assert at(wait) is Action.FETCH


def test_doubling_has_an_end() -> None:
    facts = SENT._replace(history=seen_since(HOUR, sent=5000, sent_age=HOUR * 2.0**16))

    assert judge(facts, POLICY, NOW).action is Action.FETCH


FORGETFUL = POLICY._replace(durable=False)


def test_what_a_dead_process_had_queued_is_handed_out_at_once() -> None:
    assert ruling(SENT._replace(sent_here=False), FORGETFUL) == (State.FETCHING, Action.FETCH, None)


@pytest.mark.parametrize("age", [0.0, 1000 * HOUR])
def test_one_process_hands_a_revision_out_once(age: float) -> None:
    facts = SENT._replace(history=seen_since(HOUR, sent=1, sent_age=age), sent_here=True)

    assert ruling(facts, FORGETFUL) == (State.FETCHING, Action.NONE, None)


def test_nothing_is_handed_out_that_was_not_listed_now() -> None:
    stalled = SENT._replace(history=seen_since(HOUR, sent=1, sent_age=HOUR), seen=Seen.UNKNOWN)

    assert ruling(stalled) == (State.FETCHING, Action.NONE, None)


def test_what_is_complete_is_bound_though_its_folder_could_not_be_listed() -> None:
    assert ruling(SENT._replace(missing=0, seen=Seen.UNKNOWN)) == (State.COMPLETE, Action.BIND, None)


# -- what people read


@pytest.mark.parametrize("shelf", [Shelf.FOREIGN, Shelf.CHANGED, Shelf.REMOVED, Shelf.TAKEN])
def test_a_problem_says_what_to_do_and_where(shelf: Shelf) -> None:
    problem = judge(SETTLED._replace(view=ShelfView(shelf), path="/c/A", taken_by="/c/B"), POLICY, NOW).problem

    assert problem is not None
    assert problem.path == "/c/A"
    assert problem.fix
    assert ("/c/B" in problem.message) is (shelf is Shelf.TAKEN)


def test_a_shrunk_folder_names_some_of_what_it_lacks() -> None:
    verdict = judge(SETTLED._replace(shrunk=("1.jpg", "2.jpg", "3.jpg", "4.jpg")), POLICY, NOW)

    assert "lacks 4 pages" in verdict.reason
    assert "1.jpg, 2.jpg, 3.jpg ..." in verdict.reason
