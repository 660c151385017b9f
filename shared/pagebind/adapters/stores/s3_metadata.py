"""Metadata as HTTP headers carry it: ASCII without anything that a header would trim, fold or drop."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

_EMPTY = "%"
"""Stands for an empty value, which SeaweedFS drops; no encoded value looks like it."""

_PLAIN_IN_VALUES = "!#$&'()*+,/:;<=>?@[]^`{|}"


def encode(metadata: Mapping[str, str]) -> dict[str, str]:
    """Keys and values percent-encoded where they are not plain.

    An underscore in a key is encoded, too, for proxies drop headers that have one.
    """
    return {
        _quoted(key, "").replace("_", "%5F").replace("~", "%7E"): _quoted(value, _PLAIN_IN_VALUES) or _EMPTY
        for key, value in metadata.items()
    }


def decode(metadata: Mapping[str, str]) -> dict[str, str]:
    """The inverse of `encode`; an empty map where somebody else wrote what is not UTF-8."""
    try:
        return {_unquoted(key): _unquoted(value) for key, value in metadata.items()}
    except UnicodeDecodeError:
        return {}


def _quoted(text: str, plain: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe=plain)


def _unquoted(text: str) -> str:
    return "" if text == _EMPTY else unquote_to_bytes(text).decode("utf-8", "surrogatepass")
