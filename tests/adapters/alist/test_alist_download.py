"""Files: links, signs, redirects, and bodies that end early."""

from __future__ import annotations

import base64
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.adapters.alist.doubles import TOKEN, FakeClock, Server, ok, refused, secret

from pagebind.adapters.alist import AlistSource, Limits, StaticToken
from pagebind.adapters.alist.links import link, percent_twice, server_info
from pagebind.adapters.alist.links import twice as escape_twice
from pagebind.errors import AuthRefused, PageCut, PageFailed, ServerUnreachable, SignRefused, SourceError
from pagebind.ports.source import Download, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BODY = bytes(range(256)) * 40
WANTED = Download(path="/comics/a.jpg", sign="SIGNCANARY:0", size=len(BODY))
ETAG = '"6b025d42-529"'


def jpeg(content: bytes = BODY, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={"content-type": "image/jpeg", **headers}, content=content)


def redirect(where: str) -> httpx.Response:
    return httpx.Response(302, headers={"location": where}, content=b"Found")


def fetched(double: Server, wanted: Download = WANTED) -> bytes:
    return b"".join(double.source().download(wanted))


# --- links --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "version", "twice"),
    [
        ("alist", "v3.30.0", False),
        ("alist", "v3.57.2", False),
        ("alist", "v3.58.0", True),
        ("alist", "v3.63.0", True),
        ("alist", "dev", True),
        ("openlist", "v4.0.0", False),
        ("openlist", "rolling", False),
    ],
)
def test_which_server_wants_percent_twice(kind: str, version: str, twice: bool) -> None:
    assert percent_twice(ServerInfo(kind, version)) is twice


@pytest.mark.parametrize(
    ("version", "params", "info"),
    [
        ("v3.45.0", "sign,alist_ts", ServerInfo("alist", "v3.45.0")),
        ("v4.2.5 (Commit: unknown) - Frontend: rolling", "", ServerInfo("openlist", "v4.2.5")),
        ("rolling", "sign,openlist_ts,raw", ServerInfo("openlist", "rolling")),
        ("dev", "sign,alist_ts", ServerInfo("alist", "dev")),
    ],
)
def test_what_server_it_is(version: str, params: str, info: ServerInfo) -> None:
    assert server_info(version, params) == info


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), st.booleans())
def test_a_link_survives_the_unescaping_of_the_server(path: str, twice: bool) -> None:
    """As Go's server sees it: the path is cut off at ``?`` and ``#``, and unescaped once or twice."""
    from urllib.parse import unquote, urlsplit

    assume(not {".", ".."} & set(path.split("/")))  # no listing gives such names
    url = httpx.URL(link("http://h", escape_twice("/" + path) if twice else "/" + path, "a+b=:0"))
    seen = unquote(urlsplit(str(url)).path.removeprefix("/d"))
    assert (unquote(seen) if twice else seen) == "/" + path
    assert url.params["sign"] == "a+b=:0"


def test_a_link_may_hold_halves_of_surrogate_pairs() -> None:
    double = Server().on("/d/", refused(500, "object not found"))
    with pytest.raises(PageFailed, match="object not found"):
        fetched(double, Download("/\udcff \ud800.jpg", "s:0", 1))
    assert double.requests[-1].url.raw_path == b"/d/%ED%B3%BF%20%ED%A0%80.jpg?sign=s:0"


@pytest.mark.parametrize("ask", [fetched, lambda double, wanted: double.source().redirect_target(wanted)])
def test_a_link_that_is_too_long_is_the_pages_own_fault(ask: Callable[[Server, Download], object]) -> None:
    double = Server()
    path = f"/{'漫' * 8_000}.jpg"
    with pytest.raises(PageFailed) as caught:
        ask(double, Download(path, "SIGNCANARY:0", 1, link=path))
    assert caught.value.message.startswith(f"{path}: its link has 72")
    assert "shorter names" in caught.value.fix
    assert "CANARY" not in caught.value.message
    assert double.requests == []


def test_the_absolute_path_is_asked_for_once_and_only_for_downloads() -> None:
    double = Server().on("/d/", jpeg()).on("/api/me", ok({"username": "bob", "base_path": "/comics/One Piece"}))
    source = double.source()
    for _ in range(2):
        assert b"".join(source.download(Download("/Vol 01/#1 ?&+'.jpg", "s:0", len(BODY)))) == BODY
    paths = [request.url.raw_path.decode() for request in double.requests if request.url.path.startswith("/d")]
    assert paths == ["/d/comics/One%20Piece/Vol%2001/%231%20%3F%26%2B%27.jpg?sign=s:0"] * 2
    assert double.count("/api/me") == 1
    assert double.count("/api/public/settings") == 0


