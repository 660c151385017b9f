"""No secret comes out: everything is run with canaries in place of secrets, and searched for them."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import stamina
from tests.cli.command import Answer, call, end, spawn
from tests.faults.canaries import Canary, Sink, all_records, canary, of_folder, of_text, search
from tests.faults.telltale import ANSWERS, AS_SAID, FORMS, Telltale
from tests.support.logging_state import kept_logging
from tests.support.receiver import Receiver

from pagebind.adapters.alist import AlistSource
from pagebind.adapters.clock import SystemClock
from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.adapters.stores.folder import FolderStore
from pagebind.cli.session import WRONG_USE
from pagebind.config import template
from pagebind.core.model import Item
from pagebind.demo.accounts import User
from pagebind.demo.pictures import png
from pagebind.ports.dispatch import FetchTask
from pagebind.ports.source import Download
from pagebind.wiring import build, read_configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import NoReturn

    from pagebind.demo.store_proxy import StoreProxy

pytest.importorskip("apprise")

_SHOWN, _MOST = 400, 6
OTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPKR2WC3TB"


@dataclass
class Aviary:
    """A machine full of canaries: a server that tells, a drive behind it, people and a reader that are told of books.

    Attributes:
        home: all files of the runs are below it, also temporary ones.
        sinks: what came out so far.
        given: the secrets, but for those that the servers make.
    """

    home: Path
    server: Telltale
    drive: Telltale
    receiver: Receiver
    given: dict[str, Canary]
    sinks: list[Sink] = field(default_factory=list)

    def configure(self, *, login: bool) -> None:
        """Write the configuration: with the account, or with the token."""
        account = {
            "source.token": None,
            "source.username": "reader",
            "source.password": "env:PASSWORD",
            "source.otp_secret": "env:OTP",
        }
        values = {
            **(account if login else {"source.token": "env:TOKEN"}),
            "source.url": self.server.url,
            "source.list_per_second": 0,
            "source.read_timeout": "2s",
            "source.headers": {"Cookie": f"session={self.given['cookie'].value}"},
            "bind.settle": "0s",
            "notify.urls": ["env:NOTIFIER"],
            "subscription.path": "/comics",
            "subscription.password": "env:FOLDER_PASSWORD",
        }
        hook = (
            f'[[hook]]\nurl = "{self.receiver.url}/scan?apiKey={self.given["hook address"].value}"\n'
            'debounce = "0s"\nheaders = { X-API-Key = "env:HOOK_KEY" }\n'
        )
        self.config.write_text(template((self.home / "store").as_uri(), values) + hook, encoding="utf-8")

    @property
    def config(self) -> Path:
        return self.home / "pagebind.toml"

    def call(self, command: str, *words: str) -> Answer:
        """Call the command, with all that it logs and as JSON, and keep what it says."""
        answer = call(command, "--config", self.config, "-vv", "--json", *words)
        self.keep(command, answer)
        return answer

    def keep(self, what: str, answer: Answer) -> None:
        self.sinks += [of_text(f"{what}: standard output", answer.out), of_text(f"{what}: standard error", answer.err)]

    def volume(self, name: str) -> None:
        """A folder of two pages."""
        for number in (1, 2):
            file = self.home / "comics" / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(f"{name} {number}"))

    def canaries(self) -> list[Canary]:
        """All secrets there are by now, those that the servers made as well."""
        names = [file.relative_to(self.home / "comics").as_posix() for file in (self.home / "comics").rglob("*.png")]
        signs = [self.server.signs.sign(f"/comics/{name}") for name in names]
        signs += [self.drive.signs.sign(f"/drive/{name}") for name in names]
        logins = [Canary("login", token) for token in self.server.accounts._sessions]
        return [*self.given.values(), *(Canary("sign", sign) for sign in signs), *logins]

    def check(self) -> None:
        """Nothing came out, on none of all ways. The configuration is the one place where some stand."""
        folders = [self.home / name for name in ("store", "temporary", "state")]
        files = [sink for folder in folders if folder.exists() for sink in of_folder(folder)]
        found = search(self.canaries(), [*self.sinks, *files])
        shown = {one.name: one.content for one in [*self.sinks, *files]}
        told = (f"{one.kind} in {one.where}: {shown.get(one.where, b'')[:_SHOWN]!r}" for one in found)
        assert not found, "\n".join([*told][:_MOST])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What fails is tried again at once."""
    defaults = LocalDispatch.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "backoff", 0.0)
    monkeypatch.setattr(SystemClock, "wait", lambda *_: None)
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None) -> Iterator[Aviary]:
    given = {
        "token": canary("token"),
        "password": canary("password", '+/&"é\\'),
        "otp secret": Canary("otp secret", OTP),
        "folder password": canary("folder password", '+/&"é<'),
        "notifier": canary("notifier", ""),
        "hook address": canary("hook address", "%2B"),
        "hook key": canary("hook key", '+/&"'),
        "cookie": canary("cookie", '+/&"'),
        "link": canary("link", "%2B%26"),
    }
    for folder in ("comics", "temporary", "state"):
        (tmp_path / folder).mkdir()
    for name in [name for name in os.environ if name.startswith(("PAGEBIND_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    drive = Telltale({"/drive": tmp_path / "comics"})
    server = Telltale({"/comics": tmp_path / "comics"}, token=given["token"].value)

    def elsewhere(path: str) -> str:
        """Where the drive has it, by a link that is as good as a password."""
        name = path.removeprefix("/d/comics")
        sign, key = drive.signs.sign(f"/drive{name}"), given["link"].value
        return f"{drive.url}/d/drive{name}?sign={sign}&X-Signature={key}" if name.startswith("/Away") else ""

    server.elsewhere = elsewhere
    server.accounts.add(User("reader", given["password"].value, otp_secret=OTP))
    server.set_folder_password("/comics", given["folder password"].value)
    with Receiver() as receiver, drive, server, kept_logging(), all_records() as records:
        variables = {
            "TOKEN": given["token"].value,
            "PASSWORD": given["password"].value,
            "OTP": OTP,
            "FOLDER_PASSWORD": given["folder password"].value,
            "NOTIFIER": receiver.address(f"/notify/{given['notifier'].value}?-key={given['notifier'].value}"),
            "HOOK_KEY": given["hook key"].value,
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "HOME": str(tmp_path / "state"),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        aviary = Aviary(tmp_path, server, drive, receiver, given, records.sinks)
        aviary.configure(login=True)
        for name in ("Here/1", "Away/1"):
            aviary.volume(name)
        yield aviary


COMMANDS = (
    ("init", "--force"),
    ("doctor",),
    ("plan",),
    ("run",),
    ("status",),
    ("verify", "--read"),
    ("notify", "--test", "--hooks"),
    ("gc",),
    ("retry",),
    ("bind", "Here/1.cbz", "--rename"),
    ("forget", "Here/1.cbz", "--delete-book"),
)


@pytest.mark.parametrize("login", [True, False], ids=["by login", "by token"])
def test_when_all_goes_well(aviary: Aviary, *, login: bool) -> None:
    aviary.configure(login=login)
    for command, *words in COMMANDS[1:]:
        aviary.call(command, *words)
    assert len(aviary.receiver.calls) >= 3
    assert list((aviary.home / "store" / "library").rglob("*.cbz"))
    aviary.check()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_service_that_is_ended(aviary: Aviary) -> None:
    """In a process of its own, with a server that says back what it is told from the second round on."""
    words = ("--config", aviary.config, "-vv", "--json", "--every", "1s")
    process = spawn("serve", *words, TMPDIR=str(aviary.home / "temporary"))
    try:
        assert process.stdout is not None
        rounds = [process.stdout.readline()]
        aviary.server.telling = "list"
        rounds += [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        answer = end(process)
    finally:
        process.kill()
    assert answer.status == 143
    assert b"listing_failed" in rounds[-1]
    aviary.sinks.append(Sink("serve: rounds", b"".join(rounds)))
    aviary.keep("serve", answer)
    aviary.check()


@pytest.mark.parametrize("asked", ["login", "list", "me", "file", "get", "settings", "drives", "drive"])
def test_when_the_server_says_it_back(aviary: Aviary, asked: str) -> None:
    server = aviary.drive if asked == "drive" else aviary.server
    server.telling = "file" if asked == "drive" else asked
    if asked == "get":
        aviary.server.faults.add("sign_expired")
    forms = FORMS if asked in ("login", "list", "me", "get") else ()  # the others differ in what is done with answers
    for answer, form in [*((one, AS_SAID) for one in ANSWERS), *(("code 403", one) for one in forms)]:
        server.answer_by, server.form = ANSWERS[answer], FORMS[form]
        aviary.server.restart()
        before = server.told
        aviary.call("doctor" if asked in ("me", "settings", "drives") else "run")
        assert server.told > before
    aviary.check()


def _in_the_source(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., NoReturn]) -> None:
    monkeypatch.setattr(AlistSource, "list", fail)


def _in_the_store(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., NoReturn]) -> None:
    monkeypatch.setattr(FolderStore, "put", fail)


def _in_a_thread_that_fetches(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., NoReturn]) -> None:
    monkeypatch.setattr(AlistSource, "download", fail)


def _in_a_thread_that_tells(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., NoReturn]) -> None:
    monkeypatch.setattr("pagebind.adapters.notify.apprise._Address.tell", fail)


def _in_the_configuration(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., NoReturn]) -> None:
    monkeypatch.setattr("pagebind.wiring.build", fail)


