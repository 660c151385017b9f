"""Folders from pages, whatever the server does to them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.alist.doubles import SERVER, FakeClock, Server, item, ok, page_of, refused

from pagebind.adapters.alist import AlistSource, Guest
from pagebind.adapters.alist.envelope import ListData
from pagebind.adapters.alist.limits import Limits
from pagebind.adapters.alist.listing import list_folder
from pagebind.core.model import Item
from pagebind.errors import ListingFailed, RefreshRefused, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

MD5, SHA1 = "0123456789abcdef" * 2, "0123456789" * 4


def names(count: int, first: int = 1) -> list[str]:
    return [f"{number:04}.jpg" for number in range(first, first + count)]


def pages_of(*folders: list[str], size: int = 200) -> Callable[[int, bool], ListData]:
    """Answers each request from the next state of the folder; the last one stays."""
    states = list(folders)

    def ask(page: int, _refresh: bool) -> ListData:
        folder = states.pop(0) if len(states) > 1 else states[0]
        content = [Item(name) for name in folder[(page - 1) * size : page * size]]
        return ListData(content=content or None, total=len(folder))

    return ask


def listed(ask: Callable[[int, bool], ListData]) -> list[str]:
    return sorted(entry.name for entry in list_folder(ask, "/x", refresh=False))


def test_an_empty_folder() -> None:
    assert listed(pages_of([])) == []


def test_refresh_is_asked_for_on_page_1_only() -> None:
    asked: list[tuple[int, bool]] = []
    ask = pages_of(names(450))

    def spy(page: int, refresh: bool) -> ListData:
        asked.append((page, refresh))
        return ask(page, refresh)

    assert len(list_folder(spy, "/x", refresh=True)) == 450
    assert asked == [(1, True), (2, False), (3, False)]


def test_a_file_added_in_front_while_paging_is_neither_lost_nor_doubled() -> None:
    before, after = names(450), names(451, first=0)
    assert listed(pages_of(before, after)) == after


def test_a_file_removed_while_paging_loses_no_other() -> None:
    """The count alone would agree: 449 names, one of them removed, and #201 skipped."""
    before, after = names(450), names(449, first=2)
    assert listed(pages_of(before, after)) == after


def test_a_total_that_never_stands_still_is_an_error() -> None:
    moving = [names(450 + n) for n in range(20)]
    with pytest.raises(ListingFailed, match="cannot list /x") as caught:
        listed(pages_of(*moving))
    assert caught.value.retryable


def test_a_server_that_ignores_page_and_size() -> None:
    everything = ListData(content=[Item(name) for name in names(450)], total=450)
    assert listed(lambda _page, _refresh: everything) == names(450)


def test_a_server_that_repeats_its_first_page() -> None:
    asked: list[int] = []

    def ask(page: int, _refresh: bool) -> ListData:
        asked.append(page)
        return ListData(content=[Item(name) for name in names(200)], total=450)

    with pytest.raises(ListingFailed, match="says that it holds 450 entries, and gave 200"):
        listed(ask)
    assert asked == [1, 2, 1, 2]


def test_a_server_with_smaller_pages() -> None:
    assert listed(pages_of(names(450), size=30)) == names(450)


def test_one_name_twice_in_a_drive_is_taken_once() -> None:
    twice = ListData(content=[Item("a", 1), Item("b", 2), Item("a", 3)], total=3)
    found = list_folder(lambda _page, _refresh: twice, "/x", refresh=False)
    assert [(entry.name, entry.size) for entry in found] == [("a", 1), ("b", 2)]


def test_one_name_twice_on_different_pages_is_taken_once() -> None:
    assert listed(pages_of([*names(250), "0001.jpg"])) == names(250)


def test_an_endless_folder_ends() -> None:
    asked = 0

    def ask(page: int, _refresh: bool) -> ListData:
        nonlocal asked
        asked += 1
        return ListData(content=[Item(name) for name in names(200, first=page * 200)], total=(page + 1) * 200)

    with pytest.raises(ListingFailed):
        listed(ask)
    assert asked < 20


class Slow:
    """A server that answers each page of one entry after some time, though a thousand of them are to come."""

    def __init__(self, clock: FakeClock, seconds: float, total: int) -> None:
        self.clock, self.seconds, self.total = clock, seconds, total
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.clock.wait(self.seconds)
        return page_of([f"{json.loads(request.content)['page']:04}.jpg"], total=self.total)


