"""The search for canaries finds them: in each kind of sink, in each form, in each part."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import logging
import urllib.parse
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.faults.canaries import (
    Sink,
    all_records,
    canary,
    of_error,
    of_folder,
    of_store,
    of_text,
    search,
)

from pagebind.adapters.stores.folder import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

BIRD = canary("token", '+/&"é')
OTHER = canary("password")


def names(sinks: Iterable[Sink]) -> list[str]:
    """Where it was found; the other canary is nowhere."""
    found = search([BIRD, OTHER], sinks)
    assert {one.kind for one in found} <= {"token"}
    return [one.where for one in found]


WRITTEN: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "in capitals": lambda text: text.upper().encode(),
    "Latin-1": lambda text: text.encode("latin-1"),
    "UTF-16 with its mark": lambda text: text.encode("utf-16"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "percent-encoded": lambda text: urllib.parse.quote(text).encode(),
    "percent-encoded throughout": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "of a form": lambda text: urllib.parse.quote_plus(text).encode(),
    "percent-encoded twice": lambda text: urllib.parse.quote(urllib.parse.quote(text)).encode(),
    "JSON": lambda text: json.dumps(text).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)).encode(),
    "JSON escaped throughout": lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text).encode(),
    "HTML": lambda text: html.escape(text).encode(),
    "HTML by references": lambda text: "".join(f"&#{ord(letter)};" for letter in text).encode(),
    "a representation": lambda text: repr(text.encode()).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 behind one byte": lambda text: base64.b64encode(b"x" + text.encode()),
    "base64 behind two bytes": lambda text: base64.b64encode(b"xy" + text.encode()),
    "base64 of a login": lambda text: base64.urlsafe_b64encode(f"reader:{text}".encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "hex in capitals": lambda text: text.encode().hex().upper().encode(),
    "its beginning": lambda text: text[:16].encode(),
    "its end": lambda text: text[-16:].encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip behind other bytes": lambda text: b"head" * 9 + gzip.compress(text.encode()) + b"tail",
    "zlib": lambda text: zlib.compress(text.encode()),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_it_is_found_however_it_is_written(written: Callable[[str], bytes]) -> None:
    assert names([Sink("sink", b"before " + written(BIRD.value) + b" behind")])


@given(before=st.binary(max_size=9), behind=st.binary(max_size=9))
def test_base64_is_found_wherever_it_begins(before: bytes, behind: bytes) -> None:
    assert names([Sink("sink", base64.b64encode(before + BIRD.value.encode() + behind))])


@given(st.binary(max_size=2000))
def test_nothing_is_found_where_nothing_is(content: bytes) -> None:
    assert names([Sink("sink", content), Sink("sink", gzip.compress(content))]) == []


def test_a_secret_that_is_too_short_to_be_told_apart_is_refused() -> None:
    with pytest.raises(AssertionError, match="too short"):
        search([BIRD._replace(value="abc+def")], [Sink("sink", b"")])


# -- one planted in each kind of sink


def zipped(*, name: str = "1.png", content: bytes = b"", comment: bytes = b"", extra: bytes = b"") -> bytes:
    """A deflated book, with the secret in one of its parts."""
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.extra, entry.comment = extra, comment
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, content)
    return book.getvalue()


SECRET = BIRD.value.encode()
BOOKS = {
    "a page": zipped(content=b"page" * 99 + SECRET),
    "a name": zipped(name=BIRD.value.replace("/", "-")),
    "a comment": zipped(comment=SECRET),
    "an extra field": zipped(extra=b"\xfe\xca" + len(SECRET).to_bytes(2, "little") + SECRET),
    "a book in a book": zipped(content=zipped(content=SECRET)),
    "behind its end": zipped() + SECRET,
}


@pytest.mark.parametrize("book", BOOKS.values(), ids=BOOKS)
def test_it_is_found_in_each_part_of_a_book(book: bytes, tmp_path: Path) -> None:
    (tmp_path / "book.cbz").write_bytes(book)
    assert names(of_folder(tmp_path))


def test_it_is_found_in_files_their_names_and_links(tmp_path: Path) -> None:
    plain = BIRD.value[:20]
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "down" / "file").write_bytes(SECRET)
    (tmp_path / plain).mkdir()
    (tmp_path / "link").symlink_to(f"nowhere/{plain}")
    (tmp_path / "harmless").write_text("nothing")
    assert set(names(of_folder(tmp_path))) == {"deep/down/file", plain, "link"}


def test_it_is_found_in_objects_their_keys_and_metadata(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("runs/1.json", SECRET)
    store.put(f"sent/{BIRD.value[:20]}", b"")
    store.put("staging/v/1.entry", b"", metadata={"kind": BIRD.value[:20]})
    found = names(of_store(store, "work"))
    for where in ("work: runs/1.json", f"work: sent/{BIRD.value[:20]}", "work: metadata of staging/v/1.entry"):
        assert where in found


def test_it_is_found_in_errors_their_causes_and_what_they_carry() -> None:
    def raised(error: Exception, cause: Exception | None, *, hidden: bool = False) -> Exception:
        try:
            try:
                raise cause or KeyError("harmless")  # noqa: TRY301  causes come from raising
            except Exception as below:
                if hidden:
                    raise error from None
                raise error from below
        except Exception as caught:  # noqa: BLE001  it is what is looked at
            return caught

    carrying = OSError("harmless")
    carrying.request = SECRET  # type: ignore[attr-defined]
    for error in (
        raised(ValueError(BIRD.value), None),
        raised(ValueError("harmless"), ValueError(BIRD.value)),
        raised(carrying, None),
        raised(UnicodeDecodeError("ascii", SECRET, 0, 1, "harmless"), None),
    ):
        assert names(of_error(error)), repr(error)
    assert names(of_error(raised(ValueError("harmless"), ValueError(BIRD.value), hidden=True))) == []


def test_it_is_found_in_records_of_any_logger_and_level() -> None:
    apart = logging.getLogger("tests.apart")
    apart.propagate = False
    with all_records() as records:
        logging.getLogger("tests.one").debug("sent %s", BIRD.value)
        apart.info("sent", extra={"headers": {"Authorization": BIRD.value}})
        try:
            raise ValueError(BIRD.value)  # noqa: TRY301  it is logged with its traceback
        except ValueError:
            logging.getLogger("tests.three").exception("failed")
    assert set(names(records.sinks)) >= {"log of tests.one", "log of tests.apart", "traceback of ValueError"}


def test_it_is_found_in_what_is_printed() -> None:
    assert names([of_text("stderr", f"error: the server refuses {BIRD.value}")]) == ["stderr"]
