"""Readers of where things are kept: a folder, or a bucket with a prefix; and of an object in a bucket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from pagebind.config.place import is_one_line, shown
from pagebind.config.values import text, web_address
from pagebind.core.keys import is_key

if TYPE_CHECKING:
    from pagebind.config.place import Place

BUCKET_SCHEMES: Final = ("gs", "s3")

_BUCKET_NAMES: Final = {  # not compiled here: folders have no use for them
    # https://cloud.google.com/storage/docs/buckets#naming: up to 222 where there are dots, 63 between two of them.
    "gs": r"(?!.*[^.]{64})(?!\d+(?:\.\d+){3}$)[a-z0-9](?:[a-z0-9_-]{1,61}|[a-z0-9._-]{1,220})[a-z0-9]",
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    "s3": r"(?!.*\.\.)(?!\d+(?:\.\d+){3}$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
}
_BUCKET_LETTERS: Final = {
    "gs": "a-z, 0-9, -, _ and ., and no IP address",
    "s3": "a-z, 0-9, - and single dots, and no IP address",
}
_MEANT: Final = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}
_CREDENTIALS: Final = {
    "gs": "Google's default credentials are used",
    "s3": "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from where else boto3 looks",
}


def store_url(value: object, place: Place) -> str:
    """A folder as a ``file:///`` URL (an absolute path is taken too), or ``gs://`` or ``s3://`` with bucket and prefix.

    The URL has no ``/`` at its end.
    """
    written = text(value, place)
    scheme, colon, rest = written.partition(":")
    scheme = scheme.lower() if colon else ""
    if scheme in BUCKET_SCHEMES:
        return _joined(scheme, *_bucket(scheme, rest, place))
    if scheme == "file":
        return _folder(_path_of_file_url(rest, place), place)
    _refuse_other_addresses(scheme, written, place)
    _refuse_tilde(written, place)
    if not written.startswith("/"):
        raise place.unfit(
            value, "a folder as file:///absolute/path, nor a bucket as gs://bucket/prefix or s3://bucket/prefix"
        )
    return _folder(written, place)


def object_url(written: str, place: Place) -> str:
    """The ``gs://`` or ``s3://`` URL of one object."""
    scheme, _, rest = text(written, place).partition(":")
    scheme = scheme.lower()
    bucket, key = _bucket(scheme, rest, place)
    if not key or rest.endswith("/"):
        raise place.wrong("names no object", f"write {scheme}://{bucket}/pagebind.toml, or whatever it is called")
    return _joined(scheme, bucket, key)


def refuse_other_addresses_of_objects(written: str, place: Place) -> None:
    """Raise an error about what was meant to be the URL of an object, or of a file, but is another address of it."""
    scheme, colon, rest = written.partition(":")
    scheme = scheme.lower() if colon else ""
    if scheme in BUCKET_SCHEMES or scheme in _MEANT:
        scheme = _MEANT.get(scheme, scheme)
        raise place.wrong("is no URL of an object", f"write {scheme}://bucket/pagebind.toml")
    if scheme == "arn" or rest.startswith("//"):
        # Here, not above: only this mistake needs it.
        from pagebind.config.web_bucket import object_to_write

        raise place.wrong("is an address, neither a path nor the URL of an object", object_to_write(written))


def endpoint(value: object, place: Place) -> str:
    """The address of a server that speaks S3: no path, for the bucket stands in the store's URL."""
    address = web_address(value, place, credentials=_CREDENTIALS["s3"])
    scheme, _, rest = address.partition("://")
    host, slash, _ = rest.partition("/")
    if slash:
        raise place.wrong(
            "holds a path", f"write {scheme}://{host}; the bucket belongs into url, as s3://bucket/prefix"
        )
    return address


def _refuse_other_addresses(scheme: str, written: str, place: Place) -> None:
    """What people paste from a console or write for another program."""
    if scheme in _MEANT:
        raise place.wrong(f"begins with {scheme}:", f"write {_MEANT[scheme]}://bucket/prefix")
    if scheme in {"http", "https", "arn"}:
        # Here, not above: only this mistake needs it.
        from pagebind.config.web_bucket import what_to_write

        raise place.wrong("is the address of a bucket for browsers and programs, not its URL", what_to_write(written))


def _bucket(scheme: str, rest: str, place: Place) -> tuple[str, str]:
    """Bucket and prefix (or key) of what stands behind ``gs:`` or ``s3:``. Nothing that may be a secret is shown."""
    name, _, path = rest.removeprefix("//").partition("/")
    form = f"{scheme}://bucket/prefix"
    if not rest.startswith("//") or not name:
        raise place.wrong("names no bucket", f"write {form}")
    if "@" in name or ":" in name:
        raise place.wrong("holds a user, a password or a port", f"write only {form}; {_CREDENTIALS[scheme]}")
    if "?" in rest or "#" in rest:
        raise place.wrong("holds a ? or #", f"write only {form}")
    if not is_bucket(scheme, name):
        raise place.wrong(
            f"names {shown(name)}, which no bucket is called: 3 to 63 of {_BUCKET_LETTERS[scheme]}",
            f"write {form} with the name of your bucket",
        )
    path = path.removesuffix("/")
    if path and not is_key(path):
        raise place.wrong(
            "holds an empty, . or .. part or a backslash behind the bucket", f"write {form} with plain parts"
        )
    return name, path


def is_bucket(scheme: str, name: str) -> bool:
    """Whether a bucket of this kind can be called so."""
    return re.fullmatch(_BUCKET_NAMES[scheme], name) is not None


def _joined(scheme: str, bucket: str, path: str) -> str:
    return f"{scheme}://{bucket}/{path}" if path else f"{scheme}://{bucket}"


def _path_of_file_url(rest: str, place: Place) -> str:
    _refuse_tilde(rest.lstrip("/"), place)
    if "?" in rest or "#" in rest:
        raise place.wrong("holds a ? or #, which mean something else in a URL", "write %3F for ? and %23 for #")
    path = rest.removeprefix("//")
    if path == rest and not path.startswith("/"):
        raise place.wrong(f"is a relative path, {shown(rest)}", "write file:///absolute/path")
    if not path.startswith("/"):
        raise place.wrong(f"names a host, {shown(path.partition('/')[0])}", f"write file:///{path}")
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError as error:
        raise place.wrong("holds %-codes that are not UTF-8", "write the letters themselves") from error


def _refuse_tilde(path: str, place: Place) -> None:
    if path == "~" or path.startswith("~/"):
        raise place.wrong("holds a ~, which is not expanded", f"write file://{place.home or '/home/you'}{path[1:]}")


def _folder(path: str, place: Place) -> str:
    if not is_one_line(path) or ".." in path.split("/"):
        raise place.wrong("holds .. or a control character", "write the plain absolute path")
    # A path that begins with two slashes is another one to POSIX.
    return Path("/" + path.lstrip("/")).as_uri()
