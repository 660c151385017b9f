"""Every recorded answer becomes the right value or the right error."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from tests.adapters.alist.doubles import Server, ok, secret

from pagebind.adapters.alist import Guest, Login, StaticToken
from pagebind.errors import (
    AuthRefused,
    ListingFailed,
    LockedOut,
    PageFailed,
    RefreshRefused,
    ServerUnreachable,
    SignRefused,
    SourceError,
)
from pagebind.ports.source import Account, Download

if TYPE_CHECKING:
    from pagebind.adapters.alist import Credentials

RECORDINGS = Path(__file__).parents[3].parent / "shared" / "alist-recordings"
SERVERS = ("alist-3.45.0", "alist-3.63.0", "openlist-4.2.5")

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no ../shared/alist-recordings here")

Row = dict[str, Any]


def rows(server: str) -> list[Row]:
    file = RECORDINGS / f"{server}.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


ROWS: dict[str, dict[str, Row]] = {server: {row["case"]: row for row in rows(server)} for server in SERVERS}


def cases(*patterns: str) -> list[Any]:
    return [
        pytest.param(server, row, id=f"{case}[{server}]")
        for server in SERVERS
        for case, row in ROWS[server].items()
        if any(re.fullmatch(pattern, case) for pattern in patterns)
    ]


def expanded(row: Row) -> Any:
    """The recorded JSON, with the items that were left out filled in from the first to the last one's number."""
    answer = row["response"]["json"]
    left_out = re.search(r"had (\d+) items", row.get("abridged") or "")
    if left_out:
        content = answer["data"]["content"]
        first = int(content[0]["name"].partition(".")[0])
        full = [{**content[0], "name": f"{number:04}.jpg"} for number in range(first, first + int(left_out[1]))]
        assert full[-1]["name"] == content[-1]["name"]
        answer = {**answer, "data": {**answer["data"], "content": full}}
    return answer


def recorded(row: Row) -> httpx.Response:
    answer = row["response"]
    headers = {k: v for k, v in answer.get("headers", {}).items() if k != "content-length"}
    if "json" in answer:
        return httpx.Response(answer["status"], headers=headers, content=json.dumps(expanded(row)).encode())
    if "text" in answer:
        return httpx.Response(answer["status"], headers=headers, content=answer["text"].encode("latin-1"))
    return httpx.Response(answer["status"], headers=headers, content=file_bytes(row) or b"<html></html>")


def file_bytes(row: Row) -> bytes | None:
    """What the recorded download held, out of the library that was served."""
    answer = row["response"]
    if answer["status"] != 200 or "body_sha256" not in answer or answer["headers"]["content-type"] != "image/jpeg":
        return None
    path = unquote(urlsplit(row["request"]["path"]).path).replace("%25", "%")
    with zipfile.ZipFile(RECORDINGS / "library.zip") as library:
        data = library.read(path.lstrip("/").split("/", 2)[2])
    assert hashlib.sha256(data).hexdigest() == answer["body_sha256"]
    return data


def credentials_of(row: Row) -> Credentials:
    token = (row["request"].get("headers") or {}).get("Authorization")
    if token is None:
        return Guest()
    return Login("bob", secret("bobpw")) if token == "<JWT>" else StaticToken(secret("alist-x"))


# --- listing -----------------------------------------------------------------------------------------------------

REFUSED_LISTS: dict[str, tuple[type[SourceError], str]] = {
    "list-guest-disabled": (AuthRefused, "Guest user is disabled, login please"),
    "list-guest-refresh": (RefreshRefused, "Refresh without permission"),
    "list-base-path-user-refresh": (RefreshRefused, "Refresh without permission"),
    "list-missing-folder": (ListingFailed, "object not found"),
    "list-missing-storage": (ListingFailed, "storage not found; rawPath: /nowhere"),
    "list-a-file": (ListingFailed, "not a folder"),
    "list-dotdot": (ListingFailed, "using relative path is not allowed"),
    "list-base-path-user-escape": (ListingFailed, "using relative path is not allowed"),
    "list-bad-json-type": (ListingFailed, "ReadString: expects"),
    "list-broken-storage": (ListingFailed, "no such file or directory"),
    "list-outer-storage-failed-sub": (ListingFailed, "failed get dir"),
    "list-folder-password-missing": (ListingFailed, "password is incorrect or you have no permission"),
    "list-user-disabled": (AuthRefused, "Password has been changed, login please"),
}


