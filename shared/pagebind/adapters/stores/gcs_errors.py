"""What Google Cloud Storage and its library say, as Pagebind's errors.

The texts of the library's errors hold addresses, those of uploads are as good as a key: none of them goes into a
message. Permissions: cloud.google.com/storage/docs/access-control/iam-json.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import urllib3
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage.exceptions import DataCorruption
from requests.exceptions import RequestException

from pagebind.errors import AccessDenied, ConditionFailed, KeyMissing, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CREATE: Final = "storage.objects.create"
DELETE: Final = "storage.objects.delete"
GET: Final = "storage.objects.get"
LIST: Final = "storage.objects.list"

_PERMISSION = re.compile(r"storage\.(?:objects|buckets|multipartUploads)\.[a-zA-Z]+")
_NO_BUCKET = re.compile(r"bucket does not exist", re.IGNORECASE)


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
            raise no_answer(call) from error
        raise _refused_credentials(call) from error
    except (RequestException, urllib3.exceptions.HTTPError) as error:
        raise no_answer(call) from error


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
        f"Google Cloud Storage answers {status} for {call.place}",
        fix="try again later" if status >= HTTPStatus.TOO_MANY_REQUESTS else "check the names of bucket and key",
        path=call.key,
        retry_after=float(wait) if wait.isascii() and wait.isdigit() else None,
    )


def no_answer(call: Call) -> StoreUnavailable:
    """The error of a request that was cut, timed out, or never arrived."""
    return StoreUnavailable(
        f"Google Cloud Storage does not answer for {call.place}",
        fix="check the network, or try again later",
        path=call.key,
    )


def no_bucket(call: Call) -> AccessDenied:
    """The error of a bucket that is not there, or hidden: asking again is no use."""
    return AccessDenied(
        f"the bucket {call.bucket} is missing, or not visible to this account",
        fix="make it, or correct its name in [store]",
        path=call.key,
    )


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