# --- what is sent -------------------------------------------------------------------------------------------------


def test_headers_of_a_download() -> None:
    double = Server().on("/d/", httpx.Response(200, headers={"set-cookie": "a=b; Path=/"}, content=BODY))
    source = double.source()
    wanted = Download("/a.jpg", "s:0", len(BODY), headers={"User-Agent": "pan.baidu.com", "accept-encoding": "br"})
    for _ in range(2):
        assert b"".join(source.download(wanted)) == BODY
    for request in [request for request in double.requests if request.url.path.startswith("/d/")]:
        assert request.headers["User-Agent"] == "pan.baidu.com"
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"authorization", "cookie", "client-id"} & set(request.headers)


def test_another_host_gets_neither_token_nor_cookies_but_the_headers_of_the_drive() -> None:
    double = Server().on("/d/", redirect("https://cdn.example/x?key=v")).on("cdn.example", jpeg())
    headers = {"Referer": "https://www.alipan.com/", "Cookie": "c=1", "Authorization": "Basic x"}
    assert fetched(double, Download("/a.jpg", "s:0", len(BODY), headers=headers)) == BODY
    sent = double.requests[-1].headers
    assert sent["Referer"] == "https://www.alipan.com/"
    assert not {"authorization", "cookie", "client-id"} & set(sent)


def test_nobody_whom_another_host_leads_to_gets_cookies_not_even_the_server() -> None:
    double = Server().on("/d/", redirect("https://cdn.example/x")).on("cdn.example", redirect("/back"))
    double.on("cdn.example/back", redirect("http://alist.example:5244/api/admin/evil")).on("/api/admin", jpeg())
    assert fetched(double, Download("/a.jpg", "s:0", len(BODY), headers={"Cookie": "c=1"})) == BODY
    cookies = [request.headers.get("Cookie") for request in double.requests if request.url.path != "/api/me"]
    assert cookies == ["c=1", None, None, None]


# --- redirects ----------------------------------------------------------------------------------------------------


def test_a_relative_redirect() -> None:
    double = Server().on("/d/", redirect("/p/comics/a.jpg?sign=x")).on("/p/", jpeg())
    assert fetched(double) == BODY


def test_five_redirects_and_no_more() -> None:
    double = Server().on(
        "/d/", lambda r: redirect(f"/d/{int(r.url.params.get('n', 0)) + 1}?n={int(r.url.params.get('n', 0)) + 1}")
    )
    with pytest.raises(PageFailed, match="more than 5 redirects"):
        fetched(double)
    assert double.count("/d/") == 6


def test_a_redirect_to_nowhere_is_said_at_once() -> None:
    double = Server().on("/d/", httpx.Response(302))
    for ask in (fetched, lambda double: double.source().redirect_target(WANTED)):
        double.requests.clear()
        with pytest.raises(PageFailed, match="does not say where"):
            ask(double)
        assert double.count("/d/") == 1


@pytest.mark.parametrize(
    "where",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/x",
        "http://[fe80::1%25eth0]/x",
        "http://[fd00:ec2::254]/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://metadata.google.internal/x",
        "http://METADATA.google.internal./x",
        "http://100.100.100.200/x",
        "ftp://host/x",
        "file:///etc/passwd",
        "//[/x",
    ],
)
def test_where_no_redirect_leads(where: str) -> None:
    double = Server().on("/d/", redirect(where + "?CANARYQUERY"))
    with pytest.raises(PageFailed, match="redirects to") as caught:
        fetched(double)
    assert double.count("/d/") == len([r for r in double.requests if "/api/" not in str(r.url)]) == 1
    assert "CANARY" not in caught.value.message


@pytest.mark.parametrize("where", ["/p/" + "x" * 70_000, "http://cdn.example:port/x", "http://xn--/x"])
def test_a_redirect_to_what_is_no_url_is_the_pages_own_fault(where: str) -> None:
    double = Server().on("/d/", redirect(where))
    with pytest.raises(PageFailed) as caught:
        fetched(double)
    assert caught.value.message == "/comics/a.jpg: the server redirects to what is not a URL"
    assert double.count("/d/") == 1


