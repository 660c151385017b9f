"""What an answer means: a value, or an error that says what is wrong and what to do.

Every answer of the API is HTTP 200 with ``{"code", "message", "data"}``, and only ``code`` counts. ``/d/`` links answer
errors the same way (Alist) or with an HTML page and a real status (OpenList since 4.1.2).
"""

from __future__ import annotations

import html
import re
from enum import Enum, auto
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from pagebind.core.model import Item
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

T = TypeVar("T")

OK: Final = 200
_MULTIPLE_CHOICES: Final = 300
_BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
_OTP_NEEDED: Final = 402
FORBIDDEN: Final = 403
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class Endpoint(Enum):
    """What was asked."""

    LOGIN = auto()
    ME = auto()
    SETTINGS = auto()
    STORAGES = auto()
    LIST = auto()
    GET = auto()
    LINK = auto()
    """A ``/d/`` link of the server itself."""
    DRIVE = auto()
    """The host that a ``/d/`` link was redirected to."""


class Remedy(Enum):
    """What may help at once."""

    NONE = auto()
    AGAIN = auto()
    LOGIN = auto()
    SIGN = auto()


class Refusal(Exception):  # not yet an error: somebody in this package may know the remedy
    """An answer that is no value, on its way to whoever knows the remedy. Only its ``error`` leaves the package."""

    def __init__(self, error: SourceError, remedy: Remedy = Remedy.NONE, *, code: int | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.remedy = remedy
        self.code = code


class Envelope(msgspec.Struct, Generic[T]):
    """The form of every answer of the API."""

    code: int
    message: str | None = None
    data: T | None = None


class LoginData(msgspec.Struct):
    """Of `POST /api/auth/login`."""

    token: str


class MeData(msgspec.Struct):
    """Of `GET /api/me`. ``role`` is a number, or a list of them in newer Alists."""

    username: str = ""
    base_path: str = "/"
    role: Any = None
    role_names: list[str] | None = None


class SettingsData(msgspec.Struct):
    """Of `GET /api/public/settings`."""

    version: str
    ignore_direct_link_params: str = ""


class ListData(msgspec.Struct):
    """Of `POST /api/fs/list`: one page. ``content`` is null for an empty folder and past the last page."""

    content: list[Item] | None = None
    total: int | None = None
    filtered_total: int | None = None


class GetData(msgspec.Struct):
    """Of `POST /api/fs/get`."""

    sign: str | None = None


class StorageRow(msgspec.Struct):
    """One drive of `GET /api/admin/storage/list`."""

    mount_path: str
    driver: str = ""
    status: str = ""


class StoragesData(msgspec.Struct):
    """Of `GET /api/admin/storage/list`."""

    content: list[StorageRow] | None = None


class Answer(NamedTuple):
    """What `judge` judges.

    Attributes:
        server: host and port that answered, for messages.
        path: what it was asked about, or None.
        status: of HTTP.
        content_type: without parameters.
        code: of the envelope, or None where the body is none.
        words: the server's own, as they may be shown: made so by a `Redactor`.
        meant: the same as they came, in small letters, to be understood and never shown.
        retry_after: seconds that the server asks to be left alone, or None.
    """

    server: str
    path: str | None
    status: int
    content_type: str
    code: int | None
    words: str
    meant: str = ""
    retry_after: float | None = None


def judge(endpoint: Endpoint, answer: Answer) -> Refusal:
    """The error that an answer is."""
    if endpoint in _LINKS:
        return _LINKS[endpoint](answer)
    if answer.code is None:
        return _no_envelope(endpoint, answer)
    if answer.code == UNAUTHORIZED and endpoint is not Endpoint.LOGIN:
        return _credentials_refused(answer)
    return _CALLS.get(endpoint, _call_refused)(answer)


_LOOK_AT_THE_SERVER: Final = "look at the server's own log"
_IS_IT_ALIST: Final = "is this an Alist or OpenList server? Check [source] url"
_FOLDER_PASSWORD: Final = "set the subscription's password, or give the account the right to read this folder"  # noqa: S105


def _no_envelope(endpoint: Endpoint, answer: Answer) -> Refusal:
    if answer.status == _TOO_MANY and endpoint is Endpoint.LOGIN:
        return _login_refused(answer)
    if answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR:
        error = ServerUnreachable(
            f"{answer.server} answered {_said(answer)}", fix=_LOOK_AT_THE_SERVER, retry_after=answer.retry_after
        )
        return Refusal(error, Remedy.AGAIN)
    if _MULTIPLE_CHOICES <= answer.status < _BAD_REQUEST:
        error = ServerUnreachable(
            f"{answer.server} redirects its API to {answer.words}", fix="set [source] url to where the server really is"
        )
        return Refusal(error)
    what = "JSON of another kind" if answer.content_type == "application/json" else _kind(answer) or "nothing"
    status = "" if answer.status == OK else f" with HTTP {answer.status}"
    return Refusal(
        ServerUnreachable(f"{answer.server} answered{status} {what} where an API should be", fix=_IS_IT_ALIST)
    )


def _call_refused(answer: Answer) -> Refusal:
    error = ServerUnreachable(f"{answer.server} answered {_said(answer)}", fix=_LOOK_AT_THE_SERVER)
    return Refusal(error, _again_if_passing(answer), code=answer.code)


def _login_refused(answer: Answer) -> Refusal:
    code = answer.code if answer.code is not None else answer.status
    if code == _TOO_MANY:
        return Refusal(
            LockedOut(
                f"{answer.server} refuses all logins from this address for a while: {_said(answer)}",
                fix="correct [source] username and password, and wait 5 minutes: each try before that restarts them",
                retry_after=answer.retry_after,
            )
        )
    if code == _OTP_NEEDED:
        return Refusal(
            AuthRefused(
                f"{answer.server} wants a one-time code: {_said(answer)}",
                fix="set [source] otp_secret, or check it and this machine's clock; a static token needs no code",
            )
        )
    if _BAD_REQUEST <= code < _TOO_MANY:
        return Refusal(
            AuthRefused(
                f"{answer.server} refused the login: {_said(answer)}", fix="check [source] username and password"
            )
        )
    return Refusal(
        ServerUnreachable(f"{answer.server} could not log in: {_said(answer)}", fix=_LOOK_AT_THE_SERVER),
        _again_if_passing(answer),
    )


def _credentials_refused(answer: Answer) -> Refusal:
    words = answer.meant
    stale = words.startswith(("token", "session"))
    if "guest" in words:
        fix = 'set [source] token, for example token = "env:ALIST_TOKEN"'
    elif "password has been changed" in words:
        fix = "put the new password where [source] password points to"
    elif "disabled" in words:
        fix = "enable the account on the server, or use another one"
    else:
        fix = "check [source] token: the server's own token as its settings show it, without the word Bearer"
    error = AuthRefused(f"{answer.server} refused the credentials: {_said(answer)}", fix=fix)
    return Refusal(error, Remedy.LOGIN if stale else Remedy.NONE, code=answer.code)


def _listing_refused(answer: Answer) -> Refusal:
    path, words = answer.path, answer.meant
    message = f"cannot list {path}: {_said(answer)}"
    if answer.code == FORBIDDEN and "refresh" in words:
        return Refusal(
            RefreshRefused(message, fix="give the account write permission there, or wait for the cache", path=path),
            code=answer.code,
        )
    fix, remedy = _LOOK_AT_THE_SERVER, Remedy.AGAIN
    if answer.code == FORBIDDEN and "relative path" in words:
        fix, remedy = "write the path without . and ..", Remedy.NONE
    elif answer.code == FORBIDDEN:
        fix, remedy = _FOLDER_PASSWORD, Remedy.NONE
    elif "not found" in words or "not a folder" in words:
        fix, remedy = "check the path and that its drive works (pagebind doctor)", Remedy.NONE
    elif answer.code is not None and answer.code < _TOO_MANY:
        remedy = Remedy.NONE
    error = ListingFailed(message, fix=fix, path=path, retry_after=answer.retry_after)
    return Refusal(error, remedy, code=answer.code)


def _page_refused(answer: Answer) -> Refusal:
    return _page_failed(answer, f"the server answered {_said(answer)}")


def _drive_refused(answer: Answer) -> Refusal:
    return _page_failed(answer, f"{answer.server}, where the server redirects to, answered {_said(answer)}")


def _page_failed(answer: Answer, what: str) -> Refusal:
    fix = _FOLDER_PASSWORD if answer.code == FORBIDDEN else ""
    error = PageFailed(f"{answer.path}: {what}", fix=fix, path=answer.path, retry_after=answer.retry_after)
    return Refusal(error, _again_if_passing(answer), code=answer.code)


def _link_refused(answer: Answer) -> Refusal:
    code = answer.code if answer.code is not None else answer.status
    if code == UNAUTHORIZED:
        error = SignRefused(
            f"{answer.path}: the server refuses the link: {_said(answer)}",
            fix="give the account the right to read this folder",
            path=answer.path,
        )
        return Refusal(error, Remedy.SIGN, code=code)
    return _page_refused(answer)


_LINKS: Final = {Endpoint.LINK: _link_refused, Endpoint.DRIVE: _drive_refused}
_CALLS: Final = {Endpoint.LOGIN: _login_refused, Endpoint.LIST: _listing_refused, Endpoint.GET: _page_refused}


def _again_if_passing(answer: Answer) -> Remedy:
    code = answer.code if answer.code is not None else answer.status
    passing = code == _TOO_MANY or code > _SERVER_ERROR or "please wait" in answer.meant
    return Remedy.AGAIN if passing else Remedy.NONE


def _said(answer: Answer) -> str:
    if answer.words:
        return f'"{answer.words}"'
    if answer.code is not None:
        return "success without data" if answer.code == OK else f"code {answer.code} without a reason"
    what = f" with {kind}" if (kind := _kind(answer)) else ""
    return f"HTTP {answer.status}{what}"


_KIND: Final = re.compile(r"(application|audio|font|image|multipart|text|video)/[a-z0-9.+-]{1,40}")


def _kind(answer: Answer) -> str:
    """The type of its content, as far as it is one: a header may say anything."""
    return answer.content_type if _KIND.fullmatch(answer.content_type) else ""


_PARAGRAPH: Final = re.compile(r"(?i)<p>([^<]*)</p>")


def words_of_page(body: bytes) -> str:
    """What an error page of OpenList says: the text of its paragraph, or nothing."""
    paragraph = _PARAGRAPH.search(body.decode("utf-8", "replace"))
    return html.unescape(paragraph[1]) if paragraph else ""


_LOOSE: Final = msgspec.json.Decoder(Envelope[Any])


def open_envelope(body: bytes) -> Envelope[Any] | None:
    """The body as an envelope with whatever data; None if it is none."""
    try:
        return _LOOSE.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):  # the last where lists lie in lists without end
        return None


def tolerant_listing(data: Any) -> ListData | None:
    """A page of a listing some of whose fields are null or of another type; None if it is no listing at all."""
    if not isinstance(data, dict) or not isinstance(content := data.get("content"), list | None):
        return None
    items = [_tolerant_item(entry) for entry in content] if content is not None else None
    total, filtered = _count(data.get("total")), _count(data.get("filtered_total"))
    return ListData(content=items, total=total, filtered_total=filtered)


def _count(value: Any) -> int | None:
    """A number that JSON may hold as a fraction, where it is one; ``true`` is none."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tolerant_item(entry: Any) -> Item:
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    text = {key: value for key in ("name", "modified", "sign") if isinstance(value := fields.get(key), str)}
    size, hashes = fields.get("size"), fields.get("hash_info")
    return Item(
        name=text.get("name", ""),
        size=_count(size) or 0,
        is_dir=fields.get("is_dir") is True,
        modified=text.get("modified", ""),
        sign=text.get("sign", ""),
        hash_info={k: v for k, v in hashes.items() if isinstance(v, str)} if isinstance(hashes, dict) else None,
    )
