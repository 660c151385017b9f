"""The module as Terraform and checkov see it: its form, its types, its own tests, its example."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest
from tests.infra.conftest import EVERYTHING, SECRET_VALUES, TOKEN, demand_stand_in, made
from tests.support import terraform
from tests.support.paths import REPOSITORY
from tests.support.terraform import MODULE, VARIABLES, Engine, TerraformFailed, Workspace, call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("terraform module")

CHECKOV = REPOSITORY / ".venv-checkov" / "bin" / "checkov"
REFUSED = sorted(file.name for file in (MODULE / "tests").glob("refused*.tftest.hcl"))
PLANNED = sorted({file.name for file in (MODULE / "tests").glob("*.tftest.hcl")} - {*REFUSED})
SKIP = re.compile(r"#\s*checkov:skip=(?P<check>[A-Z0-9_]+)(?P<reason>.*)")


def test_it_is_formatted(terraform_engine: Engine) -> None:
    assert call(terraform_engine, MODULE, "fmt", "-check", "-recursive", "-diff") == ""


def test_it_is_valid(workspace: Workspace) -> None:
    told = json.loads(workspace.run("validate", "-json"))
    assert told["valid"]
    assert told["diagnostics"] == []


@pytest.mark.slow
@pytest.mark.parametrize("file", PLANNED)
def test_its_own_tests_pass(workspace: Workspace, file: str) -> None:
    told = workspace.run("test", "-no-color", f"-filter=tests/{file}")
    assert re.search(r"^Success! [1-9]\d* passed, 0 failed\.$", told, re.MULTILINE), told


def test_it_refuses_what_is_wrong(terraform_engine: Engine, tmp_path: Path) -> None:
    """With the variables and checks alone, which need no provider: each run then takes no time."""
    for file in (*MODULE.glob("variables*.tf"), MODULE / "checks.tf"):
        shutil.copy(file, tmp_path)
    shutil.copytree(MODULE / "tests", tmp_path / "tests", ignore=_all_but(*REFUSED, "*.toml"))
    call(terraform_engine, tmp_path, "init", "-no-color", "-backend=false")
    told = call(terraform_engine, tmp_path, "test", "-no-color")
    runs = "".join((MODULE / "tests" / name).read_text() for name in REFUSED).count('\nrun "')
    assert f"Success! {runs} passed, 0 failed." in told


def test_each_rule_of_a_variable_is_tried() -> None:
    rules = re.findall(r'^variable "(\w+)"|^  (validation) \{', (MODULE / "variables.tf").read_text(), re.MULTILINE)
    refused = re.findall(r"expect_failures = \[var\.(\w+)\]", (MODULE / "tests" / "refused.tftest.hcl").read_text())
    name = ""
    for variable, rule in rules:
        name = variable or name
        if rule:
            assert name in refused, f"no wrong value of {name} is tried"
            refused.remove(name)


def test_messages_are_one_line() -> None:
    messages = re.findall(r"error_message = (.*)", (MODULE / "variables.tf").read_text())
    assert messages
    for message in messages:
        assert re.fullmatch(r'".+[.:].*"', message), message
        assert "<<" not in message
        assert "\\n" not in message


def test_the_example_is_what_a_person_fills_in(terraform_engine: Engine, workspace: Workspace) -> None:
    """With each line that it offers."""
    demand_stand_in(terraform_engine)
    example = (MODULE / "terraform.tfvars.example").read_text()
    offered = re.sub(r"^# ?(?=[a-z_]+ += |  [A-Z_]+ += |\}$)", "", example, flags=re.MULTILINE)
    names = re.findall(r"^([a-z_]+) +=", offered, re.MULTILINE)
    variables = "".join(file.read_text() for file in MODULE.glob("variables*.tf"))
    assert set(names) <= set(re.findall(r'^variable "(\w+)"', variables, re.MULTILINE))
    values = workspace.root / "example.tfvars"
    values.write_text(offered)
    plan = workspace.run(
        "plan",
        "-no-color",
        f"-var-file={values}",
        environment={"TF_VAR_token": TOKEN, "TF_VAR_secret_values": json.dumps(SECRET_VALUES)},
    )
    assert re.search(r"^Plan: \d+ to add, 0 to change, 0 to destroy\.$", plan, re.MULTILINE)
    assert "Warning" not in plan


def test_the_schedule_of_the_example_alerts_nobody() -> None:
    """Its rest, the night when the clock is put back, a poll that takes long, and ten minutes until it is counted."""
    example = (MODULE / "terraform.tfvars.example").read_text()
    (cron,) = re.findall(r'cron += "(.*?)"', example)
    (hours,) = map(int, re.findall(r"^# alert_hours = (\d+)$", example, re.MULTILINE))
    (found,) = re.findall(r"^\*/(\d+) (\d+)-(\d+) \* \* \*$", cron)
    step, first, last = map(int, found)
    rest = (first + 24 - last) * 60 - (60 - step)
    assert rest == 6 * 60 + 30
    assert hours * 60 >= rest + 60 + 30 + 10


def test_each_exception_has_its_reason() -> None:
    for file in MODULE.glob("*.tf"):
        for skip in SKIP.finditer(file.read_text()):
            assert re.fullmatch(r": \S+( \S+){4,}", skip["reason"]), f"{file.name}: {skip[0]}"


def test_checkov_finds_nothing_and_no_exception_is_needless(tmp_path: Path) -> None:
    if not CHECKOV.exists():
        pytest.skip("checkov is not installed: run tests/install-checkov")
    for file in MODULE.glob("*.tf"):
        shutil.copy(file, tmp_path)
    values = tmp_path / "everything.tfvars"
    values.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in {**VARIABLES, **EVERYTHING}.items()))
    words = ["--framework", "terraform", "--skip-download", "--compact", "--output", "json"]
    done = subprocess.run(
        [CHECKOV, "--directory", tmp_path, "--var-file", values, *words], capture_output=True, text=True, check=False
    )
    told = json.loads(done.stdout)
    results = told["results"]
    assert [(check["check_id"], check["resource"]) for check in results["failed_checks"]] == []
    assert told["summary"]["parsing_errors"] == 0
    written = {skip["check"] for file in MODULE.glob("*.tf") for skip in SKIP.finditer(file.read_text())}
    assert {check["check_id"] for check in results["skipped_checks"]} == written


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ("Error: Failed to query available provider packages", pytest.skip.Exception),
        ("Error: Failed to install provider", pytest.skip.Exception),
        ("Error: Unsupported Terraform Core version", pytest.skip.Exception),
        ('Error: Duplicate resource "google_compute_network" configuration', TerraformFailed),
        ("Error: Unsupported argument", TerraformFailed),
    ],
)
def test_only_what_the_machine_lacks_is_skipped(
    told: str,
    outcome: type[BaseException],
    terraform_engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: object) -> Workspace:
        raise TerraformFailed(f"terraform init\n{told}\n")

    monkeypatch.setattr(Workspace, "made", failing)
    with pytest.raises(outcome):
        made(terraform_engine._replace(offline=False), tmp_path_factory)
    with pytest.raises(TerraformFailed):
        made(terraform_engine._replace(offline=True), tmp_path_factory)


def test_what_the_shell_has_set_up_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform, "_SETUP", tmp_path / "nowhere")
    monkeypatch.setattr("shutil.which", lambda _: "terraform")
    for name, offline in (("offline.tfrc", True), ("mirror.tfrc", False)):
        settings = tmp_path / name
        monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(settings))
        assert "TF_CLI_CONFIG_FILE" not in terraform.engine().environment
        settings.write_text("")
        engine = terraform.engine()
        assert (engine.environment["TF_CLI_CONFIG_FILE"], engine.offline) == (str(settings), offline)


def _all_but(*kept: str) -> Callable[[str, list[str]], set[str]]:
    return lambda _, names: {name for name in names if not any(fnmatch(name, pattern) for pattern in kept)}
