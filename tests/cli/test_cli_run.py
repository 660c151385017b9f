"""What `run`, `plan` and `status` do and say, and with which status they end."""

from __future__ import annotations

import json
import os
import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Home, end, until

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from pathlib import Path


def test_two_runs(home: Home) -> None:
    first = home.call("run")
    assert first.status == 0
    assert "2 bound, 0 up to date, 0 waiting, 0 held; 5 pages" in first.out
    assert sorted(first.err.splitlines()) == ["bound A/Vol 1.cbz (3 pages)", "bound B/Vol 1.cbz (2 pages)"]
    with zipfile.ZipFile(home.library / "A" / "Vol 1.cbz") as book:
        assert book.testzip() is None
        assert book.read("01.png") == (home.comics / "A/Vol 1/01.png").read_bytes()
    files, before = home.server.count("file"), _traces(home.library)
    second = home.call("run")
    assert second.status == 0
    assert second.err == ""
    assert "0 bound, 2 up to date, 0 waiting, 0 held; 0 pages" in second.out
    assert home.server.count("file") == files
    assert _traces(home.library) == before


def _traces(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in sorted(folder.rglob("*"))}


def test_what_settles_is_told_with_its_time_and_the_way_round(home: Home) -> None:
    home.configure(bind='settle = "10m"')
    answer = home.call("run")
    assert answer.status == 0
    assert "0 bound, 0 up to date, 2 waiting, 0 held" in answer.out
    assert "2 volumes settle until 20" in answer.out
    assert "`--settle 0` binds now" in answer.out
    settles = home.call("run", "--json").document["waiting"][0]["settles_at"]
    assert settles is not None
    status = home.call("status")
    assert status.status == 0
    assert "waits to settle, settles 20" in status.out
    assert "2 bound" in home.call("run", "--settle", "0").out


def test_wait_stays_until_all_has_settled(home: Home) -> None:
    home.configure(bind='settle = "1s"')
    answer = home.call("run", "--wait")
    assert answer.status == 0
    assert "2 bound, 0 up to date, 0 waiting" in answer.out
    assert "settle" in answer.err


def test_limit_takes_so_many_volumes(home: Home) -> None:
    first = home.call("run", "--limit", "1", "--json")
    assert first.status == 0
    assert [len(first.document[name]) for name in ("bound", "waiting")] == [1, 1]
    assert home.books() == ["A/Vol 1.cbz"]
    home.call("run", "--limit", "1")
    assert home.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz"]


def test_a_path_leaves_the_rest_alone(home: Home) -> None:
    answer = home.call("run", "/comics/B/", "--json")
    assert [volume["path"] for volume in answer.document["bound"]] == ["/comics/B/Vol 1"]
    assert home.books() == ["B/Vol 1.cbz"]
    assert home.server.count("list", "/comics/A") == 0


def test_quiet_says_nothing_but_what_is_wrong(home: Home) -> None:
    answer = home.call("run", "--quiet")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    (home.library / "A" / "Vol 1.cbz").unlink()
    for command in ("run", "plan", "status", "verify"):
        answer = home.call(command, "--quiet")
        assert (answer.status, answer.out) == (3, "")
        assert answer.line.startswith("problem: ")


def test_verbose_logs_what_happens(home: Home) -> None:
    answer = home.call("run", "-v")
    assert answer.status == 0
    assert any(" info: handed out (" in line for line in answer.err.splitlines())


def test_json_log_lines_are_objects(home: Home) -> None:
    home.server.faults.add("html", "/comics/A/Vol 1/02.png")
    answer = home.call("run", "-v", "--json", "--log-format", "json")
    assert answer.status == 3
    lines = [json.loads(line) for line in answer.err.splitlines()]
    assert {"handed out", "page failed"} <= {line["message"] for line in lines}
    assert all({"time", "severity", "message"} <= set(line) for line in lines)
    assert {problem["code"] for problem in answer.document["problems"]} == {"page_failed"}


