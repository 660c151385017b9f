"""What to write for the address of a bucket that was copied out of a browser or a console."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pagebind.config.place import is_one_line
from pagebind.config.store_url import is_bucket
from pagebind.core.keys import is_key

_FORMS: Final = "write gs://bucket/prefix or s3://bucket/prefix"
_OBJECT: Final = "write a path, or gs://bucket/pagebind.toml or s3://bucket/pagebind.toml"
_GOOGLE: Final = {"storage.googleapis.com", "storage.cloud.google.com"}
_GOOGLE_CONSOLE: Final = re.compile(r"/storage/browser/(?:_details/)?([^;?]*)")
_AWS: Final = re.compile(r"(?:(.+)\.)?s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com(?:\.cn)?")
_ARN: Final = re.compile(r"arn:aws[a-z-]*:s3:::(.*)")


def what_to_write(address: str) -> str:
    """The line that says it. Nothing is taken over that could be a credential."""
    arn = _ARN.fullmatch(address)
    if arn:
        return _line("s3", *_split(arn[1]))
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return _FORMS
    if "@" in address or not host:
        return _FORMS
    return _for_host(host, parts)


def object_to_write(address: str) -> str:
    """As `what_to_write`, for an object; how to reach its store must stand in the environment then."""
    line = what_to_write(address).replace("[store] endpoint", "PAGEBIND_STORE_ENDPOINT")
    return line if re.match(r"write [a-z0-9]+://[^/,]+/", line) and line != _FORMS else _OBJECT


def _for_host(host: str, parts: SplitResult) -> str:
    path = parts.path.strip("/")
    console = _GOOGLE_CONSOLE.match(parts.path)
    aws = _AWS.fullmatch(host)
    if host == "console.cloud.google.com" and console:
        return _line("gs", *_split(console[1].strip("/")))
    if host in _GOOGLE:
        return _line("gs", *_split(path))
    if host.endswith(".storage.googleapis.com"):
        return _line("gs", host.removesuffix(".storage.googleapis.com"), path)
    if aws and aws[1]:
        return _line("s3", aws[1], path)
    line = _line("s3", *_split(path))
    return line if aws or line == _FORMS else f"{line}, and {parts.scheme}://{parts.netloc} as [store] endpoint"


def _split(path: str) -> tuple[str, str]:
    bucket, _, prefix = path.partition("/")
    return bucket, prefix


def _line(scheme: str, bucket: str, prefix: str) -> str:
    if not is_bucket(scheme, bucket):
        return _FORMS
    sound = is_key(prefix) and is_one_line(prefix) and len(prefix) < len(_FORMS)
    return f"write {scheme}://{bucket}/{prefix}" if sound else f"write {scheme}://{bucket}"
