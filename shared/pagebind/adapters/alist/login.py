"""Credentials, and the token that they are worth."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING, NamedTuple

from pagebind.adapters.alist.envelope import Refusal, Remedy
from pagebind.errors import AuthRefused, ConfigError, PagebindError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.ports.secrets import Secret


class StaticToken(NamedTuple):
    """The server's own token (``alist-...``, ``openlist-...``): an admin, valid until it is reset."""

    secret: Secret


class Login(NamedTuple):
    """An account. ``otp_secret`` is the base32 text behind its one-time codes, where it uses them."""

    username: str
    password_secret: Secret
    otp_secret: Secret | None = None


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
    """The token in use, shared by all threads; refused credentials are remembered, and nobody asks with them again.

    A static token is asked for at each use, so that a rotated one counts as soon as it is known. What a login gives is
    kept until the server refuses it. Whatever is refused is read anew before it counts as refused, and tried again only
    if it has changed: accounts and addresses are locked after some wrong logins.

    Args:
        credentials: of the user.
        log_in: asks for a token by user, password and, if the account has one, the secret of one-time codes.
    """

    def __init__(self, credentials: Credentials, log_in: Callable[[str, str, str | None], str]) -> None:
        self._credentials = credentials
        self._log_in = log_in
        self._lock = Lock()
        self._token: str | None = None
        self._used: _Words | None = None
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
            ConfigError, SecretsUnavailable: the secret cannot be had.
        """
        if self._ended is not None:
            raise Refusal(self._ended)
        match self._credentials:
            case StaticToken(secret):
                return _static(secret())
            case Login() as login:
                return self._token if self._token is not None else self._obtain(login, None, None)
        return ""

    def secrets(self) -> tuple[str, ...]:
        """What is sent, or was given for it, as far as it can be told without asking the server.

        Raises:
            ConfigError, SecretsUnavailable: a secret cannot be had.
        """
        match self._credentials:
            case StaticToken(secret):
                return (secret().strip(),)
            case Login() as login:
                return (login.password_secret(), self._token or "")
        return ()

    def renew(self, refused: str, refusal: Refusal) -> str | None:
        """Another token than the refused one; None where there is none: then nobody asks with these credentials again.

        Args:
            refused: the token that was sent.
            refusal: what the server said.

        Raises:
            Refusal: the credentials were refused before; or a login was, now.
            ConfigError, SecretsUnavailable: a login needs a secret that cannot be had.
        """
        match self._credentials:
            case StaticToken(secret):
                return self._read_anew(secret, refused, refusal)
            case Login() as login:
                return self._obtain(login, refused, refusal)
        return None

    def end(self, why: AuthRefused) -> None:
        """Remember that the credentials were refused."""
        self._ended = why

    def _read_anew(self, secret: Secret, refused: str, refusal: Refusal) -> str | None:
        with self._lock:
            if self._ended is not None:
                raise Refusal(self._ended)
            # Somebody may have read it while we waited for the lock.
            if (known := _static(secret())) != refused:
                return known
            if (now := _anew(secret)) is not None and (token := _static(now)) != refused:
                return token
            self._end_by(refusal)
            return None

    def _obtain(self, login: Login, refused: str | None, refusal: Refusal | None) -> str:
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
                self._token = self._log_in_unless_refused(login, refusal)
            except (Refusal, PagebindError) as error:
                self._failed, self._failures = error, self._failures + 1
                if isinstance(error, Refusal):
                    self._end_by(error)
                raise
            self._failed = None
            return self._token

    def _log_in_unless_refused(self, login: Login, refusal: Refusal | None) -> str:
        """A token by one login; by a second one only if the secrets changed since they were read for the first."""
        if refusal is None or refusal.remedy is Remedy.LOGIN:
            words = _words(login)
        else:  # the account was refused, not just its token
            now = _words_anew(login)
            if now is None or now == self._used:
                raise refusal
            words = now
        try:
            return self._try(login, words)
        except Refusal as refused:
            if type(refused.error) is not AuthRefused:  # after a lock-out, any login prolongs it
                raise
            changed = _words_anew(login)
            if changed is None or changed == words:
                raise
        return self._try(login, changed)

    def _try(self, login: Login, words: _Words) -> str:
        token = _checked(self._log_in(login.username, *words), "the server's token", "look at the server's own log")
        self._used = words
        return token

    def _end_by(self, refusal: Refusal) -> None:
        if isinstance(refusal.error, AuthRefused):
            self._ended = refusal.error


_Words = tuple[str, str | None]
"""A password, and the secret of one-time codes, as they are sent."""


def _words(login: Login) -> _Words:
    return login.password_secret(), login.otp_secret() if login.otp_secret is not None else None


def _words_anew(login: Login) -> _Words | None:
    """What a login takes, as it is at this moment; None where that cannot be read, and the refusal stands."""
    password = _anew(login.password_secret)
    one_time = _anew(login.otp_secret) if login.otp_secret is not None else None
    if password is None or (one_time is None and login.otp_secret is not None):
        return None
    return password, one_time


def _anew(secret: Secret) -> str | None:
    try:
        return secret.anew()
    except PagebindError:
        return None


def _static(token: str) -> str:
    return _checked(token.strip(), "[source] token", "check what the reference of [source] token leads to")


def _checked(token: str, what: str, fix: str) -> str:
    if not token:
        raise Refusal(AuthRefused(f"{what} is empty", fix=fix))
    if not token.isascii() or not token.isprintable() or token != token.strip():
        raise Refusal(AuthRefused(f"{what} holds characters that no token has", fix=fix))
    return token
