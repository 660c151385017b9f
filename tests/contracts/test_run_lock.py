from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pagebind.adapters.stores.run_lock import RUN_LOCK, RunLock
from pagebind.config import parse, template
from pagebind.errors import StoreUnavailable
from pagebind.wiring import run_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pagebind.config import Settings

_HOLD = """
import sys
from pathlib import Path
from pagebind.adapters.stores.run_lock import RunLock

with RunLock(Path(sys.argv[1]) / "a.lock").acquire(lambda: None):
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

    with RunLock(tmp_path / "work" / "a.lock").acquire(on_wait):
        assert waited == [None]
        holder.wait(timeout=10)


def test_does_not_wait_where_nobody_runs(tmp_path: Path) -> None:
    for _ in range(2):
        with RunLock(tmp_path / "work" / "a.lock").acquire(lambda: pytest.fail("waited")):
            pass


def test_tells_whether_it_is_held_without_waiting_or_writing(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "work" / "a.lock")
    assert not lock.is_held()
    assert not (tmp_path / "work").exists()
    with RunLock(tmp_path / "work" / "a.lock").acquire(lambda: None):
        assert lock.is_held()
    assert not lock.is_held()
    with RunLock(tmp_path / "work" / "a.lock").acquire(lambda: pytest.fail("waited")):
        pass


def test_tells_of_a_holder_in_another_process(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    assert RunLock(tmp_path / "work" / "a.lock").is_held()
    holder.kill()
    holder.wait(timeout=10)
    assert not RunLock(tmp_path / "work" / "a.lock").is_held()


def test_is_let_go_by_an_error(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "work" / "a.lock")
    with pytest.raises(RuntimeError), lock.acquire(lambda: None):
        raise RuntimeError
    with RunLock(tmp_path / "work" / "a.lock").acquire(lambda: pytest.fail("waited")):
        pass


def test_says_where_it_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(b"a file")
    with pytest.raises(StoreUnavailable, match="work"), RunLock(tmp_path / "work" / "a.lock").acquire(lambda: None):
        pass


def test_an_optional_one_is_done_without_where_it_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(b"a file")
    lock = RunLock(tmp_path / "work" / "state" / "a.lock", optional=True)
    entered = []
    with lock.acquire(lambda: pytest.fail("waited")):
        entered.append(lock.is_held())
    assert entered == [False]


def test_an_optional_one_is_a_lock_where_it_can_be_had(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    lock = RunLock(tmp_path / "work" / "a.lock", optional=True)
    assert lock.is_held()
    with lock.acquire(holder.kill):
        holder.wait(timeout=10)
    assert not lock.is_held()


def test_what_goes_wrong_under_an_optional_one_is_not_swallowed(tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(b"a file")
    lock = RunLock(tmp_path / "work" / "a.lock", optional=True)
    with pytest.raises(StoreUnavailable, match="full"), lock.acquire(lambda: None):
        raise StoreUnavailable("the bucket is full")


def settings(url: str) -> Settings:
    return parse(template(url), {}, "x")


def test_a_folder_holds_its_own_lock_and_a_bucket_has_one_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    work = tmp_path / "work"
    with (
        run_lock(settings(work.as_uri())).acquire(lambda: pytest.fail("waited")),
        run_lock(settings("gs://bucket/one")).acquire(lambda: pytest.fail("waited")),
        run_lock(settings("gs://bucket/two")).acquire(lambda: pytest.fail("waited")),
    ):
        assert [path.name for path in work.iterdir()] == [RUN_LOCK]
        assert run_lock(settings("gs://bucket/one/")).is_held()
        assert not run_lock(settings("s3://bucket/one")).is_held()


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("gs://bucket/one", "STORAGE_EMULATOR_HOST"),
        ("s3://bucket/one", "AWS_ENDPOINT_URL"),
        ("s3://bucket/one", "AWS_ENDPOINT_URL_S3"),
    ],
)
def test_equal_buckets_on_two_servers_have_two_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, variable: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with run_lock(settings(url)).acquire(lambda: pytest.fail("waited")):
        assert run_lock(settings(url)).is_held()
        monkeypatch.setenv(variable, "http://127.0.0.1:2")
        assert not run_lock(settings(url)).is_held()
        monkeypatch.delenv(variable)
        assert not run_lock(settings(url)).is_held()
