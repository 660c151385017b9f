"""Which credentials are sent when, and how often they are tried."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Condition, Lock
from typing import TYPE_CHECKING, Any

import httpx
import pyotp
import pytest
from tests.adapters.alist.doubles import TOKEN, FakeClock, Server, Vault, ok, page_of, refused, secret

from pagebind.adapters.alist import Guest, Login, StaticToken
from pagebind.adapters.alist.login import Session
from pagebind.adapters.once import Once
from pagebind.errors import AuthRefused, ConfigError, LockedOut, PagebindError, SecretsUnavailable, ServerUnreachable
from pagebind.ports.secrets import Secret
from pagebind.ports.source import Account, Drive, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.adapters.alist import Credentials

THREADS = 8
LOGIN = Login("bob", secret("CANARYSESAME"))
GUEST_OFF = refused(401, "Guest user is disabled, login please")


def by_token(**answers: Any) -> Callable[[httpx.Request], Any]:
    return lambda request: answers[request.headers.get("Authorization", "none")]


def outcomes(work: Callable[[], object]) -> list[object]:
    """What ``work`` gives or raises in threads that start together."""
    barrier = Barrier(THREADS)

    def one(_: int) -> object:
        barrier.wait(10)
        try:
            return work()
        except PagebindError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


class CountingLock:
    """A lock that knows how many have come to it, so that a test can let all of them wait there."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._changed = Condition()
        self.arrived = 0

    def __enter__(self) -> None:
        with self._changed:
            self.arrived += 1
            self._changed.notify_all()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait_for_all(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.arrived == THREADS, timeout=10)


def test_nothing_is_asked_before_the_first_call_and_a_token_is_sent_raw() -> None:
    double = Server().on("/api/fs/list", page_of(["a"]))
    source = double.source()
    assert double.requests == []
    source.list("/")
    (request,) = double.requests
    assert request.headers["Authorization"] == TOKEN
    assert request.headers["Client-Id"] == "pagebind-test"


def test_every_call_of_the_api_carries_the_client_id() -> None:
    double = Server().on("/api/fs/list", page_of(["a"])).on("/api/auth/login", ok({"token": "jwt"}))
    double.on("/api/public/settings", ok({"version": "v3.63.0"})).on("/api/admin/storage/list", ok({"content": None}))
    source = double.source(LOGIN)
    source.list("/")
    source.server()
    assert source.drives() == []
    assert {request.headers.get("Client-Id") for request in double.requests} == {"pagebind-test"}


@pytest.mark.parametrize("words", ["token is invalidated", "token is expired", "session inactive"])
def test_a_refused_jwt_is_replaced_by_one_login_and_one_repetition(words: str) -> None:
    double = Server().on("/api/auth/login", [ok({"token": "old"}), ok({"token": "new"})])
    double.on("/api/fs/list", by_token(old=refused(401, words), new=page_of(["a"])))
    assert [item.name for item in double.source(LOGIN).list("/")] == ["a"]
    assert (double.count("/api/auth/login"), double.count("/api/fs/list")) == (2, 2)


def test_a_new_jwt_that_is_refused_too_ends_it() -> None:
    double = Server().on("/api/auth/login", ok({"token": "old"})).on("/api/fs/list", refused(401, "token is expired"))
    double.on("/api/auth/login", [ok({"token": "old"}), ok({"token": "new"})])
    source = double.source(LOGIN)
    for _ in range(3):
        with pytest.raises(AuthRefused, match="token is expired"):
            source.list("/")
    assert (double.count("/api/auth/login"), double.count("/api/fs/list")) == (2, 2)


