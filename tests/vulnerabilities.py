"""Known vulnerabilities of what ships, from the database of osv.dev: ``tests/audit``.

It takes nothing but Python, and asks once for all locks. A tool that installs what it judges, or says that nothing is
known of packages that it could not look up, would not do. Source: google.github.io/osv.dev/post-v1-querybatch.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (
    "functions/requirements.txt",
    "functions/requirements-notify.txt",
    "requirements-image.txt",
    "requirements-image-build.txt",
)
"""What a cloud or an image is built from."""

DATABASE = "https://api.osv.dev"
NONE, KNOWN, NOT_ASKED = 0, 1, 2
"""Exit status."""

_PINNED = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)")
_SECONDS = 10.0


class Package(NamedTuple):
    """One version of one package."""

    name: str
    version: str


def pinned(lock: str) -> list[Package]:
    """What a lock's text pins."""
    return [Package(name.lower(), version) for name, version in _PINNED.findall(lock)]


def known(packages: Sequence[Package], database: str) -> dict[Package, list[str]]:
    """The identifiers of what is known about each package, where there is something.

    Raises:
        OSError: the database gives no answer.
        ValueError: it gives one that is none.
    """
    queries = [
        {"package": {"name": package.name, "ecosystem": "PyPI"}, "version": package.version} for package in packages
    ]
    request = urllib.request.Request(
        f"{database}/v1/querybatch",
        json.dumps({"queries": queries}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        results = _results(json.load(answer))
    if len(results) != len(packages):
        raise ValueError("it answers another number of questions")
    found = {
        package: [str(one["id"]) for one in result.get("vulns", [])]
        for package, result in zip(packages, results, strict=True)
    }
    return {package: names for package, names in found.items() if names}


def _results(document: Any) -> list[dict[str, Any]]:
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise ValueError("it answers what is no answer")
    return results


def main(words: Sequence[str] | None = None) -> int:
    """Look the locks up, and say what is known of what they pin."""
    parser = argparse.ArgumentParser(prog="tests/audit", description=main.__doc__)
    parser.add_argument(
        "locks", nargs="*", default=LOCKS, help="files of pinned requirements; by default all that ship"
    )
    parser.add_argument("--database", default=DATABASE, help="another server with the same interface")
    options = parser.parse_args(words)
    packages = _all_pinned(options.locks)
    try:
        found = known(packages, options.database)
    except (OSError, ValueError) as error:
        _say(f"known vulnerabilities were not looked up: {options.database} cannot be asked ({error})")
        return NOT_ASKED
    for package, names in sorted(found.items()):
        _say(f"{package.name} {package.version}: {', '.join(sorted(names))}")
    _say(f"{len(packages)} packages in {len(options.locks)} locks: {len(found) or 'none'} with known vulnerabilities")
    return KNOWN if found else NONE


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _all_pinned(locks: Iterable[str]) -> list[Package]:
    """Each version once, of all these files."""
    return sorted({package for lock in locks for package in pinned((ROOT / lock).read_text(encoding="utf-8"))})


if __name__ == "__main__":
    sys.exit(main())
