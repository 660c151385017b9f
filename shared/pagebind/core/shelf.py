"""What stands in the library under a volume's key: whose it is, and whether ours may go over it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import decisions, keys

if TYPE_CHECKING:
    from pagebind.core.history import History
    from pagebind.core.keys import ManifestMark


class Shelf(StrEnum):
    """Whose it is."""

    FREE = "free"
    OURS = "ours"
    FOREIGN = "foreign"
    CHANGED = "changed"
    REMOVED = "removed"
    TAKEN = "taken"


class ShelfView(NamedTuple):
    """What stands under a volume's key.

    Attributes:
        shelf: whose it is.
        version: digest of its version; empty where nothing stands.
        seq, revision, decision: what our book is, if it is ours: by its receipt, else by its metadata.
        bound_at: when it came to be, in seconds since the epoch.
        receipted: a receipt names exactly this version.
        owner: id of the volume that it belongs to, for `Shelf.TAKEN`.
        elsewhere: our book stands under the key that the volume had before.
    """

    shelf: Shelf = Shelf.FREE
    version: str = ""
    seq: int | None = None
    revision: str | None = None
    decision: int = 0
    bound_at: float | None = None
    receipted: bool = False
    owner: str = ""
    elsewhere: bool = False


def is_bound(history: History, view: ShelfView, head: ManifestMark) -> bool:
    """Whether the book is what the newest manifest and the decisions ask for."""
    current = view.shelf is Shelf.OURS and view.revision == head.revision and view.decision >= history.standing.shape
    return current and not history.ambiguous


def may_go_over(history: History, view: ShelfView, existing: str) -> bool:
    """Whether our book may be put where something else stands, or where somebody removed ours.

    By a decision about exactly this version, or about this absence, that no book of ours has carried out since; over a
    foreign book also by ``existing = "replace"``. So it is with another volume's book: while that is listed, whoever
    judges hides the version.
    """
    made = history.receipt.decision if history.receipt else 0
    open_decisions = {subject for subject, number in history.standing.replaced if number > made}
    match view.shelf:
        case Shelf.FOREIGN:
            return existing == "replace" or view.version in open_decisions
        case Shelf.CHANGED | Shelf.TAKEN:
            return view.version in open_decisions
        case Shelf.REMOVED:
            return decisions.ABSENT in open_decisions
        case _:
            return False


def is_condemned(history: History, view: ShelfView) -> bool:
    """Whether `forget` is to delete the book that stands there: ours, and no younger than that decision."""
    standing = history.standing
    return bool(standing.condemned) and view.shelf is Shelf.OURS and view.decision < standing.forgotten


def may_be_adopted(history: History, view: ShelfView, existing: str) -> bool:
    """Whether a foreign book should be compared with the volume's pages: once for each listing and `retry`."""
    if view.shelf is not Shelf.FOREIGN or existing != "adopt":
        return False
    refusal, head = keys.adoption(view.version), history.head
    return not any(
        mark.page == refusal and head is not None and mark.seq == head.seq and mark.created > history.standing.retried
        for mark in history.failures
    )
