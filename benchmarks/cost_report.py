"""The cost model over what was counted in this run, as tables."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Result, run_child
from benchmarks.object_stores import count_volume

from benchmarks import cost, prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.cost import Counted, Line, Measured
    from benchmarks.prices import Price

_LOAD = cost.Load()
_ASSUMED = cost.Assumed()
_SIZES = (
    cost.SMALL,
    cost.Size(1, 0.5, 8),
    cost.SHARED,
    cost.Size(1, 1.0, 32),
    cost.Size(1, 2.0, 80),
)
"""Of fetch: memory by what pages of 4 MiB need (`fetch-memory`), so many at a time."""

_DRIVES = (0.3, 1.0, 3.0)
"""Seconds that a page takes to come."""

_INSTANCES = frozenset({prices.FUNCTION_CPU, prices.FUNCTION_MEMORY})


def report() -> Iterator[Result]:
    """1,000 volumes of 200 pages on Google's services, and on those of AWS as far as the list has prices.

    The goal is one of Google's services: those of AWS have only the store here, no functions.
    """
    counted, measured = _on_google()
    binding = list(cost.on_google(counted, measured, _LOAD, _ASSUMED))
    standing = list(cost.on_google_a_month(counted, measured, _LOAD, _ASSUMED))
    _print("Google", binding, standing)
    _print_alternatives()
    unlogged = _total(replace(_ASSUMED, request_log=0))
    yield Result(
        f"cost of binding {_LOAD} on Google",
        cost.total(binding),
        cost.GOAL,
        " USD",
        f"Cloud Storage alone {cost.total(binding, 'Cloud Storage'):.2f}; {unlogged:.2f} if the platform logs no "
        f"requests; besides, {cost.total(standing):.2f} a month for the library and polls",
    )
    at_aws = _counted(count_volume("s3"), ("seen", "settled", "fetch", "finalize"))
    _print("AWS", list(cost.on_aws(at_aws, _LOAD, _ASSUMED)), list(cost.on_aws_a_month(at_aws, _LOAD, _ASSUMED)))


def _total(assumed: cost.Assumed, priced: frozenset[Price] | None = None) -> float:
    """USD of binding, or of the lines with these prices."""
    lines = cost.on_google(*_on_google(), _LOAD, assumed)
    return sum(line.usd for line in lines if priced is None or line.price in priced)


@cache
def _on_google() -> tuple[Counted, Measured]:
    counts: dict[str, Any] = json.loads(run_child(["-m", "benchmarks.counted_functions"], {}).out)
    counted = _counted(counts, ("seen", "settled", "fetch", "finalize"))
    early = _operations(counts["early"]).of_each(counts["early"]["finalize delivered"])
    return replace(counted, early=early), _measured(counts)


def _measured(counts: dict[str, Any]) -> Measured:
    """What the functions did for each page, volume and poll."""
    volumes = counts["volumes"]
    pages = volumes * counts["pages"]
    settled, fetch, finalize, idle, seen = (counts[name] for name in ("settled", "fetch", "finalize", "idle", "seen"))
    expected = counts["pages"] / (cost.PAGES_PER_DOWNLOAD * _ASSUMED.concurrency)
    assert fetch["fetch delivered"] == settled["fetch created"] == pages
    assert finalize["finalize delivered"] == settled["finalize created"] == volumes
    return cost.Measured(
        page_lines=fetch["fetch lines"] / pages,
        page_log=fetch["fetch log"] / pages,
        volume_lines=(finalize["finalize lines"] + settled["poll lines"] - idle["poll lines"]) / volumes,
        volume_log=(finalize["finalize log"] + settled["poll log"] - idle["poll log"]) / volumes,
        poll_lines=idle["poll lines"],
        poll_log=idle["poll log"],
        page_cpu=fetch["fetch cpu"] / pages,
        finalize_cpu=finalize["finalize cpu"] / volumes,
        early_cpu=counts["early"]["finalize cpu"] / volumes,
        poll_cpu=idle["poll cpu"],
        task_cpu=settled["poll cpu"] / (pages + volumes),
        start_cpu=seen["poll cpu"],
        finalize_requests=(finalize["classes"]["A"] + finalize["classes"]["B"]) / volumes,
        deletions=finalize["classes"]["free"] / volumes,
        page_secrets=fetch["secrets"] / pages,
        poll_secrets=seen["secrets"],
        due_own=round(counts["due"]["own"] / expected, 1),
        due_before=round(counts["due"]["before"] / expected, 1),
    )


def _counted(counts: dict[str, Any], phases: Iterable[str]) -> Counted:
    """A volume's own part of the polls is what they ask beyond one that finds nothing new."""
    idle = _operations(counts["idle"])
    whole = cost.Operations()
    for name in phases:
        own = _operations(counts[name])
        whole += own - idle if name in {"seen", "settled"} else own
    return cost.Counted(whole.of_each(counts["volumes"]), idle)


def _operations(phase: dict[str, Any]) -> cost.Operations:
    return cost.Operations(*(phase["classes"][kind] for kind in ("A", "B", "free")))


def _print(provider: str, binding: Sequence[Line], standing: Sequence[Line]) -> None:
    print(f"\nOn {provider}, USD at prices of {prices.AS_OF}, to bind {_LOAD}:\n")
    _print_table(binding)
    print(f"\nand every month, with these {_LOAD.volumes:,} volumes in the library:\n")
    _print_table(standing)
    print()


def _print_table(lines: Sequence[Line]) -> None:
    print("| service | units | price | USD | |", "| --- | --- | --- | --- | --- |", sep="\n")
    print(*(line.row() for line in lines), sep="\n")
    for service in dict.fromkeys(line.price.service for line in lines):
        print(f"| **{service}** | | | {cost.total(lines, service):.3f} | |")
    print(f"| **all** | | | **{cost.total(lines):.3f}** | |")


def _print_alternatives() -> None:
    """What the size of fetch makes of it, by the seconds that the drive takes for a page."""
    for what, priced in (("everything", None), ("processors and memory alone", _INSTANCES)):
        print(f"The same by the size of fetch and by the seconds that a page takes to come, {what}, USD:\n")
        print(f"| fetch on | {' | '.join(f'{seconds:g} s' for seconds in _DRIVES)} |")
        print("| --- |" + " --- |" * len(_DRIVES))
        for size in _SIZES:
            choice = replace(_ASSUMED, fetch=size, in_flight=max(_ASSUMED.in_flight, size.at_once))
            totals = [_total(replace(choice, page_seconds=seconds), priced) for seconds in _DRIVES]
            print(f"| {size} | {' | '.join(f'{usd:.2f}' for usd in totals)} |")
        print()
