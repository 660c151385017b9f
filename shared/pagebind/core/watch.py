"""A watched path of the server, with the settings that the use cases need of it."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.layout import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pagebind.core.layout import Layout


class Watch(NamedTuple):
    """One subscription.

    Attributes:
        path: absolute server path, as the account sees it, without a slash at its end.
        template: of library keys.
        excluded: says of a path relative to ``path``, and whether it is a folder, that the user's filters leave it
            out; None where there are no filters.
        password: gives the folder's password, or an empty text.
        headers: that the drive wants on downloads.
        layout: how its folders become volumes.
        archives: ``ignore`` or ``copy``.
        existing: what to do with books that Pagebind did not make: ``keep``, ``adopt`` or ``replace``.
        hash_check: what a hash that differs from the listed one means: ``warn``, ``strict`` or ``off``.
        fix_extensions: give pages the suffix of what they really are.
        comicinfo: put a ComicInfo.xml into the books.
        series: of all its books, instead of what folders are called; or empty.
        strip: patterns (regular expressions) of what is taken out of names.
        language, direction: of its books, as in `About`; or empty.
        reader: ``kavita`` or ``komga``, which want the numbers of volumes in different places; or empty.
    """

    path: str
    template: str
    excluded: Callable[[str, bool], bool] | None = None
    password: Callable[[], str] = str
    headers: Mapping[str, str] = MappingProxyType({})
    layout: Layout = AUTO
    archives: str = "ignore"
    existing: str = "keep"
    hash_check: str = "warn"
    fix_extensions: bool = False
    comicinfo: bool = True
    series: str = ""
    strip: tuple[str, ...] = ()
    language: str = ""
    direction: str = ""
    reader: str = ""

    def __repr__(self) -> str:
        """Without the headers: one may be a cookie."""
        return f"Watch({self.path!r}, {self.template!r})"

    def filter_in(self, folder: str) -> Callable[[str, bool], bool] | None:
        """`leaves_out` for the names in one folder; None where there are no filters, so that nobody has to ask."""
        return partial(self.leaves_out, folder) if self.excluded is not None else None

    def leaves_out(self, folder: str, name: str, is_dir: bool) -> bool:
        """Whether the filters leave out this name in this folder (a full server path)."""
        if self.excluded is None:
            return False
        below = folder.removeprefix(self.path).strip("/")
        return self.excluded(f"{below}/{name}" if below else name, is_dir)
