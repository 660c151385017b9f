"""Archives of every kind, whole and cut."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from pagebind.core import archive_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FILES = {"1.jpg": bytes(range(256)) * 3, "2.jpg": b"second" * 50}


def fault(body: bytes) -> str | None:
    return archive_kind.fault(len(body), lambda start, length: body[start : start + length])


def briefly(value: bytes | str) -> str:
    """A parameter in the name of its test."""
    return value if isinstance(value, str) else f"{len(value)} bytes, {value[:4].hex()}"


def zipped(
    files: Mapping[str, bytes] = FILES, *, comment: bytes = b"", prefix: bytes = b"", method: int = zipfile.ZIP_STORED
) -> bytes:
    out = io.BytesIO(prefix)
    with zipfile.ZipFile(out, "a", method) as archive:
        archive.comment = comment
        for name, data in files.items():
            info = zipfile.ZipInfo(name)  # with a time that is always the same: the bytes are parameters of tests
            archive.writestr(info, data, method)
    return out.getvalue()


def zip64(prefix: bytes = b"") -> bytes:
    """The same zip with a zip64 end record that alone says where the directory is."""
    plain = zipped()
    *_, count, length, offset, _ = struct.unpack("<4s4H2IH", plain[-22:])
    at = len(plain) - 22
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return prefix + plain[:at] + record + locator + end


def rar4_block(kind: int, flags: int, rest: bytes = b"", data: bytes = b"") -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + data


def rar4_file(name: str, data: bytes, *, large: bool = False) -> bytes:
    size = len(data)
    fixed = struct.pack("<IIBIIBBHI", size, size, 3, zlib.crc32(data), 0, 29, 0x30, len(name), 0x20)
    return rar4_block(0x74, 0x8100 if large else 0x8000, fixed + bytes(8 if large else 0) + name.encode(), data)


def rar4(*, end: bool = True, main_flags: int = 0, large: bool = False) -> list[bytes]:
    """Signature and blocks."""
    files = [rar4_file(name, data, large=large) for name, data in FILES.items()]
    last = [rar4_block(0x7B, 0x4000)] if end else []
    return [b"Rar!\x1a\x07\x00", rar4_block(0x73, main_flags, bytes(6)), *files, *last]


def vint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def rar5_block(kind: int, rest: bytes = b"", *, extra: bytes = b"", data: bytes | None = None) -> bytes:
    flags = (1 if extra else 0) | (2 if data is not None else 0)
    sizes = (vint(len(extra)) if extra else b"") + (vint(len(data)) if data is not None else b"")
    body = vint(kind) + vint(flags) + sizes + rest + extra
    head = vint(len(body)) + body
    return zlib.crc32(head).to_bytes(4, "little") + head + (data or b"")


def rar5(*, end: bool = True, encrypted: bool = False) -> list[bytes]:
    """Signature and blocks."""
    hidden = [rar5_block(4, bytes(30))] if encrypted else []
    files = [
        rar5_block(2, vint(0) + vint(len(d)) + vint(0o644) + vint(0) + vint(1) + vint(len(n)) + n.encode(), data=d)
        for n, d in FILES.items()
    ]
    last = [rar5_block(5, vint(0))] if end else []
    return [b"Rar!\x1a\x07\x01\x00", *hidden, rar5_block(1, vint(0), extra=b"\2\1\0"), *files, *last]


def pdf(*, linearized: bool = False, more: bytes = b"") -> bytes:
    first = b"startxref\n0\n%%EOF\n" if linearized else b""
    body = b"%PDF-1.4\n" + first + b"1 0 obj\n<< /Type /Catalog >>\nendobj\n" * 60
    table = b"xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer\n<< /Size 2 /Root 1 0 R >>\n"
    return body + table + f"startxref\n{len(body)}\n%%EOF".encode() + more


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Makes 7z archives with the real tool."""
    tool = shutil.which("7z")
    if tool is None:
        pytest.skip("no 7z here")
    home: Path = tmp_path_factory.mktemp("7z")

    def make(*options: str) -> bytes:
        target = home / "book.7z"
        target.unlink(missing_ok=True)
        for name, data in FILES.items():
            (home / name).write_bytes(data)
        subprocess.run([tool, "a", "-bd", *options, str(target), *FILES], cwd=home, check=True, capture_output=True)
        return target.read_bytes()

    return make


def made_7z(names: int = 1) -> bytes:
    """The frame of a 7z around bytes of no meaning."""
    data, header = b"packed" * 100, b"\1\4\6" + b"name" * names
    start = struct.pack("<QQI", len(data), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + data + header


WHOLE = {
    "zip": zipped(),
    "deflated": zipped(method=zipfile.ZIP_DEFLATED),
    "zip with a comment": zipped(comment=b"read me" * 20),
    "zip with the longest comment": zipped(comment=b"x" * 0xFFFF),
    "zip behind a dead prefix": zipped(prefix=b"PK\x03\x04 what a crash left"),
    "zip64": zip64(),
    "zip64 behind a prefix": zip64(b"PK\x03\x04 prefix"),
    "rar4": b"".join(rar4()),
    "rar4 with large sizes": b"".join(rar4(large=True)),
    "rar5": b"".join(rar5()),
    "7z": made_7z(),
    "pdf": pdf(),
    "linearized pdf": pdf(linearized=True),
}
archives = pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)


