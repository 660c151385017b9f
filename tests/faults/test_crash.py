"""Thirty kills on each kind of store; `tests/crash` does a thousand, and every call."""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.faults import crash_timer
from tests.faults.crash_campaign import PAST, Campaign, Findings
from tests.faults.crash_looks import at_end, wrong_downloads
from tests.faults.crash_sites import KINDS, FolderSite, ground
from tests.faults.crash_strikes import AtCall, AtTime, InPhase, parse

from pagebind.adapters.stores.s3 import S3Store
from pagebind.adapters.stores.s3_bucket import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.faults.crash_strikes import Strike

    from pagebind.demo.object_stores import GcsServer, S3Server

INSTANTS = 26
CALLS = {90: False, 40: True}
"""By number, whether an earlier revision stands there."""


pytestmark = pytest.mark.skipif(not crash_timer.offered(), reason="this system has no timers that kill")


def server_of(kind: str, request: pytest.FixtureRequest) -> GcsServer | S3Server | None:
    server: GcsServer | S3Server | None = None if kind == "folder" else request.getfixturevalue(f"{kind}_server")
    return server


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.xdist_group(f"crash {kind}")) for kind in KINDS])
def test_a_run_killed_at_any_instant_or_call_is_made_good_by_the_next(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with Campaign(kind, tmp_path / "all", "1", store=server_of(kind, request)) as campaign:
        campaign.instants(INSTANTS)
        killed = [
            campaign.strike(AtCall(number, after=after), again=again)
            for number, again in CALLS.items()
            for after in (False, True)
        ]

    found = campaign.findings
    assert not found.told
    assert all(killed)
    assert found.kills == 30
    assert not found.lacking, found.phases
    assert found.again == INSTANTS // 4 + 2


@pytest.mark.slow
@pytest.mark.xdist_group("crash folder")
def test_a_book_that_is_written_bit_by_bit_at_its_final_key_is_found(tmp_path: Path) -> None:
    with Campaign("folder", tmp_path / "all", "1", broken=True) as campaign:
        for number in (1, 2, 3):
            assert campaign.strike(AtCall(number, after=True, only="library put"))

    assert campaign.findings.faults["broken"] == 3
    assert all("broken: Series/Volume" in told for told in campaign.findings.told)


def _without(book: Path) -> None:
    book.unlink()


def _cut(book: Path) -> None:
    book.write_bytes(book.read_bytes()[:-1])


def _another(book: Path) -> None:
    book.write_bytes((book.parent / "Volume 2.cbz").read_bytes())


def _staged(book: Path) -> None:
    entry = book.parents[2] / "work" / "staging" / "volume" / "page.entry"
    entry.parent.mkdir(parents=True)
    entry.write_bytes(b"page")


def _receipts(book: Path) -> list[Path]:
    return sorted(book.parents[2].glob("work/done/*/*.json"))


def _twice_receipted(book: Path) -> None:
    receipt = _receipts(book)[0]
    receipt.with_name(receipt.name.replace("0001.", "0002.", 1)).write_bytes(receipt.read_bytes())


def _not_receipted(book: Path) -> None:
    _receipts(book)[0].unlink()


def _no_receipt_at_all(book: Path) -> None:
    _receipts(book)[0].write_bytes(b"{")


def _another_receipt(book: Path, said: Mapping[str, object]) -> None:
    """A receipt of which some is not true; what the store writes behind the content stays as it was."""
    receipt = _receipts(book)[0]
    content = receipt.read_text()
    end = content.rindex("}") + 1
    receipt.write_text(json.dumps(json.loads(content[:end]) | dict(said)) + content[end:])


def _crossed_receipts(book: Path) -> None:
    """Each says of its book what the other should."""
    one, two, _ = _receipts(book)
    content, other = one.read_bytes(), two.read_bytes()
    one.write_bytes(other)
    two.write_bytes(content)


def _crossed_pages(book: Path) -> None:
    """All is true of the one book, but for where its pages stand."""
    _, two, _ = _receipts(book)
    content = two.read_text()
    _another_receipt(book, {"pages": json.loads(content[: content.rindex("}") + 1])["pages"]})


WRONGS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no book": (_without, "missing"),
    "a book that is cut": (_cut, "broken"),
    "another book": (_another, "differing"),
    "a page": (_staged, "left over"),
    "two receipts": (_twice_receipted, "receipt"),
    "no receipt": (_not_receipted, "receipt"),
    "crossed receipts": (_crossed_receipts, "receipt"),
    "the pages of another": (_crossed_pages, "receipt"),
    **{
        f"another {name}": (functools.partial(_another_receipt, said={name: value}), "receipt")
        for name, value in (
            ("size", 1),
            ("crc32c", "00000001"),
            ("pages", []),
            ("key", "Series/Volume 2.cbz"),
            ("path", "/comics/Series/Volume 2"),
            ("version", "0-0"),
            ("seq", 2),
            ("revision", "0" * 16),
            ("kind", "adopted"),
        )
    },
    "no JSON": (_no_receipt_at_all, "receipt"),
}


