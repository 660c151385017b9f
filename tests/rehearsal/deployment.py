"""What is deployed, as data: the functions with all that they get in the cloud, queues, the schedule, rights.

Names, addresses and paths are those of the cloud; `tests.rehearsal.stage.Stage` says what stands for them here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tests.support.paths import REPOSITORY
from tests.support.task_queue import QueueRules

from pagebind.config import template
from pagebind.demo.library import MAIN_SUBSCRIPTION, OTHER_SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

WORK, LIBRARY = "rehearsal-work", "rehearsal-library"
CONFIGURATION, LOGIN_CONFIGURATION = "pagebind.toml", "login.toml"
"""The second has a user and a password instead of the token."""

BY_LOGIN = "poll-by-login"
"""Poll once more, with a user and a password."""

FAST = QueueRules(per_second=500, burst=100, concurrent=12, max_attempts=6, min_backoff=10, max_backoff=60)

SHARED = {"source.list_per_second": 0, "source.read_timeout": "5s", **MAIN_SUBSCRIPTION}
"""Settings that hold at home as well."""

READER, PASSWORD = "reader", "the-password-of-the-rehearsal"

_QUICK = {"poll.budget": "60s", "bind.settle": "0s", "bind.give_up_epochs": 1, "bind.give_up_after": "0s"}

_PROJECT = "rehearsal"
_NOWHERE = "/secrets/alist"
"""Where the file says that secrets lie: what has none mounted there finds nothing."""

_TOKEN, _PASSWORD = "/secrets/token/token", "/secrets/password/password"


class Mount(NamedTuple):
    """A secret as a file.

    Attributes:
        variable: the setting that names it.
        path: of the file, there.
        late: it is not there before it changes: whoever asks for it earlier fails.
    """

    variable: str
    path: str
    late: bool = False


class Function(NamedTuple):
    """A function.

    Attributes:
        service: the name of its service.
        target: the name in its source.
        url: where callers find it.
        account: whose rights it has.
        environment: all that is set for it.
        mounts: secrets that it can read.
        python: the interpreter, in an environment with its requirements.
        source: its file.
        instances: so many processes.
        concurrency: requests at the same time in each; None: as many as come.
    """

    service: str
    target: str
    url: str
    account: str
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...] = ()
    python: Path = Path(sys.executable)
    source: Path = REPOSITORY / "functions" / "main.py"
    instances: int = 1
    concurrency: int | None = None


class Queue(NamedTuple):
    """A queue, by its full name."""

    name: str
    rules: QueueRules = FAST


class Schedule(NamedTuple):
    """What the scheduler asks, and as whom: an identity is good for its ``audience`` alone."""

    url: str
    account: str
    audience: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Rights(Protocol):
    """Who may do what."""

    def may(self, account: str, permission: str, resource: str) -> bool:
        """Whether an account, by its address, has a permission on a resource, by its full name."""


class Deployment(NamedTuple):
    """All of it.

    Attributes:
        functions: by what they are for: ``poll``, ``fetch``, ``finalize``, perhaps `BY_LOGIN`.
        queues: by the function that they call: ``fetch``, ``finalize``.
        schedule: of poll.
        buckets: all that there are.
        work, library: two of them.
        configuration: bucket and name of the object.
        file: settings that stand in it.
        content: of the object in the beginning; None: as `users_file` writes it.
        rights: None: everybody may do everything.
    """

    functions: Mapping[str, Function]
    queues: Mapping[str, Queue]
    schedule: Schedule
    buckets: tuple[str, ...]
    work: str
    library: str
    configuration: tuple[str, str]
    file: Mapping[str, object]
    content: bytes | None = None
    rights: Rights | None = None


def by_hand(*, fetchers: int = 1, rules: QueueRules = FAST) -> Deployment:
    """The functions of this checkout, without limits and rights.

    Args:
        fetchers: so many processes of fetch.
        rules: of the queue of pages; by default, as fast as it goes.
    """
    queues = {
        "fetch": Queue(f"projects/{_PROJECT}/locations/here/queues/fetch", rules),
        "finalize": Queue(f"projects/{_PROJECT}/locations/here/queues/finalize"),
    }
    urls = {name: f"https://{name}.example" for name in ("poll", "fetch", "finalize", BY_LOGIN)}
    shared = {
        "GOOGLE_CLOUD_PROJECT": _PROJECT,
        "LOG_EXECUTION_ID": "true",
        "PAGEBIND_CONFIG": f"gs://{WORK}/{CONFIGURATION}",
        "PAGEBIND_QUEUE_FETCH": queues["fetch"].name,
        "PAGEBIND_QUEUE_FINALIZE": queues["finalize"].name,
        "PAGEBIND_QUEUE_FETCH_URL": urls["fetch"],
        "PAGEBIND_QUEUE_FINALIZE_URL": urls["finalize"],
        "PAGEBIND_QUEUE_SERVICE_ACCOUNT": _account("queue"),
        "PAGEBIND_QUEUE_MAX_ATTEMPTS": str(rules.max_attempts),
    }
    token, password = Mount("PAGEBIND_SOURCE_TOKEN", _TOKEN), Mount("PAGEBIND_SOURCE_PASSWORD", _PASSWORD)

    def function(name: str, target: str, *mounts: Mount, instances: int = 1) -> Function:
        environment = {**shared, **{mount.variable: f"file:{mount.path}" for mount in mounts}}
        service, account = f"pagebind-{name}", _account(name)
        return Function(service, target, urls[name], account, environment, mounts, instances=instances)

    functions = {
        "poll": function("poll", "poll", token),
        "fetch": function("fetch", "fetch", token._replace(late=True), instances=fetchers),
        "finalize": function("finalize", "finalize"),
    }
    by_login = function(BY_LOGIN, "poll", password)
    login = {"PAGEBIND_CONFIG": f"gs://{WORK}/{LOGIN_CONFIGURATION}"}
    functions[BY_LOGIN] = by_login._replace(environment={**by_login.environment, **login})
    schedule = Schedule(urls["poll"], _account("scheduler"), urls["poll"])
    file = {"store.url": f"gs://{WORK}", "store.library": f"gs://{LIBRARY}", "source.token": f"file:{_NOWHERE}/token"}
    return Deployment(functions, queues, schedule, (WORK, LIBRARY), WORK, LIBRARY, (WORK, CONFIGURATION), file)


def users_file(url: str, own: Mapping[str, object], **bind: str) -> str:
    """The configuration.

    Args:
        url: of the server.
        own: settings that the deployment has otherwise than others.
        bind: settings of that section.
    """
    values = {**SHARED, **_QUICK, "source.url": url, **own, **{f"bind.{name}": value for name, value in bind.items()}}
    return template(str(own["store.url"]), values) + OTHER_SUBSCRIPTIONS


def with_login(own: Mapping[str, object]) -> Mapping[str, object]:
    """The same with a user and a password instead of the token."""
    return {**own, "source.token": None, "source.username": READER, "source.password": f"file:{_NOWHERE}/password"}


def _account(name: str) -> str:
    return f"{name}@{_PROJECT}.iam.gserviceaccount.com"
