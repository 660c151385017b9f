"""Users, logins, tokens and the lockout."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagebind.demo.dialects import Dialect

GUEST, ADMIN = 1, 2
_ROLE_NAMES = {GUEST: "guest", ADMIN: "admin"}

HASH_SALT = "-https://github.com/alist-org/alist"
"""What both servers put after a password before they hash it for ``/api/auth/login/hash``."""

BYPASS_PASSWORDS, WRITE = 1 << 1, 1 << 3
"""Bits of a permission: folders without their password; writing, which ``refresh`` needs too."""

_FAILURES = 5
_LOCKED_SECONDS = 5 * 60
_TOKEN_SECONDS = 48 * 3600
_LOCKED = (
    "Too many unsuccessful sign-in attempts have been made using an incorrect username or password, Try again later."
)


class Refused(Exception):  # it is an answer, not a failure of this server
    """A request that is answered with a code other than 200."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class User:
    """An account. ``password`` is kept as it is: nobody's real password belongs here."""

    name: str
    password: str = ""
    base_path: str = "/"
    permission: int = 0
    role: int = 0
    disabled: bool = False
    otp_secret: str = ""
    number: int = 0
    password_changes: int = 0

    @property
    def admin(self) -> bool:
        """Whether it may do everything."""
        return self.role == ADMIN

    @property
    def role_name(self) -> str:
        """What newer servers call its role."""
        return _ROLE_NAMES.get(self.role, "reader")

    def may(self, bit: int) -> bool:
        """Whether the permission is among its own."""
        return self.admin or bool(self.permission & bit)


@dataclass(frozen=True, slots=True)
class Session:
    """What a JWT stands for."""

    user: str
    device: str
    issued: float
    password_changes: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. ``static``: by the static token."""

    user: User
    static: bool = False


def totp(secret: str, when: float) -> str:
    """The six digits of RFC 6238 for a base-32 secret at ``when`` (seconds since the epoch)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    digest = hmac.digest(key, struct.pack(">Q", int(when) // 30), "sha1")
    offset = digest[-1] & 15
    number = int(struct.unpack_from(">I", digest, offset)[0]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class Accounts:
    """All users of one server, their sessions, and the failed logins of each address."""

    def __init__(self, dialect: Dialect, clock: Callable[[], float], token: str) -> None:
        self._dialect = dialect
        self._clock = clock
        self.token = token
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._inactive_devices: set[str] = set()
        self._failures: dict[str, tuple[int, float]] = {}
        admin, guest = (1, 2) if dialect.admin_id == 1 else (2, 1)
        self.add(
            User("admin", "adminpw", permission=dialect.admin_permission, role=ADMIN, number=admin),
        )
        self.add(User("guest", role=GUEST, number=guest, disabled=True))

    def add(self, user: User) -> User:
        """Make a user known, or replace the one of that name."""
        user.number = user.number or len(self._users) + 1
        self._users[user.name] = user
        return user

    def __getitem__(self, name: str) -> User:
        """The user of that name. Raises: KeyError."""
        return self._users[name]

    def change_password(self, name: str, password: str) -> None:
        """Set a password, even to the same: sessions from before are refused from now on."""
        user = self._users[name]
        user.password = password
        user.password_changes += 1

    def forget_sessions(self) -> None:
        """What a restart does: no JWT is known any more, and nobody is locked out."""
        self._sessions.clear()
        self._inactive_devices.clear()
        self._failures.clear()

    def login(self, body: dict[str, Any], address: str, client: str, *, hashed: bool) -> dict[str, str]:
        """The data of a login. Raises: Refused."""
        if not body.get("username"):
            raise Refused(
                400, "Key: 'LoginReq.Username' Error:Field validation for 'Username' failed on the 'required' tag"
            )
        self._refuse_locked(address)
        try:
            user = self._checked(body, hashed=hashed)
        except Refused:
            count, _ = self._failures.get(address, (0, 0.0))
            self._failures[address] = (count + 1, self._clock())
            raise
        self._failures.pop(address, None)
        return self._new_session(user, client)

    def _refuse_locked(self, address: str) -> None:
        count, last = self._failures.get(address, (0, 0.0))
        if count < _FAILURES:
            return
        if self._clock() - last >= _LOCKED_SECONDS:
            del self._failures[address]
            return
        self._failures[address] = (count, self._clock())
        raise Refused(429, _LOCKED)

    def _checked(self, body: dict[str, Any], *, hashed: bool) -> User:
        user = self._users.get(str(body["username"]))
        if user is None:
            raise Refused(*self._dialect.unknown_user)
        sent = str(body.get("password", ""))
        wanted = hashlib.sha256((user.password + HASH_SALT).encode()).hexdigest() if hashed else user.password
        if not hmac.compare_digest(sent.encode(), wanted.encode()):
            raise Refused(*self._dialect.wrong_password)
        if user.otp_secret and body.get("otp_code") not in self._codes(user.otp_secret):
            raise Refused(402, "Invalid 2FA code")
        return user

    def _codes(self, secret: str) -> set[str]:
        return {totp(secret, self._clock() + drift) for drift in (-30, 0, 30)}

    def _new_session(self, user: User, client: str) -> dict[str, str]:
        device = hashlib.md5(f"{user.number}-{client}".encode()).hexdigest()
        claims = {"username": user.name, "pwd_ts": user.password_changes, "iat": int(self._clock())}
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        token = ".".join([*parts, _base64(secrets.token_bytes(32))])
        self._sessions[token] = Session(user.name, device, self._clock(), user.password_changes)
        self._inactive_devices.discard(device)
        return {"device_key": device, "token": token} if self._dialect.devices else {"token": token}

    def logout(self, token: str) -> None:
        """End a session; newer Alist ends its whole device."""
        session = self._sessions.pop(token, None)
        if session is not None and self._dialect.devices:
            self._inactive_devices.add(session.device)

    def caller(self, token: str) -> Caller:
        """Who sends this ``Authorization``; without one it is the guest. Raises: Refused."""
        if not token:
            return Caller(self._guest())
        if token == self.token:
            return Caller(self._users["admin"], static=True)
        session = self._sessions.get(token)
        if session is None:
            raise Refused(401, "token is invalidated")
        if self._clock() - session.issued >= _TOKEN_SECONDS:
            raise Refused(401, "token is expired")
        user = self._users[session.user]
        if user.password_changes != session.password_changes:
            raise Refused(401, "Password has been changed, login please")
        if user.disabled:
            raise Refused(401, "Current user is disabled, replace please")
        if session.device in self._inactive_devices:
            raise Refused(401, "session inactive")
        return Caller(user)

    def _guest(self) -> User:
        guest = self._users["guest"]
        if guest.disabled:
            raise Refused(401, "Guest user is disabled, login please")
        return guest


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
