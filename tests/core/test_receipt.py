from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core import receipt
from pagebind.core.receipt import BoundPage, Receipt

sums = st.integers(0, 2**32 - 1)
pages = st.builds(BoundPage, st.text(), st.text(), st.integers(0), st.integers(0), sums)
receipts = st.builds(
    Receipt,
    st.text(),
    st.text(),
    st.text(),
    st.integers(1),
    st.text(),
    st.text(),
    st.integers(0),
    sums,
    st.lists(pages, max_size=3).map(tuple),
)


@given(one=receipts)
def test_a_receipt_survives(one: Receipt) -> None:
    assert receipt.load(receipt.dump(one)) == one


def document(**changes: object) -> bytes:
    whole = json.loads(receipt.dump(Receipt("v", "/p", "k", 1, "r", "x", 2, 3, (BoundPage("p", "n", 4, 5, 6),))))
    return json.dumps({**whole, **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"{}", b"\xff", document(crc32c="zz"), document(pages=[[1, 2]]), document(pages=7)],
)
def test_anything_else_is_no_receipt(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own message stands in it
        receipt.load(content)
