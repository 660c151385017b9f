"""Archives from a server over real sockets, into a real store: cut, resumed, begun anew."""

from __future__ import annotations

import io
import itertools
import random
import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.adapters.alist.doubles import secret
from tests.support.clock import FakeClock

from pagebind.adapters.alist import AlistSource, Limits, StaticToken
from pagebind.adapters.stores.folder import FolderStore
from pagebind.app import fetch as fetching
from pagebind.app.fetch import Fetch, Outcome
from pagebind.core import keys
from pagebind.demo.dialects import DIALECTS
from pagebind.demo.drives import LocalDrive
from pagebind.demo.server import DemoServer
from pagebind.errors import PageCut
from pagebind.ports.dispatch import FetchTask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 100_000


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("1.jpg", random.Random(1).randbytes(1_000_000))
    return out.getvalue()


BODY = archive()
# It has no sign, so each fetch's first request is refused: faults skip that one.
TASK = FetchTask("vol", "page", "/comics/A.cbz", "/comics", "A.cbz", len(BODY), 1, 1, kind="archive")


@pytest.fixture(params=sorted(DIALECTS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DemoServer]:
    (tmp_path / "comics").mkdir()
    (tmp_path / "comics" / "A.cbz").write_bytes(BODY)
    drive = LocalDrive(folder=tmp_path / "comics")
    with DemoServer({"/comics": drive}, dialect=request.param) as server:
        yield server


@pytest.fixture
def work(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "work")


@pytest.fixture
def fetch(server: DemoServer, work: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetch]:
    monkeypatch.setattr(fetching, "MEMORY", PIECE)
    source = AlistSource(
        server.url,
        StaticToken(secret(server.token)),
        clock=FakeClock(),
        client_id="c",
        limits=Limits(list_per_second=0, read_timeout=10),
    )
    yield Fetch(source, work, FolderStore(tmp_path / "library", work=work), {}, downloads=2)
    source.close()


def staged(work: FolderStore) -> list[str]:
    return [info.key for info in work.list(keys.STAGING)]


def ranges(server: DemoServer) -> list[str]:
    """What was asked for, one after the other; the same again, e.g. with a sign, counts once."""
    asked = (request.range for request in server.requests if request.kind == "file")
    return [wanted for wanted, _ in itertools.groupby(asked)]


def test_an_archive_that_is_cut_once_is_resumed_within_one_fetch(
    server: DemoServer, work: FolderStore, fetch: Fetch
) -> None:
    server.faults.add("cut", "/comics/A.cbz", after=333_333, skip=1, times=1)

    assert fetch(TASK, last_attempt=False).outcome is Outcome.STAGED

    assert work.get(keys.entry_key("vol", "page")) == BODY
    assert staged(work) == [keys.entry_key("vol", "page")]
    assert ranges(server) == ["", "bytes=333333-"]


def test_an_archive_that_is_cut_for_good_goes_on_with_the_next_fetch(
    server: DemoServer, work: FolderStore, fetch: Fetch
) -> None:
    server.faults.add("cut", "/comics/A.cbz", after=333_333, skip=1, times=1)
    server.faults.add("cut", "/comics/A.cbz", after=0, skip=2)
    with pytest.raises(PageCut):
        fetch(TASK, last_attempt=False)
    assert staged(work) == [keys.piece_key("vol", "page", number) for number in range(3)]
    server.faults.clear()

    assert fetch(TASK, last_attempt=False).outcome is Outcome.STAGED

    assert work.get(keys.entry_key("vol", "page")) == BODY
    assert ranges(server) == ["", "bytes=333333-", "bytes=300000-"]


def test_a_server_without_ranges_gives_everything_again(server: DemoServer, work: FolderStore, fetch: Fetch) -> None:
    server.faults.add("cut", "/comics/A.cbz", after=333_333)
    server.faults.add("no_range", "/comics/A.cbz")
    with pytest.raises(PageCut):
        fetch(TASK, last_attempt=False)
    assert len(staged(work)) == 3
    server.faults.clear()
    server.faults.add("no_range", "/comics/A.cbz")

    assert fetch(TASK, last_attempt=False).outcome is Outcome.STAGED

    assert work.get(keys.entry_key("vol", "page")) == BODY
    assert ranges(server) == ["", "bytes=333333-", "bytes=300000-", ""]
