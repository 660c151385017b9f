"""Messages really go through Apprise to a server on this machine."""

from __future__ import annotations

import base64
import json
import logging
import re
import subprocess
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING

import pytest
from tests.support.paths import REPOSITORY
from tests.support.receiver import Receiver, dripping
from tests.support.secret_stores import CANARY
from tests.support.task_target import Call, Reply

from pagebind.adapters.notify.apprise import _LOCAL, AppriseNotifier
from pagebind.adapters.notify.attempt import PATIENCE, all_within
from pagebind.adapters.secrets import KeptSecrets
from pagebind.core.message import Message, Tone
from pagebind.errors import NotifyFailed, NotifyRefused, SecretsUnavailable
from pagebind.ports.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE = Message("Pagebind: 2 new books", "A/Vol 1.cbz\nB/Vol 1.cbz", Tone.SUCCESS)
UGLY = "*A* _b_ `c` ~d~ [e](f) <script>g</script> &amp; :smile: \\n # h @everyone @here <@!12345678901234567> k@l"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def notifier(address: str, *, patience: float = PATIENCE) -> AppriseNotifier:
    return AppriseNotifier(Secret("env:ADDRESS", KeptSecrets({"ADDRESS": address})), patience=patience)


def failure(address: str, message: Message = MESSAGE, *, patience: float = PATIENCE) -> NotifyFailed:
    """The error of a message that does not go out; it shows nothing of the address but its scheme."""
    with pytest.raises(NotifyFailed) as caught:
        notifier(address, patience=patience).send(message)
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in f"{error!r} {error} {getattr(error, 'fix', '')}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return caught.value


def test_a_message_arrives_once_as_it_is(receiver: Receiver) -> None:
    sender = notifier(receiver.address())
    assert sender.name == "env:ADDRESS"
    sender.send(MESSAGE)
    assert receiver.messages() == [
        {
            "version": "1.0",
            "title": "Pagebind: 2 new books",
            "message": "A/Vol 1.cbz\nB/Vol 1.cbz",
            "attachments": [],
            "type": "success",
        }
    ]


@pytest.mark.parametrize("tone", Tone)
def test_every_tone_is_one_of_apprise(receiver: Receiver, tone: Tone) -> None:
    notifier(receiver.address()).send(MESSAGE._replace(tone=tone))
    assert [message["type"] for message in receiver.messages()] == [tone.value]


def test_plain_text_stays_plain_text_and_calls_nobody(receiver: Receiver) -> None:
    notifier(receiver.address()).send(Message(UGLY, UGLY, Tone.INFO))
    calls_nobody = (
        "*A* _b_ `c` ~d~ [e](f) <script>g</script> &amp; :smile: \\n # h"
        " @\u200beveryone @\u200bhere <@\u200b!12345678901234567> k@l"
    )
    assert [(one["title"], one["message"]) for one in receiver.messages()] == [(calls_nobody, calls_nobody)]


def test_a_service_that_shows_html_gets_it_escaped(receiver: Receiver) -> None:
    notifier(receiver.address() + "?format=html").send(Message("t", "<script>g</script> & more", Tone.INFO))
    [message] = receiver.messages()
    assert "<script>" not in message["message"]
    assert "&lt;script&gt;" in message["message"]


def test_a_service_that_takes_plain_text_for_markdown_gets_it_escaped(receiver: Receiver) -> None:
    port = receiver.server_address[1]
    notifier(f"mmost://127.0.0.1:{port}/3ccdd113474722377935511fc85d3dd4").send(
        Message("t", "- *A* _b_ [e](f) # h", Tone.INFO)
    )
    [call] = receiver.calls
    assert json.loads(call.body)["text"].endswith(r"- \*A\* \_b\_ \[e\](f) \# h")


