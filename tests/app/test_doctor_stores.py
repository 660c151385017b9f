"""Doctor tries every right by itself, names what is missing, and leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.faulty_store import Fault, FaultyStore

from pagebind.adapters.stores.folder import FolderStore
from pagebind.app.doctor_stores import Check, check_stores
from pagebind.core.keys import BOOK_RECORDS
from pagebind.errors import AccessDenied, ConfigError, KeyRefused, StoreUnavailable
from pagebind.ports.store import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pagebind.errors import StoreError
    from pagebind.ports.store import Condition, ObjectInfo


class Pair:
    """Work and library in folders, both with faults."""

    def __init__(self, root: Path) -> None:
        self.root = root
        inner = FolderStore(root / "work")
        self.work = FaultyStore(inner)
        self.library = FaultyStore(FolderStore(root / "books", work=inner))

    def checks(self, *, one_server: bool = True) -> list[Check]:
        return list(check_stores(self.work, self.library, one_server=one_server))

    def files(self) -> list[str]:
        """What the stores hold, apart from the versions that a library folder has used up, which it never forgets."""
        keys = [info.key for store in (self.work, self.library) for info in store.list()]
        return [key for key in keys if not key.startswith(BOOK_RECORDS)]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def denied(permission: str) -> Fault:
    return Fault(error=AccessDenied(f"{permission} is missing", fix=f"grant {permission}"))


def told(checks: list[Check]) -> list[tuple[str, str]]:
    """Name and fix of what is not well."""
    return [(check.name, check.fix) for check in checks if check.status != "ok"]


def test_all_is_well_in_one_line_each_and_nothing_stays(pair: Pair) -> None:
    checks = pair.checks()
    assert [(check.name, check.status) for check in checks] == [("store", "ok"), ("library", "ok")]
    assert pair.files() == []
    assert not [path for path in pair.root.rglob("*") if "doctor" in path.name]


def test_a_library_that_was_tried_has_never_had_a_book(pair: Pair) -> None:
    pair.checks()
    (pair.root / "books").rmdir()
    assert [check.status for check in Pair(pair.root).checks()] == ["ok", "ok"]


def test_every_operation_that_a_run_needs_is_tried_and_no_probe_looks_like_a_book(pair: Pair) -> None:
    seen: dict[str, set[str]] = {"work": set(), "books": set()}
    names: set[str] = set()

    def note(store: str, operation: str, key: str) -> None:
        seen[store].add(operation)
        if key:
            names.add(key)

    pair.work.choose = lambda operation, key: note("work", operation, key)
    pair.library.choose = lambda operation, key: note("books", operation, key)
    pair.checks()
    assert seen["work"] >= {"put", "head", "list", "stream", "assemble", "abandon", "delete", "lacks"}
    assert seen["books"] >= {"head", "list", "stream", "assemble", "abandon", "delete", "lacks"}
    assert "put" not in seen["books"]
    assert all(name.startswith("pagebind-doctor-") and "." not in name for name in names)


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("put", "create"),
        ("list", "list"),
        ("stream", "get"),
        ("head", "get"),
        ("assemble", "create"),
        ("abandon", "uploads"),
    ],
)
@pytest.mark.parametrize("name", ["store", "library"])
def test_a_right_that_is_missing_is_named_once_and_the_rest_is_tried(
    pair: Pair, operation: str, permission: str, name: str
) -> None:
    operation = {("library", "put"): "assemble"}.get((name, operation), operation)
    store = pair.work if name == "store" else pair.library
    store.choose = lambda called, _: denied(permission) if called == operation else None
    checks = pair.checks()
    assert told(checks) == [(name, f"grant {permission}")]
    failed = next(check for check in checks if check.status == "fail")
    assert failed.detail.startswith("cannot be ")
    assert failed.detail.endswith(f": {permission} is missing")
    assert isinstance(failed.error, AccessDenied)
    store.choose = lambda *_: None
    assert pair.files() == []


def test_several_rights_that_are_missing_have_a_line_each(pair: Pair) -> None:
    missing = {"put": "create", "head": "get", "delete": "delete"}
    pair.work.choose = lambda operation, _: denied(missing[operation]) if operation in missing else None
    assert told(pair.checks()) == [
        ("store", "grant create"),
        ("store", "grant get"),
        ("store", "grant delete"),
    ]


def test_replacing_is_a_right_of_its_own(pair: Pair) -> None:
    puts: list[str] = []

    def third(operation: str, key: str) -> Fault | None:
        puts.extend([key] if operation == "put" else [])
        return denied("delete") if operation == "put" and len(puts) == 3 else None

    pair.work.choose = third
    checks = pair.checks()
    assert [check.detail for check in checks if check.status == "fail"] == ["cannot be replaced: delete is missing"]
    assert pair.files() == []


def test_what_cannot_be_removed_is_named(pair: Pair) -> None:
    pair.work.choose = lambda operation, _: denied("delete") if operation == "delete" else None
    checks = pair.checks()
    left = [check for check in checks if check.detail.endswith("could not be removed")]
    assert [check.name for check in left] == ["store", "library"]
    pair.work.choose = lambda *_: None
    assert {key for check in left for key in check.detail.removesuffix(" could not be removed").split(", ")} == {
        *pair.files()
    }
    assert ("store", "grant delete") in told(checks)


NO_ANSWER = StoreUnavailable("no answer", fix="check the network")
NO_BUCKET = AccessDenied("there is no bucket b", fix="make the bucket b")
NO_STORE = KeyRefused("it answers, but not as a store does", fix="correct the address")  # an error that does not pass


@pytest.mark.parametrize("error", [NO_ANSWER, NO_BUCKET, NO_STORE])
@pytest.mark.parametrize("name", ["store", "library"])
def test_a_store_that_cannot_be_listed_is_asked_once_told_once_and_not_written_to(
    pair: Pair, error: StoreError, name: str
) -> None:
    asked: list[str] = []

    def gone(operation: str, _: str) -> Fault:
        asked.append(operation)
        return Fault(error=error)

    store = pair.work if name == "store" else pair.library
    store.choose = gone
    checks = pair.checks(one_server=False)
    assert (name, error.fix) in told(checks)
    assert len([check for check in checks if check.name == name]) == 1
    assert asked == ["list"]
    store.choose = lambda *_: None
    assert pair.files() == []


@pytest.mark.parametrize(("operation", "error"), [("list", NO_ANSWER), ("list", NO_STORE), ("assemble", NO_ANSWER)])
def test_a_server_that_does_not_answer_is_not_asked_for_the_library_too(
    pair: Pair, operation: str, error: StoreError
) -> None:
    asked: list[str] = []
    pair.library.choose = lambda called, _: asked.append(called)
    pair.work.choose = lambda called, _: Fault(error=error) if called == operation else None
    checks = pair.checks()
    assert told(checks) == [("store", error.fix)]
    assert checks[0].detail.endswith(f"{error.message}; the library, which is kept there too, was not tried")
    assert asked == []
    pair.checks(one_server=False)
    assert asked


def test_what_is_to_be_done_for_both_is_told_once(pair: Pair) -> None:
    refused = AccessDenied("the credentials are refused", fix="check the access key")
    pair.work.choose = pair.library.choose = lambda *_: Fault(error=refused)
    assert told(pair.checks()) == [("store", "check the access key")]
    assert [check.name for check in pair.checks()] == ["store"]
    pair.work.choose = lambda operation, _: denied("delete in work") if operation == "delete" else None
    pair.library.choose = lambda operation, _: denied("delete in work") if operation == "assemble" else None
    assert told(pair.checks()).count(("store", "grant delete in work")) == 1
    assert ("library", "grant delete in work") not in told(pair.checks())
    pair.work.choose = pair.library.choose = lambda *_: None
    assert "ok" in [check.status for check in pair.checks()]


def test_whatever_of_ours_a_store_raises_is_a_line(pair: Pair) -> None:
    pair.work.choose = lambda *_: Fault(error=ConfigError("no credentials", fix="log in"))  # type: ignore[arg-type]
    assert ("store", "log in") in told(pair.checks())


def test_a_write_whose_answer_was_lost_is_removed(pair: Pair) -> None:
    pair.work.choose = lambda operation, _: Fault(lost=True) if operation == "put" else None
    assert [check.status for check in pair.checks()].count("fail") == 1
    assert pair.files() == []


def test_a_signal_leaves_nothing(pair: Pair) -> None:
    class Signal(BaseException):
        pass

    def interrupt(operation: str, _: str) -> None:
        if operation == "stream":
            raise Signal

    pair.work.choose = interrupt
    with pytest.raises(Signal):
        pair.checks()
    assert pair.files() == []


class Careless(FaultyStore):
    """Keeps no conditions on puts."""

    def __init__(self, inner: FolderStore, kind: type) -> None:
        super().__init__(inner)
        self._ignored = kind

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        return super().put(
            key, data, condition=None if isinstance(condition, self._ignored) else condition, metadata=metadata
        )


def test_a_store_that_keeps_no_conditions_is_refused(pair: Pair) -> None:
    inner = FolderStore(pair.root / "work")
    pair.work = Careless(inner, object)
    details = [check.detail for check in pair.checks() if check.status == "fail"]
    assert details == [
        "a write that must only create has replaced what stood there",
        "a write that must replace one version has replaced another one",
    ]
    pair.work = Careless(inner, Version)
    details = [check.detail for check in pair.checks() if check.status == "fail"]
    assert details == ["a write that must replace one version has replaced another one"]
    assert pair.files() == []


def test_a_store_that_forgets_is_refused(pair: Pair) -> None:
    pair.work.list = lambda *_, **__: iter(())  # type: ignore[method-assign]
    assert [check.detail for check in pair.checks() if check.status == "fail"] == ["what was written is not listed"]
    pair.work.stream = lambda *_, **__: iter([b"?"])  # type: ignore[method-assign]
    assert "what was written does not come back" in [check.detail for check in pair.checks()]


def test_a_store_that_puts_together_something_else_is_refused(pair: Pair) -> None:
    pair.work.get = lambda key: b"?"  # type: ignore[method-assign]
    assert [(check.name, check.detail) for check in pair.checks() if check.status == "fail"] == [
        ("store", "what was put together is not what it was put together from")
    ]
    assert pair.files() == []


def test_a_store_that_goes_away_is_not_asked_for_each_probe(pair: Pair) -> None:
    deletes: list[str] = []

    def gone(operation: str, key: str) -> Fault | None:
        if operation == "delete":
            deletes.append(key)
        return Fault() if operation == "delete" else None

    pair.work.choose = gone
    checks = [check for check in pair.checks() if check.name == "store"]
    left = checks[-1].detail.removesuffix(" could not be removed").split(", ")
    assert len(left) == 2
    assert [key for key in deletes if key in left] == [left[0], left[0]]  # as a step of its own, and to clean up


def test_what_a_store_lacks_is_told_once(pair: Pair) -> None:
    pair.work.lacks = lambda: ("no conditions: claims are used",)  # type: ignore[method-assign]
    pair.library.lacks = lambda: ("no conditions: claims are used", "no checksums")  # type: ignore[method-assign]
    checks = pair.checks()
    assert [(check.name, check.status, check.detail) for check in checks][2:] == [
        ("store", "warn", "no conditions: claims are used"),
        ("library", "warn", "no checksums"),
    ]
    assert all(check.fix for check in checks[2:])


def test_two_doctors_do_not_disturb_each_other(pair: Pair) -> None:
    other: list[list[Check]] = []

    def meanwhile(operation: str, _: str) -> None:
        if operation == "stream" and not other:
            other.append([])
            other[0] = pair.checks()

    pair.library.choose = meanwhile
    assert {check.status for check in [*pair.checks(), *other[0]]} == {"ok"}
