"""Mistakes that the use cases do not make, switched on from outside: each has to break a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from pagebind.app.book import put_together
from pagebind.app.finalize import Finalize
from pagebind.app.poll import Poll
from pagebind.app.survey import Surveyor
from pagebind.core import keys
from pagebind.errors import ConditionFailed

if TYPE_CHECKING:
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
    )
}