@pytest.mark.parametrize("host", ["cdn..example", f"{'x' * 64}.example"])
def test_so_is_one_to_a_host_that_cannot_be_looked_up(host: str) -> None:
    with (
        cutting(head(302, 0, Location=f"http://{host}/x")) as (_, source, _clock),
        pytest.raises(PageFailed, match="redirects to what is not a URL"),
    ):
        next(iter(source.download(WANTED)))


# --- signs --------------------------------------------------------------------------------------------------------

OPENLIST_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>401 Unauthorized</title></head><body><h1>401</h1><hr><p>{}</p></body></html>"
)


def html(status: int, words: str) -> httpx.Response:
    return httpx.Response(status, html=OPENLIST_PAGE.format(words))


@pytest.mark.parametrize("words", ["sign expired", "sign invalid", "expire missing", "expire invalid"])
@pytest.mark.parametrize("dialect", [lambda words: refused(401, words), lambda words: html(401, words)])
def test_a_refused_sign_is_replaced_once(words: str, dialect: Any) -> None:
    double = Server().on("/d/", [dialect(words), jpeg()]).on("/api/fs/get", ok({"sign": "FRESH:0", "raw_url": "x"}))
    wanted = Download("/comics/a.jpg", "old:0", len(BODY), password=lambda: "sesame")
    assert fetched(double, wanted) == BODY
    assert double.bodies("/api/fs/get") == [{"path": "/comics/a.jpg", "password": "sesame"}]
    assert [r.url.params.get("sign") for r in double.requests if r.url.path.startswith("/d/")] == ["old:0", "FRESH:0"]

    double.on("/d/", dialect(words))
    with pytest.raises(SignRefused, match=words):
        fetched(double, wanted)
    assert double.count("/api/fs/get") == 2


def test_without_a_sign_the_bare_link_is_tried_before_the_drive_is_asked() -> None:
    bare = Download("/a.jpg", "", len(BODY))
    double = Server().on("/d/", jpeg())
    assert fetched(double, bare) == BODY
    assert double.count("/api/fs/get") == 0
    assert double.requests[-1].url.query == b""

    double.on("/d/", [refused(401, "expire missing"), jpeg()]).on("/api/fs/get", ok({"sign": "FRESH:0"}))
    assert fetched(double, bare) == BODY
    assert double.count("/api/fs/get") == 1


def test_credentials_that_are_refused_when_a_fresh_sign_is_needed() -> None:
    double = Server().on("/d/", refused(401, "sign expired")).on("/api/fs/get", refused(401, "token is invalidated"))
    with pytest.raises(AuthRefused):
        fetched(double)


# --- answers that are no file -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(500, "failed link: failed to get file: object not found"), "object not found"),
        (html(500, "failed link: not a file"), "not a file"),
        (html(500, "a &lt; b &amp; c"), "a < b & c"),
        (httpx.Response(200, html="<html>Log in</html>"), "text/html"),
        (httpx.Response(404, text="gone"), "HTTP 404"),
        (httpx.Response(204), "HTTP 204"),
    ],
)
def test_an_error_instead_of_the_file(answer: httpx.Response, words: str) -> None:
    with pytest.raises(PageFailed, match=words) as caught:
        fetched(Server().on("/d/", answer))
    assert caught.value.path == "/comics/a.jpg"
    assert caught.value.retryable


@pytest.mark.parametrize("status", [403, 404, 410, 500])
def test_a_provider_that_refuses(status: int) -> None:
    double = Server().on("/d/", redirect("https://cdn.example/CANARYPATH?CANARYQUERY"))
    double.on("cdn.example", httpx.Response(status, text="<Error>CANARY</Error>"))
    with pytest.raises(
        PageFailed, match=rf"cdn\.example, where the server redirects to, answered HTTP {status}"
    ) as caught:
        fetched(double)
    assert "CANARY" not in caught.value.message
    assert double.count("/api/fs/get") == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_wants_to_be_left_alone(status: int) -> None:
    double = Server().on("/d/", httpx.Response(status, headers={"retry-after": "17"}))
    with pytest.raises(PageFailed) as caught:
        fetched(double)
    assert caught.value.retry_after == 17
    assert double.count("/d/") == 1


def test_json_that_is_no_error_is_a_file() -> None:
    for body in (b'{"pages": 3}', b'{"code": 200, "message": "x"}', b'["code"]', b'{"code": 500}' + b" " * 70_000):
        double = Server().on("/d/", httpx.Response(200, headers={"content-type": "application/json"}, content=body))
        assert fetched(double, Download("/a.json", "s:0", len(body))) == body


