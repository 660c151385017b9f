"""What a volume is called: its key in the library, and what its book says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.library_key import library_key
from pagebind.core.model import About

if TYPE_CHECKING:
    from pagebind.core.layout import Placed
    from pagebind.core.watch import Watch


class Called(NamedTuple):
    """A volume's key in the library, as its settings give it now, and what its book says of itself."""

    key: str
    about: About


def call(watch: Watch, placed: Placed, *, suffix: str = "cbz") -> Called:
    """Name a volume.

    Args:
        watch: its subscription.
        placed: where the layout puts it.
        suffix: of the file, without the dot: ``cbz``, or an archive's own.
    """
    del suffix
    return Called(library_key(watch.template, placed.series, placed.name), About(placed.series, placed.name))
