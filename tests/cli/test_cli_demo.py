"""`demo`: everything at once, without a server of one's own."""

from __future__ import annotations

import os
import signal
import time
import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import call, end, end_all, spawn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    end_all()


def test_demo(tmp_path: Path) -> None:
    begun = time.monotonic()
    answer = call("demo")
    assert time.monotonic() - begun < 60
    assert answer.status == 0
    books = sorted((tmp_path / "pagebind-demo" / "library").rglob("*.cbz"))
    assert len(books) == 11
    assert "11 bound, 0 up to date, 0 waiting, 0 held, 2 ignored" in answer.out
    for path in books:
        assert f"  {path}\n" in answer.out
        with zipfile.ZipFile(path) as book:
            assert book.testzip() is None
            assert ("ComicInfo.xml" in book.namelist()) != (path.name == "Berserk v02.cbz")  # which was copied


@pytest.mark.parametrize("dialect", ["alist-3.45", "openlist-4.2"])
def test_dialects(tmp_path: Path, dialect: str) -> None:
    answer = call("demo", "--json", "--dialect", dialect, "--folder", "elsewhere")
    assert answer.status == 0
    assert len(list((tmp_path / "elsewhere" / "library").rglob("*.cbz"))) == 11


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    answer = call("demo", "--folder", "file")
    assert answer.status == 2
    assert "--folder" in answer.line


@pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")
def test_serve_prints_a_configuration_that_works(tmp_path: Path) -> None:
    process = spawn("demo", "--serve", "--folder", "my demo")
    assert process.stdout is not None
    printed: list[bytes] = []
    while not printed or b"another terminal" not in printed[-1]:
        printed.append(process.stdout.readline())
        assert printed[-1], process.communicate()
    lines = [line.decode() for line in printed]
    config = tmp_path / "copied.toml"
    config.write_text("".join(line for line in lines if line.startswith("    ")))
    assert call("plan", "--config", config, "--exit-code").status == 0
    assert f"pagebind run --config '{tmp_path / 'my demo' / 'pagebind.toml'}'" in lines[-1]
    again = call("run", "--config", tmp_path / "my demo" / "pagebind.toml")
    assert again.status == 0
    assert "0 bound, 11 up to date" in again.out
    process.send_signal(signal.SIGINT)
    assert end(process).status == 130
