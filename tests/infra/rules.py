"""What must be true of every plan. A rule tells what is wrong, one line each; nothing told: all is well."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.infra.rights import NotUnderstood, granted, queue_resource, secret_resource
from tests.rehearsal.doors import bucket_resource, object_resource, run_service, service_account

from pagebind.adapters.dispatch.cloud_tasks import FETCH_DEADLINE, FINALIZE_DEADLINE
from pagebind.config import SETTINGS, parse, parse_duration, template
from pagebind.core import keys
from pagebind.core.keys import DecisionMark, FailureMark, ManifestMark, ReceiptMark, SentMark
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.terraform import Plan

FUNCTIONS = ("poll", "fetch", "finalize")

_LONGEST_WAIT = 1800
"""Seconds that the scheduler and a queue wait at most."""

_ON_THE_PROJECT = {
    # for there is no smaller place to write log lines to
    ("build", "roles/logging.logWriter", ""),
    # for Google makes the bucket itself, later; the condition names it
    (
        "build",
        "roles/storage.objectViewer",
        'resource.name == "projects/_/buckets/{bucket}" || resource.name.startsWith("projects/_/buckets/{bucket}/")',
    ),
}
"""Who has which role on the whole project, and under which condition."""

_OF_THE_PLATFORM = {
    "GOOGLE_CLOUD_PROJECT",
    "LOG_EXECUTION_ID",
    "GRPC_VERBOSITY",
    "THREADS",
    "MALLOC_ARENA_MAX",
    "SECRETS_VERSION",
}
"""Variables that are neither settings nor secrets."""

_KNOWN = {
    "google_artifact_registry_repository",
    "google_artifact_registry_repository_iam_member",
    "google_cloud_run_v2_service_iam_member",
    "google_cloud_scheduler_job",
    "google_cloud_tasks_queue",
    "google_cloud_tasks_queue_iam_member",
    "google_cloudfunctions2_function",
    "google_compute_address",
    "google_compute_network",
    "google_compute_router",
    "google_compute_router_nat",
    "google_compute_subnetwork",
    "google_logging_metric",
    "google_logging_project_exclusion",
    "google_monitoring_alert_policy",
    "google_monitoring_notification_channel",
    "google_project_iam_member",
    "google_project_service",
    "google_secret_manager_secret",
    "google_secret_manager_secret_iam_member",
    "google_secret_manager_secret_version",
    "google_service_account",
    "google_service_account_iam_member",
    "google_storage_bucket",
    "google_storage_bucket_iam_member",
    "google_storage_bucket_object",
    "terraform_data",
}
"""Kinds of resources: nothing among them opens a door, e.g. a firewall's rule, without being looked at here."""

_PORTS = 64_512
"""Of one address: cloud.google.com/nat/docs/ports-and-addresses."""

_VOLUME, _PAGE = "one-piece-vol-01-3f0c5a9b1d2e", "0" * 16
WORK_KEYS: Mapping[str, str] = {
    "manifest": keys.manifest_key(_VOLUME, ManifestMark(1, "a" * 12, "b" * 12, 0.0)),
    "sent": keys.sent_key(_VOLUME, SentMark(1, "a" * 12, 1, 0.0)),
    "entry": keys.entry_key(_VOLUME, _PAGE),
    "data": keys.data_key(_VOLUME, _PAGE, "nonce"),
    "piece": keys.piece_key(_VOLUME, _PAGE, 1),
    "composite": f"{keys.STAGING}{_VOLUME}/abcdef012345-0.composite",
    "failure": keys.failure_key(_VOLUME, FailureMark(_PAGE, 1, 1, 0.0)),
    "receipt": keys.receipt_key(_VOLUME, ReceiptMark(1, "c" * 12, 0, 0.0)),
    "decision": keys.decision_key(_VOLUME, DecisionMark(1, "retry", "d" * 12)),
    "run": keys.run_key(0.0, "nonce"),
    "notice": f"{keys.NOTICES}1.json",
    "hook": f"{keys.HOOKS}digest/1.json",
}
"""One key of each kind that lies in work."""

_WRITTEN = {
    "poll": set(WORK_KEYS),
    "fetch": {"entry", "data", "piece", "composite", "failure"},
    "finalize": {"entry", "data", "piece", "composite", "failure", "receipt"},
}
"""What each function may create, replace and delete in work."""

_LEFT_BEHIND = {"data", "composite"}
"""What may be deleted by its age: nobody needs it once the process is gone that wrote it."""


