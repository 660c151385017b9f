"""``--json``: exactly one document, with the subcommand's keys, whatever happens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.cli import shapes
from tests.cli.command import Home, call, end, spawn

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURED = ("doctor", "plan", "run", "status", "verify", "gc")


@pytest.mark.parametrize("command", CONFIGURED)
def test_a_fresh_store_and_a_good_server(home: Home, command: str) -> None:
    answer = home.call(command, "--json")
    assert (answer.status, answer.err) == (0, "")
    shapes.check(command, answer.document)


@pytest.mark.parametrize("command", CONFIGURED)
def test_after_a_run_with_something_wrong(bound: Home, command: str) -> None:
    (bound.library / "A" / "Vol 1.cbz").unlink()
    answer = bound.call(command, "--json")
    assert answer.status == (0 if command in ("doctor", "gc") else 3)
    shapes.check(command, answer.document)


def test_each_volume_stands_in_one_list_of_a_run(home: Home) -> None:
    first = home.call("run", "--json").document
    assert [volume["key"] for volume in first["bound"]] == ["A/Vol 1.cbz", "B/Vol 1.cbz"]
    assert (first["pages_fetched"], first["pages_reused"]) == (5, 0)
    assert first["bytes_fetched"] == sum(page.stat().st_size for page in home.comics.rglob("*.png"))
    for number in (4, 5):
        home.add(f"A/Vol 1/0{number}.png", png(str(number)))
    home.add("C/archive.cbz", b"PK")
    (home.library / "B" / "Vol 1.cbz").write_bytes(b"mine")
    second = home.call("run", "--json")
    assert second.status == 3
    shapes.check("run", second.document)
    lists = {
        name: [volume["path"] for volume in second.document[name]]
        for name in ("bound", "up_to_date", "waiting", "held")
    }
    assert lists == {
        "bound": ["/comics/A/Vol 1"],
        "up_to_date": [],
        "waiting": ["/comics/C"],
        "held": ["/comics/B/Vol 1"],
    }
    assert second.document["waiting"][0]["state"] == "ignored"
    assert [problem["code"] for problem in second.document["problems"]] == ["changed"]


def test_a_plan_of_what_was_never_seen(home: Home) -> None:
    document = home.call("plan", "--json").document
    assert [(v["state"], v["seq"], v["staged"]) for v in document["volumes"]] == [("waiting", None, 0)] * 2
    assert document["requests"] == 5
    assert document["bytes"] == sum(page.stat().st_size for page in home.comics.rglob("*.png"))
    assert document["seconds"] is None
    assert not home.store.exists()


def test_a_plan_knows_its_time_only_by_rates(home: Home) -> None:
    home.configure(more="", source=f'token = "file:{home.folder / "token"}"\ndownloads_per_second = 2')
    assert home.call("plan", "--json").document["seconds"] == 2.5


def test_status_tells_of_the_last_run(bound: Home) -> None:
    document = bound.call("status", "--json").document
    assert {"started", "ended", "seconds", "error", "problems"} <= set(document["last_run"])
    assert [(v["state"], v["seq"], v["pages"]) for v in document["volumes"]] == [("bound", 1, 3), ("bound", 1, 2)]
    assert all(volume["bound_at"] for volume in document["volumes"])


@pytest.mark.parametrize("command", CONFIGURED)
@pytest.mark.parametrize(
    ("case", "code"),
    [("no file", "config"), ("bad TOML", "config"), ("unknown key", "config"), ("unknown option", "usage")],
)
def test_failures_before_the_start(home: Home, command: str, case: str, code: str) -> None:
    words = ["--json"]
    if case == "no file":
        home.config.unlink()
    elif case == "bad TOML":
        home.config.write_text("[source\n")
    elif case == "unknown key":
        home.configure(more="pathh = 1")
    else:
        words.append("--jsom")
    answer = home.call(command, *words)
    assert answer.status == 2
    shapes.check(command, answer.document)
    assert [problem["code"] for problem in answer.document["problems"]] == [code]
    assert answer.document["problems"][0]["message"].split(" (")[0] in answer.line


@pytest.mark.parametrize(
    "words",
    [
        ("run", "/elsewhere"),
        ("plan", "/elsewhere"),
        ("status", "nobody"),
        ("verify", "nobody"),
        ("run", "--settle", "abc"),
        ("run", "--limit", "0"),
        ("run", "--limit", "many"),
        ("verify", "a", "b"),
    ],
)
def test_words_that_mean_nothing(bound: Home, words: tuple[str, ...]) -> None:
    answer = bound.call(*words, "--json")
    assert answer.status == 2
    shapes.check(words[0], answer.document)
    assert [problem["code"] for problem in answer.document["problems"]] == ["usage"]


@pytest.mark.parametrize("command", CONFIGURED)
def test_a_store_that_cannot_be(home: Home, command: str) -> None:
    home.store.write_bytes(b"a file where the folder should be")
    answer = home.call(command, "--json")
    assert answer.status == 1
    shapes.check(command, answer.document)
    assert {problem["code"] for problem in answer.document["problems"]} == {"store"}


def test_init(tmp_path: Path) -> None:
    first, second = call("init", "--json"), call("init", "--json")
    assert (first.status, second.status) == (0, 2)
    shapes.check("init", first.document)
    shapes.check("init", second.document)
    assert first.document["config"] == str(tmp_path / "pagebind.toml")
    assert second.document["config"] is None


def test_demo(tmp_path: Path) -> None:
    answer = call("demo", "--json")
    assert answer.status == 0
    shapes.check("demo", answer.document)
    assert len(answer.document["bound"]) == len(list((tmp_path / "pagebind-demo").rglob("library/**/*.cbz"))) == 11
    assert call("demo", "--json", "--dialect", "alist-9").document["problems"][0]["code"] == "usage"


def test_no_subcommand_of_that_name() -> None:
    answer = call("stauts", "--json")
    assert answer.status == 2
    assert answer.document["schema"] == 1
    assert [problem["code"] for problem in answer.document["problems"]] == ["usage"]


@pytest.mark.skipif(os.name == "nt", reason="such names are no names there")
def test_odd_words_do_not_break_the_document(bound: Home) -> None:
    answer = end(spawn("status", "--config", bound.config, "--json", os.fsdecode(b"\xff\x1b[31m"), LC_ALL="C"))
    assert answer.status == 2
    shapes.check("status", answer.document)
    assert "\x1b" not in answer.line
