"""Each alert's filter, as it is planned, is fed with what the functions really write: it finds its trouble alone."""

from __future__ import annotations

import copy
import json
import logging
import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.infra.rules import FUNCTIONS
from tests.rehearsal.stage import Stage
from tests.support import log_entries
from tests.support.log_filter import Filter
from tests.support.paths import REPOSITORY
from tests.support.servers import skipping

from pagebind import errors
from pagebind.demo.store_proxy import Fault
from pagebind.logs import JsonLines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.rehearsal.processes import Handled
    from tests.support.task_queue import Created
    from tests.support.terraform import Plan

    from pagebind.demo.store_calls import Call

    Entries = list[dict[str, Any]]

pytestmark = [
    pytest.mark.xdist_group("terraform"),
    pytest.mark.skipif(os.name != "posix", reason="groups of processes are POSIX"),
]

POLLED = "polls_ended"
"""The filter that counts good polls; all others are alerts."""

MATRIX: Mapping[str, set[str]] = {
    "a good run": {POLLED},
    "a poll with a dead token": {"credentials_refused"},
    "a page with a dead token": {"credentials_refused"},
    "a poll without a server": {"poll_failed"},
    "a page without a server": set(),
    "a poll that may not read the store": {"poll_failed"},
    "a page and a book that may not be written": {"task_failed"},
    "a poll by a wrong configuration": {"poll_failed"},
    "a page by a wrong configuration": {"task_failed"},
    "an error that nobody foresaw": {"poll_failed"},
    "what is no task": {"task_failed"},
    "a page that fails, and is given up": set(),
    "a poll that finds a volume held": {"held", POLLED},
    "a finalize that finds a volume held": {"held"},
    "a dry run, and a wrong request": set(),
    "instances that are ended": set(),
    # Not from the functions: what cannot be had here is written as they, or the platform, would.
    "a task that is too large": {"task_failed"},
    "poll out of memory": {"poll_failed"},
    "fetch out of memory": {"task_failed"},
    "an instance that ended by itself": set(),
    "a call by the scheduler": set(),
    "a call by the scheduler that fails": {"scheduler_failed"},
    "requests that fail": set(),
}
"""What happens, and the filters that see it."""


# -- what is planned


@pytest.fixture(scope="module")
def policies(everything: Plan) -> dict[str, dict[str, Any]]:
    return everything.resources("google_monitoring_alert_policy")


@pytest.fixture(scope="module")
def texts(everything: Plan) -> dict[str, str]:
    """The filters, by the alert that they are of."""
    events = everything.resources("google_monitoring_alert_policy", "events")
    (metric,) = everything.resources("google_logging_metric").values()
    found = {name: policy["conditions"][0]["condition_matched_log"][0]["filter"] for name, policy in events.items()}
    return {**found, POLLED: metric["filter"]}


@pytest.fixture(scope="module")
def filters(texts: Mapping[str, str]) -> dict[str, Filter]:
    return {name: Filter(text) for name, text in texts.items()}


# -- what happens


