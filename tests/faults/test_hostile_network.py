"""The network, and whoever has it in hand: one error, in time, and nothing is leaked."""

from __future__ import annotations

import itertools
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.certificates import Authority
from tests.support.hostile_server import PICTURE, HostileServer, Peer, answer, dripping, endless, head, redirect, saying
from tests.support.lied_to import (
    LONGEST,
    WINDOW,
    check_run_with_one_bad_page,
    failure,
    fetched,
    file_failure,
    source_of,
    wanted,
)

from pagebind.adapters.alist import redirects
from pagebind.adapters.alist.redirects import Ground
from pagebind.errors import PageCut, PageFailed, ServerUnreachable, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WHOLE = answer(PICTURE)
_lookup = socket.getaddrinfo


# --- connections and heads -------------------------------------------------------------------------------------------

HEADS: dict[str, tuple[bytes | Callable[[Peer], None], type[SourceError], str]] = {
    "closed at once": (lambda _: None, PageCut, "broke off"),
    "reset": (Peer.reset, PageCut, "broke off"),
    "reset in the head": (saying(b"HTTP/1.1 200", Peer.reset), PageCut, "broke off"),
    "silent": (Peer.stall, PageCut, "sent nothing"),
    "silent in the head": (saying(b"HTTP/1.1 200", Peer.stall), PageCut, "sent nothing"),
    "not http": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", PageCut, "not HTTP"),
    "binary": (bytes(range(256)) * 100, PageCut, "not HTTP"),
    "no line has an end": (endless(b"HTTP/1.1 200 OK", b"x" * 4096), PageCut, "not HTTP"),
    "a megabyte of headers": (head(X_Long="x" * 1_000_000) + PICTURE, PageCut, "not HTTP"),
    "headers without end": (endless(b"HTTP/1.1 200 OK\r\n", b"X-More: more\r\n" * 100), PageCut, "not HTTP"),
    "1xx without end": (endless(b"HTTP/1.1 102 Processing\r\n\r\n"), PageCut, "not HTTP"),
    "1xx for ever": (endless(b"", b"HTTP/1.1 102 P\r\nX: " + b"x" * 8000 + b"\r\n\r\n"), PageCut, "not HTTP"),
    "1xx drop by drop": (dripping(b"", b"HTTP/1.1 102 P\r\n\r\n"), PageCut, "less than 1 KiB"),
    "a head that comes steadily": (
        lambda peer: peer.drip(
            itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X: " + b"x" * 250 + b"\r\n"))
        ),
        PageCut,
        "less than 1 KiB",
    ),
    "a head drop by drop": (dripping(b"HTTP/1.1 200 OK\r\nX-Long: "), PageCut, "less than 1 KiB"),
    "another protocol": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", PageCut, "not HTTP"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello", PageCut, "not HTTP"),
}


@pytest.mark.parametrize("case", HEADS)
def test_connections_and_heads(case: str) -> None:
    script, kind, words = HEADS[case]
    with HostileServer().on("/d/bad", script) as server, source_of(server.url) as source:
        error = file_failure(source)
        assert type(error) is kind
        assert words in error.message
        assert error.retryable


@pytest.mark.parametrize("case", ["a head drop by drop", "1xx for ever", "silent", "not http"])
def test_drives_behind_a_redirect_that_do_the_same_are_not_the_server(case: str) -> None:
    script, _, words = HEADS[case]
    with HostileServer() as server, HostileServer().on("/LINKCANARY", script) as drive:
        server.on("/d/bad", redirect(f"{drive.url}/LINKCANARY?LINKCANARY"))
        with source_of(server.url) as source:
            error = file_failure(source)
            assert isinstance(error, PageFailed)
            assert words in error.message


@pytest.mark.parametrize("case", ["a head drop by drop", "1xx for ever", "silent", "not http"])
def test_calls_of_the_api_end_too(case: str) -> None:
    script, _, words = HEADS[case]
    with HostileServer().on("/api/fs/list", script) as server, source_of(server.url) as source:
        error = failure(lambda: source.list("/comics"), longest=2 * LONGEST)
        assert type(error) is ServerUnreachable
        assert words in error.message
        assert len(server.requests) == 2
        assert fetched(source, "good") == PICTURE


def test_nobody_listens() -> None:
    with HostileServer() as server:
        pass
    with source_of(server.url) as source:
        assert type(failure(lambda: fetched(source, "bad"))) is ServerUnreachable


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with source_of("http://alist.invalid") as source:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        error = failure(lambda: fetched(source, "bad"))
    assert type(error) is ServerUnreachable
    assert "Name or service not known" in error.message


