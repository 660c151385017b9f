"""Readers: a value of the file or the environment in, the typed value out, or a ConfigError in one line."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from pagebind.config.place import Place, is_one_line, kind_of, shown, suggestion
from pagebind.config.settings import Patterns
from pagebind.core.library_key import FIELDS, SUFFIXES
from pagebind.errors import ConfigError
from pagebind.ports.secrets import SecretReference

Reader = Callable[[object, Place], object]

_REFERENCES: Final = {
    "env": ("an env: reference without the name of a variable", "env:NAME"),
    "file": ("a file: reference without an absolute path", "file:/absolute/path"),
    "gcp": ("a gcp: reference without the name of a secret", "gcp:projects/PROJECT/secrets/NAME"),
    "aws": ("an aws: reference without the name of a secret or parameter", "aws:NAME"),
    "arn": ("the ARN of a secret, but no reference to it", "aws: and the ARN behind it"),
}
_NUMBER: Final = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_DURATION: Final = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")
_DURATION_UNITS: Final = (86_400, 3_600, 60, 1)
LONGEST: Final = 3650 * 86_400.0
"""Seconds of the longest time that can be meant: ten years. Clocks and calendars have room for it."""
_SIZE: Final = re.compile(rf"{_NUMBER}(k|M|G|Ki|Mi|Gi|)B?", re.IGNORECASE)
_SIZE_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_LARGEST: Final = 10**15
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "client-id",
        "connection",
        "content-length",
        "host",
        "range",
        "transfer-encoding",
    }
)
_FRAMING_HEADERS: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_SWITCH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_NAMING_FIELDS: Final = {"volume", "number", "chapter"}
_WIDTH: Final = r"0[1-9]"
_REGION: Final = r"[A-Za-z0-9_-]{1,63}"
_LANGUAGE: Final = r"[A-Za-z]{2,3}(?:-[0-9A-Za-z]{1,8}){0,4}"


def text(value: object, place: Place) -> str:
    """Any text but the empty one, on one line."""
    if not isinstance(value, str) or not value or not is_one_line(value):
        raise place.unfit(value, "a text of one line")
    return value


def username(value: object, place: Place) -> str:
    """A user's name, as it is: no secret."""
    name = text(value, place)
    if SecretReference.parse(name):
        raise place.wrong("is a reference; a user's name is no secret", "write the name itself")
    return name


def whole(least: int, most: int) -> Reader:
    """A whole number within bounds."""

    def read(value: object, place: Place) -> int:
        number = _from_text(value, int) if place.textual else value
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            raise place.unfit(value, f"a whole number from {least} to {most}")
        return number

    return read


def rate(value: object, place: Place) -> float:
    """Something per second; 0 is no limit."""
    number = _from_text(value, float) if place.textual else value
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number <= _LARGEST:
        raise place.unfit(value, "a number from 0 (no limit)")
    return float(number)


def _from_text(value: object, convert: Callable[[str], int | float]) -> object:
    try:
        return convert(str(value))
    except ValueError:
        return value


def switch(value: object, place: Place) -> bool:
    """True or false."""
    known = _SWITCH.get(str(value).lower()) if place.textual else value
    if not isinstance(known, bool):
        raise place.unfit(value, "true or false")
    return known


def parse_duration(written: str) -> float | None:
    """Seconds of ``10m``, ``1h30m``, ``1.5h``, ``2d`` or ``0``; None for anything else."""
    if written == "0":
        return 0.0
    match = _DURATION.fullmatch(written)
    if match is None or not written:
        return None
    return sum(float(number) * unit for number, unit in zip(match.groups("0"), _DURATION_UNITS, strict=True))


def duration(least: float) -> Reader:
    """A time, in seconds, of at least ``least`` seconds and at most ten years."""

    def read(value: object, place: Place) -> float:
        # A bare 0 is the only number without a unit that can be meant in one way only.
        is_zero = type(value) is int and value == 0
        seconds = 0.0 if is_zero else parse_duration(value) if isinstance(value, str) else None
        if seconds is None:
            raise place.unfit(value, 'a time such as "90s", "10m", "1h30m" or "2d"')
        if seconds < least:
            raise place.unfit(value, f"a time of at least {least:g} s")
        if seconds > LONGEST:
            raise place.unfit(value, "a time of at most 3650d")
        return seconds

    return read


