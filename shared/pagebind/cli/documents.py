"""The shapes of ``--json``: the contract with machines. Each document has ``"schema": 1`` in front."""

from __future__ import annotations

from typing import Any

from pagebind.app.result import EMPTY_PLAN, EMPTY_RUN

REMOVED = ("manifests", "sent", "failures", "receipts", "entries", "runs", "notices", "hooks")
"""What `gc` counts."""

EMPTY: dict[str, dict[str, Any]] = {
    "init": {"config": None, "problems": []},
    "doctor": {"checks": [], "problems": []},
    "plan": EMPTY_PLAN,
    "run": EMPTY_RUN,
    "serve": EMPTY_RUN,
    "status": {"volumes": [], "problems": [], "last_run": None},
    "verify": {"books": [], "problems": []},
    "retry": {"decided": [], **EMPTY_RUN},
    "bind": {"decided": [], **EMPTY_RUN},
    "forget": {"decided": [], **EMPTY_RUN},
    "notify": {"sent": [], "problems": []},
    "gc": {"removed": dict.fromkeys(REMOVED, 0), "bytes": 0, "problems": []},
    "demo": EMPTY_RUN,
}
"""Each subcommand's document before it has anything to say."""
