"""Thirty kills on each kind of store; `tests/crash` does a thousand, and every call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.faults import crash_timer
from tests.faults.crash_campaign import Campaign
from tests.faults.crash_sites import KINDS
from tests.faults.crash_strikes import AtCall, AtTime, InPhase, parse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.crash_strikes import Strike

    from pagebind.demo.object_stores import GcsServer, S3Server

INSTANTS = 26
CALLS = (40, 90)

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
        killed = [campaign.strike(AtCall(number, after=after)) for number in CALLS for after in (False, True)]

    found = campaign.findings
    assert not found.told
    assert all(killed)
    assert found.kills == 30
    assert not found.lacking, found.phases


@pytest.mark.slow
@pytest.mark.xdist_group("crash folder")
def test_a_book_that_is_written_bit_by_bit_at_its_final_key_is_found(tmp_path: Path) -> None:
    with Campaign("folder", tmp_path / "all", "1", broken=True) as campaign:
        for number in (1, 2, 3):
            assert campaign.strike(AtCall(number, after=True, only="library put"))

    assert campaign.findings.faults["broken"] == 3
    assert all("broken: Series/Volume" in told for told in campaign.findings.told)


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