def test_eight_threads_refused_at_once_make_one_login() -> None:
    together = Barrier(THREADS)
    tokens: dict[str, Any] = {"old": page_of(["a"]), "new": page_of(["a"])}
    double = Server().on("/api/auth/login", [ok({"token": "old"}), ok({"token": "new"})])

    class Together(httpx.MockTransport):
        """Holds back the refusals until every thread has been refused."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if tokens["old"].content.find(b"expired") >= 0 and request.headers.get("Authorization") == "old":
                together.wait(10)
            return response

    double.on("/api/fs/list", lambda request: tokens[request.headers["Authorization"]])
    source = double.source(LOGIN)
    source._connections._given = Together(double)
    source.list("/")
    tokens["old"] = refused(401, "token is expired")
    results = outcomes(lambda: [item.name for item in source.list("/")])
    assert results == [["a"]] * THREADS
    assert double.count("/api/auth/login") == 2


@pytest.mark.parametrize("credentials", [Guest(), StaticToken(secret(TOKEN))])
@pytest.mark.parametrize("words", ["Guest user is disabled, login please", "token is invalidated", "token is expired"])
def test_a_refused_token_or_guest_costs_one_request_whoever_asks(credentials: Credentials, words: str) -> None:
    double, gate = Server(), CountingLock()

    def answer(_: httpx.Request) -> httpx.Response:
        gate.wait_for_all()
        return refused(401, words)

    double.on("/api/fs/list", answer)
    source = double.source(credentials)
    source._api._session._first = gate  # type: ignore[assignment]
    results = outcomes(lambda: source.list("/"))
    assert all(isinstance(result, AuthRefused) and words in result.message for result in results)
    assert len(double.requests) == 1


def test_guest_off_says_what_to_set() -> None:
    with pytest.raises(AuthRefused) as caught:
        Server().on("/api/fs/list", GUEST_OFF).source(Guest()).list("/")
    assert caught.value.fix == 'set [source] token, for example token = "env:ALIST_TOKEN"'
    assert "alist.example:5244" in caught.value.message


@pytest.mark.parametrize("code", [400, 401])
def test_a_wrong_password_is_tried_once_whoever_asks(code: int) -> None:
    double = Server().on("/api/auth/login", refused(code, "Invalid username or password"))
    source = double.source(LOGIN)
    results = outcomes(lambda: source.list("/"))
    assert all(type(result) is AuthRefused for result in results)
    assert len(double.requests) == 1


def test_a_lockout_ends_all_logins() -> None:
    double = Server().on(
        "/api/auth/login", [ok({"token": "old"}), refused(429, "Too many unsuccessful sign-in attempts")]
    )
    double.on("/api/fs/list", refused(401, "token is expired"))
    source = double.source(LOGIN)
    for _ in range(3):
        with pytest.raises(LockedOut, match="Too many unsuccessful"):
            source.list("/")
    assert (double.count("/api/auth/login"), double.count("/api/fs/list")) == (2, 1)


def test_http_429_at_the_login_is_a_lockout_too() -> None:
    double = Server().on("/api/auth/login", httpx.Response(429, headers={"retry-after": "300"}, content=b"slow down"))
    with pytest.raises(LockedOut) as caught:
        double.source(LOGIN).account()
    assert caught.value.retry_after == 300
    assert len(double.requests) == 1


@pytest.mark.parametrize(
    "words", ["Password has been changed, login please", "Current user is disabled, replace please"]
)
def test_an_account_that_changed_is_not_logged_in_again(words: str) -> None:
    double = Server().on("/api/auth/login", ok({"token": "jwt"})).on("/api/fs/list", refused(401, words))
    with pytest.raises(AuthRefused, match=words) as caught:
        double.source(LOGIN).list("/")
    assert caught.value.fix
    assert double.count("/api/auth/login") == 1


def test_a_login_sends_the_code_of_the_moment() -> None:
    base32 = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    double = Server().on("/api/auth/login", ok({"token": "jwt"}))
    clock = FakeClock(1_700_000_000)
    double.source(Login("bob", secret("pw"), secret("jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp")), clock=clock).account()
    (body,) = double.bodies("/api/auth/login")
    assert body == {"username": "bob", "password": "pw", "otp_code": pyotp.TOTP(base32).at(1_700_000_000)}


def test_an_otp_secret_that_is_none_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError, match="otp_secret") as caught:
        Server().source(Login("bob", secret("pw"), secret("CANARY!1"))).account()
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("held", ["", " \n", "two\nlines", "schlüssel"])
def test_a_token_that_cannot_be_one_is_not_sent(held: str) -> None:
    double = Server()
    with pytest.raises(AuthRefused, match=r"\[source\] token"):
        double.source(StaticToken(secret(held))).account()
    assert double.requests == []


@pytest.mark.parametrize("given", ["jwt ", " jwt", "j\nwt", "j\u00e9t"])
def test_nor_is_one_that_a_login_gave(given: str) -> None:
    double = Server().on("/api/auth/login", ok({"token": given}))
    with pytest.raises(AuthRefused, match="the server's token holds characters"):
        double.source(Login("bob", secret("pw"))).account()
    assert double.count("/api/me") == 0


def test_a_rotated_token_counts_as_soon_as_the_secrets_know_it() -> None:
    vault = Vault(token="old")
    double = Server().on("/api/fs/list", by_token(old=page_of(["a"]), new=page_of(["b"])))
    source = double.source(StaticToken(Secret("token", vault)))
    source.list("/")
    vault.held["token"] = "new"
    vault.forget("token")  # as after five minutes
    assert [item.name for item in source.list("/")] == ["b"]
    assert double.count("/api/fs/list") == 2


@pytest.mark.parametrize("words", ["token is invalidated", "words of a later version"])
def test_a_refused_token_is_read_anew_and_the_call_repeated_if_it_changed(words: str) -> None:
    vault = Vault(token="old")
    tokens: dict[str, Any] = {"old": page_of(["a"]), "new": page_of(["b"])}
    double = Server().on("/api/fs/list", lambda request: tokens[request.headers["Authorization"]])
    source = double.source(StaticToken(Secret("token", vault)))
    source.list("/")
    tokens["old"], vault.held["token"] = refused(401, words), "new"
    assert [item.name for item in source.list("/")] == ["b"]
    assert (double.count("/api/fs/list"), vault.lookups) == (3, 2)


def test_a_new_token_that_is_refused_too_ends_it() -> None:
    vault = Vault(token="old")
    double = Server().on("/api/fs/list", by_token(old=page_of(["a"]), new=refused(401, "token is invalidated")))
    source = double.source(StaticToken(Secret("token", vault)))
    source.list("/")
    double.on("/api/fs/list", refused(401, "token is invalidated"))
    vault.held["token"] = "new"
    for _ in range(3):
        with pytest.raises(AuthRefused, match="token is invalidated"):
            source.list("/")
    assert (double.count("/api/fs/list"), vault.lookups) == (3, 2)


def test_eight_threads_refused_at_once_read_a_token_anew_once() -> None:
    vault, together = Vault(token="old"), Barrier(THREADS)
    double = Server().on("/api/fs/list", page_of(["a"]))
    source = double.source(StaticToken(Secret("token", vault)))
    source.list("/")

    class Together(httpx.MockTransport):
        """Holds back the refusals until every thread has been refused."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if request.headers["Authorization"] == "old":
                together.wait(10)
            return response

    source._connections._given = Together(double)
    double.on("/api/fs/list", by_token(old=refused(401, "token is invalidated"), new=page_of(["b"])))
    vault.held["token"] = "new"
    assert outcomes(lambda: [item.name for item in source.list("/")]) == [["b"]] * THREADS
    assert vault.lookups == 2


