"""What a poll that finds nothing new asks of a bucket: as much for no volume as for many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.functions.over_a_bucket import over_a_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functions.over_a_bucket import OverABucket

    from pagebind.demo.store_proxy import StoreProxy


@pytest.fixture
def functions(gcs_bucket: str, tmp_path: Path) -> Iterator[OverABucket]:
    with over_a_bucket(gcs_bucket, tmp_path) as made:
        yield made


@pytest.mark.parametrize("volumes", [0, 12])
def test_a_poll_with_nothing_new(functions: OverABucket, gcs_proxy: StoreProxy, volumes: int) -> None:
    for number in range(volumes):
        functions.volume(f"A/{number}")
    functions.poll()
    functions.stage()
    functions.bind()
    gcs_proxy.reset()

    assert len(functions.poll().document["up_to_date"]) == volumes

    asked = Counter((call.operation, call.key.rpartition("/")[0]) for call in gcs_proxy.calls)
    listed = {prefix: count for (operation, prefix), count in asked.items() if operation == "objects.list"}
    once = ("manifests", "sent", "staging", "failures", "decisions", "done", "runs")
    assert listed == {"library": 1, **dict.fromkeys((f"work/{name}" for name in once), 1)}
    others = {called: count for called, count in asked.items() if called[0] != "objects.list"}
    cursor, record = ("objects.get_media", "work/runs"), ("objects.insert", "work/runs")
    assert others == {cursor: 1, record: 1}
