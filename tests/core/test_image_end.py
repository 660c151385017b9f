"""Cut pictures are told from whole ones, however their bytes come."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.image_end import ImageEnd
from pagebind.demo.pictures import gif, jpeg, png, seeming_jpeg, webp


def whole(*chunks: bytes) -> bool:
    end = ImageEnd()
    for chunk in chunks:
        end.take(chunk)
    return end.whole


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def with_thumbnail(seed: str) -> bytes:
    """A JPEG whose EXIF holds another one, with an end of its own."""
    outer = jpeg(seed)
    return outer[:2] + segment(0xE1, b"Exif\0\0" + jpeg("thumbnail", 8, 8)) + outer[2:]


def progressive(seed: str) -> bytes:
    """Several scans with tables between them, restarts, stuffed and doubled FF."""
    plain = jpeg(seed)
    scan = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56\xff\x00\xff\xd7\x78"
    return plain[:-2] + segment(0xC4, bytes(17)) + scan + segment(0xDD, b"\0\4") + scan + b"\xff\xff\xff\xd9"


def coloured_gif(seed: str) -> bytes:
    """A GIF whose image has colours of its own, and pieces of full length; a zero too many between two blocks."""
    plain = gif(seed)
    image = b"," + bytes(8) + b"\x81" + bytes(3 * 4) + b"\2" + (b"\xff" + b";" * 255) * 3 + b"\0"
    return plain[:-1] + b"\0" + image + b"!\xf9\4\0\0\0\0\0" + b";"


PICTURES = {
    "jpeg": jpeg("a"),
    "thumbnail": with_thumbnail("b"),
    "progressive": progressive("c"),
    "seeming": b"".join(seeming_jpeg("d", 700)),
    "png": png("e"),
    "gif": gif("f"),
    "coloured gif": coloured_gif("g"),
    "webp": webp("h"),
}
pictures = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


@pictures
def test_a_picture_is_whole(picture: bytes) -> None:
    assert whole(picture)


@pictures
def test_a_picture_cut_anywhere_is_not(picture: bytes) -> None:
    assert [at for at in range(len(picture)) if whole(picture[:at])] == []


@pictures
def test_byte_by_byte_it_ends_at_its_last_byte(picture: bytes) -> None:
    end, seen = ImageEnd(), []
    for byte in picture:
        end.take(bytes([byte]))
        seen.append(end.whole)
    assert seen == [False] * (len(picture) - 1) + [True]


@pictures
@pytest.mark.parametrize("more", [b"\0", b"\r\n", bytes(5000), jpeg("another")])
def test_bytes_after_the_end_do_no_harm(picture: bytes, more: bytes) -> None:
    assert whole(picture + more)
    assert whole(picture, more)


@given(st.sampled_from(list(PICTURES.values())), st.lists(st.integers(0, 1200)), st.integers(0, 1))
def test_chunks_of_any_size_tell_the_same(picture: bytes, cuts: list[int], missing: int) -> None:
    body = picture[: len(picture) - missing]
    ends = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    assert whole(*(body[one:other] for one, other in itertools.pairwise(ends))) is (missing == 0)


@pytest.mark.parametrize(
    "body",
    [
        b"BM" + bytes(60),
        b"II*\0" + bytes(60),
        b"\0\0\0\x20ftypavif" + bytes(60),
        b"\xff\x0a" + bytes(60),
    ],
    ids=["bmp", "tif", "avif", "jxl"],
)
def test_where_the_end_cannot_be_told_everything_is_whole(body: bytes) -> None:
    assert whole(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8" + segment(0xE0, b"JFIF\0") + b"\xff\xd9",
        b"\xff\xd8\xff\xe1\0\0" + bytes(100),
        png("a")[:-12] + b"no chunk at all" * 20,
        gif("a")[:-1] + b"?" + b";" * 50,
    ],
    ids=["nothing", "no scan", "a header alone", "a segment of no length", "garbage in png", "garbage in gif"],
)
def test_what_never_ends(body: bytes) -> None:
    assert not whole(body)


@pytest.mark.parametrize("start", [gif("a")[:-1] + b"?", png("a")[:-12] + b"\x7f\xff\xff\xffIDAT", jpeg("a")[:-2]])
def test_next_to_nothing_is_kept(start: bytes) -> None:
    end, chunk = ImageEnd(), b"\xff" + bytes(1 << 16)
    end.take(start)
    tracemalloc.start()
    for _ in range(64):
        end.take(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not end.whole
    assert peak < 4 * len(chunk)
