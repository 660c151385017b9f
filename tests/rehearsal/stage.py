"""The stage of the rehearsal: everything that the functions meet in the cloud, on this machine.

A server with comics, the buckets with the configuration in one of them, two queues, and the functions, each with only
the environment, the files and the rights that it would have there.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.rehearsal.buckets import Buckets
from tests.rehearsal.deployment import (
    BY_LOGIN,
    LOGIN_CONFIGURATION,
    PASSWORD,
    READER,
    SHARED,
    by_hand,
    users_file,
    with_login,
)
from tests.rehearsal.doors import BucketDoor, Denied, QueueDoor, run_service
from tests.rehearsal.processes import FunctionProcess, Handled, Service
from tests.support.attended import Attended
from tests.support.cloud_tasks import CloudTasks
from tests.support.world import World

from pagebind.core import keys
from pagebind.demo.accounts import User
from pagebind.demo.library import OTHER_SUBSCRIPTIONS
from pagebind.demo.object_stores import GcsServer
from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from tests.rehearsal.deployment import Deployment, Function, Mount

    from pagebind.demo.answers import Request
    from pagebind.demo.store_calls import Call
    from pagebind.demo.store_proxy import Fault

_TIME_SCALE = 0.02
_COMMAND_SECONDS = 120.0
_QUIET_SECONDS = 60.0
_FIELDS = {"time", "severity", "message", "logging.googleapis.com/trace", "logging.googleapis.com/labels"}
"""What every line has: the last is the execution's id."""

_RECORDS = (keys.MANIFESTS, keys.SENT, keys.FAILURES, keys.DECISIONS, keys.DONE, keys.RUNS)


class Counts(NamedTuple):
    """What has happened so far; the difference of two tells what an act did.

    Attributes:
        tasks: that the queue of pages took.
        fetches: calls of fetch.
        downloads: files asked of the server.
        books: books published.
    """

    tasks: int
    fetches: int
    downloads: int
    books: int

    def since(self, before: Counts) -> Counts:
        """What came in between."""
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))

    def __str__(self) -> str:
        """For people."""
        return ", ".join(f"{number} {name}" for name, number in self._asdict().items())


