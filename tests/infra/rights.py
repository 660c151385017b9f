"""Who may do what, by the IAM members of a plan; what is not understood is refused, not guessed.

Permissions of the roles: cloud.google.com/iam/docs/roles-permissions, as far as anybody here asks for them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.rehearsal.doors import bucket_resource, run_service, service_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.terraform import Plan

_VIEW = frozenset({"storage.objects.get", "storage.objects.list"})
_CREATE = frozenset({"storage.objects.create"})
_CHANGE = _CREATE | {"storage.objects.update", "storage.objects.delete", "storage.objects.restore"}

ROLES: Mapping[str, frozenset[str]] = {
    "roles/storage.objectViewer": _VIEW,
    "roles/storage.objectCreator": _CREATE,
    "roles/storage.objectUser": _VIEW | _CHANGE,
    "roles/storage.objectAdmin": _VIEW | _CHANGE,
    "roles/cloudtasks.enqueuer": frozenset({"cloudtasks.tasks.create"}),
    "roles/iam.serviceAccountUser": frozenset({"iam.serviceAccounts.actAs"}),
    "roles/run.invoker": frozenset({"run.routes.invoke"}),
    "roles/secretmanager.secretAccessor": frozenset({"secretmanager.versions.access"}),
    "roles/logging.logWriter": frozenset({"logging.logEntries.create"}),
    "roles/artifactregistry.writer": frozenset({"artifactregistry.repositories.uploadArtifacts"}),
}

_EVERYTHING = ""
_TERM = re.compile(r'resource\.name(?: == (?P<equal>"[^"\\]*")|\.startsWith\((?P<begin>"[^"\\]*")\))')

_SCOPES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "google_storage_bucket_iam_member": lambda one: bucket_resource(one["bucket"]),
    "google_cloud_tasks_queue_iam_member": lambda one: queue_resource(one["project"], one["location"], one["name"]),
    "google_secret_manager_secret_iam_member": lambda one: secret_resource(one["secret_id"]),
    "google_service_account_iam_member": lambda one: service_account(one["service_account_id"].rpartition("/")[2]),
    "google_cloud_run_v2_service_iam_member": lambda one: run_service(one["name"]),
    "google_artifact_registry_repository_iam_member": lambda _: "repositories/-",  # a plan does not know which
    "google_project_iam_member": lambda _: _EVERYTHING,
}


class NotUnderstood(Exception):
    """A right of which nobody here can say what it allows."""


class Grant(NamedTuple):
    """A role for somebody.

    Attributes:
        member: as ``serviceAccount:poll@project.iam.gserviceaccount.com``.
        role: its name.
        scope: the resource that it is given on; it holds for all below. Empty: the project.
        condition: the expression that the resource's name has to fulfil as well; empty: none.
    """

    member: str
    role: str
    scope: str
    condition: str = ""


class Granted:
    """All that is granted. Raises: NotUnderstood: a role or a condition is none that is known here."""

    def __init__(self, grants: tuple[Grant, ...]) -> None:
        self.grants = grants
        for grant in grants:
            if grant.role not in ROLES:
                raise NotUnderstood(f"{grant.role} of {grant.member}")
            _holds(grant.condition, "")

    def may(self, account: str, permission: str, resource: str) -> bool:
        """See `tests.rehearsal.deployment.Rights`."""
        return any(
            grant.member == f"serviceAccount:{account}"
            and permission in ROLES[grant.role]
            and _is_below(resource, grant.scope)
            and _holds(grant.condition, resource)
            for grant in self.grants
        )

    def without(self, unwanted: Callable[[Grant], bool]) -> Granted:
        """The others. Raises: ValueError: there is none to take away."""
        left = tuple(grant for grant in self.grants if not unwanted(grant))
        if left == self.grants:
            raise ValueError("nothing of the kind is granted")
        return Granted(left)


def granted(plan: Plan) -> Granted:
    """What a plan grants. Raises: NotUnderstood: it grants in a way that is not known here."""
    return Granted(tuple(_grants(plan)))


def queue_resource(project: str, location: str, name: str) -> str:
    """The resource, which is also a queue's full name."""
    return f"projects/{project}/locations/{location}/queues/{name}"


def secret_resource(secret: str) -> str:
    """The resource, by the short name or the full one."""
    return f"secrets/{secret.rpartition('/')[2]}"


def _grants(plan: Plan) -> Iterator[Grant]:
    for kind in sorted({change["type"] for change in plan.document["resource_changes"]}):
        if not re.search(r"_iam_(member|binding|policy|audit_config)$", kind):
            continue
        if kind not in _SCOPES:
            raise NotUnderstood(f"rights by {kind}")
        for values in plan.resources(kind).values():
            condition = "".join(one["expression"] for one in values.get("condition") or ())
            yield Grant(values["member"], values["role"], _SCOPES[kind](values), condition)


def _is_below(resource: str, scope: str) -> bool:
    return scope in {_EVERYTHING, resource} or resource.startswith(f"{scope}/")


def _holds(condition: str, name: str) -> bool:
    """Whether a condition lets a resource pass: one of some beginnings or names. Raises: NotUnderstood."""
    terms = [_TERM.fullmatch(term) for term in condition.split(" || ")] if condition else []
    if not all(terms):
        raise NotUnderstood(f"the condition {condition}")
    return not terms or any(_is_so(term, name) for term in terms if term)


def _is_so(term: re.Match[str], name: str) -> bool:
    wanted = (term["equal"] or term["begin"]).strip('"')
    return name == wanted if term["equal"] else name.startswith(wanted)
