"""Two runs at once, entries that were lost or damaged, and libraries on other file systems."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.support import oracle

from pagebind.demo.pictures import seeming_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.world import World

only_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount")

PATH, KEY = "Series/Vol 1", "Series/Vol 1.cbz"


def start(world: World) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    words = [sys.executable, "-c", "from pagebind.cli.main import entry; entry()"]
    words += ["run", "--json", "--config", str(world.config())]
    env = {**os.environ, **world.environment()}
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_book(world: World) -> None:
    oracle.check_book(world.library / KEY, oracle.pages_of(world.comics / PATH))


def test_two_runs_at_once_make_the_same_books_and_download_no_page_twice(world: World) -> None:
    for number in range(1, 4):
        world.volume(f"Series/Vol {number}", [f"{page}.png" for page in range(1, 11)])
    world.server.faults.add("delay", on="file", seconds=0.2)

    both = [start(world), start(world)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    first, second = sorted((json.loads(out) for out, _ in said), key=lambda document: len(document["bound"]))
    assert (len(first["up_to_date"]), len(second["bound"])) == (3, 3)
    assert sum("another run is at work" in err for _, err in said) == 1
    asked = Counter(one.path for one in world.server.requests if one.kind == "file")
    assert (len(asked), set(asked.values())) == (30, {1})
    check_book(world)


def truncate(entries: list[Path]) -> int:
    os.truncate(entries[0], entries[0].stat().st_size // 2)
    return 1


def empty(entries: list[Path]) -> int:
    entries[1].write_bytes(b"")
    return 1


def flip_a_byte_of_the_page(entries: list[Path]) -> int:
    data = bytearray(entries[2].read_bytes())
    data[100] ^= 1
    entries[2].write_bytes(data)
    return 1


def flip_a_byte_of_the_header(entries: list[Path]) -> int:
    data = bytearray(entries[2].read_bytes())
    data[15] ^= 1
    entries[2].write_bytes(data)
    return 1


def flip_a_byte_near_the_end(entries: list[Path]) -> int:
    for entry, place in zip(entries, (-1, -5, -12, -40), strict=False):
        data = bytearray(entry.read_bytes())
        data[place] ^= 1
        entry.write_bytes(data)
    return len(entries[:4])


def lengthen(entries: list[Path]) -> int:
    with entries[0].open("ab") as file:
        file.write(b"more")
    return 1


def delete(entries: list[Path]) -> int:
    entries[0].unlink()
    entries[3].unlink()
    return 2


def exchange(entries: list[Path]) -> int:
    spare = entries[0].with_name("spare")
    entries[0].rename(spare)
    entries[1].rename(entries[0])
    spare.rename(entries[1])
    return 2


def garble_all(entries: list[Path]) -> int:
    for entry in entries:
        entry.write_bytes(b"\0" * entry.stat().st_size)
    return len(entries)


DAMAGES = (
    truncate,
    empty,
    flip_a_byte_of_the_page,
    flip_a_byte_of_the_header,
    flip_a_byte_near_the_end,
    lengthen,
    delete,
    exchange,
    garble_all,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_entry_that_was_lost_or_damaged_is_fetched_again(world: World, damage: Callable[[list[Path]], int]) -> None:
    world.volume(PATH, [f"{page}.png" for page in range(1, 8)])
    world.server.faults.add("status", f"/comics/{PATH}/7.png", code=404, on="file")
    assert world.run().status == 3
    entries = world.stored("staging")
    assert len(entries) == 6
    lost = damage(entries)
    world.server.faults.clear()

    run = world.run()
    assert (run.status, run.keys("bound"), run.fetched) == (0, [KEY], lost + 1)
    check_book(world)
    assert world.stored("staging") == []
    again = world.run()
    assert (again.status, again.keys("up_to_date"), again.fetched) == (0, [KEY], 0)


def test_entries_of_different_volumes_exchanged(world: World) -> None:
    for number in (1, 2):
        world.volume(f"Series/Vol {number}")
        world.server.faults.add("status", f"/comics/Series/Vol {number}/3.png", code=404, on="file")
    assert world.run().status == 3
    exchange(world.stored("staging")[1:3])
    world.server.faults.clear()

    assert world.run().status == 0
    check_book(world)
    oracle.check_book(world.library / "Series/Vol 2.cbz", oracle.pages_of(world.comics / "Series/Vol 2"))


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[None]:
    """Something mounted at a folder; skips the test where that is not allowed."""
    place.mkdir()
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@only_root
def test_a_library_on_another_mount(world: World) -> None:
    world.volume(PATH)
    with mounted(world.library, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        assert world.library.stat().st_dev != world.home.stat().st_dev
        check_bound_and_rebound(world)


@only_root
@pytest.mark.skipif(shutil.which("mkfs.vfat") is None, reason="mkfs.vfat is not installed")
def test_a_library_on_vfat(world: World) -> None:
    world.volume(PATH)
    image = world.home / "vfat.img"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.vfat", str(image)], capture_output=True, check=True)
    with mounted(world.library, "-t", "vfat", "-o", "loop,utf8", str(image)):
        check_bound_and_rebound(world)


def check_bound_and_rebound(world: World) -> None:
    assert (world.run().status, list(world.books())) == (0, [KEY])
    check_book(world)
    world.write(f"{PATH}/4.png")
    run = world.run()
    assert (run.status, run.keys("bound")) == (0, [KEY])
    check_book(world)
    again = world.run()
    assert (again.status, again.keys("up_to_date"), again.fetched) == (0, [KEY], 0)
    assert list(world.books()) == [KEY]


@only_root
def test_a_library_that_is_full_costs_no_download_once_there_is_room(world: World) -> None:
    for number in range(1, 4):
        world.write(f"{PATH}/{number}.jpg", b"".join(seeming_jpeg(str(number), 200_000)))
    with mounted(world.library, "-t", "tmpfs", "-o", "size=256k", "tmpfs"):
        run = world.run()
        assert (run.status, run.codes, world.books()) == (1, {"store"}, {})
        subprocess.run(["mount", "-o", "remount,size=8m", str(world.library)], check=True)
        run = world.run()
        assert (run.status, run.keys("bound"), run.fetched) == (0, [KEY], 0)
        check_book(world)
