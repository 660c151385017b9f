"""What a plan says, by rules; and that each rule finds what is against it."""

from __future__ import annotations

import copy
import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from tests.infra.conftest import CANARY, SECRET_VALUES, TOKEN
from tests.infra.rules import FUNCTIONS, RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.terraform import Plan, Workspace

pytestmark = pytest.mark.xdist_group("terraform")

Values = dict[str, Any]

_IAM = "google_storage_bucket_iam_member.functions"


@pytest.mark.parametrize("rule", RULES)
def test_the_plan_keeps_to_its_rules(everything: Plan, rule: str) -> None:
    assert list(RULES[rule](everything)) == []


def _set(path: str, value: object) -> Callable[[Values], None]:
    """Sets what stands at the end of a path, as ``service_config/0/timeout_seconds``."""

    def change(values: Values) -> None:
        *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        place: Any = values
        for step in way:
            place = place[step]
        place[last] = value

    return change


def _function(name: str) -> str:
    return f'google_cloudfunctions2_function.functions["{name}"]'


NAT = "google_compute_router_nat.egress[0]"
ENVIRONMENT = "service_config/0/environment_variables"
PEOPLE = 'google_cloud_run_v2_service_iam_member.invokers["user:somebody@example.org calls poll"]'


@pytest.mark.parametrize(
    ("rule", "address", "change"),
    [
        ("nobody_is_everybody", PEOPLE, _set("member", "allUsers")),
        ("nobody_is_everybody", f'{_IAM}["poll reads library"]', _set("member", "allAuthenticatedUsers")),
        ("rights_are_given_singly", f'{_IAM}["poll reads library"]', _set("role", "roles/owner")),
        ("the_project_is_not_given_away", "google_project_iam_member.build_source", _set("condition", [])),
        ("the_project_is_not_given_away", "google_project_iam_member.build_logs", _set("role", "roles/run.invoker")),
        (
            "buckets_are_private",
            'google_storage_bucket.buckets["library"]',
            _set("public_access_prevention", "inherited"),
        ),
        (
            "buckets_are_private",
            'google_storage_bucket.buckets["work"]',
            _set("uniform_bucket_level_access", False),
        ),
        (
            "books_can_be_brought_back",
            'google_storage_bucket.buckets["library"]',
            _set("soft_delete_policy/0/retention_duration_seconds", 0),
        ),
        ("books_can_be_brought_back", 'google_storage_bucket.buckets["library"]', _set("force_destroy", True)),
        (
            "only_leavings_go_by_age",
            'google_storage_bucket.buckets["work"]',
            _set("lifecycle_rule/1/condition/0/matches_suffix", [".data", ".entry"]),
        ),
        (
            "only_leavings_go_by_age",
            'google_storage_bucket.buckets["work"]',
            _set("lifecycle_rule/1/condition/0/matches_suffix", None),
        ),
        ("functions_keep_to_their_objects", f'{_IAM}["fetch writes work"]', _set("condition", [])),
        ("functions_keep_to_their_objects", f'{_IAM}["finalize reads work"]', _set("role", "roles/run.invoker")),
        (
            "functions_keep_to_their_objects",
            f'{_IAM}["fetch reads library"]',
            _set("role", "roles/storage.objectUser"),
        ),
        (
            "functions_keep_to_their_objects",
            f'{_IAM}["poll reads deploy"]',
            _set("role", "roles/storage.objectUser"),
        ),
        (
            "secrets_are_for_those_who_need_them",
            'google_secret_manager_secret_iam_member.readers["fetch reads token"]',
            _set("member", "serviceAccount:pagebind-finalize@comics-of-a-test.iam.gserviceaccount.com"),
        ),
        (
            "secrets_are_for_those_who_need_them",
            _function("poll"),
            _set(f"{ENVIRONMENT}/PAGEBIND_SOURCE_TOKEN", "file:/secrets/token"),
        ),
        (
            "secrets_are_for_those_who_need_them",
            _function("fetch"),
            _set("service_config/0/secret_volumes/0/versions/0/version", "1"),
        ),
        (
            "functions_are_called_by_their_callers",
            'google_cloud_run_v2_service_iam_member.invokers["queue calls fetch"]',
            _set("name", "pagebind-poll"),
        ),
        ("functions_are_called_by_their_callers", PEOPLE, _set("name", "pagebind-finalize")),
        (
            "functions_are_called_by_their_callers",
            _function("finalize"),
            _set("service_config/0/ingress_settings", "ALLOW_ALL"),
        ),
        (
            "people_may_call_poll_and_nothing_else",
            f'{_IAM}["finalize writes library"]',
            _set("member", "user:somebody@example.org"),
        ),
        (
            "tasks_come_from_poll_and_finalize",
            'google_cloud_tasks_queue_iam_member.enqueuers["finalize fills fetch"]',
            _set("member", "serviceAccount:pagebind-fetch@comics-of-a-test.iam.gserviceaccount.com"),
        ),
        (
            "tasks_come_from_poll_and_finalize",
            'google_service_account_iam_member.acts_as_queue["poll"]',
            _set(
                "service_account_id",
                "projects/-/serviceAccounts/pagebind-build@comics-of-a-test.iam.gserviceaccount.com",
            ),
        ),
        (
            "each_function_has_an_account_of_its_own",
            _function("fetch"),
            _set("service_config/0/service_account_email", "pagebind-poll@comics-of-a-test.iam.gserviceaccount.com"),
        ),
        ("deadlines_fit", _function("poll"), _set("service_config/0/timeout_seconds", 480)),
        ("deadlines_fit", _function("fetch"), _set("service_config/0/timeout_seconds", 901)),
        ("deadlines_fit", "google_cloud_scheduler_job.poll", _set("attempt_deadline", "180s")),
        ("deadlines_fit", "google_cloud_scheduler_job.poll", _set("retry_config/0/retry_count", 1)),
        ("the_environment_is_understood", _function("fetch"), _set(f"{ENVIRONMENT}/PAGEBIND_TYPO", "1")),
        ("the_environment_is_understood", _function("poll"), _set(f"{ENVIRONMENT}/PAGEBIND_POLL_BUDGET", "8 min")),
        (
            "the_environment_is_understood",
            _function("finalize"),
            _set(f"{ENVIRONMENT}/PAGEBIND_QUEUE_FETCH_URL", "https://pagebind-fetch-abc-ew.a.run.app"),
        ),
        (
            "the_environment_is_understood",
            'google_cloud_tasks_queue.queues["fetch"]',
            _set("rate_limits/0/max_concurrent_dispatches", 64),
        ),
        ("names_fit", 'google_storage_bucket.buckets["work"]', _set("name", "Pagebind")),
        ("names_fit", _function("poll"), _set("name", "p" * 60)),
        (
            "books_can_be_brought_back",
            'google_storage_bucket.buckets["work"]',
            _set("versioning", [{"enabled": True}]),
        ),
        ("polls_are_not_paused", "google_cloud_scheduler_job.poll", _set("paused", True)),
        ("alerts_are_on", "google_monitoring_alert_policy.silence[0]", _set("enabled", False)),
        ("alerts_are_on", 'google_monitoring_alert_policy.events["held"]', _set("enabled", False)),
        ("alerts_are_on", "google_logging_metric.polls_ended[0]", _set("disabled", True)),
        ("the_way_out_is_wide_enough", NAT, _set("enable_dynamic_port_allocation", None)),
        ("the_way_out_is_wide_enough", NAT, _set("max_ports_per_vm", 1024)),
        ("the_way_out_is_wide_enough", NAT, _set("min_ports_per_vm", 32_768)),
        ("the_way_out_is_wide_enough", NAT, _set("min_ports_per_vm", 200)),
        ("all_is_labelled", 'google_storage_bucket.buckets["work"]', _set("labels", {"app": "pagebind"})),
    ],
)
def test_a_rule_finds_what_is_against_it(
    everything: Plan, rule: str, address: str, change: Callable[[Values], None]
) -> None:
    mutant = everything._replace(document=copy.deepcopy(everything.document))
    (planned,) = (
        one for one in mutant.document["planned_values"]["root_module"]["resources"] if one["address"] == address
    )
    change(planned["values"])
    assert list(RULES[rule](mutant))