def test_a_page_that_fails_stops_its_book_alone(home: Home) -> None:
    home.server.faults.add("html", "/comics/A/Vol 1/02.png")
    answer = home.call("run")
    assert answer.status == 3
    assert "1 bound, 0 up to date, 1 waiting" in answer.out
    problems = [line for line in answer.err.splitlines() if not line.startswith("bound ")]
    assert len(problems) == 1
    assert "/comics/A/Vol 1/02.png" in problems[0]
    assert home.books() == ["B/Vol 1.cbz"]
    status = home.call("status")
    assert status.status == 3
    assert "fetching     /comics/A/Vol 1 -> A/Vol 1.cbz, 2/3 pages" in status.out
    assert "/comics/A/Vol 1/02.png: the server answered" in status.out
    home.server.faults.clear()
    assert home.call("run").status == 0
    assert home.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz"]
    assert home.call("status").status == 0


@pytest.mark.parametrize(("path", "status"), [("/comics/A", 3), ("/comics", 1)])
def test_a_folder_that_cannot_be_listed_or_a_root(home: Home, path: str, status: int) -> None:
    home.server.faults.add("list_error", path, code=500, message="storage is tired")
    plan = home.call("plan", "--json")
    assert plan.status == status
    assert {problem["code"] for problem in plan.document["problems"]} == {"listing_failed"}
    run = home.call("run")
    assert run.status == status
    assert run.err.count("storage is tired") == 1
    assert "storage is tired" in home.call("status").out


def test_plan_tells_by_its_status_whether_there_is_work(home: Home) -> None:
    assert home.call("plan").status == 0
    assert home.call("plan", "--exit-code").status == 4
    home.call("run")
    assert home.call("plan", "--exit-code").status == 0
    (home.library / "A" / "Vol 1.cbz").write_bytes(b"other")
    assert home.call("plan", "--exit-code").status == 3
    home.add("C/Vol 1/1.png", png("1"))
    home.add("C/Vol 1/2.png", png("2"))
    assert home.call("plan", "--exit-code").status == 4
    assert home.call("plan").status == 3


def test_plan_changes_nothing(bound: Home) -> None:
    home = bound
    home.add("A/Vol 1/04.png", png("4"))
    before = _traces(home.store)
    answer = home.call("plan")
    assert answer.status == 0
    assert "/comics/A/Vol 1 -> A/Vol 1.cbz" in answer.out
    assert "to fetch: 1 page," in answer.out
    assert _traces(home.store) == before


def test_status_says_why_something_is_held_and_what_to_do(bound: Home) -> None:
    (bound.library / "A" / "Vol 1.cbz").unlink()
    answer = bound.call("status")
    assert answer.status == 3
    assert answer.err == ""
    assert "held         /comics/A/Vol 1 -> A/Vol 1.cbz" in answer.out
    assert "put it back" in answer.out
    assert "last run " in answer.out
    assert bound.call("status", "/comics/B/Vol 1").status == 0


def test_status_before_the_first_run(home: Home) -> None:
    answer = home.call("status")
    assert answer.status == 0
    assert "no run yet" in answer.out
    assert not home.store.exists()


def test_two_at_once_download_each_page_once(home: Home) -> None:
    gate = home.shut()
    first = home.spawn("run", "--json")
    until(lambda: gate.asked > 0)
    second = home.spawn("run", "--json")
    assert second.stderr is not None
    assert b"another run is at work" in second.stderr.readline()
    gate.opened.set()
    answers = [end(first), end(second)]
    assert [(answer.status, answer.err) for answer in answers] == [(0, "")] * 2
    assert [len(answer.document["bound"]) for answer in answers] == [2, 0]
    assert len(answers[1].document["up_to_date"]) == 2
    fetched = [one.path for one in home.server.requests if one.kind == "file"]
    assert len(fetched) == len(set(fetched)) == 5


@pytest.mark.skipif(os.name == "nt", reason="such names are no names there")
def test_names_do_nothing_to_a_terminal(home: Home) -> None:
    for number in (1, 2):
        home.add(f"Evil \x1b[31m\n\u202ered/Vol \"1\" 'q' 😀 👩‍👩‍👧 第１　巻/{number}.png", png(str(number)))
    outs = [home.call(*words) for words in (["plan"], ["run"], ["status"], ["verify", "--read"], ["run", "-vv"])]
    for answer in outs:
        assert answer.status == 0
        assert "\x1b" not in answer.out + answer.err
        assert "\u202e" not in answer.out + answer.err
    assert "Vol \"1\" 'q' 😀 👩‍👩‍👧 第１　巻" in outs[0].out
    assert any("\x1b[31m\n" in volume["path"] for volume in home.call("status", "--json").document["volumes"])
