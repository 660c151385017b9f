"""The stage of the rehearsal: everything that the functions meet in the cloud, on this machine.

A server with comics, two buckets with the configuration in one of them, two queues, and the three functions, each with
only the environment and the files that it would have there.
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
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.rehearsal.buckets import LIBRARY, WORK, Buckets
from tests.rehearsal.processes import FunctionProcess, Handled, Service
from tests.support.attended import Attended
from tests.support.cloud_tasks import CloudTasks
from tests.support.task_queue import QueueRules
from tests.support.world import World

from pagebind.config import template
from pagebind.core import keys
from pagebind.demo.accounts import User
from pagebind.demo.library import MAIN_SUBSCRIPTION, OTHER_SUBSCRIPTIONS
from pagebind.demo.object_stores import GcsServer
from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from pagebind.demo.answers import Request
    from pagebind.demo.store_calls import Call
    from pagebind.demo.store_proxy import Fault

CONFIGURATION, LOGIN_CONFIGURATION = "pagebind.toml", "login.toml"
"""The second has a user and a password instead of the token."""

READER, PASSWORD = "reader", "the-password-of-the-rehearsal"

MAX_ATTEMPTS = 6

_SECRETS = "/secrets/alist"
"""Where the configuration says that secrets lie: what has none mounted there finds nothing."""

_SHARED = {"source.list_per_second": 0, "source.read_timeout": "5s", **MAIN_SUBSCRIPTION}
_TIME_SCALE = 0.02
_FAST = QueueRules(per_second=500, burst=100, concurrent=12, max_attempts=MAX_ATTEMPTS, min_backoff=10, max_backoff=60)
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
        fetchers: so many processes of fetch.
        rules: of the queue of pages; by default, as fast as it goes.
        seed: of the dice; None: another each time.
    """

    def __init__(self, home: Path, *, fetchers: int = 1, rules: QueueRules = _FAST, seed: int | None = None) -> None:
        self.home = home
        self.seed = secrets.randbelow(10**6) if seed is None else seed
        self.comics = home / "comics"
        self.comics.mkdir()
        self.server = Attended({"/comics": self.comics})
        self.server.accounts.add(User(READER, PASSWORD))
        self.poll, self.fetch, self.finalize = (Service(name) for name in ("poll", "fetch", "finalize"))
        self.poll_by_login = Service("poll")
        self._fetchers = fetchers
        self._rules = rules
        self._resources = ExitStack()
        self._secrets: set[str] = {PASSWORD}
        self._homes_at_home = 0

    @property
    def services(self) -> tuple[Service, ...]:
        """The functions; the last is poll once more, with a user and a password instead of the token."""
        return (self.poll, self.fetch, self.finalize, self.poll_by_login)

    def __enter__(self) -> Self:
        with self._resources:
            enter = self._resources.enter_context
            enter(self.server)
            self.buckets = enter(Buckets(enter(GcsServer())))
            self.queue = enter(CloudTasks({"fetch": self._rules, "finalize": _FAST}, time_scale=_TIME_SCALE))
            self.configure()
            self._deploy()
            self._resources = self._resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    # -- how it is set up

    def _deploy(self) -> None:
        for service in self.services:
            self._resources.enter_context(service)
        self.poll.instances.append(self._instance("poll", "poll", token=True))
        self.finalize.instances.append(self._instance("finalize", "finalize"))
        self.fetch.instances += [
            self._instance("fetch", f"fetch-{number}", token=True) for number in range(1, self._fetchers + 1)
        ]
        self.poll_by_login.instances.append(self._instance("poll", "poll-by-login", login=True))
        self.mount_token(self.server.token, self.poll)
        self.mount_password(PASSWORD)
        for service in self.services:
            service.start()
        for service in self.services:
            service.ready()

    def _instance(self, target: str, name: str, *, token: bool = False, login: bool = False) -> FunctionProcess:
        home = self.home / name
        home.mkdir()
        environment = {
            "PATH": os.defpath,
            "K_SERVICE": f"pagebind-{target}",
            "K_REVISION": f"pagebind-{target}-00001-abc",
            "K_CONFIGURATION": f"pagebind-{target}",
            "FUNCTION_TARGET": target,
            "FUNCTION_SIGNATURE_TYPE": "http",
            "GOOGLE_CLOUD_PROJECT": "rehearsal",
            "LOG_EXECUTION_ID": "true",
            "PAGEBIND_CONFIG": f"gs://{WORK}/{LOGIN_CONFIGURATION if login else CONFIGURATION}",
            "PAGEBIND_QUEUE_FETCH": self.queue.queue_name("fetch"),
            "PAGEBIND_QUEUE_FINALIZE": self.queue.queue_name("finalize"),
            "PAGEBIND_QUEUE_FETCH_URL": self.fetch.url,
            "PAGEBIND_QUEUE_FINALIZE_URL": self.finalize.url,
            "PAGEBIND_QUEUE_SERVICE_ACCOUNT": "queue@rehearsal.iam.gserviceaccount.com",
            "PAGEBIND_QUEUE_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
            "CLOUD_TASKS_EMULATOR_HOST": self.queue.host,
            **self.buckets.environment(),
        }
        if token:
            environment["PAGEBIND_SOURCE_TOKEN"] = f"file:{home}/secrets/token"
        if login:
            environment["PAGEBIND_SOURCE_PASSWORD"] = f"file:{home}/secrets/password"
        return FunctionProcess(target, home, environment)

    def configure(self, **bind: str) -> None:
        """Write both configurations into the bucket; ``bind`` goes to its section."""
        values = {
            **_SHARED,
            "source.url": self.server.url,
            "source.token": f"file:{_SECRETS}/token",
            "store.library": f"gs://{LIBRARY}",
            "poll.budget": "60s",
            "bind.settle": "0s",
            "bind.give_up_epochs": 1,
            "bind.give_up_after": "0s",
            **{f"bind.{name}": value for name, value in bind.items()},
        }
        login = {"source.token": None, "source.username": READER, "source.password": f"file:{_SECRETS}/password"}
        for name, chosen in ((CONFIGURATION, values), (LOGIN_CONFIGURATION, {**values, **login})):
            self.buckets.put(WORK, name, (template(f"gs://{WORK}", chosen) + OTHER_SUBSCRIPTIONS).encode())

    def mount_token(self, token: str, *services: Service) -> None:
        """A new version of the secret, where these have it mounted; without any: poll and fetch.

        Fetch gets none before it needs one: that is when a sign is refused.
        """
        self.note_secrets()
        for service in services or (self.poll, self.fetch):
            for instance in service.instances:
                _mount(instance, "token", token)

    def mount_password(self, password: str) -> None:
        """The same for the poll that logs in."""
        self._secrets.add(password)
        _mount(self.poll_by_login.instances[0], "password", password)

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
        """What the scheduler does: call poll, without a body."""
        return (service or self.poll).call(X_CloudScheduler="true", User_Agent="Google-Cloud-Scheduler")

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
        environment["PAGEBIND_SOURCE_TOKEN"] = f"file:{self.poll.instances[0].home}/secrets/token"
        environment["HOME"] = environment["XDG_STATE_HOME"] = str(self.home)
        called = subprocess.run(
            [
                sys.executable,
                "-m",
                "pagebind",
                words[0],
                "--config",
                f"gs://{WORK}/{CONFIGURATION}",
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
        world = World(home, self.server, dict(_SHARED), OTHER_SUBSCRIPTIONS)
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
        return self.buckets.objects(LIBRARY)

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
            texts |= self.buckets.objects(WORK, prefix)
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


def _mount(instance: FunctionProcess, name: str, secret: str) -> None:
    """As a mounted secret changes: from one moment to the next."""
    file = instance.home / "secrets" / name
    file.parent.mkdir(exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(secret, encoding="utf-8")
    new.replace(file)
