"""What `RetryingStore` repeats and what not, and how it knows its own work again. No test waits."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import google_crc32c
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st
from tests.support.faulty_store import Fault, FaultyStore

from pagebind.adapters.stores.folder import FolderStore
from pagebind.adapters.stores.retrying import ATTEMPTS, LONGEST_WAIT, RetryingStore, again
from pagebind.errors import (
    AccessDenied,
    ConditionFailed,
    KeyMissing,
    KeyRefused,
    PartDamaged,
    StoreError,
    StoreUnavailable,
)
from pagebind.ports.store import ABSENT, ObjectInfo, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagebind.ports.store import Store

    Call = Callable[[Store], object]


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


@dataclass
class Script:
    """Chooses the faults that a test lists, one a call, and none after them; the calls that were made."""

    faults: list[Fault | None] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __call__(self, operation: str, key: str) -> Fault | None:
        self.calls.append(operation)
        return self.faults.pop(0) if self.faults else None


class KnowingStore(FaultyStore):
    """Tells the checksum of what stands there without being asked to read it."""

    def head(self, key: str) -> ObjectInfo | None:
        found = super().head(key)
        return found and found._replace(crc32c=google_crc32c.value(self._inner.get(key)))


BEFORE, LOST = Fault(), Fault(lost=True)


@pytest.fixture
def inner(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def store(inner: FolderStore, script: Script) -> RetryingStore:
    return RetryingStore(FaultyStore(inner, script))


def assemble(store: Store, data: bytes = b"page") -> ObjectInfo:
    return store.assemble(
        "b", [data], crc32c=google_crc32c.value(data), condition=ABSENT, metadata={"revision": "1"}, content_type="a/b"
    )


CALLS: dict[str, Call] = {
    "put": lambda store: store.put("o", b"new"),
    "get": lambda store: store.get("there"),
    "stream": lambda store: b"".join(store.stream("there")),
    "head": lambda store: store.head("there"),
    "list": lambda store: list(store.list()),
    "delete": lambda store: store.delete("there"),
    "delete_all": lambda store: store.delete_all(iter(list(store.list()))),
    "assemble": assemble,
    "abandon": lambda store: store.abandon("there"),
    "sweep": lambda store: store.sweep(),
    "lacks": lambda store: store.lacks(),
}
every_call = pytest.mark.parametrize("operation", CALLS)


# -- what is repeated


@every_call
def test_repeats_a_call_whose_failure_may_pass(
    store: RetryingStore, inner: FolderStore, script: Script, operation: str
) -> None:
    inner.put("there", b"there")
    script.faults = [BEFORE] * (ATTEMPTS - 1)

    CALLS[operation](store)

    assert script.calls.count("list" if operation == "delete_all" else operation) == ATTEMPTS


@every_call
def test_gives_up_with_the_last_failure(
    store: RetryingStore, inner: FolderStore, script: Script, operation: str
) -> None:
    inner.put("there", b"there")
    failures = [StoreUnavailable(f"failure {number}") for number in range(ATTEMPTS)]
    script.faults = [Fault(error=error) for error in failures]

    with pytest.raises(StoreUnavailable) as caught:
        CALLS[operation](store)

    assert caught.value is failures[-1]
    assert len(script.calls) == ATTEMPTS


def test_makes_as_many_attempts_as_it_is_told(inner: FolderStore, script: Script) -> None:
    script.faults = [BEFORE] * 9
    with pytest.raises(StoreUnavailable):
        RetryingStore(FaultyStore(inner, script), attempts=2).head("o")
    assert script.calls == ["head", "head"]


@every_call
@pytest.mark.parametrize("error", [AccessDenied, KeyRefused, ConditionFailed, KeyMissing, PartDamaged, StoreError])
def test_does_not_repeat_what_would_fail_again(
    store: RetryingStore, inner: FolderStore, script: Script, operation: str, error: type[StoreError]
) -> None:
    inner.put("there", b"there")
    script.faults = [Fault(error=error("no"))]

    with pytest.raises(error):
        CALLS[operation](store)

    assert len(script.calls) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, GeneratorExit])
def test_lets_through_what_is_no_failure_of_the_store(error: type[BaseException]) -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise error

    with pytest.raises(error):
        again(call, "call")
    assert calls == [1]


def test_a_streamed_write_is_not_repeated(store: RetryingStore, script: Script) -> None:
    script.faults = [BEFORE]
    with pytest.raises(StoreUnavailable):
        store.put_stream("o", iter([b"a", b"b"]))
    assert script.calls == ["put_stream"]


def test_all_deletes_are_made_again_also_of_an_iterator(
    store: RetryingStore, inner: FolderStore, script: Script
) -> None:
    objects = [inner.put(f"{number}", b"") for number in range(3)]
    script.faults = [BEFORE, LOST]

    store.delete_all(iter(objects))

    assert list(inner.list()) == []
    assert script.calls == ["delete_all"] * 3


# -- reading


@given(
    start=st.integers(0, 30),
    length=st.none() | st.integers(0, 40),
    cuts=st.lists(st.integers(1, 9), max_size=8),
)
def test_a_stream_goes_on_at_the_byte_that_it_had_reached(start: int, length: int | None, cuts: list[int]) -> None:
    content = bytes(range(30))
    script = Script([Fault(after=cut) for cut in cuts])
    with TemporaryDirectory() as folder:
        inner = FolderStore(Path(folder))
        inner.put("o", content)
        store = RetryingStore(FaultyStore(inner, script), attempts=len(cuts) + 1)

        streamed = b"".join(store.stream("o", start=start, length=length))

    assert streamed == content[start : None if length is None else start + length]
    assert len(script.calls) == len(cuts) + 1


def test_a_stream_that_gets_on_may_fail_more_often_than_a_call(
    store: RetryingStore, inner: FolderStore, script: Script
) -> None:
    inner.put("o", b"0123456789")
    script.faults = [Fault(after=1)] * 9
    assert b"".join(store.stream("o")) == b"0123456789"


def test_a_stream_that_does_not_get_on_fails(store: RetryingStore, inner: FolderStore, script: Script) -> None:
    inner.put("o", b"0123456789")
    script.faults = [Fault(after=4), *[BEFORE] * ATTEMPTS]
    got: list[bytes] = []
    with pytest.raises(StoreUnavailable):
        got.extend(store.stream("o"))
    assert got == [b"0123"]


def test_a_listing_is_repeated_until_it_has_yielded(store: RetryingStore, inner: FolderStore, script: Script) -> None:
    for key in "abc":
        inner.put(key, b"")
    script.faults = [BEFORE, Fault(after=2)]
    got: list[str] = []
    with pytest.raises(StoreUnavailable):
        got.extend(info.key for info in store.list())
    assert (got, script.calls) == (["a", "b"], ["list", "list"])


# -- lost answers

WRITES: dict[str, Callable[[Store], ObjectInfo]] = {
    "create": lambda store: store.put("b", b"page", condition=ABSENT, metadata={"revision": "1"}),
    "replace": lambda store: store.put("b", b"page", condition=_standing(store), metadata={"revision": "1"}),
    "assemble": assemble,
    "assemble over": lambda store: store.assemble(
        "b", [b"page"], crc32c=google_crc32c.value(b"page"), condition=_standing(store), metadata={"revision": "1"}
    ),
}


def _standing(store: Store) -> Version:
    found = store.head("b")
    assert found is not None
    return Version(found.version)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("kind", [FaultyStore, KnowingStore])
def test_finds_its_own_write_again(inner: FolderStore, script: Script, write: str, kind: type[FaultyStore]) -> None:
    if write in {"replace", "assemble over"}:
        inner.put("b", b"old")
        script.faults = [None]
    script.faults += [BEFORE, LOST]

    made = WRITES[write](RetryingStore(kind(inner, script)))

    head = inner.head("b")
    assert head is not None
    assert made._replace(crc32c=None) == head
    assert made.crc32c in {None, google_crc32c.value(b"page")}
    assert inner.get("b") == b"page"


@pytest.mark.parametrize("write", ["create", "assemble"])
def test_an_equal_object_is_not_its_own_where_no_answer_was_lost(
    store: RetryingStore, inner: FolderStore, write: str
) -> None:
    inner.put("b", b"page", metadata={"revision": "1"})
    with pytest.raises(ConditionFailed):
        WRITES[write](store)


OTHERS = {
    "size": (b"pages", {"revision": "1"}),
    "bytes": (b"egap", {"revision": "1"}),
    "metadata": (b"page", {"revision": "2"}),
    "more metadata": (b"page", {"revision": "1", "more": ""}),
    "no metadata": (b"page", {}),
}


@pytest.mark.parametrize(
    ("write", "other", "kind"),
    [
        (write, other, kind)
        for write in ("create", "assemble")
        for other in OTHERS
        for kind in (FaultyStore, KnowingStore)
        if (write, other, kind) != ("assemble", "bytes", FaultyStore)  # only a store that knows checksums can tell
    ],
)
def test_what_another_wrote_is_not_its_own(
    inner: FolderStore, script: Script, write: str, other: str, kind: type[FaultyStore]
) -> None:
    data, metadata = OTHERS[other]
    standing = inner.put("b", data, metadata=metadata)
    script.faults = [BEFORE]

    with pytest.raises(ConditionFailed):
        WRITES[write](RetryingStore(kind(inner, script)))

    assert inner.head("b") == standing


def test_where_nothing_stands_there_is_nothing_of_its_own(
    store: RetryingStore, inner: FolderStore, script: Script
) -> None:
    standing = inner.put("b", b"old")
    inner.delete("b")
    script.faults = [BEFORE]
    with pytest.raises(ConditionFailed):
        store.put("b", b"page", condition=Version(standing.version))


def test_looks_at_checksums_rather_than_reading(inner: FolderStore, script: Script) -> None:
    script.faults = [LOST]
    WRITES["create"](RetryingStore(KnowingStore(inner, script)))
    assert script.calls == ["put", "put", "head"]


@given(faults=st.lists(st.sampled_from([None, BEFORE, LOST]), max_size=12), other=st.booleans())
def test_whatever_fails_a_write_tells_the_truth(faults: list[Fault | None], *, other: bool) -> None:
    with TemporaryDirectory() as folder:
        inner = FolderStore(Path(folder))
        standing = inner.put("b", b"pagE", metadata={"revision": "1"}) if other else None
        store = RetryingStore(FaultyStore(inner, Script([*faults])))
        try:
            made = WRITES["create"](store)
        except ConditionFailed:
            assert inner.head("b") == standing
            assert other
        except StoreUnavailable:
            assert len(faults) >= ATTEMPTS
            assert not other or inner.head("b") == standing
        else:
            assert not other
            assert inner.head("b") == made
            assert inner.get("b") == b"page"


def test_an_assembled_part_counts_with_its_size(store: RetryingStore, inner: FolderStore, script: Script) -> None:
    part = inner.put("staging/1", b"one")
    script.faults = [LOST]

    made = store.assemble(
        "b",
        [b"<", StoredPart(part.key, part.version, 3, google_crc32c.value(b"one"))],
        crc32c=google_crc32c.value(b"<one"),
        condition=ABSENT,
    )

    assert (made.size, made.crc32c, inner.get("b")) == (4, google_crc32c.value(b"<one"), b"<one")


@pytest.mark.parametrize("lost", [BEFORE, LOST])
def test_a_delete_whose_answer_was_lost_has_happened(
    store: RetryingStore, inner: FolderStore, script: Script, lost: Fault
) -> None:
    standing = inner.put("o", b"")
    script.faults = [lost]
    store.delete("o", version=standing.version)
    assert inner.head("o") is None


def test_a_delete_that_finds_another_version_and_then_none_has_happened(
    store: RetryingStore, inner: FolderStore, script: Script
) -> None:
    standing = inner.put("o", b"")
    script.faults = [LOST, Fault(error=ConditionFailed("another stood there for a moment"))]
    store.delete("o", version=standing.version)
    assert script.calls == ["delete", "delete", "head"]


@pytest.mark.parametrize("faults", [[], [BEFORE], [LOST]])
def test_a_delete_of_another_version_fails(
    store: RetryingStore, inner: FolderStore, script: Script, faults: list[Fault | None]
) -> None:
    old = inner.put("o", b"1")
    new = inner.put("o", b"2")
    script.faults = [*faults]
    with pytest.raises(ConditionFailed):
        store.delete("o", version=old.version)
    assert inner.head("o") == new


# -- waiting and telling


class Watch:
    """Time that passes only where somebody sleeps or works; the naps that were taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.naps = 1000.0, list[float]()
        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, no_backoff: None) -> Iterator[Watch]:
    with stamina.set_testing(False):
        yield Watch(monkeypatch)