def bandwidth(value: object, place: Place) -> int:
    """Bytes per second: a number, or a text such as ``5M`` (units of 1000; ``5Mi``: of 1024). 0 is no limit."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is not None:
            return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    raise place.unfit(value, 'bytes per second such as "5M", "500k" or 0 (no limit)')


def secret(value: object, place: Place) -> str:
    """A reference to a secret. In the environment also the secret itself: then the variable is the reference.

    The value is never part of a message: it may be the secret.
    """
    if not isinstance(value, str):
        raise place.wrong(f"is {kind_of(value)}, not a reference to a secret")
    if SecretReference.parse(value):
        return value
    scheme, colon, _ = value.partition(":")
    if colon and scheme in _REFERENCES:
        lacking, written = _REFERENCES[scheme]
        raise place.wrong(f"is {lacking}", f"write {written}")
    if place.textual:
        return f"env:{place.name}"
    raise place.wrong("is no reference, and a secret itself is never written in this file")


def secrets(value: object, place: Place) -> tuple[str, ...]:
    """References to secrets, each once. Values are never part of a message: they may be the secrets.

    In the environment they are parted by commas, or the value is the secret itself, which may hold commas.
    """
    listed = value
    if place.textual and isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        listed = parts if all(SecretReference.parse(part) for part in parts) else [value]
    if not isinstance(listed, list):
        raise place.wrong(f"is {kind_of(value)}, not a list of references to secrets")
    return tuple(dict.fromkeys(secret(one, place) for one in listed))


def secret_headers(value: object, place: Place) -> Mapping[str, str]:
    """References to the values of headers, by name. Values are never part of a message."""
    named = headers(value, place, own=_FRAMING_HEADERS)
    return {name: secret(reference, place._replace(name=f"{place.name}, {name},")) for name, reference in named.items()}


def hook_url(value: object, place: Place) -> str:
    """The address that a reader is called at; a query may stand in it, and is never part of a message."""
    address, mark, query = text(value, place).partition("?")
    if "#" in address + query or not is_one_line(query) or " " in query:
        raise place.wrong("holds a #, or a blank behind its ?")
    return web_address(address, place, credentials="secrets belong in headers", slash=True) + mark + query


def choices(*known: str) -> Reader:
    """Some of these words, each once, in this order; in the environment parted by commas."""
    expected = f"a list of some of {', '.join(known)}"

    def read(value: object, place: Place) -> tuple[str, ...]:
        listed = [one.strip() for one in value.split(",")] if place.textual and isinstance(value, str) else value
        if not isinstance(listed, list):
            raise place.unfit(value, expected)
        if not listed:
            raise place.wrong("is empty")
        for one in listed:
            if one not in known:
                raise place.wrong(f"holds {shown(one)}, which is none of {', '.join(known)}")
        return tuple(word for word in known if word in listed)

    return read


def web_url(value: object, place: Place) -> str:
    """The address of the server, without a trailing ``/``."""
    return web_address(value, place, credentials="use username and password, or token")


def web_address(value: object, place: Place, *, credentials: str, slash: bool = False) -> str:
    """An address on http or https; ``credentials`` says where they belong instead; ``slash``: keep one at its end."""
    address = text(value, place)
    scheme, separator, rest = address.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise place.unfit(value, "an address that begins with http:// or https://")
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0 and " " not in address
    except ValueError:
        usable = False
    if "@" in rest.partition("/")[0]:
        raise place.wrong("holds a user or password", f"take it out; {credentials}")
    if not usable:
        raise place.unfit(value, "the address of a server")
    if "?" in rest or "#" in rest:
        raise place.wrong("holds a ? or #; only the address of the server belongs there")
    return f"{scheme.lower()}://{rest if slash else rest.rstrip('/')}"


def headers(value: object, place: Place, own: frozenset[str] = _OWN_HEADERS) -> Mapping[str, str]:
    """Headers by name, none of Pagebind's ``own``. Values are never part of a message: one may be a cookie."""
    if not isinstance(value, dict):
        raise place.wrong(f"is {kind_of(value)}, not a table of texts")
    seen: set[str] = set()
    for name, content in value.items():
        if not _HEADER_NAME.fullmatch(name):
            raise place.wrong(f"holds {shown(name)}, which is no name of a header")
        if name.lower() in own:
            raise place.wrong(f"sets {name}, which is Pagebind's own", f"take {name} out")
        if name.lower() in seen:
            raise place.wrong(f"sets {name} twice", f"leave one {name}")
        seen.add(name.lower())
        if not isinstance(content, str) or not (content.isascii() and content.isprintable()):
            raise place.wrong(f"gives {name} a value that is not one line of ASCII text")
    return dict(value)


def server_path(value: object, place: Place) -> str:
    """An absolute path on the server, without a trailing ``/``."""
    path = text(value, place)
    parts = path.rstrip("/").split("/")[1:]
    if not path.startswith("/"):
        raise place.unfit(value, "a path on the server that begins with /")
    if any(part in {"", ".", ".."} for part in parts):
        raise place.unfit(value, "a plain path without empty, . and .. parts")
    return path.rstrip("/") or "/"


def patterns(value: object, place: Place) -> Patterns:
    """Gitignore patterns."""
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise place.unfit(value, "a list of texts")
    try:
        return Patterns(tuple(value))
    except ConfigError as error:
        raise place.wrong(f"is wrong: {error.message}") from error


