"""The cost model over operations counted in this run, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.bench import Result
from benchmarks.object_stores import count_volume

from benchmarks import cost, prices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cost import Counted, Line

_LOAD = cost.Load()
_ASSUMED = cost.Assumed()
_ONE_AT_A_TIME = cost.Assumed(fetch=cost.SMALL, batch=1, fetch_gb=0.25)
_STORES = {
    "gs": ("Google", "Cloud Storage", "the library and polls"),
    "s3": ("AWS", "S3", "polls, and what the library takes"),
}


def report() -> Iterator[Result]:
    """1,000 volumes of 200 pages on Google's services, and on those of AWS as far as the list has prices."""
    for kind, (provider, store, standing_for) in _STORES.items():
        counted = _counted(count_volume(kind))
        binding, standing = _lines(kind, counted, _ASSUMED)
        print(f"\nOn {provider}, USD at prices of {prices.AS_OF}, to bind {_LOAD}:\n")
        _print_table(binding)
        print(f"\nand every month, with these {_LOAD.volumes:,} volumes in the library:\n")
        _print_table(standing)
        alone, _ = _lines(kind, counted, _ONE_AT_A_TIME)
        print()
        yield Result(
            f"cost of binding {_LOAD} on {provider}",
            cost.total(binding),
            cost.GOAL,
            " USD",
            f"{store} alone {cost.total(binding, store):.2f}; {cost.total(alone):.2f} with one page at a time; "
            f"besides, {cost.total(standing):.2f} a month for {standing_for}",
        )


def _lines(kind: str, counted: Counted, assumed: cost.Assumed) -> tuple[list[Line], list[Line]]:
    if kind == "gs":
        return list(cost.on_google(counted, _LOAD, assumed)), list(cost.on_google_a_month(counted, _LOAD, assumed))
    return list(cost.on_aws(counted, _LOAD, assumed)), list(cost.on_aws_a_month(counted, _LOAD, assumed))


def _counted(counts: dict[str, Any]) -> Counted:
    """A volume's own part of the polls is what they ask beyond one that finds nothing new."""
    seen, settled, fetch, finalize, idle = (
        cost.Operations(*(counts[name]["classes"][kind] for kind in ("A", "B", "free")))
        for name in ("seen", "settled", "fetch", "finalize", "idle")
    )
    whole = seen - idle + (settled - idle) + fetch + finalize
    return cost.Counted(whole.of_each(counts["volumes"]), idle)


def _print_table(lines: Sequence[Line]) -> None:
    print("| service | units | price | USD | |", "| --- | --- | --- | --- | --- |", sep="\n")
    print(*(line.row() for line in lines), sep="\n")
    for service in dict.fromkeys(line.price.service for line in lines):
        print(f"| **{service}** | | | {cost.total(lines, service):.3f} | |")
    print(f"| **all** | | | **{cost.total(lines):.3f}** | |")
