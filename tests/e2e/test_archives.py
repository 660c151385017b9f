"""Archives are copied as they are, go on where they were cut, and never stand in the library in part."""

from __future__ import annotations

import io
import os
import random
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import call, end_all, until
from tests.core.test_archive_kind import WHOLE, zipped
from tests.e2e.processes import begin, run

from pagebind.demo.bodies import File
from pagebind.demo.drives import LocalDrive

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.world import World

    from pagebind.demo.bodies import Body

MIB = 2**20
PATH, KEY = "/comics/Series/Vol 1.cbz", "Series/Vol 1.cbz"
OTHERS = {"cbr": "rar5", "rar": "rar4", "7z": "7z", "pdf": "pdf", "epub": "deflated"}


@dataclass(slots=True, kw_only=True)
class MeteredDrive(LocalDrive):
    """Counts the bytes of files that it sends, and stops after ``limit`` until the connection is gone."""

    sent: int = 0
    limit: int | None = None
    halted: bool = False

    def open(self, relative: str) -> Body:
        body = LocalDrive.open(self, relative)
        assert isinstance(body, File)
        return Metered(body.path, body.size, self)


@dataclass(frozen=True, slots=True)
class Metered:
    """A file of a metered drive."""

    path: Path
    size: int
    drive: MeteredDrive = field(repr=False)

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """Send piece by piece, so that no more is counted than went out."""
        with self.path.open("rb") as file:
            file.seek(start)
            while start < stop:
                if self.drive.limit is not None and self.drive.sent >= self.drive.limit:
                    self.drive.halted = True
                    connection.recv(1)  # returns when the other side is gone
                    return
                piece = file.read(min(1 << 16, stop - start))
                connection.sendall(piece)
                self.drive.sent += len(piece)
                start += len(piece)

    def read(self) -> bytes:
        """All of it."""
        return self.path.read_bytes()


@pytest.fixture
def drive(tmp_path: Path) -> MeteredDrive:
    folder = tmp_path / "comics"
    folder.mkdir()
    return MeteredDrive(folder=folder)


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch, impatient: None) -> Iterator[World]:
    monkeypatch.setenv("TOKEN", world.server.token)
    world.values["subscription.archives"] = "copy"
    yield world
    end_all()


def archive(size: int) -> bytes:
    """A zip of about so many bytes."""
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as made:
        made.writestr("1.jpg", random.Random(size).randbytes(size))
    return book.getvalue()


def test_archives_are_copied_byte_for_byte_under_their_suffixes(world: World) -> None:
    files = {"Vol 1.cbz": zipped(), "Vol 2.zip": zipped(comment=b"another")}
    files |= {f"Vol {number}.{suffix}": WHOLE[kind] for number, (suffix, kind) in enumerate(OTHERS.items(), 3)}
    for name, data in files.items():
        world.write(f"Series/{name}", data)
    world.volume("Series/Extra")

    result = run(world)

    expected = {f"Series/{name.replace('.zip', '.cbz')}": data for name, data in files.items()}
    assert (result.status, sorted(result.keys("bound"))) == (0, sorted([*expected, "Series/Extra.cbz"]))
    books = world.books()
    assert {key: books[key] for key in expected} == expected
    asked = world.server.count("file")
    again = run(world)
    assert (again.status, len(again.keys("up_to_date"))) == (0, len(files) + 1)
    assert (world.server.count("file"), world.books()) == (asked, books)
    assert world.stored("staging") == []
    assert call("verify", "--read", "--config", world.config()).status == 0


def test_an_archive_stands_for_the_folder_of_its_name(world: World) -> None:
    whole = zipped()
    world.write("Series/Vol 1.cbz", whole)
    world.volume("Series/Vol 1")

    result = run(world)

    assert (result.status, world.books()) == (0, {KEY: whole})
    (ignored,) = result.document["waiting"]
    assert (ignored["state"], ignored["path"]) == ("ignored", "/comics/Series/Vol 1")
    assert "shadowed" in ignored["reason"]


def test_a_body_that_is_cut_is_resumed(world: World, drive: MeteredDrive) -> None:
    whole = archive(9 * MIB)
    world.write("Series/Vol 1.cbz", whole)
    world.server.faults.add("cut", PATH, after=6 * MIB, times=1)

    result = run(world)

    assert (result.status, world.books()) == (0, {KEY: whole})
    asked = [request.range for request in world.server.requests if request.path == PATH and request.kind == "file"]
    assert asked == ["", f"bytes={6 * MIB}-"]
    assert len(whole) <= drive.sent < 1.5 * len(whole)


@pytest.mark.skipif(os.name == "nt", reason="a process is ended in another way there")
def test_a_run_that_was_killed_asks_only_for_the_rest(world: World, drive: MeteredDrive) -> None:
    whole = archive(20 * MIB)
    world.write("Series/Vol 1.cbz", whole)
    drive.limit = 13 * MIB
    process = begin(world, "run", "--json")
    until(lambda: drive.halted and len(world.stored("staging")) == 3)
    assert world.books() == {}
    process.kill()
    process.wait()
    first, drive.limit = drive.sent, None

    result = run(world)

    assert (result.status, world.books()) == (0, {KEY: whole})
    second = drive.sent - first
    assert second == len(whole) - 12 * MIB
    assert world.server.requests[-1].range == f"bytes={12 * MIB}-"
    assert drive.sent < 1.5 * len(whole)
    assert world.stored("staging") == []


def test_cut_archives_on_the_server_are_never_published(world: World) -> None:
    cut = {"zip": "zip", "7z": "7z", "pdf": "pdf", "cbr": "rar5"}
    for suffix, kind in cut.items():
        world.write(f"Cut/{kind}.{suffix}", WHOLE[kind][: len(WHOLE[kind]) * 2 // 3])
    world.write("Series/Vol 1.cbz", zipped())
    world.volume("Series/Vol 2")
    paths = {f"/comics/Cut/{kind}.{suffix}" for suffix, kind in cut.items()}

    answer = call("run", "--config", world.config())

    assert sorted(world.books()) == [KEY, "Series/Vol 2.cbz"]
    assert answer.status == 3
    problems = [line for line in answer.err.splitlines() if line.startswith("problem: ")]
    assert len(problems) == len(cut)
    assert {path for path in paths for line in problems if f" {path} " in line} == paths
    status = call("status", "Cut/*", "--config", world.config())
    assert status.status == 3
    assert {line.strip() for line in status.out.splitlines()} >= {
        problem.removeprefix("problem: ").partition(" (")[0] for problem in problems
    }
    again = world.run()
    assert (again.status, again.codes) == (3, {"page_failed"})
    assert {problem["path"] for problem in again.document["problems"]} == paths
    assert sorted(again.keys("up_to_date")) == [KEY, "Series/Vol 2.cbz"]
    assert sorted(world.books()) == [KEY, "Series/Vol 2.cbz"]

    for suffix, kind in cut.items():
        world.write(f"Cut/{kind}.{suffix}", WHOLE[kind])
    assert world.run().status == 0
    assert len(world.books()) == len(cut) + 2