def names_of(row: Row) -> list[str]:
    return sorted(entry["name"] for entry in expanded(row)["data"]["content"] or [])


@pytest.mark.parametrize(("server", "row"), cases("list-.*", "cache-(?!get).*"))
def test_listing(server: str, row: Row) -> None:
    answer = row["response"]["json"]
    double = Server().on("/api/fs/list", recorded(row)).on("/api/auth/login", ok({"token": "jwt"}))
    source = double.source(credentials_of(row))
    body = row["request"]["json"]

    def listed() -> list[str]:
        found = source.list(str(body["path"]), password=body.get("password", ""), refresh=body.get("refresh", False))
        return sorted(entry.name for entry in found)

    if row["case"] == "list-after-logout-other-session" and answer["code"] == 401:
        with pytest.raises(AuthRefused, match="session inactive"):
            listed()
        assert double.count("/api/auth/login") == 2  # the first one, and the one new
    elif answer["code"] != 200:
        kind, words = REFUSED_LISTS[row["case"]]
        with pytest.raises(SourceError, match=re.escape(words)) as caught:
            listed()
        assert type(caught.value) is kind
        assert caught.value.fix
    elif len(names_of(row)) == answer["data"]["total"]:
        assert listed() == names_of(row)
    else:  # one page out of several, given again and again
        assert row["case"].startswith(("list-450", "cache-page-2"))
        with pytest.raises(ListingFailed, match=f"says that it holds {answer['data']['total']} entries, and gave"):
            listed()


@pytest.mark.parametrize("server", SERVERS)
def test_450_files_over_three_pages(server: str) -> None:
    pages = [recorded(ROWS[server][f"list-450-page-{n}-of-200"]) for n in (1, 2, 3, 4)]
    double = Server().on("/api/fs/list", list(pages))
    found = double.source().list("/comics/Long/Vol 1")
    assert sorted(entry.name for entry in found) == [f"{n:04}.jpg" for n in range(1, 451)]
    assert double.bodies("/api/fs/list") == [
        ROWS[server][f"list-450-page-{n}-of-200"]["request"]["json"] for n in (1, 2, 3)
    ]


@pytest.mark.parametrize("server", SERVERS)
def test_fields_of_an_item(server: str) -> None:
    row = ROWS[server]["list-volume"]
    entry = row["response"]["json"]["data"]["content"][0]
    found = {e.name: e for e in Server().on("/api/fs/list", recorded(row)).source().list("/comics/One Piece/Vol 01")}
    item = found["001.jpg"]
    assert (item.size, item.is_dir, item.modified, item.sign) == (1321, False, entry["modified"], entry["sign"])
    assert item.hash_info is None


# --- the account, the server, its drives --------------------------------------------------------------------------

ACCOUNTS: dict[str, Account | str] = {
    "me-static-token": Account("admin", "/", admin=True, guest=False),
    "me-jwt": Account("admin", "/", admin=True, guest=False),
    "me-guest-enabled": Account("guest", "/", admin=False, guest=True),
    "me-base-path-user": Account("bob", "/comics/One Piece", admin=False, guest=False),
    "me-guest": "Guest user is disabled, login please",
    "me-bearer": "token is invalidated",
    "me-malformed-token": "token is invalidated",
    "me-malformed-jwt": "token is invalidated",
    "me-after-logout": "token is invalidated",
}


@pytest.mark.parametrize(("server", "row"), cases("me-.*"))
def test_account(server: str, row: Row) -> None:
    double = Server().on("/api/me", recorded(row)).on("/api/auth/login", ok({"token": "jwt"}))
    expected = ACCOUNTS[row["case"]]
    source = double.source(credentials_of(row))
    if isinstance(expected, Account):
        assert source.account() == expected
    else:
        with pytest.raises(AuthRefused, match=expected):
            source.account()


