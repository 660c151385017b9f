"""The demo server beyond what was recorded: accounts over time, signs, drives, orders, its own process."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import imagesize
import pytest
from tests.demo.client import FIRST, FOLDER, PAGES, PICTURE, Client

from pagebind.demo.accounts import Accounts, Refused, User, totp
from pagebind.demo.dialects import DIALECTS
from pagebind.demo.drives import LocalDrive, RemoteDrive, VirtualDrive, natural
from pagebind.demo.pictures import seeming_jpeg
from pagebind.demo.server import DemoServer
from pagebind.demo.signs import Signs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = {"username": "admin", "password": "adminpw"}
WRONG = {"username": "admin", "password": "nope"}


class Now:
    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


def accounts(dialect: str, now: Now) -> Accounts:
    return Accounts(DIALECTS[dialect], now, "static")


def login(accounts: Accounts, body: dict[str, str] = ADMIN, *, address: str = "10.0.0.1", client: str = "") -> str:
    return accounts.login(body, address, client, hashed=False)["token"]


def refusal(accounts: Accounts, token: str) -> str:
    with pytest.raises(Refused) as caught:
        accounts.caller(token)
    return caught.value.message


def test_a_login_lasts_two_days_and_no_restart(now: Now) -> None:
    known = accounts("alist-3.45", now)
    token = login(known)
    now.seconds += 48 * 3600 - 1
    assert known.caller(token).user.name == "admin"
    now.seconds += 1
    assert refusal(known, token) == "token is expired"
    token = login(known)
    known.forget_sessions()
    assert refusal(known, token) == "token is invalidated"
    assert known.caller("static").static


def test_a_disabled_user_may_log_in_but_do_nothing(now: Now) -> None:
    known = accounts("alist-3.45", now)
    known.add(User("bob", "bobpw"))
    known["bob"].disabled = True
    token = login(known, {"username": "bob", "password": "bobpw"})
    assert refusal(known, token) == "Current user is disabled, replace please"


def code_of(accounts: Accounts, body: dict[str, str], address: str) -> int:
    try:
        login(accounts, body, address=address)
    except Refused as refused:
        return refused.code
    return 200


def test_a_lockout_is_for_one_address_and_every_try_prolongs_it(now: Now) -> None:
    known = accounts("alist-3.63", now)
    assert [code_of(known, WRONG, "10.0.0.1") for _ in range(6)] == [400] * 5 + [429]
    assert code_of(known, ADMIN, "10.0.0.2") == 200
    now.seconds += 299
    assert code_of(known, ADMIN, "10.0.0.1") == 429
    now.seconds += 299
    assert code_of(known, ADMIN, "10.0.0.1") == 429
    now.seconds += 300
    assert code_of(known, ADMIN, "10.0.0.1") == 200


@pytest.mark.parametrize(
    ("dialect", "ends_all"), [("alist-3.45", False), ("alist-3.63", True), ("openlist-4.2", False)]
)
def test_a_logout_ends_all_sessions_of_a_device_in_newer_alist_only(dialect: str, ends_all: bool, now: Now) -> None:
    known = accounts(dialect, now)
    first, second = login(known, client="a"), login(known, client="a")
    elsewhere = login(known, client="b")
    known.logout(first)
    assert known.caller(elsewhere).user.admin
    if ends_all:
        assert refusal(known, second) == "session inactive"
    else:
        assert known.caller(second).user.admin


@pytest.mark.parametrize(("when", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_codes_are_those_of_rfc_6238(when: int, code: str) -> None:
    assert totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", when) == code


def test_signs_expire_and_die_with_their_key(now: Now) -> None:
    signs = Signs("key", now)
    signs.lifetime = 60
    sign = signs.sign("/a")
    signs.check("/a", sign)
    now.seconds += 61
    with pytest.raises(Refused, match="sign expired"):
        signs.check("/a", sign)
    lasting = signs.sign("/a", 0)
    signs.rekey("another")
    with pytest.raises(Refused, match="sign invalid"):
        signs.check("/a", lasting)


@pytest.mark.parametrize(
    ("sign", "message"), [("", "expire missing"), ("AAAA", "expire invalid"), ("A:x", "expire invalid")]
)
def test_a_malformed_sign(sign: str, message: str, now: Now) -> None:
    with pytest.raises(Refused, match=message):
        Signs("key", now).check("/a", sign)


def test_names_that_are_no_unicode(server: DemoServer, client: Client, pages: Path) -> None:
    """As of Go's servers: listed so that nobody can ask for them, and not found."""
    try:
        (pages / "A" / "\udcff.png").write_bytes(PICTURE)
    except OSError:
        pytest.skip("the file system has no such names")
    assert client.names() == sorted([*PAGES, "?.png"])
    for name in ("\udcff.png", "\ud800.png"):
        assert client.listing(f"{FOLDER}/{name}")["code"] == 500
        assert client.post("fs/get", {"path": f"{FOLDER}/{name}"}).json["message"] == "object not found"
        assert server.requests[-1].path == f"{FOLDER}/\ufffd.png"
    assert client.ask("GET", f"/d{FOLDER}/%ED%B3%BF.png?sign=x:0").json["message"] == "sign invalid"


