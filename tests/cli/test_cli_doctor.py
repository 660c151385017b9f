"""`doctor`: a line for each thing that a run needs, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli import shapes

from pagebind.demo.accounts import User

if TYPE_CHECKING:
    from tests.cli.command import Home


def lines(home: Home, status: int) -> dict[str, tuple[str, str, str]]:
    """Name to status, detail and fix, which text and JSON tell alike."""
    answer = home.call("doctor", "--json")
    assert (answer.status, answer.err) == (status, "")
    shapes.check("doctor", answer.document)
    text = home.call("doctor")
    assert text.status == status
    for check in answer.document["checks"]:
        assert f"{check['status']:<6}{check['name']}: " in text.out
        assert (check["status"] == "ok") or f"      {check['fix']}\n" in text.out
    assert len(answer.document["problems"]) <= sum(check["status"] == "fail" for check in answer.document["checks"])
    return {check["name"]: (check["status"], check["detail"], check["fix"]) for check in answer.document["checks"]}


def test_all_is_well(home: Home) -> None:
    found = lines(home, 0)
    assert list(found) == [
        "store",
        "library",
        "server",
        "credentials",
        "drive /comics",
        "subscription /comics",
        "downloads /comics",
    ]
    assert {status for status, _, _ in found.values()} == {"ok"}
    assert found["server"][1] == "alist v3.63.0"
    assert "admin" in found["credentials"][1]
    assert home.books() == []
    assert [path for path in home.store.rglob("*") if "doctor" in path.name] == []


def test_who_is_told_of_books(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONE", "json://127.0.0.1:9/s3cr3t")
    monkeypatch.setenv("MAIL", "nothing://s3cr3t json://127.0.0.1:9/s3cr3t")
    monkeypatch.setenv("KEY", "s3cr3t")
    hooks = "".join(
        f'[[hook]]\nurl = "http://{name}:1/scan"\nheaders = {{ X = "env:{key}" }}\n'
        for name, key in (("komga", "KEY"), ("kavita", "NOBODY"))
    )
    home.configure(more=f'[notify]\nurls = ["env:PHONE", "env:MAIL", "env:NONE"]\n{hooks}')
    found = lines(home, 1)
    told = {name: found[name] for name in found if name.startswith(("notifier", "hook"))}
    assert "s3cr3t" not in str(told)
    assert [(name, status) for name, (status, _, _) in told.items()] == [
        ("notifier env:PHONE", "ok"),
        ("notifier env:MAIL", "fail"),
        ("notifier env:NONE", "fail"),
        ("hook http://komga:1/scan", "ok"),
        ("hook http://kavita:1/scan", "fail"),
    ]
    assert "env:MAIL (nothing://) holds no address that Apprise takes" in told["notifier env:MAIL"][1]
    assert "env:NONE leads nowhere" in told["notifier env:NONE"][1]
    assert "env:NOBODY leads nowhere" in told["hook http://kavita:1/scan"][1]


def test_who_is_told_of_books_is_looked_at_though_the_server_refuses(home: Home) -> None:
    home.configure(more='[notify]\nurls = ["env:NONE"]')
    home.server.rotate_token()
    found = lines(home, 1)
    assert [found[name][0] for name in ("credentials", "notifier env:NONE")] == ["fail", "fail"]


def test_a_broken_drive(home: Home) -> None:
    home.server.break_drive("/comics", "login to the cloud has expired")
    found = lines(home, 1)
    status, detail, fix = found["drive /comics"]
    assert status == "fail"
    assert "login to the cloud has expired" in detail
    assert "mend the storage" in fix
    assert found["subscription /comics"][0] == "fail"


def test_refused_credentials_stop_at_two_requests(home: Home) -> None:
    home.server.rotate_token()
    answer = home.call("doctor", "--json")
    assert answer.status == 1
    assert home.server.count() <= 2
    failed = [check for check in answer.document["checks"] if check["status"] == "fail"]
    assert [check["name"] for check in failed] == ["credentials"]
    assert failed[0]["fix"]
    assert [problem["code"] for problem in answer.document["problems"]] == ["auth"]


def test_a_store_that_cannot_be_written(home: Home) -> None:
    (home.folder / "file").write_bytes(b"")
    home.configure(store=(home.folder / "file" / "store").as_uri())
    found = lines(home, 1)
    assert [found[name][0] for name in ("store", "library", "server")] == ["fail", "fail", "ok"]
    assert str(home.folder / "file") in found["store"][1]


@pytest.fixture
def reader(home: Home) -> Home:
    """An account that may only read."""
    home.server.accounts.add(User("reader", password="let me in"))
    (home.folder / "password").write_text("let me in")
    home.configure(source=f'username = "reader"\npassword = "file:{home.folder / "password"}"')
    return home


def test_an_account_that_may_only_read(reader: Home) -> None:
    found = lines(reader, 0)
    assert "reader" in found["credentials"][1]
    assert found["drives"][0] == "ok"
    assert "admin" in found["drives"][1]
    status, detail, fix = found["subscription /comics"]
    assert status == "warn"
    assert "half an hour" in detail
    assert fix


def test_a_wrong_password(reader: Home) -> None:
    (reader.folder / "password").write_text("let me out")
    answer = reader.call("doctor", "--json")
    assert answer.status == 1
    assert [problem["code"] for problem in answer.document["problems"]] == ["auth"]
    assert "let me out" not in answer.out


def test_the_host_that_downloads_come_from(home: Home) -> None:
    home.server.faults.add("redirect", url="https://cdn.example.org/x?sign=secret")
    status, detail, _ = lines(home, 0)["downloads /comics"]
    assert status == "ok"
    assert "cdn.example.org" in detail
    assert "secret" not in detail


def test_downloads_that_fail(home: Home) -> None:
    home.server.faults.add("html")
    found = lines(home, 1)
    assert found["subscription /comics"][0] == "ok"
    assert found["downloads /comics"][0] == "fail"


def test_guests(home: Home) -> None:
    home.configure(source="")
    home.server.set_guest(True)
    assert "guest" in lines(home, 0)["credentials"][1]


def test_an_empty_subscription(home: Home) -> None:
    home.server.faults.add("list_empty", "/comics")
    status, detail, fix = lines(home, 0)["subscription /comics"]
    assert (status, detail) == ("warn", "is empty")
    assert "path" in fix


def test_a_path_that_is_not_there(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace('path = "/comics"', 'path = "/comix"'))
    status, detail, fix = lines(home, 1)["subscription /comix"]
    assert status == "fail"
    assert detail
    assert fix


def test_quiet_tells_failures_alone(home: Home) -> None:
    assert home.call("doctor", "--quiet").err == ""
    home.server.rotate_token()
    answer = home.call("doctor", "--quiet")
    assert (answer.status, answer.out) == (1, "")
    assert "token" in answer.line
