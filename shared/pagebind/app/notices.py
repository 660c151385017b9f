"""Notices: what people and readers of books are told after a poll or a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pagebind.ports.notify import Hook, Notifier


class News(NamedTuple):
    """Who is told, and of what.

    Attributes:
        notifiers: where people read messages.
        hooks: readers that are called when there are new books.
        on: of these kinds people are told: ``bound``, ``held``, ``failed``, ``source``.
        limit: so many of each kind are named in a message at most.
    """

    notifiers: tuple[Notifier, ...]
    hooks: tuple[Hook, ...]
    on: tuple[str, ...]
    limit: int
