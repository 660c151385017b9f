from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core import entry
from pagebind.core.entry import EntryFacts

sums = st.integers(0, 2**32 - 1)
pixels = st.none() | st.integers(1, 100_000)


@given(
    facts=st.builds(
        EntryFacts, st.text(min_size=1), sums, st.integers(1, 2**40), sums, pixels, pixels, st.text(), st.booleans()
    )
)
def test_facts_survive_their_metadata(facts: EntryFacts) -> None:
    assert entry.parse(facts.metadata()) == facts


WHOLE = EntryFacts("page", 1, 2, 3, 4, 5).metadata()


@pytest.mark.parametrize("name", ["page", "crc32", "size", "crc32c"])
def test_a_fact_that_is_missing_spoils_all(name: str) -> None:
    assert entry.parse({key: value for key, value in WHOLE.items() if key != name}) is None


@pytest.mark.parametrize("name", ["crc32", "size", "crc32c", "width", "height"])
def test_a_fact_that_is_no_number_spoils_all(name: str) -> None:
    assert entry.parse({**WHOLE, name: "many"}) is None


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_metadata_is_no_facts(nothing: dict[str, str] | None) -> None:
    assert entry.parse(nothing) is None
