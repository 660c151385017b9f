"""What later plans touch: a subscription, the code, nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.infra.conftest import EVERYTHING, SECRET_VALUES, TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tests.support.terraform import Plan, Workspace

pytestmark = pytest.mark.xdist_group("terraform")


@pytest.fixture(scope="module")
def applied(cloudless: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = cloudless.copy(tmp_path_factory.mktemp("applied") / "checkout")
    made.apply(_plan(made), token=TOKEN, secret_values=SECRET_VALUES)
    return made


def _plan(workspace: Workspace, changed: Mapping[str, Any] | None = None) -> Plan:
    return workspace.plan({**EVERYTHING, **(changed or {})}, token=TOKEN, secret_values=SECRET_VALUES)


def test_a_second_plan_right_after_apply_is_empty(applied: Workspace) -> None:
    assert _plan(applied).changes == {}
