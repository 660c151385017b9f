"""The state table: from what is known about a volume to its state and its next step, in one function.

`judge` is the table of docs/design.md, row by row. Everything it needs is gathered beforehand into `Facts`; it reads
nothing and decides everything, so that printing its verdicts is `plan`.
"""

from __future__ import annotations

from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.history import final_failures
from pagebind.core.shelf import Shelf, ShelfView, is_bound, is_condemned, may_be_adopted, may_go_over
from pagebind.core.wording import counted

if TYPE_CHECKING:
    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark, SentMark

CACHE_SECONDS = 30 * 60.0
"""How long Alist serves a listing from its cache, by default (docs/design.md, settling)."""

_RESEND_SECONDS = 3600.0
_RESEND_FACTOR = 4.0
_MAX_DOUBLINGS = 16
_NAMED = 3


class State(StrEnum):
    """Where a volume stands."""

    WAITING = "waiting"
    FETCHING = "fetching"
    COMPLETE = "complete"
    HELD = "held"
    BOUND = "bound"
    IGNORED = "ignored"
    GONE = "gone"
    MOVED = "moved"
    UNSUBSCRIBED = "unsubscribed"


PASSED_BY = (State.IGNORED, State.GONE, State.MOVED, State.UNSUBSCRIBED)
"""What only a walk can tell of a volume, of which no book is made as long as it is so."""


class Action(StrEnum):
    """What happens next: by itself, or (``decide``) by the operator."""

    NONE = "none"
    SETTLE = "settle"
    FETCH = "fetch"
    BIND = "bind"
    DECIDE = "decide"


class Seen(StrEnum):
    """What this run's walk says about the volume's folder."""

    LISTED = "listed"
    UNKNOWN = "unknown"
    GONE = "gone"
    IGNORED = "ignored"
    UNSUBSCRIBED = "unsubscribed"


class Problem(NamedTuple):
    """Something that a person should know of, with what to do about it. ``code`` is the contract of ``--json``."""

    code: str
    message: str
    fix: str = ""
    path: str | None = None
    retryable: bool = False


class Policy(NamedTuple):
    """The user's settings, as far as the table needs them. Times in seconds, ``rate`` in pages a second."""

    settle: float
    give_up_epochs: int
    give_up_after: float
    rate: float
    durable: bool
    keep_pages: bool = False

    def given_up(self, history: History, now: float) -> set[str]:
        """The pages that have failed for good since the last `retry`, by id."""
        return final_failures(
            history.failures,
            now=now,
            epochs=self.give_up_epochs,
            after=self.give_up_after,
            since=history.standing.retried,
        )


class Facts(NamedTuple):
    """All that is known about one volume at one moment.

    Attributes:
        history: its objects; the newest manifest is the newest listing, where there was one in this run.
        seen: what the walk says.
        why: the reason that goes with ``seen``.
        fresh: the listing of this run did not come from the server's cache.
        may_refresh: a fresh listing can be had; if not, waiting longer stands in for it.
        asked: when that listing was asked for, in seconds since the epoch. A walk may take longer than it takes to
            settle, and says nothing of what happened after it was in a folder.
        view: what stands under its key.
        existing: what its subscription does with books that Pagebind did not make.
        refusal: why the book that stands there was not adopted.
        taken_by: path of the volume that owns the key, for `Shelf.TAKEN`.
        moved_to: path of the volume that has its book now.
        moved_from: path of a volume, gone now, whose pages and book these are; only where nothing may be written.
        shrunk: pages that the newest listing lacks, against the bound book or larger listings.
        pages, missing: of the newest manifest, and those of them without an entry. None: not counted, as nobody asked.
        failed: of the missing ones, those that failed for good.
        without_info: the folder's ComicInfo.xml has failed for good: it is not counted as missing.
        nothing_left: no page is, without what is waived: a book needs one.
        waived: pages of the newest manifest that its book goes without.
        leftovers: something still stands that the book has used up: in staging, or under its former key.
        sent_here: this process has handed out the newest manifest's pages already.
    """

    history: History
    seen: Seen = Seen.LISTED
    why: str = ""
    fresh: bool = False
    may_refresh: bool = True
    asked: float = inf
    view: ShelfView = ShelfView()
    existing: str = "keep"
    refusal: str = ""
    taken_by: str = ""
    moved_to: str = ""
    moved_from: str = ""
    shrunk: tuple[str, ...] = ()
    pages: int = 0
    missing: int | None = None
    failed: int = 0
    without_info: bool = False
    nothing_left: bool = False
    waived: int = 0
    leftovers: bool = False
    sent_here: bool = False
    path: str = ""