def test_names_of_several_lines_add_no_header(server: DemoServer, client: Client, pages: Path) -> None:
    """As of Go's servers, which write a space instead."""
    name = "a\r\nX-Evil: 1\n.png"
    (pages / "A" / name).write_bytes(PICTURE)
    sign = server.signs.sign(f"{FOLDER}/{name}")
    reply = client.ask("GET", f"/d{quote(f'{FOLDER}/{name}')}?sign={sign}")
    assert (reply.status, reply.body) == (200, PICTURE)
    assert "X-Evil" not in reply.headers


def test_a_new_token_ends_the_old_one_and_all_signs(server: DemoServer, client: Client) -> None:
    old = server.signs.sign(FIRST)
    server.rotate_token()
    assert client.listing()["message"] == "token is invalidated"
    assert client.ask("GET", f"/d{FIRST}?sign={old}").json["message"] == "sign invalid"
    assert client.get().body == PICTURE


def test_guests_come_and_go(server: DemoServer, client: Client) -> None:
    client.token = ""
    assert client.listing()["code"] == 401
    server.set_guest(True)
    assert client.names() == sorted(PAGES)


def test_a_broken_drive_works_again(server: DemoServer, client: Client) -> None:
    server.break_drive("/comics", "quota exceeded")
    assert client.listing()["message"].startswith("failed get objs: ")
    assert client.listing()["message"].endswith("failed to list objs: quota exceeded")
    assert client.get().json["message"].endswith("quota exceeded")
    status = client.ask("GET", "/api/admin/storage/list", Authorization=server.token).json["data"]["content"][0][
        "status"
    ]
    assert status == "quota exceeded"
    server.repair_drive("/comics")
    assert client.names() == sorted(PAGES)


def test_a_protected_folder_wants_a_sign_even_without_signing(server: DemoServer, client: Client) -> None:
    server.listings.sign_all = False
    assert client.ask("GET", f"/d{FIRST}").body == PICTURE
    server.set_folder_password(FOLDER, "sesame")
    assert client.ask("GET", f"/d{FIRST}").json["message"] == "expire missing"


@pytest.mark.parametrize("order", ["name", "reversed", "shuffled"])
def test_listings_come_in_the_drives_order(order: str, pages: Path) -> None:
    names = [entry.name for entry in LocalDrive(folder=pages, order=order).list("A")]
    assert sorted(names) == sorted(PAGES)
    assert {"name": sorted(PAGES), "reversed": sorted(PAGES, reverse=True)}.get(order, names) == names
    assert order != "shuffled" or names not in (sorted(PAGES), sorted(PAGES, reverse=True))


def test_natural_order_is_that_of_the_servers() -> None:
    names = [".DS_Store", "1.jpg", "2.jpg", "10.jpg", "Thumbs.db", "fake.jpg"]
    assert sorted(sorted(names), key=natural) == names


def test_a_cached_drive_is_listed_anew_only_when_asked(pages: Path, now: Now) -> None:
    drive = LocalDrive(folder=pages, cache_seconds=1800)
    with DemoServer({"/comics": drive}, clock=now) as server:
        client = Client(server)
        assert len(client.names()) == 5
        (pages / "A" / "06.png").write_bytes(PICTURE)
        assert len(client.names()) == 5
        assert len(client.names(refresh=True)) == 6
        (pages / "A" / "06.png").unlink()
        assert len(client.names()) == 6
        assert client.get(f"{FOLDER}/06.png").json["message"].startswith("failed link: failed get link: ")
        server.restart()
        assert len(client.names()) == 5


def test_drives_mounted_deep_down_have_folders_above_them(pages: Path) -> None:
    with DemoServer({"/x/y/z": pages}) as server:
        client = Client(server)
        assert (client.names("/"), client.names("/x"), client.names("/x/y/z")) == (["x"], ["y"], ["A"])


def test_another_server_as_a_drive_gives_redirects_that_work(server: DemoServer) -> None:
    remote = RemoteDrive(url=server.url, token=server.token, folder="/comics")
    with DemoServer({"/remote": remote}) as front:
        client = Client(front)
        assert client.names("/remote/A") == sorted(PAGES)
        reply = client.get("/remote/A/01.png")
        assert reply.status == 302
        assert reply.headers["Location"].startswith(server.url)
        link = reply.headers["Location"].removeprefix(server.url)
        assert Client(server).ask("GET", link).body == PICTURE
        server.stop()
        assert "request failed" in client.get("/remote/A/02.png").json["message"]


@pytest.mark.parametrize(
    ("dialect", "encoded"),
    [("alist-3.63", "50%252541.png"), ("alist-3.45", "50%2541.png"), ("openlist-4.2", "50%2541.png")],
)
def test_percent_is_unescaped_as_often_as_the_server_does(dialect: str, encoded: str, pages: Path) -> None:
    (pages / "50%41.png").write_bytes(PICTURE)
    with DemoServer({"/comics": pages}, dialect=dialect) as server:
        sign = server.signs.sign("/comics/50%41.png")
        assert Client(server).ask("GET", f"/d/comics/{encoded}?sign={sign}").body == PICTURE


