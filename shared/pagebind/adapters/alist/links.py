"""Links to files: ``/d/<absolute path>?sign=<sign>``."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from pagebind.ports.source import ServerInfo

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")
_OPENLIST_MAJOR: Final = 4
_TWICE_SINCE: Final = (3, 58)


def server_info(version: str, direct_link_params: str) -> ServerInfo:
    """Which server calls itself so.

    Alist has 3.x, OpenList 4.x. A build without a number (``dev``, ``rolling``) is told by the default of a setting
    that holds ``alist_ts`` or ``openlist_ts``.
    """
    number = _VERSION.match(version)
    openlist = int(number[1]) >= _OPENLIST_MAJOR if number else "openlist" in direct_link_params
    return ServerInfo(kind="openlist" if openlist else "alist", version=version.split(" ", 1)[0])


def percent_twice(server: ServerInfo) -> bool:
    """Whether the server unescapes ``/d`` paths twice: Alist since 3.58; a build without a number counts as new."""
    number = _VERSION.match(server.version)
    return server.kind == "alist" and (number is None or (int(number[1]), int(number[2])) >= _TWICE_SINCE)


def absolute(base_path: str, path: str) -> str:
    """The path as ``/d`` wants it, of one that the account sees below its base path."""
    return f"{base_path.rstrip('/')}/{path.lstrip('/')}"


def twice(absolute_path: str) -> str:
    """The path for a server that unescapes it twice: ``%`` itself is encoded once more."""
    return absolute_path.replace("%", "%25")


def link(server_url: str, absolute_path: str, sign: str) -> str:
    """The file's link. Halves of surrogate pairs, which the names of some drives hold, are for the server to judge."""
    query = f"?sign={quote(sign, safe='=:')}" if sign else ""
    return f"{server_url}/d{quote(absolute_path, errors='surrogatepass')}{query}"