class Verdict(NamedTuple):
    """A volume's state and next step. ``settles_at`` in seconds since the epoch; ``tidy``: finalize has to clean up."""

    state: State
    action: Action
    reason: str
    problem: Problem | None = None
    settles_at: float | None = None
    tidy: bool = False


def judge(facts: Facts, policy: Policy, now: float) -> Verdict:
    """The state table. Rows are tried from the top; the first that fits is the answer."""
    return (
        _handed_on(facts)
        or _forgotten(facts)
        or _not_there(facts)
        or _bound(facts)
        or _moved(facts)
        or _held_by_library(facts)
        or _new(facts)
        or _adopted(facts, policy, now)
        or _sent(facts, policy, now)
        or _shrunk(facts)
        or _unsent(facts, policy, now)
    )


def _forgotten(facts: Facts) -> Verdict | None:
    if not facts.history.standing.forgotten:
        return None
    tidy = is_condemned(facts.history, facts.view)
    return Verdict(State.IGNORED, Action.NONE, "forgotten; `pagebind retry` takes it back", tidy=tidy)


def _handed_on(facts: Facts) -> Verdict | None:
    history = facts.history
    if not history.standing.handed_on or history.proofs or facts.seen is Seen.LISTED:
        return None
    return Verdict(State.MOVED, Action.NONE, f"moved to {facts.moved_to}; its book is there")


def _not_there(facts: Facts) -> Verdict | None:
    match facts.seen:
        case Seen.IGNORED:
            return Verdict(State.IGNORED, Action.NONE, facts.why)
        case Seen.UNSUBSCRIBED:
            return Verdict(State.UNSUBSCRIBED, Action.NONE, "no subscription covers it any more; nothing is deleted")
        case Seen.GONE:
            return Verdict(State.GONE, Action.NONE, facts.why or "no longer listed; nothing is deleted")
        case _:
            return None


def _bound(facts: Facts) -> Verdict | None:
    head = facts.history.head
    if head is None or not is_bound(facts.history, facts.view, head):
        return None
    reason = "the book is up to date"
    if facts.waived:
        reason += f", without {counted(facts.waived, 'page')}"
    return Verdict(State.BOUND, Action.NONE, reason, tidy=facts.leftovers or not facts.view.receipted)


def _held_by_library(facts: Facts) -> Verdict | None:
    history, view = facts.history, facts.view
    if may_go_over(history, view, facts.existing) or may_be_adopted(history, view, facts.existing):
        return None
    match view.shelf:
        case Shelf.FOREIGN:
            refused = f", and was not adopted: {facts.refusal}" if facts.refusal else ""
            return _hold(
                facts,
                "foreign",
                f"a book that Pagebind did not make stands under this key{refused}",
                "move it away, or put ours over it: `pagebind bind VOLUME --replace`",
            )
        case Shelf.CHANGED:
            return _hold(
                facts,
                "changed",
                "somebody changed the book after Pagebind made it",
                "put the old one back, or put ours over it: `pagebind bind VOLUME --replace`",
            )
        case Shelf.REMOVED:
            return _hold(
                facts,
                "removed",
                "somebody removed the book that Pagebind made",
                "put it back, have it made again by `pagebind bind VOLUME --replace`, or `pagebind forget VOLUME`",
            )
        case Shelf.TAKEN:
            return _hold(
                facts,
                "collision",
                f"{facts.taken_by} has the same key in the library",
                "rename one of the two folders, or exclude one; a book that moved gets the name of its new place by"
                " `pagebind bind OTHER --rename`; over that of a volume that is gone: `pagebind bind VOLUME --replace`",
            )
        case _:
            return None


def _hold(facts: Facts, code: str, message: str, fix: str) -> Verdict:
    return Verdict(State.HELD, Action.DECIDE, message, Problem(code, message, fix, facts.path))


def _new(facts: Facts) -> Verdict | None:
    if facts.history.head is not None:
        return None
    return Verdict(State.WAITING, Action.NONE, facts.why or "not listed yet")


def _moved(facts: Facts) -> Verdict | None:
    if not facts.moved_from:
        return None
    return Verdict(State.WAITING, Action.BIND, f"moved from {facts.moved_from}: its book is kept")


