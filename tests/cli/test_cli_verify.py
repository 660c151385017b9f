"""`verify` finds every book that is not what its receipt says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.cli import shapes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command import Answer, Home


@pytest.fixture
def book(bound: Home) -> Path:
    return bound.library / "A" / "Vol 1.cbz"


def wrong(answer: Answer, code: str) -> str:
    """The message about the one wrong book."""
    assert answer.status == 3
    shapes.check("verify", answer.document)
    assert [(book["key"], book["ok"]) for book in answer.document["books"]] == [
        ("A/Vol 1.cbz", False),
        ("B/Vol 1.cbz", True),
    ]
    assert [problem["code"] for problem in answer.document["problems"]] == [code]
    message: str = answer.document["problems"][0]["message"]
    assert answer.document["books"][0]["problem"]["message"] == message
    return message


def test_all_is_well(bound: Home) -> None:
    for words in ([], ["--read"]):
        answer = bound.call("verify", *words)
        assert answer.status == 0
        assert "2 of 2 books are what their receipts say" in answer.out
        assert answer.err.splitlines() == ["ok A/Vol 1.cbz (3 pages)", "ok B/Vol 1.cbz (2 pages)"]


def test_a_truncated_book(bound: Home, book: Path) -> None:
    os.truncate(book, book.stat().st_size - 30)
    assert "A/Vol 1.cbz" in wrong(bound.call("verify", "--json"), "changed")


def test_a_changed_byte_shows_only_when_read(bound: Home, book: Path) -> None:
    before = book.stat()
    with book.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(book, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert bound.call("verify").status == 0
    assert "page 01.png is damaged" in wrong(bound.call("verify", "--read", "--json"), "changed")
    text = bound.call("verify", "--read")
    assert "1 of 2 books" in text.out
    assert [line for line in text.err.splitlines() if "01.png" in line]


def test_a_changed_end_is_found_by_reading(bound: Home, book: Path) -> None:
    before = book.stat()
    with book.open("r+b") as file:
        file.seek(-40, os.SEEK_END)
        byte = file.read(1)
        file.seek(-40, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(book, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "directory" in wrong(bound.call("verify", "--read", "--json"), "changed")


def test_a_removed_book(bound: Home, book: Path) -> None:
    book.unlink()
    wrong(bound.call("verify", "--json"), "removed")


def test_a_replaced_book(bound: Home, book: Path) -> None:
    book.unlink()
    book.write_bytes((bound.library / "B" / "Vol 1.cbz").read_bytes())
    wrong(bound.call("verify", "--json"), "changed")
    assert bound.call("verify", "/comics/B/Vol 1").status == 0
    assert bound.call("verify", "A/*").status == 3
