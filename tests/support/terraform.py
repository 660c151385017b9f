"""Terraform's module in a copy of the working tree, planned and applied without a cloud.

The copy holds what the module packs, and a configuration of its own; a test may change both. Where the stand-in of the
providers is, it is used, and nothing leaves this machine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

MODULE = REPOSITORY / "infra" / "terraform"

PROJECT, PROJECT_NUMBER, REGION = "comics-of-a-test", "123456789012", "europe-west1"
"""The number is the stand-in's."""

VARIABLES: Mapping[str, Any] = {
    "project": PROJECT,
    "region": REGION,
    "rights_wait_seconds": 0,
    "alert_emails": ["somebody@example.org"],
}
"""What every plan needs; the address is nobody's."""

_SETUP = REPOSITORY.parent / "shared" / "terraform-offline" / "setup"
_STAND_IN = "offline.tfrc"
"""The settings that the stand-in's setup writes."""

_PACKAGE = "shared/pagebind"
_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", ".mypy_cache", ".ruff_cache", ".terraform*", ".bundles", "*.tfstate*", "*.tfvars", "*.tfplan"
)
_SECONDS = 180.0
_OF_THE_MACHINE = re.compile(
    r"Error: (Failed to (query available provider packages|install provider)|Unsupported Terraform Core version)"
)
_EDGE = re.compile(r'^\s+"(?:\[root\] )?((?:[^"\\]|\\")+)" -> "(?:\[root\] )?((?:[^"\\]|\\")+)";?$', re.MULTILINE)


class Unavailable(Exception):
    """Terraform, or the stand-in of its providers, is not on this machine; the text says which."""


class TerraformFailed(Exception):
    """A command ended with an error; the text is what it printed."""

    @property
    def reason(self) -> str:
        """Its first error, in one line."""
        found = re.search(r"Error: (.+)", str(self))
        return found[1] if found else "no reason is given"

    @property
    def is_of_the_machine(self) -> bool:
        """Whether the providers cannot be had, or terraform is too old: then nothing is said about the module."""
        return bool(_OF_THE_MACHINE.search(str(self)))


class Engine(NamedTuple):
    """How terraform is called.

    Attributes:
        environment: of its processes.
        offline: whether it uses the stand-in; without it, only what asks no cloud can be done.
    """

    environment: Mapping[str, str]
    offline: bool