@pytest.mark.parametrize(
    ("address", "as_markdown"),
    [
        ("discord://123456789012345678/abcdefghijklmnopqrstuvwxyz", True),
        ("https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz", True),
        ("tgram://123456789:ABCdefGHIjklMNOpqrsTUVwxyz0123456789/987654321", False),
        ("ntfy://topic", False),
        ("guilded://123456789012345678/abcdefghijklmnopqrstuvwxyz", True),
    ],
)
def test_discord_is_known_by_both_of_its_addresses(address: str, as_markdown: bool) -> None:
    [made] = notifier("")._made(address)
    assert made.sender is not None
    assert made.as_markdown is as_markdown


@pytest.mark.parametrize("between", [" ", ",", ", "])
def test_several_addresses_stand_behind_one_reference(receiver: Receiver, between: str) -> None:
    notifier(between.join(receiver.address(path) for path in ("/a", "/b"))).send(MESSAGE)
    assert sorted(call.path for call in receiver.calls) == ["/a", "/b"]


def test_who_got_it_is_not_told_again_because_of_another(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.refuse(500, "/b")
    sender = notifier(f"{receiver.address('/a')} {receiver.address('/b')} nothing://{CANARY}")
    sender.send(MESSAGE)
    ours = [record for record in caplog.records if record.name.startswith("pagebind.")]
    assert {(record.message, record.__dict__["notifier"]) for record in ours} == {("not notified", "env:ADDRESS")}
    assert all(record.__dict__["fix"] for record in ours)
    assert CANARY not in caplog.text
    assert [(record.levelname, record.__dict__["reason"]) for record in ours] == [
        ("WARNING", "env:ADDRESS (json://) did not take the message: it answered 500"),
        ("ERROR", "env:ADDRESS (nothing://) holds no address that Apprise takes"),
    ]
    assert [outcome and outcome.retryable for outcome in sender.deliver(MESSAGE)] == [None, True, False]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_is_refused_will_not_do_before_somebody_mends_it(receiver: Receiver, status: int) -> None:
    receiver.refuse(status)
    error = failure(receiver.address(f"/notify/{CANARY}"))
    assert isinstance(error, NotifyRefused)
    assert error.message == f"env:ADDRESS (json://) did not take the message: it answered {status}"


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_other_refusals_may_pass(receiver: Receiver, status: int) -> None:
    receiver.refuse(status)
    error = failure(receiver.address())
    assert (type(error), error.retryable) == (NotifyFailed, True)
    assert f"answered {status}" in error.message


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.refuse(307, Location=f"{receiver.url}/elsewhere")
    assert failure(receiver.address()).retryable
    assert [call.path for call in receiver.calls] == ["/notify"]


def test_nobody_is_there() -> None:
    with dripping() as port:
        pass
    error = failure(f"json://{CANARY}:{CANARY}@127.0.0.1:{port}/{CANARY}")
    assert error.message == "env:ADDRESS (json://) did not take the message"
    assert error.retryable


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (CANARY, "env:ADDRESS"),
        (f"nothing://{CANARY}", "env:ADDRESS (nothing://)"),
        (f"tgram://{CANARY}", "env:ADDRESS (tgram://)"),
        (f"discord://{CANARY}", "env:ADDRESS (discord://)"),
        (f"file:///etc/{CANARY}", "env:ADDRESS (file://)"),
        (f"https://{CANARY}.invalid/{CANARY}", "env:ADDRESS (https://)"),
    ],
)
def test_what_is_no_address_is_told_by_its_scheme_at_most(address: str, shown: str) -> None:
    error = failure(address)
    assert isinstance(error, NotifyRefused)
    assert error.message == f"{shown} holds no address that Apprise takes"
    assert "ntfys://" in error.fix


def test_blanks_alone_are_no_address() -> None:
    assert isinstance(failure("  "), NotifyRefused)


@pytest.mark.parametrize("scheme", sorted(_LOCAL))
def test_nothing_goes_to_the_machine_itself(scheme: str) -> None:
    error = failure(f"{scheme.upper()}://_/")
    assert isinstance(error, NotifyRefused)
    assert f"({scheme}://) leads to this machine itself" in error.message


