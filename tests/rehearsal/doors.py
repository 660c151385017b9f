"""Doors before the buckets and the queues, one for each account: who may not gets the service's refusal, and is noted.

Permissions of each operation: cloud.google.com/storage/docs/access-control/iam-json and
cloud.google.com/tasks/docs/reference-access-control.
"""

from __future__ import annotations

import io
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import grpc
from tests.support import cloud_tasks

from pagebind.demo.gcs_rules import Refusal
from pagebind.demo.http_relay import Front, Upstream, on_wire
from pagebind.demo.store_calls import Answer, Request, gcs_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from google.cloud import tasks_v2
    from tests.rehearsal.buckets import Buckets
    from tests.rehearsal.deployment import Rights
    from tests.support.cloud_tasks import CloudTasks

    from pagebind.demo.store_calls import Call

_OF_AN_UPLOAD = frozenset({"objects.insert.chunk", "objects.insert.cancel"})


class Denied(NamedTuple):
    """What an account wanted and may not."""

    account: str
    permission: str
    resource: str


class BucketDoor:
    """The buckets as one account sees them, up while the context is. It takes no batches."""

    def __init__(self, buckets: Buckets, account: str, rights: Rights, denied: list[Denied]) -> None:
        self._buckets = buckets
        self._account = account
        self._rights = rights
        self._denied = denied
        self._uploads: set[str] = set()

    def __enter__(self) -> Self:
        self._front = Front(self._serve, self._buckets.port, refuses=lambda: False)
        self._front.begin("door of a bucket")
        return self

    def __exit__(self, *_: object) -> None:
        self._front.end()

    @property
    def url(self) -> str:
        """For `STORAGE_EMULATOR_HOST`."""
        return f"http://127.0.0.1:{self._front.server_address[1]}"

    def _serve(self, request: Request, upstream: Upstream) -> Iterator[bytes]:
        yield from on_wire(self._answer(request, upstream), request.method)

    def _answer(self, request: Request, upstream: Upstream) -> Answer:
        call = gcs_call(request)
        for permission, resource in self._wanted(request, call):
            if not self._rights.may(self._account, permission, resource):
                return self._refused(permission, resource)
        answer = upstream.ask(request)
        bucket = bucket_resource(call.bucket)
        unseen = answer.status == HTTPStatus.NOT_FOUND and call.operation in {"objects.get", "objects.get_media"}
        if unseen and not self._rights.may(self._account, "storage.objects.list", bucket):
            answer.body.read()
            return self._refused("storage.objects.list", bucket)  # who may not list is not told that nothing is there
        return answer if call.operation == "objects.get_media" else self._led_here(answer)

    def _wanted(self, request: Request, call: Call) -> Iterator[tuple[str, str]]:
        """Permissions and resources; what is not known here wants a permission that nobody has."""
        if call.operation in _OF_AN_UPLOAD:
            if request.query.get("upload_id") not in self._uploads:
                yield f"storage.{call.operation}", bucket_resource(call.bucket)
            return  # its address is the right to go on
        if call.operation == "objects.list":
            yield "storage.objects.list", bucket_resource(call.bucket)
        elif call.operation in {"objects.insert", "objects.compose", "objects.rewrite", "objects.copy"}:
            for bucket, name in _sources(request, call):
                yield "storage.objects.get", object_resource(bucket, name)
            yield "storage.objects.create", object_resource(call.bucket, call.key)
            if self._buckets.exists(call.bucket, call.key):
                yield "storage.objects.delete", object_resource(call.bucket, call.key)
        elif call.operation in {"objects.patch", "objects.update"}:
            yield "storage.objects.get", object_resource(call.bucket, call.key)
            yield "storage.objects.update", object_resource(call.bucket, call.key)
        elif call.operation.startswith("objects."):
            yield f"storage.{call.operation.removesuffix('_media')}", object_resource(call.bucket, call.key)
        else:
            yield f"storage.{call.operation}", bucket_resource(call.bucket)

    def _refused(self, permission: str, resource: str) -> Answer:
        self._denied.append(Denied(self._account, permission, resource))
        said = f"{self._account} does not have {permission} access to the Google Cloud Storage object. "
        said += f"Permission '{permission}' denied on resource (or it may not exist)."
        content = Refusal(HTTPStatus.FORBIDDEN, "forbidden", said).content()
        headers = (("Content-Type", "application/json; charset=UTF-8"),)
        return Answer(HTTPStatus.FORBIDDEN, headers, io.BytesIO(content), len(content))

    def _led_here(self, answer: Answer) -> Answer:
        """An answer whose links lead through this door, and not past it."""
        headers = tuple((name, value.replace(self._buckets.url, self.url)) for name, value in answer.headers)
        for name, value in headers:
            if name.lower() == "location":
                self._uploads.update(parse_qs(urlsplit(value).query).get("upload_id", ()))
        if not any(name.lower() == "content-type" and "json" in value for name, value in headers):
            return replace(answer, headers=headers)
        content = answer.body.read().replace(self._buckets.url.encode(), self.url.encode())
        return Answer(answer.status, headers, io.BytesIO(content), len(content))


def _sources(request: Request, call: Call) -> Iterator[tuple[str, str]]:
    if call.operation == "objects.compose":
        for source in request.json().get("sourceObjects", ()):
            yield call.bucket, source["name"]
    elif call.operation != "objects.insert":
        yield request.path[3], request.path[5]


def bucket_resource(name: str) -> str:
    """The resource."""
    return f"projects/_/buckets/{name}"


def object_resource(bucket: str, name: str) -> str:
    """The resource."""
    return f"{bucket_resource(bucket)}/objects/{name}"


class QueueDoor:
    """The queues as one account sees them, up while the context is.

    Args:
        tasks: the service.
        names: of the queues in the cloud, by those that the service has for them.
    """

    def __init__(
        self, tasks: CloudTasks, account: str, rights: Rights, denied: list[Denied], names: Mapping[str, str]
    ) -> None:
        self._tasks = tasks
        self._account = account
        self._rights = rights
        self._denied = denied
        self._names = names

    def __enter__(self) -> Self:
        self._server, self._port = cloud_tasks._front(self._create)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    @property
    def host(self) -> str:
        """For `CLOUD_TASKS_EMULATOR_HOST`."""
        return f"127.0.0.1:{self._port}"

    def _create(self, request: tasks_v2.CreateTaskRequest, context: Any) -> tasks_v2.Task:
        queue = self._names.get(request.parent, request.parent)
        identity = request.task.http_request.oidc_token.service_account_email
        self._demand(context, "cloudtasks.tasks.create", queue)
        if identity:
            self._demand(context, "iam.serviceAccounts.actAs", service_account(identity))
        return self._tasks._create(request, context)

    def _demand(self, context: Any, permission: str, resource: str) -> None:
        if not self._rights.may(self._account, permission, resource):
            self._denied.append(Denied(self._account, permission, resource))
            said = f'The principal lacks IAM permission "{permission}" for the resource "{resource}"'
            cloud_tasks._refuse(context, grpc.StatusCode.PERMISSION_DENIED, said)


def service_account(address: str) -> str:
    """The resource."""
    return f"projects/-/serviceAccounts/{address}"


def run_service(name: str) -> str:
    """The resource."""
    return f"services/{name}"
