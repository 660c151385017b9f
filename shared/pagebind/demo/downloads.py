"""The answers of `/d/` and `/p/`: files, or a redirect to where they are."""

from __future__ import annotations

import re
import time
import urllib.parse
from typing import TYPE_CHECKING

from pagebind.demo.accounts import Refused
from pagebind.demo.answers import Answer, Request, envelope, text, web_page
from pagebind.demo.bodies import Body, Pieces, Redirect
from pagebind.demo.faults import FILE_FAULTS, Fault, Faults
from pagebind.demo.tree import Tree, clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.demo.dialects import Dialect
    from pagebind.demo.drives import Entry
    from pagebind.demo.listings import Listings
    from pagebind.demo.signs import Signs

_KINDS = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "txt": "text/plain; charset=utf-8",
}
_GARBAGE = b"this is no picture. "


class Downloads:
    """Answers about files."""

    def __init__(self, dialect: Dialect, tree: Tree, signs: Signs, faults: Faults, listings: Listings) -> None:
        self._dialect = dialect
        self._tree = tree
        self._signs = signs
        self._faults = faults
        self._listings = listings

    def path(self, request: Request) -> str:
        """The absolute path that a download is about."""
        once = urllib.parse.unquote(request.path[2:], errors="replace")
        return clean(unescape(once) if self._dialect.unescapes_twice else once)

    def answer(self, request: Request) -> Answer:
        """The file, or why not; never raises."""
        path = self.path(request)
        struck = {fault.name: fault for fault in self._faults.strike(FILE_FAULTS, path, "file")}
        try:
            return self._answer(request, path, struck)
        except Refused as refused:
            return self.refusal(refused)

    def refusal(self, refused: Refused) -> Answer:
        """How this kind of server says no to a download."""
        if self._dialect.error_pages:
            page = self._dialect.error_page(refused.code, refused.message)
            return text(refused.code, page, "text/html; charset=utf-8")
        return envelope(refused.code, refused.message)

    def _answer(self, request: Request, path: str, struck: Mapping[str, Fault]) -> Answer:
        if "sign_expired" in struck:
            raise Refused(401, "sign expired")
        if self._listings.needs_sign(path):
            self._signs.check(path, request.query.get("sign", ""))
        replaced = _replaced(struck)
        if replaced is not None:
            return replaced
        entry, body = self._tree.open(path)
        if isinstance(body, Redirect):
            if request.path.startswith("/p/"):
                raise Refused(403, "proxy not allowed")
            return _redirect(body.url)
        answer = self._file(request, entry, _spoiled(body, struck), ranges="no_range" not in struck)
        return _interrupted(answer, struck)

    def _file(self, request: Request, entry: Entry, body: Body, *, ranges: bool) -> Answer:
        seconds = entry.modified // 1_000_000_000
        etag = f'"{seconds:x}-{entry.size:x}"'
        disposition = {"Content-Disposition": self._dialect.disposition(entry.name)}
        times = {"ETag": etag, "Last-Modified": _http_date(seconds)}
        if request.headers.get("if-none-match") == etag:
            return Answer(304, {**disposition, "ETag": etag}, Pieces([]))
        kind = _KINDS.get(entry.name.rpartition(".")[2].lower(), "application/octet-stream")
        headers = {"Accept-Ranges": "bytes", **disposition, "Content-Type": kind, **times}
        if not ranges:
            del headers["Accept-Ranges"]
        wanted = request.headers.get("range", "") if ranges else ""
        if request.headers.get("if-range", etag) != etag or not wanted.startswith("bytes="):
            return Answer(200, headers, body)
        part = byte_range(wanted, body.size)
        if part is None:
            answer = text(416, "invalid range: failed to overlap\n", "text/plain; charset=utf-8")
            answer.headers |= {**disposition, "Content-Range": f"bytes */{body.size}"}
            answer.headers |= times if self._dialect.error_pages else {}
            return answer
        start, stop = part
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{body.size}"
        return Answer(206, headers, body, start, stop)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop of a Range header with one range, or None where it lies outside."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return (max(size - int(last), 0), size) if int(last) and size else None
    start, stop = int(first), min(int(last) + 1, size) if last else size
    return (start, stop) if start < stop else None


def unescape(path: str) -> str:
    """Undo percent-encoding as strictly as Go does: where it is wrong nothing is left."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        return ""
    return urllib.parse.unquote(path, errors="replace")


def _http_date(seconds: int) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def _redirect(url: str) -> Answer:
    answer = text(302, f'<a href="{url}">Found</a>.\n\n', "text/html; charset=utf-8")
    answer.headers |= {
        "Location": url,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate",
    }
    return answer


def _replaced(struck: Mapping[str, Fault]) -> Answer | None:
    """What comes instead of the file, whatever the file is."""
    if "json200" in struck:
        fault = struck["json200"]
        return envelope(fault.code or 500, fault.message)
    if "redirect" in struck:
        return _redirect(struck["redirect"].url)
    return web_page() if "html" in struck else None


def _spoiled(body: Body, struck: Mapping[str, Fault]) -> Body:
    """The file's bytes as the faults make them."""
    if "zero" in struck:
        return Pieces([])
    if "long" in struck:
        return Pieces([body.read(), b"\0" * struck["long"].extra])
    if "wrong_bytes" in struck:
        right = struck["wrong_bytes"].after
        garbage = _GARBAGE * (body.size // len(_GARBAGE) + 1)
        return Pieces([body.read()[:right], garbage[: max(body.size - right, 0)]])
    return body


def _interrupted(answer: Answer, struck: Mapping[str, Fault]) -> Answer:
    for name in ("cut", "stall"):
        if name in struck:
            answer.stays = min(struck[name].after, answer.stop - answer.start)
            answer.stall = (struck[name].seconds or float("inf")) if name == "stall" else 0.0
    return answer
