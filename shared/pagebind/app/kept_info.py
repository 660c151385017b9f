"""Reading a ComicInfo.xml that somebody else wrote, so that a book can keep what it says.

Such files come from downloaders (Mihon), taggers (ComicTagger) and people, and may say anything: they are parsed as a
stream, with neither document types nor entities, and within limits that no honest one reaches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core.comicinfo import ELEMENTS, LARGEST, Kept

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import TreeBuilder

_ROOT = "ComicInfo"
_RENEWED = ("PageCount", "Pages")  # each book has its own
_DEEPEST = 16
_MOST_ELEMENTS = 1000  # apart from the pages
_LONGEST_ATTRIBUTE = 2**12
_NAMESPACE = re.compile(r"\{[^}]*\}")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_DECLARED_UTF16 = re.compile(rb"""<\?xml[^>]*encoding=["']utf-?16["']""", re.IGNORECASE)
"""As .NET writes it into files that are UTF-8 nonetheless: it stands there in single bytes."""


class Unusable(NamedTuple):
    """It is no ComicInfo.xml that can be kept; ``reason`` says why in one line."""

    reason: str


class _TooMuchError(ValueError):
    """A limit is passed; the text says which."""


def read(content: bytes) -> Kept | Unusable:
    """What the ComicInfo.xml says, or why it cannot be kept. Takes UTF-8, UTF-16 and single-byte encodings."""
    if len(content) > LARGEST:
        return Unusable(f"it is larger than {LARGEST:,} bytes")
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, XMLParser

    document = _Document()
    parser = XMLParser(target=document, encoding=_encoding(content), forbid_dtd=True)
    try:
        parser.feed(content)
        parser.close()
    except DefusedXmlException:
        return Unusable("it has a document type or entities, which no ComicInfo needs")
    except _TooMuchError as error:
        return Unusable(str(error))
    except ParseError as error:
        line, column = error.position
        return Unusable(f"it is no well-formed XML at line {line}, column {column}")
    except (ValueError, LookupError):
        return Unusable("its encoding is not known here")
    return document.kept()


def _encoding(content: bytes) -> str | None:
    """What its first bytes say, where the declaration may say something else; None: the declaration is right."""
    if content.startswith(_UTF16_MARKS):
        return "utf-16"
    return "utf-8" if content.startswith(_UTF8_MARK) or _DECLARED_UTF16.match(content) else None


class _Document:
    """What the parser tells of the document, in its order; only what is kept stays in memory."""

    def __init__(self) -> None:
        self._root = ""
        self._depth = 0
        self._elements = 0
        self._texts: dict[str, str] = {}
        self._others: list[str] = []
        self._text: list[str] | None = None
        self._other: TreeBuilder | None = None

    def kept(self) -> Kept | Unusable:
        if _local(self._root) != _ROOT:
            return Unusable(f"its root is not {_ROOT}")
        return Kept(self._texts, tuple(self._others))

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _TooMuchError(f"its elements are nested more than {_DEEPEST} deep")
        if any(len(value) > _LONGEST_ATTRIBUTE for value in attributes.values()):
            raise _TooMuchError(f"it has an attribute of more than {_LONGEST_ATTRIBUTE:,} characters")
        if self._depth == 1:
            self._root = tag
        elif self._depth == 2:  # noqa: PLR2004 - an element of the schema
            self._begin(tag)
        if self._other is not None:
            self._count()
            self._other.start(tag, dict(attributes))

    def data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
        elif self._other is not None:
            self._other.data(text)

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._other is not None:
            self._other.end(tag)
        if self._depth == 1:
            self._finish(self._plain(tag))

    def close(self) -> None:
        pass

    def _begin(self, tag: str) -> None:
        name = self._plain(tag)
        if name in _RENEWED:
            return
        self._count()
        if name in ELEMENTS:
            self._text = []
        else:
            from xml.etree.ElementTree import TreeBuilder

            self._other = TreeBuilder()

    def _finish(self, name: str) -> None:
        if self._text is not None:
            text = "".join(self._text)
            if not self._texts.get(name, "").strip():
                self._texts[name] = text
            self._text = None
        elif self._other is not None:
            from xml.etree.ElementTree import tostring

            self._others.append(tostring(self._other.close(), encoding="unicode"))
            self._other = None

    def _count(self) -> None:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            raise _TooMuchError(f"it has more than {_MOST_ELEMENTS:,} elements")

    def _plain(self, tag: str) -> str:
        """Its name in the schema: the schema has no namespace, but some documents put all of it into one."""
        namespace = _NAMESPACE.match(self._root)
        return tag.removeprefix(namespace[0]) if namespace else tag


def _local(tag: str) -> str:
    return _NAMESPACE.sub("", tag)