def nobody_is_everybody(plan: Plan) -> Iterator[str]:
    text = json.dumps(plan.document)
    yield from (f"{anybody} is named" for anybody in ("allUsers", "allAuthenticatedUsers") if anybody in text)


def rights_are_given_singly(plan: Plan) -> Iterator[str]:
    """A binding or a policy would take away what others gave."""
    try:
        granted(plan)
    except NotUnderstood as error:
        yield str(error)


def the_project_is_not_given_away(plan: Plan) -> Iterator[str]:
    function = _functions(plan)["poll"]
    number = _number(plan)
    bucket = f"gcf-v2-sources-{number}-{function['location']}"
    accounts = {f"serviceAccount:{address}": name for name, address in _accounts(plan).items()}
    found = {
        (accounts.get(grant.member, grant.member), grant.role, grant.condition)
        for grant in granted(plan).grants
        if not grant.scope
    }
    expected = {(account, role, condition.format(bucket=bucket)) for account, role, condition in _ON_THE_PROJECT}
    yield from (
        f"{account} has {role} on the project, if {condition!r}" for account, role, condition in found - expected
    )
    yield from (f"{account} lacks {role} on the project" for account, role, _ in expected - found)


def buckets_are_private(plan: Plan) -> Iterator[str]:
    for name, bucket in plan.resources("google_storage_bucket", "buckets").items():
        if bucket["uniform_bucket_level_access"] is not True:
            yield f"{name} has rights by object"
        if bucket["public_access_prevention"] != "enforced":
            yield f"{name} may be made public"
    if len(plan.resources("google_storage_bucket")) > len(plan.resources("google_storage_bucket", "buckets")):
        yield "there are other buckets"


def books_can_be_brought_back(plan: Plan) -> Iterator[str]:
    buckets = plan.resources("google_storage_bucket", "buckets")
    kept = {name: bucket["soft_delete_policy"][0]["retention_duration_seconds"] for name, bucket in buckets.items()}
    if kept["library"] < 7 * 86_400:
        yield "a deleted book is gone within a week"
    if kept["work"] != 0:
        yield "each staged page is kept, and paid for, after it was deleted"
    if buckets["library"]["force_destroy"] is not False:
        yield "taking it down deletes the books"
    if any(versioning["enabled"] for versioning in buckets["work"]["versioning"]):
        yield "each staged page is kept, and paid for, as an old version"


def only_leavings_go_by_age(plan: Plan) -> Iterator[str]:
    for name, bucket in plan.resources("google_storage_bucket", "buckets").items():
        for rule in bucket["lifecycle_rule"]:
            (action,), (condition,) = rule["action"], rule["condition"]
            if action["type"] == "AbortIncompleteMultipartUpload":
                continue
            gone = {kind for kind, key in WORK_KEYS.items() if _is_met(condition, key)}
            if name != "work" or action["type"] != "Delete" or gone != _LEFT_BEHIND or condition["age"] < 1:
                yield f"{name}: {action['type']} of {sorted(gone)} after {condition['age']} days"


def functions_keep_to_their_objects(plan: Plan) -> Iterator[str]:
    buckets = {name: one["name"] for name, one in plan.resources("google_storage_bucket", "buckets").items()}
    environment = _environment(plan, "poll")
    deploy, _, configuration = environment["PAGEBIND_CONFIG"].removeprefix("gs://").partition("/")
    if deploy != buckets["deploy"] or deploy in {buckets["work"], buckets["library"]}:
        yield "the configuration lies where functions write"
    rights, accounts = granted(plan), _accounts(plan)
    for function in FUNCTIONS:
        book = "One Piece/Vol 01.cbz"
        objects = [
            (buckets["deploy"], configuration, False),
            (buckets["library"], book, function == "finalize"),
            *((buckets["work"], key, kind in _WRITTEN[function]) for kind, key in WORK_KEYS.items()),
        ]
        for bucket, key, writes in objects:
            expected = {"get": True, "create": writes, "delete": writes}
            for verb, wanted in expected.items():
                if rights.may(accounts[function], f"storage.objects.{verb}", object_resource(bucket, key)) != wanted:
                    yield f"{function} may{' not' if wanted else ''} {verb} {bucket}/{key}"
        for bucket in buckets.values():
            if not rights.may(accounts[function], "storage.objects.list", bucket_resource(bucket)):
                yield f"{function} may not list {bucket}"


