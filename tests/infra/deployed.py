"""What a plan deploys, read from the plan and nothing else: `tests.rehearsal` can put it on its stage.

Of the platform it knows what no plan says: a function's address, and how large a burst a queue of some rate allows.
"""

from __future__ import annotations

import base64
import math
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.infra.rights import granted, queue_resource, secret_resource
from tests.rehearsal.deployment import Deployment, Function, Mount, Queue, Schedule
from tests.support.task_queue import QueueRules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.infra.rights import Granted
    from tests.support.terraform import Plan

_SECONDS = 300.0


class Object(NamedTuple):
    """An object's place."""

    bucket: str
    name: str


class Installed(NamedTuple):
    """A bundle, unpacked, and the interpreter of an environment that has its requirements and nothing else."""

    folder: Path
    python: Path

    @property
    def source(self) -> Path:
        """The file that the platform looks for."""
        return self.folder / "main.py"


def install(bundle: Path, folder: Path) -> Installed:
    """What a build does with a bundle, into a new folder. Raises: CalledProcessError."""
    source, environment = folder / "source", folder / "environment"
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(source)
    python = environment / "bin" / "python"
    _run(sys.executable, "-I", "-m", "venv", str(environment))
    requirements = str(source / "requirements.txt")
    _run(
        str(python),
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        requirements,
    )
    return Installed(source, python)


def _run(*words: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(words, env=kept, check=True, timeout=_SECONDS)


class Planned:
    """A plan.

    Args:
        plan: the plan.
        module: the folder that its paths start from.
        secret_values: those that it was made with: no plan tells them.
        rights: others than those that it grants.
    """

    def __init__(
        self, plan: Plan, module: Path, secret_values: Mapping[str, str], rights: Granted | None = None
    ) -> None:
        self.rights = rights or granted(plan)
        self._plan = plan
        self._module = module
        self._secret_values = secret_values
        self._functions = list(plan.resources("google_cloudfunctions2_function").values())

    def with_rights(self, rights: Granted) -> Planned:
        """The same with other rights."""
        return Planned(self._plan, self._module, self._secret_values, rights)

    def bundles(self) -> dict[Object, Path]:
        """What the functions are built from."""
        return {_bundle_of(function): self._file(_bundle_of(function)) for function in self._functions}

    def deployment(self, installed: Mapping[Object, Installed], file: Mapping[str, object]) -> Deployment:
        """All that is deployed.

        Args:
            installed: the bundles.
            file: what stands in the configuration, see `Deployment`.
        """
        functions = {one["build_config"][0]["entry_point"]: self._function(one, installed) for one in self._functions}
        _demand_addresses(functions)
        environment = functions["poll"].environment
        queues = {queue.name: queue for queue in map(_queue, self._values("google_cloud_tasks_queue"))}
        configuration = Object(*environment["PAGEBIND_CONFIG"].removeprefix("gs://").split("/", 1))
        return Deployment(
            functions,
            {name: queues[environment[f"PAGEBIND_QUEUE_{name.upper()}"]] for name in ("fetch", "finalize")},
            self._schedule(),
            tuple(one["name"] for one in self._values("google_storage_bucket")),
            environment["PAGEBIND_STORE_URL"].removeprefix("gs://"),
            environment["PAGEBIND_STORE_LIBRARY"].removeprefix("gs://"),
            configuration,
            file,
            self._file(configuration).read_bytes(),
            self.rights,
        )

    def _values(self, kind: str) -> list[dict[str, Any]]:
        return list(self._plan.resources(kind).values())

    def _file(self, place: Object) -> Path:
        """What is uploaded as this object."""
        (source,) = (
            one["source"]
            for one in self._values("google_storage_bucket_object")
            if Object(one["bucket"], one["name"]) == place
        )
        return self._module / str(source)

    def _function(self, planned: Mapping[str, Any], installed: Mapping[Object, Installed]) -> Function:
        (build,), (service,) = planned["build_config"], planned["service_config"]
        bundle = installed[_bundle_of(planned)]
        return Function(
            planned["name"],
            build["entry_point"],
            self._address(planned),
            service["service_account_email"],
            {**service["environment_variables"], **dict(self._variables(service))},
            tuple(self._mounts(service)),
            bundle.python,
            bundle.source,
            service["max_instance_count"],
            service["max_instance_request_concurrency"],
        )

    def _address(self, planned: Mapping[str, Any]) -> str:
        """cloud.google.com/run/docs/triggering/https-request#deterministic."""
        read = self._plan.document["prior_state"]["values"]["root_module"]["resources"]
        (project,) = (one["values"] for one in read if one["type"] == "google_project")
        assert project["project_id"] == planned["project"]
        return f"https://{planned['name']}-{project['number']}.{planned['location']}.run.app"

    def _mounts(self, service: Mapping[str, Any]) -> Iterator[Mount]:
        """The secrets in files that its account may read, each with the setting that names its file."""
        variables = {value: name for name, value in service["environment_variables"].items()}
        for volume in service["secret_volumes"]:
            for version in volume["versions"]:
                path = f"{volume['mount_path']}/{version['path']}"
                if self._may_read(service, volume["secret"]):
                    yield Mount(variables[f"file:{path}"], path)

    def _variables(self, service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The secrets in variables that its account may read."""
        planned = self._plan.resources("google_secret_manager_secret", "secrets")
        values = {planned[name]["secret_id"]: value for name, value in self._secret_values.items()}
        for variable in service["secret_environment_variables"]:
            if self._may_read(service, variable["secret"]):
                yield variable["key"], values[variable["secret"]]

    def _may_read(self, service: Mapping[str, Any], secret: str) -> bool:
        account = service["service_account_email"]
        return self.rights.may(account, "secretmanager.versions.access", secret_resource(secret))

    def _schedule(self) -> Schedule:
        (job,) = self._values("google_cloud_scheduler_job")
        (asked,) = job["http_target"]
        (identity,) = asked["oidc_token"]
        body = base64.b64decode(asked["body"] or "")
        account, audience = identity["service_account_email"], identity["audience"]
        return Schedule(asked["uri"], account, audience, asked["http_method"], asked["headers"] or {}, body)


def _demand_addresses(functions: Mapping[str, Function]) -> None:
    """Raises: AssertionError: a function is told of one that is not there."""
    there = {function.url for function in functions.values()}
    told = {value for function in functions.values() for value in function.environment.values()}
    assert {value for value in told if "run.app" in value} <= there


def _bundle_of(function: Mapping[str, Any]) -> Object:
    (build,) = function["build_config"]
    (source,) = build["source"]
    (place,) = source["storage_source"]
    return Object(place["bucket"], place["object"])


def _queue(planned: Mapping[str, Any]) -> Queue:
    (limits,), (retries,) = planned["rate_limits"], planned["retry_config"]
    rate = float(limits["max_dispatches_per_second"])
    rules = QueueRules(
        per_second=rate,
        burst=math.ceil(rate / 5),  # as the service chooses it: 100 with 500 a second
        concurrent=int(limits["max_concurrent_dispatches"]),
        max_attempts=int(retries["max_attempts"]),
        min_backoff=float(retries["min_backoff"].removesuffix("s")),
        max_backoff=float(retries["max_backoff"].removesuffix("s")),
    )
    return Queue(queue_resource(planned["project"], planned["location"], planned["name"]), rules)
