"""The module, planned once for all tests that look at the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.terraform import Engine, Plan, TerraformFailed, Unavailable, Workspace, engine

from pagebind.config import template

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "canary-of-the-token-5d1f0a"
SECRET_VALUES = {"NOTIFY_URL": "canary-of-an-address-9b27", "COMICS_PASSWORD": "canary-of-a-password-40ce"}

CANARY = "canary-of-the-configuration-77ab"
"""Stands in the configuration, which is to be in neither plan nor state."""

EVERYTHING: Mapping[str, Any] = {
    "token_version": "1",
    "secrets": {
        "NOTIFY_URL": {"version": "1"},
        "COMICS_PASSWORD": {"version": "1", "functions": ["poll", "fetch"]},
    },
    "invokers": ["user:somebody@example.org"],
    "source_url": "https://alist.example.org",
    "downloads_per_second": 4,
    "egress_address": True,
    "notifications": True,
    "labels": {"team": "comics"},
}
"""Every option at once, so that a test of the plan sees all that there can be."""

PART = ("__init__.py", "__main__.py", "cli/run.py", "core/keys.py", "demo/server.py", "errors.py", "py.typed")
"""Some of what is deployed and some of what is not: the plan is no other one for it, and sooner there."""


@pytest.fixture(scope="session")
def terraform_engine() -> Engine:
    try:
        return engine()
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def workspace(terraform_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With a small part of the package. Never applied: who applies takes a copy."""
    return made(terraform_engine, tmp_path_factory, PART)


@pytest.fixture(scope="session")
def cloudless(terraform_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With the whole package, where plans ask no cloud. Never applied: who applies takes a copy."""
    demand_stand_in(terraform_engine)
    return made(terraform_engine, tmp_path_factory)


@pytest.fixture(scope="session")
def everything(workspace: Workspace, terraform_engine: Engine) -> Plan:
    """The plan of a first deployment with every option."""
    demand_stand_in(terraform_engine)
    return workspace.plan(EVERYTHING, token=TOKEN, secret_values=SECRET_VALUES)


def demand_stand_in(engine: Engine) -> None:
    """Skips the test where a plan would ask a cloud."""
    if not engine.offline:
        pytest.skip("a plan needs a cloud here: the stand-in of the providers is not on this machine")


def made(engine: Engine, folders: pytest.TempPathFactory, package: tuple[str, ...] | None = None) -> Workspace:
    """A new one; skips the test where the machine lacks what it takes. Raises: TerraformFailed: the module is wrong."""
    root = folders.mktemp("terraform") / "checkout"
    configuration = f"{template('gs://replaced-by-the-deployment')}\n# {CANARY}\n"
    try:
        return Workspace.made(root, engine, configuration, package)
    except TerraformFailed as failed:
        if engine.offline or not failed.is_of_the_machine:
            raise
        pytest.skip(f"terraform init fails, for want of a network or of a newer terraform: {failed.reason}")