def test_a_host_with_many_addresses_takes_no_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 that drop what is sent to them, four share the time of one connection."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as full:
        port = full.getsockname()[1]
        filling = [socket.socket() for _ in range(3)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        addresses = [f"127.0.0.{last}" for last in range(1, 101)]
        monkeypatch.setattr(socket, "getaddrinfo", looked_up({"many.example": addresses}))
        with source_of(f"http://many.example:{port}") as source:
            error = failure(lambda: fetched(source, "bad"))
            assert type(error) is ServerUnreachable
        for one in filling:
            one.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    authority = Authority.made(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.trusted))
    return authority


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("127.0.0.1", {"self_signed": True}, "self-signed certificate"),
        ("127.0.0.1", {"expired": True}, "certificate has expired"),
        ("other.example", {}, "IP address mismatch"),
    ],
)
def test_certificates(authority: Authority, name: str, options: dict[str, bool], words: str) -> None:
    context = authority.context(name, **options)
    with HostileServer(tls=context) as drive, HostileServer() as server:
        with source_of(drive.url) as source:
            error = failure(lambda: fetched(source, "good"))
            assert type(error) is ServerUnreachable
            assert words in error.message
        assert drive.requests == []

        server.on("/d/bad", redirect(f"{drive.url}/LINKCANARY"))
        with source_of(server.url) as source:
            error = file_failure(source)
            assert isinstance(error, PageCut)
            assert words in error.message
        assert drive.requests == []


def test_a_right_certificate(authority: Authority) -> None:
    with HostileServer(tls=authority.context("127.0.0.1")) as server, source_of(server.url) as source:
        assert fetched(source, "good") == PICTURE
        server.on("/d/bad", dripping(head(length=1000)))
        assert "less than 1 KiB" in file_failure(source).message


def test_plain_http_where_tls_is_expected_and_the_other_way_round(authority: Authority) -> None:
    with HostileServer() as plain, source_of(plain.url.replace("http", "https")) as source:
        assert type(failure(lambda: fetched(source, "good"))) is ServerUnreachable
    with (
        HostileServer(tls=authority.context("127.0.0.1")) as tls,
        source_of(tls.url.replace("https", "http")) as source,
    ):
        assert isinstance(failure(lambda: fetched(source, "good")), PageCut)


def test_a_handshake_drop_by_drop(authority: Authority) -> None:
    record = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + bytes(16384)
    server = HostileServer().on_connection(lambda peer: peer.drip(bytes([one]) for one in record))
    with server, source_of(server.url.replace("http", "https")) as source:
        error = failure(lambda: fetched(source, "good"))
    assert type(error) is ServerUnreachable
    assert "no connection within the time allowed" in error.message


# --- redirects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/d/bad", "more than 5 redirects"),
        ("", "does not say where"),
        ("?again", "more than 5 redirects"),
        ("http://127.0.0.1:1/LINK CANARY", "refused"),
        ("http://user:LINKCANARY@127.0.0.1:1/x", "127.0.0.1:1"),
        ("http://127.0.0.1:1/\xe4\xb8\xad", "refused"),
        ("http://127.0.0.1:99999/x", "not a URL"),
        ("/" + "x" * 90_000, "not a URL"),
        ("gopher://127.0.0.1/x", "neither http nor https"),
        ("javascript:alert(1)", "neither http nor https"),
        ("data:image/png;base64,LINKCANARY", "neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
        ("http://", "more than 5 redirects"),
        ("http://127.0.0.1:0/x", "not a URL"),
        ("//[", "not a URL"),
        ("http://" + "x" * 300 + "/", "not a URL"),
    ],
    ids=lambda text: text[:30],
)
def test_where_redirects_lead(location: str, words: str) -> None:
    with HostileServer().on("/d/bad", redirect(location)) as server, source_of(server.url) as source:
        error = file_failure(source)
        assert isinstance(error, PageFailed)
        assert words in error.message
        assert len(server.requests) <= 7


def test_a_location_of_several_lines_is_no_location() -> None:
    lines = redirect("http://127.0.0.1:1/x\r\n\tLINKCANARY\r\nSet-Cookie: LINKCANARY=1")
    with HostileServer().on("/d/bad", lines) as server, source_of(server.url) as source:
        assert isinstance(file_failure(source), PageFailed)
        assert all("cookie" not in request.lower() for request in server.requests)


def test_a_body_of_a_redirect_that_never_ends() -> None:
    with HostileServer().on("/d/x", WHOLE) as server, source_of(server.url) as source:
        server.on("/d/bad", endless(head(302, Location="/d/x")))
        assert fetched(source, "bad") == PICTURE
        for drop in (b"x", b"x" * 100):  # the latter is 5 KiB a second
            server.on("/d/bad", dripping(head(302, Location="/d/x"), drop))
            assert "less than 1 KiB" in file_failure(source).message


