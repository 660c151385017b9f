"""A finalize whose process is killed at any request to an object store: nothing that it does later arrives."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.app.world import World
from tests.support.memory_source import picture

from pagebind.adapters.stores.s3 import S3Store
from pagebind.app.finalize import Outcome
from pagebind.core import keys, receipt
from pagebind.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pagebind.demo.store_calls import Call
    from pagebind.demo.store_proxy import StoreProxy
    from pagebind.ports.store import Store

FOLDER = "/c/Series/Vol 1"
KEY = "Series/Vol 1.cbz"
_READING = re.compile(r"objects\.(get|list)|Head|Get|List")

pytestmark = pytest.mark.usefixtures("no_pauses")


class Kind(NamedTuple):
    """A kind of store, and a volume that makes it do everything that it can do for a book."""

    proxy: StoreProxy
    stores: Callable[[], tuple[Store, Store]]
    pages: dict[str, bytes]


@pytest.fixture
def gcs(gcs_proxy: StoreProxy, gcs_stores: Callable[[], tuple[Store, Store]]) -> Kind:
    """Two levels of compose calls."""
    return Kind(gcs_proxy, gcs_stores, {f"{number:02}.jpg": picture(str(number)) for number in range(33)})


@pytest.fixture
def s3(s3_proxy: StoreProxy, s3_stores: Callable[[], tuple[Store, Store]]) -> Kind:
    """An upload of two parts."""
    large = {f"{number}.jpg": picture(str(number), size=3_000_000) for number in range(3)}
    return Kind(s3_proxy, s3_stores, large)


def staged(kind: Kind, root: Path) -> World:
    """A new world in a new place, all its pages staged."""
    world = World(root, kind.stores())
    for name, content in kind.pages.items():
        world.source.add(f"{FOLDER}/{name}", content)
    world.stage(FOLDER)
    kind.proxy.reset()
    return world


def moments_of(calls: Sequence[Call]) -> list[int]:
    """The numbers of the requests to die after: those that change something.

    To die before a request is to die after the one before it. Deletes at the end are all alike: the first three.
    """
    changing = [number for number, call in enumerate(calls, 1) if not _READING.match(call.operation)]
    deletes = [number for number in changing if "delete" in calls[number - 1].operation.lower()]
    return [number for number in changing if number not in deletes[3:-1]]


def assert_done(world: World, kind: Kind) -> None:
    """The right book, one receipt that is true of it, and nothing else."""
    assert list(world.pages_in(KEY).values()) == list(kind.pages.values())
    info = world.books.head(KEY)
    assert info is not None
    [key] = world.names(keys.DONE)
    document = receipt.load(world.folders.get(key))
    assert (document.version, document.size) == (info.version, info.size)
    assert world.names(keys.STAGING) == []
    assert world.shelf() == [KEY]
    if isinstance(world.books, S3Store):
        assert list(world.books.bucket.uploads("")) == []
        assert isinstance(world.folders, S3Store)
        assert list(world.folders.bucket.uploads("")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcs", "s3"])
def test_the_next_one_completes_it(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    kind: Kind = request.getfixturevalue(name)
    undisturbed = staged(kind, tmp_path)
    assert undisturbed.finalize(FOLDER).outcome is Outcome.BOUND
    moments = moments_of(kind.proxy.calls)
    assert_done(undisturbed, kind)
    book = undisturbed.books.get(KEY)

    for number in moments:
        world = staged(kind, tmp_path)
        kind.proxy.die_at(number, after=True)
        with suppress(StoreError):
            world.finalize(FOLDER)
        assert kind.proxy.dead, number
        kind.proxy.reset()
        assert world.shelf() in ([], [KEY]), number
        assert KEY not in world.shelf() or world.books.get(KEY) == book, number

        world.finalize(FOLDER)

        assert world.books.get(KEY) == book, number
        assert_done(world, kind)