@archives
def test_an_archive_is_whole(body: bytes) -> None:
    assert fault(body) is None


def test_a_real_7z_is_whole_and_cut_it_is_not(seven: Callable[..., bytes]) -> None:
    for options in ((), ("-mx=0",), ("-mhc=off",)):
        body = seven(*options)
        assert fault(body) is None
        assert [at for at in range(len(body)) if fault(body[:at]) is None] == []


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.startswith("rar4")])
def test_cut_anywhere_it_is_not_whole(name: str) -> None:
    body = WHOLE[name]
    step = 1 if len(body) < 10_000 else 97
    cut = [at for at in range(0, len(body), step) if fault(body[:at]) is None]
    assert cut == []


@archives
def test_what_lacks_bytes_in_its_middle_is_not_whole(body: bytes) -> None:
    if body.startswith(b"%PDF"):
        pytest.skip("the end of a PDF does not tell")
    middle = len(body) // 2 if len(body) < 10_000 else 500
    assert fault(body[: middle - 40] + body[middle:]) is not None


@pytest.mark.parametrize("blocks", [rar4(), rar4(large=True), rar4(end=False)])
def test_an_old_rar_may_end_behind_any_file_and_nowhere_else(blocks: list[bytes]) -> None:
    body, ends = b"".join(blocks), [sum(map(len, blocks[:count])) for count in range(3, len(blocks))]
    assert fault(body) is None
    assert [at for at in range(len(body)) if fault(body[:at]) is None] == ends


def test_a_rar5_must_have_its_end() -> None:
    assert fault(b"".join(rar5(end=False))) == "ends before its last block does"


@pytest.mark.parametrize("blocks", [rar4(main_flags=0x80), rar5(encrypted=True)], ids=["4", "5"])
def test_the_end_of_a_rar_with_hidden_headers_cannot_be_told(blocks: list[bytes]) -> None:
    assert fault(b"".join(blocks)[:-300]) is None


@pytest.mark.parametrize(
    "body",
    [
        b"".join(rar4()) + bytes(100),
        b"".join(rar5()) + b"\r\n",
        zipped() + bytes(100),
        zip64() + b"\n",
        pdf(more=b"\r\n"),
        pdf(more=bytes(900)),
        b"\xef\xbb\xbf" + pdf(),
    ],
    ids=briefly,
)
def test_bytes_after_the_end_are_tolerated(body: bytes) -> None:
    assert fault(body) is None


def test_a_zip_inside_a_zip_that_was_cut_is_not_its_end() -> None:
    inner = zipped()
    outer = zipped({"inner.zip": inner, "2.jpg": FILES["2.jpg"]})
    begins = outer.index(inner)
    for at in range(begins + len(inner) + 1, len(outer)):
        assert fault(outer[:at]) is not None


def test_a_zip_that_says_65535_entries_and_means_it() -> None:
    body = zipped()
    assert fault(body[:-14] + b"\xff\xff\xff\xff" + body[-10:]) is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is no archive known here"),
        (b'{"code": 500}', "is no archive known here"),
        (bytes(1000), "is no archive known here"),
        (zipped({}), "holds nothing"),
        (zipped()[:-18] + b"\1\0" + zipped()[-16:], "has no whole directory at its end"),
        (zipped().replace(b"PK\x01\x02", b"PK\x01\x03"), "has no whole directory at its end"),
        (rar4()[0], "ends before its last block does"),
        (rar4()[0] + bytes(100), "holds a block that is none"),
        (rar4()[0] + rar4_block(0x7C, 0), "holds a block that is none"),
        (rar5()[0] + bytes(100), "holds a block that is none"),
        (rar5()[0] + rar5_block(6), "holds a block that is none"),
        (rar5()[0] + b"\xff" * 100, "holds a block that is none"),
        (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24), "has a damaged header"),
        (b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(bytes(20))) + bytes(20), "holds nothing"),
        (made_7z()[:-1] + b"?", "has a damaged directory"),
        (made_7z() + b"?", "bytes where its header says"),
        (pdf(linearized=True)[:200], "has no whole end of a PDF"),
    ],
    ids=briefly,
)
def test_what_is_wrong(body: bytes, says: str) -> None:
    said = fault(body)
    assert said is not None
    assert said.endswith(says) or says in said


def test_a_large_directory_of_a_7z_counts_by_its_size() -> None:
    body = made_7z(2**20)
    assert fault(body[:-1] + b"?") is None
    assert fault(body[:-1]) is not None


def test_a_rar_of_too_many_blocks_is_left_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_kind, "_MOST_BLOCKS", 50)
    body = rar4()[0] + rar4_block(0x75, 0) * 60
    assert fault(body) == "has more than 50 blocks"


def test_little_is_read_of_much() -> None:
    asked = []

    def read(start: int, length: int) -> bytes:
        asked.append(length)
        return body[start : start + length]

    body = zipped({"1.jpg": bytes(10**6)})
    assert archive_kind.fault(len(body), read) is None
    assert sum(asked) < 70_000
