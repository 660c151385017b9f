"""What a file is by its first bytes, and what its suffix makes it pass for.

Suffixes lie (WebP under ``.jpg`` is everyday), so a page is judged by its bytes; it only has to be *some* image.
Sources: the formats' own specifications; ISO/IEC 14496-12 for the ``ftyp`` box, ISO/IEC 23008-12 and the AVIF
specification for brands, ISO/IEC 18181-2 for JPEG XL.
"""

from __future__ import annotations

HEAD_BYTES = 64
"""How many of a file's first bytes `kind_of` looks at; fewer only where the file is shorter."""

PAGE_EXTENSIONS = frozenset(
    ["jpg", "jpeg", "png", "webp", "gif", "avif", "jxl", "heic", "heif", "bmp", "tif", "tiff", "jfif"]
)
"""Suffixes, without the dot and in lower case, of files that are taken for pages."""

ARCHIVE_EXTENSIONS = frozenset(["cbz", "zip", "cbr", "rar", "7z", "pdf", "epub"])
"""Suffixes, likewise, of files that are books or archives themselves and never go into a book."""

_OTHER_SUFFIXES = {"jpeg": "jpg", "jfif": "jpg", "tiff": "tif"}
_ONE_KIND = {"heif": "heic"}  # a HEIC is a HEIF, and nobody tells them apart by their suffix

_PREFIXES = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\xff\x0a", "jxl"),  # bare codestream
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),  # in its container
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
    (b"II+\x00\x08\x00\x00\x00", "tif"),  # BigTIFF
    (b"MM\x00+\x00\x08\x00\x00", "tif"),
)

_CODED_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"), "heic"),
}
_GENERAL_BRANDS = frozenset((b"mif1", b"mif2", b"msf1"))  # an image, but not coded how

_BMP_HEADER_SIZES = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_BMP_CORE_HEADER = 12  # the one with 16-bit measures


def is_archive(name: str) -> bool:
    """Whether a file's name has the suffix of an archive."""
    return name.rpartition(".")[2].lower() in ARCHIVE_EXTENSIONS


def kind_of(head: bytes) -> str | None:
    """The image format, one of jpg png webp gif avif jxl heic heif bmp tif, or None for anything else.

    Args:
        head: the file's first `HEAD_BYTES` bytes.
    """
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    return _webp(head) or _iso_media(head) or _bmp(head)


def is_called_so(name: str, kind: str) -> bool:
    """Whether a file's suffix is one of this kind's."""
    suffix = name.rpartition(".")[2].lower()
    said = _OTHER_SUFFIXES.get(suffix, suffix)
    return _ONE_KIND.get(said, said) == _ONE_KIND.get(kind, kind)


def renamed(name: str, kind: str) -> str:
    """The name with this kind's suffix instead of its own."""
    return f"{name.rpartition('.')[0] or name}.{kind}"


def _webp(head: bytes) -> str | None:
    return "webp" if head.startswith(b"RIFF") and head[8:15] == b"WEBPVP8" else None


def _bmp(head: bytes) -> str | None:
    """Two letters alone begin many a text: the header's size must be a known one, and the planes 1 as ever."""
    size = int.from_bytes(head[14:18], "little")
    at = 22 if size == _BMP_CORE_HEADER else 26
    known = head.startswith(b"BM") and size in _BMP_HEADER_SIZES and head[at : at + 2] == b"\x01\x00"
    return "bmp" if known else None


def _iso_media(head: bytes) -> str | None:
    """By the brands of the ``ftyp`` box: the major one first, then the compatible ones."""
    end = int.from_bytes(head[:4], "big")
    if head[4:8] != b"ftyp" or end < 16 or end % 4:  # noqa: PLR2004 - size, type, major brand and its version
        return None
    brands = [head[at : at + 4] for at in (8, *range(16, min(end, HEAD_BYTES), 4))]
    coded = next((_CODED_BRANDS[brand] for brand in brands if brand in _CODED_BRANDS), None)
    return coded or ("heif" if _GENERAL_BRANDS.intersection(brands) else None)