def test_a_body_without_end_ends() -> None:
    double = Server().on("/d/", jpeg(BODY * 3))
    assert fetched(double) == (BODY * 3)[: len(BODY) + 1]


def test_a_server_that_is_down() -> None:
    with pytest.raises(ServerUnreachable, match="Connection refused"):
        fetched(Server().on("/d/", httpx.ConnectError("[Errno 111] Connection refused")))


def test_a_drive_that_is_down_is_not_the_server() -> None:
    double = Server().on("/d/", redirect("https://cdn.example/x")).on("cdn.example", httpx.ConnectError("refused"))
    with pytest.raises(PageFailed, match=r"cdn\.example: refused"):
        fetched(double)


# --- redirect_target ----------------------------------------------------------------------------------------------


def test_redirect_target() -> None:
    assert Server().on("/d/", jpeg(b"x", 206)).source().redirect_target(WANTED) is None
    double = Server().on("/d/", redirect("https://user:pw@cdn.example:8443/x?k=v"))
    assert double.source().redirect_target(WANTED) == "cdn.example:8443"
    assert double.requests[-1].headers["Range"] == "bytes=0-0"
    with pytest.raises(PageFailed, match="object not found"):
        Server().on("/d/", refused(500, "object not found")).source().redirect_target(WANTED)
    with pytest.raises(ServerUnreachable):
        Server().on("/d/", httpx.ConnectError("refused")).source().redirect_target(WANTED)


# --- bodies that end early, over real sockets ---------------------------------------------------------------------


ME = b'{"code":200,"message":"success","data":{"username":"admin"}}'


