"""What servers say is shown without what they were told, however they write it."""

from __future__ import annotations

import base64
import html
import json
import re
import time
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.faults.telltale import FORMS

from pagebind.adapters.alist.redactor import HIDDEN, Redactor
from pagebind.errors import SecretsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRET = "alist-3f2b6c1e-9a77-4b8c-8f10-22334455667788+/99aabbccddeeff0011ZZ"
"""Its letters and digits are what is to be found."""


def knowing(*secrets: str) -> Redactor:
    return Redactor(lambda: secrets)


def in_pieces(text: str, length: int) -> list[str]:
    return [text[at : at + length] for at in range(0, len(text), length)]


@pytest.mark.parametrize("form", FORMS)
def test_words_without_secrets(form: str) -> None:
    told = FORMS[form](SECRET)
    shown = knowing(SECRET).words(f"bad thing {told} said")
    assert HIDDEN in shown
    assert not [piece for piece in in_pieces(told, 8) if len(piece) == 8 and piece.lower() in shown.lower()]


NAMED = [
    form
    for form in FORMS
    if form not in {"base64 of base64", "base32"}  # in names only what is known is looked for
]


@pytest.mark.parametrize("form", NAMED)
def test_names_without_secrets(form: str) -> None:
    assert knowing(SECRET).name(f"cdn.{FORMS[form](SECRET)}.example") == HIDDEN


@given(
    secret=st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), min_size=8, max_size=60
    ),
    at=st.integers(0, 52),
    before=st.binary(max_size=5),
    after=st.binary(max_size=5),
    how=st.sampled_from(["plain", "hex", "base64", "percent", "decimal", "escaped"]),
)
def test_eight_characters_in_a_row_are_found(secret: str, at: int, before: bytes, after: bytes, how: str) -> None:
    part = secret[min(at, len(secret) - 8) :][:8]
    data = part.encode()
    written = {
        "plain": part,
        "hex": data.hex(),
        "base64": base64.b64encode(before + secret.encode() + after).decode(),
        "percent": "".join(f"%{byte:02X}" for byte in data),
        "decimal": " ".join(map(str, data)),
        "escaped": json.dumps(part)[1:-1],
    }[how]
    assert knowing(secret).name(f"<{written}>") == HIDDEN


def test_quotes_and_backslashes() -> None:
    secret = r'"\"/\/"" \\""//'
    quoted = json.dumps(json.dumps(secret))
    assert knowing(secret).name(quoted) == HIDDEN
    assert knowing("\\" * 9).name("C:\\") == "C:\\"


@pytest.mark.parametrize(
    "words",
    [
        "open /srv/media/comics/not-there: no such file or directory",
        "root folder /mnt/Media/Comics/One-Piece_01/ch-0003.jpg not exists",
        "certificate verify failed: Hostname mismatch, not valid for 'bucket.s3.eu-central-1.amazonaws.com'",
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired (_ssl.c:1000)",
        'Get "https://api.drive.example/...": dial tcp: lookup api.drive.example on 127.0.0.11:53: no such host',
        "Key: 'LoginReq.Username' Error:Field validation for 'Username' failed on the 'required' tag",
        "handles.FsListReq.Username: too many requests, retry in 30000 ms",
        "openlist-4.2.5 does not know this",
    ],
)
def test_what_is_no_secret_stays(words: str) -> None:
    assert knowing(SECRET, "openlist-a0b1c2d3e4f5", "zz", "7").words(words) == words


def test_what_may_be_a_token_is_not_shown_though_nobody_knows_it() -> None:
    told = base64.b32encode(b"who knows what this may be").decode()
    assert knowing().words(f"refused: {told[:40]} is stale") == f"refused: {HIDDEN} is stale"
    assert knowing().words(" ".join(str(byte) for byte in b"bytes of who knows what")).strip(" *") == ""


def test_a_short_secret_is_hidden_whole() -> None:
    assert knowing("123456").words("code 12-34-56 is wrong") == f"code {HIDDEN} is wrong"
    assert knowing("pw").words("pw is no password") == f"{HIDDEN} is no password"
    assert knowing("!!$$").words("not !!$$") == f"not {HIDDEN}"
    assert knowing("").words("as it is") == "as it is"


def test_where_secrets_cannot_be_had_nothing_is_shown() -> None:
    def gone() -> Iterable[str]:
        raise SecretsUnavailable("gone", fix="wait")

    def no_password() -> str:
        raise SecretsUnavailable("gone", fix="wait")

    for redactor in (Redactor(gone), knowing().knowing(ask=no_password)):
        assert (redactor.words("anything"), redactor.name("host")) == (HIDDEN, HIDDEN)


def test_more_secrets() -> None:
    redactor = knowing("the first secret").knowing("the second secret", ask=lambda: "the third secret")
    for which in ("first", "second", "third"):
        assert HIDDEN in redactor.words(f"the {which} secret")


def test_it_takes_no_time() -> None:
    """However long: words are cut before they are looked at."""
    begun = time.process_time()
    knowing(*(SECRET * 20 for _ in range(8))).words("%" * 100_000 + html.escape("<" * 100_000))
    knowing(SECRET).words("1 " * 100_000 + urllib.parse.quote("\\" * 100_000))
    knowing(SECRET).words(("Aa" * 11 + "!" + "a" * 100) * 1000)
    assert time.process_time() - begun < 1


def test_one_line() -> None:
    shown = knowing().words("a\nb\x1b[31m\u202e c" + " x" * 1000)
    assert re.fullmatch(r"a b \[31m  c[ x]+", shown)
    assert len(shown) == 300