def test_a_virtual_drive_lists_and_serves_what_is_nowhere() -> None:
    drive = VirtualDrive(folders=30, files=450, size=3000, hashes=("sha256",))
    with DemoServer({"/comics": drive}) as server:
        client = Client(server)
        assert client.names("/comics") == ["Series 001", "Series 002"]
        assert len(client.names("/comics/Series 002")) == 5
        folder = "/comics/Series 002/Vol 005"
        for _ in range(2):
            pages = [client.listing(folder, page=number)["data"] for number in (1, 2, 3)]
            assert [len(page["content"]) for page in pages] == [200, 200, 50]
            assert {page["total"] for page in pages} == {450}
        item = pages[2]["content"][-1]
        reply = client.ask("GET", f"/d/comics/Series%20002/Vol%20005/{item['name']}?sign={item['sign']}")
        assert len(reply.body) == item["size"] == 3000
        assert hashlib.sha256(reply.body).hexdigest() == item["hash_info"]["sha256"]
        for missing in ("Series 003", "Series 002/Vol 006", "Series 002/Vol 005/0451.jpg"):
            assert client.listing(f"/comics/{missing}")["message"].endswith("object not found")


def test_what_was_rendered_is_stale_under_a_new_key_and_with_faults() -> None:
    with DemoServer({"/comics": VirtualDrive(folders=1, files=3, size=300)}) as server:
        client = Client(server)
        folder = "/comics/Series 001/Vol 001"
        sign = client.listing(folder)["data"]["content"][0]["sign"]
        client.token = server.rotate_token()
        assert client.listing(folder)["data"]["content"][0]["sign"] != sign
        server.faults.add("shrunk", folder)
        assert len(client.names(folder)) == 2


@pytest.mark.parametrize("size", [200, 500_000, 3_000_000])
def test_a_seeming_jpeg_has_its_size_a_frame_and_an_end(size: int) -> None:
    data, other = (b"".join(seeming_jpeg(seed, size)) for seed in ("a", "b"))
    assert len(data) == size
    assert data != other
    assert imagesize.get(io.BytesIO(data)) == (1200, 1800)
    assert data.endswith(b"\xff\xd9")
    assert data.count(b"\xff\xd9") == 1


def test_requests_are_counted(server: DemoServer, client: Client) -> None:
    client.listing(refresh=True)
    client.get(Range="bytes=0-1")
    client.get(method="HEAD")
    assert (server.count(), server.count("list"), server.count("file", FIRST), server.count(method="HEAD")) == (
        3,
        1,
        2,
        1,
    )
    first, second, _ = server.requests
    assert (first.kind, first.path, first.page, first.refresh, first.code) == ("list", FOLDER, 1, True, 200)
    assert (second.status, second.range, second.url) == (206, "bytes=0-1", f"/d{FIRST}")
    assert first.at <= second.at <= time.monotonic()


def test_a_connection_serves_many_requests(server: DemoServer) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    for _ in range(3):
        connection.request("GET", f"/d{FIRST}?sign={server.signs.sign(FIRST)}")
        assert connection.getresponse().read() == PICTURE
        used = connection.sock
        assert used is not None
    connection.close()


def test_a_stopped_server_comes_back_on_its_port(server: DemoServer, client: Client) -> None:
    url = server.url
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        client.listing()
    server.start()
    assert server.url == url
    assert client.names() == sorted(PAGES)


def test_many_clients_at_once(server: DemoServer) -> None:
    replies: list[bytes] = []
    threads = [threading.Thread(target=lambda: replies.append(Client(server).get().body)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [PICTURE] * 20


@pytest.fixture
def process(pages: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    faults = json.dumps([{"name": "cut", "pattern": FIRST, "times": 1, "after": 9}])
    command = [sys.executable, "-m", "pagebind.demo.server", "--root", str(pages), "--faults", faults, "--token", "t"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def ask(ready: dict[str, Any], method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection(ready["url"].removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": ready["token"]})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_a_server_in_its_own_process_is_told_faults_and_tells_requests(
    process: tuple[subprocess.Popen[str], dict[str, Any]],
) -> None:
    running, ready = process
    assert ready["token"] == "t"
    listed = ask(ready, "POST", "/api/fs/list", {"path": FOLDER})
    assert len(listed["data"]["content"]) == 5
    ask(ready, "POST", "/__demo__/faults", [{"name": "list_empty", "pattern": FOLDER}])
    assert ask(ready, "POST", "/api/fs/list", {"path": FOLDER})["data"]["total"] == 0
    seen = ask(ready, "GET", "/__demo__/requests?reset=1")["requests"]
    assert [(one["kind"], one["path"]) for one in seen] == [("list", FOLDER)] * 2
    assert ask(ready, "GET", "/__demo__/requests")["requests"] == []
    running.terminate()
    assert running.wait(10) == 0