def test_all_services_of_apprise_without_a_network_are_known() -> None:
    """They are those whose addresses have no variable part at all: no host, no token."""
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from apprise.manager_plugins import NotificationManager\n"
        "from apprise.utils.parse import parse_list\n"
        "for one in NotificationManager().plugins():\n"
        "    if all('{' not in template.replace('{schema}', '') for template in one.templates):\n"
        "        print(*parse_list(one.protocol, one.secure_protocol), sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) >= 8
    assert set(done.stdout.split()) - _LOCAL == set()


def test_a_secret_that_is_not_there_is_told_when_the_message_is_sent() -> None:
    sender = AppriseNotifier(Secret("env:NOBODY", KeptSecrets({})))
    assert sender.name == "env:NOBODY"
    with pytest.raises(NotifyRefused, match="env:NOBODY leads nowhere"):
        sender.send(MESSAGE)


def test_a_store_of_secrets_that_is_away_may_come_back() -> None:
    class Away:
        def get(self, reference: str) -> str:
            raise SecretsUnavailable(f"{reference} cannot be asked now")

        def forget(self, reference: str) -> None:
            raise AssertionError

    with pytest.raises(NotifyFailed) as caught:
        AppriseNotifier(Secret("gcp:x", Away())).send(MESSAGE)
    assert caught.value.retryable


def test_a_service_that_stalls_or_drips_holds_nobody_up(receiver: Receiver) -> None:
    receiver.stall()
    began = time.monotonic()
    assert "within 0.2 s" in failure(receiver.address(), patience=0.2).message
    with dripping() as port:
        assert "within 0.2 s" in failure(f"json://127.0.0.1:{port}", patience=0.2).message
        both = f"json://127.0.0.1:{port} {receiver.address()}"
        assert [str(one) for one in notifier(both, patience=0.2).deliver(MESSAGE)] == [
            "env:ADDRESS (json://) did not take the message within 0.2 s"
        ] * 2
    assert time.monotonic() - began < PATIENCE / 2
    assert PATIENCE == 15


