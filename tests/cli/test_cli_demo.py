"""`demo`: everything at once, without a server of one's own."""

from __future__ import annotations

import os
import shlex
import signal
import time
import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import call, end, end_all, spawn

if TYPE_CHECKING:
    import subprocess
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


@pytest.mark.parametrize("store", ["gs", "s3"])
def test_a_store_whose_server_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    monkeypatch.setattr("pagebind.demo.object_stores.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    answer = call("demo", "--store", store)
    assert answer.status == 2
    assert 'pip install "pagebind[demo]"' in answer.line
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(("store", "all_of_it"), [("gs", False), ("gs", True), ("s3", True)])
def test_a_store_whose_library_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, all_of_it: bool
) -> None:
    """Of Google's, other packages may be there."""

    def find(module: str) -> None:
        if module == "google.cloud.storage" and all_of_it:
            raise ModuleNotFoundError(module)

    monkeypatch.setattr("pagebind.demo.places.find_spec", find)
    monkeypatch.setattr("pagebind.demo.object_stores.GcsServer.demand", lambda _: None)
    monkeypatch.setattr("pagebind.demo.object_stores.S3Server.demand", lambda _: None)
    answer = call("demo", "--store", store)
    assert answer.status == 2
    assert "is not installed" in answer.line
    assert 'pip install "pagebind[demo]"' in answer.line
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    answer = call("demo", "--folder", "file")
    assert answer.status == 2
    assert "--folder" in answer.line


@pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")
@pytest.mark.parametrize("store", ["file", "gs", pytest.param("s3", marks=pytest.mark.slow)])
def test_serve_prints_a_configuration_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    process = spawn("demo", "--serve", "--folder", "my demo", "--store", store)
    home = tmp_path / "my demo"
    lines = _until_served(process)
    for line in lines:
        if line.startswith("export "):
            monkeypatch.setenv(*shlex.split(line)[1].split("=", 1))
    config = tmp_path / "copied.toml"
    shown = [line.strip() for line in lines if line.startswith("    ")]
    assert [line for line in shown if line.startswith("[")] == [
        "[source]",
        "[store]",
        "[bind]",
        *["[[subscription]]"] * 3,
    ]
    config.write_text("\n".join(shown))
    assert call("plan", "--config", config, "--exit-code").status == 0
    assert f"pagebind run --config '{home / 'pagebind.toml'}'" in lines[-1]
    again = call("run", "--config", home / "pagebind.toml")
    assert again.status == 0, again.err
    assert "0 bound, 11 up to date" in again.out
    if store != "file":
        assert f"  {store}://pagebind-demo/library/Moby Dick/Tome 1.cbz\n" in lines
        assert f"copies of them, to open: {home / f'library-{store}'}\n" in lines
        call("demo", "--folder", "plain")
        books = _books(tmp_path / "plain" / "library")
        assert len(books) == 11
        assert _books(home / f"library-{store}") == books
    process.send_signal(signal.SIGINT)
    assert end(process).status == 130


def _until_served(process: subprocess.Popen[bytes]) -> list[str]:
    """What it prints, up to the line that tells how to go on."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "another terminal" not in lines[-1]:
        lines.append(process.stdout.readline().decode())
        if not lines[-1]:
            ended = end(process)
            if "has no program for" in ended.err:
                pytest.skip(ended.line)
            raise AssertionError(ended)
    return lines


def _books(folder: Path) -> dict[str, bytes]:
    return {book.relative_to(folder).as_posix(): book.read_bytes() for book in folder.rglob("*.cbz")}