def test_a_kind_that_no_rule_knows_is_found(everything: Plan) -> None:
    mutant = everything._replace(document=copy.deepcopy(everything.document))
    mutant.document["planned_values"]["root_module"]["resources"][0]["type"] = "google_compute_firewall"
    assert list(RULES["only_known_kinds_are_made"](mutant))


def test_every_rule_is_known_to_find_something() -> None:
    marks: Any = test_a_rule_finds_what_is_against_it
    (parametrized,) = (mark for mark in marks.pytestmark if mark.name == "parametrize")
    assert {case[0] for case in parametrized.args[1]} == set(RULES) - {"only_known_kinds_are_made"}


def test_no_secret_is_in_the_plan(everything: Plan, workspace: Workspace) -> None:
    assert workspace.files_with((TOKEN, *SECRET_VALUES.values())) == []
    assert workspace.files_with((CANARY,)) == ["pagebind.toml"], "the configuration's text is in the plan"
    assert workspace.files_with(("pagebind-poll",)), "nothing is found at all"


def test_the_first_apply_finds_what_it_needs(workspace: Workspace) -> None:
    """What is not there yet, or not allowed yet, when something is made: Google refuses it, and the apply ends."""
    before = workspace.order()
    services = "google_project_service.services"
    assert [one for one in before if one.startswith("google_") and services not in before[one]] == [services]
    for needed in (
        "google_secret_manager_secret_version.values",
        "google_secret_manager_secret_iam_member.readers",
        "google_storage_bucket_iam_member.functions",
        "google_storage_bucket_object.bundle",
        "terraform_data.rights_known",
    ):
        assert needed in before["google_cloudfunctions2_function.functions"]
    for needed in (
        "google_artifact_registry_repository_iam_member.build",
        "google_project_iam_member.build_logs",
        "google_project_iam_member.build_source",
    ):
        assert needed in before["terraform_data.rights_known"]
    for needed in (
        "google_cloud_run_v2_service_iam_member.invokers",
        "google_cloud_tasks_queue_iam_member.enqueuers",
        "google_service_account_iam_member.acts_as_queue",
        "google_storage_bucket_object.configuration",
    ):
        assert needed in before["google_cloud_scheduler_job.poll"]


