"""A watched path of the server, with the settings that the use cases need of it."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Watch(NamedTuple):
    """One subscription.

    Attributes:
        path: absolute server path, as the account sees it, without a slash at its end.
        template: of library keys.
        excluded: says of a path relative to ``path``, and whether it is a folder, that the user's filters leave it
            out; None where there are no filters.
        password: gives the folder's password, or an empty text.
        headers: that the drive wants on downloads.
    """

    path: str
    template: str
    excluded: Callable[[str, bool], bool] | None = None
    password: Callable[[], str] = str
    headers: Mapping[str, str] = MappingProxyType({})

    def filter_in(self, folder: str) -> Callable[[str, bool], bool] | None:
        """`leaves_out` for the names in one folder; None where there are no filters, so that nobody has to ask."""
        return partial(self.leaves_out, folder) if self.excluded is not None else None

    def leaves_out(self, folder: str, name: str, is_dir: bool) -> bool:
        """Whether the filters leave out this name in this folder (a full server path)."""
        if self.excluded is None:
            return False
        below = folder.removeprefix(self.path).strip("/")
        return self.excluded(f"{below}/{name}" if below else name, is_dir)
