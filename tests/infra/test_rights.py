"""Who may do what by a set of grants."""

from __future__ import annotations

import pytest
from tests.infra.rights import Grant, Granted, NotUnderstood
from tests.rehearsal.doors import bucket_resource, object_resource

WHO = "fetch@project.iam.gserviceaccount.com"
MEMBER = f"serviceAccount:{WHO}"
WORK = bucket_resource("work")
BELOW = (
    'resource.name.startsWith("projects/_/buckets/work/objects/staging/")'
    ' || resource.name.startsWith("projects/_/buckets/work/objects/failures/")'
)
ENTRY = object_resource("work", "staging/volume/page.entry")


def granted(role: str, scope: str = WORK, condition: str = "", member: str = MEMBER) -> Granted:
    return Granted((Grant(member, f"roles/{role}", scope, condition),))


@pytest.mark.parametrize(
    ("role", "permission", "may"),
    [
        ("storage.objectViewer", "get", True),
        ("storage.objectViewer", "create", False),
        ("storage.objectViewer", "delete", False),
        ("storage.objectCreator", "create", True),
        ("storage.objectCreator", "get", False),
        ("storage.objectUser", "get", True),
        ("storage.objectUser", "create", True),
        ("storage.objectUser", "delete", True),
        ("storage.objectAdmin", "delete", True),
        ("run.invoker", "get", False),
    ],
)
def test_a_role_allows_what_google_says(role: str, permission: str, may: bool) -> None:
    assert granted(role).may(WHO, f"storage.objects.{permission}", ENTRY) is may


@pytest.mark.parametrize("resource", [object_resource("works", "staging/page"), bucket_resource("library")])
def test_a_right_ends_with_its_bucket(resource: str) -> None:
    assert not granted("storage.objectUser").may(WHO, "storage.objects.get", resource)


def test_a_right_on_the_project_holds_everywhere() -> None:
    assert granted("storage.objectViewer", scope="").may(WHO, "storage.objects.get", ENTRY)


def test_a_right_is_that_of_its_member() -> None:
    rights = granted("storage.objectUser")
    assert not rights.may("poll@project.iam.gserviceaccount.com", "storage.objects.get", ENTRY)
    assert not rights.may("", "storage.objects.get", ENTRY)


@pytest.mark.parametrize(
    ("key", "may"),
    [("staging/page", True), ("failures/page", True), ("done/receipt", False), ("stagings", False)],
)
def test_a_condition_holds_below_its_prefixes(key: str, may: bool) -> None:
    rights = granted("storage.objectUser", condition=BELOW)
    assert rights.may(WHO, "storage.objects.create", object_resource("work", key)) is may


def test_a_condition_on_prefixes_does_not_let_list() -> None:
    assert not granted("storage.objectUser", condition=BELOW).may(WHO, "storage.objects.list", WORK)
    assert granted("storage.objectUser").may(WHO, "storage.objects.list", WORK)


def test_a_condition_may_name_one_resource() -> None:
    rights = granted("storage.objectViewer", scope="", condition=f'resource.name == "{WORK}"')
    assert rights.may(WHO, "storage.objects.list", WORK)
    assert not rights.may(WHO, "storage.objects.get", ENTRY)


@pytest.mark.parametrize(
    ("role", "condition"),
    [
        ("storage.admin", ""),
        ("editor", ""),
        ("storage.objectUser", f"!{BELOW}"),
        ("storage.objectUser", f'{BELOW} && request.time < timestamp("2030-01-01T00:00:00Z")'),
        ("storage.objectUser", 'resource.name.endsWith(".entry")'),
    ],
)
def test_what_is_not_understood_is_refused(role: str, condition: str) -> None:
    with pytest.raises(NotUnderstood):
        granted(role, condition=condition)


def test_only_what_is_there_can_be_taken_away() -> None:
    rights = granted("storage.objectUser")
    assert not rights.without(lambda grant: grant.scope == WORK).may(WHO, "storage.objects.get", ENTRY)
    with pytest.raises(ValueError, match="nothing of the kind"):
        rights.without(lambda grant: grant.scope == "elsewhere")
