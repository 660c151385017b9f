"""The CronJob: against the schemas of Kubernetes, what its policy means, and pods of it that are interrupted."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from tests.infra.image import Root, stages
from tests.support.oracle import check_book, pages_of
from tests.support.paths import REPOSITORY

from pagebind import wiring
from pagebind.config import parse
from pagebind.demo.pictures import png
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.demo.store_calls import Call
    from pagebind.demo.store_proxy import StoreProxy

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are another thing there")

FOLDER = REPOSITORY / "infra" / "kubernetes"
OBJECTS: list[dict[str, Any]] = [
    one for file in sorted(FOLDER.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))
]
IMAGE = stages()[-1]
VERSIONS = ("1.31", kubernetes_validate.latest_version())

MANIFESTS, PAGES, BOOKS = "/manifests/", "/staging/", "/library/"
IN_FLIGHT = 12
"""So many pages may be under way: the workers of eight downloads."""


def named(kind: str, name: str) -> dict[str, Any]:
    """The one object of this kind and name."""
    (found,) = (one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


CRONJOB = named("CronJob", "pagebind")["spec"]
JOB = CRONJOB["jobTemplate"]["spec"]
POD = JOB["template"]["spec"]
(CONTAINER,) = POD["containers"]


def judged(exit_code: int, *conditions: str) -> str:
    """What the job does about a pod that ended so: the first rule that fits, by the documents of Kubernetes."""
    if exit_code == 0:
        return "Complete"
    for rule in JOB["podFailurePolicy"]["rules"]:
        if any(one["type"] in conditions and one["status"] == "True" for one in rule.get("onPodConditions", ())):
            return str(rule["action"])
        codes = rule.get("onExitCodes")
        if codes and (exit_code in codes["values"]) == (codes["operator"] == "In"):
            return str(rule["action"])
    return "Count"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_objects_keep_to_the_schemas_of_kubernetes(version: str) -> None:
    assert {one["kind"] for one in OBJECTS} == {"CronJob", "ConfigMap", "Secret"}
    for one in OBJECTS:
        kubernetes_validate.validate(one, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**OBJECTS[0], "surprise": 1}, version, strict=True)


def test_only_what_may_pass_is_tried_again() -> None:
    table = re.findall(r"(?m)^\| ([\d, ]+) \| .*$", (REPOSITORY / "README.md").read_text(encoding="utf-8"))
    statuses = {int(status) for cell in table for status in cell.split(",")}
    assert {0, 1, 2, 3, 143} <= statuses
    assert {status: judged(status) for status in statuses | {137}} == {
        status: {0: "Complete", 1: "Count"}.get(status, "FailJob") for status in statuses | {137}
    }
    assert {judged(status, "DisruptionTarget") for status in (1, 2, 3, 137, 143)} == {"Ignore"}
    assert JOB["podFailurePolicy"]["rules"][-1]["onExitCodes"]["containerName"] == CONTAINER["name"]
    assert (POD["restartPolicy"], JOB["backoffLimit"]) == ("Never", 2)


def test_runs_follow_each_other_as_the_settings_expect() -> None:
    interval = parse(named("ConfigMap", "pagebind")["data"]["pagebind.toml"], {}, "the ConfigMap").poll.interval
    assert CRONJOB["concurrencyPolicy"] == "Forbid"
    assert CRONJOB["schedule"] == f"*/{interval / 60:.0f} * * * *"
    assert 10 <= CRONJOB["startingDeadlineSeconds"] < interval


def test_the_pod_may_do_nothing_that_it_need_not() -> None:
    assert POD["enableServiceLinks"] is False
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["securityContext"]["runAsUser"] > 0
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_pod_has_what_the_image_needs() -> None:
    kinds = {volume["name"]: next(kind for kind in volume if kind != "name") for volume in POD["volumes"]}
    mounted = {mount["mountPath"]: kinds[mount["name"]] for mount in CONTAINER["volumeMounts"]}
    written = {path for path, kind in mounted.items() if kind == "emptyDir"}
    assert written == {"/tmp", IMAGE.environment["XDG_STATE_HOME"]}
    assert mounted[str(Path(IMAGE.environment["PAGEBIND_CONFIG"]).parent)] == "configMap"


def test_the_documented_commands_fit_the_objects() -> None:
    text = (REPOSITORY / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    made = dict(re.findall(r"kubectl create (?:configmap|secret generic) (\S+) --from-(\S+?)=", text))
    assert set(made) == {one["metadata"]["name"] for one in OBJECTS if one["kind"] != "CronJob"}
    (path,) = re.findall(r'"path": "([^"]+)"', text)
    place: Any = CRONJOB["jobTemplate"]
    for step in path.strip("/").split("/"):
        place = place[int(step) if step.isdigit() else step]
    assert place == CONTAINER["args"]
    assert f" {CONTAINER['name']}=registry.example.com/" in text


@dataclass(slots=True)
class Pod:
    """A pod of the CronJob as a process of this machine: its volumes are new, its environment is its own."""

    process: subprocess.Popen[bytes]
    err: bytes = b""
    told: float = 0.0

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, and remember when."""
        self.told = time.monotonic()
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for it. Returns its exit status as a container's: 128 and the signal that killed it."""
        _, self.err = self.process.communicate(timeout=60)
        status = self.process.returncode
        return 128 - status if status < 0 else status


