"""`pagebind serve` as a process: rounds, what it says, and how a signal ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli import shapes
from tests.cli.command import Home, end, until

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")

SOON = 6.0
GRACE = 7.0


def documents(out: str) -> list[Any]:
    """One a line, each whole and of the right shape."""
    found = [json.loads(line) for line in out.splitlines()]
    for document in found:
        shapes.check("serve", document)
    return found


def line_of(process: subprocess.Popen[bytes], *, err: bool = False) -> str:
    stream = process.stderr if err else process.stdout
    assert stream is not None
    return stream.readline().decode()


def catches(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether a handler waits for the signal still: the first one that comes takes it away."""
    state = Path(f"/proc/{process.pid}/status")
    if not state.exists():
        pytest.skip("nothing tells which signals a process catches")
    (mask,) = re.findall(r"SigCgt:\s*([0-9a-f]+)", state.read_text())
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_document_for_each_round_and_a_signal_between_two(home: Home, number: signal.Signals, status: int) -> None:
    process = home.spawn("serve", "--json", "--every", "0.3s")
    first, second = documents(line_of(process) + line_of(process))
    assert [volume["key"] for volume in first["bound"]] == ["A/Vol 1.cbz", "B/Vol 1.cbz"]
    assert [volume["key"] for volume in second["up_to_date"]] == ["A/Vol 1.cbz", "B/Vol 1.cbz"]
    home.add("C/Vol 1/01.png", png("later"))
    while not documents(line_of(process))[0]["bound"]:
        pass
    process.send_signal(number)
    begun = time.monotonic()
    answer = end(process)
    assert (answer.status, answer.err) == (status, "")
    assert time.monotonic() - begun < SOON
    documents(answer.out)
    assert home.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz", "C/Vol 1.cbz"]


def test_a_signal_while_it_waits_for_the_next_round_comes_through_at_once(home: Home) -> None:
    process = home.spawn("serve")
    assert "2 bound" in line_of(process)
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    answer = end(process)
    assert (answer.status, answer.out, answer.err) == (143, "", "")
    assert time.monotonic() - begun < SOON


def test_a_signal_in_the_middle_of_slow_downloads(home: Home) -> None:
    for page in range(60):
        home.add(f"A/Vol 1/1{page:02}.png", png(str(page)))
    gate = home.shut()
    process = home.spawn("serve", "--json")
    until(lambda: gate.asked >= 8)
    process.send_signal(signal.SIGTERM)
    until(lambda: not catches(process, signal.SIGTERM))
    gate.opened.set()  # what is under way may end now
    answer = end(process)
    assert (answer.status, answer.err) == (143, "")
    (document,) = documents(answer.out)
    fetched = document["pages_fetched"]
    assert 8 <= fetched < 30
    assert sum(volume["staged"] for volume in document["waiting"]) == fetched
    assert home.books() == []
    assert not list((home.store / ".tmp").iterdir())
    checked = home.call("status", "--check")
    assert checked.status == 1
    assert "the last one was interrupted at " in checked.line
    assert ", interrupted, 0 problems" in home.call("status").out
    again = home.call("run", "--json").document
    assert again["pages_fetched"] == 65 - fetched
    assert home.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz"]
    assert home.call("verify", "--read").status == 0


@pytest.mark.slow
def test_a_download_that_does_not_end_is_not_waited_for(home: Home) -> None:
    home.server.faults.add("stall", "/comics/B", after=20)
    process = home.spawn("serve", "--json")
    until(lambda: home.server.count("file", "/comics/B/Vol 1/01.png") > 0 and home.books() == ["A/Vol 1.cbz"])
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    answer = end(process)
    assert answer.status == 143
    assert time.monotonic() - begun < GRACE + SOON
    (document,) = documents(answer.out)
    assert [volume["key"] for volume in document["waiting"]] == ["B/Vol 1.cbz"]
    home.server.faults.clear()
    assert home.call("run").status == 0
    assert home.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz"]


def test_a_signal_while_the_server_thinks(home: Home) -> None:
    gate = home.shut(lists=True)
    process = home.spawn("serve", "--json")
    until(lambda: gate.asked > 0)
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    answer = end(process)
    gate.opened.set()
    assert (answer.status, answer.err) == (143, "")
    assert time.monotonic() - begun < SOON
    assert len(documents(answer.out)) == 1


def test_a_trouble_of_many_rounds_is_said_once_and_its_end_too(home: Home) -> None:
    home.server.faults.add("status", code=401, on="list")
    process = home.spawn("serve", "--every", "0.2s")
    again = [line_of(process) for _ in range(3)]
    assert all("failed again, for the same reason" in line for line in again)
    home.server.faults.clear()
    line = line_of(process)
    while "failed again" in line:
        line = line_of(process)
    assert "well again after" in line
    assert "2 bound" in line
    process.send_signal(signal.SIGTERM)
    answer = end(process)
    assert answer.status == 143
    assert answer.line.startswith("error: ")


def test_a_held_volume_is_told_of_once(bound: Home) -> None:
    (bound.library / "A" / "Vol 1.cbz").unlink()
    process = bound.spawn("serve", "--every", "0.2s")
    assert all("1 held" in line_of(process) for _ in range(3))
    process.send_signal(signal.SIGTERM)
    answer = end(process)
    assert answer.line.startswith("problem: somebody removed the book")


def test_it_waits_for_another_run_and_says_so(home: Home) -> None:
    gate = home.shut()
    first = home.spawn("run", "--json")
    until(lambda: gate.asked > 0)
    second = home.spawn("serve", "--json", "--every", "1h")
    assert "another run is at work" in line_of(second, err=True)
    gate.opened.set()
    assert len(end(first).document["bound"]) == 2
    assert len(documents(line_of(second))[0]["up_to_date"]) == 2
    second.send_signal(signal.SIGINT)
    assert end(second).status == 130


def test_a_signal_while_it_waits_for_a_server_that_is_down_makes_nothing_well(home: Home) -> None:
    home.server.faults.add("status", code=401, on="list")
    process = home.spawn("serve", "--every", "0.2s")
    assert "failed again" in line_of(process)
    gate = home.shut(lists=True)
    home.server.faults.clear()
    until(lambda: gate.asked > 0)
    process.send_signal(signal.SIGTERM)
    answer = end(process)
    gate.opened.set()
    assert answer.status == 143
    assert answer.line.startswith("error: ")
    assert "well again" not in answer.out
    assert " interrupted; 0 bound" in answer.out
    assert home.call("status", "--check").status == 1


@pytest.mark.parametrize("every", ["0", "soon", "-1m", "", "9999999d"])
def test_no_length_of_time(home: Home, every: str) -> None:
    answer = home.call("serve", "--json", "--every", every)
    assert answer.status == 2
    shapes.check("serve", answer.document)
    assert "--every" in answer.line


def test_a_secret_that_leads_nowhere_ends_it_at_the_start(home: Home) -> None:
    home.configure(source='token = "env:NOBODY_SET_THIS"')
    answer = home.call("serve")
    assert (answer.status, answer.out) == (2, "")
    assert "NOBODY_SET_THIS" in answer.line
