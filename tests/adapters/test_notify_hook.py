"""Readers are called over real connections."""

from __future__ import annotations

import base64
import logging
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.support.receiver import Receiver, dripping
from tests.support.secret_stores import CANARY
from tests.support.task_target import Reply

from pagebind import wiring
from pagebind.adapters.alist import http
from pagebind.adapters.notify.attempt import PATIENCE
from pagebind.adapters.notify.hook import HttpHook
from pagebind.adapters.secrets import KeptSecrets
from pagebind.config import parse
from pagebind.errors import NotifyFailed, NotifyRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.task_target import Call

    from pagebind.adapters.alist.limits import Limits
    from pagebind.ports.notify import Hook


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def hooks(toml: str, env: Mapping[str, str] = {}) -> tuple[HttpHook, ...]:
    head = '[source]\nurl = "https://a"\n[store]\nurl = "/srv/x"\n[[subscription]]\npath = "/c"\n'
    return wiring.hooks(parse(head + toml, env, "x"), KeptSecrets(env))


def hook(url: str, headers: str = "{}", **env: str) -> HttpHook:
    [one] = hooks(f'[[hook]]\nurl = "{url}"\nheaders = {headers}\n', env)
    return one


def failure(called: Hook) -> NotifyFailed:
    """The error of a call that was not understood; it shows neither secret nor query."""
    with pytest.raises(NotifyFailed) as caught:
        called.call()
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in f"{error!r} {error} {getattr(error, 'fix', '')}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return caught.value


def test_a_call_is_one_post_without_a_body(receiver: Receiver) -> None:
    called = hook(
        f"{receiver.url}/api/Library/scan?libraryId=2&x={CANARY}", '{ "X-API-Key" = "env:KEY" }', KEY=f"key-{CANARY}"
    )
    called.call()
    [call] = receiver.calls
    assert call.path == f"/api/Library/scan?libraryId=2&x={CANARY}"
    assert (call.headers["x-api-key"], call.headers["content-length"], call.body) == (f"key-{CANARY}", "0", b"")
    assert call.headers["user-agent"] == "pagebind"
    assert (called.name, called.debounce) == (f"{receiver.url}/api/Library/scan", 300)


def test_basic_authentication_is_a_header(receiver: Receiver) -> None:
    basic = "Basic " + base64.b64encode(b"admin@example.org:pass word").decode()
    hook(receiver.url, '{ Authorization = "env:KOMGA_LOGIN" }', KOMGA_LOGIN=basic).call()
    assert receiver.calls[0].headers["authorization"] == basic


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_status_of_success_is_understood(receiver: Receiver, status: int) -> None:
    receiver.refuse(status, "/", **{"Content-Length": "0"})
    hook(receiver.url).call()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_somebody_has_to_mend_is_told_with_how(receiver: Receiver, status: int) -> None:
    receiver.refuse(status, "/")
    error = failure(hook(f"{receiver.url}/scan?apiKey={CANARY}"))
    assert isinstance(error, NotifyRefused)
    assert error.message == f"{receiver.url}/scan answered {status}"
    assert error.fix


@pytest.mark.parametrize("status", [400, 405, 429, 500, 503])
def test_other_answers_may_change(receiver: Receiver, status: int) -> None:
    receiver.refuse(status, "/")
    error = failure(hook(receiver.url))
    assert (type(error), error.retryable, error.message) == (NotifyFailed, True, f"{receiver.url} answered {status}")


def test_headers_go_nowhere_else(receiver: Receiver) -> None:
    receiver.refuse(307, "/scan", Location=f"{receiver.url}/elsewhere")
    error = failure(hook(f"{receiver.url}/scan", '{ X = "env:X" }', X=CANARY))
    assert "answered 307, a redirect" in error.message
    assert [call.path for call in receiver.calls] == ["/scan"]


def test_nobody_is_there() -> None:
    with dripping() as port:
        pass
    error = failure(hook(f"http://127.0.0.1:{port}/scan?apiKey={CANARY}"))
    assert error.message.startswith(f"http://127.0.0.1:{port}/scan gave no answer: ")
    assert error.retryable


