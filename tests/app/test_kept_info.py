"""What other tools wrote is kept, safely parsed, and what comes of it reads back as readers read it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import NamedTuple

import defusedxml.ElementTree
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from pagebind.app.kept_info import Unusable, read
from pagebind.core.comicinfo import ELEMENTS, LARGEST, Kept, PageFacts, comicinfo
from pagebind.core.model import About

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent.parent / "support" / "ComicInfo-2.0.xsd")

ABOUT = About("Folder", "Vol 01", number="1", language="en", direction="rtl")
PAGES = [PageFacts(10, cover=True), PageFacts(20)]

MIHON = """<?xml version='1.0' encoding='UTF-8' ?>
<ComicInfo xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <Title>Chapter 3: 花 &amp; 夢</Title>
  <Series>葬送のフリーレン</Series>
  <Number>3.0</Number>
  <Summary>First line.

Second line.</Summary>
  <Writer>Yamada Kanehito</Writer>
  <Translator>Some Group</Translator>
  <Genre>Adventure, Fantasy</Genre>
  <Web>https://manga.example.org/chapter/3?a=1&amp;b=2</Web>
  <ty:PublishingStatusTachiyomi xmlns:ty="http://www.w3.org/2001/XMLSchema">Ongoing</ty:PublishingStatusTachiyomi>
  <mh:SourceMihon xmlns:mh="http://www.w3.org/2001/XMLSchema">A Source</mh:SourceMihon>
</ComicInfo>
"""

COMICTAGGER = """<?xml version="1.0"?>
<ComicInfo xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <Title>The Beginning</Title>
  <Series>Some Heroes</Series>
  <Number>1</Number>
  <Count>12</Count>
  <Volume>2011</Volume>
  <Notes>Tagged with ComicTagger using info from Comic Vine on 2024-01-02 03:04:05.  [Issue ID 12345]</Notes>
  <Year>2011</Year>
  <Month>9</Month>
  <Writer>A. Writer, B. Writer</Writer>
  <Publisher>A Publisher</Publisher>
  <PageCount>3</PageCount>
  <BlackAndWhite>No</BlackAndWhite>
  <AgeRating>Teen</AgeRating>
  <Pages>
    <Page Image="0" Type="FrontCover" ImageSize="1"/>
    <Page Image="1"/>
    <Page Image="2"/>
  </Pages>
  <CommunityRating>4.5</CommunityRating>
</ComicInfo>
"""

KAVITA = """<?xml version="1.0" encoding="utf-8"?>
<ComicInfo>
  <LocalizedSeries>Frieren</LocalizedSeries>
  <Series>Sousou no Frieren</Series>
  <SeriesSort>Frieren</SeriesSort>
  <Volume>1</Volume>
  <Tags>Elves, Magic</Tags>
  <StoryArc>Journey</StoryArc>
  <StoryArcNumber>1</StoryArcNumber>
  <LanguageISO>ja</LanguageISO>
  <Manga>YesAndRightToLeft</Manga>
  <AgeRating>Everyone 10+</AgeRating>
  <GTIN>9784091234567</GTIN>
