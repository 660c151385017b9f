"""The state table: from what is known about a volume to its state and its next step, in one function.

`judge` is the table of docs/design.md, row by row. Everything it needs is gathered beforehand into `Facts`; it reads
nothing and decides everything, so that printing its verdicts is `plan`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

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
    """Where a volume stands. ``moved`` is part of the contract, for the volumes that a later version recognises."""

    WAITING = "waiting"
    FETCHING = "fetching"
    COMPLETE = "complete"
    HELD = "held"
    BOUND = "bound"
    IGNORED = "ignored"
    GONE = "gone"
    MOVED = "moved"
    UNSUBSCRIBED = "unsubscribed"


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


class Shelf(StrEnum):
    """What stands in the library under the volume's key."""

    FREE = "free"
    OURS = "ours"
    FOREIGN = "foreign"
    CHANGED = "changed"
    REMOVED = "removed"
    TAKEN = "taken"


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


class Facts(NamedTuple):
    """All that is known about one volume at one moment.

    Attributes:
        history: its objects; the newest manifest is the newest listing, where there was one in this run.
        seen: what the walk says.
        why: the reason that goes with ``seen``.
        fresh: the listing of this run did not come from the server's cache.
        may_refresh: a fresh listing can be had; if not, waiting longer stands in for it.
        shelf: what stands under its key.
        taken_by: path of the volume that owns the key, for `Shelf.TAKEN`.
        bound_seq, bound_revision, bound_at: what our book there is, if it is ours.
        receipted: a receipt names exactly this version of the book.
        shrunk: pages that the newest listing lacks, against the bound book or larger listings.
        pages, missing: of the newest manifest, and those of them without an entry. None: not counted, as nobody asked.
        failed: of the missing ones, those that failed for good.
        leftovers: what the book has used still stands in staging, and is not to be kept.
        sent_here: this process has handed out the newest manifest's pages already.
    """

    history: History
    seen: Seen = Seen.LISTED
    why: str = ""
    fresh: bool = False
    may_refresh: bool = True
    shelf: Shelf = Shelf.FREE
    taken_by: str = ""
    bound_seq: int | None = None
    bound_revision: str | None = None
    bound_at: float | None = None
    receipted: bool = False
    shrunk: tuple[str, ...] = ()
    pages: int = 0
    missing: int | None = None
    failed: int = 0
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


def judge(facts: Facts, policy: Policy, now: float) -> Verdict:  # noqa: PLR0911  one return a row
    """The state table. Rows are tried from the top; the first that fits is the answer."""
    head = facts.history.head
    absent = _not_there(facts)
    if absent:
        return absent
    if head is not None and is_bound(facts, head):
        return _bound(facts)
    held = _held_by_library(facts)
    if held:
        return held
    if head is None:
        return _new(facts)
    if facts.history.epochs(head):
        return _sent(facts, policy, now, head)
    if facts.shrunk:
        return _shrunk(facts)
    return _unsent(facts, policy, now, head)


def is_bound(facts: Facts, head: ManifestMark) -> bool:
    """Whether the book in the library is what the newest manifest asks for."""
    return facts.shelf is Shelf.OURS and head.revision == facts.bound_revision and not facts.history.ambiguous


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


def _bound(facts: Facts) -> Verdict:
    return Verdict(State.BOUND, Action.NONE, "the book is up to date", tidy=facts.leftovers or not facts.receipted)


def _held_by_library(facts: Facts) -> Verdict | None:
    match facts.shelf:
        case Shelf.FOREIGN:
            return _hold(
                facts,
                "foreign",
                "a book that Pagebind did not make stands under this key",
                "move it away, or exclude this folder; Pagebind never overwrites it",
            )
        case Shelf.CHANGED:
            return _hold(
                facts,
                "changed",
                "somebody changed the book after Pagebind made it",
                "keep it as it is, or put the old one back; Pagebind never overwrites it",
            )
        case Shelf.REMOVED:
            return _hold(
                facts,
                "removed",
                "somebody removed the book that Pagebind made",
                "put it back, or delete the volume's folder under done/ in the store to have it made again",
            )
        case Shelf.TAKEN:
            return _hold(
                facts,
                "collision",
                f"{facts.taken_by} has the same key in the library",
                "rename one of the two folders, or exclude one",
            )
        case _:
            return None


def _hold(facts: Facts, code: str, message: str, fix: str) -> Verdict:
    return Verdict(State.HELD, Action.DECIDE, message, Problem(code, message, fix, facts.path))


def _shrunk(facts: Facts) -> Verdict:
    first = ", ".join(facts.shrunk[:_NAMED]) + (" ..." if len(facts.shrunk) > _NAMED else "")
    return _hold(
        facts,
        "shrunk",
        f"the folder lacks {counted(len(facts.shrunk), 'page')} that it had: {first}",
        "put them back, or wait: drives in trouble list too little; if they are meant to go, name them in `exclude`",
    )


def _new(facts: Facts) -> Verdict:
    return Verdict(State.WAITING, Action.NONE, facts.why or "not listed yet")


def _unsent(facts: Facts, policy: Policy, now: float, head: ManifestMark) -> Verdict:
    if facts.history.ambiguous:
        return Verdict(State.WAITING, Action.SETTLE, "two polls saw different listings; the next one decides")
    patience = policy.settle + (0.0 if facts.may_refresh or policy.settle <= 0 else CACHE_SECONDS)
    settles_at = head.created + patience
    if facts.seen is Seen.UNKNOWN:
        return Verdict(State.WAITING, Action.NONE, facts.why or "not listed in this run", settles_at=settles_at)
    settled = policy.settle <= 0 or (now >= settles_at and (facts.fresh or not facts.may_refresh))
    if settled:
        return Verdict(State.WAITING, Action.FETCH, "settled", settles_at=settles_at)
    return Verdict(State.WAITING, Action.SETTLE, facts.why or "waits to settle", settles_at=settles_at)


def _sent(facts: Facts, policy: Policy, now: float, head: ManifestMark) -> Verdict:
    if facts.missing == 0:
        return Verdict(State.COMPLETE, Action.BIND, "every page is staged")
    if facts.failed:
        return _hold(
            facts,
            "page_failed",
            f"{counted(facts.failed, 'page')} failed for good",
            "replace the pages on the server, or leave them out by `exclude`",
        )
    reason = f"{counted(facts.missing, 'page')} missing" if facts.missing is not None else "pages missing"
    if facts.seen is Seen.UNKNOWN:
        return Verdict(State.FETCHING, Action.NONE, facts.why or f"{reason}; not listed in this run")
    if is_due(facts.history.epochs(head), facts, policy, now):
        return Verdict(State.FETCHING, Action.FETCH, reason)
    return Verdict(State.FETCHING, Action.NONE, f"{reason}; handed out already")


def is_due(epochs: list[SentMark], facts: Facts, policy: Policy, now: float) -> bool:
    """Whether a sent revision is to be handed out once more: stalled, or its queue died with its process.

    A queue that dies with its process has been through what this process gave it, so nothing stalls in it: what is
    missing then has failed, and is the next process's to try.
    """
    if not policy.durable:
        return not facts.sent_here
    last = max(epochs, key=lambda mark: mark.epoch)
    wait = max(_RESEND_SECONDS, _RESEND_FACTOR * facts.pages / policy.rate)
    return now - last.created >= wait * 2.0 ** min(last.epoch - 1, _MAX_DOUBLINGS)