def test_a_folder_whose_pages_come_slowly_is_left_after_ten_minutes() -> None:
    server, clock = Server(), FakeClock()
    slow = Slow(clock, 59.0, 1000)
    with pytest.raises(ListingFailed, match="cannot list /x: its listing takes longer than 10 minutes") as caught:
        server.on("/api/fs/list", slow).source(clock=clock, limits=Limits(list_per_second=0.0)).list("/x")
    assert (caught.value.path, slow.asked) == ("/x", 11)
    assert caught.value.fix


def test_both_readings_of_a_folder_are_one_listing() -> None:
    """The total is short by the page that comes last: the folder is read once more."""
    clock, asked = FakeClock(), []

    def ask(page: int, _refresh: bool) -> ListData:
        asked.append(page)
        clock.wait(59.0)
        return ListData(content=[Item(f"{page}")] if page < 6 else [], total=7)

    begun = clock.monotonic()
    with pytest.raises(ListingFailed, match="takes longer than 10 minutes"):
        list_folder(ask, "/x", refresh=False, taken=lambda: clock.monotonic() - begun)
    assert asked == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5]


def test_what_our_own_rate_makes_it_wait_is_not_the_folders_fault() -> None:
    server, clock = Server(), FakeClock()
    slow = Slow(clock, 1.0, 30)
    rare = Limits(list_per_second=0.01)
    assert len(server.on("/api/fs/list", slow).source(clock=clock, limits=rare).list("/x")) == 30
    assert sum(clock.waits) > 2_000


def test_without_a_total_pages_are_read_until_one_is_empty() -> None:
    folder = names(250)

    def without(page: int, _refresh: bool) -> ListData:
        return ListData(content=[Item(name) for name in folder[(page - 1) * 200 : page * 200]])

    assert listed(without) == folder


def test_without_a_total_a_repeated_page_is_no_whole_folder() -> None:
    with pytest.raises(ListingFailed):
        listed(lambda _page, _refresh: ListData(content=[Item(name) for name in names(200)]))


def test_a_success_without_entries_and_total_is_no_empty_folder() -> None:
    with pytest.raises(ListingFailed, match="without entries"):
        listed(lambda _page, _refresh: ListData())


def test_entries_that_lead_nowhere_are_left_out_and_unknown_sizes_are_0() -> None:
    odd = ListData(content=[Item(name) for name in ("", ".", "..")] + [Item("ok", -1)], total=4)
    assert list_folder(lambda _page, _refresh: odd, "/x", refresh=False) == [Item("ok", 0)]


def test_what_would_lead_elsewhere_is_missed_under_a_name_that_nothing_has() -> None:
    odd = ListData(content=[Item(name) for name in ("../B/1.jpg", "a/b", "a\0b", "/etc")], total=4)
    twice = listed(lambda _page, _refresh: odd)
    assert twice == [".._B_1.jpg".replace("_", "\ufffd"), "a\ufffdb", "\ufffdetc"]


@pytest.mark.parametrize(
    "name",
    ["x" * 2**20 + ".jpg", "\u0316\u0301" * 5_000 + ".jpg", "e" + "\u0301" * 31 + "x" * 300 + ".jpg"],
    ids=["long", "marks", "many marks"],
)
def test_a_name_that_cannot_be_read_in_time_is_missed_under_another(name: str) -> None:
    (found,) = listed(lambda _page, _refresh: ListData(content=[Item(name)], total=1))
    assert (found[:60], found[60], found[61:]) == (name[:60], "\ufffd", name[-60:])


@pytest.mark.parametrize("name", ["x" * 9_996 + ".jpg", "漢" * 3_330 + ".jpg", "e\u0301" * 2_000 + ".jpg"])
def test_a_long_name_is_taken_as_it_is(name: str) -> None:
    assert listed(lambda _page, _refresh: ListData(content=[Item(name)], total=1)) == [name]


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abcdefgh"), max_size=5), st.one_of(st.none(), st.integers(-3, 12))),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_the_server_answers_it_ends_with_each_name_once(script: list[tuple[list[str], int | None]]) -> None:
    asked = 0

    def ask(_page: int, _refresh: bool) -> ListData:
        nonlocal asked
        content, total = script[asked % len(script)]
        asked += 1
        return ListData(content=[Item(name) for name in content] or None, total=total)

    try:
        found = listed(ask)
    except ListingFailed:
        found = []
    assert len(found) == len(set(found))
    assert asked <= 2 * 9