class Scene:
    """The stage, with queues that stand still: each task is delivered by hand, so that no line comes unexpected."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.evidence: dict[str, Entries] = {}
        self._read: dict[str, int] = {}

    def happened(self, what: str) -> None:
        """All lines that came since the last time are of this."""
        self.evidence[what] = list(self._new())

    def _new(self) -> Iterator[dict[str, Any]]:
        for (name, function), service in zip(self.stage.deployment.functions.items(), self.stage.services, strict=True):
            lines = [line for log in service.logs() for line in log.decode().splitlines()]
            yield from (log_entries.written(line, function.service) for line in lines[self._read.get(name, 0) :])
            self._read[name] = len(lines)

    def handed_out(self, volume: str) -> tuple[Created, Created]:
        """The tasks of a new volume of one page: that of the page, and that of the book."""
        self.stage.volume(volume, pages=1)
        before = len(self.stage.queue.created)
        self.stage.schedule()
        page, book = sorted(self.stage.queue.created[before:], key=lambda task: task.queue)
        return page, book

    def deliver(self, task: Created, *, body: bytes | None = None, retries: int = 0) -> Handled:
        """As the queue does."""
        service = self.stage.fetch if task.queue == "fetch" else self.stage.finalize
        headers = {name.replace("-", "_"): value for name, value in task.headers.items()}
        headers |= {"X_CloudTasks_QueueName": task.queue, "X_CloudTasks_TaskName": task.name}
        headers["X_CloudTasks_TaskRetryCount"] = str(retries)
        return service.call(task.body if body is None else body, **headers)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entries]:
    """The entries of all that happens."""
    stage = Stage(tmp_path_factory.mktemp("alerts"))
    with ExitStack() as resources:
        with skipping():
            resources.enter_context(stage)
        scene = Scene(stage)
        play(scene)
    scene.happened("instances that are ended")
    return scene.evidence | made_up()


def play(scene: Scene) -> None:
    """Everything that the functions can be brought to write."""
    good_run(scene)
    scene.stage.queue.pause("fetch", "finalize")
    credentials(scene)
    server_away(scene)
    store_away(scene)
    wrong_configuration(scene)
    page_given_up(scene)
    book_of_others(scene)
    people(scene)


def good_run(scene: Scene) -> None:
    stage = scene.stage
    for name in ("Ongoing", "Chapters"):
        (stage.comics / name).mkdir()
    stage.volume("A/1", pages=3)
    stage.poll_and_settle()
    stage.add("A/1/004.png")
    stage.poll_and_settle()
    stage.poll_and_settle()
    assert stage.books().keys() == {"A/1.cbz"}
    scene.happened("a good run")


def credentials(scene: Scene) -> None:
    stage = scene.stage
    page, _ = scene.handed_out("A/2")
    scene.happened("the hand-out")
    new = stage.server.rotate_token()
    assert stage.schedule().document["problems"][0]["code"] == "auth"
    scene.happened("a poll with a dead token")
    stage.mount_token("dead")
    assert scene.deliver(page).document["problems"][0]["code"] == "auth"
    scene.happened("a page with a dead token")
    stage.mount_token(new)


def server_away(scene: Scene) -> None:
    stage = scene.stage
    page, _ = scene.handed_out("A/3")
    scene.happened("the hand-out")
    stage.server.stop()
    assert stage.schedule().document["problems"][0]["code"] == "server"
    scene.happened("a poll without a server")
    assert scene.deliver(page).status == 503
    scene.happened("a page without a server")
    stage.server.start()


def store_away(scene: Scene) -> None:
    stage = scene.stage
    page, book = scene.handed_out("A/4")
    scene.happened("the hand-out")
    _, configuration = stage.deployment.configuration

    def denied(call: Call) -> Fault | None:
        return None if call.key == configuration else Fault(status=403)

    def nonsense(call: Call) -> Fault | None:
        return Fault(status=200, content=b'{"items": [3]}') if call.operation == "objects.list" else None

    stage.buckets.on_call = denied
    assert stage.schedule().status == 503
    scene.happened("a poll that may not read the store")
    assert (scene.deliver(page).status, scene.deliver(book).status) == (503, 200)
    scene.happened("a page and a book that may not be written")
    stage.buckets.on_call = nonsense
    assert stage.schedule().status == 500
    scene.happened("an error that nobody foresaw")
    stage.buckets.on_call = lambda _: None


def wrong_configuration(scene: Scene) -> None:
    stage = scene.stage
    page, _ = scene.handed_out("A/5")
    scene.happened("the hand-out")
    stage.configure(settle="soon")
    assert stage.schedule().document["problems"][0]["code"] == "config"
    scene.happened("a poll by a wrong configuration")
    task = json.loads(page.body)
    assert scene.deliver(page, body=json.dumps({**task, "config": "another"}).encode()).status == 503
    scene.happened("a page by a wrong configuration")
    stage.configure()


def page_given_up(scene: Scene) -> None:
    stage = scene.stage
    stage.server.faults.add("wrong_bytes", "/comics/A/6/001.png")
    page, book = scene.handed_out("A/6")
    scene.happened("the hand-out")
    assert scene.deliver(page).status == 500
    last = int(stage.deployment.functions["fetch"].environment["PAGEBIND_QUEUE_MAX_ATTEMPTS"]) - 1
    assert scene.deliver(page, retries=last).status == 200
    assert scene.deliver(book).status == 200
    scene.happened("a page that fails, and is given up")
    assert [one["path"] for one in stage.schedule().document["held"]] == ["/comics/A/6"]
    scene.happened("a poll that finds a volume held")
    stage.server.faults.clear()


def book_of_others(scene: Scene) -> None:
    page, book = scene.handed_out("A/7")
    scene.deliver(page)
    scene.stage.buckets.put(scene.stage.deployment.library, "A/7.cbz", b"somebody's own")
    scene.happened("the hand-out")
    assert scene.deliver(book).document["outcome"] == "held"
    scene.happened("a finalize that finds a volume held")
    for task in (page, book):
        assert scene.deliver(task, body=b"rubbish").status == 200
    scene.happened("what is no task")


def people(scene: Scene) -> None:
    poll = scene.stage.poll
    assert poll.call(b'{"dry_run": true}', Content_Type="application/json").status == 200
    assert poll.call(b'{"dry": true}', Content_Type="application/json").status == 400
    assert scene.stage.fetch.call(b"rubbish", Content_Type="application/json").status == 400
    scene.happened("a dry run, and a wrong request")


def made_up() -> dict[str, Entries]:
    poll, fetch = "pagebind-poll", "pagebind-fetch"
    large = logging.makeLogRecord(
        {
            "name": "pagebind.adapters.dispatch.cloud_tasks",
            "levelno": logging.ERROR,
            "levelname": "ERROR",
            "msg": "task too large",
            "volume": "a-1-968d8d67d1f2",
            "page": "/comics/A/1/001.png",
            "bytes": 200_000,
        }
    )
    return {
        "a task that is too large": [log_entries.written(JsonLines("p").format(large), poll)],
        "poll out of memory": [log_entries.system(log_entries.OUT_OF_MEMORY, poll)],
        "fetch out of memory": [log_entries.system(log_entries.OUT_OF_MEMORY, fetch)],
        "an instance that ended by itself": [log_entries.system("Container called exit(3).", poll, "WARNING")],
        "a call by the scheduler": [log_entries.attempt(200, "", poll)],
        "a call by the scheduler that fails": [log_entries.attempt(503, "UNAVAILABLE", poll)],
        "requests that fail": [log_entries.request(code, name) for code in (429, 500, 503) for name in (poll, fetch)],
    }


def seen(filters: Mapping[str, Filter], entries: Entries) -> set[str]:
    return {name for name, one in filters.items() if any(one.matches(entry) for entry in entries)}


def strangers(entries: Entries) -> Entries:
    """The same as they would be of something else: of another service or job, of another kind, in another log."""
    made = []
    for entry in entries:
        labels = entry["resource"]["labels"]
        names = ("service_name",) if "service_name" in labels else ("job_id", "location")
        for name in names:
            other = copy.deepcopy(entry)
            other["resource"]["labels"][name] = "of-somebody-else"
            made.append(other)
        other = copy.deepcopy(entry)
        other["resource"]["type"] = "of_another_kind"
        made += [other, {**entry, "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity"}]
    return made


# -- each alert sees its trouble


def test_everything_has_happened(evidence: Mapping[str, Entries]) -> None:
    assert evidence.keys() - {"the hand-out"} == MATRIX.keys()
    silent = {what for what, entries in evidence.items() if not entries}
    assert silent <= {"a dry run, and a wrong request", "instances that are ended"}


@pytest.mark.parametrize("what", MATRIX)
def test_what_happens_is_seen_by_its_alerts_alone(
    what: str, filters: Mapping[str, Filter], evidence: Mapping[str, Entries]
) -> None:
    assert seen(filters, evidence[what]) == MATRIX[what], evidence[what]


def test_one_line_is_one_alert(filters: Mapping[str, Filter], evidence: Mapping[str, Entries]) -> None:
    for entry in (entry for entries in evidence.values() for entry in entries):
        assert len(seen(filters, [entry])) <= 1, entry


def test_what_is_of_others_is_not_seen(filters: Mapping[str, Filter], evidence: Mapping[str, Entries]) -> None:
    for entry in (entry for entries in evidence.values() for entry in strangers(entries)):
        assert not seen(filters, [entry]), entry


@pytest.fixture(scope="module")
def hidden(everything: Plan) -> str:
    """The filter of what is not kept."""
    (exclusion,) = everything.resources("google_logging_project_exclusion").values()
    return str(exclusion["filter"])


GOOD = [log_entries.request(status, f"pagebind-{one}") for status in (200, 204, 304) for one in FUNCTIONS]
TRUNCATED = {
    **log_entries.request(200, "pagebind-poll"),
    "severity": "WARNING",
    "textPayload": "Truncated response body.",
}
MILD = {**log_entries.request(404, "pagebind-fetch"), "severity": "INFO"}  # what a status is taken for may change
NO_ANSWER = {**log_entries.request(0, "pagebind-poll"), "httpRequest": {}}
FAILED = [log_entries.request(status, f"pagebind-{one}") for status in (400, 403, 429, 500, 503) for one in FUNCTIONS]


def test_only_requests_that_went_well_are_not_kept(hidden: str, evidence: Mapping[str, Entries]) -> None:
    one = Filter(hidden)
    assert all(one.matches(entry) for entry in GOOD)
    kept = [entry for entries in evidence.values() for entry in entries]
    assert len(kept) > 40
    for entry in (*kept, *FAILED, MILD, TRUNCATED, NO_ANSWER, *strangers(GOOD)):
        assert not one.matches(entry), entry


def test_a_mistake_in_what_is_not_kept_is_found(hidden: str, evidence: Mapping[str, Entries]) -> None:
    entries = [*(entry for found in evidence.values() for entry in found), *GOOD, *FAILED, MILD, TRUNCATED, NO_ANSWER]
    entries += strangers(GOOD)
    right = [Filter(hidden).matches(entry) for entry in entries]
    for mutant in (*mutants(hidden), hidden.replace("<400", "<500")):
        assert [Filter(mutant).matches(entry) for entry in entries] != right, mutant


def mutants(text: str) -> Iterator[str]:
    """The filter without one of its clauses, and with another value."""
    clauses = re.split(r"\n(?![ )])", text.strip())
    for number, _ in enumerate(clauses):
        yield "\n".join(clauses[:number] + clauses[number + 1 :])
    for found in re.finditer(r'"([^"]*)"|\bERROR\b', text):
        other = '"another"' if found[1] is not None else "EMERGENCY"
        yield text[: found.start()] + other + text[found.end() :]


def test_a_filter_with_a_mistake_is_found(texts: Mapping[str, str], evidence: Mapping[str, Entries]) -> None:
    entries = [entry for found in evidence.values() for entry in (*found, *strangers(found))]
    for name, text in texts.items():
        right = [Filter(text).matches(entry) for entry in entries]
        made = list(mutants(text))
        assert len(made) >= 8
        for mutant in made:
            assert [Filter(mutant).matches(entry) for entry in entries] != right, (name, mutant)


def test_the_filters_speak_of_events_that_there_are(filters: Mapping[str, Filter]) -> None:
    design = (REPOSITORY / "docs" / "design.md").read_text(encoding="utf-8")
    table = design.partition("\n## Log\n")[2].partition("\n## ")[0]
    events = {name for row in re.findall(r"(?m)^\| (`.*?) \|", table) for name in re.findall(r"`([^`]+)`", row)}
    compared = {pair for one in filters.values() for pair in one.compared}
    messages = {value for field, value in compared if field == "jsonPayload.message"}
    assert messages == {"held", "task too large", "poll ended"}
    assert messages <= events
    codes = {value for field, value in compared if field == "jsonPayload.code"}
    assert codes == {errors.AuthRefused.code}


# -- what is told, and to whom


def test_every_alert_is_wired_to_a_channel(everything: Plan, policies: Mapping[str, dict[str, Any]]) -> None:
    assert len(policies) == 7
    wired = {
        change["address"]: change["change"]["after_unknown"].get("notification_channels")
        for change in everything.document["resource_changes"]
        if change["type"] == "google_monitoring_alert_policy"
    }
    # One channel, made by the same apply: its id is not known yet. By ids that are known: tests/monitoring.tftest.hcl.
    assert list(wired.values()) == [[True]] * 7, wired
    assert len(everything.resources("google_monitoring_notification_channel")) == 1


def test_a_trouble_that_goes_on_is_told_once_a_day(everything: Plan) -> None:
    for name, policy in everything.resources("google_monitoring_alert_policy", "events").items():
        (strategy,) = policy["alert_strategy"]
        assert strategy["notification_rate_limit"] == [{"period": "86400s"}], name
        assert strategy["auto_close"] == "7200s", name
        # Each combination has a limit of its own: no reason, which may name a page, and no page is among them.
        extracted = policy["conditions"][0]["condition_matched_log"][0]["label_extractors"].values()
        few = {"jsonPayload.code", "jsonPayload.fix", "jsonPayload.status", "resource.labels.service_name"}
        assert {re.sub(r"^EXTRACT\((.*)\)$", r"\1", one) for one in extracted} <= few, name


def test_what_is_told_uses_what_is_extracted_and_names_a_section(policies: Mapping[str, dict[str, Any]]) -> None:
    written = (REPOSITORY / "docs" / "alerts.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"(?m)^## (.*)$", written))
    told = set()
    for policy in policies.values():
        (document,) = policy["documentation"]
        used = set(re.findall(r"\$\{log\.extracted_label\.(\w+)\}", document["content"] + document["subject"]))
        matched = policy["conditions"][0]["condition_matched_log"]
        assert used == (matched[0]["label_extractors"].keys() if matched else set())
        assert document["mime_type"] == "text/markdown"
        told |= set(re.findall(r'docs/alerts\.md, "(.*?)"', document["content"]))
    assert len(told) == len(policies)
    assert told <= sections


def test_codes_in_the_texts_are_codes(policies: Mapping[str, dict[str, Any]]) -> None:
    known = {error.code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")}
    for name in ('events["poll_failed"]', 'events["task_failed"]'):
        (document,) = policies[name]["documentation"]
        listed = {
            code for row in re.findall(r"(?m)^- (`.*?`):", document["content"]) for code in re.findall(r"`(\w+)`", row)
        }
        assert listed
        assert listed <= known, name


def test_conditions_on_metrics_ask_for_what_is_planned(
    everything: Plan, policies: Mapping[str, dict[str, Any]]
) -> None:
    queues = [queue["name"] for queue in everything.resources("google_cloud_tasks_queue").values()]
    asked = [one["condition_prometheus_query_language"][0] for one in policies["queues"]["conditions"]]
    assert len(asked) == len(queues) == 2
    for queue in queues:
        assert sum(one["query"].count(f'queue_id="{queue}"') == 2 for one in asked) == 1
    (metric,) = everything.resources("google_logging_metric").values()
    (silence,) = policies["silence[0]"]["conditions"]
    asked_of_polls = silence["condition_prometheus_query_language"][0]
    assert asked_of_polls["query"].count(f"logging_googleapis_com:user_{metric['name']}{{") == 2
    assert re.fullmatch(r"[a-z0-9_]+", metric["name"])
    assert asked_of_polls["duration"] == f"{6 * 3600 - 1800}s"
    assert all(one["duration"] == f"{12 * 3600 - 1800}s" for one in asked)
    assert all(one["disable_metric_validation"] for one in (*asked, asked_of_polls))


def test_the_variables_are_those_of_the_page() -> None:
    page = (REPOSITORY / "docs" / "alerts.md").read_text(encoding="utf-8")
    told: dict[str, str] = {}
    for names, default in re.findall(r"(?m)^\| (`alert.*?) \| (.*?) \|", page):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", names), "[]" if default.startswith("none") else default)
    file = (REPOSITORY / "infra" / "terraform" / "variables-monitoring.tf").read_text(encoding="utf-8")
    assert told == dict(re.findall(r'(?ms)^variable "(\w+)" \{.*?^  default += (\S+)$', file))
