"""Tasks as they travel through a queue: JSON, checked when it arrives.

What stands in a body opens nothing but the one file of its task, by its sign. ``config`` is the digest of the
configuration by which it was made, so that an instance that knows an older one reads it anew.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from pagebind.errors import UsageError
from pagebind.ports.dispatch import FetchTask, FinalizeTask, Held

_Volume = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*\Z", max_length=100)]
_Page = Annotated[str, Meta(pattern=r"^[0-9a-f]{20}\Z")]
_Count = Annotated[int, Meta(ge=0)]
_Whole = Annotated[int, Meta(ge=1)]
_Path = Annotated[str, Meta(pattern="^/")]
_Link = Annotated[str, Meta(pattern=r"^(/|\Z)")]
"""Goes behind the server's address: with anything else in front it could name another server."""

_VALUE_REFUSED = re.compile(r"^Invalid .* - at (`\$[^`]*`)\Z", re.DOTALL)
"""What msgspec says of a word that is none of those allowed: it quotes the word."""

_LONGEST_QUOTE = 200  # characters; a field that is not known is named, however long its name is
_FIX = "`poll` makes tasks"


class _Held(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    key: str
    offset: _Count = 0
    version: str = ""
    crc32: _Count | None = None


class _Fetch(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    volume: _Volume
    page: _Page
    path: _Path
    subscription: _Path
    book_name: str
    size: _Count
    seq: _Whole
    epoch: _Whole
    hashes: dict[str, str] = {}
    sign: str = ""
    kind: Literal["page", "info", "archive"] = "page"
    held: _Held | None = None
    rename: bool = False
    anew: bool = False
    link: _Link = ""
    again: _Count = 0
    config: str = ""


class _Finalize(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    volume: _Volume
    seq: _Whole
    epoch: _Count
    attempt: _Count = 0
    existing: Literal["keep", "adopt", "replace"] = "keep"
    hash_check: Literal["warn", "strict", "off"] = "warn"
    without_info: bool = False
    asker: str = ""
    config: str = ""


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def dump(task: FetchTask | FinalizeTask, *, config: str) -> bytes:
    """The body of a task; what has its default is left out."""
    if isinstance(task, FinalizeTask):
        struct: msgspec.Struct = _Finalize(**task._asdict(), config=config)
    else:
        fields = {name: getattr(task, name) for name in FetchTask.__slots__}
        held = _Held(*task.held) if task.held else None
        struct = _Fetch(**{**fields, "hashes": dict(task.hashes), "held": held}, config=config)
    text = json.dumps(msgspec.to_builtins(struct), separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def load_fetch(content: bytes) -> tuple[FetchTask, str]:
    """A fetch task, and the digest of its configuration. Raises: UsageError: it is none."""
    fields = _fields(_load(content, _Fetch))
    held = fields.pop("held")
    config = fields.pop("config")
    return FetchTask(**fields, held=Held(**_fields(held)) if held else None), config


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


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