def secrets_are_for_those_who_need_them(plan: Plan) -> Iterator[str]:
    rights, accounts = granted(plan), _accounts(plan)
    secrets = {one["secret_id"] for one in plan.resources("google_secret_manager_secret").values()}
    for function in FUNCTIONS:
        service = _service(plan, function)
        used = {one["secret"] for one in (*service["secret_volumes"], *service["secret_environment_variables"])}
        if function == "finalize" and used:
            yield "finalize has a secret"
        for secret in secrets:
            may = rights.may(accounts[function], "secretmanager.versions.access", secret_resource(secret))
            if may != (secret in used):
                yield f"{function} may{'' if may else ' not'} read {secret}, and has {sorted(used)}"
        if any(version["version"] != "latest" for one in service["secret_volumes"] for version in one["versions"]):
            yield f"{function} has to be built anew for a new value of a file"
        folders = [one["mount_path"] for one in service["secret_volumes"]]
        if len(set(folders)) < len(folders):
            yield f"{function} has two secrets in one folder"
        files = {f"{one['mount_path']}/{one['versions'][0]['path']}" for one in service["secret_volumes"]}
        named = {v.removeprefix("file:") for v in service["environment_variables"].values() if v.startswith("file:/")}
        if files != named:
            yield f"{function} is told of {sorted(named)}, and has {sorted(files)}"
    for name in ("queue", "scheduler", "build"):
        if any(rights.may(accounts[name], "secretmanager.versions.access", secret_resource(one)) for one in secrets):
            yield f"{name} may read a secret"


def functions_are_called_by_their_callers(plan: Plan) -> Iterator[str]:
    rights, accounts, functions = granted(plan), _accounts(plan), _functions(plan)
    callers = {"poll": {"scheduler"}, "fetch": {"queue"}, "finalize": {"queue"}}
    for function in FUNCTIONS:
        may = {
            one
            for one in accounts
            if rights.may(accounts[one], "run.routes.invoke", run_service(functions[function]["name"]))
        }
        if may != callers[function]:
            yield f"{sorted(may)} may call {function}"
        ingress = "ALLOW_ALL" if function == "poll" else "ALLOW_INTERNAL_ONLY"
        if _service(plan, function)["ingress_settings"] != ingress:
            yield f"{function} is reached by others than it should"
    people = {
        grant.member: grant.scope
        for grant in rights.grants
        if not grant.member.startswith("serviceAccount:") and grant.role == "roles/run.invoker"
    }
    yield from (
        f"{member} may call {scope}"
        for member, scope in people.items()
        if scope != run_service(functions["poll"]["name"])
    )


def people_may_call_poll_and_nothing_else(plan: Plan) -> Iterator[str]:
    for grant in granted(plan).grants:
        if not grant.member.startswith("serviceAccount:") and grant.role != "roles/run.invoker":
            yield f"{grant.member} has {grant.role}"


def tasks_come_from_poll_and_finalize(plan: Plan) -> Iterator[str]:
    rights, accounts = granted(plan), _accounts(plan)
    for name, account in accounts.items():
        expected = name in {"poll", "finalize"}
        for queue in plan.resources("google_cloud_tasks_queue", "queues").values():
            resource = queue_resource(queue["project"], queue["location"], queue["name"])
            if rights.may(account, "cloudtasks.tasks.create", resource) != expected:
                yield f"{name} {'cannot' if expected else 'may'} fill {queue['name']}"
        for other in accounts:
            may = rights.may(account, "iam.serviceAccounts.actAs", service_account(accounts[other]))
            if may != (expected and other == "queue"):
                yield f"{name} {'may' if may else 'cannot'} act as {other}"


def each_function_has_an_account_of_its_own(plan: Plan) -> Iterator[str]:
    accounts = _accounts(plan)
    for function in FUNCTIONS:
        if _service(plan, function)["service_account_email"] != accounts[function]:
            yield f"{function} has another account"
        (build,) = _functions(plan)[function]["build_config"]
        if build["service_account"].rpartition("/")[2] != accounts["build"]:
            yield f"{function} is built by another account"


