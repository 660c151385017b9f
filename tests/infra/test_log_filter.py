"""The evaluator of filters understands the language as its documentation has it, and nothing that it does not know."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.log_filter import Filter, NotUnderstood

ENTRY: dict[str, Any] = {
    "logName": "projects/p/logs/run.googleapis.com%2Fstderr",
    "resource": {"type": "gce_instance", "labels": {"zone": "here"}},
    "severity": "ERROR",
    "httpRequest": {"status": 404},
    "labels": {"compute.googleapis.com/resource_id": "7"},
    "jsonPayload": {"a": "1", "cat": "Longhair", "shoes": 2, "wet": True, "foo.bar": "apple"},
}


def a_to_d(*present: str) -> dict[str, Any]:
    return {"jsonPayload": dict.fromkeys(present, "yes")}


@pytest.mark.parametrize(
    "text",
    [
        'resource.type = "gce_instance"',
        'resource.type="gce_instance" AND severity=ERROR',
        'resource.type = "gae_app" OR resource.type = "gce_instance"',
        'resource.type = ("gae_app" OR "gce_instance")',
        'resource.type=gce_instance\nseverity >= "WARNING"\nNOT jsonPayload.cat="bald"',
        'jsonPayload.cat = ("longhair" OR "shorthair")',  # letter case does not count
        'labels."compute.googleapis.com/resource_id" = "7"',
        'jsonPayload."foo.bar"="apple"',
        "jsonPayload.shoes=2",
        'jsonPayload.shoes="2.0"',
        "jsonPayload.wet=true",
        'log_id("run.googleapis.com/stderr")',
        'NOT log_id("run.googleapis.com/stdout")',
        'severity=ERROR -- jsonPayload.a = "other"\njsonPayload.a = "1"',
        "NOT jsonPayload.missing=foo",
        'textPayload=""',  # a field of every entry has its default
        "severity!=INFO",
        'jsonPayload.a!="2"',
        "httpRequest.status>=404 httpRequest.status<405",
        'NOT (severity=INFO OR (jsonPayload.a="1" AND jsonPayload.cat="bald"))',
    ],
)
def test_what_lets_an_entry_pass(text: str) -> None:
    assert Filter(text).matches(ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        'resource.type="gce_instance" AND severity=INFO',
        "severity>=CRITICAL",
        "httpRequest.status<404",
        "httpRequest.status>=405",
        "jsonPayload.missing!=foo",  # nothing is true of what is missing
        "jsonPayload.CAT=longhair",  # keys have a letter case
        'jsonPayload.cat="long"',  # the whole of it
        'jsonPayload.shoes="two"',
        'jsonPayload.cat=("longhair" AND "shorthair")',
        'log_id("run.googleapis.com")',
        "NOT severity=ERROR",
        "resource.labels.service_name=x",
        'severity=ERROR\njsonPayload.a="2"',
    ],
)
def test_what_does_not(text: str) -> None:
    assert not Filter(text).matches(ENTRY)


@pytest.mark.parametrize("present", [(), ("a",), ("b",), ("a", "d"), ("b", "c"), ("b", "c", "d"), ("c",), ("c", "d")])
def test_not_binds_most_then_or_then_and(present: tuple[str, ...]) -> None:
    a, b, c, d = (f"jsonPayload.{name}=yes" for name in "abcd")
    plain = Filter(f"{a} OR NOT {b} AND NOT {c} OR {d}")
    nested = Filter(f"({a} OR (NOT {b})) AND ((NOT {c}) OR {d})")
    by_hand = ("a" in present or "b" not in present) and ("c" not in present or "d" in present)
    assert plain.matches(a_to_d(*present)) == nested.matches(a_to_d(*present)) == by_hand


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"The cat in the hat"',
        "thud=1",
        "operation.thud=1",
        "jsonPayload=1",
        "resource.labels=1",
        "severity=TERRIBLE",
        "severity<ERROR",
        'textPayload:"robot"',
        'textPayload=~"rob"',
        "jsonPayload.shoes>=1",
        "jsonPayload.shoes<1",
        "httpRequest.status<ok",
        "httpRequest.status>400",
        'sample(insertId, "0.25")',
        'log_id("a", "b")',
        "severity=ERROR and severity=INFO",
        "severity=ERROR OR",
        "AND severity=ERROR",
        "(severity=ERROR",
        "severity=ERROR)",
        'severity=("ERROR" OR NOT "INFO")',
        "labels.a=*",
        "-severity=ERROR",
        "jsonPayload.a=",
        "NOT",
        "severity=ERROR;",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood):
        Filter(text)


def test_it_tells_what_is_compared() -> None:
    found = Filter('severity>=ERROR jsonPayload.code=("a" OR "b")').compared
    assert found == (("severity", "ERROR"), ("jsonPayload.code", "a"), ("jsonPayload.code", "b"))
