"""The CRC-32C of a whole from those of its parts, without the bytes.

A CRC is a remainder of polynomials over GF(2): appending ``n`` bytes multiplies the remainder by x^(8n). So the
checksum of A followed by B is crc(A) times x^(8 len(B)), plus crc(B). The powers x^(8 * 2^k) are computed once, on
first use; a combination costs one short multiplication for each bit that is set in the length.

Polynomials are written as CRC-32C is, reflected: the highest bit is x^0. Source: RFC 3720, appendix B.4; the method is
that of zlib's ``crc32_combine``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_POLYNOMIAL = 0x82F63B78
_X_TO_THE_8 = 1 << 23
_FULL32 = 0xFFFFFFFF


def combine(crc_a: int, crc_b: int, len_b: int) -> int:
    """CRC-32C of A followed by B.

    Args:
        crc_a: of A.
        crc_b: of B.
        len_b: bytes in B.

    Raises:
        ValueError: a checksum that does not fit 32 bits, or a negative length.
    """
    if not (0 <= crc_a <= _FULL32 and 0 <= crc_b <= _FULL32 and len_b >= 0):
        raise ValueError(f"no such parts: CRC-32C {crc_a} and {crc_b}, {len_b} bytes")
    bit = 0
    while len_b:
        if len_b & 1:
            crc_a = _multiply(crc_a, _multiples_of_power(bit))
        len_b >>= 1
        bit += 1
    return crc_a ^ crc_b


def combine_all(parts: Iterable[tuple[int, int]]) -> int:
    """CRC-32C of all parts in a row; each is given as its CRC-32C and its length in bytes. Of no parts: 0."""
    whole = 0
    for crc, length in parts:
        whole = combine(whole, crc, length)
    return whole


def _times_x(value: int) -> int:
    return value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)


def _multiples(value: int) -> tuple[int, ...]:
    """``value`` times each of the 16 polynomials of degree below 4; the nibble's highest bit is x^0."""
    powers = [value]
    for _ in range(3):
        powers.append(_times_x(powers[-1]))
    one, x, x2, x3 = powers
    return tuple(
        (one if nibble & 8 else 0) ^ (x if nibble & 4 else 0) ^ (x2 if nibble & 2 else 0) ^ (x3 if nibble & 1 else 0)
        for nibble in range(16)
    )


def _overflow(nibble: int) -> int:
    """What the four lowest bits become when x^4 pushes them out."""
    for _ in range(4):
        nibble = _times_x(nibble)
    return nibble


_OVERFLOWS = tuple(map(_overflow, range(16)))


def _multiply(value: int, multiples: tuple[int, ...]) -> int:
    """``value`` times the polynomial that ``multiples`` was made of: Horner's rule, four bits at a time."""
    product = 0
    for _ in range(8):
        product = product >> 4 ^ _OVERFLOWS[product & 15] ^ multiples[value & 15]
        value >>= 4
    return product


@cache
def _multiples_of_power(bit: int) -> tuple[int, ...]:
    """The multiples of x^(8 * 2^bit): each power is the square of the one before."""
    if bit == 0:
        return _multiples(_X_TO_THE_8)
    before = _multiples_of_power(bit - 1)
    return _multiples(_multiply(before[8], before))
