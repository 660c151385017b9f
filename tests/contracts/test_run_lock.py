from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pagebind.adapters.stores.run_lock import RunLock
from pagebind.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_HOLD = """
import sys
from pathlib import Path
from pagebind.adapters.stores.run_lock import RunLock

with RunLock(Path(sys.argv[1])).acquire(lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-c", _HOLD, str(tmp_path / "work")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def _finish(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("end", [subprocess.Popen.kill, _finish])
def test_waits_for_another_process_to_end_whichever_way(
    tmp_path: Path, holder: subprocess.Popen[bytes], end: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    waited = []

    def on_wait() -> None:
        waited.append(holder.poll())
        end(holder)

    with RunLock(tmp_path / "work").acquire(on_wait):
        assert waited == [None]
        holder.wait(timeout=10)


def test_does_not_wait_where_nobody_runs(tmp_path: Path) -> None:
    for _ in range(2):
        with RunLock(tmp_path / "work").acquire(lambda: pytest.fail("waited")):
            pass


def test_tells_whether_it_is_held_without_waiting_or_writing(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "work")
    assert not lock.is_held()
    assert not (tmp_path / "work").exists()
    with RunLock(tmp_path / "work").acquire(lambda: None):
        assert lock.is_held()
    assert not lock.is_held()
    with RunLock(tmp_path / "work").acquire(lambda: pytest.fail("waited")):
        pass


def test_tells_of_a_holder_in_another_process(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    assert RunLock(tmp_path / "work").is_held()
    holder.kill()
    holder.wait(timeout=10)
    assert not RunLock(tmp_path / "work").is_held()


def test_is_let_go_by_an_error(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "work")
    with pytest.raises(RuntimeError), lock.acquire(lambda: None):
        raise RuntimeError
    with RunLock(tmp_path / "work").acquire(lambda: pytest.fail("waited")):
        pass


def test_says_where_it_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(b"a file")
    with pytest.raises(StoreUnavailable, match="work"), RunLock(tmp_path / "work").acquire(lambda: None):
        pass
