"""Wrong input: one line that says what to do, the right status, no traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import SECONDS, Home, call, end

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "alist-71c2e8f0-secret-secret"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": 'token = "env:NOBODY_SET_THIS"'}, ["NOBODY_SET_THIS"]),
        ({"source": 'token = "file:/no/such/file"'}, ["/no/such/file"]),
        ({"source": f'token = "{SECRET}"'}, ["never written in this file", 'token = "env:ALIST_TOKEN"']),
        ({"source": 'tokn = "env:X"'}, ["unknown key tokn in [source]", "did you mean token?"]),
        ({"more": 'exlude = ["raw/"]'}, ["unknown key exlude", "did you mean exclude?"]),
        ({"bind": 'settle = "abc"'}, ["[bind] settle", "10m"]),
        ({"bind": 'settle = "99999999d"'}, ["[bind] settle", "at most 3650d"]),
        ({"more": 'archives = "bind"'}, ["archives", '"copy"']),
        ({"more": 'layout = "{series}/{vol}"'}, ["layout", "{volume}"]),
        ({"more": 'library = "{series}/{numbr}.cbz"'}, ["library", "{number}"]),
        ({"more": 'strip = ["("]'}, ["strip"]),
        ({"store": "gs://Bucket"}, ["[store] url names 'Bucket'", "gs://bucket/prefix"]),
        ({"store": "https://storage.googleapis.com/comics/x"}, ["[store] url", "write gs://comics/x"]),
        ({"more": 'password = "env:NOBODY_SET_THIS"'}, ["NOBODY_SET_THIS"]),
    ],
)
def test_values(home: Home, options: dict[str, str], says: list[str]) -> None:
    home.configure(**options)
    answer = home.call("run")
    assert (answer.status, answer.out) == (2, "")
    assert answer.line.startswith("error: ")
    for text in says:
        assert text in answer.line
    assert SECRET not in answer.line
    assert home.server.count() == 0


@pytest.mark.parametrize("url", ["ftp://alist.example.org", "alist.example.org", "http://", "https://a b"])
def test_addresses(home: Home, url: str) -> None:
    home.config.write_text(home.config.read_text().replace(home.server.url, url))
    answer = home.call("plan")
    assert (answer.status, answer.out) == (2, "")
    assert "[source] url" in answer.line
    assert "https://alist.example.org" in answer.line


def test_bad_toml_names_the_line(home: Home) -> None:
    home.config.write_text('[source]\nurl = "http://a"\ntoken = [\n')
    answer = home.call("run")
    assert answer.status == 2
    assert "line 3" in answer.line
    assert str(home.config) in answer.line


def test_no_configuration_anywhere() -> None:
    answer = call("run")
    assert answer.status == 2
    assert "`pagebind init` writes one" in answer.line


def test_the_configuration_is_found_by_its_variable(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = home.folder / "elsewhere.toml"
    home.config.rename(elsewhere)
    monkeypatch.setenv("PAGEBIND_CONFIG", str(elsewhere))
    assert call("plan").status == 0
    monkeypatch.setenv("PAGEBIND_CONFIG", str(home.config))
    assert str(home.config) in call("plan").line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "/elsewhere"), ["'/elsewhere' lies in no subscription", "/comics"]),
        (("plan", "/comics/../secret"), ["lies in no subscription"]),
        (("status", "Vol 9"), ["no volume is called 'Vol 9'", "`pagebind status`"]),
        (("verify", "Z/*"), ["no volume is called 'Z/*'"]),
        (("status", "Vol 1"), ["'Vol 1' means 2 volumes", "/comics/A/Vol 1", "/comics/B/Vol 1"]),
        (("verify", "Vol 1.cbz"), ["means 2 volumes"]),
        (("run", "--settle", "abc"), ["--settle 'abc' is no length of time", "--settle 10m"]),
        (("run", "--settle", "-1"), ["--settle '-1'"]),
        (("run", "--settle", "99999999d"), ["--settle '99999999d' is too long: at most 3650d"]),
        (("run", "--limit", "0"), ["--limit 0", "from 1"]),
        (("run", "--limit", "-3"), ["--limit -3"]),
        (("run", "--limit", "many"), ["--limit", "many", "pagebind run --help"]),
        (("run", "--wiat"), ["--wiat", "Did you mean", "--wait"]),
        (("verify", "a", "b"), ["unexpected", "pagebind verify --help"]),
        (("run", "--log-format", "xml"), ["--log-format", "xml"]),
    ],
)
def test_words(bound: Home, words: tuple[str, ...], says: list[str]) -> None:
    before = bound.server.count()
    answer = bound.call(*words)
    assert (answer.status, answer.out) == (2, "")
    for text in says:
        assert text in answer.line
    assert bound.server.count() == before


@pytest.mark.parametrize(("word", "near"), [("stauts", "'status'"), ("verfy", "'verify'"), ("xyz", "init, doctor")])
def test_subcommands(word: str, near: str) -> None:
    answer = call(word)
    assert answer.status == 2
    assert repr(word) in answer.line
    assert near in answer.line


def test_without_a_subcommand_there_is_help() -> None:
    answer = call()
    assert (answer.status, answer.out) == (2, "")
    assert "pagebind demo" in answer.err


def test_several_volumes_need_a_glob(bound: Home) -> None:
    answer = bound.call("verify", "*/Vol 1.cbz")
    assert answer.status == 0
    assert "2 of 2 books" in answer.out
    assert "1 of 1 books" in bound.call("verify", "/comics/A/Vol 1").out
    assert "1 of 1 books" in bound.call("verify", "A/Vol 1.cbz").out


def test_init_never_overwrites(tmp_path: Path) -> None:
    assert call("init").status == 0
    written = (tmp_path / "pagebind.toml").read_text()
    answer = call("init")
    assert answer.status == 2
    assert "is there already" in answer.line
    assert (tmp_path / "pagebind.toml").read_text() == written
    blocked = call("init", "--config", tmp_path / "pagebind.toml" / "x.toml")
    assert blocked.status == 2
    assert "cannot be written" in blocked.line


def test_what_init_writes_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALIST_TOKEN", raising=False)
    call("init")
    answer = call("run")
    assert answer.status == 2
    assert "ALIST_TOKEN" in answer.line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pagebind.toml"]


def _in_the_way(home: Home) -> None:
    home.store.write_bytes(b"")


def _above(home: Home) -> None:
    (home.folder / "file").write_bytes(b"")
    home.configure(store=(home.folder / "file" / "store").as_uri())


def _kernel(home: Home) -> None:
    home.configure(store="file:///proc/pagebind")


@pytest.mark.parametrize(
    "spoil",
    [
        _in_the_way,
        _above,
        pytest.param(_kernel, marks=pytest.mark.skipif(not Path("/proc/1").is_dir(), reason="no /proc")),
    ],
)
def test_a_store_that_cannot_be_written(home: Home, spoil: Callable[[Home], None]) -> None:
    spoil(home)
    answer = home.call("run")
    assert (answer.status, answer.out) == (1, "")
    assert answer.line.startswith("error: ")
    assert home.server.count() == 0


def test_guests_are_not_let_in(home: Home) -> None:
    home.configure(source="")
    begun = time.monotonic()
    answer = end(home.spawn("run"))
    assert time.monotonic() - begun < 5
    assert (answer.status, answer.out) == (1, "")
    assert answer.line.startswith("error: ")
    assert home.server.count() <= 2
    document = home.call("run", "--json")
    assert [problem["code"] for problem in document.document["problems"]] == ["auth"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("run", "--json"), ("run",), ("gc", "--help")])
def test_output_that_cannot_be_written(home: Home, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pagebind", words[0], "--config", home.config, *words[1:]],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=SECONDS,
        )
    assert done.returncode == 1
    *progress, line = done.stderr.decode().splitlines()
    assert line == f"error: the output cannot be written: {os.strerror(errno.ENOSPC)}"
    assert all(told.startswith("bound ") for told in progress)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_wrong_token_is_one_line_and_two_requests(home: Home, command: str) -> None:
    home.server.rotate_token()
    answer = home.call(command)
    assert (answer.status, answer.out) == (1, "")
    assert "token" in answer.line
    assert home.server.count() <= 2


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("name", ["\udcff", "Vol \ud800/*"])
def test_of_a_name_that_is_no_unicode_the_server_judges(home: Home, command: str, name: str) -> None:
    answer = home.call(command, f"/comics/{name}")
    assert (answer.status, answer.out) == (1, "")
    assert "object not found" in answer.line
    assert home.server.requests[-1].path == f"/comics/{name}".replace("\udcff", "\ufffd").replace("\ud800", "\ufffd")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_server_that_is_down(home: Home, command: str) -> None:
    home.server.stop()
    answer = home.call(command)
    assert (answer.status, answer.out) == (1, "")
    assert home.server.url.removeprefix("http://") in answer.line
    assert "[source] url" in answer.line


@pytest.mark.parametrize("url", ["gs://bucket/pagebind.toml", "s3://bucket/pagebind.toml"])
def test_init_writes_no_object(tmp_path: Path, url: str) -> None:
    answer = call("init", "--config", url)
    assert answer.status == 2
    assert "init writes a file" in answer.line
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("gs://bucket/a.toml", "google.auth.exceptions", "gcs"), ("s3://bucket/a.toml", "boto3", "s3")],
)
def test_a_store_whose_library_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    backends = ("pagebind.adapters.stores.gcs", "pagebind.adapters.stores.s3")
    for name in [name for name in sys.modules if name.startswith(backends)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    answer = call("run", "--config", url)
    assert answer.status == 2
    assert "is not installed" in answer.line
    assert f'pip install "pagebind[{extra}]"' in answer.line
