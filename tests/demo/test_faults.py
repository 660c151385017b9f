"""Each fault does what its name says, where and as often as it was asked for."""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import time
from typing import TYPE_CHECKING

import pytest
from tests.demo.client import FIRST, FOLDER, PAGES, PICTURE

from pagebind.demo.faults import ANY_FAULTS, FILE_FAULTS, LISTING_FAULTS, Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.demo.client import Client

    from pagebind.demo.server import DemoServer


def test_without_faults_all_is_well(client: Client) -> None:
    assert client.names() == sorted(PAGES)
    assert client.get().body == PICTURE


def test_cut_ends_the_body_early_but_announces_all_of_it(server: DemoServer, client: Client) -> None:
    server.faults.add("cut", FIRST, after=50, times=1)
    reply = client.get()
    assert (reply.status, reply.cut, reply.body) == (200, True, PICTURE[:50])
    assert reply.headers["Content-Length"] == str(len(PICTURE))
    rest = client.get(Range="bytes=50-")
    assert (rest.status, rest.body) == (206, PICTURE[50:])


def test_cut_before_the_first_byte(server: DemoServer, client: Client) -> None:
    server.faults.add("cut", FIRST)
    reply = client.get()
    assert (reply.cut, reply.body) == (True, b"")


def test_stall_sends_nothing_more_until_its_time_is_over(server: DemoServer, client: Client) -> None:
    server.faults.add("stall", FIRST, after=20, seconds=0.2)
    begun = time.monotonic()
    reply = client.get()
    assert (reply.cut, reply.body) == (True, PICTURE[:20])
    assert time.monotonic() - begun >= 0.2


def test_stall_without_a_time_lasts_until_the_server_stops(server: DemoServer) -> None:
    server.faults.add("stall", FIRST, after=20)
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("GET", f"/d{FIRST}?sign={server.signs.sign(FIRST)}")
    response = connection.getresponse()
    assert response.read(20) == PICTURE[:20]
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        response.read(1)
    server.stop()
    connection.close()


def test_json200_is_an_error_in_disguise(server: DemoServer, client: Client) -> None:
    server.faults.add("json200", FIRST, code=401, message="expire missing")
    reply = client.get()
    assert reply.status == 200
    assert reply.json == {"code": 401, "message": "expire missing", "data": None}


def test_html_is_a_web_page_in_disguise(server: DemoServer, client: Client) -> None:
    server.faults.add("html", FIRST)
    reply = client.get()
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html")


def test_wrong_bytes_have_the_right_length(server: DemoServer, client: Client) -> None:
    server.faults.add("wrong_bytes", FIRST, times=1)
    server.faults.add("wrong_bytes", FIRST, skip=1, after=16)
    whole, tail = client.get().body, client.get().body
    assert len(whole) == len(tail) == len(PICTURE)
    assert whole[:8] != PICTURE[:8]
    assert tail[:16] == PICTURE[:16]
    assert tail[16:] != PICTURE[16:]


def test_zero_is_an_empty_file(server: DemoServer, client: Client) -> None:
    server.faults.add("zero", FIRST)
    reply = client.get()
    assert (reply.status, reply.cut, reply.body) == (200, False, b"")


def test_long_sends_more_than_was_listed(server: DemoServer, client: Client) -> None:
    server.faults.add("long", FIRST, extra=5)
    assert client.get().body == PICTURE + bytes(5)


def test_sign_expired_refuses_a_good_sign(server: DemoServer, client: Client) -> None:
    server.faults.add("sign_expired", FIRST, times=1)
    assert client.get().json["message"] == "sign expired"
    assert client.get().body == PICTURE


def test_no_range_sends_everything(server: DemoServer, client: Client) -> None:
    server.faults.add("no_range", FIRST)
    reply = client.get(Range="bytes=5-")
    assert (reply.status, reply.body) == (200, PICTURE)
    assert "Accept-Ranges" not in reply.headers


def test_redirect_leads_anywhere(server: DemoServer, client: Client) -> None:
    server.faults.add("redirect", FIRST, url="http://169.254.169.254/latest")
    reply = client.get()
    assert (reply.status, reply.headers["Location"]) == (302, "http://169.254.169.254/latest")


def test_wrong_hash_is_listed_for_the_file_meant_only(server: DemoServer, client: Client) -> None:
    server.faults.add("wrong_hash", FIRST)
    listed = {item["name"]: item["hash_info"]["md5"] for item in client.listing()["data"]["content"]}
    wrong = {name for name, digest in listed.items() if digest != hashlib.md5(PAGES[name]).hexdigest()}
    assert wrong == {"01.png"}
    got = client.post("fs/get", {"path": FIRST}).json["data"]
    assert json.loads(got["hashinfo"]) == got["hash_info"] == {"md5": listed["01.png"]}


def test_status_can_say_when_to_come_back(server: DemoServer, client: Client) -> None:
    server.faults.add("status", FIRST, code=429, retry_after=3, times=1)
    server.faults.add("status", FOLDER, code=502, on="list")
    busy = client.get()
    assert (busy.status, busy.headers["Retry-After"]) == (429, "3")
    assert client.get().status == 200
    assert client.post("fs/list", {"path": FOLDER}).status == 502
    assert client.post("fs/get", {"path": FOLDER}).status == 200


