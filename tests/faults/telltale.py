"""A server, and a drive behind it, that say back what they are told: tokens, passwords, codes, signs, links."""

from __future__ import annotations

import base64
import html
import json
import re
import textwrap
import urllib.parse
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.support.attended import Attended

from pagebind.demo.answers import Answer, Request, envelope, text

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

AS_SAID = "as it is"
"""The one form of `FORMS` that does not change it."""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    AS_SAID: str,
    "quoted as JSON": json.dumps,
    "quoted as JSON in JSON": lambda told: json.dumps(json.dumps(told, ensure_ascii=False)),
    "percent-encoded": lambda told: urllib.parse.quote(told, safe=""),
    "as in a form": urllib.parse.quote_plus,
    "escaped as HTML": html.escape,
    "as base64": _base64,
    "every character percent-encoded": lambda told: "".join(f"%{byte:02x}" for byte in told.encode()),
    "percent-encoded three times": lambda told: urllib.parse.quote(urllib.parse.quote(urllib.parse.quote(told, ""))),
    "as JSON escapes": lambda told: "".join(f"\\u{ord(one):04x}" for one in told),
    "as bytes of C": lambda told: "".join(f"\\x{byte:02X}" for byte in told.encode()),
    "as octal bytes": lambda told: "".join(f"\\{byte:03o}" for byte in told.encode()),
    "as numbers of HTML": lambda told: "".join(f"&#{ord(one)};" for one in told),
    "as hex numbers of HTML": lambda told: "".join(f"&#x{ord(one):x};" for one in told),
    "in capitals": str.upper,
    "as hex": lambda told: told.encode().hex(),
    "as hex of each byte": lambda told: told.encode().hex(" "),
    "as Go shows bytes": lambda told: f"[{' '.join(map(str, told.encode()))}]",
    "as base64 behind a user": lambda told: _base64(f"u:{told}"),
    "as base64 in JSON": lambda told: _base64(json.dumps({"a": told})),
    "as base64 in lines": lambda told: "\n".join(textwrap.wrap(_base64(told), 20)),
    "as base64 for URLs": lambda told: base64.urlsafe_b64encode(b"?" + told.encode()).decode().rstrip("="),
    "base64 of base64": lambda told: _base64(_base64(told)),
    "base32": lambda told: base64.b32encode(told.encode()).decode(),
    "with NULs": "\0".join,
    "with blanks": " ".join,
    "with soft hyphens": "\u00ad".join,
    "in wide letters": lambda told: "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in told),
    "in two words": lambda told: f"{told[: len(told) // 2]} {told[len(told) // 2 :]}",
    "without its ends": lambda told: told[1:-1],
    "its beginning": lambda told: f"{told[:20]}...",
    "its end": lambda told: f"...{told[-20:]}",
}
"""How servers say something back."""

ANSWERS: dict[str, Callable[[str], Answer]] = {
    **{f"code {code}": partial(envelope, code) for code in (400, 401, 402, 403, 429, 500)},
    "an error page": lambda words: text(401, f"<html><p>{html.escape(words)}</p></html>", "text/html"),
    "a stack trace": lambda words: text(500, f"panic: goroutine 1\n{words}\n", "text/plain"),
    "JSON of another kind": lambda words: text(400, json.dumps({"error": words}), "application/json"),
    "a redirect": lambda words: _redirect(f"/login?back={urllib.parse.quote(words)}"),
    "a redirect elsewhere": lambda words: _redirect(f"https://u:{urllib.parse.quote(words, safe='')}@other.test/?x=1"),
    "a redirect without a scheme": lambda words: _redirect(urllib.parse.quote(words[:200])),
    "a redirect to no URL": lambda words: _redirect(f"http://[{urllib.parse.quote(words[:200], safe='')}"),
    "a head that is none": lambda words: Answer(
        200, {"Content-Type": f"text/{urllib.parse.quote(words[:200], safe='')}"}, text(200, "x", "").body
    ),
    "a redirect to a host": lambda words: _redirect(f"http://{re.sub('[^A-Za-z0-9-]+', '.', words)}.test/x"),
    "a redirect to a host in capitals": lambda words: _redirect(
        f"https://{re.sub('[^A-Z0-9-]+', '.', words.upper())}.test"
    ),
    "a version": lambda words: envelope(200, "success", {"version": words, "content": words, "token": {"x": words}}),
    "names": lambda words: envelope(
        200,
        "success",
        {
            "username": words,
            "base_path": f"/{words}",
            "version": words.split()[-1],
            "content": [
                {"mount_path": f"/{words}", "driver": words, "status": words},
                {"mount_path": "/works", "driver": words, "status": "work"},
            ],
        },
    ),
}
"""The answers that hold it."""


def _redirect(location: str) -> Answer:
    answer = text(302, "", "text/html")
    answer.headers["Location"] = location
    return answer


def told_by(request: Request) -> Iterator[str]:
    """What a request holds that is worth saying back."""
    yield from (value for name, value in request.headers.items() if name in ("authorization", "cookie"))
    yield from request.query.values()
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return
    yield from (str(body[name]) for name in ("password", "otp_code") if body.get(name))


class Telltale(Attended):
    """A demo server that answers as it should, until it is asked to tell.

    Attributes:
        telling: requests that are answered by what they hold; empty: none is. ``login``, ``list``, ``get``, ``file``,
            ``me``, ``settings``, ``drives``.
        answer_by: makes such an answer of words.
        form: how the words hold what was told; where nothing was, what was the last time is told as
            it is: it may be of an earlier process.
        told: how often it did.
        elsewhere: the link of a file that another host has, by its URL's path; empty: this one has it.
    """

    telling: str = ""
    answer_by: Callable[[str], Answer] = staticmethod(ANSWERS["code 500"])
    form: Callable[[str], str] = staticmethod(FORMS[AS_SAID])
    told: int = 0
    _heard: tuple[str, ...] = ()
    elsewhere: Callable[[str], str] = staticmethod(lambda _: "")

    def answer(self, request: Request, stopping: threading.Event) -> Answer:
        now = tuple(told_by(request))
        before = self._heard if self.form is FORMS[AS_SAID] else ()
        self._heard = now or self._heard
        if not self.telling or self._kind(request) != self.telling:
            answer = super().answer(request, stopping)
            link = self.elsewhere(request.path) if answer.status == HTTPStatus.OK else ""
            return _redirect(link) if link else answer
        self.told += 1
        words = "; ".join(self.form(one) for one in now or before) or "nothing was said"
        return self.answer_by(f"I do not like {words}")

    def _kind(self, request: Request) -> str:
        if request.path.startswith("/d/"):
            return "file"
        return "drives" if "/storage/" in request.path else request.path.rpartition("/")[2]
