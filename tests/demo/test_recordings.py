"""The demo server answers every recorded request as the real servers did."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import urllib.parse
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pagebind.demo.accounts import User, totp
from pagebind.demo.drives import RemoteDrive
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared" / "alist-recordings"
FILES = {"alist-3.45": "alist-3.45.0.jsonl", "alist-3.63": "alist-3.63.0.jsonl", "openlist-4.2": "openlist-4.2.5.jsonl"}
ROWS = {"alist-3.45": 108, "alist-3.63": 121, "openlist-4.2": 121}
NOT_REPLAYED: dict[str, str] = {}  # case: reason

FILE_TIME = 1795317058  # 2026-11-22T03:10:58Z: ETag and Last-Modified then are the recorded ones
OTP_SECRET = "JBSWY3DPEHPK3PXP"
EXPIRED = 1600000000
CJK = "深夜食堂/第1巻"

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of real servers (../shared/alist-recordings) are not here"
)


def rows(dialect: str) -> list[dict[str, Any]]:
    lines = (RECORDINGS / FILES[dialect]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@dataclass
class Stage:
    """The server under test and all around it that the recorded requests speak of."""

    server: DemoServer
    other: DemoServer
    root: Path  # <ROOT>
    directory: Path  # <DIR>
    now: list[float]
    signed: dict[str, str]  # recorded sign: path
    tokens: dict[str, str] = field(default_factory=dict)  # who: JWT

    def login(self, who: str, password: str) -> str:
        body = {"username": who, "password": password}
        return str(self.server.accounts.login(body, "127.0.0.1", "replay", hashed=False)["token"])


def mtimes(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (FILE_TIME, FILE_TIME))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    with zipfile.ZipFile(RECORDINGS / "library.zip") as archive:
        archive.extractall(folder)
    mtimes(folder)
    return folder


@pytest.fixture
def stage(dialect: str, library: Path, tmp_path: Path) -> Iterator[Stage]:
    now = [float(FILE_TIME)]
    bob = User("bob", "bobpw", base_path="/comics/One Piece", number=3)
    with (
        DemoServer({"/comics": library}, dialect="alist-3.45", guest=True) as other,
        DemoServer({"/comics": library}, dialect=dialect, users=[bob], clock=lambda: now[0]) as server,
    ):
        yield Stage(server, other, library, tmp_path, now, recorded_signs(rows(dialect)))


def recorded_signs(recorded: list[dict[str, Any]]) -> dict[str, str]:
    """Which path each recorded sign belongs to, by the listings it stands in."""
    signs: dict[str, str] = {}
    for row in recorded:
        data = (row["response"].get("json") or {}).get("data")
        if row["request"]["path"] != "/api/fs/list" or not isinstance(data, dict):
            continue
        base = "/comics/One Piece" if "base-path" in row["case"] or "password" in row["case"] else ""
        folder = f"{base}/{row['request']['json']['path'].strip('/')}".rstrip("/")
        for item in data["content"] or []:
            if item["sign"]:
                signs[item["sign"]] = f"{folder}/{item['name']}"
    return signs


# What happened on the real server just before a row was recorded, as the notes beside the rows tell.


def guest_on(stage: Stage) -> None:
    stage.server.set_guest(True)


def guest_off(stage: Stage) -> None:
    stage.server.set_guest(False)


def mount_broken(stage: Stage) -> None:
    stage.server.mount("/broken", stage.directory / "not-there")


def mount_gone(stage: Stage) -> None:
    (stage.directory / "gone" / "sub").mkdir(parents=True)
    (stage.directory / "gone" / "a.jpg").write_bytes(b"x")
    (stage.directory / "inner").mkdir()
    stage.server.mount("/gone", stage.directory / "gone")
    stage.server.mount("/gone/inner", stage.directory / "inner")


def lose_gone(stage: Stage) -> None:
    shutil.rmtree(stage.directory / "gone")


def folder_password(stage: Stage) -> None:
    stage.server.set_folder_password("/comics/One Piece/Vol 02", "sesame")


def disable_bob(stage: Stage) -> None:
    stage.server.disable_user("bob")
    stage.server.accounts.change_password("bob", "bobpw")


def two_sessions(stage: Stage) -> None:
    stage.tokens = {"first": stage.login("admin", "adminpw"), "second": stage.login("admin", "adminpw")}


def otp_on(stage: Stage) -> None:
    stage.server.accounts["admin"].otp_secret = OTP_SECRET


def otp_off(stage: Stage) -> None:
    stage.server.accounts["admin"].otp_secret = ""


def signing_off(stage: Stage) -> None:
    stage.server.listings.sign_all = False


def mount_remote(stage: Stage) -> None:
    stage.server.listings.sign_all = True
    drive = RemoteDrive(url=stage.other.url, token=stage.other.token, folder="/comics")
    stage.server.mount("/remote", drive)


def add_fourth_page(stage: Stage) -> None:
    shutil.copy(stage.root / CJK / "01.jpg", stage.root / CJK / "04.jpg")


def remove_fourth_page(stage: Stage) -> None:
    (stage.root / CJK / "04.jpg").unlink()


BEFORE: dict[str, Callable[[Stage], None]] = {
    "list-guest-enabled": guest_on,
    "list-root": guest_off,
    "storages-one-broken": mount_broken,
    "list-outer-storage-works": mount_gone,
    "list-outer-storage-failed": lose_gone,
    "list-folder-password-missing": folder_password,
    "list-user-disabled": disable_bob,
    "logout": two_sessions,
    "login-otp-missing": otp_on,
    "list-signing-off": signing_off,
    "lockout-attempt-1": otp_off,
    "list-remote-volume": mount_remote,
    "cache-stale": add_fourth_page,
    "cache-still-there": remove_fourth_page,
}

# Whose JWT a request carried; all others carry the static token or none.
JWT = {
    "me-jwt": "login-ok",
    "logout": "first",
    "me-after-logout": "first",
    "list-after-logout-other-session": "second",
}


def ask(stage: Stage, row: dict[str, Any]) -> tuple[http.client.HTTPResponse, bytes]:
    """Send the recorded request, its placeholders filled in."""
    request = row["request"]
    headers = {name: fill(stage, row, value) for name, value in request.get("headers", {}).items()}
    body = None
    if "json" in request:
        body = fill(stage, row, json.dumps(request["json"], ensure_ascii=False, separators=(",", ":"))).encode()
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(stage.server.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(request["method"], resigned(stage, row), body, headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def fill(stage: Stage, row: dict[str, Any], text: str) -> str:
    text = text.replace("<STATIC-TOKEN>", stage.server.token)
    text = text.replace("<CURRENT-CODE>", totp(OTP_SECRET, stage.now[0]))
    if "<JWT>" not in text:
        return text
    if row["case"] == "me-malformed-jwt":
        return "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"
    return text.replace("<JWT>", stage.tokens[JWT.get(row["case"], "login-base-path-user")])


def resigned(stage: Stage, row: dict[str, Any]) -> str:
    """The path with the sign that this server gives where the recorded one gave that."""
    path, found, sign = row["request"]["path"].partition("?sign=")
    if not found or not sign or sign.startswith("AAAA"):
        return str(row["request"]["path"])
    about = stage.signed.get(sign, urllib.parse.unquote(path[2:]))
    return f"{path}?sign={stage.server.signs.sign(about, EXPIRED if sign.endswith(str(EXPIRED)) else None)}"


SIGN = re.compile(r"[A-Za-z0-9_-]{43}=:\d+")
VOLATILE = {"modified", "created", "token", "device_key"}


def normal(value: Any, stage: Stage) -> Any:
    """The one place where what differs from server to server becomes the same."""
    if isinstance(value, dict):
        return {key: f"<{key}>" if key in VOLATILE and one else normal(one, stage) for key, one in value.items()}
    if isinstance(value, list):
        return [normal(one, stage) for one in value]
    if not isinstance(value, str):
        return value
    host, other = (server.url.removeprefix("http://") for server in (stage.server, stage.other))
    folders = [(str(stage.root), "<ROOT>"), (str(stage.directory), "<DIR>")]
    for real, placeholder in [(host, "<HOST>"), (other, "<OTHER-HOST>"), *folders]:
        value = value.replace(real, placeholder)
    return SIGN.sub("<SIGN>", value)


def abridged(row: dict[str, Any], answered: Any) -> Any:
    """What is left of the answer after the cuts that were made to the recorded one."""
    note = row.get("abridged", "")
    if note.startswith("content had"):
        content = answered["data"]["content"]
        assert len(content) == int(note.split()[2]), "items on the page"
        answered["data"]["content"] = [*content[:2], content[-1]]
    elif note == "data has more keys":
        wanted = row["response"]["json"]["data"]
        answered["data"] = {key: one for key, one in answered["data"].items() if key in wanted}
    return answered


# Beside JSON, the length of a redirect depends on the host's name.
def length_matters(row: dict[str, Any]) -> bool:
    return "json" not in row["response"] and row["response"]["status"] != 302


def differences(row: dict[str, Any], response: http.client.HTTPResponse, body: bytes, stage: Stage) -> list[str]:
    wanted = row["response"]
    found: list[tuple[str, Any, Any]] = [("status", wanted["status"], response.status)]
    for name, value in wanted["headers"].items():
        if name != "content-length" or length_matters(row):
            answered = normal(response.headers.get(name), stage)
            found.append((name, normal(value, stage), answered))
    if "json" in wanted:
        answered = abridged(row, json.loads(body))
        found.append(("json", normal(wanted["json"], stage), normal(answered, stage)))
    elif length_matters(row) and "body_bytes" in wanted:
        found.append(("bytes", wanted["body_bytes"], len(body)))
    if "body_sha256" in wanted:
        found.append(("sha256", wanted["body_sha256"], hashlib.sha256(body).hexdigest()))
    return [f"{what}:\n  wanted {one}\n  found  {other}" for what, one, other in found if one != other]


def remember_token(stage: Stage, row: dict[str, Any], body: bytes) -> None:
    if row["case"].startswith("login") and (data := json.loads(body)["data"]):
        stage.tokens[row["case"]] = data["token"]


@pytest.mark.parametrize("dialect", FILES)
def test_every_recorded_request_is_answered_as_recorded(dialect: str, stage: Stage) -> None:
    replayed = 0
    failures = []
    for row in rows(dialect):
        if row["case"] in NOT_REPLAYED:
            continue
        if row["case"] in BEFORE:
            BEFORE[row["case"]](stage)
        response, body = ask(stage, row)
        remember_token(stage, row, body)
        replayed += 1
        failures += [f"{row['case']}: {one}" for one in differences(row, response, body, stage)]
    assert not failures, f"{len(failures)} differences\n" + "\n".join(failures)
    assert replayed == ROWS[dialect] - len(NOT_REPLAYED)


@pytest.mark.parametrize("dialect", ["alist-3.63"])
def test_a_cached_listing_is_made_anew_after_half_an_hour(dialect: str, stage: Stage) -> None:
    mount_remote(stage)
    asked = {"path": f"/remote/{CJK}", "page": 1, "per_page": 200}
    headers = {"Authorization": "<STATIC-TOKEN>"}
    row = {"case": "", "request": {"method": "POST", "path": "/api/fs/list", "json": asked, "headers": headers}}
    totals = []
    for seconds in (0, 29 * 60, 2 * 60):
        stage.now[0] += seconds
        totals.append(json.loads(ask(stage, row)[1])["data"]["total"])
        if seconds == 0:
            add_fourth_page(stage)
    assert totals == [3, 3, 4]
