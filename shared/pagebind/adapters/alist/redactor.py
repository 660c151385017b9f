"""What a server says, made fit to be shown: the one way into messages, logs and reports.

A server, and a drive that it sends Pagebind to, may say anything, also what they were told: tokens, passwords, signs.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final
from unicodedata import normalize
from urllib.parse import unquote

from pagebind.errors import PagebindError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HIDDEN: Final = "***"

_RUN: Final = 8
"""So many characters of a secret in a row are not shown; of a shorter one the whole."""
_SHORTEST: Final = 4
"""Characters of the shortest secret that is looked for within words: shorter ones are in any text."""
_HEX_RUN: Final = 16
_DECIMAL_RUN: Final = 16
"""Digits; eight bytes have at least so many."""
_BASE64_RUN: Final = 10
"""So many digits tell eight bytes wherever they begin."""
_LAYERS: Final = 3
_LONGEST_WORDS: Final = 300
_LONGEST_MESSAGE: Final = 8 * _LONGEST_WORDS

_ECHO: Final = re.compile(r", error found in #|, bigger context ")
_URL: Final = re.compile(r"(?i)\b(https?)://(?:[^\s/\"'<>?#]*@)?([^\s/\"'<>?#@]+)[^\s\"'<>]*")
_SECRET_PAIR: Final = re.compile(
    r"(?ix) \b ((?:access_?|refresh_?)?token | sign | password | otp_code)"
    r""" (\\?["'])? \s* [=:] \s* (\\?["'])? [^\s&"'\\,}]+"""
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_=+/.%\\&#;-]{24,}")
"""What may be a token, in whatever form; only `_NAMES` are none."""
_NAME: Final = r"(?:(?:[A-Z]?[a-z]{1,15}(?:[A-Z][a-z]{2,14}){0,4}|[A-Z]{1,15})\d{0,3}|\d{1,4})"
_NAMES: Final = re.compile(rf"{_NAME}(?:[/._-]{_NAME})*")
"""Words, and numbers of a few digits, as paths and names of functions join them."""
_NUMBERS: Final = re.compile(r"(?i)(?:\b(?:0x)?[0-9a-f]{1,3}\b[\s,;:|]*){8,}")
"""Bytes, one by one."""
_ESCAPE: Final = re.compile(
    r"(?i)\\+u\{?([0-9a-f]{2,6})\}?|\\+x([0-9a-f]{2})|\b0x([0-9a-f]{2})\b|\bu\+([0-9a-f]{4,6})|\\+([0-3][0-7]{2})"
)
_OCTAL: Final = 5
_PREFIX: Final = re.compile(r"(?:alist|openlist)-")
"""How the servers' own tokens begin: no secret, and in many a host's name."""


_WORD: Final = re.compile(r"\w+")


class Redactor:
    """Shows what servers say, without the secrets that it knows of.

    Args:
        in_use: gives the secrets that the client has in use at this moment; where it fails, nothing is shown at all.
        more: others that were sent, or that are about to be.
    """

    def __init__(self, in_use: Callable[[], Iterable[str]], *more: str) -> None:
        self._in_use = in_use
        self._more = more

    def knowing(self, *more: str, ask: Callable[[], str] = str) -> Redactor:
        """One that knows of more secrets, and of one that ``ask`` gives when it is needed; as the first it may fail."""
        return Redactor(lambda: (*self._in_use(), ask()), *self._more, *more)

    def words(self, message: str | None) -> str:
        """A message in one line, without links, without an echo of what was sent, without anything like a token."""
        text = said(message)
        if (secrets := self._secrets()) is None:
            return text and HIDDEN
        text = _URL.sub(lambda url: f"{url[1]}://{secrets.unless_in(url[2])}/...", text)
        text = _SECRET_PAIR.sub(rf"\1={HIDDEN}", text)
        text = _TOKEN.sub(lambda run: run[0] if _NAMES.fullmatch(run[0].strip("/.=;")) else HIDDEN, text)
        text = _NUMBERS.sub(f"{HIDDEN} ", text)
        text = re.sub(r"\S+", lambda word: secrets.unless_in(word[0]), text)
        return _one_line(secrets.unless_in(text))

    def name(self, text: str) -> str:
        """A name that a server gives, of a host, a user, a version: the whole of it, unless a secret is in it."""
        secrets = self._secrets()
        return HIDDEN if secrets is None else _one_line(secrets.unless_in(text[:_LONGEST_MESSAGE]))

    def _secrets(self) -> _Secrets | None:
        try:
            return _Secrets({*self._in_use(), *self._more})
        except PagebindError:
            return None


def said(message: str | None) -> str:
    """What a server said of its own, as it said it: to be understood, not to be shown."""
    return _ECHO.split((message or "")[:_LONGEST_MESSAGE], maxsplit=1)[0]


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:_LONGEST_WORDS]


class _Secrets:
    """Pieces of secrets by their lengths, as they stand in a text from which nothing, or all but letters, was taken."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._whole: dict[int, set[str]] = {}
        self._bare: dict[int, set[str]] = {}
        self._words: set[str] = set()
        for secret in secrets:
            if text := _PREFIX.sub("", secret, count=1):
                self._add(text)

    def unless_in(self, text: str) -> str:
        """The text, unless a secret is in it in any of the usual forms."""
        for layer in _layers(text):
            folded = _folded(layer)
            if not self._words.isdisjoint([*folded.split(), *_WORD.findall(folded)]):
                return HIDDEN
            if _any_in(folded, self._whole) or _any_in(_bare(folded), self._bare):
                return HIDDEN
        return text

    def _add(self, secret: str) -> None:
        folded = _folded(secret)
        if len(secret) < _SHORTEST:
            self._words.add(folded)
            return
        bare = _bare(folded)
        _cut(self._whole, folded, _RUN)
        if len(bare) >= min(_RUN, len(folded)):  # else it is mostly signs: without them too little is left
            _cut(self._bare, bare, _RUN)
        data = secret.encode("utf-8", "surrogatepass")
        _cut(self._bare, data.hex(), _HEX_RUN)
        _cut(self._bare, "".join(map(str, data)), _DECIMAL_RUN)
        for before in range(3):
            _cut(self._bare, _bare(_in_base64(data, before)), _BASE64_RUN)


