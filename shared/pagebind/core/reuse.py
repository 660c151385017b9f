"""Which pages need not be asked of the server, because their bytes are here already.

Two pages are the same file if their sizes are equal and so are their listed hashes or, without hashes, their names on
the server and their times. What they are called inside the book does not matter: a tenth page may rename nine others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pagebind.core.image_kind import is_archive
from pagebind.core.manifest import BY_TIME

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from pagebind.core.manifest import Page
    from pagebind.core.receipt import BoundPage

Content = tuple[str, ...]

_Place = TypeVar("_Place")


def in_book(wanted: Iterable[Page], bound: Iterable[Page], standing: Iterable[BoundPage]) -> dict[str, BoundPage]:
    """Where wanted pages stand in a book, by their ids.

    Args:
        wanted: pictures, as they are listed now.
        bound: the pages of the manifest that the book was made from.
        standing: the rows of the book's receipt.
    """
    rows = {row.page: row for row in standing if row.offset >= 0}
    by_content = {content(page): rows[page.id] for page in bound if page.id in rows}
    return _found(wanted, by_content)


def in_entries(wanted: Iterable[Page], former: Iterable[Page], staged: Container[str]) -> dict[str, Page]:
    """Which former page, staged under another name in the book, each wanted one is, by the wanted ones' ids."""
    return _found(wanted, {content(page): page for page in former if page.id in staged})


def _found(wanted: Iterable[Page], by_content: Mapping[Content, _Place]) -> dict[str, _Place]:
    contents = ((page, content(page)) for page in wanted)
    return {page.id: by_content[found] for page, found in contents if found in by_content}


def content(page: Page) -> Content:
    """See `content_of`."""
    return content_of(page.name, page.size, page.mark)


def content_of(name: str, size: int, mark: str) -> Content:
    """What makes a file the same file: its size and hash, or without a hash its name and time.

    An archive is alone in its volume: its name does not matter.
    """
    if not mark.startswith(BY_TIME):
        return (str(size), mark)
    return (str(size), mark) if is_archive(name) else (name, str(size), mark)