@pytest.mark.parametrize(
    ("server", "kind", "version"),
    [
        ("alist-3.45.0", "alist", "v3.45.0"),
        ("alist-3.63.0", "alist", "v3.63.0"),
        ("openlist-4.2.5", "openlist", "v4.2.5"),
    ],
)
def test_server(server: str, kind: str, version: str) -> None:
    info = Server().on("/api/public/settings", recorded(ROWS[server]["public-settings"])).source().server()
    assert (info.kind, info.version) == (kind, version)


@pytest.mark.parametrize(("server", "row"), cases("unknown-api-path.*"))
def test_html_where_json_belongs(server: str, row: Row) -> None:
    with pytest.raises(ServerUnreachable, match="text/html") as caught:
        Server().on("/api/", recorded(row)).source().server()
    assert "is this an Alist or OpenList server?" in caught.value.fix


@pytest.mark.parametrize(("server", "row"), cases("storages-.*"))
def test_drives(server: str, row: Row) -> None:
    double = Server().on("/api/admin/storage/list", recorded(row)).on("/api/auth/login", ok({"token": "jwt"}))
    drives = double.source(credentials_of(row)).drives()
    if row["case"] in {"storages-as-user", "storages-as-guest"}:
        assert drives is None
        return
    assert drives is not None
    statuses = {drive.mount_path: drive.status for drive in drives}
    assert statuses["/comics"] == "work"
    if row["case"] == "storages-one-broken":
        assert statuses["/broken"] == "root folder <DIR>/not-there not exists"


# --- logins -------------------------------------------------------------------------------------------------------

LOGIN_FIXES = {
    400: "check [source] username and password",
    401: "check [source] username and password",
    402: "otp_secret",
}


@pytest.mark.parametrize(("server", "row"), cases("login-.*", "lockout-.*"))
def test_login(server: str, row: Row) -> None:
    answer = row["response"]["json"]
    double = Server().on("/api/auth/login", recorded(row))
    source = double.source(Login("admin", secret("adminpw")))
    if answer["code"] == 200:
        assert source.account().username == "admin"
        assert [request.headers.get("Authorization") for request in double.requests] == [None, "<JWT>"]
        return
    with pytest.raises(AuthRefused, match=re.escape(answer["message"])) as caught:
        source.account()
    assert type(caught.value) is (LockedOut if answer["code"] == 429 else AuthRefused)
    assert LOGIN_FIXES.get(answer["code"], "wait 5 minutes") in caught.value.fix
    assert double.count("/api/auth/login") == 1


# --- files --------------------------------------------------------------------------------------------------------

REFUSED_FILES: dict[str, tuple[type[PageFailed], str]] = {
    "d-no-sign": (SignRefused, "expire missing"),
    "d-no-sign-with-token": (SignRefused, "expire missing"),
    "d-empty-sign": (SignRefused, "expire missing"),
    "d-wrong-sign": (SignRefused, "sign invalid"),
    "d-sign-of-another": (SignRefused, "sign invalid"),
    "d-sign-expired": (SignRefused, "sign expired"),
    "d-percent-encoded-once": (SignRefused, "sign invalid"),
    "d-percent-encoded-twice": (SignRefused, "sign invalid"),
    "d-missing-file": (PageFailed, "object not found"),
    "d-folder": (PageFailed, "not a file"),
    "d-missing-storage": (PageFailed, "storage not found"),
    "p-remote": (PageFailed, "proxy not allowed"),
}
WHOLE_FILES = ("d-ok", "d-cjk", "d-zero.jpg", "d-fake.jpg", "d-signing-off-no-sign", "d-percent-encoded-.*")


def wanted(row: Row, size: int) -> Download:
    return Download(path="/comics/One Piece/Vol 01/001.jpg", sign="s:0", size=size)


