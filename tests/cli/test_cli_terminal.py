"""What stands on a terminal, and what elsewhere; help as a new user sees it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import SECONDS, call, end

from pagebind.cli.progress import Counted, watching
from pagebind.cli.text import duration, size_text
from pagebind.core.printable import printable
from pagebind.core.wording import counted
from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from tests.cli.command import Home

ESCAPE = "\x1b["
COMMANDS = ("init", "doctor", "plan", "run", "status", "verify", "demo")


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_colours_and_a_live_line_on_a_terminal(home: Home) -> None:
    for number in range(4, 9):
        home.add(f"A/Vol 1/0{number}.png", png(str(number)))
    home.server.faults.add("delay", on="file", seconds=0.12)
    home.configure(source=f'token = "file:{home.folder / "token"}"\nconcurrency = 1')
    (home.library / "B").mkdir(parents=True)
    (home.library / "B" / "Vol 1.cbz").write_bytes(b"mine")
    shown = _on_a_terminal(home, "run")
    assert ESCAPE + "33mproblem: " in shown
    assert re.search(r"pages [1-8]/8, [0-9.]+ k?B, [0-9.]+ k?B/s(, [0-9]+ s left)?", shown)
    assert "bound A/Vol 1.cbz (8 pages)" in shown
    assert ESCAPE + "32mbound" in _on_a_terminal(home, "status")


def _on_a_terminal(home: Home, command: str) -> str:
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pagebind", command, "--config", home.config],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(slave)
    shown = bytearray()
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:
        pass  # so Linux says that nobody writes any more
    finally:
        os.close(master)
    process.wait(SECONDS)
    return shown.decode()


def test_plain_lines_elsewhere(home: Home) -> None:
    (home.library / "B").mkdir(parents=True)
    (home.library / "B" / "Vol 1.cbz").write_bytes(b"mine")
    answer = end(home.spawn("run"))
    assert answer.status == 3
    assert ESCAPE not in answer.out + answer.err
    assert answer.err.startswith("bound A/Vol 1.cbz (3 pages)\nproblem: ")


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}])
def test_names_that_the_terminal_cannot_show(home: Home, environment: dict[str, str]) -> None:
    for number in (1, 2):
        home.add(f"深夜食堂/第1巻 😀/{number}.png", png(str(number)))
    first = end(home.spawn("run", **environment))
    assert first.status == 0
    assert "Traceback" not in first.err
    for command in ("status", "plan", "verify"):
        assert end(home.spawn(command, **environment)).status == 0
    assert end(home.spawn("run", "--json", **environment)).document["up_to_date"][-1]["key"] == "深夜食堂/第1巻 😀.cbz"


def test_progress_counts_rates_and_time_left() -> None:
    now = [0.0]
    shown: list[str] = []
    progress = Counted(shown.append, shown.append, interval=10.0, clock=lambda: now[0])
    progress.listed("/comics", 0)
    assert shown == []
    now[0] = 10.0
    progress.listed("/comics/A", 4)
    progress.planned(4, 4_000_000)
    now[0] = 20.0
    progress.fetched(1_000_000)
    progress.bound("A.cbz", 4)
    assert shown == ["listing: 2 folders", "pages 1/4, 1.0 MB, 100.0 kB/s, 30 s left", "bound A.cbz (4 pages)"]


def test_quiet_progress_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(quiet=True) as progress:
        progress.listed("/comics", 1)
        progress.planned(1, 1)
        progress.fetched(1)
        progress.bound("A.cbz", 1)
        progress.note("hello")
    assert capsys.readouterr() == ("", "")


def test_words_for_people() -> None:
    assert [size_text(n) for n in (0, 999, 1500, 2.5e6, 3e9, 4e12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.5 MB",
        "3.0 GB",
        "4.0 TB",
    ]
    assert [duration(n) for n in (1, 99, 150, 7200)] == ["1 s", "99 s", "2 min", "2.0 h"]
    assert [counted(n, "page") for n in (0, 1, 2)] == ["0 pages", "1 page", "2 pages"]
    assert printable("a\x1b[1m\nb\ud800\u2028\u202e") == "a\\x1b[1m\\nb\\ud800\\u2028\\u202e"
    assert printable("第１　巻 '\"😀 👩‍👩‍👧") == "第１　巻 '\"😀 👩‍👩‍👧"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_line_by_line(command: str) -> None:
    answer = call(command, "--help")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: pagebind {command} ")
    assert f"\n  Examples:\n    pagebind {command}" in answer.out
    assert "\\b" not in answer.out
    for option in ("--config FILE", "--verbose", "--quiet", "--log-format [text|json]", "--json"):
        assert option in answer.out
    assert not re.search(r"lambda|<function|\[x>=", answer.out)


def test_help_names_every_command() -> None:
    answer = call("--help")
    assert answer.status == 0
    assert all(re.search(rf"^  {command} +[A-Z]", answer.out, re.MULTILINE) for command in COMMANDS)
    assert "\n    pagebind demo " in answer.out
    assert call("-h").out == answer.out
    assert re.fullmatch(r"pagebind \d+\.\d+\.\d+\n", call("--version").out)
