"""Telling whoever watches how far the work is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Calls come from many threads at once and must return at once."""

    def listed(self, path: str, pages: int) -> None:
        """A folder was listed."""
        ...

    def planned(self, pages: int, size: int) -> None:
        """So many pages and bytes more are going to be fetched."""
        ...

    def fetched(self, size: int) -> None:
        """One page is through, staged or failed; ``size`` bytes of it came over the wire."""
        ...

    def bound(self, key: str, pages: int) -> None:
        """A book stands in the library."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line."""
        ...


class Silent:
    """Nobody watches."""

    def listed(self, path: str, pages: int) -> None:
        """Ignore it."""

    def planned(self, pages: int, size: int) -> None:
        """Ignore it."""

    def fetched(self, size: int) -> None:
        """Ignore it."""

    def bound(self, key: str, pages: int) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""