def test_status_of_a_request_about_no_path(server: DemoServer, client: Client) -> None:
    server.faults.add("status", "/api/me", code=500)
    assert client.ask("GET", "/api/me").status == 500
    assert client.ask("GET", "/ping").body == b"pong"


def test_delay_comes_first(server: DemoServer, client: Client) -> None:
    server.faults.add("delay", "*", seconds=0.2, on="file")
    begun = time.monotonic()
    assert client.get().body == PICTURE
    assert time.monotonic() - begun >= 0.2


def test_delay_and_status_are_for_the_requests_meant() -> None:
    delay = Fault("delay", on="file")
    assert delay.fits("file", "/a")
    assert not delay.fits("list", "/a")


def test_list_error_has_its_own_words(server: DemoServer, client: Client) -> None:
    server.faults.add("list_error", FOLDER, message="failed get objs: failed to list objs: too many requests")
    answer = client.listing()
    assert (answer["code"], answer["data"]) == (500, None)
    assert answer["message"].endswith("too many requests")


def test_list_empty_is_a_success(server: DemoServer, client: Client) -> None:
    server.faults.add("list_empty", FOLDER)
    answer = client.listing()
    assert (answer["code"], answer["data"]["content"], answer["data"]["total"]) == (200, None, 0)


def test_list_html(server: DemoServer, client: Client) -> None:
    server.faults.add("list_html", FOLDER)
    assert client.post("fs/list", {"path": FOLDER}).headers["Content-Type"] == "text/html"


def test_shrunk_lacks_names_or_the_last_items(server: DemoServer, client: Client) -> None:
    server.faults.add("shrunk", FOLDER, drop=3, times=1)
    server.faults.add("shrunk", FOLDER, names=("02.png",), skip=1)
    assert client.names() == ["01.png", "02.png"]
    assert client.names() == ["01.png", "03.png", "04.png", "05.png"]


def test_moving_times_are_others_in_every_listing(server: DemoServer, client: Client) -> None:
    server.faults.add("moving_times", FOLDER)
    seen = [client.listing()["data"]["content"][0]["modified"] for _ in range(3)]
    assert len(set(seen)) == 3


def test_total_lies(server: DemoServer, client: Client) -> None:
    server.faults.add("total_lies", FOLDER, extra=2)
    assert client.listing()["data"]["total"] == len(PAGES) + 2


def test_entries_are_listed_as_well_as_they_are_written(server: DemoServer, client: Client) -> None:
    server.faults.add("entries", FOLDER, entries='[{"name": "x", "size": 12e400}, 7]')
    answer = client.listing()
    assert answer["data"]["content"][len(PAGES) :] == [{"name": "x", "size": math.inf}, 7]
    assert answer["data"]["total"] == len(PAGES) + 2


def test_entries_are_there_where_nothing_is_and_can_be_others_each_time(server: DemoServer, client: Client) -> None:
    server.faults.add("entries", "/nowhere*", entries='[{"name": "{n}"}]')
    seen = [client.listing("/nowhere/at/all")["data"]["content"] for _ in range(2)]
    assert seen == [[{"name": "1"}], [{"name": "2"}]]


def test_repeat_page_gives_page_one_for_ever(server: DemoServer, client: Client) -> None:
    assert client.names(page=2, per_page=2) == ["03.png", "04.png"]
    server.faults.add("repeat_page", FOLDER)
    assert client.names(page=2, per_page=2) == client.names(page=9, per_page=2) == ["01.png", "02.png"]


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b/c.jpg", True),
        ("/a", "/ab", False),
        ("/", "/a", True),
        ("/a/*", "/a/b/c.jpg", True),
        ("/a/*", "/a", False),
        ("*.jpg", "/a/[1].jpg", True),
        ("*.jpg", "/a/1.jpg.png", False),
        ("/a?", "/ab", False),
    ],
)
def test_a_pattern_is_a_path_with_what_is_below_or_a_glob(pattern: str, path: str, fits: bool) -> None:
    assert Fault("delay", pattern).fits("list", path) is fits


def struck(faults: Faults, count: int) -> Sequence[bool]:
    return [bool(faults.strike({"cut"}, "/a", "file")) for _ in range(count)]


def test_times_and_skip_count_fitting_requests() -> None:
    faults = Faults()
    faults.add("cut", "/a", skip=1, times=2)
    assert not faults.strike({"cut"}, "/b", "file")
    assert struck(faults, 4) == [False, True, True, False]


def test_faults_are_replaced_and_counted_anew() -> None:
    faults = Faults()
    faults.add("cut", "/a", times=1)
    assert struck(faults, 2) == [True, False]
    faults.replace([{"name": "cut", "pattern": "/a", "times": 1}])
    assert struck(faults, 2) == [True, False]
    faults.clear()
    assert not faults


@pytest.mark.parametrize("wrong", [{"name": "no such"}, {"pattern": "/a"}, {"name": "cut", "colour": "red"}])
def test_an_unknown_fault_is_refused_and_the_others_stay(wrong: dict[str, str]) -> None:
    faults = Faults()
    faults.add("cut", "/a")
    with pytest.raises((ValueError, TypeError)):
        faults.replace([wrong])
    assert struck(faults, 1) == [True]


def test_every_fault_has_a_test_here() -> None:
    named = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    for fault in LISTING_FAULTS | FILE_FAULTS | ANY_FAULTS:
        assert any(name.startswith(fault) for name in named), fault
