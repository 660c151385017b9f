"""The manifests of Kubernetes and the Dockerfile as checkov sees them. Terraform's module has a test of its own."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.infra.test_terraform import CHECKOV
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST = "by its tag the base gets security fixes with every build; the first lines of the file say how to pin it"

EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "kubernetes": {
        "CKV_K8S_11": "a limit of CPU would only make runs slower; memory is limited",
        "CKV_K8S_15": "the tag is a version, which does not move; where nodes cache, each run would ask the registry",
        "CKV_K8S_21": "the namespace is whoever applies it's choice, by kubectl's option",
        "CKV_K8S_35": "boto3 takes a bucket's credentials from its environment; all other secrets are files",
        "CKV_K8S_43": "the image is the user's own build, whose digest nobody else knows",
    },
    "dockerfile": {"CKV_DOCKER_7": DIGEST},
}


@pytest.mark.parametrize(("framework", "place"), [("kubernetes", "infra/kubernetes"), ("dockerfile", "Dockerfile")])
def test_checkov_finds_nothing_else_and_no_exception_is_needless(framework: str, place: str) -> None:
    if not CHECKOV.exists():
        pytest.skip("checkov is not installed: run tests/install-checkov")
    path = REPOSITORY / place
    words = ["--framework", framework, "--directory" if path.is_dir() else "--file", str(path)]
    done = subprocess.run(
        [CHECKOV, *words, "--skip-download", "--compact", "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout)
    assert told["summary"]["parsing_errors"] == 0
    assert told["summary"]["passed"] > 0
    assert {check["check_id"] for check in told["results"]["failed_checks"]} == set(EXCEPTIONS[framework])
