"""Tasks as they travel through a queue: JSON, checked when it arrives.

What stands in a body opens nothing but the one file of its task, by its sign. ``config`` is the digest of the
configuration by which it was made, so that an instance that knows an older one reads it anew.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from pagebind.core import keys
from pagebind.core.model import HASH_KINDS
from pagebind.core.zip_layout import local_header
from pagebind.errors import UsageError
from pagebind.ports.dispatch import FetchTask, FinalizeTask, Held

if TYPE_CHECKING:
    from collections.abc import Mapping

_Volume = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*\Z", max_length=100)]
_Page = Annotated[str, Meta(pattern=r"^[0-9a-f]{20}\Z")]
_Seq = Annotated[int, Meta(ge=1, le=999_999)]
_Epoch = Annotated[int, Meta(ge=1, le=9_999)]
"""Both have as many digits as they have in keys."""
_EpochOrNone = Annotated[int, Meta(ge=0, le=9_999)]
_Again = Annotated[int, Meta(ge=0, le=1_000_000)]
_Bytes = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Crc32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_SIGN = r"^[ -~]{0,1024}\Z"
_Sign = Annotated[str, Meta(pattern=_SIGN)]
_Asker = Annotated[str, Meta(pattern=r"^[0-9a-f]*\Z", max_length=32)]
_HashKind = Annotated[str, Meta(pattern=rf"^({'|'.join(HASH_KINDS)})\Z")]
_HASH = r"^[0-9a-fA-F]{1,64}\Z"
_Hash = Annotated[str, Meta(pattern=_HASH)]
_Name = Annotated[str, Meta(max_length=1024)]
"""No store takes longer keys or gives longer versions, and no drive has longer names."""
_Path = Annotated[str, Meta(pattern="^/")]
_Link = Annotated[str, Meta(pattern=r"^(/|\Z)")]
"""Goes behind the server's address: with anything else in front it could name another server."""

_VALUE_REFUSED = re.compile(r"^Invalid .* - at (`\$[^`]*`)\Z", re.DOTALL)
"""What msgspec says of a word that is none of those allowed: it quotes the word."""

_LONGEST_QUOTE = 200  # characters; a field that is not known is named, however long its name is
_FIX = "`poll` makes tasks"


class _Held(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    key: _Name
    offset: _Bytes = 0
    version: _Name = ""
    crc32: _Crc32 | None = None


class _Fetch(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    volume: _Volume
    page: _Page
    path: _Path
    subscription: _Path
    book_name: _Name
    size: _Bytes
    seq: _Seq
    epoch: _Epoch
    hashes: dict[_HashKind, _Hash] = {}
    sign: _Sign = ""
    kind: Literal["page", "info", "archive"] = "page"
    held: _Held | None = None
    rename: bool = False
    anew: bool = False
    link: _Link = ""
    again: _Again = 0
    asker: _Asker = ""
    config: str = ""


class _Finalize(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    volume: _Volume
    seq: _Seq
    epoch: _EpochOrNone
    attempt: _Again = 0
    existing: Literal["keep", "adopt", "replace"] = "keep"
    hash_check: Literal["warn", "strict", "off"] = "warn"
    without_info: bool = False
    asker: _Asker = ""
    config: str = ""


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def dump(task: FetchTask | FinalizeTask, *, config: str) -> bytes:
    """The body of a task; what has its default is left out.

    So are hashes that fetch cannot compute, and a sign that is none: fetch asks for another.
    """
    if isinstance(task, FinalizeTask):
        struct: msgspec.Struct = _Finalize(**task._asdict(), config=config)
    else:
        fields = task._asdict()
        held = _Held(*task.held) if task.held else None
        sign = task.sign if re.search(_SIGN, task.sign) else ""
        fields |= {"hashes": _computable(task.hashes), "held": held, "sign": sign}
        struct = _Fetch(**fields, config=config)
    text = json.dumps(msgspec.to_builtins(struct), separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def load_fetch(content: bytes) -> tuple[FetchTask, str]:
    """A fetch task, and the digest of its configuration. Raises: UsageError: it is none."""
    fields = _fields(_load(content, _Fetch))
    held = fields.pop("held")
    config = fields.pop("config")
    task = FetchTask(**fields, held=Held(**_fields(held)) if held else None)
    _check_names(task)
    return task, config


def load_finalize(content: bytes) -> tuple[FinalizeTask, str]:
    """A finalize task, and the digest of its configuration. Raises: UsageError: it is none."""
    fields = _fields(_load(content, _Finalize))
    config = fields.pop("config")
    return FinalizeTask(**fields), config


def _load(content: bytes, kind: type[_Struct]) -> _Struct:
    try:
        # Not decoded by msgspec: names on servers may hold halves of surrogate pairs, which it refuses.
        return msgspec.convert(json.loads(content), kind)
    except msgspec.ValidationError as error:
        said = _VALUE_REFUSED.sub(r"Invalid value - at \1", str(error)).encode("ascii", "backslashreplace").decode()
        raise UsageError(f"this is no task: {said[:_LONGEST_QUOTE]}", fix=_FIX) from None
    except (ValueError, RecursionError):
        raise UsageError("this is no task: it is no JSON", fix=_FIX) from None


def _check_names(task: FetchTask) -> None:
    """Raises: UsageError: no book can hold the page, or no store what is held. An archive has no name in a book."""
    if task.kind != "archive" and not _can_stand_in_a_book(task.book_name):
        raise UsageError("this is no task: no book can hold its `$.book_name`", fix=_FIX)
    if task.held and not keys.is_key(task.held.key):
        raise UsageError("this is no task: its `$.held.key` is no key", fix=_FIX)


def _can_stand_in_a_book(name: str) -> bool:
    try:
        local_header(name, 0, 0)
    except ValueError:
        return False
    return True


def _computable(hashes: Mapping[str, str]) -> dict[str, str]:
    """Drives list others too, in forms of their own."""
    return {kind: value for kind in HASH_KINDS if re.search(_HASH, value := hashes.get(kind, ""))}


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
