"""What the operator decided about a volume, and what all decisions about it amount to.

A decision is an object of its own, never changed. Where two contradict each other the later one wins; nothing that a
poll sees undoes one.
"""

from __future__ import annotations

import json
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pagebind.core.keys import DecisionMark

ABSENT = "absent"
"""Subject of a `Kind.REPLACE` that was decided while no book stood there."""


class Kind(StrEnum):
    """What can be decided.

    ====================  =================================================  ==================================
    kind                  means                                              subject
    ====================  =================================================  ==================================
    ``retry``             older failures, waivers and ``forget`` are void
    ``without-missing``   the book goes without the pages that it names
    ``accept-shrink``     the listing is right although it lacks pages       its revision
    ``replace``           ours goes over the book that stands there          that version's digest, or `ABSENT`
    ``rename``            the book moves to the key of the settings          that key's digest
    ``forget``            the volume is left alone, until ``retry``          digest of the version to delete
    ``moved``             by a poll: its book belongs to another volume now  that volume's id
    ====================  =================================================  ==================================
    """

    RETRY = "retry"
    WITHOUT_MISSING = "without-missing"
    ACCEPT_SHRINK = "accept-shrink"
    REPLACE = "replace"
    RENAME = "rename"
    FORGET = "forget"
    MOVED = "moved"


class Standing(NamedTuple):
    """What a volume's decisions amount to.

    Attributes:
        newest: number of the newest decision, 0 where there is none.
        decided: when that was, in seconds since the epoch.
        shape: number of the newest decision that changed which pages the book is to hold. A book that was made before
            it is out of date.
        waivers: the decisions that waive pages, in force.
        retried: failures up to this time are void.
        forgotten: number of the decision by which the volume is left alone; 0: it is not.
        condemned: digest of the book's version that is to be deleted, or empty.
        deleted: every version that was ever condemned, as (digest, number of the decision): nobody else removed it.
        accepted: revision that was accepted although it lacks pages, or empty.
        accepted_at: when; a later listing of the same revision is another matter.
        replaced: versions that ours may go over, as (digest or `ABSENT`, number of the decision).
        renamed: digest of the key that the book was last moved to, or empty.
        handed_on: number of the decision since which its former book is another volume's; 0: it is not.
        handed_at: when that was.
        handed_to: that volume's id.
    """

    newest: int = 0
    decided: float = 0.0
    shape: int = 0
    waivers: tuple[DecisionMark, ...] = ()
    retried: float = -inf
    forgotten: int = 0
    condemned: str = ""
    deleted: tuple[tuple[str, int], ...] = ()
    accepted: str = ""
    accepted_at: float = 0.0
    replaced: tuple[tuple[str, int], ...] = ()
    renamed: str = ""
    handed_on: int = 0
    handed_at: float = 0.0
    handed_to: str = ""


UNDECIDED = Standing()
"""Of the many volumes about which nothing was decided."""


def standing(marks: Sequence[DecisionMark]) -> Standing:
    """Sum up a volume's decisions, given in any order."""
    result = UNDECIDED
    for mark in sorted(marks, key=lambda mark: (mark.number, mark.created)):
        result = _after(result, mark)._replace(newest=mark.number, decided=mark.created)
    return result


def _after(before: Standing, mark: DecisionMark) -> Standing:
    match mark.kind:
        case Kind.RETRY:
            shape = mark.number if before.waivers else before.shape
            after = before._replace(retried=mark.created, waivers=(), shape=shape, forgotten=0, condemned="")
        case Kind.WITHOUT_MISSING:
            after = before._replace(waivers=(*before.waivers, mark), shape=mark.number)
        case Kind.ACCEPT_SHRINK:
            after = before._replace(accepted=mark.subject, accepted_at=mark.created)
        case Kind.REPLACE:
            after = before._replace(replaced=(*before.replaced, (mark.subject, mark.number)))
        case Kind.RENAME:
            after = before._replace(renamed=mark.subject)
        case Kind.FORGET:
            deleted = (*before.deleted, (mark.subject, mark.number)) if mark.subject else before.deleted
            after = before._replace(forgotten=mark.number, condemned=mark.subject, deleted=deleted)
        case Kind.MOVED:
            after = UNDECIDED._replace(
                handed_on=mark.number, handed_at=mark.created, handed_to=mark.subject, forgotten=before.forgotten
            )
        case _:
            after = before  # of a later version
    return after


class Decision(NamedTuple):
    """A decision's content.

    Attributes:
        kind: see `Kind`.
        path: the volume's, on the server.
        pages: of `Kind.WITHOUT_MISSING`, the waived files: name on the server, size, mark. What they are called in the
            book does not matter.
    """

    kind: str
    path: str
    pages: tuple[tuple[str, int, str], ...] = ()


def dump(decision: Decision) -> bytes:
    """The decision as JSON."""
    document = {"schema": 1, "kind": decision.kind, "path": decision.path, "pages": decision.pages}
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def load(content: bytes) -> Decision:
    """Read back what `dump` wrote.

    Raises:
        ValueError: it is not a decision.
    """
    try:
        document = json.loads(content)
        pages = tuple((str(name), int(size), str(mark)) for name, size, mark in document["pages"])
        return Decision(document["kind"], document["path"], pages)
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a decision: {error}") from error


_TOLD = {
    Kind.WITHOUT_MISSING: "without pages that could not be had",
    Kind.ACCEPT_SHRINK: "the shorter listing is right",
    Kind.REPLACE: "ours goes over what stood there",
    Kind.RENAME: "moved to the key of the settings",
    Kind.RETRY: "tried again",
    Kind.FORGET: "forgotten",
}


def told(marks: Iterable[DecisionMark]) -> str:
    """The operator's newest decision in words; empty where there is none."""
    newest = max(marks, key=lambda mark: (mark.number, mark.created), default=None)
    return _TOLD.get(Kind(newest.kind), newest.kind) if newest and newest.kind in _TOLD else ""