@pytest.mark.parametrize("trouble", [ConfigError("token leads nowhere"), SecretsUnavailable("not now")])
def test_a_refusal_stands_where_the_secret_cannot_be_read_anew(trouble: PagebindError) -> None:
    vault = Vault(token=TOKEN, password="CANARYSESAME")
    double = Server().on("/api/fs/list", refused(401, "token is invalidated"))
    double.on("/api/auth/login", refused(400, "password is incorrect"))
    token, password = Secret("token", vault), Secret("password", vault)
    assert token() != password()
    vault.held = {"token": trouble, "password": trouble}
    for credentials in (StaticToken(token), Login("bob", password)):
        source = double.source(credentials)
        for _ in range(2):
            with pytest.raises(AuthRefused):
                source.list("/")
    assert len(double.requests) == 2


def logins(double: Server) -> list[str]:
    """The passwords that were sent, in this order."""
    return [body["password"] for body in double.bodies("/api/auth/login")]


def by_password(**answers: Any) -> Callable[[httpx.Request], Any]:
    return lambda request: answers[json.loads(request.content)["password"]]


WRONG = refused(400, "Invalid username or password")


def test_a_refused_login_is_made_again_if_the_password_changed_meanwhile() -> None:
    vault = Vault(password="old")
    double = Server().on("/api/auth/login", by_password(old=WRONG, new=ok({"token": "jwt"})))
    double.on("/api/fs/list", page_of(["a"]))
    credentials = Login("bob", Secret("password", vault))
    credentials.password_secret()
    vault.held["password"] = "new"
    source = double.source(credentials)
    source.list("/")
    source.list("/")
    assert logins(double) == ["old", "new"]