def test_a_connection_that_ends_without_an_answer(receiver: Receiver) -> None:
    receiver.reply = lambda _: Reply(0)
    assert failure(hook(receiver.url)).message == f"{receiver.url} gave no answer: the connection broke off"


def test_a_certificate_that_nobody_vouches_for_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate(tmp_path))
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True, do_handshake_on_connect=False)
    error = failure(hook(receiver.url.replace("http:", "https:"), '{ X = "env:X" }', X=CANARY))
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    assert receiver.calls == []


def own_certificate(folder: Path) -> Path:
    """A key and a certificate that it made for itself, valid for this machine, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "own.pem"
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(key.private_bytes(*plain) + certificate.public_bytes(Encoding.PEM))
    return file


def test_a_reader_that_stalls_or_drips_holds_nobody_up(receiver: Receiver) -> None:
    receiver.stall()
    began = time.monotonic()
    with dripping() as port:
        for url in (receiver.url, f"http://127.0.0.1:{port}"):
            given = hook(url)
            impatient = HttpHook(given.name, url, {}, 0, given._exchange, patience=0.2)
            assert failure(impatient).message == f"{url} gave no answer within 0.2 s"
    assert time.monotonic() - began < PATIENCE / 2


@pytest.mark.parametrize("value", [f"{CANARY}ü", f" {CANARY}", f"{CANARY} ", f"{CANARY}\x7f"])
def test_a_secret_that_no_header_holds_is_not_sent(receiver: Receiver, value: str) -> None:
    error = failure(hook(receiver.url, '{ X = "env:KEY" }', KEY=value))
    assert isinstance(error, NotifyRefused)
    assert error.message.startswith("env:KEY cannot be sent as the header X")
    assert receiver.calls == []


def test_a_secret_that_is_not_there_is_told_at_the_call(receiver: Receiver) -> None:
    called = hook(receiver.url, '{ X = "env:NOBODY" }')
    error = failure(called)
    assert isinstance(error, NotifyRefused)
    assert error.message.startswith("env:NOBODY leads nowhere")


def test_a_check_looks_for_the_secrets_and_calls_nobody(receiver: Receiver) -> None:
    assert hook(receiver.url, '{ X = "env:KEY" }', KEY="key").check() == [None]
    for key in ({}, {"KEY": f"{CANARY} "}):
        with pytest.raises(NotifyRefused):
            hook(receiver.url, '{ X = "env:KEY" }', **key).check()
    assert receiver.calls == []


def test_an_answer_is_awaited_as_long_as_a_call_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Limits] = []

    class Noting(http.Connections):
        def __init__(self, limits: Limits, transport: None) -> None:
            given.append(limits)
            super().__init__(limits, transport)

    monkeypatch.setattr(http, "Connections", Noting)
    hook("http://127.0.0.1")
    assert [(limits.connect_timeout, limits.read_timeout) for limits in given] == [(PATIENCE, PATIENCE)]


def test_whatever_goes_wrong_is_told_by_its_kind() -> None:
    def broken(*_: object) -> Call:
        raise LookupError(CANARY)

    called = HttpHook("name", "http://a", {}, 0, broken)  # type: ignore[arg-type]
    assert failure(called).message == "name gave no answer: LookupError"


def test_one_address_called_for_two_libraries_has_two_names(receiver: Receiver) -> None:
    made = hooks("".join(f'[[hook]]\nurl = "{receiver.url}/scan?libraryId={n}"\n' for n in (1, 2)))
    assert [one.name for one in made] == [f"{receiver.url}/scan", f"{receiver.url}/scan (2)"]
    for one in made:
        one.call()
    assert [call.path for call in receiver.calls] == ["/scan?libraryId=1", "/scan?libraryId=2"]


def test_no_log_holds_the_query_or_a_secret(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="")
    hook(f"{receiver.url}/scan?apiKey={CANARY}", '{ X = "env:X" }', X=CANARY).call()
    assert CANARY not in caplog.text
