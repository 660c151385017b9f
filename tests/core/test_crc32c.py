from __future__ import annotations

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.core import crc32c


@given(st.lists(st.binary(max_size=3000), max_size=8))
def test_parts_of_any_size_combine_to_the_checksum_of_the_whole(parts: list[bytes]) -> None:
    combined = crc32c.combine_all((google_crc32c.value(part), len(part)) for part in parts)

    assert combined == google_crc32c.value(b"".join(parts))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**45), st.integers(0, 2**45))
def test_lengths_beyond_memory_add_up(first: int, second: int, length: int, more: int) -> None:
    """Joining A to (B joined to C) is joining (A joined to B) to C, whatever the sizes."""
    left = crc32c.combine(crc32c.combine(first, second, length), first, more)
    right = crc32c.combine(first, crc32c.combine(second, first, more), length + more)

    assert left == right


def test_a_megabyte_of_zeros() -> None:
    zeros = bytes(1 << 20)

    assert crc32c.combine(google_crc32c.value(b"page"), google_crc32c.value(zeros), len(zeros)) == google_crc32c.value(
        b"page" + zeros
    )


def test_the_check_value_of_the_specification() -> None:
    """RFC 3720, B.4: 32 bytes of zeros."""
    half = google_crc32c.value(bytes(16))

    assert crc32c.combine(half, half, 16) == 0x8A9136AA


def test_nothing_has_the_checksum_of_nothing() -> None:
    assert crc32c.combine_all([]) == google_crc32c.value(b"") == 0


@pytest.mark.parametrize("wrong", [(-1, 0, 1), (2**32, 0, 1), (0, 2**32, 1), (0, 0, -1)])
def test_impossible_parts_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no such parts"):
        crc32c.combine(*wrong)
