"""The image without an engine: the Dockerfile's own steps, run in a folder of this machine, and what they make."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from compose_spec import PyCompose
from docker.utils.build import exclude_paths
from packaging.requirements import Requirement
from tests.cli.command import Gate, until
from tests.infra.image import Root, Stage, stages
from tests.support.oracle import check_book, pages_of
from tests.support.paths import REPOSITORY

from pagebind import __version__
from pagebind.config import template
from pagebind.demo.pictures import png
from pagebind.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pagebind.demo.store_proxy import StoreProxy

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the image is one of Linux"),
    pytest.mark.xdist_group("image"),
]

BUILDER, FINAL = stages()
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
SERVICE: dict[str, Any] = COMPOSE["services"]["pagebind"]
GUIDE = (REPOSITORY / "docs" / "containers.md").read_text(encoding="utf-8")
UID = 1000
GRACE = 10.0
"""What `docker stop` waits."""

FOLDERS = ("/opt", "/src", "/config", "/state", "/data", "/run/secrets")
ACCOUNTS = "groupadd"
"""The one step that is left out: it would change the accounts of this machine."""


def ignored() -> list[str]:
    """The patterns of .dockerignore."""
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def context(folder: Path) -> set[str]:
    """The files of a folder that Docker's own library sends to an engine."""
    return {path for path in exclude_paths(str(folder), ignored()) if (folder / path).is_file()}


def base_python(root: Path) -> tuple[str, int]:
    """A Python that stands for the base image's, and the user who runs it: one who is not root, if this one is."""
    ours = str(Path(sys.base_prefix, "bin", "python3").resolve())
    if os.getuid() != 0:
        return ours, os.getuid()
    probe = "import os, sys, venv; assert sys.version_info >= (3, 11); os.listdir(sys.argv[1])"
    for python in (ours, "/usr/local/bin/python3", "/usr/bin/python3"):
        try:
            tried = subprocess.run([python, "-c", probe, root], user=UID, group=UID, extra_groups=[], check=False)
        except OSError:
            continue
        if tried.returncode == 0:
            return python, UID
    return ours, 0