def choice(*known: str) -> Reader:
    """One of these words."""
    expected = " or ".join(f'"{word}"' for word in known)

    def read(value: object, place: Place) -> str:
        if not isinstance(value, str) or value not in known:
            raise place.unfit(value, expected)
        return value

    return read


def expressions(value: object, place: Place) -> tuple[str, ...]:
    """Regular expressions, none of which matches where there is nothing."""
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise place.unfit(value, "a list of texts")
    for line in value:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of what [[ may mean one day
                matches_nothing = re.compile(line, re.IGNORECASE).search("") is not None
        except (re.error, OverflowError, RecursionError) as error:
            raise place.wrong(f"is wrong: {shown(line)} is not a regular expression") from error
        if matches_nothing:
            raise place.wrong(f"is wrong: {shown(line)} matches the empty text")
    return tuple(value)


def series(value: object, place: Place) -> str:
    """The name of a series."""
    name = text(value, place).strip()
    if not name:
        raise place.unfit(value, "a name")
    return name


def region(value: object, place: Place) -> str:
    """The name of a region, as an S3 provider writes it."""
    if not isinstance(value, str) or not re.fullmatch(_REGION, value):
        raise place.unfit(value, 'a region such as "eu-central-1" or "auto"')
    return value


def function_url(value: object, place: Place) -> str:
    """The address of a function, without a trailing ``/``."""
    return web_address(value, place, credentials="calls carry the identity of service_account")


def queue(value: object, place: Place) -> str:
    """The whole name of a queue of Cloud Tasks."""
    if not isinstance(value, str) or not re.fullmatch(
        r"projects/[^/\s]+/locations/[^/\s]+/queues/[A-Za-z0-9-]+", value
    ):
        raise place.unfit(value, "the name of a queue, projects/PROJECT/locations/LOCATION/queues/QUEUE")
    return value


def service_account(value: object, place: Place) -> str:
    """The e-mail address of a service account."""
    if not isinstance(value, str) or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise place.unfit(value, "the e-mail address of a service account")
    return value


def language(value: object, place: Place) -> str:
    """A language as BCP 47 writes it: ISO 639-1, with a region or script where it matters."""
    if not isinstance(value, str) or not re.fullmatch(_LANGUAGE, value):
        raise place.unfit(value, 'a language such as "ja", "en" or "pt-BR"')
    primary, dash, region = value.partition("-")
    return primary.lower() + dash + region


def layout(value: object, place: Place) -> str:
    """How folders become volumes: ``auto``, or a pattern that `parse_layout` takes."""
    if value == "auto":
        return "auto"
    if not isinstance(value, str) or not is_one_line(value) or "{" not in value:
        raise place.unfit(value, '"auto" or a pattern such as "{series}/{volume}"')
    # Here, not above: most configurations do without.
    from pagebind.core.layout_pattern import FIELDS, parse_layout

    _refuse_unknown_fields(value, FIELDS, place)
    try:
        parse_layout(value)
    except ValueError as error:
        raise place.wrong(f"{error}", 'write for example layout = "{series}/{volume}"') from error
    return value


def _refuse_unknown_fields(template: str, known: tuple[str, ...], place: Place) -> None:
    for name in _FIELD.findall(template):
        if name not in known:
            fix = suggestion(f"{{{name}}}", [f"{{{field}}}" for field in known])
            raise place.wrong(f"uses the unknown field {_in_line(name)}", fix)


def _in_line(field: str) -> str:
    return f"{{{field}}}" if is_one_line(field) else shown(field)


def library_key(value: object, place: Place) -> str:
    """The template of a book's key."""
    template = text(value, place)
    plain = _FIELD.sub(lambda field: _without_width(field[1], place), template)
    _refuse_unknown_fields(plain, FIELDS, place)
    rest = _FIELD.sub("", template)
    if "{" in rest or "}" in rest:
        raise place.unfit(value, "a template with each { closed by a }")
    if not _NAMING_FIELDS.intersection(_FIELD.findall(plain)):
        raise place.wrong("lacks {volume}, {number} and {chapter}: all volumes of a series would be one book")
    if not template.endswith(SUFFIXES):
        raise place.unfit(value, "a name that ends with .cbz or .{ext}")
    if "\\" in template or any(part in {"", ".", "..", *SUFFIXES} for part in template.split("/")):
        raise place.unfit(value, "a relative path with / between its parts")
    return template


def _without_width(field: str, place: Place) -> str:
    name, colon, width = field.partition(":")
    if colon and name in FIELDS and not (name == "number" and re.fullmatch(_WIDTH, width)):
        raise place.wrong(
            f"uses {{{field}}}, but only {{number}} takes a width, as {{number:03}}",
            "write {number:03}" if name == "number" else f"write {{{name}}}",
        )
    return f"{{{name if name in FIELDS else field}}}"