@dataclass(slots=True)
class Cluster:
    """The objects of the repository with values of the test's, over a server and a bucket."""

    folder: Path
    server: DemoServer
    proxy: StoreProxy
    bucket: str
    pods: list[Pod] = field(default_factory=list)

    @property
    def comics(self) -> Path:
        """What the server serves."""
        return self.folder / "comics"

    @property
    def configuration(self) -> str:
        text: str = named("ConfigMap", "pagebind")["data"]["pagebind.toml"]
        for written, used in (
            ("https://alist.example.com", self.server.url),
            ("s3://my-work", f"s3://{self.bucket}/work"),
            ("s3://my-comics", f"s3://{self.bucket}/library"),
        ):
            assert written in text
            text = text.replace(written, used)
        return f'{text}[bind]\nsettle = "0s"\n'

    def secret(self, name: str) -> dict[str, str]:
        """The keys of a Secret, with values that fit this server and bucket."""
        values = {
            **self.proxy.environment(),
            "token": self.server.token,
            "PAGEBIND_STORE_ENDPOINT": self.proxy.url,
            "PAGEBIND_STORE_REGION": "us-east-1",
        }
        return {key: values[key] for key in named("Secret", name)["stringData"]}

    def volume(self, name: str, pages: int) -> None:
        """A folder of pages on the server."""
        folder = self.comics / name
        folder.mkdir(parents=True)
        for page in range(pages):
            (folder / f"{page}.png").write_bytes(png(f"{name} {page}"))

    def start(self, **more: str) -> Pod:
        """Start a pod."""
        root = Root(self.folder / f"pod-{len(self.pods)}", tuple(one["mountPath"] for one in CONTAINER["volumeMounts"]))
        volumes = {volume["name"]: volume for volume in POD["volumes"]}
        for mount in CONTAINER["volumeMounts"]:
            self._fill(volumes[mount["name"]], root, root.path(mount["mountPath"]))
        secrets = (self.secret(one["secretRef"]["name"]).items() for one in CONTAINER["envFrom"])
        environment = root.environment(IMAGE.environment.items(), *secrets, more.items())
        beside = str(Path(sys.executable).parent)
        process = subprocess.Popen(
            [*IMAGE.words("ENTRYPOINT"), *CONTAINER["args"]],
            executable=shutil.which(IMAGE.words("ENTRYPOINT")[0], path=beside),
            cwd=root.path(IMAGE.value("WORKDIR")),
            env={**environment, "PATH": beside},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.pods.append(Pod(process))
        return self.pods[-1]

    def _fill(self, volume: dict[str, Any], root: Root, place: Path) -> None:
        place.mkdir(parents=True)
        files: dict[str, str] = {}
        if "configMap" in volume:
            files = {"pagebind.toml": root.here(self.configuration)}
        elif "secret" in volume:
            files = self.secret(volume["secret"]["secretName"])
        for name, text in files.items():
            (place / name).write_text(text)

    def interrupted(self, number: signal.Signals, folder: str, nth: int) -> int:
        """The exit status of a pod that gets a signal while the ``nth`` object in ``folder`` is written."""
        self.proxy.on_call = self._at(folder, nth, lambda: self.pods[-1].tell(number))
        try:
            return self.start().end()
        finally:
            self.proxy.reset()

    @staticmethod
    def _at(folder: str, nth: int, act: Callable[[], None]) -> Callable[[Call], None]:
        seen = 0

        def watch(call: Call) -> None:
            nonlocal seen
            if call.operation == "PutObject" and folder in f"/{call.key}":
                seen += 1
                if seen == nth:
                    act()

        return watch

    def check_books(self, expected: int) -> None:
        """So many books are in the library, all of them whole and right, and nothing else."""
        _, library = wiring.stores(parse(self.configuration, self.secret("pagebind-store"), "the ConfigMap"))
        found = [one.key for one in library.list()]
        assert len(found) == expected, found
        for key in found:
            book = self.folder / "books" / key
            book.parent.mkdir(parents=True, exist_ok=True)
            book.write_bytes(library.get(key))
            check_book(book, pages_of(self.comics / key.removesuffix(".cbz")))


@pytest.fixture
def cluster(tmp_path: Path, s3_bucket: str, s3_proxy: StoreProxy) -> Iterator[Cluster]:
    """Three volumes of forty pages."""
    (tmp_path / "comics").mkdir()
    with DemoServer({"/comics": tmp_path / "comics"}) as server:
        cluster = Cluster(tmp_path, server, s3_proxy, s3_bucket)
        for number in range(3):
            cluster.volume(f"One Piece/Vol 0{number + 1}", 40)
        yield cluster
        for pod in cluster.pods:
            with pod.process:
                pod.process.kill()


@pytest.mark.slow
def test_pods_that_are_interrupted_lose_nothing(cluster: Cluster) -> None:
    lost, evicted = signal.SIGKILL, signal.SIGTERM
    assert cluster.interrupted(lost, MANIFESTS, 1) == 137
    assert cluster.interrupted(lost, PAGES, 25) == 137
    assert cluster.interrupted(evicted, PAGES, 25) == 143
    assert time.monotonic() - cluster.pods[-1].told < POD["terminationGracePeriodSeconds"]
    cluster.check_books(0)

    cluster.server.faults.add("status", code=401, on="list")
    assert cluster.start().end() == 1
    cluster.server.faults.clear()

    assert cluster.interrupted(lost, BOOKS, 2) == 137
    last = cluster.start()
    assert (last.end(), b"problem" in last.err) == (0, False)
    cluster.check_books(3)
    fetched = cluster.server.count("file")
    assert 120 <= fetched <= 120 + 3 * IN_FLIGHT, "what was staged is not fetched again"


@pytest.mark.slow
def test_two_pods_at_once_do_each_other_no_harm(cluster: Cluster) -> None:
    """As when a node is lost but works on: `Forbid` knows nothing of its pod."""
    pods = [cluster.start(), cluster.start()]
    statuses = [pod.end() for pod in pods]
    assert set(statuses) <= {0, 3}, "3: what the other one was at"
    assert cluster.start().end() == 0
    cluster.check_books(3)


def test_what_wants_a_look_ends_the_job_at_once(cluster: Cluster) -> None:
    (cluster.comics / "One Piece" / "Vol 02" / "7.png").write_bytes(b"<html>the drive is in trouble</html>")
    pod = cluster.start()
    assert (pod.end(), b"7.png" in pod.err) == (3, True)
    assert judged(3) == "FailJob"
    cluster.check_books(2)


def test_a_variable_of_a_service_would_be_refused(cluster: Cluster) -> None:
    """Which is why the manifest switches service links off."""
    pod = cluster.start(PAGEBIND_STORE_PORT="tcp://10.0.0.7:80")
    assert (pod.end(), b"PAGEBIND_STORE_PORT" in pod.err) == (2, True)
    assert judged(2) == "FailJob"
