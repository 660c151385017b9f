"""`pagebind status` for people: every reason, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli import shapes

if TYPE_CHECKING:
    from tests.cli.command import Home


@pytest.mark.parametrize("words", [(), ("--quiet",)])
def test_a_damaged_manifest_is_told_of(bound: Home, words: tuple[str, ...]) -> None:
    damaged = min((bound.store / "manifests").rglob("*.json"))
    damaged.write_bytes(b"{")

    answer = bound.call("status", *words)

    assert answer.status == 3
    assert answer.line.startswith("problem: ")
    assert damaged.name in answer.line
    assert ("/comics/B/Vol 1" in answer.out) == (not words)
    document = bound.call("status", "--json").document
    shapes.check("status", document)
    assert [problem["path"] for problem in document["problems"]] == [damaged.relative_to(bound.store).as_posix()]


def test_why_a_volume_is_held_is_said_once(bound: Home) -> None:
    (bound.library / "A" / "Vol 1.cbz").unlink()
    plainly = bound.call("status").out
    assert plainly.count("somebody removed the book") == 1

    bound.call("retry", "/comics/A/Vol 1")

    answer = bound.call("status")
    assert answer.status == 3
    assert "(decided: tried again)" in answer.out
    assert answer.out.count("somebody removed the book") == 1