def _adopted(facts: Facts, policy: Policy, now: float) -> Verdict | None:
    """A book stands there that may be the volume's: once the listing is settled they are compared."""
    if facts.shrunk or not may_be_adopted(facts.history, facts.view, facts.existing):
        return None
    verdict = _unsent(facts, policy, now)
    if verdict.action is not Action.FETCH:
        return verdict
    return verdict._replace(action=Action.BIND, reason="settled; the book that stands there is compared with it")


def _sent(facts: Facts, policy: Policy, now: float) -> Verdict | None:
    head = _head(facts)
    epochs = facts.history.epochs(head)
    if not epochs:
        return None
    if facts.missing == 0:
        return _nothing_left(facts) or Verdict(State.COMPLETE, Action.BIND, "every page is staged")
    if facts.failed:
        return _hold(
            facts,
            "page_failed",
            f"{counted(facts.failed, 'page')} failed for good",
            "replace the pages on the server and `pagebind retry VOLUME`, or `pagebind bind VOLUME --without-missing`",
        )
    reason = f"{counted(facts.missing, 'page')} missing" if facts.missing is not None else "pages missing"
    if facts.seen is Seen.UNKNOWN:
        return Verdict(State.FETCHING, Action.NONE, facts.why or f"{reason}; not listed in this run")
    if is_due(epochs, facts, policy, now):
        return Verdict(State.FETCHING, Action.FETCH, reason)
    return Verdict(State.FETCHING, Action.NONE, f"{reason}; handed out already")


def _nothing_left(facts: Facts) -> Verdict | None:
    if not facts.nothing_left:
        return None
    return _hold(
        facts,
        "page_failed",
        "every page that is listed is waived, and a book needs one",
        "`pagebind retry VOLUME` asks for them again",
    )


def _shrunk(facts: Facts) -> Verdict | None:
    if not facts.shrunk:
        return None
    first = ", ".join(facts.shrunk[:_NAMED]) + (" ..." if len(facts.shrunk) > _NAMED else "")
    return _hold(
        facts,
        "shrunk",
        f"the folder lacks {counted(len(facts.shrunk), 'page')} that it had: {first}",
        "put them back, or wait: drives in trouble list too little; if they are meant to go:"
        " `pagebind bind VOLUME --accept-shrink`",
    )


def _unsent(facts: Facts, policy: Policy, now: float) -> Verdict:
    head = _head(facts)
    if facts.sent_here:  # or a store that loses what is written would be written to without end
        return Verdict(State.FETCHING, Action.NONE, "handed out, though the store does not show it: the next run sees")
    if facts.history.ambiguous:
        return Verdict(State.WAITING, Action.SETTLE, "two polls saw different listings; the next one decides")
    patience = policy.settle + (0.0 if facts.may_refresh or policy.settle <= 0 else CACHE_SECONDS)
    settles_at = head.created + patience
    if facts.seen is Seen.UNKNOWN:
        return Verdict(State.WAITING, Action.NONE, facts.why or "not listed in this run", settles_at=settles_at)
    fresh = facts.fresh or not facts.may_refresh
    if policy.settle <= 0 or (min(now, facts.asked) >= settles_at and fresh) or facts.history.was_bound(head):
        return Verdict(State.WAITING, Action.FETCH, "settled", settles_at=settles_at)
    return Verdict(State.WAITING, Action.SETTLE, facts.why or "waits to settle", settles_at=settles_at)


def _head(facts: Facts) -> ManifestMark:
    head = facts.history.head
    assert head is not None, "the row of new volumes comes first"
    return head


def is_due(epochs: list[SentMark], facts: Facts, policy: Policy, now: float) -> bool:
    """Whether a sent revision is to be handed out once more: stalled, decided on, or its queue died with its process.

    A queue that dies with its process has been through what this process gave it, so nothing stalls in it: what is
    missing then has failed, and is the next process's to try.
    """
    if not policy.durable:
        return not facts.sent_here
    last = max(epochs, key=lambda mark: mark.epoch)
    if facts.history.standing.decided > last.created:
        return True
    return now >= resend_at(last, facts.pages, policy.rate)


def resend_at(last: SentMark, pages: int, rate: float) -> float:
    """When the missing ones of a revision's pages are handed out again after an epoch, in seconds since the epoch.

    Args:
        last: its newest epoch.
        pages: of the revision.
        rate: pages a second.
    """
    wait = max(_RESEND_SECONDS, _RESEND_FACTOR * pages / rate)
    return last.created + wait * 2.0 ** min(last.epoch - 1, _MAX_DOUBLINGS)
