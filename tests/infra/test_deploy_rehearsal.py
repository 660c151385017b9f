"""What a plan deploys, rehearsed: its bundles, requirements, environments, secrets, queues, schedule and rights."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.infra.deployed import Installed, Object, Planned, install
from tests.rehearsal.acts import RESEND, books_appear, page_added, token_rotated
from tests.rehearsal.deployment import users_file
from tests.rehearsal.doors import object_resource, run_service
from tests.rehearsal.processes import until
from tests.rehearsal.stage import Stage, expect
from tests.support.servers import skipping
from tests.support.task_target import Target

from pagebind.core import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.infra.rights import Grant, Granted
    from tests.rehearsal.deployment import Deployment
    from tests.support.terraform import Workspace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("deploy rehearsal"),
    pytest.mark.skipif(os.name != "posix", reason="groups of processes are POSIX"),
]

FILE = {
    "store.url": "file:///srv/pagebind",
    "store.library": "file:///srv/comics",
    "source.token": "env:ALIST_TOKEN",
    "notify.urls": ["env:NOTIFY_URL"],
}
"""As it worked at home: of these, only the last is the same in the cloud."""

PHONE_PASSWORD = "the-password-of-the-phone"
VARIABLES = {"token_version": "1", "notifications": True, "secrets": {"NOTIFY_URL": {"version": "1"}}}


class Ready(NamedTuple):
    """A plan, its bundles installed, and the port on which its configuration expects the server."""

    planned: Planned
    bundles: dict[Object, Path]
    installed: dict[Object, Installed]
    port: int

    @property
    def deployment(self) -> Deployment:
        return self.planned.deployment(self.installed, FILE)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with _held_port() as port:
        yield port


@pytest.fixture(scope="module")
def phone() -> Iterator[Target]:
    """Where people are told."""
    with Target() as target:
        yield target


@pytest.fixture(scope="module")
def ready(cloudless: Workspace, port: int, phone: Target, tmp_path_factory: pytest.TempPathFactory) -> Ready:
    home = tmp_path_factory.mktemp("deployed")
    checkout = cloudless.copy(home / "checkout")
    checkout.configuration.write_text(users_file(f"http://127.0.0.1:{port}", FILE), encoding="utf-8")
    secret_values = {"NOTIFY_URL": phone.url.replace("http://", f"json://pagebind:{PHONE_PASSWORD}@")}
    plan = checkout.plan(VARIABLES, token="told by nobody", secret_values=secret_values)
    planned = Planned(plan, checkout.module, secret_values)
    bundles = planned.bundles()
    folders = [home / f"bundle-{number}" for number in range(len(bundles))]
    with ThreadPoolExecutor() as pool:
        installed = dict(zip(bundles, pool.map(install, bundles.values(), folders), strict=True))
    return Ready(planned, bundles, installed, port)


@contextmanager
def staged(ready: Ready, home: Path, deployment: Deployment) -> Iterator[Stage]:
    with ExitStack() as resources:
        with skipping():
            stage = resources.enter_context(Stage(home, deployment, port=ready.port))
        yield stage


class Rights:
    """Those of the plan, as long as nobody takes one away."""

    def __init__(self, planned: Granted) -> None:
        self._planned = self._now = planned

    def may(self, account: str, permission: str, resource: str) -> bool:
        return self._now.may(account, permission, resource)

    @contextmanager
    def lacking(self, unwanted: Callable[[Grant], bool]) -> Iterator[None]:
        self._now = self._planned.without(unwanted)
        try:
            yield
        finally:
            self._now = self._planned


@pytest.fixture(scope="module")
def rights(ready: Ready) -> Rights:
    return Rights(ready.planned.rights)


@pytest.fixture(scope="module")
def stage(ready: Ready, rights: Rights, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Of whoever takes a right away; he gives it back."""
    with staged(ready, tmp_path_factory.mktemp("stage"), ready.deployment._replace(rights=rights)) as stage:
        for folder in ("Ongoing", "Chapters"):  # of the further subscriptions
            (stage.comics / folder).mkdir()
        yield stage


def test_the_bundle_holds_what_the_functions_load_and_no_more(ready: Ready) -> None:
    assert len(ready.bundles) == 2  # poll has what it takes to tell people
    for bundle in ready.bundles.values():
        with zipfile.ZipFile(bundle) as archive:
            names = archive.namelist()
        assert {name.split("/")[0] for name in names} == {"main.py", "requirements.txt", "pagebind"}
        parts = {name.split("/")[1] for name in names if name.startswith("pagebind/")}
        assert {"serverless", "wiring.py", "py.typed"} < parts
        assert not parts & {"demo", "cli"}
        assert not [name for name in names if "__pycache__" in name]


def test_the_functions_see_the_bundle_and_not_this_checkout(ready: Ready) -> None:
    for installed in ready.installed.values():
        alone = _python(installed, "import pagebind")
        assert "ModuleNotFoundError" in alone.stderr
        loaded = "from functions_framework import create_app; create_app('poll', sys.argv[1]); import pagebind"
        found = _python(installed, f"import sys; {loaded}; print(pagebind.__file__)", str(installed.source))
        assert found.stdout.strip() == str(installed.folder / "pagebind" / "__init__.py"), found.stderr