@pytest.mark.xdist_group("crash folder")
def test_whatever_a_kill_must_not_leave_is_seen(tmp_path: Path) -> None:
    with Campaign("folder", tmp_path / "all", "1") as campaign:
        made = campaign._new_site()
        campaign._run(campaign._order(made), None)
        for what, (spoil, kind) in WRONGS.items():
            site = campaign._new_site()
            assert isinstance(site, FolderSite)
            assert isinstance(made, FolderSite)
            site.copy(made)
            assert list(at_end(site, campaign.expected)) == []
            spoil(site.home / "library" / "Series" / "Volume 1.cbz")
            assert {found.kind for found in at_end(site, campaign.expected)} >= {kind}, what


@pytest.mark.parametrize(
    ("asked", "there", "found"),
    [
        (["/1", "/2"], set(), []),
        (["/2"], {"/1"}, []),
        (["/1", "/2"], {"/1"}, ["/1 was asked for, though it was there"]),
        (["/1", "/2", "/2"], set(), ["/2 was asked for 2 times"]),
        (["/1"], set(), ["/2 was not asked for"]),
        (["/1", "/2", "/3"], set(), ["/3 was asked for, though it was there"]),
    ],
)
def test_a_page_that_is_asked_for_again_is_seen(asked: list[str], there: set[str], found: list[str]) -> None:
    wrong = wrong_downloads(asked, frozenset({"/1", "/2"}), there)
    assert [fault.text for fault in wrong] == found


def test_instants_that_are_not_drawn_evenly_are_seen() -> None:
    even = Findings("folder", uniform=Counter(dict.fromkeys(range(10), 20)))
    bare = Findings("folder", uniform=Counter({0: 3, **dict.fromkeys(range(1, 10), 22)}))
    heaped = Findings("folder", uniform=Counter({9: 60, **dict.fromkeys(range(9), 16)}))
    past = Findings("folder", uniform=Counter({PAST: 300, 0: 1}))
    assert (even.uneven, bare.uneven, heaped.uneven, past.uneven) == ([], [0], [9], [])


@pytest.mark.xdist_group("crash folder")
def test_what_a_folder_does_inside_a_call_can_be_the_last_it_does(tmp_path: Path) -> None:
    with Campaign("folder", tmp_path / "all", "1") as campaign:
        assert campaign.strike(parse("call:150:before:os"), again=True)
        assert not campaign.strike(parse("call:9999:before:os"))

    assert not campaign.findings.told
    assert campaign.findings.calls == {"of the system": 1}


@pytest.mark.xdist_group("crash s3")
def test_an_upload_that_stays_open_is_seen(tmp_path: Path, s3_server: S3Server) -> None:
    with ground("s3", tmp_path, s3_server) as place:
        site = place.site(tmp_path / "site")
        assert isinstance(site.library, S3Store)
        site.library.bucket.begin_upload("Series/Volume 1.cbz", Content({}))

        assert site.left() == ["upload of Series/Volume 1.cbz"]
        site.remove()
        assert list(site.library.bucket.uploads("")) == []


@pytest.mark.parametrize(
    "strike",
    [AtTime(0.25), InPhase("put together", 2, 0.5), AtCall(17, after=True), AtCall(3, after=False, only="put")],
)
def test_the_words_of_a_kill_bring_it_back(strike: Strike) -> None:
    assert parse(str(strike)) == strike


@pytest.mark.parametrize("words", ["", "time", "aim:lunch:1:0.5", "call:1", "call:1:between"])
def test_other_words_are_no_kill(words: str) -> None:
    with pytest.raises(ValueError, match=r"no kill|could not"):
        parse(words)
