"""``python -m benchmarks.run [NAME ...]``: ratios from one run, each with its limit; status 1 if one is missed."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks import (
    bench,
    cost_report,
    fetch_cpu,
    hand_out,
    imports,
    load,
    memory,
    object_stores,
    rclone,
    second_run,
    speed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BENCHMARKS: dict[str, Callable[[], Iterator[bench.Result]]] = {
    "imports": imports.imports,
    "download": speed.download,
    "rclone": rclone.rclone,
    "listing": speed.listing,
    "second-run": second_run.second_run,
    "memory": memory.run,
    "gcs": object_stores.finalize_on_google,
    "gcs-streaming": object_stores.streaming_on_google,
    "s3": object_stores.finalize_on_s3,
    "fetch": object_stores.fetch,
    "fetch-cpu": fetch_cpu.fetch_cpu,
    "fetch-memory": fetch_cpu.fetch_memory,
    "tasks": hand_out.tasks,
    "poll": hand_out.nothing_new,
    "cost": cost_report.report,
    "load": load.load,
    "million": memory.plan,
    "gcs-large": object_stores.large_finalize_on_google,
}
_ON_DEMAND = frozenset({"load", "million", "gcs-large"})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Measure what the promises are.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_BENCHMARKS)}")
    parser.add_argument("--all", action="store_true", help="also those that take long")
    options = parser.parse_args()
    if unknown := set(options.names) - _BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(_BENCHMARKS)}")
    names = options.names or [name for name in _BENCHMARKS if options.all or name not in _ON_DEMAND]

    about = f"Measured {datetime.now(UTC):%Y-%m-%d} on {bench.machine()}."
    changed = ", ".join(f"`{key} = {value}`" for key, value in bench.CHANGED.items())
    settings = f"The configuration is what `pagebind init` writes, with {changed}; `run` gets `--settle 0`."
    print(about, settings, sep="\n", flush=True)
    results = []
    for name in names:
        for result in _BENCHMARKS[name]():
            print(result.line(), flush=True)
            results.append(result)
    print(
        "", about, "", settings, "", "| what | measured | limit | | how |", "| --- | --- | --- | --- | --- |", sep="\n"
    )
    print(*(result.row() for result in results), sep="\n")
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
