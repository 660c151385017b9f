"""The contract of ``--json``, as a machine reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pagebind.cli.documents import REMOVED

STATES = {"waiting", "fetching", "complete", "held", "bound", "ignored", "gone", "moved", "unsubscribed"}
ACTIONS = {"none", "settle", "fetch", "bind", "decide"}
CODES = {
    "auth",
    "server",
    "store",
    "config",
    "usage",
    "notify",
    "listing_failed",
    "page_failed",
    "shrunk",
    "foreign",
    "changed",
    "removed",
    "collision",
}

VOLUME = {
    "volume",
    "path",
    "key",
    "state",
    "seq",
    "revision",
    "pages",
    "staged",
    "bytes",
    "settles_at",
    "bound_at",
    "action",
    "reason",
    "problem",
}
RUN = {
    "schema",
    "bound",
    "up_to_date",
    "waiting",
    "held",
    "problems",
    "pages_fetched",
    "pages_reused",
    "bytes_fetched",
    "seconds",
}
DECIDED = RUN | {"decided"}
KEYS = {
    "init": {"schema", "config", "problems"},
    "doctor": {"schema", "checks", "problems"},
    "plan": {"schema", "volumes", "problems", "requests", "bytes", "seconds"},
    "run": RUN,
    "serve": RUN,
    "status": {"schema", "volumes", "problems", "last_run"},
    "verify": {"schema", "books", "problems"},
    "retry": DECIDED,
    "bind": DECIDED,
    "forget": DECIDED,
    "notify": {"schema", "sent", "problems"},
    "gc": {"schema", "removed", "bytes", "problems"},
    "demo": RUN,
}


def check(command: str, document: Any) -> None:
    """Everything that can be said about a subcommand's document without knowing the case."""
    assert set(document) == KEYS[command]
    assert document["schema"] == 1
    for problem in document["problems"]:
        check_problem(problem)
    lists = {"plan": ["volumes"], "status": ["volumes"]}.get(command, [])
    if KEYS[command] >= RUN:
        lists = ["bound", "up_to_date", "waiting", "held"]
        assert all(type(document[name]) is int for name in ("pages_fetched", "pages_reused", "bytes_fetched"))
        assert type(document["seconds"]) is float
    volumes = [volume for name in lists for volume in document[name]]
    assert len({volume["volume"] for volume in volumes}) == len(volumes)
    for volume in volumes:
        check_volume(volume)
    if command == "plan":
        assert type(document["requests"]) is int
        assert type(document["bytes"]) is int
        assert document["seconds"] is None or type(document["seconds"]) is float
    for one in document.get("decided", []):
        assert set(one) == {"volume", "path", "key", "kind"}
        assert all(type(value) is str and value for value in one.values())
    for one in document.get("checks", []):
        assert set(one) == {"name", "status", "detail", "fix"}
        assert one["status"] in {"ok", "warn", "fail"}
        assert all(type(value) is str for value in one.values())
    if command == "gc":
        assert set(document["removed"]) == set(REMOVED)
        assert all(type(count) is int for count in (*document["removed"].values(), document["bytes"]))
    check_sent(document.get("sent", []))
    for book in document.get("books", []):
        assert set(book) == {"key", "ok", "pages", "problem"}
        assert (type(book["key"]), type(book["ok"]), type(book["pages"])) == (str, bool, int)
        assert book["ok"] == (book["problem"] is None)


def check_sent(sent: Any) -> None:
    for one in sent:
        assert set(one) == {"name", "ok", "problem"}
        assert (type(one["name"]), type(one["ok"])) == (str, bool)
        assert one["ok"] == (one["problem"] is None)
        if not one["ok"]:
            check_problem(one["problem"])


def check_volume(volume: Any) -> None:
    assert set(volume) == VOLUME
    assert all(type(volume[name]) is str and volume[name] for name in ("volume", "path", "key", "reason"))
    assert volume["path"].startswith("/")
    assert volume["state"] in STATES
    assert volume["action"] in ACTIONS
    assert all(type(volume[name]) is int and volume[name] >= 0 for name in ("pages", "staged", "bytes"))
    assert volume["seq"] is None or (type(volume["seq"]) is int and volume["seq"] >= 1)
    assert volume["revision"] is None or type(volume["revision"]) is str
    for name in ("settles_at", "bound_at"):
        assert volume[name] is None or _is_rfc3339(volume[name])
    if volume["problem"] is not None:
        check_problem(volume["problem"])


def check_problem(problem: Any) -> None:
    assert set(problem) == {"code", "message", "fix", "path", "retryable"}
    assert problem["code"] in CODES
    assert type(problem["message"]) is str
    assert problem["message"]
    assert "\n" not in problem["message"] + problem["fix"]
    assert problem["path"] is None or type(problem["path"]) is str
    assert type(problem["retryable"]) is bool


def _is_rfc3339(text: str) -> bool:
    return "T" in text and datetime.fromisoformat(text).tzinfo is not None
