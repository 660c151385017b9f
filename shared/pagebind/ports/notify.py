"""Notify: people get a message, readers of books a call. No book ever depends on either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pagebind.core.message import Message


class Notifier(Protocol):
    """One place where people read messages."""

    @property
    def name(self) -> str:
        """The reference of the configuration that leads to its address: no secret, and the same in every process."""
        ...

    def send(self, message: Message) -> None:
        """Send a message, once, within some seconds.

        Raises:
            NotifyFailed: it has not gone out, as far as anybody knows; no text of it holds the address.
        """
        ...


class Hook(Protocol):
    """A reader that scans its library when it is called."""

    @property
    def name(self) -> str:
        """Its address without what follows a ``?``, and no other hook's name: the same in every process."""
        ...

    @property
    def debounce(self) -> float:
        """So many seconds lie between two calls at least."""
        ...

    def call(self) -> None:
        """Make the call, once, within some seconds.

        Raises:
            NotifyFailed: the reader did not say that it had understood; no text of it holds a secret.
        """
        ...
