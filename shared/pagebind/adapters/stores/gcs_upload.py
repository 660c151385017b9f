"""Content of unknown length to Google Cloud Storage, in pieces, by a resumable upload.

An upload shows nothing until its last piece is in; one that is left alone is invisible, costs nothing and expires after
a week. After a piece that failed, or whose answer was lost, the store is asked what it has before the rest is sent, as
it wants it. Source: cloud.google.com/storage/docs/performing-resumable-uploads#status-check.
"""

from __future__ import annotations

import base64
import re
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import google_crc32c
from requests.exceptions import RequestException

from pagebind.adapters.stores.gcs_errors import Call, in_plain_words, no_answer, not_google, refusal
from pagebind.adapters.stores.retrying import again
from pagebind.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 4 * 2**20
"""Bytes that are sent, and sent again, at once; has to be a multiple of 256 KiB."""

_HELD = re.compile(r"bytes=0-(\d+)")


class Upload:
    """One upload under way.

    Args:
        http: the client's session.
        url: of the upload; whoever has it may write, so it goes nowhere.
        call: for errors.
    """

    def __init__(self, http: Any, url: str, call: Call, timeout: tuple[float, float]) -> None:
        self._http = http
        self._url = url
        self._call = call
        self._timeout = timeout
        self._held = 0
        self._in_doubt = False
        self._crc32c = 0

    def send(self, piece: bytes, *, last: bool) -> dict[str, Any]:
        """Append a piece; the new object's resource after the last one.

        Raises:
            ConditionFailed, AccessDenied, StoreUnavailable: the object was not written, or the answer was lost.
        """
        start = self._held
        end = start + len(piece)
        self._crc32c = google_crc32c.extend(self._crc32c, piece)
        resource: dict[str, Any] | None = None
        while resource is None and (last or self._held < end):
            before = self._held
            resource = again(partial(self._advance, piece, start, last=last), f"upload {self._call.key}")
            if resource is None and self._held <= before:
                raise self._not_whole()
        return resource or {}

    def _advance(self, piece: bytes, start: int, *, last: bool) -> dict[str, Any] | None:
        """Send what the store lacks of the piece that begins at byte ``start``; the resource if the object is made."""
        end = start + len(piece)
        if self._in_doubt:
            made = self._ask(b"", end, last=last)
            if made is not None or (self._held == end and not last):
                return made
        return self._ask(piece[self._held - start :], end, last=last)

    def _ask(self, rest: bytes, end: int, *, last: bool) -> dict[str, Any] | None:
        """One request; afterwards ``_held`` bytes are there. No bytes: the question how many there are."""
        before, self._in_doubt = self._held, True
        resource = self._put(rest, end, last=last)
        if not before <= self._held <= end:
            self._held = before
            raise self._not_whole()
        self._in_doubt = False
        return resource

    def _not_whole(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._call.place} was not taken whole", path=self._call.key)

    def _put(self, rest: bytes, end: int, *, last: bool) -> dict[str, Any] | None:
        """One request; the resource if the object is made."""
        span = f"{self._held}-{end - 1}" if rest else "*"
        headers = {"Content-Range": f"bytes {span}/{end if last else '*'}"}
        if last:
            headers["X-Goog-Hash"] = f"crc32c={encode_crc32c(self._crc32c)}"
        with in_plain_words(self._call):
            try:
                answer = self._http.put(self._url, data=rest, headers=headers, timeout=self._timeout)
            except RequestException as error:
                raise no_answer(self._call, error) from None  # its text holds the address of the upload
        if answer.status_code in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return self._made(answer)
        if answer.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise StoreUnavailable(f"the upload of {self._call.place} has expired", path=self._call.key)
        if answer.status_code != HTTPStatus.PERMANENT_REDIRECT:
            raise refusal(self._call, answer.status_code, answer.text, answer.headers)
        held = _HELD.fullmatch(answer.headers.get("Range", ""))
        self._held = int(held[1]) + 1 if held else 0
        return None

    def _made(self, answer: Any) -> dict[str, Any]:
        try:
            made = answer.json()
        except ValueError:
            made = None
        if not isinstance(made, dict) or "generation" not in made:
            raise not_google(self._call)
        return made


def pieces(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in pieces of `PIECE`, each with whether it is the last; no bytes at all are one empty piece."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) > PIECE:
            yield bytes(memoryview(waiting)[:PIECE]), False
            del waiting[:PIECE]
    yield bytes(waiting), True


def encode_crc32c(value: int) -> str:
    """As the store writes it: base64 of four bytes, the highest first."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def decode_crc32c(text: str | None) -> int | None:
    """The opposite of `encode_crc32c`; None where the store said nothing."""
    return int.from_bytes(base64.b64decode(text), "big") if text else None
