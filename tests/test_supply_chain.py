"""What ships is pinned, by versions and hashes, and its known vulnerabilities can be looked up."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import tomllib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests import vulnerabilities
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = {"functions/requirements.txt": "bundle", "functions/requirements-notify.txt": "bundle-notify"}


_PINNED = re.compile(r"[a-z0-9-]+==[^\s;]+( ; [^\\\n]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+")


def blocks(lock: str) -> list[str]:
    """Each requirement of a lock, with its hashes."""
    text = re.sub(r"(?m)^ *#.*\n", "", (REPOSITORY / lock).read_text(encoding="utf-8"))
    return [block for block in re.split(r"(?m)^(?=\S)", text) if block.strip()]


def asked(group: str) -> Iterator[Requirement]:
    """What a group of pyproject.toml demands, those that it includes as well."""
    for one in PROJECT["dependency-groups"][group]:
        if isinstance(one, dict):
            yield from asked(one["include-group"])
        else:
            yield Requirement(one)


@pytest.mark.parametrize("lock", vulnerabilities.LOCKS)
def test_each_requirement_is_one_version_by_its_hashes(lock: str) -> None:
    assert blocks(lock)
    for block in blocks(lock):
        assert re.match(r"[a-z0-9-]+==[^\s;]+( ; [^\\\n]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+\Z", block), (
            block
        )
    names = [canonicalize_name(block.partition("==")[0]) for block in blocks(lock)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("lock", GROUPS)
def test_the_bundle_satisfies_the_project(lock: str) -> None:
    versions = dict(vulnerabilities.pinned((REPOSITORY / lock).read_text(encoding="utf-8")))
    for requirement in asked(GROUPS[lock]):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_the_bundle_demands_of_its_libraries_what_the_project_does() -> None:
    named = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["functions"]]
    bounds = {one.name: one.specifier for one in map(Requirement, named)}
    for requirement in asked("bundle"):
        assert requirement.specifier == bounds[requirement.name], requirement
    assert set(bounds) - {one.name for one in asked("bundle")} == {"click", "rich"}, "of the command line alone"


def test_nothing_names_where_packages_come_from() -> None:
    for lock in REPOSITORY.glob("**/requirements*.txt"):
        assert not re.search(r"(?m)^ *(-i|--(extra-)?index-url|--find-links|.*@ ?https?:)", lock.read_text()), lock


def test_the_threat_model_names_files_and_rules_that_are_there() -> None:
    text = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`((?:tests|functions)/[\w./-]+|requirements[\w.-]+)`", text))
    assert len(files) > 10
    assert [file for file in files if not (REPOSITORY / file).is_file()] == []
    rules = (REPOSITORY / "tests" / "infra" / "rules.py").read_text(encoding="utf-8")
    for listed in re.findall(r"`tests/infra/rules\.py` \(([^)]*)\)", text):
        for rule in re.findall(r"`(\w+)`", listed):
            assert f"def {rule}(" in rules


# -- the audit


@contextmanager
def database(*answers: Any, status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """A server that answers each question of a batch in turn, the last one for ever; and what it was asked."""
    questions: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            questions.append((self.path, document))
            given = [answers[min(number, len(answers) - 1)] for number in range(len(document["queries"]))]
            content = json.dumps({"results": given} if answers else []).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", questions
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(*words: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [REPOSITORY / "tests" / "audit", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_each_package_that_ships_is_asked_about() -> None:
    with database({}) as (url, questions):
        status, told = audit("--database", url)
    assert (status, told.count("\n")) == (0, 1)
    assert told.endswith("none with known vulnerabilities\n")
    [(path, document)] = questions
    assert path == "/v1/querybatch"
    names = {(one["package"]["name"], one["package"]["ecosystem"]) for one in document["queries"]}
    shipped = {canonicalize_name(block.partition("==")[0]) for lock in vulnerabilities.LOCKS for block in blocks(lock)}
    assert names == {(name, "PyPI") for name in shipped}
    assert all(re.fullmatch(r"[0-9][\w.]*", one["version"]) for one in document["queries"])


def test_a_finding_is_named_and_fails() -> None:
    with database({"vulns": [{"id": "GHSA-2"}, {"id": "CVE-1"}]}, {}) as (url, _):
        status, told = audit("--database", url, "requirements-image-build.txt")
    first, last = told.splitlines()
    assert status == 1
    assert re.fullmatch(r"hatchling [\d.]+: CVE-1, GHSA-2", first)
    assert last.endswith("1 with known vulnerabilities")


@pytest.mark.parametrize(("answers", "status"), [((), 200), (({},), 503)])
def test_a_database_that_says_nothing_is_no_good_news(answers: tuple[Any, ...], status: int) -> None:
    with database(*answers, status=status) as (url, _):
        assert audit("--database", url)[0] == 2


def test_no_database_is_said_in_one_line() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        status, told = audit("--database", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert status == 2
    assert re.fullmatch(r"known vulnerabilities were not looked up: .+\n", told)
