from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import defusedxml.ElementTree
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core.comicinfo import ELEMENTS, Kept, PageFacts, comicinfo
from pagebind.core.model import About

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

abouts = st.builds(
    About,
    series=st.text(),
    title=st.text(),
    number=st.text(),
    volume=st.text() | st.integers(0, 2**40).map(str),
    language=st.text(),
    direction=st.sampled_from(["", "ltr", "rtl"]),
)
integers = st.integers(-(2**31), 2**31 - 1).map(str)
xml_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff", min_codepoint=32) | st.just("\n")
)
kept_texts = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["Title", "Series", "Number", "Summary", "Notes", "Genre", "Web", "LanguageISO"], xml_text),
        **dict.fromkeys(["Count", "Volume", "AlternateCount", "Year", "Month", "Day", "PageCount"], integers),
        "BlackAndWhite": st.sampled_from(["Unknown", "No", "Yes"]),
        "Manga": st.sampled_from(["Unknown", "No", "Yes", "YesAndRightToLeft"]),
        "AgeRating": st.sampled_from(["Everyone 10+", "R18+", "Kids to Adults"]),
        "CommunityRating": st.sampled_from(["0", "4.25", "5.0"]),
    },
)
BOOK = About("Frieren", "Vol 1")


def parsed(document: bytes) -> Element:
    root: Element = defusedxml.ElementTree.fromstring(document)
    return root


def attributes(document: bytes) -> list[dict[str, str]]:
    return [page.attrib for page in parsed(document).iter("Page")]


@given(about=abouts, notes=st.text(), pages=st.lists(page_facts, max_size=5))
def test_every_document_keeps_to_the_schema(about: About, notes: str, pages: list[PageFacts]) -> None:
    document = comicinfo(about, pages, notes=notes)

    SCHEMA.validate(document.decode())
    assert document == comicinfo(about, iter(pages), notes=notes)
    assert parsed(document).findtext("PageCount") == str(len(pages))


@given(about=abouts, notes=st.text(), texts=kept_texts, pages=st.lists(page_facts, max_size=2))
def test_a_kept_document_that_keeps_to_the_schema_still_does(
    about: About, notes: str, texts: dict[str, str], pages: list[PageFacts]
) -> None:
    document = comicinfo(about, pages, notes=notes, kept=Kept(texts))

    SCHEMA.validate(document.decode())
    root = parsed(document)
    assert root.findtext("PageCount") == str(len(pages))
    for name in texts.keys() - {"PageCount", "Notes"}:
        assert root.findtext(name) == texts[name] or not texts[name].strip()


def test_the_schema_of_these_tests_minds_the_order() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate("<ComicInfo><Series>s</Series><Title>t</Title></ComicInfo>")


def test_the_schema_of_these_tests_knows_page_kinds() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate('<ComicInfo><Pages><Page Image="0" Type="Cover"/></Pages></ComicInfo>')


def test_a_book_of_two_pages_to_the_letter() -> None:
    pages = [PageFacts(1234, 800, 1200, cover=True), PageFacts(99)]

    assert comicinfo(About("Frieren", "第1巻 & more"), pages).decode() == (
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

    assert [page.get("Type") for page in attributes(comicinfo(BOOK, pages))] == [None, "FrontCover", None]


def test_impossible_measures_are_left_out() -> None:
    page = attributes(comicinfo(BOOK, [PageFacts(1, width=0, height=2**31)]))[0]

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
    assert parsed(comicinfo(About(text), [])).findtext("Series") == read


def test_an_element_without_text_is_left_out() -> None:
    document = parsed(comicinfo(About("\x00", " "), []))

    assert document.find("Series") is None
    assert document.find("Title") is None


def test_what_the_settings_say_stands_in_the_order_of_the_schema() -> None:
    about = About("Frieren", "Ch 12.5", number="12.5", volume="03", language="ja", direction="rtl")
    document = comicinfo(about, [], notes="Bound without 1 page that could not be had: 003.jpg")

    assert [(one.tag, one.text) for one in parsed(document)][:-1] == [
        ("Title", "Ch 12.5"),
        ("Series", "Frieren"),
        ("Number", "12.5"),
        ("Volume", "3"),
        ("Notes", "Bound without 1 page that could not be had: 003.jpg"),
        ("PageCount", "0"),
        ("LanguageISO", "ja"),
        ("Manga", "YesAndRightToLeft"),
    ]


def test_reading_from_left_to_right_is_said_too() -> None:
    assert parsed(comicinfo(About("s", direction="ltr"), [])).findtext("Manga") == "No"
    assert parsed(comicinfo(About("s"), [])).find("Manga") is None


@pytest.mark.parametrize("volume", ["1-3", "2.5", "-1", "vol", str(2**31), "9" * 5000, "²"])
def test_a_volume_that_is_no_number_of_the_schema_is_left_out(volume: str) -> None:
    assert parsed(comicinfo(About("s", volume=volume), [])).find("Volume") is None


def test_kept_values_go_before_ours_and_blank_ones_are_filled() -> None:
    kept = Kept({"Manga": "Yes", "Title": "Theirs", "Series": " ", "Summary": "", "Pages": "old", "PageCount": "7"})
    root = parsed(comicinfo(About("Ours", "Ours", direction="ltr", language="de"), [PageFacts(1)], kept=kept))

    assert {one.tag: one.text for one in root if one.tag != "Pages"} == {
        "Title": "Theirs",
        "Series": "Ours",
        "Summary": None,
        "PageCount": "1",
        "LanguageISO": "de",
        "Manga": "Yes",
    }
    assert len(root.findall("Pages/Page")) == 1


def test_our_notes_come_below_theirs() -> None:
    kept = Kept({"Notes": "Scanned\nby me.\n"})

    assert parsed(comicinfo(BOOK, [], notes="Ours.", kept=kept)).findtext("Notes") == "Scanned\nby me.\nOurs."
    assert parsed(comicinfo(BOOK, [], kept=kept)).findtext("Notes") == "Scanned\nby me.\n"


def test_a_kept_text_arrives_to_the_letter() -> None:
    text = "two\r\n\n lines\t<b>&amp;</b> "

    assert parsed(comicinfo(BOOK, [], kept=Kept({"Summary": text}))).findtext("Summary") == text


def test_unknown_elements_stand_at_the_end_as_they_are() -> None:
    others = ('<ty:Status xmlns:ty="urn:x">Ongoing</ty:Status>', "<SortName>b</SortName>")
    root = parsed(comicinfo(BOOK, [], kept=Kept({"Review": "good"}, others)))

    assert [one.tag for one in root][-3:] == ["Review", "{urn:x}Status", "SortName"]


def test_the_order_of_the_schema_is_ours() -> None:
    names = [element.local_name for element in SCHEMA.elements["ComicInfo"].iterchildren()]

    assert names == [name for name in ELEMENTS if name in names]


def test_a_book_of_5000_pages_stays_within_1_kib_of_memory_a_page() -> None:
    facts = (PageFacts(1_234_567, 1600, 2400, cover=number == 0) for number in range(5000))
    comicinfo(BOOK, [PageFacts(1)])
    tracemalloc.start()
    try:
        comicinfo(BOOK, facts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 5000 * 1024