def test_redirects_that_each_take_their_time_take_no_longer_together() -> None:
    """Each hop and each resume is within its own time, and they would be 17 times 6."""

    def slow(peer: Peer) -> None:
        time.sleep(0.8 * WINDOW)
        peer.say(redirect("/d/bad"))

    with HostileServer().on("/d/bad", slow) as server, source_of(server.url) as source:
        assert isinstance(failure(lambda: fetched(source, "bad"), longest=8 * WINDOW), PageCut)


# --- what comes beyond the end of an answer --------------------------------------------------------------------------

POISON = b"P" * len(PICTURE)
CHUNKS = b"64\r\n" + PICTURE[:100] + b"\r\n%x\r\n" % (len(PICTURE) - 100) + PICTURE[100:] + b"\r\n0\r\n"


def kept(said: bytes) -> bytes:
    """The answer of a server that keeps the connection."""
    return said.replace(b"Connection: close\r\n", b"")


ANSWERS = {
    "length": kept(WHOLE),
    "1xx": b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + kept(WHOLE),
    "chunks": kept(head(Transfer_Encoding="chunked")) + CHUNKS + b"\r\n",
    "trailers": kept(head(Transfer_Encoding="chunked")) + CHUNKS + b"X-Sum: 1\r\nX-More: 2\r\n\r\n",
}


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("tls", [False, True])
def test_what_comes_beyond_the_end_of_an_answer_is_no_answer(authority: Authority, case: str, *, tls: bool) -> None:
    surplus = saying(ANSWERS[case] + kept(answer(POISON)), Peer.stall)
    server = HostileServer(tls=authority.context("127.0.0.1") if tls else None).on("/d/bad", surplus)
    with server, source_of(server.url) as source:
        assert fetched(source, "bad") == PICTURE
        assert fetched(source, "good") == PICTURE
    assert server.connections == 2


@pytest.mark.parametrize("status", [204, 304, 302, 404])
def test_nor_is_it_beyond_what_has_no_body_or_is_not_read(status: int) -> None:
    bad = kept(head(status, length=None if status in {204, 304} else 0, Location="/d/good"))
    server = HostileServer().on("/d/bad", saying(bad + kept(answer(POISON)), Peer.stall))
    with server, source_of(server.url) as source:
        if status == 302:
            assert fetched(source, "bad") == PICTURE
        else:
            failure(lambda: fetched(source, "bad"))
        assert fetched(source, "good") == PICTURE


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("step", [1, 2, 3, 7, 100, 65536])
def test_the_connection_is_kept_where_nothing_does(case: str, step: int) -> None:
    """However the bytes are cut on their way."""
    said = ANSWERS[case]

    def again_and_again(peer: Peer) -> None:
        for _ in range(3):
            for at in range(0, len(said), step):
                peer.say(said[at : at + step])
            peer.connection.recv(65536)

    with HostileServer().on("/d/bad", again_and_again) as server, source_of(server.url, window=5) as source:
        assert [fetched(source, "bad") for _ in range(3)] == [PICTURE] * 3
    assert server.connections == 1


# --- addresses: 127.0.0.1 stands for a public one, .2 for a private one, .3 for a cloud's metadata -------------------


def ground_of(address: str) -> Ground:
    return {"127.0.0.1": Ground.PUBLIC, "127.0.0.2": Ground.PRIVATE}.get(address, Ground.NEVER)


def looked_up(names: dict[str, list[str]]) -> Callable[..., list[Any]]:
    """A resolver that knows these names too."""

    def getaddrinfo(host: str, port: Any, *rest: Any, **more: Any) -> list[Any]:
        if (known := names.get(host)) is None:
            return _lookup(host, port, *rest, **more)
        return [entry for address in known for entry in _lookup(address, port, *rest, **more)]

    return getaddrinfo


@pytest.fixture
def grounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redirects, "ground_of", ground_of)


@pytest.fixture
def inside() -> Iterator[HostileServer]:
    with HostileServer(host="127.0.0.2").on("/", WHOLE) as server:
        yield server


@pytest.fixture
def metadata() -> Iterator[HostileServer]:
    with HostileServer(host="127.0.0.3").on("/", WHOLE) as server:
        yield server


