from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import defusedxml.ElementTree
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.comicinfo import PageFacts, comicinfo

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent.parent / "support" / "ComicInfo-2.0.xsd")

page_facts = st.builds(
    PageFacts,
    size=st.integers(0, 2**40),
    width=st.none() | st.integers(-1, 2**33),
    height=st.none() | st.integers(-1, 2**33),
    cover=st.booleans(),
)


def parsed(document: bytes) -> Element:
    root: Element = defusedxml.ElementTree.fromstring(document)
    return root


def attributes(document: bytes) -> list[dict[str, str]]:
    return [page.attrib for page in parsed(document).iter("Page")]


@given(series=st.text(), title=st.text(), pages=st.lists(page_facts, max_size=5))
def test_every_document_keeps_to_the_schema(series: str, title: str, pages: list[PageFacts]) -> None:
    document = comicinfo(series, title, pages)

    SCHEMA.validate(document.decode())
    assert document == comicinfo(series, title, iter(pages))
    assert parsed(document).findtext("PageCount") == str(len(pages))


def test_the_schema_of_these_tests_minds_the_order() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate("<ComicInfo><Series>s</Series><Title>t</Title></ComicInfo>")


def test_the_schema_of_these_tests_knows_page_kinds() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate('<ComicInfo><Pages><Page Image="0" Type="Cover"/></Pages></ComicInfo>')


def test_a_book_of_two_pages_to_the_letter() -> None:
    pages = [PageFacts(1234, 800, 1200, cover=True), PageFacts(99)]

    assert comicinfo("Frieren", "第1巻 & more", pages).decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        "<ComicInfo>\n"
        "  <Title>第1巻 &amp; more</Title>\n"
        "  <Series>Frieren</Series>\n"
        "  <PageCount>2</PageCount>\n"
        "  <Pages>\n"
        '    <Page Image="0" Type="FrontCover" ImageSize="1234" ImageWidth="800" ImageHeight="1200" />\n'
        '    <Page Image="1" ImageSize="99" />\n'
        "  </Pages>\n"
        "</ComicInfo>\n"
    )


def test_only_the_first_cover_is_the_front_cover() -> None:
    pages = [PageFacts(1), PageFacts(2, cover=True), PageFacts(3, cover=True)]

    assert [page.get("Type") for page in attributes(comicinfo("s", "t", pages))] == [None, "FrontCover", None]


def test_impossible_measures_are_left_out() -> None:
    page = attributes(comicinfo("s", "t", [PageFacts(1, width=0, height=2**31)]))[0]

    assert page == {"Image": "0", "ImageSize": "1"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a<b>&\"c'", "a<b>&\"c'"),
        ("bell\x07 nul\x00 half\ud800 last\uffff", "bell nul half last"),
        ("two\r\nlines\tand", "two lines and"),
        ("😀 進撃", "😀 進撃"),
        ("\x85\x7f", "\x7f"),
    ],
)
def test_any_text_arrives_as_xml_can_hold_it(text: str, read: str) -> None:
    assert parsed(comicinfo(text, "t", [])).findtext("Series") == read


def test_an_element_without_text_is_left_out() -> None:
    document = parsed(comicinfo("\x00", " ", []))

    assert document.find("Series") is None
    assert document.find("Title") is None
