"""A value that is asked for once, by whichever thread needs it first."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Once(Generic[T]):
    """Makes the value at the first `get`. A failure is shared by those who waited for it; a later `get` tries again."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: list[T] = []
        self._failures = 0
        self._failed: Exception | None = None

    def get(self) -> T:
        """The value. Raises: what making it raises."""
        seen = self._failures
        with self._lock:
            if not self._made:
                if self._failures != seen and self._failed is not None:
                    raise self._failed
                try:
                    self._made.append(self._make())
                except Exception as error:
                    self._failed, self._failures = error, self._failures + 1
                    raise
            return self._made[0]