def failing(*errors: StoreError, watch: Watch | None = None, seconds: float = 0) -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if watch:
            watch.now += seconds
        if left:
            raise left.pop(0)
        return "done"

    return call


def test_waits_longer_each_time(watch: Watch) -> None:
    assert again(failing(*[StoreUnavailable("503")] * 5), "call", attempts=6) == "done"

    for nap, least in zip(watch.naps, (0.2, 0.4, 0.8, 1.6, 3.2), strict=True):
        assert least <= nap <= least + 0.5


def test_waits_as_long_as_the_store_asks(watch: Watch) -> None:
    asked = [StoreUnavailable("slow down", retry_after=seconds) for seconds in (7.0, 0.0, LONGEST_WAIT)]
    assert again(failing(*asked), "call") == "done"
    assert watch.naps == [7.0, 0.2, LONGEST_WAIT]


def test_does_not_wait_for_a_store_that_asks_for_too_long(watch: Watch) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        again(failing(StoreUnavailable("closed", retry_after=LONGEST_WAIT + 1)), "call")
    assert (caught.value.retry_after, watch.naps) == (LONGEST_WAIT + 1, [])


def test_a_store_that_says_nothing_is_given_up_within_a_minute_but_not_at_once(watch: Watch) -> None:
    begun = watch.now
    with pytest.raises(StoreUnavailable):
        again(failing(*[StoreUnavailable("timed out")] * 9, watch=watch, seconds=25), "call", attempts=9)
    assert len(watch.naps) == 1
    assert watch.now - begun < 60


def test_tells_of_each_repetition_and_of_nothing_else(
    store: RetryingStore, inner: FolderStore, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "pagebind"):
        store.put("first", b"")
        script.faults = [Fault(error=StoreUnavailable("503 from the store", fix="wait")), BEFORE]
        store.put("second", b"content", metadata={"note": "mine"})

    told = [record.__dict__ for record in caplog.records if record.name.startswith("pagebind")]
    assert [(one["levelname"], one["msg"], one["call"], one["attempt"], one["reason"]) for one in told] == [
        ("INFO", "store asked again", "put second", 2, "503 from the store"),
        ("INFO", "store asked again", "put second", 3, "put second: no answer"),
    ]