</ComicInfo>
"""


class Shown(NamedTuple):
    """What a reader shows of a book; absent elements are None."""

    series: str | None
    title: str | None
    number: str | None
    volume: str | None
    language: str | None
    direction: str | None
    pages: int


def shown(document: bytes) -> Shown:
    """As Komga and Kavita read it: elements by name, whatever their order; a direction only from these two values."""
    root = defusedxml.ElementTree.fromstring(document)
    assert root.tag == "ComicInfo"
    direction = {"YesAndRightToLeft": "rtl", "No": "ltr"}.get(root.findtext("Manga") or "")
    series, title, number, volume, language = (
        root.findtext(name) for name in ("Series", "Title", "Number", "Volume", "LanguageISO")
    )
    return Shown(series, title, number, volume, language, direction, int(root.findtext("PageCount") or 0))


def completed(sample: str | bytes, notes: str = "") -> bytes:
    kept = read(sample if isinstance(sample, bytes) else sample.encode())
    assert isinstance(kept, Kept)
    return comicinfo(ABOUT, PAGES, notes=notes, kept=kept)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (MIHON, Shown("葬送のフリーレン", "Chapter 3: 花 & 夢", "3.0", None, "en", "rtl", 2)),
        (COMICTAGGER, Shown("Some Heroes", "The Beginning", "1", "2011", "en", "rtl", 2)),
        (KAVITA, Shown("Sousou no Frieren", "Vol 01", "1", "1", "ja", "rtl", 2)),
    ],
    ids=["Mihon", "ComicTagger", "Kavita"],
)
def test_a_reader_sees_what_was_kept_and_what_was_added(sample: str, expected: Shown) -> None:
    assert shown(completed(sample)) == expected


@pytest.mark.parametrize("sample", [MIHON, COMICTAGGER, KAVITA], ids=["Mihon", "ComicTagger", "Kavita"])
def test_nothing_of_it_is_lost(sample: str) -> None:
    def texts(document: str | bytes) -> dict[str, str]:
        root = defusedxml.ElementTree.fromstring(document if isinstance(document, bytes) else document.encode())
        return {one.tag: one.text for one in root if one.tag not in ("Pages", "PageCount")}

    before, after = texts(sample), texts(completed(sample))
    assert before.items() <= after.items()


def test_what_kept_to_the_schema_still_does() -> None:
    SCHEMA.validate(COMICTAGGER)
    document = completed(COMICTAGGER, notes="Bound without 1 page that could not be had: 003.jpg")

    SCHEMA.validate(document.decode())
    notes = defusedxml.ElementTree.fromstring(document).findtext("Notes")
    assert notes.endswith("[Issue ID 12345]\nBound without 1 page that could not be had: 003.jpg")


def test_what_was_completed_can_be_kept_again_and_stays_the_same() -> None:
    document = completed(MIHON)

    assert completed(document) == document


@given(
    texts=st.dictionaries(
        st.sampled_from([name for name in ELEMENTS if name not in ("Pages", "PageCount")]),
        st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.just("\n")),
    )
)
def test_every_text_comes_back(texts: dict[str, str]) -> None:
    assert read(comicinfo(About(), [], kept=Kept(texts))) == Kept(texts)


@pytest.mark.parametrize(
    "content",
    [
        "<ComicInfo><Title>ä中</Title></ComicInfo>".encode(),
        '<?xml version="1.0" encoding="utf-8"?><ComicInfo><Title>ä中</Title></ComicInfo>'.encode("utf-8-sig"),
        '<?xml version="1.0" encoding="utf-16"?><ComicInfo><Title>ä中</Title></ComicInfo>'.encode("utf-16"),
        '\ufeff<?xml version="1.0"?><ComicInfo><Title>ä中</Title></ComicInfo>'.encode("utf-16-be"),
        '<?xml version="1.0" encoding="utf-16"?><ComicInfo><Title>ä中</Title></ComicInfo>'.encode("utf-16-le"),
        '<?xml version="1.0" encoding="utf-8"?><ComicInfo><Title>ä中</Title></ComicInfo>'.encode("utf-16"),
        '<?xml version="1.0" encoding="utf-16"?><ComicInfo><Title>ä中</Title></ComicInfo>'.encode(),
        b'<?xml version="1.0" encoding="ascii"?><ComicInfo><Title>&#xe4;&#x4e2d;</Title></ComicInfo>',
        '<ComicInfo xmlns="urn:all"><Title>ä中</Title></ComicInfo>'.encode(),
        "<ComicInfo><!-- no --><Title>ä<?no?><![CDATA[中]]></Title></ComicInfo>".encode(),
    ],
)
def test_files_of_all_makers_are_read(content: bytes) -> None:
    assert read(content) == Kept({"Title": "ä中"})


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))

UNUSABLE = {
    "nothing": (b"", "no well-formed XML"),
    "no XML": (b"PK\x03\x04 and so on", "no well-formed XML"),
    "cut": (MIHON.encode()[:300], "no well-formed XML at line 8"),
    "another root": (b"<comicinfo/>", "root is not ComicInfo"),
    "another root that holds one": (b"<a><ComicInfo/></a>", "root is not ComicInfo"),
    "an encoding of several bytes": (b'<?xml version="1.0" encoding="gbk"?><ComicInfo/>', "encoding is not known"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><ComicInfo/>', "encoding is not known"),
    "a document type": (b"<!DOCTYPE ComicInfo><ComicInfo/>", "document type or entities"),
    "billion laughs": (
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><ComicInfo><Title>&l9;</Title></ComicInfo>'.encode(),
        "document type or entities",
    ),
    "a file from outside": (
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><ComicInfo><Title>&f;</Title></ComicInfo>',
        "document type or entities",
    ),
    "an entity of nobody": (b"<ComicInfo><Title>&nbsp;</Title></ComicInfo>", "no well-formed XML"),
    "deep": (b"<ComicInfo>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</ComicInfo>", "nested more than"),
    "a huge attribute": (b'<ComicInfo><a b="' + b"c" * 5000 + b'"/></ComicInfo>', "attribute of more than"),
    "many elements": (b"<ComicInfo>" + b"<a/>" * 2000 + b"</ComicInfo>", "more than 1,000 elements"),
    "many elements in one": (b"<ComicInfo><a>" + b"<b/>" * 2000 + b"</a></ComicInfo>", "more than 1,000 elements"),
    "too large": (b"<ComicInfo>" + b" " * LARGEST + b"</ComicInfo>", "larger than"),
}


@pytest.mark.parametrize(("content", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_kept_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    refused = read(content)

    assert isinstance(refused, Unusable)
    assert reason in refused.reason
    assert refused.reason.isprintable()
    assert len(refused.reason) < 100


def test_the_pages_of_a_large_one_cost_no_memory() -> None:
    content = b"<ComicInfo><Pages>" + b'<Page Image="1"/>' * 60_000 + b"</Pages></ComicInfo>"
    read(b"<ComicInfo/>")
    tracemalloc.start()
    try:
        assert read(content) == Kept({})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 2 * len(content)


def test_of_two_with_one_name_the_first_that_says_something_counts() -> None:
    assert read(b"<ComicInfo><Title/><Title>a</Title><Title>b</Title></ComicInfo>") == Kept({"Title": "a"})


@given(st.binary() | st.text().map(str.encode) | st.builds(lambda a: b"<ComicInfo>" + a, st.binary()))
def test_whatever_it_is_reading_it_raises_nothing(content: bytes) -> None:
    assert isinstance(read(content), Kept | Unusable)