@pytest.mark.parametrize(("server", "row"), cases(*WHOLE_FILES, *REFUSED_FILES))
def test_file(server: str, row: Row) -> None:
    double = Server().on("/d/", recorded(row)).on("/api/fs/get", ok({"sign": "fresh:0"}))
    source = double.source()
    answer = row["response"]
    good = answer["status"] == 200 and answer["headers"]["content-type"] == "image/jpeg"
    if good:
        data = b"".join(source.download(wanted(row, answer["body_bytes"])))
        assert data == (file_bytes(row) or b"")
        return
    kind, words = REFUSED_FILES[row["case"]]
    with pytest.raises(PageFailed, match=words if "json" in answer else f"HTTP {answer['status']}") as caught:
        list(source.download(wanted(row, 1321)))
    assert type(caught.value) is kind
    assert double.count("/api/fs/get") == (1 if kind is SignRefused else 0)
    assert double.count("/d/") == (2 if kind is SignRefused else 1)


@pytest.mark.parametrize(("server", "row"), cases("d-percent-encoded-.*", "d-ok", "d-cjk"))
def test_links_are_those_that_work(server: str, row: Row) -> None:
    """The client's own link for the file is byte for byte the recorded one that was answered with the file."""
    if row["response"]["headers"]["content-type"] != "image/jpeg":
        return
    target = row["request"]["path"]
    file, _, sign = target.partition("?sign=")
    double = Server().on("/d/", recorded(row)).on("/api/public/settings", recorded(ROWS[server]["public-settings"]))
    path = unquote(file.removeprefix("/d"))
    path = unquote(path) if row["case"].endswith("twice") else path
    assert list(double.source().download(Download(path=path, sign=sign, size=row["response"]["body_bytes"])))
    assert [r.url.raw_path.decode() for r in double.requests if r.url.raw_path.startswith(b"/d")] == [target]
    assert double.count("/api/public/settings") == ("%" in path)


@pytest.mark.parametrize(("server", "row"), cases("d-redirect.*"))
def test_redirect_target(server: str, row: Row) -> None:
    answer = row["response"]
    headers = {"location": answer["headers"]["location"].replace("<OTHER-HOST>", "other.example:5244")}
    double = Server().on("/d/", httpx.Response(302, headers=headers))
    double.on("other.example", httpx.Response(200, headers={"content-type": "image/jpeg"}, content=b"jpeg"))
    source = double.source()
    assert source.redirect_target(wanted(row, 4)) == "other.example:5244"
    assert b"".join(source.download(wanted(row, 4))) == b"jpeg"


GETS: dict[str, str] = {
    "get-guest-disabled": "Guest user is disabled",
    "get-missing": "object not found",
    "cache-get-gone": "object not found",
}


@pytest.mark.parametrize(("server", "row"), cases("get-.*", "cache-get-gone"))
def test_fresh_sign(server: str, row: Row) -> None:
    refusal = recorded(ROWS[server]["d-sign-expired"])
    file = httpx.Response(200, headers={"content-type": "image/jpeg"}, content=b"jpeg")
    double = (
        Server().on("/d/", [refusal, file]).on("/api/fs/get", recorded(row)).on("/api/auth/login", ok({"token": "j"}))
    )
    source = double.source(credentials_of(row))
    answer = row["response"]["json"]
    if answer["code"] != 200:
        with pytest.raises(AuthRefused if answer["code"] == 401 else PageFailed, match=GETS[row["case"]]):
            list(source.download(wanted(row, 4)))
        return
    assert b"".join(source.download(wanted(row, 4))) == b"jpeg"
    assert [r.url.params.get("sign", "") for r in double.requests if r.url.path.startswith("/d/")] == [
        "s:0",
        answer["data"]["sign"],
    ]


SEEN_ELSEWHERE = (
    "ping|logout|dirs.*",  # not asked by this client
    "d-head|d-range.*|d-if-none-match|d-double-slash|p-ok-or-refused",  # answers that the transfer tests cover
)
COVERED = (
    "list-.*",
    "cache-.*",
    "me-.*",
    "public-settings",
    "unknown-api-path.*",
    "storages-.*",
    "login-.*",
    "lockout-.*",
)


def test_no_recorded_case_is_forgotten() -> None:
    known = (*SEEN_ELSEWHERE, *COVERED, *WHOLE_FILES, *REFUSED_FILES, "d-redirect.*", "get-.*")
    forgotten = {
        case for server in SERVERS for case in ROWS[server] if not any(re.fullmatch(pattern, case) for pattern in known)
    }
    assert forgotten == set()