# --- through the client -------------------------------------------------------------------------------------------


def test_refresh_without_permission() -> None:
    double = Server().on("/api/fs/list", refused(403, "Refresh without permission"))
    with pytest.raises(RefreshRefused) as caught:
        double.source().list("/x", refresh=True)
    assert not caught.value.retryable
    assert len(double.requests) == 1


@pytest.mark.parametrize(
    "words",
    [
        "failed get objs: failed get dir: object not found",
        "failed get storage: storage not found; rawPath: /x",
        "failed get objs: not a folder",
    ],
)
def test_what_will_not_pass_is_asked_once(words: str) -> None:
    double = Server().on("/api/fs/list", refused(500, words))
    with pytest.raises(ListingFailed, match=words) as caught:
        double.source().list("/x")
    assert caught.value.path == "/x"
    assert len(double.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        refused(500, "Loading storage, please wait"),
        refused(500, "failed get objs: failed to list objs: timeout"),
        refused(429, "Too many requests"),
        httpx.Response(502, content=b"<html>Bad Gateway</html>"),
        httpx.Response(429, headers={"retry-after": "2"}),
        httpx.ConnectError("[Errno 111] Connection refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("timed out"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again(trouble: Any) -> None:
    double = Server().on("/api/fs/list", [trouble, page_of(["a"])])
    assert [entry.name for entry in double.source().list("/x")] == ["a"]
    assert len(double.requests) == 2


def test_three_attempts_and_no_more() -> None:
    double = Server().on("/api/fs/list", refused(500, "Loading storage, please wait"))
    with pytest.raises(ListingFailed, match="Loading storage, please wait"):
        double.source().list("/x")
    assert len(double.requests) == 3


def test_a_long_retry_after_is_passed_on_and_not_waited_for() -> None:
    double = Server().on("/api/fs/list", httpx.Response(503, headers={"retry-after": "3600"}))
    with pytest.raises(ServerUnreachable) as caught:
        double.source().list("/x")
    assert caught.value.retry_after == 3600
    assert len(double.requests) == 1


def test_retry_after_as_a_date() -> None:
    clock = FakeClock(1_700_000_000)  # Tue, 14 Nov 2023 22:13:20 GMT
    double = Server().on("/api/fs/list", httpx.Response(503, headers={"retry-after": "Tue, 14 Nov 2023 22:23:20 GMT"}))
    with pytest.raises(ServerUnreachable) as caught:
        double.source(clock=clock).list("/x")
    assert caught.value.retry_after == 600


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "Connection refused"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "Name or service not known"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"), "CERTIFICATE_VERIFY_FAILED"),
        (httpx.ConnectTimeout("timed out"), "no connection within the time allowed"),
    ],
)
def test_a_server_that_is_down(failure: Exception, words: str) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        Server().on("/api/fs/list", failure).source().list("/x")
    assert "alist.example:5244" in caught.value.message
    assert words in caught.value.message
    assert "check [source] url" in caught.value.fix


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html>the web app</html>"),
        httpx.Response(200, json={"hello": "world"}),
        httpx.Response(200, json=[1, 2]),
        httpx.Response(200, json={"code": "200"}),
        httpx.Response(404, text="not found"),
        httpx.Response(200, content=b"", headers={"content-type": "application/json"}),
        httpx.Response(200, content=b"\xff{", headers={"content-type": "application/json"}),
    ],
    ids=lambda answer: f"{answer.status_code}-{answer.content[:12]!r}",
)
def test_what_is_no_alist(answer: httpx.Response) -> None:
    double = Server().on("/api/fs/list", answer)
    with pytest.raises(ServerUnreachable) as caught:
        double.source().list("/x")
    assert "is this an Alist or OpenList server?" in caught.value.fix
    assert len(double.requests) == 1


