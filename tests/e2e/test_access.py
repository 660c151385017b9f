"""Credentials, folder passwords, signs and redirects, all the way to the book."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support import oracle, readers
from tests.support.attended import Attended
from tests.support.world import World

from pagebind.demo.accounts import User
from pagebind.demo.drives import LocalDrive, RemoteDrive
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from pathlib import Path

    from pagebind.demo.answers import Request

PATH, KEY = "Series/Vol 1", "Series/Vol 1.cbz"
LOGIN = "/api/auth/login"
OTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def check_bound(world: World, key: str = KEY) -> None:
    run = world.run()
    assert (run.status, run.keys("bound"), list(world.books())) == (0, [key], [key])
    oracle.check_book(world.library / key, oracle.pages_of(world.comics / PATH))
    assert world.run().keys("up_to_date") == [key]


def log_in(world: World, user: User) -> None:
    world.server.accounts.add(user)
    world.values |= {"source.token": None, "source.username": user.name, "source.password": "env:PASSWORD"}
    world.env["PASSWORD"] = user.password


def logins(world: World) -> int:
    return sum(one.url.startswith(LOGIN) for one in world.server.requests)


def test_a_guest(world: World) -> None:
    world.volume(PATH)
    world.server.set_guest(True)
    world.values["source.token"] = None
    check_bound(world)


def test_guests_that_are_not_let_in_cost_two_requests_at_most(world: World) -> None:
    world.values["source.token"] = None
    run = world.run()
    assert (run.status, run.codes, len(run.document["problems"])) == (1, {"auth"}, 1)
    assert world.server.count() <= 2


def test_a_user_and_password(world: World) -> None:
    world.volume(PATH)
    log_in(world, User("reader", "secret"))
    check_bound(world)
    assert logins(world) == 2  # one a run


def test_a_user_with_one_time_codes(world: World) -> None:
    world.volume(PATH)
    log_in(world, User("reader", "secret", otp_secret=OTP_SECRET))
    world.values["source.otp_secret"] = "env:OTP"
    world.env["OTP"] = OTP_SECRET
    check_bound(world)


@pytest.mark.parametrize(("subscription", "key"), [("/", KEY), ("/Series", "Vol 1/Vol 1.cbz")])
def test_a_user_with_a_base_path(world: World, subscription: str, key: str) -> None:
    world.volume(PATH)
    log_in(world, User("reader", "secret", base_path="/comics"))
    world.values["subscription.path"] = subscription
    check_bound(world, key)


def test_a_login_that_the_server_forgets_in_the_middle_is_made_once_more(tmp_path: Path) -> None:
    with Attended({"/comics": LocalDrive(folder=tmp_path / "comics")}) as server:
        world = World(tmp_path, server)
        world.volume(PATH)
        log_in(world, User("reader", "secret"))

        def restart_once(_: Request) -> None:
            if server.count("list") == 2:
                server.before = lambda _: None
                server.restart()

        server.before = restart_once
        run = world.run()
        assert (run.status, run.keys("bound"), logins(world)) == (0, [KEY], 2)


def test_a_lockout_stops_at_once(world: World) -> None:
    world.volume(PATH)
    log_in(world, User("reader", "secret"))
    world.env["PASSWORD"] = "wrong"
    for number in range(1, 8):
        run = world.run()
        assert (run.status, run.codes, world.books()) == (1, {"auth"}, {})
        assert logins(world) == number  # each run asks once
    assert "Too many unsuccessful sign-in attempts" in run.document["problems"][0]["message"]


def test_a_folder_password_for_its_subscription_alone(world: World) -> None:
    world.volume(PATH)
    world.volume("Open/Vol 1")
    world.server.set_folder_password("/comics/Series", "sesame")
    log_in(world, User("reader", "secret"))
    world.values["subscription.path"] = "/comics/Open"
    world.more = '\n[[subscription]]\npath = "/comics/Series"\npassword = "env:FOLDER"\nlibrary = "S/{volume}.cbz"\n'
    world.env["FOLDER"] = "sesame"
    run = world.run()
    assert (run.status, sorted(run.keys("bound"))) == (0, ["S/Vol 1.cbz", "Vol 1/Vol 1.cbz"])
    secret = readers.by_python(world.library / "S/Vol 1.cbz")
    assert secret.items() >= oracle.pages_of(world.comics / PATH).items()


def test_a_wrong_folder_password_is_one_problem_and_the_rest_is_bound(world: World) -> None:
    world.volume(PATH)
    world.volume("Secret/Vol 1")
    world.server.set_folder_password("/comics/Secret", "sesame")
    log_in(world, User("reader", "secret"))
    run = world.run()
    assert (run.status, run.codes, list(world.books())) == (3, {"listing_failed"}, [KEY])
    assert [problem["path"] for problem in run.document["problems"]] == ["/comics/Secret"]


def test_pages_on_another_host_come_without_our_credentials(tmp_path: Path) -> None:
    folder = tmp_path / "comics"
    folder.mkdir()
    with (
        Attended({"/": LocalDrive(folder=folder)}, dialect="openlist-4.2") as there,
        DemoServer({"/comics": RemoteDrive(url=there.url, token=there.token)}) as here,
    ):
        world = World(tmp_path, here)
        world.values["source.headers"] = {"Referer": "https://www.alipan.com/", "Cookie": "session=ours"}
        world.volume(PATH, ["1 #.png", "2 100%.png", "3 第.png"])
        check_bound(world)
    assert len(there.heard) == 3
    for headers in there.heard:
        assert headers["referer"] == "https://www.alipan.com/"
        assert not {"authorization", "cookie"} & set(headers)


def test_a_redirect_to_the_cloud_metadata_is_not_followed(world: World) -> None:
    world.volume(PATH)
    world.server.faults.add("redirect", f"/comics/{PATH}/2.png", url="http://169.254.169.254/latest/meta-data")
    run = world.run()
    assert (run.status, run.codes, world.books()) == (3, {"page_failed"}, {})


@pytest.mark.parametrize("dialect", ["alist-3.45", "alist-3.63", "openlist-4.2"])
def test_signs_that_expire_in_the_middle_of_a_run_are_renewed(tmp_path: Path, dialect: str) -> None:
    (tmp_path / "comics").mkdir()

    def clock() -> float:
        """An hour passes when three pages are through."""
        return 1_800_000_000.0 + (3600.0 if server.count("file") >= 3 else 0.0)

    server = DemoServer({"/comics": tmp_path / "comics"}, dialect=dialect, clock=clock)
    server.signs.lifetime = 60.0
    with server:
        world = World(tmp_path, server)
        world.values["source.concurrency"] = 2
        world.volume(PATH, [f"{number}.png" for number in range(1, 11)])
        check_bound(world)
    assert server.count("get") >= 5