@pytest.mark.usefixtures("grounds")
def test_a_public_server_does_not_lead_into_a_private_network(
    inside: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", looked_up({"cdn.example": ["127.0.0.2"]}))
    with HostileServer() as server:
        for host in ("cdn.example", "127.0.0.2"):
            server.on("/d/bad", redirect(f"http://{host}:{inside.port}/LINKCANARY"))
            with source_of(server.url) as source:
                error = file_failure(source)
                assert f"{host}:{inside.port}, which is in a private network" in error.message
                assert "allow_private = true" in error.fix
                assert not error.retryable
            assert inside.connections == 0
            with source_of(server.url, allow_private=True) as source:
                assert fetched(source, "bad") == PICTURE
            inside.connections = 0


@pytest.mark.usefixtures("grounds")
def test_a_private_server_does(inside: HostileServer) -> None:
    with HostileServer(host="127.0.0.2") as server, source_of(server.url) as source:
        server.on("/d/bad", redirect(f"{inside.url}/x"))
        assert fetched(source, "bad") == PICTURE


@pytest.mark.usefixtures("grounds")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_nobody_leads_to_the_metadata_of_a_cloud(
    host: str, metadata: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", looked_up({"cdn.example": ["127.0.0.3"]}))
    with HostileServer(host=host) as server:
        for where in ("cdn.example", "127.0.0.3"):
            server.on("/d/bad", redirect(f"http://{where}:{metadata.port}/LINKCANARY"))
            with source_of(server.url, allow_private=True) as source:
                assert f"{where}:{metadata.port}, a link-local or metadata address" in file_failure(source).message
    assert metadata.connections == 0


@pytest.mark.usefixtures("grounds")
def test_a_name_that_means_another_address_a_moment_later(
    metadata: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only look-up is that of the connection, and each connection has its own."""
    answers = ["127.0.0.1", "127.0.0.3", "127.0.0.3"]

    def rebound(host: str, port: Any, *rest: Any, **more: Any) -> list[Any]:
        return _lookup(answers.pop(0) if host == "cdn.example" else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with HostileServer() as server, source_of(server.url) as source:
        server.on("/d/bad", redirect(f"http://cdn.example:{metadata.port}/x"))  # nobody listens there at 127.0.0.1
        assert isinstance(failure(lambda: fetched(source, "bad")), PageFailed)
        assert "a link-local or metadata address" in file_failure(source).message
    assert metadata.connections == 0


@pytest.mark.usefixtures("grounds")
def test_of_several_addresses_only_those_are_connected_to_that_may_be(
    metadata: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer() as drive, HostileServer() as server, source_of(server.url) as source:
        drive.on("/x", WHOLE)
        names = {"cdn.example": ["127.0.0.3", "127.0.0.2", "127.0.0.1"]}
        monkeypatch.setattr(socket, "getaddrinfo", looked_up(names))
        server.on("/d/bad", redirect(f"http://cdn.example:{drive.port}/x"))
        assert fetched(source, "bad") == PICTURE
    assert metadata.connections == 0


@pytest.mark.usefixtures("grounds")
def test_the_last_of_several_redirects_is_judged_like_the_first(inside: HostileServer) -> None:
    with HostileServer() as drive, HostileServer() as server, source_of(server.url) as source:
        drive.on("/x", redirect("/y")).on("/y", redirect(f"{inside.url}/z"))
        server.on("/d/bad", redirect(f"{drive.url}/x"))
        assert "private network" in file_failure(source).message
    assert inside.connections == 0


@pytest.mark.usefixtures("grounds")
def test_behind_a_proxy_names_are_looked_up_once(inside: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"alist.example": ["127.0.0.1"], "cdn.example": ["127.0.0.2"]}
    monkeypatch.setattr(socket, "getaddrinfo", looked_up(names))
    monkeypatch.setenv("no_proxy", "")
    with HostileServer(host="127.0.0.2") as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        proxy.on("http://alist.example/d/bad", redirect("http://cdn.example/x")).on("http://cdn.example/x", WHOLE)
        with source_of("http://alist.example") as source:
            assert "private network" in failure(lambda: fetched(source, "bad")).message
            names["cdn.example"] = ["127.0.0.1"]
            assert fetched(source, "bad") == PICTURE
            assert source.redirect_target(wanted("bad")) == "cdn.example"


@pytest.mark.usefixtures("grounds")
def test_a_run_reports_the_page_and_binds_the_others(inside: HostileServer, tmp_path: Path) -> None:
    world = check_run_with_one_bad_page(
        tmp_path, f"{inside.url}/LINKCANARY?LINKCANARY", "private network", "allow_private"
    )
    assert inside.connections == 0
    assert world.server.count("file", "/comics/Bad/Vol 1/2.png") == 1  # asking again is no use


def test_a_run_with_a_drive_that_drips_in_the_head(tmp_path: Path) -> None:
    with HostileServer().on("/LINKCANARY", HEADS["a head drop by drop"][0]) as drive:
        check_run_with_one_bad_page(tmp_path, f"{drive.url}/LINKCANARY", "less than 1 KiB a second")