def test_there_is_never_a_third_login() -> None:
    vault = Vault(password="0")

    def answer(request: httpx.Request) -> httpx.Response:
        vault.held["password"] = str(double.count("/api/auth/login"))  # another one whenever it is asked for
        return WRONG

    double = Server().on("/api/auth/login", answer)
    source = double.source(Login("bob", Secret("password", vault)))
    assert all(isinstance(result, AuthRefused) for result in outcomes(lambda: source.list("/")))
    assert logins(double) == ["0", "1"]


def test_after_a_lockout_not_even_a_changed_password_is_tried() -> None:
    vault = Vault(password="old")
    double = Server().on("/api/auth/login", refused(429, "Too many unsuccessful sign-in attempts"))
    credentials = Login("bob", Secret("password", vault))
    credentials.password_secret()
    vault.held["password"] = "new"
    source = double.source(credentials)
    for _ in range(2):
        with pytest.raises(LockedOut):
            source.list("/")
    assert logins(double) == ["old"]


def test_a_jwt_outlives_a_change_of_the_password_and_is_followed_by_a_login_with_the_new_one() -> None:
    vault = Vault(password="old")
    double = Server().on("/api/auth/login", by_password(old=ok({"token": "first"}), new=ok({"token": "second"})))
    double.on("/api/fs/list", page_of(["a"]))
    source = double.source(Login("bob", Secret("password", vault)))
    source.list("/")
    vault.held["password"] = "new"
    source.list("/")
    assert logins(double) == ["old"]
    changed = refused(401, "Password has been changed, login please")
    double.on("/api/fs/list", by_token(first=changed, second=page_of(["b"])))
    assert [item.name for item in source.list("/")] == ["b"]
    assert logins(double) == ["old", "new"]


