"""What later plans touch, and in which order: a subscription, the code, a network, or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.faults.canaries import Canary, Sink, of_folder, of_text, search
from tests.infra.conftest import CANARY, EVERYTHING, SECRET_VALUES, TOKEN

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.support.terraform import Plan, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("terraform")]

CONFIGURATION = "google_storage_bucket_object.configuration"


@pytest.fixture(scope="module")
def applied(workspace: Workspace, everything: Plan, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The plan of everything, applied. Tests put back what they change."""
    made = workspace.copy(tmp_path_factory.mktemp("applied") / "checkout")
    made.apply(everything, token=TOKEN, secret_values=SECRET_VALUES)
    return made


def changes(workspace: Workspace, *words: str) -> dict[str, str]:
    return workspace.changes(EVERYTHING, *words, token=TOKEN, secret_values=SECRET_VALUES)


@pytest.fixture
def put_back() -> Any:
    """Files as they were before."""
    kept: dict[Path, bytes] = {}

    def change(file: Path, addition: str) -> None:
        kept[file] = file.read_bytes()
        file.write_bytes(kept[file] + addition.encode())

    yield change
    for file, content in kept.items():
        file.write_bytes(content)


def test_a_second_plan_right_after_apply_is_empty(applied: Workspace) -> None:
    assert changes(applied) == {}
    assert applied.files_with((TOKEN, *SECRET_VALUES.values())) == [], "a secret is in the state, or beside it"
    assert applied.files_with((CANARY,)) == ["pagebind.toml"], "the configuration's text is in the state"
    assert "infra/terraform/terraform.tfstate" in applied.files_with(("pagebind-poll",)), "nothing is found at all"


def test_neither_plan_nor_state_tells_a_secret_however_it_is_written(
    applied: Workspace, everything: Plan, workspace: Workspace
) -> None:
    secrets = [Canary("token", TOKEN), *(Canary(name, value) for name, value in SECRET_VALUES.items())]
    sinks = [
        of_text("plan as text", workspace.run("show", "-no-color", str(everything.file))),
        of_text("plan as JSON", json.dumps(everything.document)),
        of_text("state as JSON", applied.run("show", "-json")),
        *of_folder(everything.file.parent),
        *(Sink(file.name, file.read_bytes()) for file in applied.module.glob("*.tfstate*")),
    ]
    assert any(sink.name == "terraform.tfstate" for sink in sinks)
    assert search([*secrets, Canary("configuration", CANARY)], sinks) == []
    sinks.append(of_text("planted", f"{everything.document} {TOKEN}"))
    assert {one.where for one in search(secrets, sinks)} == {"planted"}


def test_a_changed_subscription_touches_the_configuration_alone(applied: Workspace, put_back: Any) -> None:
    """And what is not deployed, or only looks new, touches nothing."""
    put_back(applied.configuration, '\n[[subscription]]\npath = "/magazines"\n')
    package = applied.root / "shared" / "pagebind"
    put_back(package / "demo" / "server.py", "\n# changed\n")
    put_back(package / "cli" / "run.py", "\n# changed\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "errors.cpython-313.pyc").write_bytes(b"\xff")
    (package / "errors.py").chmod(0o600)
    (package / "errors.py").touch()
    assert changes(applied, "-refresh=false") == {CONFIGURATION: "update"}


def test_changed_code_replaces_the_bundles_and_updates_the_functions(applied: Workspace, put_back: Any) -> None:
    put_back(applied.root / "shared" / "pagebind" / "errors.py", "\n# changed\n")
    assert changes(applied, "-refresh=false") == {
        **{f'google_cloudfunctions2_function.functions["{one}"]': "update" for one in ("poll", "fetch", "finalize")},
        **{f'google_storage_bucket_object.bundle["{one}"]': "replace" for one in ("plain", "notify")},
        **{f'terraform_data.bundle_digests["{one}"]': "update" for one in ("plain", "notify")},
    }


def test_another_value_deploys_the_functions_that_have_it_as_a_variable(applied: Workspace) -> None:
    """And a token none, which is a file."""
    variables = {**EVERYTHING, "token_version": "2"}
    variables["secrets"] = {**EVERYTHING["secrets"], "NOTIFY_URL": {"version": "2"}}
    told = applied.changes(variables, "-refresh=false", token=TOKEN, secret_values=SECRET_VALUES)
    functions = {one: action for one, action in told.items() if "function" in one}
    assert functions == {'google_cloudfunctions2_function.functions["poll"]': "update"}
    assert {one for one in told if "_version.values" in one} == told.keys() - functions.keys()
    assert len(told) == 3


USERS = {f'google_cloudfunctions2_function.functions["{one}"]' for one in ("poll", "fetch")}


def planned(workspace: Workspace, *words: str, **variables: Any) -> Plan:
    return workspace.plan({**EVERYTHING, **variables}, *words, token=TOKEN, secret_values=SECRET_VALUES)


def test_functions_let_go_of_the_network_before_it_goes(applied: Workspace) -> None:
    order = applied.order(planned(applied, egress_address=False))
    going = {one for one in order if one.startswith("google_compute_") and "(destroy)" in one}
    assert len(going) == 5
    for one in going:
        assert order[one] >= USERS, one


def test_another_range_is_a_subnet_beside_the_old_one(applied: Workspace) -> None:
    """The stand-in does not know that another name is another subnet, so it is told."""
    subnet = "google_compute_subnetwork.egress[0]"
    plan = planned(applied, f"-replace={subnet}", egress_range="10.80.0.0/24")
    (change,) = (one["change"] for one in plan.document["resource_changes"] if one["address"] == subnet)
    assert change["actions"] == ["create", "delete"]
    assert change["before"]["name"] != change["after"]["name"]
    order = applied.order(plan)
    (going,) = (one for one in order if one.startswith(f"{subnet} (destroy"))
    assert order[going] >= USERS
