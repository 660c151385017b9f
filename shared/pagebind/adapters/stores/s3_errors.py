"""The errors of boto3 as those of `pagebind.errors`: one context manager around every request.

A message names the bucket, the store's own word for what went wrong, and never a credential or a signature. An answer
that lacks what S3 always says is not S3's: a web server answers 200 to anything, and boto3 takes that for success.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)

from pagebind.adapters.stores.no_answer import NotTheStore, Reason, address, reason
from pagebind.errors import AccessDenied, ConditionFailed, KeyMissing, KeyRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pagebind.errors import StoreError


class OutcomeUnknown(StoreUnavailable):
    """No answer, or one that leaves open whether the store has done what it was asked to."""


class WriteConflict(StoreUnavailable):
    """Another write to the same key was under way; this one has to begin anew, not only its last request."""


class UploadGone(StoreUnavailable):
    """The multipart upload is not there any more: completed, or aborted by somebody."""

    retryable = False


class PastTheEnd(StoreUnavailable):
    """The object ends before the byte that was asked for."""

    retryable = False


class NotOffered(StoreUnavailable):
    """The store does not know this kind of request."""

    retryable = False


class Request(NamedTuple):
    """What an error is about: the bucket, the permission that the request needs, the server, the key if it has one."""

    bucket: str
    permission: str
    endpoint: str
    key: str | None = None

    @property
    def server(self) -> str:
        """Its address, for people."""
        return address(self.endpoint)


class Demand(Protocol):
    """Gives the answer back if it has all of ``names``.

    Raises `OutcomeUnknown` where the rest was lost on the way, else `NotTheStore`.
    """

    def __call__(self, answer: dict[str, Any], *names: str) -> dict[str, Any]: ...


CREDENTIALS_FIX: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"

_CREDENTIALS = {
    "InvalidAccessKeyId": "check the access key: the store does not know it",
    "SignatureDoesNotMatch": "check the secret key, and the region: the store refuses the signature",
    "InvalidToken": "renew the session token",
    "ExpiredToken": "renew the credentials: they have expired",
    "ExpiredTokenException": "renew the credentials: they have expired",
    "TokenRefreshRequired": "renew the credentials: they have expired",
    "RequestTimeTooSkewed": "set this machine's clock: it is too far from the store's",
    "RequestExpired": "set this machine's clock: it is too far from the store's",
}
_BAD_KEYS = frozenset({"KeyTooLongError", "KeyTooLong", "InvalidObjectName", "XMinioInvalidObjectName", "InvalidURI"})
_OTHER_REGION = frozenset(
    {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "InvalidRegionName",
        "InvalidLocationConstraint",
    }
)
_DAMAGED_ON_THE_WAY = frozenset(
    {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"}
)
_NOT_KNOWN = frozenset({"NotImplemented", "MalformedXML"})
_CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_FORBIDDEN = frozenset({"AccessDenied", "AccessForbidden", "Forbidden", "UnauthorizedAccess"})
_FULL = frozenset({"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
_OPEN = frozenset({200, 500, 502, 503, 504})
"""Statuses that do not tell whether it was done; a completion may fail with 200."""

_OF_WEB_SERVERS = frozenset({301, 302, 303, 307, 308, 404, 405})
"""Statuses that S3 gives with a word of its own, also to a HEAD (in a header), or only for a key."""

_IS_IT_S3: Final = "is [store] endpoint that of an S3 server? correct it"
_REGION_HEADER = "x-amz-bucket-region"
_OF_EVERY_ANSWER = "x-amz-request-id"


@contextmanager
def translated(request: Request) -> Iterator[Demand]:
    """Raise what boto3 raises as one of Pagebind's errors; gives what an answer is to be looked through with.

    Raises:
        KeyMissing, ConditionFailed, KeyRefused, AccessDenied, StoreUnavailable: and the classes of this module.
    """

    def demand(answer: dict[str, Any], *names: str) -> dict[str, Any]:
        if not answer.keys() >= set(names):
            if _OF_EVERY_ANSWER in answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}):
                raise OutcomeUnknown(f"s3://{request.bucket}: an answer was cut short", path=request.key)
            raise _no_s3(f"s3://{request.bucket}: {request.server} answers, but not as S3 does", request)
        return answer

    try:
        yield demand
    except ClientError as error:
        raise _answered(error.response, request) from error
    except BotoCoreError as error:
        raise _unanswered(error, request) from error


def _answered(response: dict[str, Any], request: Request) -> StoreError:
    error, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    code = re.sub(r"[^A-Za-z0-9._-]", "", str(error.get("Code", "")))[:60] or str(status)
    headers = meta.get("HTTPHeaders", {})
    return (
        _of_place(code, str(error.get("Region") or headers.get(_REGION_HEADER) or ""), request)
        or _of_key(code, status, request)
        or _of_account(code, status, request)
        or _of_moment(code, status, request, headers)
    )


def _of_place(code: str, region: str, request: Request) -> StoreError | None:
    if code == "NoSuchBucket":
        return AccessDenied(
            f"there is no bucket {request.bucket}",
            fix="create it, or correct the bucket or the endpoint in [store]",
            path=request.key,
        )
    if code in _OTHER_REGION or (code == "301" and region):
        named = region if re.fullmatch(r"[A-Za-z0-9-]{1,40}", region) else "another"
        return AccessDenied(
            f"the bucket {request.bucket} is in {named if region else 'another'} region",
            fix=f'set region = "{named}" in [store]' if region else "set its region in [store]",
            path=request.key,
        )
    return None


def _of_key(code: str, status: int, request: Request) -> StoreError | None:
    path, what = request.key, request.key or "the key"
    if code in _BAD_KEYS:
        return KeyRefused(f"the store refuses the key {what!r}", fix="give the folder or file another name", path=path)
    if status == HTTPStatus.PRECONDITION_FAILED:
        return ConditionFailed(f"{what} exists, or holds another version", path=path)
    if code in _MISSING and path is not None:
        return KeyMissing(f"nothing stands under {path}", path=path)
    return _of_course(code, status, what, path)


def _of_course(code: str, status: int, what: str, path: str | None) -> StoreError | None:
    """What belongs to the course of things, and whoever asked deals with."""
    if code == "NoSuchUpload":
        return UploadGone(f"the upload of {what} is not there any more", path=path)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return PastTheEnd(f"{what} ends before that", path=path)
    if code in _CONFLICTS:
        return WriteConflict(f"{what} is being written by another process", path=path)
    return None


def _of_account(code: str, status: int, request: Request) -> StoreError | None:
    where = f"s3://{request.bucket}"
    if code in _CREDENTIALS:
        return AccessDenied(f"{where} refuses the credentials ({code})", fix=_CREDENTIALS[code], path=request.key)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AccessDenied(f"{where} refuses the request ({code})", fix=_grant(code, request), path=request.key)
    return None


def _grant(code: str, request: Request) -> str:
    """What may lift the refusal.

    Without a word of the store, as it is of a HEAD, it may be about anything. AWS answers 403 instead of 404 for a key
    that is not there, unless the account may list the bucket.
    """
    if not code.isdigit() and code not in _FORBIDDEN:
        return f"see the account, and the rules of the bucket {request.bucket}, at whoever runs the store"
    also = ", and s3:ListBucket" if request.permission == "s3:GetObject" else ""
    permission = f"allow this account {request.permission} on the bucket {request.bucket}{also}"
    return f"check the access key and the secret key; {permission}" if code.isdigit() else permission


def _of_moment(code: str, status: int, request: Request, headers: Mapping[str, str]) -> StoreError:
    where, is_bare = f"s3://{request.bucket}", code == str(status)
    said = f"{where}: the store answers {status}" if is_bare else f"{where}: the store answers {status} {code}"
    if is_bare and status in _OF_WEB_SERVERS:
        return _no_s3(f"{where}: {request.server} answers {status}, and no word of S3", request)
    fix = _way_out(code, status, is_bare=is_bare)
    if status == HTTPStatus.NOT_IMPLEMENTED or code in _NOT_KNOWN:
        return NotOffered(said, fix=fix, path=request.key)
    if code in _DAMAGED_ON_THE_WAY:
        return StoreUnavailable(f"{said}: what was sent was damaged on the way", fix=fix, path=request.key)
    asked = headers.get("retry-after", "")
    wait = float(asked) if asked.isascii() and asked.isdigit() else None
    kind = OutcomeUnknown if status in _OPEN else StoreUnavailable
    return kind(said, fix=fix, path=request.key, retry_after=wait)


def _way_out(code: str, status: int, *, is_bare: bool) -> str:
    if code in _FULL or status == HTTPStatus.INSUFFICIENT_STORAGE:
        return "free space in the store"
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return _IS_IT_S3 if is_bare else "the store does not offer this: choose another one"
    if status == HTTPStatus.BAD_REQUEST:
        return "check region, addressing, checksums and endpoint in [store]"
    later = "try again later"
    if is_bare and status == HTTPStatus.INTERNAL_SERVER_ERROR:  # boto3 says this of a body that it cannot read, too
        return f"{later}; {_IS_IT_S3}"
    return later


def _no_s3(said: str, request: Request) -> NotTheStore:
    return NotTheStore(said, fix=_IS_IT_S3, path=request.key)


def _unanswered(error: BotoCoreError, request: Request) -> StoreError:
    where, path = f"s3://{request.bucket}", request.key
    if isinstance(error, NoCredentialsError):
        return AccessDenied(f"{where}: no credentials were found", fix=CREDENTIALS_FIX, path=path)
    if isinstance(error, ParamValidationError):
        return AccessDenied(f"{where}: boto3 refuses the request", fix="correct the bucket in [store]", path=path)
    if isinstance(error, HTTPClientError | NoConnectionError | IncompleteReadError):
        why = Reason.BROKEN if isinstance(error, IncompleteReadError) else reason(error)
        said = f"{where}: no answer from {request.server} ({why})"
        return OutcomeUnknown(said, fix=_way_to(request.server, why), path=path)
    return StoreUnavailable(f"{where}: {type(error).__name__}", fix=CREDENTIALS_FIX, path=path)


def _way_to(server: str, why: Reason) -> str:
    match why:
        case Reason.TLS:
            return f"correct [store] endpoint: is it http://{server.removeprefix('https://')}?"
        case Reason.CERTIFICATE:
            return "let AWS_CA_BUNDLE name a file with the certificate of its authority"
        case Reason.NO_HOST | Reason.REFUSED:
            return "check the network, that the server runs, and [store] endpoint"
    return "check the network and [store] endpoint, or try again later"