def test_an_api_that_redirects_gets_no_token_there() -> None:
    double = Server().on(
        "/api/fs/list", httpx.Response(301, headers={"location": "https://other.example/api/fs/list?k=v"})
    )
    with pytest.raises(ServerUnreachable, match=r"redirects its API to other\.example") as caught:
        double.source().list("/x")
    assert "[source] url" in caught.value.fix
    assert "k=v" not in str(caught.value)
    assert len(double.requests) == 1


def test_success_without_data_is_no_empty_folder() -> None:
    with pytest.raises(ListingFailed, match="without data"):
        Server().on("/api/fs/list", ok(None)).source().list("/x")


def test_null_and_odd_fields_do_not_lose_the_others() -> None:
    content = [
        item("good.jpg", 7),
        {
            "name": "odd.jpg",
            "size": None,
            "is_dir": None,
            "modified": None,
            "sign": None,
            "hash_info": {"md5": None, "sha1": SHA1},
        },
        {"size": 3},
        "not even an object",
    ]
    found = Server().on("/api/fs/list", ok({"content": content, "total": 4, "new": True})).source().list("/x")
    assert {entry.name: entry.size for entry in found} == {"good.jpg": 7, "odd.jpg": 0}
    assert found[1].hash_info == {"sha1": SHA1}


@pytest.mark.parametrize("path", ["/漫画/\udcff", "/\ud800 1", "/\ud83d\ude00"])
def test_halves_of_surrogate_pairs_are_asked_for(path: str) -> None:
    double = Server().on("/api/fs/list", refused(500, "object not found"))
    with pytest.raises(ListingFailed, match="object not found"):
        double.source().list(path)
    [body] = double.requests
    assert body.content.isascii()
    assert json.loads(body.content)["path"].encode("utf-16", "surrogatepass") == path.encode("utf-16", "surrogatepass")


def test_hashes_are_read() -> None:
    entry = item("a.jpg", hash_info={"md5": MD5, "gcid": "x"}, hashinfo="null")
    (found,) = Server().on("/api/fs/list", ok({"content": [entry], "total": 1})).source().list("/x")
    assert found.hash_info == {"md5": MD5, "gcid": "x"}


def test_a_compressed_answer() -> None:
    body = gzip.compress(page_of(["a"]).content)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(body)))
    source = AlistSource(SERVER, Guest(), clock=FakeClock(), client_id="c", transport=transport)
    assert [entry.name for entry in source.list("/x")] == ["a"]


def test_retries_say_nothing_on_their_own(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level("DEBUG")
    double = Server().on("/api/fs/list", [refused(500, "Loading storage, please wait"), page_of(["a"])])
    double.source().list("/x")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_server_below_a_path() -> None:
    double = Server().on("https://h.example/alist/api/fs/list", page_of(["a"]))
    assert [entry.name for entry in double.source(url="https://h.example/alist/").list("/x")] == ["a"]


@given(
    st.builds(
        Item,
        name=st.text(),
        size=st.integers() | st.sampled_from([2**63 - 1, 2**63, 10**400]),
        is_dir=st.booleans(),
        modified=st.text() | st.text(min_size=65, max_size=80),
        sign=st.text() | st.text("s", min_size=1024, max_size=1026),
        hash_info=st.none()
        | st.dictionaries(
            st.sampled_from(["md5", "sha1", "sha256"]) | st.text(max_size=40),
            st.text("0aF", min_size=32, max_size=32) | st.text(max_size=140),
            max_size=12,
        ),
    )
)
def test_nothing_of_an_entry_is_larger_than_what_is_true(odd: Item) -> None:
    for found in list_folder(lambda _page, _refresh: ListData(content=[odd], total=1), "/x", refresh=False):
        assert 0 <= found.size < 2**63
        assert "/" not in found.name
        assert "\0" not in found.name
        assert len(found.modified) <= 64
        assert len(found.sign) <= 1024
        hashes = found.hash_info or {}
        assert len(hashes) <= 11
        assert all(len(hashes[kind]) == digits for kind, digits in {"md5": 32, "sha1": 40}.items() if kind in hashes)
        assert len(json.dumps(hashes)) < 11 * 6 * (32 + 128)
        assert found.is_dir is odd.is_dir
        assert (found.modified + found.sign + "".join(hashes)).isprintable()
