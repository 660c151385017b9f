"""The part of the Logging query language in which the alerts' filters are written.

Source: cloud.google.com/logging/docs/view/logging-query-language. What is not understood is refused, never passed over.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Entry = Mapping[str, Any]
    Test = Callable[[Entry], bool]

SEVERITIES = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}

_FREE = {"jsonPayload", "labels"}
"""Fields below these may be missing: no comparison with what is missing is true, not even ``!=``."""

_STATUS = "httpRequest.status"

_DEFAULTED = {
    _STATUS: 0,
    "insertId": "",
    "logName": "",
    "resource.type": "",
    "severity": "DEFAULT",
    "textPayload": "",
    "trace": "",
}
"""Fields of `LogEntry` itself are compared by their default where they are not set."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|--[^\n]*)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<operator>!=|>=|<=|=~|!~|[=:<>])
      | (?P<mark>[(),])
      | (?P<word>(?:[\w@/*+%-]|"(?:[^"\\]|\\.)*"|\.(?=[\w@"]))+)""",
    re.VERBOSE,
)
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')


class NotUnderstood(ValueError):
    """A filter is none, or goes beyond what is understood here."""


class _Token(NamedTuple):
    kind: str
    text: str


class Filter:
    """A filter.

    Attributes:
        compared: fields and the values that they are compared with, as they stand in it.

    Raises:
        NotUnderstood: see there.
    """

    def __init__(self, text: str) -> None:
        parser = _Parser(text)
        self._test = parser.parsed()
        self.compared: tuple[tuple[str, str], ...] = tuple(parser.compared)

    def matches(self, entry: Entry) -> bool:
        """Whether it lets a `LogEntry` (as JSON) pass."""
        return self._test(entry)


class _Parser:
    """``expression = any {[AND] any}``, ``any = single {OR single}``: NOT binds most, then OR, then AND."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self.compared: list[tuple[str, str]] = []

    def parsed(self) -> Test:
        test = self._all(self._single)
        if self._next < len(self._tokens):
            raise NotUnderstood(f"{self._peek()!r} stands where nothing is expected")
        return test

    def _all(self, single: Callable[[], Test]) -> Test:
        tests = [self._any(single)]
        while self._peek() not in ("", ")"):
            self._take("AND")
            tests.append(self._any(single))
        return lambda entry: all(test(entry) for test in tests)

    def _any(self, single: Callable[[], Test]) -> Test:
        tests = [single()]
        while self._take("OR"):
            tests.append(single())
        return lambda entry: any(test(entry) for test in tests)

    def _single(self) -> Test:
        if self._take("NOT"):
            inner = self._single()
            return lambda entry: not inner(entry)
        if self._take("("):
            return self._closed(self._all(self._single))
        field = self._word()
        if self._take("("):
            return self._closed(self._function(field))
        operator = self._operator()
        if self._take("("):
            return self._closed(self._all(lambda: self._comparison(field, operator, self._value())))
        return self._comparison(field, operator, self._value())

    def _function(self, name: str) -> Test:
        if name.lower() != "log_id":
            raise NotUnderstood(f"the function {name}")
        end = f"/logs/{quote(self._value(), safe='')}".lower()
        return lambda entry: str(entry.get("logName", "")).lower().endswith(end)

    def _comparison(self, field: str, operator: str, value: str) -> Test:
        path = _path(field)
        self.compared.append((field, value))
        compare = _comparing(field, operator, value)

        def test(entry: Entry) -> bool:
            found = _found(entry, path)
            return found is not None and compare(found)

        return test

    # -- tokens

    def _peek(self) -> str:
        if self._next == len(self._tokens):
            return ""
        token = self._tokens[self._next]
        return '"' if token.kind == "string" else token.text

    def _take(self, text: str) -> bool:
        taken = self._peek() == text
        self._next += taken
        return taken

    def _closed(self, test: Test) -> Test:
        if not self._take(")"):
            raise NotUnderstood(f"{self._peek()!r} stands where a parenthesis should be closed")
        return test

    def _of_kind(self, *kinds: str) -> _Token:
        if self._next == len(self._tokens) or self._tokens[self._next].kind not in kinds:
            raise NotUnderstood(f"{self._peek()!r} stands where {' or '.join(kinds)} is expected")
        self._next += 1
        return self._tokens[self._next - 1]

    def _word(self) -> str:
        text = self._of_kind("word").text
        if text in ("AND", "OR"):
            raise NotUnderstood(f"{text} stands where a comparison is expected")
        return text

    def _operator(self) -> str:
        return self._of_kind("operator").text

    def _value(self) -> str:
        token = self._of_kind("string", "word")
        if token.kind == "string":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.text in ("AND", "OR", "NOT", "*"):
            raise NotUnderstood(f"{token.text} stands where a value is expected")
        return token.text


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotUnderstood(f"what begins with {text[at : at + 20]!r}")
        at = found.end()
        if found.lastgroup != "space":
            yield _Token(str(found.lastgroup), found.group())


def _path(field: str) -> tuple[str, ...]:
    """The parts of a field's name. Raises: NotUnderstood: `LogEntry` has no such field, or it is not known here."""
    parts = tuple(quoted or plain for quoted, plain in _PART.findall(field))
    free = parts[0] in _FREE or parts[:2] == ("resource", "labels")
    if field not in _DEFAULTED and (not free or field in {*_FREE, "resource.labels"}):
        raise NotUnderstood(f"the field {field}")
    return parts


def _found(entry: Entry, path: tuple[str, ...]) -> Any:
    found: Any = entry
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return _DEFAULTED.get(".".join(path)) if found is None else found


def _comparing(field: str, operator: str, value: str) -> Callable[[Any], bool]:
    """What compares a field's value with that of the filter."""
    if field == "severity":
        return _by_severity(operator, value)
    match operator:
        case "=":
            return lambda found: _equal(found, value)
        case "!=":
            return lambda found: not _equal(found, value)
        case "<" if field == _STATUS and value.isdecimal():
            return lambda found: bool(found < int(value))
        case ">=" if field == _STATUS and value.isdecimal():
            return lambda found: bool(found >= int(value))
    raise NotUnderstood(f"{field} {operator}")


def _by_severity(operator: str, name: str) -> Callable[[Any], bool]:
    if name.upper() not in SEVERITIES:
        raise NotUnderstood(f"the severity {name}")
    limit = SEVERITIES[name.upper()]
    match operator:
        case "=":
            return lambda found: SEVERITIES[found] == limit
        case "!=":
            return lambda found: SEVERITIES[found] != limit
        case ">=":
            return lambda found: SEVERITIES[found] >= limit
    raise NotUnderstood(f"severity {operator}")


def _equal(found: Any, text: str) -> bool:
    """The filter's value takes the type of the field's; where it cannot, they differ."""
    if isinstance(found, bool):
        return text.lower() == str(found).lower()
    if _is_number(found):
        try:
            return bool(found == float(text))
        except ValueError:
            return False
    return isinstance(found, str) and _folded(found) == _folded(text)


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