@pytest.mark.parametrize(
    "place",
    [_in_the_source, _in_the_store, _in_a_thread_that_fetches, _in_a_thread_that_tells, _in_the_configuration],
)
def test_when_something_happens_that_nobody_foresaw(
    aviary: Aviary, monkeypatch: pytest.MonkeyPatch, place: Callable[..., None]
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        told = "; ".join(one.value for one in aviary.canaries())
        try:
            raise KeyError(told)  # noqa: TRY301  a cause comes from raising
        except KeyError as error:
            raise RuntimeError(f"what I hold is {told}") from error

    place(monkeypatch, fail)
    answer = aviary.call("run")
    assert answer.status == (0 if place is _in_a_thread_that_tells else 1)
    assert "RuntimeError" in answer.err
    assert "test_canaries.py" in answer.err
    # Records carry the exception itself; what becomes of it is its handler's, which writes to standard error.
    aviary.sinks = [of_text("standard output", answer.out), of_text("standard error", answer.err)]
    aviary.check()


def test_the_wrong_in_the_configuration(aviary: Aviary) -> None:
    """What people write where it does not belong, or half right."""
    secret = aviary.given["hook address"].value
    right = aviary.config.read_text(encoding="utf-8")
    url = f'url = "{aviary.server.url}"'
    for wrong in (
        f"http://reader:{secret}@host",
        f"htp://reader:{secret}@host",
        f"reader:{secret}@host",
        f"http://host/?token={secret}",
        f"host?token={secret}",
        f"http://[{secret}@host",
        f"alist-{secret}",
        f"s3://key:{secret}@bucket",
        f"https://bucket.s3.amazonaws.com/x?X-Amz-Signature={secret}",
    ):
        assert right.count(url) == 1
        for place in (url, f'url = "{(aviary.home / "store").as_uri()}"'):
            aviary.config.write_text(right.replace(place, f'url = "{wrong}"'), encoding="utf-8")
            assert aviary.call("run").status == WRONG_USE
        if "://" in wrong:  # anything else is the path of a file, and told as that
            aviary.keep(f"run with {wrong[:12]}", call("run", "--json", "--config", wrong))
    for wrong in (
        f'token = "{secret}"',
        f'password = "{secret}"',
        f"token = {secret}",
        f'"{secret}',
        f"token=[{secret}",
    ):
        aviary.config.write_text(f'[source]\nurl = "http://host"\n{wrong}\n', encoding="utf-8")
        assert aviary.call("doctor").status == WRONG_USE
    aviary.check()


def test_when_those_who_are_told_are_not_there(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = aviary.given["notifier"].value
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        for address in (
            f"json://127.0.0.1:{port}/{secret}",
            f"json://u:{secret}@no-such-host.invalid/{secret}",
            f"discord://{secret}",
            f"tgram://{secret}",
            f"nothing://{secret}",
            f"{secret}",
            f"json://[{secret}",
        ):
            monkeypatch.setenv("NOTIFIER", address)
            aviary.call("notify", "--test", "--hooks")
            aviary.call("doctor")
    for status in (302, 401, 500):
        aviary.receiver.refuse(status, "/", Location=f"/?x={secret}")
        monkeypatch.setenv("NOTIFIER", aviary.receiver.address(f"/{secret}"))
        assert aviary.call("notify", "--test", "--hooks").status != 0
    aviary.check()


def test_nothing_prints_as_a_secret(aviary: Aviary) -> None:
    settings = read_configuration(str(aviary.config), os.environ, aviary.home).settings(os.environ)
    parts = build(settings, os.environ)
    sign = aviary.server.signs.sign("/comics/Here/1/1.png")
    secret = aviary.given["cookie"].value
    item = Item("1.png", 1, sign=sign)
    records = [
        settings,
        parts,
        parts.news(),
        item,
        FetchTask("v", "p", "/comics/Here/1/1.png", "/comics", "1.png", 1, 1, 1, sign=sign),
        Download("/comics/Here/1/1.png", sign, 1, headers={"Cookie": secret}),
        *settings.hooks,
        *parts.watches,
    ]
    aviary.sinks += [of_text(type(one).__name__, f"{one} {one!r}") for one in records]
    aviary.check()


@pytest.mark.parametrize("wrong", ["", "a line\nmore", "é"], ids=["unknown ones", "two lines", "no ASCII"])
def test_credentials_of_a_bucket(
    aviary: Aviary, s3_proxy: StoreProxy, s3_bucket: str, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Such as the store does not know, and such as no header can hold."""
    keys = {name: canary(name, '+/"', 16) for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
    aviary.given |= keys
    for name, one in keys.items():
        monkeypatch.setenv(name, one.value + wrong)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    text = aviary.config.read_text(encoding="utf-8").replace(
        (aviary.home / "store").as_uri(), f's3://{s3_bucket}/work"\nendpoint = "{s3_proxy.url}'
    )
    aviary.config.write_text(text, encoding="utf-8")
    for command in ("run", "doctor", "status"):
        assert aviary.call(command).status != 0
    aviary.check()