def test_the_next_steps_are_typed_from_the_root(everything: Plan, workspace: Workspace) -> None:
    """With what each command has to be given, for the plan of everything."""
    steps = str(everything.document["planned_values"]["outputs"]["next_steps"]["value"])
    assert re.search(r"^Books appear", steps), "it is not written from the margin"
    commands = re.findall(r"^ {2}(terraform .*)$", steps, re.MULTILINE)
    assert [command.split()[2] for command in commands] == ["apply", "state", "destroy", "import", "apply"]
    for command in commands:
        folder = command.split()[1].removeprefix("-chdir=")
        assert (workspace.root / folder).samefile(workspace.module)
    for name, values in (("TF_VAR_token", None), ("TF_VAR_secret_values", dict.fromkeys(sorted(SECRET_VALUES), "..."))):
        (given,) = re.findall(rf"^ {{2}}export {name}=(.*)$", steps, re.MULTILINE)
        assert (json.loads(shlex.split(given)[0]) if values else None) == values
        assert steps.index(f"export {name}") < steps.index(commands[0])
    (edited,) = re.findall(r"edit (\S+) and apply", steps)
    assert (workspace.root / edited).samefile(workspace.configuration)
    (_, address, bucket) = shlex.split(next(command for command in commands if " import " in command))[2:]
    assert (
        everything.resources("google_storage_bucket")[address.removeprefix("google_storage_bucket.")]["name"] == bucket
    )
    assert "destroy again two hours later" in steps


def test_all_three_functions_are_planned(everything: Plan) -> None:
    assert set(everything.resources("google_cloudfunctions2_function", "functions")) == set(FUNCTIONS)