@dataclass(frozen=True, slots=True)
class Image:
    """What the steps have made."""

    root: Root
    uid: int

    def start(self, words: Sequence[str], more: dict[str, str], place: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command in the container; its environment is the image's own variables and ``more``, nothing else.

        ``place``: a folder to be in, instead of the image's.
        """
        environment = self.root.environment(FINAL.environment.items(), more.items())
        environment["PATH"] = environment["PATH"].replace("$PATH", "/usr/bin:/bin")
        root = os.getuid() == 0
        return subprocess.Popen(
            words,
            executable=shutil.which(words[0], path=environment["PATH"]),
            cwd=place or self.root.path(FINAL.value("WORKDIR")),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            user=self.uid if root else None,
            group=self.uid if root else None,
            extra_groups=[] if root else None,
        )

    def run(self, words: Sequence[str], more: dict[str, str], place: Path | None = None) -> tuple[int, str, str]:
        """Its exit status and what it wrote."""
        out, err = (process := self.start(words, more, place)).communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Built by the Dockerfile's steps, with its folders below one of this machine's."""
    home = Path(tempfile.mkdtemp(prefix="pagebind-image-"))  # not pytest's own, which is closed to other users
    home.chmod(0o755)
    try:
        root = Root(home / "root", FOLDERS)
        root.folder.mkdir()
        python, uid = base_python(root.folder)
        _build(BUILDER, root, home, python)
        for left in (*root.path("/opt").iterdir(), root.path("/src")):  # the next stage takes the environment alone
            if str(left) != root.here(FINAL.value("COPY").split()[-1]):
                shutil.rmtree(left)
        _build(FINAL, root, home, python, owner=uid)
        yield Image(root, uid)
    finally:
        shutil.rmtree(home)


def _build(stage: Stage, root: Root, home: Path, python: str, *, owner: int = 0) -> None:
    """Do what a stage says. ``python`` makes environments, while ours installs, since it has pip for certain."""
    sent, programs, place = home / "context", home / "programs", root.folder
    programs.mkdir(exist_ok=True)
    (programs / "python").write_text(
        f'#!/bin/sh\n[ "$2" = venv ] && exec {shlex.quote(python)} "$@"\nexec {shlex.quote(sys.executable)} "$@"\n'
    )
    (programs / "python").chmod(0o755)
    environment = os.environ | stage.environment | {"PATH": f"{programs}:/usr/bin:/bin"}
    for name, value in stage.instructions:
        match name:
            case "WORKDIR":
                place = root.path(value)
                place.mkdir(parents=True, exist_ok=True)
            case "COPY" if not value.startswith("--from"):
                _copy(value.split(), sent, place)
            case "RUN" if ACCOUNTS not in value:
                group = owner if os.getuid() == 0 else os.getgid()
                step = root.here(value).replace(f"-o {UID} -g {UID}", f"-o {owner} -g {group}")
                done = subprocess.run(
                    ["/bin/sh", "-c", step], cwd=place, env=environment, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
            case _:
                continue


def _copy(words: list[str], sent: Path, place: Path) -> None:
    """COPY out of the context as .dockerignore leaves it."""
    if not sent.exists():
        for path in context(REPOSITORY):
            (sent / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / path, sent / path)
    *sources, target = words
    for source in sources:
        if (sent / source).is_dir():
            shutil.copytree(sent / source, place / target)
        else:
            shutil.copy(sent / source, place / target)


@dataclass(frozen=True, slots=True)
class Service:
    """The service `pagebind` of compose.yaml, over a server of the test's."""

    image: Image
    server: DemoServer
    comics: Path
    environment: dict[str, str]

    def check(self) -> int:
        """The health check's exit status."""
        status, out, err = self.image.run(FINAL.health_check, self.environment)
        assert out == ""
        assert (err == "") == (status == 0)
        return status

    def start(self) -> subprocess.Popen[bytes]:
        """What the container does by itself."""
        return self.image.start([*FINAL.words("ENTRYPOINT"), *FINAL.words("CMD")], self.environment)


@pytest.fixture
def service(image: Image, tmp_path: Path) -> Iterator[Service]:
    """One book on the server. The configuration is one that was made for a machine without containers."""
    comics = tmp_path / "comics" / "One Piece" / "Vol 01"
    comics.mkdir(parents=True)
    for page in range(12):
        (comics / f"{page}.png").write_bytes(png(str(page)))
    with DemoServer({"/comics": tmp_path / "comics"}) as server:
        (mounted,) = (one["target"] for one in SERVICE["configs"])
        values = {"source.url": server.url, "source.token": None, "bind.settle": "0s", "subscription.path": "/comics"}
        image.root.path(mounted).write_text(template("file:///home/you/pagebind-data", values))
        secrets = image.root.path("/run/secrets")
        secrets.mkdir(parents=True, exist_ok=True)
        for name in SERVICE["secrets"]:
            (secrets / name).write_text(f"{server.token}\n")
        yield Service(image, server, comics, dict(SERVICE["environment"]))
    for place in ("/data/work", "/data/library", "/state"):
        for left in image.root.path(place).iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()


@pytest.mark.slow
def test_it_serves_until_docker_stops_it(service: Service) -> None:
    assert service.check() == 1
    packages = _listing(service.image.root.path("/opt"))
    gate = Gate(folder=service.comics.parent.parent)
    service.server.tree.mounted("/comics").drive = gate
    process = service.start()
    try:
        until(lambda: gate.asked > 0)
        assert service.check() == 0, "a first run may take long"
        gate.opened.set()
        assert process.stdout is not None
        assert b"1 bound" in process.stdout.readline()
        book = service.image.root.path("/data/library") / "One Piece" / "Vol 01.cbz"
        check_book(book, pages_of(service.comics))
        assert service.check() == 0
        process.send_signal(signal.Signals[FINAL.value("STOPSIGNAL")])
        begun = time.monotonic()
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - begun < GRACE
    finally:
        gate.opened.set()
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (143, b"")
    assert book.stat().st_uid == service.image.uid
    assert book.stat().st_mode & 0o004, "Komga may be another user"
    assert _listing(service.image.root.path("/opt")) == packages


def test_a_first_run_over_a_bucket_is_well_while_it_is_at_work(
    service: Service, s3_bucket: str, s3_proxy: StoreProxy
) -> None:
    bucket = {"PAGEBIND_STORE_URL": f"s3://{s3_bucket}/work", "PAGEBIND_STORE_LIBRARY": f"s3://{s3_bucket}/library"}
    bucket |= {"PAGEBIND_STORE_ENDPOINT": s3_proxy.url, **s3_proxy.environment()}
    service.environment.update(bucket)
    gate = Gate(folder=service.comics.parent.parent)
    service.server.tree.mounted("/comics").drive = gate
    assert service.check() == 1
    process = service.start()
    try:
        until(lambda: gate.asked > 0)
        assert list(service.image.root.path("/state").rglob("*.lock"))
        assert service.check() == 0
    finally:
        gate.opened.set()
        process.kill()
        process.communicate()
    assert service.check() == 1, "who died is not at work"


def _listing(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_the_image_holds_what_it_needs_and_no_tools_to_build_with(image: Image) -> None:
    status, out, err = image.run(["pagebind", "--version"], {})
    assert (status, out, err) == (0, f"pagebind {__version__}\n", "")
    needed = "import apprise, boto3, google.cloud.storage"
    assert image.run(["python", "-W", "ignore", "-c", needed], {})[0] == 0
    for tool in ("pip", "hatchling", "setuptools"):
        assert image.run(["python", "-c", f"import {tool}"], {})[0] == 1
    assert image.run(["pagebind"], {})[0] == 2
    assert not os.access(image.root.path("/src"), os.F_OK)


def test_who_runs_it_is_not_root_and_cannot_change_it(image: Image) -> None:
    assert FINAL.value("USER") == f"{UID}:{UID}"
    assert f"useradd --uid {UID}" in FINAL.values("RUN")[0]
    if image.uid in (0, os.getuid()):
        pytest.skip("needs root, and a Python that other users may run")
    folders = ("/opt/pagebind/lib", "/config", "/state", "/data/work", "/data/library")
    code = "import os, sys; print(os.getuid(), *(os.access(folder, os.W_OK) for folder in sys.argv[1:]))"
    status, out, _ = image.run(["python", "-c", code, *map(image.root.here, folders)], {})
    assert (status, out.split()) == (0, [str(UID), "False", "False", "True", "True", "True"])


def test_the_documented_commands_work(service: Service) -> None:
    composed = re.findall(r"(?m)^ *docker compose (?:run --rm|exec pagebind) pagebind (.+)$", GUIDE)
    assert {"doctor", "plan", "status", "verify"} <= set(composed)
    for words in composed:
        status, out, err = service.image.run(["pagebind", *words.split()], service.environment)
        assert (status, err) == (0, ""), f"{words}: {out}{err}"
    alone = re.findall(r"(?m)^ *docker run .* pagebind (.+)$", GUIDE)
    assert {"demo", "init"} == set(alone)
    mounted = service.image.root.path("/data/work/mounted")
    for words in alone:
        mounted.mkdir()
        if os.getuid() == 0:
            os.chown(mounted, service.image.uid, service.image.uid)
        status, out, err = service.image.run(["pagebind", *words.split()], {}, mounted)
        assert status == 0, f"{words}: {out}{err}"
        shutil.rmtree(mounted)


def test_the_override_of_the_guide_fits_the_service() -> None:
    (written,) = re.findall(r"(?s)```yaml\n(services:.*?)```", GUIDE)
    PyCompose.from_yaml(written)
    for name, override in yaml.safe_load(written)["services"].items():
        targets = {volume.split(":")[1] for volume in COMPOSE["services"][name]["volumes"]}
        assert {volume.split(":")[1] for volume in override["volumes"]} <= targets


def test_only_what_is_copied_is_sent_to_the_engine(tmp_path: Path) -> None:
    copied = [source for value in BUILDER.values("COPY") for source in value.split()[:-1]]
    unasked = context(REPOSITORY) - {"Dockerfile", ".dockerignore"}
    assert not [path for path in unasked if not path.startswith(tuple(copied))]
    for secret in ("pagebind.toml", ".env", "secrets/alist_token", ".git/config", "shared/pagebind/__pycache__/a.pyc"):
        (tmp_path / secret).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / secret).write_text("a secret")
    (tmp_path / "shared" / "pagebind" / "core").mkdir()
    (tmp_path / "shared" / "pagebind" / "core" / "keys.py").touch()
    assert context(tmp_path) == {"shared/pagebind/core/keys.py"}


def test_what_is_installed_is_what_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    asked = [*project["project"]["dependencies"], *(one for name in ("gcs", "s3", "notify") for one in extras[name])]
    _satisfied(asked, "requirements-image.txt")
    _satisfied(project["build-system"]["requires"], "requirements-image-build.txt")


def _satisfied(asked: list[str], lock: str) -> None:
    """The file that pip is given holds a version for each of these requirements."""
    assert any(f"--require-hashes -r {lock}" in value for value in BUILDER.values("RUN"))
    text = (REPOSITORY / lock).read_text(encoding="utf-8")
    locked = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", text))
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked[requirement.name]), requirement


def test_compose_keeps_to_its_specification_and_to_the_image() -> None:
    PyCompose.from_yaml((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    made = " ".join(FINAL.values("RUN"))
    targets = [volume.split(":")[1] for volume in SERVICE["volumes"]]
    assert [target for target in (*targets, "/state") if f" {target}" not in made] == []
    assert [one["target"] for one in SERVICE["configs"]] == [FINAL.environment["PAGEBIND_CONFIG"]]
    assert {one["source"] for one in SERVICE["configs"]} == set(COMPOSE["configs"])
    assert set(SERVICE["secrets"]) == set(COMPOSE["secrets"])
    stores = (SERVICE["environment"][f"PAGEBIND_STORE_{name}"] for name in ("URL", "LIBRARY"))
    assert [store.removeprefix("file://") for store in stores] == targets
    mounted = {volume.split(":")[0] for one in COMPOSE["services"].values() for volume in one["volumes"]}
    assert mounted == set(COMPOSE["volumes"])


def test_compose_gives_no_more_than_is_needed() -> None:
    assert SERVICE["read_only"] is True
    assert set(SERVICE["tmpfs"]) == {"/tmp", FINAL.environment["XDG_STATE_HOME"]}
    assert SERVICE["cap_drop"] == ["ALL"]
    assert int(SERVICE["stop_grace_period"].removesuffix("s")) >= GRACE
    for one in COMPOSE["services"].values():
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["restart"] == "unless-stopped"
    komga = COMPOSE["services"]["komga"]
    assert "library:/data:ro" in komga["volumes"]
    assert komga["ports"] == ["127.0.0.1:25600:25600"]


@pytest.mark.slow
def test_the_real_image_where_there_is_an_engine() -> None:
    if shutil.which("docker") is None or _docker("version").returncode != 0:
        pytest.skip("no Docker engine: its steps are run without one")
    built = _docker("build", "--quiet", str(REPOSITORY))
    assert built.returncode == 0, built.stderr
    name = built.stdout.strip()
    shown = _docker("run", "--rm", "--read-only", "--tmpfs=/tmp", "--tmpfs=/state", "--workdir=/tmp", name, "demo")
    assert "11 bound" in shown.stdout, shown.stderr


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