def test_a_changed_one_time_secret_is_worth_a_second_login_too() -> None:
    vault = Vault(password="pw", otp="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    double = Server().on("/api/auth/login", [refused(402, "Invalid 2FA code"), ok({"token": "jwt"})])
    double.on("/api/fs/list", page_of(["a"]))
    credentials = Login("bob", Secret("password", vault), Secret("otp", vault))
    assert credentials.otp_secret
    credentials.otp_secret()
    vault.held["otp"] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    double.source(credentials).list("/")
    first, second = double.bodies("/api/auth/login")
    assert (first["password"], second["password"]) == ("pw", "pw")
    assert first["otp_code"] != second["otp_code"]


def test_a_secret_shows_its_reference_alone() -> None:
    vault = Vault(token=TOKEN)
    shown = Secret("token", vault)
    assert shown() == shown.anew() == TOKEN
    assert repr(StaticToken(shown)) == "StaticToken(secret=Secret('token'))"
    assert vault.lookups == 2


def test_the_newline_of_a_secret_file_is_no_part_of_the_token() -> None:
    double = Server()
    double.source(StaticToken(secret(TOKEN + "\n"))).account()
    assert double.requests[0].headers["Authorization"] == TOKEN


def test_a_guest_sends_no_authorization() -> None:
    double = Server().on("/api/fs/list", page_of(["a"]))
    double.source(Guest()).list("/")
    assert "Authorization" not in double.requests[0].headers


@pytest.mark.parametrize(
    ("data", "admin"),
    [
        ({"role": 2}, True),
        ({"role": [2]}, True),
        ({"role": [5], "role_names": ["admin"]}, True),
        ({"role": 0}, False),
        ({"role": [1], "role_names": ["guest"]}, False),
        ({"role": None, "role_names": None}, False),
        ({}, False),
    ],
)
def test_role_as_number_or_list(data: dict[str, Any], admin: bool) -> None:
    account = Server().on("/api/me", ok({"username": "x", "new": {"field": 1}, **data})).source().account()
    assert account.admin is admin
    assert account.base_path == "/"


def test_a_login_that_finds_no_server_is_tried_again_but_not_for_ever() -> None:
    double = Server().on("/api/auth/login", httpx.ConnectError("[Errno 111] Connection refused"))
    with pytest.raises(ServerUnreachable):
        double.source(LOGIN).list("/")
    assert double.count("/api/auth/login") == 3


def test_threads_that_waited_for_a_failing_login_share_its_failure() -> None:
    lock, logins = CountingLock(), 0

    def log_in(*_: object) -> str:
        nonlocal logins
        logins += 1
        lock.wait_for_all()
        raise ServerUnreachable("down")

    session = Session(LOGIN, log_in)
    session._lock = lock  # type: ignore[assignment]
    assert [type(result) for result in outcomes(session.token)] == [ServerUnreachable] * THREADS
    assert logins == 1


def test_once_makes_its_value_once_and_tries_again_after_a_failure() -> None:
    made: Iterator[int | ValueError] = iter([ValueError("not yet"), 7])

    def make() -> int:
        value = next(made)
        if isinstance(value, ValueError):
            raise value
        return value

    once = Once(make)
    with pytest.raises(ValueError, match="not yet"):
        once.get()
    assert [once.get(), once.get()] == [7, 7]


def test_what_a_server_says_of_itself_is_shown_without_the_token() -> None:
    token = "alist-5vR2tPz8Lq1XwYb4"
    told = f"it is {token}"
    double = Server().on("/api/me", ok({"username": told, "base_path": f"/{token}", "role": 2}))
    double.on("/api/public/settings", ok({"version": f"v3.63.0-{token}"}))
    rows = [{"mount_path": f"/{token}", "driver": told, "status": told}, {"mount_path": "/b", "status": "work"}]
    double.on("/api/admin/storage/list", ok({"content": rows}))
    source = double.source(StaticToken(secret(token)))
    assert source.server() == ServerInfo("alist", "***")
    assert source.account() == Account("it is ***", "***", admin=True, guest=False)
    assert source.drives() == [Drive("***", "it is ***", "it is ***"), Drive("/b", "", "work")]
    assert source.link("/a%b") == f"/{token}/a%25b", "what is used is what was said"


def test_what_a_server_means_is_understood_though_it_is_not_shown() -> None:
    double = Server().on("/api/auth/login", [ok({"token": "refused"}), ok({"token": "other"})])
    double.on("/api/fs/list", [refused(401, "token is expired"), page_of(["a"])])
    assert [item.name for item in double.source(Login("bob", secret("token is"))).list("/")] == ["a"]
