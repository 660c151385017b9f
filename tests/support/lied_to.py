"""A source that is lied to: what it says in the end, and in what time; and that it is none the worse for it."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import stamina
from tests.support import oracle
from tests.support.hostile_server import PICTURE, Hurried
from tests.support.world import World

from pagebind.adapters.alist import AlistSource, Limits, StaticToken
from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer
from pagebind.errors import SourceError
from pagebind.ports.secrets import Secret
from pagebind.ports.source import Download

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WINDOW = 0.25
"""Seconds: the time-outs of these tests."""
LONGEST = 24 * WINDOW
"""Seconds that one file or answer may take: 9 windows and one to connect, by docs/faults.md; more than twice that for a
busy machine."""
SECRETS = ("TOKENCANARY", "SIGNCANARY", "LINKCANARY")


class Vault:
    """Holds the token."""

    def get(self, reference: str) -> str:
        return SECRETS[0]

    def forget(self, reference: str) -> None:
        pass


@contextmanager
def source_of(url: str, *, allow_private: bool = False, window: float = WINDOW) -> Iterator[AlistSource]:
    """A source whose retries come at once."""
    limits = Limits(list_per_second=0, connect_timeout=WINDOW, read_timeout=window, attempts=2)
    credentials = StaticToken(Secret("it", Vault()))
    source = AlistSource(
        url, credentials, clock=Hurried(), client_id="test", limits=limits, allow_private=allow_private
    )
    with stamina.set_testing(True, attempts=2, cap=True):
        yield source
    source.close()


def wanted(name: str, size: int = len(PICTURE)) -> Download:
    """The file that the server knows as ``/d/name``."""
    return Download(f"/comics/{name}", f"{SECRETS[1]}:0", size, link=f"/{name}")


def fetched(source: AlistSource, name: str, size: int = len(PICTURE)) -> bytes:
    return b"".join(source.download(wanted(name, size)))


def failure(ask: Callable[[], object], *, longest: float = LONGEST) -> SourceError:
    """The one error that ``ask`` ends in: in time, in one line, and without a secret."""
    begun = time.monotonic()
    with pytest.raises(SourceError) as caught:
        ask()
    assert time.monotonic() - begun < longest
    told = caught.value.message + caught.value.fix + repr(caught.value)
    assert "\n" not in told
    assert len(caught.value.message) < 500
    assert [secret for secret in SECRETS if secret in told] == []
    return caught.value


def file_failure(source: AlistSource, *, size: int = len(PICTURE)) -> SourceError:
    """As `failure`, of the file ``bad``; another one, asked for by the same source, comes as it should."""
    error = failure(lambda: fetched(source, "bad", size))
    assert error.path == "/comics/bad"
    assert fetched(source, "good") == PICTURE
    return error


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Gives the most bytes that Python held at once since."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_run_with_one_bad_page(folder: Path, link: str, *words: str, **settings: object) -> World:
    """One `run` over two volumes; the second page of one is redirected to ``link``, and that goes wrong.

    The other volume's book is right, the one concerned has none, and one problem says what is wrong.
    """
    comics = folder / "comics"
    comics.mkdir()
    with DemoServer({"/comics": LocalDrive(folder=comics)}) as server:
        world = World(folder, server)
        world.values |= {"source.read_timeout": f"{WINDOW}s"} | settings
        world.volume("Bad/Vol 1")
        world.volume("Well/Vol 1")
        server.faults.add("redirect", "/comics/Bad/Vol 1/2.png", url=link)
        begun = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(LocalDispatch.__init__.__kwdefaults__ or {}, "backoff", 0.0)
            run = world.run()
        assert time.monotonic() - begun < 3 * LONGEST
    assert (run.status, run.keys("bound"), run.keys("waiting")) == (3, ["Well/Vol 1.cbz"], ["Bad/Vol 1.cbz"])
    assert list(world.books()) == ["Well/Vol 1.cbz"]
    oracle.check_book(world.library / "Well/Vol 1.cbz", oracle.pages_of(comics / "Well/Vol 1"))
    (problem,) = run.document["problems"]
    assert (problem["code"], problem["path"]) == ("page_failed", "/comics/Bad/Vol 1/2.png")
    assert [word for word in words if word not in problem["message"] + problem["fix"]] == []
    assert [secret for secret in SECRETS if secret in str(run.document) + run.stderr] == []
    return world
