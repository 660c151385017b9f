"""The cost model over operations counted in this run, as tables."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Result
from benchmarks.object_stores import count_volume

from benchmarks import cost, prices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cost import Counted, Line

_LOAD = cost.Load()
_ASSUMED = cost.Assumed()
_ONE_AT_A_TIME = cost.Assumed(fetch=cost.SMALL)


def report() -> Iterator[Result]:
    """1,000 volumes of 200 pages on Google's services, and on those of AWS as far as the list has prices.

    The goal is one of Google's services: those of AWS have only the store here, no functions.
    """
    binding, standing = _told("gs", "Google", _ASSUMED)
    alone = cost.on_google(_counts("gs"), _LOAD, _ONE_AT_A_TIME)
    yield Result(
        f"cost of binding {_LOAD} on Google",
        cost.total(binding),
        cost.GOAL,
        " USD",
        f"Cloud Storage alone {cost.total(binding, 'Cloud Storage'):.2f}; {cost.total(alone):.2f} with one page at a "
        f"time; besides, {cost.total(standing):.2f} a month for the library and polls",
    )
    _told("s3", "AWS", _ASSUMED)


def _told(kind: str, provider: str, assumed: cost.Assumed) -> tuple[list[Line], list[Line]]:
    """The lines of binding and of every month, printed."""
    binding, standing = _lines(kind, _counts(kind), assumed)
    print(f"\nOn {provider}, USD at prices of {prices.AS_OF}, to bind {_LOAD}:\n")
    _print_table(binding)
    print(f"\nand every month, with these {_LOAD.volumes:,} volumes in the library:\n")
    _print_table(standing)
    print()
    return binding, standing


@cache
def _counts(kind: str) -> Counted:
    return _counted(count_volume(kind))


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