def deadlines_fit(plan: Plan) -> Iterator[str]:
    timeouts = {function: _service(plan, function)["timeout_seconds"] for function in FUNCTIONS}
    (job,) = plan.resources("google_cloud_scheduler_job").values()
    budget = parse_duration(_environment(plan, "poll")["PAGEBIND_POLL_BUDGET"])
    attempt = int(job["attempt_deadline"].removesuffix("s"))
    if budget is None or not budget + 30 <= timeouts["poll"] <= attempt <= _LONGEST_WAIT:
        yield f"poll: budget {budget}, function {timeouts['poll']}, scheduler {attempt}"
    if job["retry_config"][0]["retry_count"] != 0:
        yield "a poll that failed is made again at once"
    for function, deadline in (("fetch", FETCH_DEADLINE), ("finalize", FINALIZE_DEADLINE)):
        if not timeouts[function] <= deadline <= _LONGEST_WAIT:
            yield f"{function}: function {timeouts[function]}, queue {deadline}"


def the_environment_is_understood(plan: Plan) -> Iterator[str]:
    """By the code itself, with a configuration that says something else of everything."""
    known = {setting.variable for setting in SETTINGS} | _OF_THE_PLATFORM | {"PAGEBIND_CONFIG"}
    for function in FUNCTIONS:
        environment = _environment(plan, function)
        yield from (f"{function} has {name}, which nobody reads" for name in sorted(environment.keys() - known))
        try:
            settings = parse(template("file:///srv/pagebind", {"source.token": "env:ALIST_TOKEN"}), environment, "file")
        except ConfigError as error:
            yield f"{function}: {error}"
            continue
        yield from _set_otherwise(plan, function, settings)


def _set_otherwise(plan: Plan, function: str, settings: Any) -> Iterator[str]:
    buckets = {name: f"gs://{one['name']}" for name, one in plan.resources("google_storage_bucket", "buckets").items()}
    queues = plan.resources("google_cloud_tasks_queue", "queues")
    (job,) = plan.resources("google_cloud_scheduler_job").values()
    fetch = _service(plan, "fetch")
    said = {
        "work": (settings.store.url, buckets["work"]),
        "library": (settings.store.library, buckets["library"]),
        "queue.fetch": (settings.queue.fetch, _path(queues["fetch"])),
        "queue.finalize": (settings.queue.finalize, _path(queues["finalize"])),
        "queue.fetch_url": (settings.queue.fetch_url, _address(plan, "fetch")),
        "queue.finalize_url": (settings.queue.finalize_url, _address(plan, "finalize")),
        "queue.service_account": (settings.queue.service_account, _accounts(plan)["queue"]),
        "queue.max_attempts": (settings.queue.max_attempts, queues["fetch"]["retry_config"][0]["max_attempts"]),
        "scheduler's address": (job["http_target"][0]["uri"], _address(plan, "poll")),
        "scheduler's audience": (job["http_target"][0]["oidc_token"][0]["audience"], _address(plan, "poll")),
        "pages under way": (
            queues["fetch"]["rate_limits"][0]["max_concurrent_dispatches"],
            fetch["max_instance_request_concurrency"] * fetch["max_instance_count"],
        ),
        "threads": (int(fetch["environment_variables"]["THREADS"]), fetch["max_instance_request_concurrency"]),
    }
    if function == "fetch":
        limit = fetch["max_instance_request_concurrency"]
        said["concurrency"] = (settings.source.concurrency, limit)
    if settings.source.downloads_per_second:
        rate = queues["fetch"]["rate_limits"][0]["max_dispatches_per_second"]
        said["downloads_per_second"] = (settings.source.downloads_per_second, rate)
    yield from (f"{function}: {what} is {one}, not {other}" for what, (one, other) in said.items() if one != other)


def names_fit(plan: Plan) -> Iterator[str]:
    """cloud.google.com/run/docs/triggering/https-request#deterministic: else there is no such address."""
    for function in FUNCTIONS:
        if len(_address(plan, function).removeprefix("https://").partition(".")[0]) > 63:
            yield f"the address of {function} is too long"
    for bucket in plan.resources("google_storage_bucket").values():
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]", bucket["name"]):
            yield f"{bucket['name']} is no name of a bucket"
    for account in plan.resources("google_service_account").values():
        if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", account["account_id"]):
            yield f"{account['account_id']} is no name of an account"


def all_is_labelled(plan: Plan) -> Iterator[str]:
    for resource in plan.document["planned_values"]["root_module"]["resources"]:
        values = resource["values"]
        if resource["mode"] != "managed" or "effective_labels" not in _unknown(plan, resource["address"]):
            continue
        if not {"app", "managed-by"} <= (values.get("labels") or {}).keys():
            yield f"{resource['address']} has no labels"


