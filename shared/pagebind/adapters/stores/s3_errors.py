"""The errors of boto3 as those of `pagebind.errors`: one context manager around every request.

A message names the bucket, the store's own word for what went wrong, and never a credential or a signature.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)

from pagebind.errors import AccessDenied, ConditionFailed, KeyMissing, KeyRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """What an error is about: the bucket, the permission that the request needs, and the key where it has one."""

    bucket: str
    permission: str
    key: str | None = None


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
_OPEN = frozenset({200, 500, 502, 503, 504})
"""Statuses that do not tell whether it was done; a completion may fail with 200."""

_REGION_HEADER = "x-amz-bucket-region"


@contextmanager
def translated(request: Request) -> Iterator[None]:
    """Raise what boto3 raises as one of Pagebind's errors.

    Raises:
        KeyMissing, ConditionFailed, KeyRefused, AccessDenied, StoreUnavailable: and the classes of this module.
    """
    try:
        yield
    except ClientError as error:
        raise _answered(error.response, request) from error
    except BotoCoreError as error:
        raise _unanswered(error, request) from error


def _answered(response: dict[str, Any], request: Request) -> StoreError:
    error, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    code = re.sub(r"[^A-Za-z0-9._-]", "", str(error.get("Code", "")))[:60] or str(status)
    headers = meta.get("HTTPHeaders", {})
    where = f"s3://{request.bucket}"
    return (
        _of_place(code, str(error.get("Region") or headers.get(_REGION_HEADER) or ""), request)
        or _of_key(code, status, request)
        or _of_account(code, status, request)
        or _of_moment(f"{where}: the store answers {status} {code}", code, status, request, headers)
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
        return AccessDenied(f"{where} refuses the request ({code})", fix=_grant(request), path=request.key)
    return None


def _grant(request: Request) -> str:
    """AWS answers 403 instead of 404 for a key that is not there, unless the account may list the bucket."""
    fix = f"allow this account {request.permission} on the bucket {request.bucket}"
    return f"{fix}, and s3:ListBucket" if request.permission == "s3:GetObject" else fix


def _of_moment(said: str, code: str, status: int, request: Request, headers: dict[str, str]) -> StoreError:
    if status == HTTPStatus.NOT_IMPLEMENTED or code in _NOT_KNOWN:
        return NotOffered(said, path=request.key)
    if code in _DAMAGED_ON_THE_WAY:
        return StoreUnavailable(f"{said}: what was sent was damaged on the way", path=request.key)
    asked = headers.get("retry-after", "")
    wait = float(asked) if asked.isascii() and asked.isdigit() else None
    if status in _OPEN:
        return OutcomeUnknown(said, path=request.key, retry_after=wait)
    return StoreUnavailable(said, path=request.key, retry_after=wait)


def _unanswered(error: BotoCoreError, request: Request) -> StoreError:
    where, kind = f"s3://{request.bucket}", type(error).__name__
    if isinstance(error, NoCredentialsError):
        return AccessDenied(f"{where}: no credentials were found", fix="see `connect`", path=request.key)
    if isinstance(error, ParamValidationError):
        return AccessDenied(
            f"{where}: boto3 refuses the request", fix="correct the bucket in [store]", path=request.key
        )
    if isinstance(error, HTTPClientError | NoConnectionError):
        return OutcomeUnknown(
            f"{where}: no answer ({kind})", fix="see whether the endpoint can be reached", path=request.key
        )
    return StoreUnavailable(f"{where}: {kind}", path=request.key)
