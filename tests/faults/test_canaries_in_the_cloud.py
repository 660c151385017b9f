"""No secret comes out of the functions, their queues and their buckets. Terraform: tests/infra/test_no_secret.py."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.faults.canaries import Canary, Sink, canary, of_folder, of_text, search
from tests.faults.telltale import ANSWERS, FORMS, Telltale
from tests.rehearsal.deployment import PASSWORD, READER, by_hand
from tests.rehearsal.stage import Stage
from tests.support.receiver import Receiver
from tests.support.servers import skipping

from pagebind.demo.accounts import User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Cloud(Stage):
    """The functions over a server that tells, with canaries for all that they are given."""

    def __init__(self, home: Path, receiver: Receiver) -> None:
        token, notifier = canary("token"), canary("notifier", "")
        self.given = [token, notifier, Canary("password", PASSWORD)]
        told = {
            "NOTIFIER": receiver.address(f"/{notifier.value}"),
            "PAGEBIND_NOTIFY_URLS": "env:NOTIFIER",
            "GUNICORN_LOG_LEVEL": "debug",
        }
        planned = by_hand()
        functions = {
            name: one._replace(environment={**one.environment, **told}) for name, one in planned.functions.items()
        }
        super().__init__(home, planned._replace(functions=functions))
        self.server = self.teller = Telltale({"/comics": self.comics}, token=token.value)
        self.server.accounts.add(User(READER, PASSWORD))

    def signs(self) -> list[Canary]:
        """Of each file."""
        paths = ["/comics/" + file.relative_to(self.comics).as_posix() for file in self.comics.rglob("*.png")]
        return [Canary("sign", self.server.signs.sign(path)) for path in paths]

    def canaries(self) -> list[Canary]:
        """Everything that is to come out nowhere."""
        logins = [Canary("login", token) for token in self.server.accounts._sessions]
        return [*self.given, *logins, *self.signs()]

    def sinks(self) -> Iterator[Sink]:
        """Logs, answers, objects with their names; and of tasks all but their bodies."""
        for service in self.services:
            for number, log in enumerate(service.logs(), 1):
                yield Sink(f"log {number} of {service.name}", log)
            yield of_text(f"answers of {service.name}", repr(service.handled))
        for bucket in self.deployment.buckets:
            for name, content in self.buckets.objects(bucket).items():
                yield Sink(f"gs://{bucket}/{name}", content)
        for task in self.queue.created:
            yield of_text(f"task {task.name}", repr(task._replace(body=b"")))
        for service in self.services:
            for instance in service.instances:
                yield from of_folder(instance.home / "workspace")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="groups of processes are POSIX")
def test_functions_leave_a_sign_in_the_body_of_its_task_alone(tmp_path: Path) -> None:
    with skipping(), Receiver() as receiver, Cloud(tmp_path, receiver) as cloud:
        cloud.mount_token(cloud.server.token)
        for name in ("A/1", "A/2"):
            cloud.volume(name, pages=2)
        cloud.schedule()
        cloud.settle()
        cloud.schedule(cloud.poll_by_login)
        for asked, answer in (("list", "code 500"), ("login", "code 400"), ("file", "code 401"), ("file", "code 500")):
            cloud.volume(f"B/{asked} {answer}", pages=1)
            if asked == "file":
                cloud.schedule()
            cloud.teller.telling, cloud.teller.answer_by = asked, ANSWERS[answer]
            cloud.teller.form = FORMS["quoted as JSON"]
            cloud.schedule()
            cloud.schedule(cloud.poll_by_login)
            cloud.settle()
            cloud.teller.telling = ""
        assert cloud.teller.told >= 4
        cloud.schedule()
        cloud.settle()
        assert receiver.calls
        assert len(cloud.books()) >= 2

        assert search(cloud.canaries(), cloud.sinks()) == []
        bodies = [Sink(task.name, task.body) for task in cloud.queue.created]
        assert search(cloud.given, bodies) == []
        held = Counter(one.where for sign in cloud.signs() for one in search([sign], bodies))
        fetches = [task.name for task in cloud.queue.created if task.queue == "fetch"]
        assert set(held) <= set(fetches)
        assert set(held.values()) == {1}, "a task holds the sign of its own file"