class Cutter:
    """Answers each connection with the next of the prepared bytes and closes it."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                self.requests.append(request.decode("latin-1"))
                if "/api/me" in self.requests[-1]:
                    connection.sendall(head(200, len(ME), "application/json") + ME)
                elif self.answers:
                    connection.sendall(self.answers.pop(0))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def ranges(self) -> list[str]:
        lines = [line for request in self.requests for line in request.split("\r\n")]
        return [line.partition(": ")[2] for line in lines if line.lower().startswith("range:")]


def head(status: int, length: int | None, kind: str = "image/jpeg", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"Content-Length: {length}"] if length is not None else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def rest(
    start: int, until: int = len(BODY), total: int | str = len(BODY), *, more: Mapping[str, str] | None = None
) -> bytes:
    said = f"bytes {start}-{len(BODY) - 1}/{total}"
    return head(206, len(BODY) - start, Content_Range=said, **(more or {})) + BODY[start:until]


@contextmanager
def cutting(*answers: bytes) -> Iterator[tuple[Cutter, AlistSource, FakeClock]]:
    cutter, clock = Cutter(*answers), FakeClock()
    limits = Limits(list_per_second=0, read_timeout=10)
    source = AlistSource(cutter.url, StaticToken(secret(TOKEN)), clock=clock, client_id="c", limits=limits)
    try:
        yield cutter, source, clock
    finally:
        source.close()
        cutter.close()


def test_a_cut_body_is_resumed_from_the_original_link_until_it_is_whole() -> None:
    first = head(200, len(BODY), ETag=ETAG) + BODY[:4000]
    with cutting(first, rest(4000, 7000), rest(7000)) as (cutter, source, clock):
        assert b"".join(source.download(WANTED)) == BODY
    assert cutter.ranges() == ["bytes=4000-", "bytes=7000-"]
    assert all("/d/comics/a.jpg?sign=SIGNCANARY:0" in r for r in cutter.requests if "/api/" not in r)
    assert f"If-Range: {ETAG}" in cutter.requests[-1]
    assert clock.waits == []  # there was progress each time


def test_a_weak_etag_is_no_condition_for_a_range() -> None:
    with cutting(head(200, len(BODY), ETag="W/" + ETAG) + BODY[:4000], rest(4000)) as (cutter, source, _):
        assert b"".join(source.download(WANTED)) == BODY
    assert "If-Range" not in cutter.requests[-1]


MONDAY, TUESDAY = "Mon, 05 Jan 2026 10:00:00 GMT", "Tue, 06 Jan 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"ETag": '"v1"'}, {"ETag": '"v2"'}),
        ({"ETag": 'W/"v1"'}, {"ETag": 'W/"v2"'}),
        ({"ETag": "v1"}, {"ETag": "v2"}),
        ({"Last_Modified": MONDAY}, {"Last_Modified": TUESDAY}),
        ({"ETag": '"v1"', "Last_Modified": MONDAY}, {"Last_Modified": TUESDAY}),
    ],
)
def test_the_rest_of_another_version_is_not_taken(first: dict[str, str], then: dict[str, str]) -> None:
    got: list[bytes] = []
    answers = head(200, len(BODY), **first) + BODY[:4000], rest(4000, 7000), rest(7000, more=then), rest(7000)
    with (
        cutting(*answers) as (cutter, source, _),
        pytest.raises(PageCut, match="has changed"),
    ):
        got.extend(source.download(WANTED))
    assert b"".join(got) == BODY[:7000]
    assert cutter.ranges() == ["bytes=4000-", "bytes=7000-"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"ETag": '"v1"'}, {"ETag": 'W/"v1"'}),
        ({"ETag": '"v1"'}, {"Last_Modified": MONDAY}),
        ({}, {"ETag": '"v1"', "Last_Modified": MONDAY}),
        ({"ETag": '"v\u00e9"'}, {"ETag": '"v2"'}),
        ({"ETag": f'"{"v" * 300}"'}, {"ETag": '"v2"'}),
    ],
)
def test_what_may_be_the_same_version_is_the_rest(first: dict[str, str], then: dict[str, str]) -> None:
    with cutting(head(200, len(BODY), **first) + BODY[:4000], rest(4000, more=then)) as (_, source, _clock):
        assert b"".join(source.download(WANTED)) == BODY


def test_what_is_wanted_in_one_is_not_resumed() -> None:
    wanted = replace(WANTED, in_one=True)
    with cutting(head(200, len(BODY)) + BODY[:4000], rest(4000)) as (cutter, source, _), pytest.raises(PageCut):
        list(source.download(wanted))
    assert cutter.ranges() == []
    with cutting(b"", head(200, 10) + BODY[:10]) as (_, source, _clock):
        assert b"".join(source.download(wanted)) == BODY[:10]  # whole, if not as listed


def test_a_body_without_a_length_that_is_shorter_than_listed_is_resumed() -> None:
    with cutting(head(200, None) + BODY[:10], rest(10)) as (_, source, _clock):
        assert b"".join(source.download(WANTED)) == BODY


def test_a_file_that_really_is_shorter_than_listed_is_the_callers_to_judge() -> None:
    whole = head(416, 0, Content_Range="bytes */10")
    with cutting(head(200, 10) + BODY[:10], whole) as (_, source, _clock):
        assert b"".join(source.download(WANTED)) == BODY[:10]
    with cutting(head(200, 0)) as (_, source, _clock):
        assert b"".join(source.download(WANTED)) == b""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (head(200, len(BODY)) + BODY, "ignores ranges"),
        (rest(3000), "another file"),
        (rest(4000, total=999), "another file"),
        (head(206, 5) + b"xxxxx", "ignores ranges"),
        (head(416, 0, Content_Range="bytes */3999"), "no such range"),
    ],
)
def test_what_is_not_the_rest_is_not_taken(answer: bytes, words: str) -> None:
    got: list[bytes] = []
    with (
        cutting(head(200, len(BODY)) + BODY[:4000], answer) as (_, source, _clock),
        pytest.raises(PageCut, match=f"4000 of {len(BODY)} bytes came: .*{words}"),
    ):
        got.extend(source.download(WANTED))
    assert b"".join(got) == BODY[:4000]


def test_a_server_that_never_gives_more_is_left_after_three_resumes() -> None:
    with (
        cutting(head(200, len(BODY)) + BODY[:4000]) as (cutter, source, clock),
        pytest.raises(PageCut, match=f"4000 of {len(BODY)} bytes came"),
    ):
        list(source.download(WANTED))
    assert cutter.ranges() == ["bytes=4000-"] * 4  # the first one followed progress
    assert len(clock.waits) == 3
    assert clock.waits[0] < clock.waits[2] * 2


def test_a_server_that_gives_byte_by_byte_is_left_too() -> None:
    drops = [rest(n, n + 1) for n in range(1, 100)]
    with cutting(head(200, len(BODY)) + BODY[:1], *drops) as (cutter, source, _), pytest.raises(PageCut):
        list(source.download(WANTED))
    assert len(cutter.ranges()) == 16


def test_a_sign_that_expires_before_the_resume_is_replaced() -> None:
    words = b'{"code":401,"message":"sign expired"}'
    expired = head(200, len(words), "application/json") + words
    fresh = b'{"code":200,"data":{"sign":"FRESH:0"}}'
    first = head(200, len(BODY)) + BODY[:4000]
    with cutting(first, expired, head(200, len(fresh), "application/json") + fresh, rest(4000)) as (cutter, source, _):
        assert b"".join(source.download(WANTED)) == BODY
    assert "sign=FRESH:0" in cutter.requests[-1]


def test_one_fresh_sign_is_all_that_a_download_gets() -> None:
    words, fresh = b'{"code":401,"message":"sign expired"}', b'{"code":200,"data":{"sign":"FRESH:0"}}'
    expired = head(200, len(words), "application/json") + words
    renewed = head(200, len(fresh), "application/json") + fresh
    with (
        cutting(expired, renewed, head(200, len(BODY)) + BODY[:4000], expired, renewed) as (cutter, source, _),
        pytest.raises(SignRefused, match="sign expired"),
    ):
        list(source.download(WANTED))
    assert sum("/api/fs/get" in request for request in cutter.requests) == 1


# --- beginning in the middle --------------------------------------------------------------------------------------

FROM_4000 = Download("/comics/a.jpg", "SIGNCANARY:0", len(BODY), start=4000)


def test_a_download_begins_where_it_is_told_to() -> None:
    with cutting(rest(4000)) as (cutter, source, _):
        assert b"".join(source.download(FROM_4000)) == BODY[4000:]
    assert cutter.ranges() == ["bytes=4000-"]
    assert "If-Range" not in cutter.requests[-1]


def test_it_goes_on_with_the_version_that_it_began_with() -> None:
    told: list[str] = []
    began = replace(WANTED, noted=told.append)
    with cutting(head(200, len(BODY), ETag=ETAG, Last_Modified=MONDAY) + BODY) as (_, source, _clock):
        list(source.download(began))
    assert told == [f"{MONDAY}|{ETAG}"]

    goes_on = replace(FROM_4000, version=told[0], noted=told.append)
    with cutting(rest(4000, more={"ETag": ETAG})) as (cutter, source, _):
        assert b"".join(source.download(goes_on)) == BODY[4000:]
    assert f"If-Range: {ETAG}" in cutter.requests[-1]
    assert told == [f"{MONDAY}|{ETAG}"] * 2

    for other in ({"ETag": '"v2"'}, {"Last_Modified": TUESDAY}):
        with (
            cutting(rest(4000, more=other)) as (_, source, _clock),
            pytest.raises(PageCut, match=r"from byte 4000 on: .*changed"),
        ):
            list(source.download(goes_on))


@pytest.mark.parametrize("etag", [f'"{TOKEN}"', '"SIGNCANARY:0"', '"v\u00e9"', ""])
def test_a_version_that_holds_a_secret_or_is_no_text_is_none(etag: str) -> None:
    told: list[str] = []
    with cutting(head(200, len(BODY), ETag=etag) + BODY) as (_, source, _clock):
        list(source.download(replace(WANTED, noted=told.append)))
    assert told == [""]


def test_what_began_in_the_middle_is_resumed_as_ever() -> None:
    said = f"bytes 4000-{len(BODY) - 1}/*"
    first = head(206, len(BODY) - 4000, Content_Range=said, ETag=ETAG) + BODY[4000:6000]
    with cutting(first, rest(6000)) as (cutter, source, clock):
        assert b"".join(source.download(FROM_4000)) == BODY[4000:]
    assert cutter.ranges() == ["bytes=4000-", "bytes=6000-"]
    assert f"If-Range: {ETAG}" in cutter.requests[-1]
    assert clock.waits == []


def test_a_body_without_end_ends_one_byte_late_from_the_middle_too() -> None:
    said = f"bytes 4000-{len(BODY) + 99}/{len(BODY)}"
    with cutting(head(206, None, Content_Range=said) + BODY[4000:] + bytes(100)) as (_, source, _clock):
        assert b"".join(source.download(FROM_4000)) == BODY[4000:] + b"\0"


def test_where_nothing_is_left_nothing_comes() -> None:
    wanted = Download("/comics/a.jpg", "SIGNCANARY:0", len(BODY), start=len(BODY))
    with cutting(head(416, 0, Content_Range=f"bytes */{len(BODY)}")) as (_, source, _clock):
        assert list(source.download(wanted)) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (head(200, len(BODY)) + BODY, "ignores ranges"),
        (head(206, 5) + b"xxxxx", "ignores ranges"),
        (rest(3999), "another range"),
        (rest(0), "another range"),
        (rest(4000, total=len(BODY) + 1), "another file"),
        (head(416, 0, Content_Range="bytes */3999"), "no such range"),
        (head(416, 0), "no such range"),
    ],
)
def test_what_does_not_begin_there_is_not_taken(answer: bytes, words: str) -> None:
    with cutting(answer) as (cutter, source, _), pytest.raises(PageCut, match=f"from byte 4000 on: .*{words}") as cut:
        next(iter(source.download(FROM_4000)))
    assert cutter.ranges() == ["bytes=4000-"]
    assert "SIGNCANARY" not in f"{cut.value!r}"


def test_a_server_that_breaks_off_before_the_first_byte_does_not_say_that_it_cannot_begin_there() -> None:
    with cutting() as (cutter, source, _), pytest.raises(ServerUnreachable, match="broke off"):
        next(iter(source.download(FROM_4000)))
    assert cutter.ranges() == ["bytes=4000-"] * 4


def test_a_sign_that_has_expired_is_replaced_before_the_first_byte_from_the_middle() -> None:
    words, fresh = b'{"code":401,"message":"sign expired"}', b'{"code":200,"data":{"sign":"FRESH:0"}}'
    expired = head(200, len(words), "application/json") + words
    renewed = head(200, len(fresh), "application/json") + fresh
    with cutting(expired, renewed, rest(4000)) as (cutter, source, _):
        assert b"".join(source.download(FROM_4000)) == BODY[4000:]
    assert cutter.ranges() == ["bytes=4000-"] * 2


def test_a_drive_behind_a_redirect_is_asked_for_the_same_range() -> None:
    said = f"bytes 4000-{len(BODY) - 1}/{len(BODY)}"
    double = Server().on("/d/", redirect("https://cdn.example/x"))
    double.on("cdn.example", jpeg(BODY[4000:], 206, **{"content-range": said}))
    assert fetched(double, FROM_4000) == BODY[4000:]
    assert double.requests[-1].headers["Range"] == "bytes=4000-"


def test_what_is_sent_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with cutting(head(200, len(BODY)) + BODY) as (cutter, source, _):
        assert b"".join(source.download(WANTED)) == BODY
    assert TOKEN in cutter.requests[0]
    assert caplog.text == ""


def test_a_download_that_is_given_up_frees_its_connection() -> None:
    with cutting(head(200, len(BODY)) + BODY) as (_, source, _clock):
        stream = source.download(WANTED)
        next(iter(stream))
        stream.close()  # type: ignore[attr-defined]
        transport = next(iter(source._connections._transports.values()))
        assert transport._pool.connections == []  # type: ignore[attr-defined]


def test_a_proxy_of_the_environment_is_used_and_an_odd_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    with cutting() as (cutter, _, clock):
        monkeypatch.setenv("http_proxy", cutter.url.removeprefix("http://"))
        source = AlistSource("http://far.example", StaticToken(secret(TOKEN)), clock=clock, client_id="c")
        assert source.account().username == "admin"
        source.close()
    assert cutter.requests[0].startswith("GET http://far.example/api/me ")

    monkeypatch.setenv("http_proxy", "gopher://localhost")
    source = AlistSource("http://far.example", StaticToken(secret(TOKEN)), clock=clock, client_id="c")
    with pytest.raises(ServerUnreachable, match="the proxy that the environment names"):
        source.account()


# --- rates and secrets --------------------------------------------------------------------------------------------


def test_rates() -> None:
    clock = FakeClock()
    double = Server().on("/d/", jpeg()).on("/api/fs/list", ok({"content": [], "total": 0}))
    limits = Limits(list_per_second=4, downloads_per_second=2)
    source = double.source(clock=clock, limits=limits)
    start = clock.time
    for _ in range(5):
        source.list("/")
    assert clock.time - start == pytest.approx(4 / 4)
    start = clock.time
    for _ in range(5):
        list(source.download(WANTED))
    assert clock.time - start == pytest.approx(4 / 2)


def test_a_folder_with_rates_of_its_own() -> None:
    clock = FakeClock()
    double = Server().on("/api/fs/list", ok({"content": [], "total": 0}))
    source = double.source(
        clock=clock,
        limits=Limits(list_per_second=4),
        limits_below={"/slow": Limits(list_per_second=1), "/slow/fast": Limits(list_per_second=0)},
    )
    spent = {}
    for path in ("/slower", "/slow", "/slow/a/b", "/slow/fast/c"):
        start = clock.time
        for _ in range(5):
            source.list(path)
        spent[path] = clock.time - start
    assert spent == pytest.approx({"/slower": 4 / 4, "/slow": 4 / 1, "/slow/a/b": 5 / 1, "/slow/fast/c": 0})


def test_bandwidth() -> None:
    clock = FakeClock()
    source = Server().on("/d/", jpeg()).source(clock=clock, limits=Limits(bandwidth=1000))
    start = clock.time
    list(source.download(WANTED))
    assert clock.time - start == pytest.approx(len(BODY) / 1000, abs=0.3)


def test_no_rate_never_waits() -> None:
    clock = FakeClock()
    source = Server().on("/d/", jpeg()).source(clock=clock, limits=Limits(list_per_second=0))
    list(source.download(WANTED))
    assert clock.waits == []


LEAKS = 'Get "https://cdn.example/PATHCANARY?sign=SIGNCANARY:0&token=abc": sign=SIGNCANARY:0 password is PASSWORDCANARY'


@pytest.mark.parametrize("code", [400, 401, 403, 500])
def test_no_secret_reaches_an_error(code: int, caplog: pytest.LogCaptureFixture) -> None:
    double = Server().on("/d/", refused(code, LEAKS)).on("/api/", refused(code, f"{LEAKS} {TOKEN}"))
    double.on("/api/public/settings", refused(code, LEAKS))
    double.on("/api/me", ok({"username": "admin"})).on("/api/fs/get", ok({"sign": "SIGNCANARY:1"}))
    wanted = Download("/a.jpg", "SIGNCANARY:0", 1, password=lambda: "PASSWORDCANARY")
    source = double.source()
    errors: list[SourceError] = []
    caplog.set_level("DEBUG")
    calls: tuple[Callable[[], object], ...] = (
        lambda: list(source.download(wanted)),
        lambda: source.redirect_target(wanted),
        lambda: source.list("/a", password="PASSWORDCANARY"),
        source.server,
        source.drives,
    )
    for call in calls:
        try:
            call()
        except SourceError as error:
            errors.append(error)
    assert len(errors) >= 4
    shown = "".join(f"{e!r} {e} {e.message} {e.fix} {e.__dict__}" for e in errors)
    for canary in ("SIGNCANARY", "PATHCANARY", TOKEN, "token=abc"):
        assert canary not in shown + caplog.text
    assert "PASSWORDCANARY" not in repr(wanted) + "".join(e.message for e in errors if e.path)
    assert TOKEN not in repr(StaticToken(secret(TOKEN)))


SIGN = "Zk3v9QpL_2xT-7bNw8RyMd4s=:0"


@pytest.mark.parametrize(
    "host",
    [
        f"{TOKEN}.test",
        f"{TOKEN.upper()}.test",
        "a.Zk3v9QpL-2xT.test",
        "x.zk3v.9qpl.test",
        "SESAME-42.test",
        base64.b64encode(f"u:{TOKEN}".encode()).decode().rstrip("=") + ".test",
    ],
)
@pytest.mark.parametrize("how", ["unreachable", "refused", "loop", "first hop"])
def test_a_host_that_is_made_of_secrets_is_not_shown(host: str, how: str) -> None:
    location = f"http://{host}/x"
    double = Server().on("/d/", httpx.Response(302, headers={"Location": location}))
    answers: dict[str, httpx.Response | Exception] = {
        "unreachable": httpx.ConnectError(f"certificate is not valid for '{host}'"),
        "refused": httpx.Response(403),
        "loop": httpx.Response(302, headers={"Location": location}),
    }
    double.on("/x", answers.get(how, httpx.Response(200)))
    source = double.source()
    wanted = Download("/a.jpg", SIGN, 1, password=lambda: "sesame-42")
    if how == "first hop":
        assert source.redirect_target(wanted) == "***"
        return
    with pytest.raises(SourceError) as caught:
        list(source.download(wanted))
    assert host.partition(".test")[0] not in caught.value.message
    assert "***" in caught.value.message