class Stage:
    """All of it, up while the context is.

    Args:
        home: a folder that is there; everything goes below it.
        deployment: what is deployed; by default, the functions of this checkout.
        seed: of the dice; None: another each time.
        port: of the server with comics; 0: any.

    Attributes:
        denied: what accounts wanted of buckets and queues and may not.
    """

    def __init__(
        self, home: Path, deployment: Deployment | None = None, *, seed: int | None = None, port: int = 0
    ) -> None:
        self.home = home
        self.deployment = deployment or by_hand()
        self.seed = secrets.randbelow(10**6) if seed is None else seed
        self.comics = home / "comics"
        self.comics.mkdir()
        self.server = Attended({"/comics": self.comics}, port=port)
        self.server.accounts.add(User(READER, PASSWORD))
        self.denied: list[Denied] = []
        self._by_name = {name: Service(function.target) for name, function in self.deployment.functions.items()}
        self._resources = ExitStack()
        self._secrets: set[str] = {PASSWORD}
        self._homes_at_home = 0

    @property
    def poll(self) -> Service:
        """The function."""
        return self._by_name["poll"]

    @property
    def fetch(self) -> Service:
        """The function."""
        return self._by_name["fetch"]

    @property
    def finalize(self) -> Service:
        """The function."""
        return self._by_name["finalize"]

    @property
    def poll_by_login(self) -> Service:
        """The function poll once more, with a user and a password instead of the token."""
        return self._by_name[BY_LOGIN]

    @property
    def services(self) -> tuple[Service, ...]:
        """All functions."""
        return tuple(self._by_name.values())

    def __enter__(self) -> Self:
        with self._resources:
            enter = self._resources.enter_context
            enter(self.server)
            self.buckets = enter(Buckets(enter(GcsServer()), self.deployment.buckets, self.deployment.library))
            rules = {name: queue.rules for name, queue in self.deployment.queues.items()}
            self.queue = enter(CloudTasks(rules, time_scale=_TIME_SCALE))
            self._deploy()
            self._resources = self._resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    # -- how it is set up

    def _deploy(self) -> None:
        self.configure()
        if self.deployment.content is not None:
            self.buckets.put(*self.deployment.configuration, self.deployment.content)
        for service in self.services:
            self._resources.enter_context(service)
        for name, function in self.deployment.functions.items():
            service, seen = self._by_name[name], self._seen_by(function)
            service.concurrency = function.concurrency
            service.admits = partial(self._admitted, function)
            service.instances += [
                self._instance(function, f"{name}-{number}", seen) for number in range(1, function.instances + 1)
            ]
        self._mount_again(
            {"PAGEBIND_SOURCE_TOKEN": self.server.token, "PAGEBIND_SOURCE_PASSWORD": PASSWORD}, late=False
        )
        for service in self.services:
            service.start()
        for service in self.services:
            service.ready()

    def _seen_by(self, function: Function) -> dict[str, str]:
        """Where a function finds buckets and queues: behind doors of its own, where there are rights."""
        rights = self.deployment.rights
        if rights is None:
            return {"CLOUD_TASKS_EMULATOR_HOST": self.queue.host, **self.buckets.environment()}
        names = {self.queue.queue_name(short): queue.name for short, queue in self.deployment.queues.items()}
        bucket = BucketDoor(self.buckets, function.account, rights, self.denied)
        queue = QueueDoor(self.queue, function.account, rights, self.denied, names)
        self._resources.enter_context(bucket)
        self._resources.enter_context(queue)
        return {"CLOUD_TASKS_EMULATOR_HOST": queue.host, "STORAGE_EMULATOR_HOST": bucket.url}

    def _admitted(self, function: Function, account: str) -> bool:
        rights = self.deployment.rights
        return rights is None or rights.may(account, "run.routes.invoke", run_service(function.service))

    def _instance(self, function: Function, name: str, seen: Mapping[str, str]) -> FunctionProcess:
        home = self.home / name
        home.mkdir()
        platform = {
            "PATH": os.defpath,
            "K_SERVICE": function.service,
            "K_REVISION": f"{function.service}-00001-abc",
            "K_CONFIGURATION": function.service,
            "FUNCTION_TARGET": function.target,
            "FUNCTION_SIGNATURE_TYPE": "http",
        }
        here = self._here(function, home)
        planned = {name: here.get(value, value) for name, value in function.environment.items()}
        return FunctionProcess(
            function.target, home, {**platform, **planned, **seen}, python=function.python, source=function.source
        )

    def _here(self, function: Function, home: Path) -> dict[str, str]:
        """What stands on this machine for values of a function's environment: all that differs from the cloud."""
        return {
            **{one.url: self._by_name[name].url for name, one in self.deployment.functions.items()},
            **{queue.name: self.queue.queue_name(name) for name, queue in self.deployment.queues.items()},
            **{f"file:{mount.path}": f"file:{_mounted(home, mount)}" for mount in function.mounts},
        }

    def configure(self, **bind: str) -> None:
        """Write the configuration into its bucket; ``bind`` goes to its section."""
        bucket, name = self.deployment.configuration
        self.buckets.put(bucket, name, users_file(self.server.url, self.deployment.file, **bind).encode())
        if BY_LOGIN in self._by_name:
            file = users_file(self.server.url, with_login(self.deployment.file), **bind)
            self.buckets.put(bucket, LOGIN_CONFIGURATION, file.encode())

    def mount_token(self, token: str) -> None:
        """A new version of the secret, where it is mounted."""
        self.note_secrets()
        self._mount_again({"PAGEBIND_SOURCE_TOKEN": token})

    def mount_password(self, password: str) -> None:
        """The same for the poll that logs in."""
        self._secrets.add(password)
        self._mount_again({"PAGEBIND_SOURCE_PASSWORD": password})

    def _mount_again(self, values: Mapping[str, str], *, late: bool = True) -> None:
        """New contents of mounted secrets, by the settings that name them; without ``late``, not of those."""
        for name, function in self.deployment.functions.items():
            for mount in function.mounts:
                if mount.variable in values and (late or not mount.late):
                    for instance in self._by_name[name].instances:
                        _change(_mounted(instance.home, mount), values[mount.variable])

    def note_secrets(self) -> None:
        """Remember what must never be read in a log: the token and the signs as they are now, and logins."""
        paths = ["/comics/" + file.relative_to(self.comics).as_posix() for file in self.comics.rglob("*")]
        signs = {self.server.signs.sign(path).partition(":")[0].rstrip("=") for path in paths}
        self._secrets |= {self.server.token, *signs, *self.server.accounts._sessions}

    # -- what is done on it

    def add(self, path: str, data: bytes | None = None) -> None:
        """Put a page on the server; by default a picture of its own."""
        file = self.comics / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(path) if data is None else data)

    def volume(self, path: str, pages: int = 6) -> None:
        """Put a folder of pages on the server."""
        for number in range(1, pages + 1):
            self.add(f"{path}/{number:03}.png")

    def schedule(self, service: Service | None = None) -> Handled:
        """What the scheduler does: call poll, or another ``service`` in its stead."""
        asked = self.deployment.schedule
        (called,) = (name for name, function in self.deployment.functions.items() if function.url == asked.url)
        account = asked.account if asked.audience == asked.url else ""
        named = {"X_CloudScheduler": "true", "User_Agent": "Google-Cloud-Scheduler", **asked.headers}
        return (service or self._by_name[called]).call(asked.body, method=asked.method, account=account, **named)

    def schedule_at_once(self, times: int) -> list[Handled]:
        """Several such calls at the same time."""
        together = threading.Barrier(times)

        def fire(_: int) -> Handled:
            together.wait()
            return self.schedule()

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(fire, range(times)))

    def settle(self) -> None:
        """Wait until the queues have nothing to do. Raises: TimeoutError."""
        self.queue.wait_until_empty(_QUIET_SECONDS)

    def poll_and_settle(self) -> Handled:
        """A poll that goes well, and what follows from it."""
        polled = self.schedule()
        expect("the answer of poll", (polled.status, polled.document.get("problems")), (200, []))
        self.settle()
        return polled

    def command(self, *words: str) -> dict[str, Any]:
        """Somebody's call of the real command, with the configuration of the functions."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PAGEBIND_")}
        environment |= self.buckets.environment()
        mount, *_ = self.deployment.functions["poll"].mounts
        environment[mount.variable] = f"file:{_mounted(self.poll.instances[0].home, mount)}"
        environment["HOME"] = environment["XDG_STATE_HOME"] = str(self.home)
        called = subprocess.run(
            [
                sys.executable,
                "-m",
                "pagebind",
                words[0],
                "--config",
                "gs://{}/{}".format(*self.deployment.configuration),
                "--json",
                *words[1:],
            ],
            env=environment,
            capture_output=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        expect(f"the status of pagebind {words[0]} ({called.stderr.decode()})", called.returncode, 0)
        document: dict[str, Any] = json.loads(called.stdout)
        return document

    def run_at_home(self) -> dict[str, bytes]:
        """The books of `pagebind run` on a fresh folder store, with what the server has now."""
        self._homes_at_home += 1
        home = self.home / f"at-home-{self._homes_at_home}"
        home.mkdir()
        world = World(home, self.server, dict(SHARED), OTHER_SUBSCRIPTIONS)
        run = world.run()
        expect("the status of a run at home", (run.status, run.document["problems"]), (0, []))
        return world.books()

    @contextmanager
    def stopped_at(self, moment: Callable[[Any], bool], fault: Fault | None = None) -> Iterator[threading.Event]:
        """Hold the first request to server or bucket that fits until the context ends; the event tells that it came.

        Args:
            moment: asked for a `Request` to the server or a `Call` of a bucket.
            fault: what becomes of the bucket's call then.
        """
        came, go_on = threading.Event(), threading.Event()

        def hold(asked: Request | Call) -> Fault | None:
            if came.is_set() or not moment(asked):
                return None
            came.set()
            go_on.wait(_QUIET_SECONDS)
            return fault

        def before(request: Request) -> None:
            hold(request)

        self.server.before, self.buckets.on_call = before, hold
        try:
            yield came
        finally:
            self.server.before, self.buckets.on_call = (lambda _: None), (lambda _: None)
            go_on.set()

    # -- what is seen on it

    def counts(self) -> Counts:
        """What has happened so far."""
        return Counts(
            sum(task.queue == "fetch" for task in self.queue.created),
            sum(delivery.queue == "fetch" for delivery in self.queue.deliveries),
            self.server.count("file"),
            len(self.buckets.published),
        )

    def books(self) -> dict[str, bytes]:
        """The library."""
        return self.buckets.objects(self.deployment.library)

    def downloads(self) -> list[str]:
        """The path of each file that was asked of the server, in order."""
        return [one.path for one in self.server.requests if one.kind == "file"]

    def lines(self, service: Service) -> list[dict[str, Any]]:
        """What a function has logged. Raises: AssertionError: a line is no JSON object as the cloud wants it."""
        found = []
        for line in (
            line for log in service.logs() for line in log.decode().split("\n")[:-1]
        ):  # a kill may cut the last
            try:
                fields = json.loads(line)
            except ValueError:
                fields = None
            if not isinstance(fields, dict) or not fields.keys() >= _FIELDS:
                raise AssertionError(f"{service.name} logs what is no JSON line of a request: {line!r}")
            found.append(fields)
        return found

    def errors(self, service: Service) -> list[str]:
        """The messages of its error lines."""
        return [line["message"] for line in self.lines(service) if line["severity"] in ("ERROR", "CRITICAL")]

    def check(self) -> None:
        """What holds at every moment at which the queues are empty."""
        expect("what is queued", self.queue.pending(), 0)
        expect("what was dropped", self.queue.dropped, [])
        expect("what rights denied", self.denied, [])
        expect("callers that were refused", [service.refused for service in self.services if service.refused], [])
        expect("books that could not be read when they were published", self.buckets.broken, [])
        for key, content in self.books().items():
            with zipfile.ZipFile(io.BytesIO(content)) as book:
                expect(f"{key}, read", book.testzip(), None)
        for service in self.services:
            self.lines(service)
        self.check_secrets()

    def check_secrets(self) -> None:
        """No log and no object holds a token, a sign or a password."""
        self.note_secrets()
        texts = {f"a log of {service.name}": b"".join(service.logs()) for service in self.services}
        for prefix in _RECORDS:
            texts |= self.buckets.objects(self.deployment.work, prefix)
        for name, text in texts.items():
            for secret in self._secrets:
                if secret.encode() in text:
                    raise AssertionError(f"{name} holds a secret")


def expect(what: str, found: object, wanted: object) -> None:
    """Demand that something is as it should be. Raises: AssertionError."""
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def expect_same_books(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> None:
    """Demand the same books, byte for byte, without printing them. Raises: AssertionError."""
    expect("the books", sorted(found), sorted(wanted))
    expect("books that differ", [key for key in found if found[key] != wanted[key]], [])


def _mounted(home: Path, mount: Mount) -> Path:
    """Where a mounted secret is on this machine, for the instance with this folder."""
    return home / mount.path.removeprefix("/")


def _change(file: Path, secret: str) -> None:
    """As a mounted secret changes: from one moment to the next."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(secret, encoding="utf-8")
    new.replace(file)
