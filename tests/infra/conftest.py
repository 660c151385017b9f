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


@pytest.fixture(scope="session")
def terraform_engine() -> Engine:
    try:
        return engine()
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def workspace(terraform_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Never applied: who applies takes a copy."""
    root = tmp_path_factory.mktemp("terraform") / "checkout"
    try:
        return Workspace.made(root, terraform_engine, template("gs://replaced-by-the-deployment"))
    except TerraformFailed as failed:
        if terraform_engine.offline:
            raise
        pytest.skip(f"the providers cannot be had: {failed}")


@pytest.fixture(scope="session")
def cloudless(workspace: Workspace, terraform_engine: Engine) -> Workspace:
    """As `workspace`, where plans ask no cloud."""
    if not terraform_engine.offline:
        pytest.skip("a plan needs a cloud here: the stand-in of the providers is not on this machine")
    return workspace


@pytest.fixture(scope="session")
def everything(cloudless: Workspace) -> Plan:
    """The plan of a first deployment with every option."""
    return cloudless.plan(EVERYTHING, token=TOKEN, secret_values=SECRET_VALUES)


@pytest.fixture(scope="session")
def plain(cloudless: Workspace) -> Plan:
    """The plan of a first deployment with project and region alone."""
    return cloudless.plan({})