def _in_base64(data: bytes, before: int) -> str:
    """Those digits of the data behind so many other bytes that nothing around them changes; case folded."""
    first, last = -(-8 * before // 6), 8 * (before + len(data)) // 6
    return b64encode(bytes(before) + data).decode("ascii")[first:last].casefold()


def _cut(pieces: dict[int, set[str]], text: str, length: int) -> None:
    """Add all pieces of the length; of a shorter text the whole."""
    length = min(length, len(text))
    if length:
        pieces.setdefault(length, set()).update(text[at : at + length] for at in range(len(text) - length + 1))


def _any_in(text: str, pieces: dict[int, set[str]]) -> bool:
    return any(
        text[at : at + length] in known for length, known in pieces.items() for at in range(len(text) - length + 1)
    )


def _layers(text: str) -> list[str]:
    """The text as it stands, and with its escapes undone once, twice and so on."""
    layers = [text]
    while len(layers) <= _LAYERS:
        plain = _ESCAPE.sub(_unescaped, html.unescape(unquote(layers[-1])))
        if plain == layers[-1]:
            break
        layers.append(plain)
    return layers


def _unescaped(escape: re.Match[str]) -> str:
    number = int(escape[escape.lastindex or 0], 8 if escape.lastindex == _OCTAL else 16)
    return chr(number) if number <= 0x10FFFF else ""  # noqa: PLR2004  the last character of Unicode


def _folded(text: str) -> str:
    """In small letters, and without backslashes, however many of them quote what stands behind them."""
    return normalize("NFKC", text).casefold().replace("\\", "")


def _bare(folded: str) -> str:
    """Without what may stand between letters, as signs, blanks, NULs and marks that nobody sees."""
    return "".join(filter(str.isalnum, folded))