def polls_are_not_paused(plan: Plan) -> Iterator[str]:
    for name, job in plan.resources("google_cloud_scheduler_job").items():
        if job.get("paused"):  # a job that was never paused has none
            yield f"{name} is paused"


def alerts_are_on(plan: Plan) -> Iterator[str]:
    for name, policy in plan.resources("google_monitoring_alert_policy").items():
        if policy["enabled"] is False:
            yield f"{name} is off"
    for kind in ("google_logging_metric", "google_logging_project_exclusion"):
        yield from (f"{kind}.{name} is off" for name, one in plan.resources(kind).items() if one["disabled"])


def the_way_out_is_wide_enough(plan: Plan) -> Iterator[str]:
    """A port that was used rests for two minutes, and a page may take no longer than a second."""
    for nat in plan.resources("google_compute_router_nat").values():
        under_way = plan.resources("google_cloud_tasks_queue", "queues")["fetch"]["rate_limits"][0]
        if not nat["enable_dynamic_port_allocation"] or nat["max_ports_per_vm"] < 120 * min(
            16, under_way["max_concurrent_dispatches"]
        ):
            yield f"an instance has {nat['max_ports_per_vm']} ports at most"
        instances = sum(_service(plan, function)["max_instance_count"] for function in ("poll", "fetch"))
        if nat["min_ports_per_vm"] * instances > _PORTS:
            yield f"{instances} instances do not have {nat['min_ports_per_vm']} ports each"
        if nat["min_ports_per_vm"].bit_count() != 1 or nat["max_ports_per_vm"].bit_count() != 1:
            yield "ports are not by powers of two"


def only_known_kinds_are_made(plan: Plan) -> Iterator[str]:
    """What a rule of this file, or a test of the alerts, has looked at: a new kind needs one."""
    found = {
        one["type"] for one in plan.document["planned_values"]["root_module"]["resources"] if one["mode"] == "managed"
    }
    yield from (f"{kind} is made, and no rule looks at it" for kind in sorted(found - _KNOWN))


RULES: Mapping[str, Callable[[Plan], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        nobody_is_everybody,
        rights_are_given_singly,
        the_project_is_not_given_away,
        buckets_are_private,
        books_can_be_brought_back,
        only_leavings_go_by_age,
        functions_keep_to_their_objects,
        secrets_are_for_those_who_need_them,
        functions_are_called_by_their_callers,
        people_may_call_poll_and_nothing_else,
        tasks_come_from_poll_and_finalize,
        each_function_has_an_account_of_its_own,
        deadlines_fit,
        the_environment_is_understood,
        names_fit,
        polls_are_not_paused,
        alerts_are_on,
        the_way_out_is_wide_enough,
        only_known_kinds_are_made,
        all_is_labelled,
    )
}


def _functions(plan: Plan) -> dict[str, dict[str, Any]]:
    return plan.resources("google_cloudfunctions2_function", "functions")


def _service(plan: Plan, function: str) -> dict[str, Any]:
    (service,) = _functions(plan)[function]["service_config"]
    return dict(service)


def _environment(plan: Plan, function: str) -> dict[str, str]:
    return dict(_service(plan, function)["environment_variables"])


def _accounts(plan: Plan) -> dict[str, str]:
    """Addresses by what the accounts are for."""
    accounts = plan.resources("google_service_account", "accounts")
    return {name: f"{one['account_id']}@{one['project']}.iam.gserviceaccount.com" for name, one in accounts.items()}


def _number(plan: Plan) -> str:
    read = plan.document["prior_state"]["values"]["root_module"]["resources"]
    return next(str(one["values"]["number"]) for one in read if one["type"] == "google_project")


def _address(plan: Plan, function: str) -> str:
    planned = _functions(plan)[function]
    return f"https://{planned['name']}-{_number(plan)}.{planned['location']}.run.app"


def _path(queue: Mapping[str, Any]) -> str:
    return queue_resource(queue["project"], queue["location"], queue["name"])


def _is_met(condition: Mapping[str, Any], key: str) -> bool:
    prefixes, suffixes = condition["matches_prefix"] or [""], condition["matches_suffix"] or [""]
    return key.startswith(tuple(prefixes)) and key.endswith(tuple(suffixes))


def _unknown(plan: Plan, address: str) -> dict[str, Any]:
    """What of a resource will be known after the apply."""
    change = next(one["change"] for one in plan.document["resource_changes"] if one["address"] == address)
    return dict(change["after_unknown"])
