"""What Google Cloud Storage and its library say, as Pagebind's errors.

The texts of the library's errors hold addresses, those of uploads are as good as a key: none of them goes into a
message. Permissions: cloud.google.com/storage/docs/access-control/iam-json.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import urllib3
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage.exceptions import DataCorruption
from requests.exceptions import InvalidJSONError, InvalidSchema, InvalidURL, MissingSchema, RequestException

from pagebind.adapters.stores.no_answer import NotTheStore, Reason, address, reason
from pagebind.errors import AccessDenied, ConditionFailed, KeyMissing, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CREATE: Final = "storage.objects.create"
DELETE: Final = "storage.objects.delete"
GET: Final = "storage.objects.get"
LIST: Final = "storage.objects.list"

_PERMISSION = re.compile(r"storage\.(?:objects|buckets|multipartUploads)\.[a-zA-Z]+")
_NO_BUCKET = re.compile(r"bucket does not exist", re.IGNORECASE)


_EMULATOR = "STORAGE_EMULATOR_HOST"
"""The variable that sends Google's library to another server than Google's."""


class NoBucket(AccessDenied):
    """The bucket is not there, or not for this account to see."""


class Call(NamedTuple):
    """What was asked: of which bucket, about which key (None: the bucket itself), with the permission it takes."""

    bucket: str
    key: str | None
    permission: str

    @property
    def place(self) -> str:
        """The object, or the bucket, for people."""
        return f"the bucket {self.bucket}" if self.key is None else f"{self.key} in the bucket {self.bucket}"


@contextmanager
def in_plain_words(call: Call) -> Iterator[None]:
    """Turn what the library raises into a `StoreError`; whatever else is raised goes through as it is.

    Raises:
        KeyMissing: nothing stands under the key.
        ConditionFailed: another version stands there.
        AccessDenied: not with these credentials.
        StoreUnavailable: any other refusal, or no answer.
    """
    try:
        yield
    except GoogleAPICallError as error:
        headers = error.response.headers if error.response is not None else {}
        raise refusal(call, int(error.code or 0), str(error.message), headers) from error
    except DataCorruption as error:
        raise StoreUnavailable(f"{call.place} came damaged", path=call.key) from error
    except GoogleAuthError as error:
        if isinstance(error, TransportError) or error.retryable:
            raise no_answer(call, error) from error
        raise _refused_credentials(call) from error
    except (RequestException, urllib3.exceptions.HTTPError) as error:
        raise no_answer(call, error) from error


def refusal(call: Call, status: int, text: str, headers: Mapping[str, str]) -> StoreError:
    """The error that an answer of this status means; ``text`` is only looked into, never passed on."""
    match status:
        case HTTPStatus.PRECONDITION_FAILED:
            return ConditionFailed(f"{call.place} is not what it was to be", path=call.key)
        case HTTPStatus.NOT_FOUND if call.key is None or _NO_BUCKET.search(text):
            return no_bucket(call)
        case HTTPStatus.NOT_FOUND:
            return KeyMissing(f"nothing stands under {call.place}", path=call.key)
        case HTTPStatus.UNAUTHORIZED:
            return _refused_credentials(call)
        case HTTPStatus.FORBIDDEN:
            return _forbidden(call, text)
    wait = headers.get("Retry-After", "")
    return StoreUnavailable(
        f"{_server()} answers {status} for {call.place}",
        fix=_way_out(status),
        path=call.key,
        retry_after=float(wait) if wait.isascii() and wait.isdigit() else None,
    )


def _way_out(status: int) -> str:
    if status == HTTPStatus.NOT_IMPLEMENTED and os.environ.get(_EMULATOR):
        return f"correct {_EMULATOR}: this is no Google Cloud Storage"
    return "try again later" if status >= HTTPStatus.TOO_MANY_REQUESTS else "check the names of bucket and key"


def no_answer(call: Call, error: BaseException) -> StoreUnavailable:
    """The error of a request that was cut, timed out, never arrived, or got an answer that is none."""
    if isinstance(error, InvalidJSONError):
        return not_google(call)
    if isinstance(error, InvalidSchema | InvalidURL | MissingSchema):
        return NotTheStore(f"{_server()} is no URL", fix=f"put http:// or https:// before it: {_EMULATOR}")
    why = reason(error)
    return StoreUnavailable(f"{_server()} does not answer for {call.place}: {why}", fix=_way_to(why), path=call.key)


def not_google(call: Call) -> NotTheStore:
    """The error of an answer that Google Cloud Storage does not give: somebody else's."""
    return NotTheStore(
        f"{_server()} answers for {call.place}, but not as Google Cloud Storage does",
        fix=f"correct {_EMULATOR}"
        if os.environ.get(_EMULATOR)
        else "see what stands between here and Google: a portal?",
        path=call.key,
    )


@contextmanager
def as_an_object(call: Call) -> Iterator[None]:
    """Around what takes an answer apart: the library takes any for a JSON object. Raises: NotTheStore: it is none."""
    try:
        yield
    except AttributeError as error:
        raise not_google(call) from error


def _server() -> str:
    emulator = os.environ.get(_EMULATOR)
    return f"{_EMULATOR}={address(emulator)}" if emulator else "Google Cloud Storage"


def _way_to(why: Reason) -> str:
    emulator = os.environ.get(_EMULATOR)
    if not emulator:
        return "check the network, or try again later"
    if why is Reason.TLS:
        return f"correct {_EMULATOR}: is it http://?"
    return f"check the network, that the server runs, and {_EMULATOR}"


def no_bucket(call: Call) -> NoBucket:
    """The error of a bucket that is not there, or hidden: asking again is no use."""
    also = f", or {_EMULATOR}" if os.environ.get(_EMULATOR) else ""
    return NoBucket(
        f"the bucket {call.bucket} is missing, or not visible to this account",
        fix=f"make it, or correct its name in [store]{also}",
        path=call.key,
    )


def first_sentences(error: Exception) -> str:
    """What google-auth says in its first words, and in those of the error that it hands on in a tuple."""
    said = [str(part).strip().partition("\n")[0].partition(". ")[0].rstrip(".") for part in error.args or [error]]
    return ": ".join(part for part in said if part)


def _forbidden(call: Call, text: str) -> AccessDenied:
    """A refusal for want of a permission names it; any other is one of the bucket's own rules."""
    named = _PERMISSION.search(text)
    fix = f"grant {named.group() if named else call.permission} on the bucket {call.bucket} to this account"
    if not named:
        fix += "; if it has it, see the bucket's retention policy and billing"
    return AccessDenied(f"this account may not do that with {call.place}", fix=fix, path=call.key)


def _refused_credentials(call: Call) -> AccessDenied:
    return AccessDenied(
        f"Google refuses the credentials for {call.place}",
        fix="log in again (gcloud auth application-default login), or give the service account a valid key",
        path=call.key,
    )
