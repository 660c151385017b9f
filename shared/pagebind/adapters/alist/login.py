"""Credentials, and the token that they are worth."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING, NamedTuple

from pagebind.adapters.alist.envelope import Refusal
from pagebind.errors import AuthRefused, ConfigError, PagebindError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class StaticToken(NamedTuple):
    """The server's own token (``alist-...``, ``openlist-...``): an admin, valid until it is reset."""

    secret: Callable[[], str]


class Login(NamedTuple):
    """An account. ``otp_secret`` is the base32 text behind its one-time codes, where it uses them."""

    username: str
    password_secret: Callable[[], str]
    otp_secret: Callable[[], str] | None = None


class Guest:
    """Nobody: what the server shows without credentials."""


Credentials = StaticToken | Login | Guest


def one_time_code(secret: str, now: float) -> str:
    """The code of the moment ``now``. Raises: ConfigError."""
    import pyotp  # few accounts use codes, and it costs 20 ms

    try:
        return pyotp.TOTP(secret.replace(" ", "").upper()).at(int(now))
    except ValueError:
        raise ConfigError(
            "[source] otp_secret is no secret of one-time codes (base32, at least 112 bits)",
            fix="use the text that the server showed beside its QR code",
        ) from None


class Session:
    """The token in use, shared by all threads; refused credentials are remembered, and nobody asks with them again."""

    def __init__(self, credentials: Credentials, log_in: Callable[[Login], str]) -> None:
        self._credentials = credentials
        self._log_in = log_in
        self._lock = Lock()
        self._token: str | None = None
        self._ended: AuthRefused | None = None
        self._failures = 0
        self._failed: Exception | None = None
        self._first = Lock()
        self._opened = Event()

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first call be made alone, so that refused credentials are refused once, not once a thread."""
        if self._opened.is_set():
            yield
            return
        with self._first:
            first = not self._opened.is_set()
            if first:
                try:
                    yield
                finally:
                    self._opened.set()
        if not first:
            yield

    def token(self) -> str:
        """The token to send, empty for a guest; the first call gets it.

        Raises:
            Refusal: the credentials were refused, now or before.
            ConfigError: the secret cannot be had.
        """
        token = self._token
        return token if token is not None and self._ended is None else self._obtain(refused=None)

    def renew(self, refused: str) -> str | None:
        """Another token than the refused one, by one login whoever else asks; None where credentials know no login."""
        return self._obtain(refused=refused) if isinstance(self._credentials, Login) else None

    def end(self, why: AuthRefused) -> None:
        """Remember that the credentials were refused."""
        self._ended = why

    def _obtain(self, *, refused: str | None) -> str:
        seen = self._failures
        with self._lock:
            if self._ended is not None:
                raise Refusal(self._ended)
            if self._token is not None and self._token != refused:
                return self._token
            if self._failures != seen and self._failed is not None:
                # Somebody tried while we waited for the lock: the same again would only prolong the failure.
                raise self._failed
            try:
                self._token = self._fetch()
            except (Refusal, PagebindError) as error:
                self._failed, self._failures = error, self._failures + 1
                if isinstance(error, Refusal) and isinstance(error.error, AuthRefused):
                    self._ended = error.error
                raise
            self._failed = None
            return self._token

    def _fetch(self) -> str:
        if isinstance(self._credentials, Guest):
            return ""
        if isinstance(self._credentials, Login):
            return _checked(self._log_in(self._credentials), "the server's token", "look at the server's own log")
        return _checked(
            self._credentials.secret().strip(), "[source] token", "check what the reference of [source] token leads to"
        )


def _checked(token: str, what: str, fix: str) -> str:
    if not token:
        raise Refusal(AuthRefused(f"{what} is empty", fix=fix))
    if not token.isascii() or not token.isprintable():
        raise Refusal(AuthRefused(f"{what} holds characters that no token has", fix=fix))
    return token
