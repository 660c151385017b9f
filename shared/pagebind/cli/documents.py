"""The shapes of ``--json``: the contract with machines. Each document has ``"schema": 1`` in front."""

from __future__ import annotations

from typing import Any

_RUN: dict[str, Any] = {
    "bound": [],
    "up_to_date": [],
    "waiting": [],
    "held": [],
    "problems": [],
    "pages_fetched": 0,
    "pages_reused": 0,
    "bytes_fetched": 0,
    "seconds": 0.0,
}

REMOVED = ("manifests", "sent", "failures", "receipts", "entries", "runs")
"""What `gc` counts."""

EMPTY: dict[str, dict[str, Any]] = {
    "init": {"config": None, "problems": []},
    "doctor": {"checks": [], "problems": []},
    "plan": {"volumes": [], "problems": [], "requests": 0, "bytes": 0, "seconds": None},
    "run": _RUN,
    "serve": _RUN,
    "status": {"volumes": [], "problems": [], "last_run": None},
    "verify": {"books": [], "problems": []},
    "retry": {"decided": [], **_RUN},
    "bind": {"decided": [], **_RUN},
    "forget": {"decided": [], **_RUN},
    "gc": {"removed": dict.fromkeys(REMOVED, 0), "bytes": 0, "problems": []},
    "demo": _RUN,
}
"""Each subcommand's document before it has anything to say."""
