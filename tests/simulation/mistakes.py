"""Mistakes that the use cases do not make, switched on from outside: each has to break a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from pagebind.app.book import put_together
from pagebind.app.finalize import Finalize
from pagebind.app.poll import Poll, _Allowance
from pagebind.app.survey import Surveyor
from pagebind.core import decisions, keys, planner
from pagebind.core.decisions import Kind
from pagebind.errors import ConditionFailed

if TYPE_CHECKING:
    from pagebind.core.decisions import Standing
    from pagebind.core.keys import DecisionMark, SentMark
    from pagebind.core.planner import Facts, Policy, Verdict
    from pagebind.ports.dispatch import FinalizeTask

Mistake = Callable[[], AbstractContextManager[object]]


@contextmanager
def no_precondition() -> Iterator[None]:
    """A book is published whatever stands there by now."""
    from tests.simulation.wire import StoreOnTheWire

    right = StoreOnTheWire.assemble

    def assemble(store: StoreOnTheWire, *args: Any, **kwargs: Any) -> Any:
        return right(store, *args, **{**kwargs, "condition": None})

    with patch.object(StoreOnTheWire, "assemble", assemble):
        yield


@contextmanager
def receipt_before_book() -> Iterator[None]:
    """The receipt is written first, for the version that the book is going to have."""
    right = Finalize._bind

    def bind(self: Any, world: Any, manifest: Any, staged: Any) -> Any:
        book = put_together(manifest, staged, self._work)
        library = getattr(self._library, "_inner", self._library).store
        version = library.version_to_come(library.content_of(book.parts))
        self._write_receipt(manifest, book.content, version, world.history.standing.newest)
        return right(self, world, manifest, staged)

    with patch.object(Finalize, "_bind", bind):
        yield


@contextmanager
def staging_cleared_before_the_receipt() -> Iterator[None]:
    """What a book was made of goes as soon as it stands."""
    right_bind, right_write = Finalize._bind, Finalize._write_receipt

    def bind(self: Any, world: Any, manifest: Any, staged: Any) -> Any:
        self.made_from = world
        return right_bind(self, world, manifest, staged)

    def write(self: Any, manifest: Any, *args: Any) -> None:
        if hasattr(self, "made_from"):
            self._clear(manifest, self.made_from)
        right_write(self, manifest, *args)

    with patch.object(Finalize, "_bind", bind), patch.object(Finalize, "_write_receipt", write):
        yield


@contextmanager
def library_version_read_late() -> Iterator[None]:
    """It is looked what stands in the library when the book has been chosen, and not before."""
    right = Finalize._bind

    def bind(self: Any, world: Any, manifest: Any, staged: Any) -> Any:
        return right(self, world._replace(book=self._library.head(manifest.key)), manifest, staged)

    with patch.object(Finalize, "_bind", bind):
        yield


@contextmanager
def fixed_finalize_name() -> Iterator[None]:
    """All finalize tasks of a listing have one name."""

    def name(task: FinalizeTask) -> str:
        return keys.digest(f"finalize {task.volume} {task.seq}", 40)

    with patch("pagebind.adapters.dispatch.task_names.finalize_name", name):
        yield


@contextmanager
def clearing_across_revisions() -> Iterator[None]:
    """A book that stands takes all that is staged of its volume with it, also what a newer listing wants."""

    def clear(self: Any, bound: Any, world: Any) -> None:
        self._work.abandon(f"{keys.STAGING}{bound.volume}/")
        self._work.delete_all(world.staging.objects())

    with patch.object(Finalize, "_clear", clear):
        yield


@contextmanager
def sent_after_the_tasks() -> Iterator[None]:
    """It is written down that pages are handed out when they are."""
    right = Poll._send

    def send(self: Any, assessment: Any, allowance: Any) -> None:
        work = self._work
        self._work = late = _Late(work)
        try:
            right(self, assessment, allowance)
        finally:
            self._work = work
        for put in late.puts:
            with suppress(ConditionFailed):
                put()

    with patch.object(Poll, "_send", send):
        yield


class _Late:
    """A store whose sent markers are put later."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self.puts: list[Callable[[], object]] = []

    def put(self, key: str, *args: Any, **kwargs: Any) -> None:
        self.puts.append(lambda: self._work.put(key, *args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


@contextmanager
def a_b_a_ignored() -> Iterator[None]:
    """A listing that was there before is not written down once more."""
    right = Surveyor._is_news

    def is_news(self: Any, sighting: Any, history: Any) -> bool:
        known = any(mark.revision == sighting.revision for mark in history.manifests)
        return right(self, sighting, history) and not known

    with patch.object(Surveyor, "_is_news", is_news):
        yield


def _does_nothing(kind: Kind) -> Mistake:
    """A decision of this kind is written down, and that is all."""
    right = decisions._after

    def after(before: Standing, mark: DecisionMark) -> Standing:
        return before if mark.kind == kind else right(before, mark)

    return lambda: patch.object(decisions, "_after", after)


@contextmanager
def decision_waits_for_the_next_epoch() -> Iterator[None]:
    """What was handed out is handed out again when it is time, whatever was decided."""
    right = planner.is_due

    def is_due(epochs: list[SentMark], facts: Facts, policy: Policy, now: float) -> bool:
        if not policy.durable:
            return right(epochs, facts, policy, now)
        return now >= planner.resend_at(max(epochs, key=lambda mark: mark.epoch), facts.pages, policy.rate)

    with patch.object(planner, "is_due", is_due), patch("pagebind.app.poll.is_due", is_due):
        yield


@contextmanager
def always_due() -> Iterator[None]:
    """What is missing is handed out to a durable queue again by every poll."""
    right = planner.is_due

    def is_due(epochs: list[SentMark], facts: Facts, policy: Policy, now: float) -> bool:
        return policy.durable or right(epochs, facts, policy, now)

    with patch.object(planner, "is_due", is_due), patch("pagebind.app.poll.is_due", is_due):
        yield


@contextmanager
def never_cleared() -> Iterator[None]:
    """What a book was made of stays."""
    with patch.object(Finalize, "_clear", lambda *_: None):
        yield


@contextmanager
def no_back_pressure() -> Iterator[None]:
    """Everything that is due is handed out at once."""
    with patch.object(_Allowance, "admits", lambda *_: True):
        yield


@contextmanager
def staged_is_asked_for_again() -> Iterator[None]:
    """Each epoch hands out all pages, whatever has come of the one before."""
    right = Poll._send

    def send(self: Any, assessment: Any, allowance: Any) -> None:
        right(self, assessment._replace(history=replace(assessment.history, staged=set())), allowance)

    with patch.object(Poll, "_send", send):
        yield


@contextmanager
def settled_by_when_it_is_judged() -> Iterator[None]:
    """A listing has stood until now, whenever it was asked for."""

    def judge(facts: Facts, policy: Policy, now: float) -> Verdict:
        return planner.judge(facts._replace(asked=inf), policy, now)

    with patch("pagebind.app.assess.judge", judge):
        yield


MISTAKES: dict[str, Mistake] = {
    mistake.__name__: mistake
    for mistake in (
        no_precondition,
        receipt_before_book,
        staging_cleared_before_the_receipt,
        library_version_read_late,
        fixed_finalize_name,
        clearing_across_revisions,
        sent_after_the_tasks,
        a_b_a_ignored,
        decision_waits_for_the_next_epoch,
        always_due,
        never_cleared,
        no_back_pressure,
        staged_is_asked_for_again,
        settled_by_when_it_is_judged,
    )
} | {
    f"{kind.replace('-', '_')}_does_nothing": _does_nothing(kind)
    for kind in (Kind.RETRY, Kind.WITHOUT_MISSING, Kind.ACCEPT_SHRINK, Kind.REPLACE, Kind.FORGET)
}
