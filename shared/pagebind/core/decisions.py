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
    ``forget``            the volume is left alone, until a later decision   digest of the version to delete
    ====================  =================================================  ==================================
    """

    RETRY = "retry"
    WITHOUT_MISSING = "without-missing"
    ACCEPT_SHRINK = "accept-shrink"
    REPLACE = "replace"
    RENAME = "rename"
    FORGET = "forget"


class Standing(NamedTuple):
    """What a volume's decisions amount to.

    Attributes:
        newest: number of the newest decision, 0 where there is none.
        decided: when that was, in seconds since the epoch.
        shape: number of the newest decision that changed which pages the book is to hold. A book that was made before
            it is out of date.
        waivers: the decisions that waive pages, in force.
        retried: failures up to this time are void.
        forgotten: the volume is left alone.
        condemned: digest of the book's version that is to be deleted, or empty.
        deleted: digests of all versions that were ever condemned: nobody else removed them.
        accepted: revision that was accepted although it lacks pages, or empty.
        replaced: versions that ours may go over, by digest; for `ABSENT` the decision's number counts.
        renamed: digest of the key that the book was last moved to, or empty.
    """

    newest: int = 0
    decided: float = 0.0
    shape: int = 0
    waivers: tuple[DecisionMark, ...] = ()
    retried: float = -inf
    forgotten: bool = False
    condemned: str = ""
    deleted: frozenset[str] = frozenset()
    accepted: str = ""
    replaced: tuple[tuple[str, int], ...] = ()
    renamed: str = ""


UNDECIDED = Standing()
"""Of the many volumes about which nothing was decided."""


def standing(marks: Sequence[DecisionMark]) -> Standing:
    """Sum up a volume's decisions, given in any order."""
    result = UNDECIDED
    for mark in sorted(marks, key=lambda mark: (mark.number, mark.created)):
        result = _after(result, mark)._replace(newest=mark.number, decided=mark.created)
    return result


def _after(before: Standing, mark: DecisionMark) -> Standing:
    after = before._replace(forgotten=False, condemned="")
    match mark.kind:
        case Kind.RETRY:
            shape = mark.number if before.waivers else before.shape
            after = after._replace(retried=mark.created, waivers=(), shape=shape)
        case Kind.WITHOUT_MISSING:
            after = after._replace(waivers=(*before.waivers, mark), shape=mark.number)
        case Kind.ACCEPT_SHRINK:
            after = after._replace(accepted=mark.subject)
        case Kind.REPLACE:
            after = after._replace(replaced=(*before.replaced, (mark.subject, mark.number)))
        case Kind.RENAME:
            after = after._replace(renamed=mark.subject)
        case Kind.FORGET:
            deleted = before.deleted | {mark.subject} if mark.subject else before.deleted
            after = before._replace(forgotten=True, condemned=mark.subject, deleted=deleted)
    return after


class Decision(NamedTuple):
    """A decision's content. ``pages``: of `Kind.WITHOUT_MISSING`, the waived pages' ids and names on the server."""

    kind: str
    path: str
    pages: tuple[tuple[str, str], ...] = ()


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
        pages = tuple((str(page), str(name)) for page, name in document["pages"])
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
    """The newest decision in words; empty where there is none."""
    newest = max(marks, key=lambda mark: (mark.number, mark.created), default=None)
    return _TOLD.get(Kind(newest.kind), newest.kind) if newest and newest.kind in _TOLD else ""
