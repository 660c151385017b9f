"""The command on real object stores: a configuration in a bucket, and what doctor says of rights."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.cli.command import Answer, Home, call, end, until

from pagebind import wiring
from pagebind.config import parse
from pagebind.demo.store_proxy import Fault

if TYPE_CHECKING:
    from pagebind.demo.object_stores import S3Server
    from pagebind.demo.store_calls import Call
    from pagebind.demo.store_proxy import StoreProxy
    from pagebind.ports.store import Store

SOON = 5.0


class Place(NamedTuple):
    """A prefix of a bucket of the test's own, and the lines of ``[store]`` that lead there."""

    url: str
    lines: str

    def configure(self, home: Home) -> str:
        """Let the home keep everything there. Returns the text of the configuration."""
        home.configure(store=self.url)
        text = home.config.read_text().replace("[bind]", f"{self.lines}[bind]")
        home.config.write_text(text)
        return text

    def work(self, home: Home) -> Store:
        return wiring.stores(parse(self.configure(home), {}, "x"))[0]


@pytest.fixture
def google(gcs_bucket: str) -> Place:
    return Place(f"gs://{gcs_bucket}/some where", "")


@pytest.fixture
def s3(s3_bucket: str, s3_proxy: StoreProxy, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("PAGEBIND_STORE_ENDPOINT", s3_proxy.url)
    return Place(f"s3://{s3_bucket}/some where", f'endpoint = "{s3_proxy.url}"\n')


@pytest.fixture(params=["google", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    """One of each kind."""
    found: Place = request.getfixturevalue(request.param)
    return found


def plan(url: str) -> Answer:
    return call("plan", "--config", url)


def test_a_configuration_in_a_bucket(home: Home, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    text = place.configure(home)
    place.work(home).put("conf/pagebind.toml", text.encode())
    answer = plan(f"{place.url}/conf/pagebind.toml")
    assert (answer.status, answer.err) == (0, "")
    assert "A/Vol 1" in answer.out
    monkeypatch.setenv("PAGEBIND_CONFIG", f"{place.url}/conf/pagebind.toml")
    assert call("plan").status == 0


def test_a_configuration_in_a_bucket_that_cannot_be_read(home: Home, place: Place) -> None:
    work = place.work(home)
    answer = plan(f"{place.url}/none.toml")
    assert answer.status == 2
    assert f"there is no object {place.url}/none.toml" in answer.line
    work.put("latin.toml", b"# \xe4")
    answer = plan(f"{place.url}/latin.toml")
    assert answer.status == 2
    assert "latin.toml is not UTF-8 text (byte 3)" in answer.line
    work.put("bad.toml", b"[source]\nurl = x\n")
    answer = plan(f"{place.url}/bad.toml")
    assert answer.status == 2
    assert f"{place.url}/bad.toml is not valid TOML: " in answer.line


def test_a_configuration_in_no_bucket(s3: Place) -> None:
    answer = plan("s3://nobodys-bucket/pagebind.toml")
    assert answer.status == 2
    assert "nobodys-bucket" in answer.line
    assert "[store]" not in answer.line
    assert "in the URL, PAGEBIND_STORE_ENDPOINT" in answer.line


def test_a_configuration_on_no_server(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEBIND_STORE_ENDPOINT", "http://127.0.0.1:9")
    answer = plan("s3://some-bucket/pagebind.toml")
    assert answer.status == 1
    assert "s3://some-bucket/pagebind.toml cannot be read" in answer.line
    assert "[store]" not in answer.line
    assert "PAGEBIND_STORE_ENDPOINT" in answer.line


@pytest.mark.parametrize(("answered", "name"), [("eu-west-1", "PAGEBIND_STORE_REGION=eu-west-1"), ("", "_REGION")])
def test_a_configuration_in_another_region(s3: Place, s3_proxy: StoreProxy, answered: str, name: str) -> None:
    said = f"<Error><Code>AuthorizationHeaderMalformed</Code><Region>{answered}</Region></Error>"
    s3_proxy.on_call = lambda _: Fault(status=400, content=said.encode())
    answer = plan(f"{s3.url}/pagebind.toml")
    assert answer.status == 2
    assert "[store]" not in answer.line
    assert name in answer.line


def checks(home: Home) -> list[tuple[str, str, str]]:
    """Name, status and fix of the lines about the stores."""
    found = home.call("doctor", "--json").document["checks"]
    return [(one["name"], one["status"], one["fix"]) for one in found if one["name"] in ("store", "library")]


def test_doctor_has_one_good_line_for_each_store_and_leaves_nothing(home: Home, place: Place) -> None:
    work = place.work(home)
    found = checks(home)
    assert [line[:2] for line in found if line[1] != "warn"] == [("store", "ok"), ("library", "ok")]
    assert [*work.list()] == []


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("objects.insert", "storage.objects.create"),
        ("objects.compose", "storage.objects.create"),
        ("objects.rewrite", "storage.objects.create"),
        ("objects.list", "storage.objects.list"),
        ("objects.get", "storage.objects.get"),
        ("objects.get_media", "storage.objects.get"),
        ("objects.delete", "storage.objects.delete"),
    ],
)
def test_doctor_names_the_right_that_is_missing_on_google(
    home: Home, google: Place, gcs_proxy: StoreProxy, operation: str, permission: str
) -> None:
    google.configure(home)

    def deny(call: Call) -> Fault | None:
        return Fault(status=403) if call.operation == operation else None

    gcs_proxy.on_call = deny
    fixes = {fix for _, status, fix in checks(home) if status == "fail"}
    left = "remove what doctor has left there"
    assert (left in fixes) == (operation == "objects.delete")
    (named,) = fixes - {left}
    assert named.startswith(f"grant {permission} on the bucket {google.url.split('/')[2]} to this account")


def test_doctor_names_each_right_that_is_missing(
    home: Home, s3: Place, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.configure(home)
    for name, value in s3_server.reader_environment().items():
        monkeypatch.setenv(name, value)
    found = checks(home)
    fixes = [fix.split()[3] for _, status, fix in found if status == "fail"]
    assert sorted(fixes) == ["s3:DeleteObject", "s3:PutObject"]


@pytest.mark.parametrize("missing", ["url", "library", "both"])
def test_doctor_sees_a_missing_bucket_and_does_not_make_it(
    home: Home, place: Place, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    place.configure(home)
    kind, nowhere = place.url[:2], f"nobodys-{uuid.uuid4().hex[:12]}"
    if missing != "library":
        monkeypatch.setenv("PAGEBIND_STORE_URL", f"{kind}://{nowhere}/work")
    monkeypatch.setenv("PAGEBIND_STORE_LIBRARY", f"{place.url if missing == 'url' else f'{kind}://{nowhere}'}/books")
    for _ in range(2):
        failed = [name for name, status, _ in checks(home) if status == "fail"]
        assert failed == ["library" if missing == "library" else "store"]
    assert nowhere in home.call("doctor").out
    assert home.call("run").status == 1


def test_doctor_stops_at_refused_credentials(home: Home, s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.configure(home)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    ((name, status, fix),) = checks(home)
    assert (name, status) == ("store", "fail")
    assert "check the secret key" in fix


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_doctor_at_the_wrong_server_has_one_line_for_the_stores(
    home: Home, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that it is sent to is that of the comics."""
    if kind == "gs":
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", home.server.url)
    else:
        monkeypatch.setenv("PAGEBIND_STORE_ENDPOINT", home.server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    home.configure(store=f"{kind}://some-bucket")
    ((name, status, fix),) = checks(home)
    assert (name, status) == ("store", "fail")
    assert fix


@pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")
@pytest.mark.parametrize(("operation", "folder"), [("ListObjectsV2", ""), ("GetObject", "/staging/")])
def test_a_signal_ends_a_run_soon_while_the_store_hangs(
    home: Home, s3: Place, s3_proxy: StoreProxy, operation: str, folder: str
) -> None:
    """Of the parts of a book, pools of threads wait for an answer that does not come."""
    s3.configure(home)
    asked, go_on = threading.Event(), threading.Event()

    def hang(call: Call) -> None:
        if call.operation == operation and folder in call.key:
            asked.set()
            go_on.wait(60)

    s3_proxy.on_call = hang
    try:
        process = home.spawn("run", "--json")
        until(asked.is_set)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        answer = end(process)
        assert time.monotonic() - begun < SOON
    finally:
        go_on.set()
    assert answer.status == 143
    assert answer.err == ""
    assert answer.document["bound"] == []