def test_a_process_ends_while_a_service_stalls(receiver: Receiver) -> None:
    receiver.stall()
    code = (
        "from pagebind.adapters.notify.apprise import AppriseNotifier\n"
        "from pagebind.core.message import Message, Tone\n"
        "class One:\n"
        "    reference = 'env:X'\n"
        f"    def __call__(self): return {receiver.address()!r} + '?rto=600'\n"
        "print(AppriseNotifier(One(), patience=0.2).deliver(Message('t', 'b', Tone.INFO)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=10)
    assert "within 0.2 s" in done.stdout
    assert done.stderr == ""


def test_neither_logs_nor_warnings_hold_any_part_of_an_address(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="")
    addresses = (
        f"{receiver.address(f'/{CANARY}')}?+X-Key={CANARY} jsons://127.0.0.1:9/{CANARY}?verify=no tgram://{CANARY}"
    )
    receiver.refuse(401, "/")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(list(filter(None, notifier(addresses).deliver(MESSAGE)))) == 3
    out, err = capfd.readouterr()
    assert caught == []
    assert "127.0.0.1" not in caplog.text
    assert CANARY not in caplog.text + out + err


def test_others_who_use_the_same_library_are_not_silenced(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    notifier(receiver.address()).send(MESSAGE)
    logging.getLogger("urllib3.connectionpool").warning("of somebody else")
    assert caplog.messages == ["of somebody else"]


def test_without_apprise_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    error = failure("json://127.0.0.1")
    assert isinstance(error, NotifyRefused)
    assert error.fix == 'pip install "pagebind[notify]"'


def test_whatever_a_service_raises_is_told_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise

    def broken(*_: object, **__: object) -> None:
        raise LookupError(CANARY)

    monkeypatch.setattr(apprise.Apprise, "notify", broken)
    assert failure("json://127.0.0.1").message == "env:ADDRESS (json://) did not take the message: LookupError"
    monkeypatch.setattr(apprise, "AppriseAsset", broken)
    assert failure("json://127.0.0.1").message == "env:ADDRESS cannot be used: Apprise fails with LookupError"


def test_credentials_of_an_address_reach_the_service_alone(receiver: Receiver) -> None:
    port = receiver.server_address[1]
    notifier(f"json://user:{CANARY}@127.0.0.1:{port}/x").send(MESSAGE)
    [call] = receiver.calls
    assert base64.b64decode(call.headers["authorization"].removeprefix("Basic ")).decode() == f"user:{CANARY}"


def test_calls_are_made_side_by_side() -> None:
    meet = threading.Barrier(3, timeout=10)
    assert all_within(10, [meet.wait] * 3) != [None] * 3


def test_importing_the_notifier_imports_no_apprise() -> None:
    code = (
        "import sys, pagebind.adapters.notify.apprise; print([m for m in ('apprise', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_answer_is_awaited_no_longer_than_the_message_may_take(receiver: Receiver) -> None:
    gate = threading.Event()

    def late(_: Call) -> Reply:
        gate.wait(10)
        return Reply()

    receiver.reply = late
    timer = threading.Timer(0.1, gate.set)
    timer.start()
    notifier(receiver.address()).send(MESSAGE)
    timer.join()
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("words", "timeouts"), [("", (15.0, 15.0)), ("?rto=4&cto=4.0", (4.0, 4.0)), ("?cto=2", (2.0, 15.0))]
)
def test_a_service_has_the_whole_patience_unless_its_address_says_otherwise(
    words: str, timeouts: tuple[float, float]
) -> None:
    [made] = notifier("")._made(f"json://127.0.0.1/{words}")
    assert made.sender[0].request_timeout == timeouts


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """The characters that a service takes now."""
    from apprise.plugins.custom_json import NotifyJSON

    monkeypatch.setattr(NotifyJSON, "body_maxlen", 200)
    monkeypatch.setattr(NotifyJSON, "request_rate_per_sec", 0)
    return 200


LONG = Message("t", "\n".join(f"- Series/Vol {number:03}.cbz" for number in range(40)), Tone.INFO)


def test_a_service_that_takes_little_gets_all_of_it_in_parts(receiver: Receiver, small: int) -> None:
    notifier(receiver.address()).send(LONG)
    parts = [message["message"] for message in receiver.messages()]
    assert len(parts) > 1
    assert max(map(len, parts)) <= small
    assert "\n".join(parts).split() == LONG.body.split()


@pytest.mark.usefixtures("small")
def test_an_address_may_say_that_it_wants_it_in_one(receiver: Receiver) -> None:
    notifier(receiver.address() + "?overflow=upstream").send(LONG)
    assert [message["message"] for message in receiver.messages()] == [LONG.body]


@pytest.mark.parametrize("call", ["@**all**", "@_**everyone**", "<users/all>", "@*stream*"])
def test_calls_of_other_services_call_nobody_either(receiver: Receiver, call: str) -> None:
    notifier(receiver.address()).send(Message("t", call, Tone.INFO))
    [message] = receiver.messages()
    assert message["message"].replace("\u200b", "") == call
    assert "\u200b" in message["message"]


def test_a_check_sends_nothing(receiver: Receiver) -> None:
    outcomes = notifier(f"{receiver.address()} nothing://{CANARY}").check()
    assert [outcome and outcome.message for outcome in outcomes] == [
        None,
        "env:ADDRESS (nothing://) holds no address that Apprise takes",
    ]
    assert receiver.calls == []
    with pytest.raises(NotifyRefused, match="env:NOBODY leads nowhere"):
        AppriseNotifier(Secret("env:NOBODY", KeptSecrets({}))).check()


def test_the_addresses_of_the_documents_are_ones_that_apprise_takes() -> None:
    text = (REPOSITORY / "docs" / "readers.md").read_text(encoding="utf-8")
    table = re.findall(r"(?m)^\| (?!service|---)[^|]+\| ([^|]+) \|", text)
    addresses = [address for cell in table for address in re.findall(r"`([^`]+)`", cell)]
    assert len(addresses) >= 8
    made = notifier("")._made(" ".join(addresses))
    assert [(one.scheme, one.sender is None) for one in made] == [
        (address.partition(":")[0], False) for address in addresses
    ]