def test_the_books_appear_stay_fresh_survive_a_new_token_and_are_told(
    ready: Ready, phone: Target, tmp_path: Path
) -> None:
    with staged(ready, tmp_path, ready.deployment) as stage:
        stage._secrets.add(PHONE_PASSWORD)
        books_appear(stage)
        stage.check()
        assert sorted(told(phone)) == sorted(stage.books())
        phone.calls.clear()
        page_added(stage)
        stage.check()
        token_rotated(stage)
        stage.check()
        # And of the last, by the next poll.
        assert told(phone) == ["One Piece/Vol 01.cbz (new revision)", "Act 3/Vol 1.cbz"]


def told(phone: Target) -> list[str]:
    """The books in all messages."""
    lines = [line for call in phone.calls for line in json.loads(call.body)["message"].splitlines()]
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")]


def test_fetch_stages_nothing_without_its_right(stage: Stage, rights: Rights) -> None:
    fetch, work = stage.deployment.functions["fetch"].account, stage.deployment.work
    calls = len(stage.fetch.handled)
    stage.volume("Rights/Staging")
    staging = object_resource(work, keys.STAGING)
    with rights.lacking(lambda grant: fetch in grant.member and staging in grant.condition):
        expect("the answer of poll", stage.schedule().document["problems"], [])
        until(lambda: len(stage.fetch.handled) > calls, "fetch has answered")
        stage.queue.pause()
        assert stage.denied[0][:2] == (fetch, "storage.objects.create")
        assert stage.denied[0].resource.startswith(staging)
        (problem,) = stage.fetch.handled[calls].document["problems"]
        assert "grant storage.objects.create" in problem["fix"]
        assert "Rights/Staging.cbz" not in stage.books()
    _the_book_comes(stage, "Rights/Staging")


def test_fetch_is_called_by_nobody_without_the_right_of_the_queue(stage: Stage, rights: Rights) -> None:
    calls = len(stage.fetch.handled)
    stage.volume("Rights/Queue")
    with rights.lacking(lambda grant: grant.scope == run_service(stage.deployment.functions["fetch"].service)):
        expect("the answer of poll", stage.schedule().document["problems"], [])
        until(lambda: stage.fetch.refused, "the queue is refused")
        stage.queue.pause()
        assert set(stage.fetch.refused) == {
            stage.deployment.functions["poll"].environment["PAGEBIND_QUEUE_SERVICE_ACCOUNT"]
        }
        assert len(stage.fetch.handled) == calls
    _the_book_comes(stage, "Rights/Queue")


@pytest.mark.parametrize("role", ["roles/cloudtasks.enqueuer", "roles/iam.serviceAccountUser"])
def test_poll_hands_nothing_out_without_the_right(stage: Stage, rights: Rights, role: str) -> None:
    poll, tasks = stage.deployment.functions["poll"].account, stage.counts().tasks
    name = f"Rights/{role.rpartition('.')[2]}"
    stage.volume(name)
    with rights.lacking(lambda grant: grant.role == role and poll in grant.member):
        (problem,) = stage.schedule().document["problems"]
        assert role in problem["fix"]
        assert stage.counts().tasks == tasks
        assert stage.denied
    stage.buckets.pass_time(RESEND)
    stage.denied.clear()
    stage.poll_and_settle()
    _the_book_comes(stage, name)


def test_nobody_but_the_scheduler_and_the_people_named_calls_poll(stage: Stage) -> None:
    for account in ("", stage.deployment.functions["fetch"].account, "somebody@example.org"):
        assert stage.poll.call(account=account).status == 403
    stage.poll.refused.clear()


def test_a_secret_is_there_for_those_alone_whose_account_may_read_it(ready: Ready) -> None:
    assert _with_secrets(ready.deployment) == (["fetch", "poll"], ["poll"])
    poll = ready.deployment.functions["poll"].account
    less = ready.planned.rights.without(lambda grant: grant.scope.startswith("secrets/") and poll in grant.member)
    assert _with_secrets(ready.planned.with_rights(less).deployment(ready.installed, FILE)) == (["fetch"], [])


def _with_secrets(deployment: Deployment) -> tuple[list[str], list[str]]:
    """The functions that have the token, and those that have the address of the phone."""
    functions = sorted(deployment.functions.items())
    return (
        [name for name, function in functions if function.mounts],
        [name for name, function in functions if "NOTIFY_URL" in function.environment],
    )


def _the_book_comes(stage: Stage, name: str) -> None:
    """Now that all rights are there again."""
    stage.denied.clear()
    stage.fetch.refused.clear()
    stage.queue.resume()
    stage.settle()
    assert f"{name}.cbz" in stage.books()
    stage.check()


def _python(installed: Installed, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """As a function is started: from nowhere, with nothing in its environment."""
    return subprocess.run(
        [installed.python, "-I", "-c", script, *words],
        cwd=installed.folder.parent,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def _held_port() -> Iterator[int]:
    """A port that nobody else gets meanwhile, and the server can share."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
