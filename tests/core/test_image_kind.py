from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.image_kind import (
    ARCHIVE_EXTENSIONS,
    HEAD_BYTES,
    PAGE_EXTENSIONS,
    is_called_so,
    kind_of,
    renamed,
)


def ftyp(*brands: str) -> bytes:
    """An ISO-BMFF file's beginning: major brand, then compatible ones, then another box."""
    major, *others = (brand.encode() for brand in brands)
    body = b"ftyp" + major + bytes(4) + b"".join(others)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\x00\x00\x00\x20meta" + bytes(40)


def bmp(header_size: int, planes_at: int, planes: int = 1) -> bytes:
    head = bytearray(64)
    head[:2] = b"BM"
    head[14:18] = header_size.to_bytes(4, "little")
    head[planes_at : planes_at + 2] = planes.to_bytes(2, "little")
    return bytes(head)


IMAGES = [
    (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "jpg"),
    (b"\xff\xd8\xff\xe1\x00\x10Exif\x00", "jpg"),
    (b"\xff\xd8\xff\xdb\x00\x43", "jpg"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "png"),
    (b"GIF87a\x01\x00", "gif"),
    (b"GIF89a\x01\x00", "gif"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "webp"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8L", "webp"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8X", "webp"),
    (b"\xff\x0a\xfa\x1f\x01", "jxl"),
    (b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a\x00\x00\x00\x14ftypjxl ", "jxl"),
    (ftyp("avif", "mif1", "miaf"), "avif"),
    (ftyp("avis", "msf1"), "avif"),
    (ftyp("mif1", "avif", "miaf"), "avif"),
    (ftyp("heic", "mif1"), "heic"),
    (ftyp("heix", "mif1"), "heic"),
    (ftyp("hevc", "msf1"), "heic"),
    (ftyp("hevx"), "heic"),
    (ftyp("heim"), "heic"),
    (ftyp("heis"), "heic"),
    (ftyp("mif1", "heic"), "heic"),
    (ftyp("mif1", "miaf", "MiHB", "MiHE", "tmap", "iso8", "jpeg", "xxxx", "yyyy", "zzzz", "heic"), "heic"),
    (ftyp("mif1"), "heif"),
    (ftyp("msf1", "iso8"), "heif"),
    (ftyp("mif2"), "heif"),
    (bmp(12, 22), "bmp"),
    (bmp(40, 26), "bmp"),
    (bmp(108, 26), "bmp"),
    (bmp(124, 26), "bmp"),
    (b"II*\x00\x08\x00\x00\x00", "tif"),
    (b"MM\x00*\x00\x00\x00\x08", "tif"),
    (b"II+\x00\x08\x00\x00\x00\x10\x00", "tif"),
    (b"MM\x00+\x00\x08\x00\x00\x00\x00", "tif"),
]

OTHERS = [
    b"",
    b"\xff",
    b"\xff\xd8",
    b"BM",
    b"BMW is a maker of cars, and this is a text about them, long enough",
    bmp(40, 26, planes=0),
    bmp(41, 26),
    bmp(40, 22),
    b"<!DOCTYPE html><html><head><title>Login</title></head></html>",
    b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    json.dumps({"code": 500, "message": "failed get link", "data": None}).encode(),
    b"PK\x03\x04\x0a\x00\x00\x00\x00\x00",
    b"%PDF-1.7\n",
    b"Rar!\x1a\x07\x01\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"RIFF\x24\x00\x00\x00WAVEfmt ",
    b"\x1aE\xdf\xa3",
    ftyp("isom", "iso2", "avc1", "mp41"),
    ftyp("qt  "),
    ftyp("M4A "),
    b"\x00\x00\x00\x08ftypavif",
    b"\x00\x00\x00\x11ftypavif\x00\x00\x00\x00",
    b"\x00\x00\x00\x00ftypheicmif1",
    bytes(64),
]


@pytest.mark.parametrize(("head", "kind"), IMAGES)
def test_images_are_known_by_their_first_bytes(head: bytes, kind: str) -> None:
    assert kind_of(head) == kind


@pytest.mark.parametrize(("head", "kind"), IMAGES)
def test_no_more_bytes_are_needed_than_said(head: bytes, kind: str) -> None:
    assert kind_of((head + bytes(1000))[:HEAD_BYTES]) == kind


@pytest.mark.parametrize("head", OTHERS)
def test_what_is_no_image_is_not_taken_for_one(head: bytes) -> None:
    assert kind_of(head) is None


@given(st.text())
def test_no_text_is_an_image_unless_it_says_so(text: str) -> None:
    head = text.encode(errors="replace")[:HEAD_BYTES]

    assert kind_of(head) is None or head.startswith((b"GIF8", b"II", b"MM", b"RIFF", b"BM", b"\x00\x00\x00"))


@given(st.binary(min_size=8, max_size=200).filter(lambda head: head[0] not in b"\xff\x89GRBIM\x00"))
def test_other_bytes_are_no_image(head: bytes) -> None:
    assert kind_of(head) is None


@given(st.sampled_from(IMAGES), st.integers(0, HEAD_BYTES))
def test_a_file_cut_anywhere_is_judged_without_failing(image: tuple[bytes, str], length: int) -> None:
    assert kind_of(image[0][:length]) in {None, image[1], "heif"}


def test_suffixes_are_bare_and_lower_case_and_never_both() -> None:
    assert all(suffix.isalnum() and suffix == suffix.lower() for suffix in PAGE_EXTENSIONS | ARCHIVE_EXTENSIONS)
    assert not PAGE_EXTENSIONS & ARCHIVE_EXTENSIONS


@pytest.mark.parametrize(
    ("name", "kind", "so"),
    [
        ("1.jpg", "jpg", True),
        ("1.JPEG", "jpg", True),
        ("1.jfif", "jpg", True),
        ("1.jpg", "webp", False),
        ("1.tiff", "tif", True),
        ("1.tif", "tif", True),
        ("1.heic", "heif", True),
        ("1.heif", "heic", True),
        ("1.heif", "avif", False),
        ("1.png.gif", "png", False),
        ("png", "png", True),
        ("1", "png", False),
    ],
)
def test_whether_a_name_says_what_a_file_is(name: str, kind: str, so: bool) -> None:
    assert is_called_so(name, kind) is so


@pytest.mark.parametrize(("name", "right"), [("0001.jpg", "0001.webp"), ("a.b.JPG", "a.b.webp"), ("1", "1.webp")])
def test_a_name_with_the_right_suffix(name: str, right: str) -> None:
    assert renamed(name, "webp") == right


@given(st.sampled_from(sorted(PAGE_EXTENSIONS)), st.sampled_from([kind for _, kind in IMAGES]))
def test_a_renamed_page_is_called_what_it_is(suffix: str, kind: str) -> None:
    assert is_called_so(renamed(f"1.{suffix}", kind), kind)
