"""SIGINT and SIGTERM end every command soon, with their status, and leave the store fit for the next run."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.cli import shapes
from tests.cli.command import Answer, Home, end, until

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")

SOON = 3.0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_while_pages_come(home: Home, number: signal.Signals, status: int) -> None:
    for page in range(40):
        home.add(f"A/Vol 1/1{page:02}.png", png(str(page)))
    home.server.faults.add("stall", "/comics/B", after=20)
    process = home.spawn("run", "--json")
    until(lambda: home.server.count("file", "/comics/B/Vol 1/01.png") > 0 and home.books() == ["A/Vol 1.cbz"])
    answer, seconds = _interrupt(process, number)
    assert (answer.status, answer.err) == (status, "")
    assert seconds < SOON
    shapes.check("run", answer.document)
    assert answer.document["pages_fetched"] > 0
    there = answer.document["bound"] + answer.document["up_to_date"]  # the latter while its finalize still cleans up
    assert [volume["key"] for volume in there] == ["A/Vol 1.cbz"]
    assert [volume["key"] for volume in answer.document["waiting"]] == ["B/Vol 1.cbz"]
    home.server.faults.clear()
    again = home.call("run", "--json")
    assert again.status == 0
    assert home.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz"]
    assert len(again.document["up_to_date"] + again.document["bound"]) == 2
    assert home.call("verify", "--read").status == 0


def _interrupt(process: subprocess.Popen[bytes], number: signal.Signals) -> tuple[Answer, float]:
    begun = time.monotonic()
    process.send_signal(number)
    return end(process), time.monotonic() - begun


@pytest.mark.parametrize("command", ["run", "plan", "doctor"])
def test_while_the_server_thinks(home: Home, command: str) -> None:
    gate = home.shut(lists=True)
    process = home.spawn(command, "--json")
    until(lambda: gate.asked > 0)
    answer, seconds = _interrupt(process, signal.SIGTERM)
    gate.opened.set()
    assert answer.status == 143
    assert "Traceback" not in answer.err
    assert seconds < SOON
    shapes.check(command, answer.document)


def test_while_another_run_is_at_work(home: Home) -> None:
    gate = home.shut()
    first = home.spawn("run", "--json")
    until(lambda: gate.asked > 0)
    second = home.spawn("run", "--json")
    assert second.stderr is not None
    assert b"another run" in second.stderr.readline()
    answer, seconds = _interrupt(second, signal.SIGINT)
    assert answer.status == 130
    assert seconds < SOON
    shapes.check("run", answer.document)
    gate.opened.set()
    assert end(first).status == 0


def test_while_folders_settle(home: Home) -> None:
    home.configure(bind='settle = "1h"')
    process = home.spawn("run", "--wait")
    assert process.stderr is not None
    assert b"settle" in process.stderr.readline()
    answer, seconds = _interrupt(process, signal.SIGINT)
    assert answer.status == 130
    assert "Traceback" not in answer.err
    assert seconds < SOON
    assert len(home.call("status", "--json").document["volumes"]) == 2