def engine() -> Engine:
    """Terraform with the stand-in, where that is or the shell has set it up, else as it is installed.

    Raises:
        Unavailable: there is none.
        TerraformFailed: the stand-in cannot be made ready.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GOOGLE_"))}
    environment = {**kept, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    settings = Path(os.environ.get("TF_CLI_CONFIG_FILE", ""))
    given = {"TF_CLI_CONFIG_FILE": str(settings)} if settings.is_file() else {}
    ready = bool(given) and settings.name == _STAND_IN
    if _SETUP.exists() and not ready:
        return Engine({**environment, **_stand_in(environment)}, offline=True)
    if shutil.which("terraform") is None:
        raise Unavailable("terraform is not installed")
    return Engine({**environment, **given}, offline=ready)


def _stand_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that make terraform use the stand-in; the first call on a machine prepares it."""
    user = os.getuid() if sys.platform != "win32" else 0
    with FileLock(Path(tempfile.gettempdir()) / f"pagebind-terraform-{user}.lock"):
        done = subprocess.run([_SETUP], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TerraformFailed(done.stderr)
    asked = ("TF_CLI_CONFIG_FILE", "PATH")
    script = f"{done.stdout}\n" + "\n".join(f'printf "%s\\0" "${name}"' for name in asked)
    told = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    return dict(zip(asked, told.stdout.split("\0"), strict=False))


def call(engine: Engine, folder: Path, command: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints about the module in a folder. Raises: TerraformFailed."""
    done = subprocess.run(
        ["terraform", f"-chdir={folder}", command, *words],
        env={**engine.environment, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise TerraformFailed(f"terraform {shlex.join([command, *words])}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Plan(NamedTuple):
    """A plan, as ``terraform show -json`` tells it.

    Attributes:
        document: all of it.
        file: the plan itself, for `Workspace.apply`.
    """

    document: dict[str, Any]
    file: Path

    def resources(self, kind: str, name: str | None = None) -> dict[str, dict[str, Any]]:
        """The planned values of all resources of a kind, by what follows the kind in their address.

        That is ``functions["poll"]``; with ``name`` given, only those of that name, by their index: ``poll``.
        """
        found = {}
        for resource in self.document["planned_values"]["root_module"]["resources"]:
            if resource["type"] == kind and resource["mode"] == "managed" and name in (None, resource["name"]):
                index = str(resource.get("index", ""))
                key = index if name else resource["address"].removeprefix(f"{kind}.")
                found[key] = resource["values"]
        return found


class Workspace:
    """A copy of the working tree, as far as the module needs it, with a state of its own.

    Attributes:
        root: where the repository's root would be.
        configuration: the ``pagebind.toml`` that is deployed.
    """

    def __init__(self, root: Path, engine: Engine) -> None:
        self.root = root
        self.configuration = root / "pagebind.toml"
        self._engine = engine

    @classmethod
    def made(cls, root: Path, engine: Engine, configuration: str, package: Iterable[str] | None = None) -> Self:
        """A new one, ready to plan.

        Args:
            root: a folder that is not there yet.
            engine: how terraform is called.
            configuration: what is deployed.
            package: files of the package; by default all. What a plan says hangs on none of them, and each of them
                makes it slower: terraform compares each with each.

        Raises:
            TerraformFailed: the providers cannot be had.
        """
        made = cls(root, engine)
        for part in ("functions", "infra/terraform") if package else ("functions", "infra/terraform", _PACKAGE):
            shutil.copytree(REPOSITORY / part, root / part, ignore=_LEFT_OUT)
        for name in package or ():
            (root / _PACKAGE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / _PACKAGE / name, root / _PACKAGE / name)
        made.configuration.write_text(configuration)
        made.run("init", "-no-color", "-backend=false")
        return made

    def copy(self, root: Path) -> Self:
        """The same once more, ready as well."""
        shutil.copytree(self.root, root, symlinks=True)
        return type(self)(root, self._engine)

    @property
    def module(self) -> Path:
        """The folder of the module."""
        return self.root / "infra" / "terraform"

    def run(self, command: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
        """What a command prints. Raises: TerraformFailed."""
        return call(self._engine, self.module, command, *words, environment=environment)

    def plan(
        self, variables: Mapping[str, Any], *words: str, token: str = "", secret_values: Mapping[str, str] | None = None
    ) -> Plan:
        """What an apply would do now.

        Args:
            variables: besides `VARIABLES`.
            words: further words of the command.
            token: as an environment variable, which leaves no trace; empty: none.
            secret_values: in the same way.

        Raises:
            TerraformFailed: it is refused.
        """
        values = self._values(variables)
        file = values.with_name("plan.tfplan")
        secrets = _ephemeral(token, secret_values)
        self.run("plan", "-no-color", f"-var-file={values}", f"-out={file}", *words, environment=secrets)
        return Plan(json.loads(self.run("show", "-json", str(file))), file)

    def changes(
        self, variables: Mapping[str, Any], *words: str, token: str = "", secret_values: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """What an apply would do now, by address: ``create``, ``update``, ``replace``, ``delete``.

        Args:
            variables: besides `VARIABLES`.
            words: further words of the command.
            token: see `plan`.
            secret_values: see `plan`.

        Raises:
            TerraformFailed: it is refused.
        """
        file = self._values(variables)
        printed = self.run("plan", "-json", f"-var-file={file}", *words, environment=_ephemeral(token, secret_values))
        lines = printed.splitlines()
        told = [line for line in map(json.loads, lines) if line["type"] == "planned_change"]
        return {line["change"]["resource"]["addr"]: line["change"]["action"] for line in told}

    def order(self, plan: Plan | None = None) -> dict[str, set[str]]:
        """What is done before each resource is made, near and far.

        Args:
            plan: then what an apply of it does, by address with index, as ``a.b[0] (destroy)``; without, what a first
                apply does, by address without index.
        """
        printed = self.run("graph", *([f"-plan={plan.file}"] if plan else []))
        before: dict[str, set[str]] = {}
        for later, earlier in _EDGE.findall(printed):
            before.setdefault(later.replace('\\"', '"'), set()).add(earlier.replace('\\"', '"'))
            before.setdefault(earlier.replace('\\"', '"'), set())
        return {one: _all_before(one, before) for one in before}

    def files_with(self, texts: Iterable[str]) -> list[str]:
        """Files below `root` in which one of these stands, also inside of archives such as plans."""
        wanted = [text.encode() for text in texts]
        return sorted(
            str(file.relative_to(self.root))
            for file in self.root.rglob("*")
            if file.is_file() and any(text in content for content in _contents(file) for text in wanted)
        )

    def apply(self, plan: Plan, *, token: str = "", secret_values: Mapping[str, str] | None = None) -> None:
        """Do it; secrets as they were given to `plan`. Raises: TerraformFailed."""
        self.run("apply", "-no-color", str(plan.file), environment=_ephemeral(token, secret_values))

    def _values(self, variables: Mapping[str, Any]) -> Path:
        """A new file with the variables, in a folder of its own."""
        file = Path(tempfile.mkdtemp(dir=self.root, prefix="plan-")) / "values.tfvars.json"
        file.write_text(json.dumps({**VARIABLES, **variables}))
        return file


def _all_before(one: str, before: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [one]
    while waiting:
        new = before[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _contents(file: Path) -> Iterator[bytes]:
    yield file.read_bytes()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            yield from map(archive.read, archive.namelist())


def _ephemeral(token: str, secret_values: Mapping[str, str] | None) -> dict[str, str]:
    given = {"TF_VAR_token": token} if token else {}
    return {**given, "TF_VAR_secret_values": json.dumps(dict(secret_values))} if secret_values else given
