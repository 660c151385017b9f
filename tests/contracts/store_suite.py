"""What every object store has to keep of the promises in `pagebind.ports.store`.

A backend's test subclasses `StoreSuite` and gives it a ``store`` fixture (and ``work``, where the store takes the parts
of `assemble` from another one), empty for each test. Where stores may differ, a class attribute says what this one
does; no store is asked for less on account of another.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import google_crc32c
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pagebind.errors import ConditionFailed, KeyMissing, KeyRefused, PagebindError, PartDamaged, StoreUnavailable
from pagebind.ports.store import ABSENT, ObjectInfo, Part, Store, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")

MEBIBYTE = 1024 * 1024

ODD_KEYS = [
    "plain",
    "a/b/c/d/e",
    "with space/ and more ",
    "100%/#1?&+=;@!$'(),~^[]{}",
    "%2F/%00/..a/.b/c..",
    "进击的巨人/第01卷.cbz",
    "ベルセルク/表紙 ☆.cbz",
    "emoji 🦊/👩\u200d👩\u200d👧.cbz",
    "caf\u00e9/\u00e5ngstr\u00f6m",
    "n" * 140 + "/" + "巻" * 46,
    "UPPER/Lower",
    "-dash/--option",
]
PART_METADATA = {"crc32": "0badcafe"}
METADATA = {"crc32c": "c1d0ba1e", "note": 'page 1: 進撃 \U0001f98a "quoted"\n', "empty": ""}


class BrokenSourceError(Exception):
    """What a source of bytes raises in the middle."""


def crc32c(data: bytes) -> int:
    return int(google_crc32c.value(data))


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def keys_after(store: Store, prefix: str, after: str) -> list[str]:
    return [info.key for info in store.list(prefix, after=after)]


def put_all(store: Store, contents: Mapping[str, bytes], metadata: Mapping[str, str] | None = None) -> list[ObjectInfo]:
    """Put these, several at a time; what each write answered."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda key: store.put(key, contents[key], metadata=metadata), contents))


def parts_of(work: Store, contents: Mapping[str, bytes]) -> list[StoredPart]:
    """Put these into the work store, and say so as parts."""
    return [
        StoredPart(info.key, info.version, info.size, crc32c(contents[info.key]))
        for info in put_all(work, contents, PART_METADATA)
    ]


class BreakingParts(Sequence[Part]):
    """Parts that cannot be taken beyond the ``sound`` first ones."""

    def __init__(self, parts: list[Part], sound: int, error: type[BaseException]) -> None:
        self._parts, self._sound, self._error = parts, sound, error

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index >= self._sound:
            raise self._error
        return self._parts[index]


def in_order_by_folder(found: list[str]) -> bool:
    """Whether each folder's keys stand together, and those directly in a folder in order of code points."""
    folders = {key[: i + 1] for key in found for i, character in enumerate(key) if character == "/"} | {""}
    for folder in folders:
        places = [i for i, key in enumerate(found) if key.startswith(folder)]
        direct = [key for key in found if _lies_directly_in(folder, key)]
        if direct != sorted(direct) or (places and places != list(range(places[0], places[-1] + 1))):
            return False
    return True


def _lies_directly_in(folder: str, key: str) -> bool:
    return key.startswith(folder) and "/" not in key[len(folder) :]


class StoreSuite:
    large: ClassVar[int] = 20 * MEBIBYTE
    """Bytes; more than a backend holds in one request or buffer."""

    many: ClassVar[int] = 2500
    """Objects; more than any backend lists at once, twice."""

    examples: ClassVar[int] = 25
    """Runs of the state machine, of about 50 requests each."""

    created_within: ClassVar[float] = 0.0
    """Seconds by which a write's ``created`` may differ from what is read later: its answer may hold no time."""

    knows_crc32c: ClassVar[bool] = False
    """Whether every info of every object carries the CRC-32C of its content."""

    versions_by_content: ClassVar[bool] = False
    """Whether the same bytes, put under the same key, are the same version."""

    orders_folders_by_name: ClassVar[bool] = False
    """Whether a folder stands among its neighbours by its name without the slash."""

    loses_answers: ClassVar[bool] = False
    """Whether a conditional write may have happened, or take another's equal object for its own, because answers
    were lost on the way and the write was repeated."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def work(self, store: Store) -> Store:
        return store

    @pytest.fixture
    def tidy(self, work: Store) -> Iterator[None]:
        """Nothing that a write needs on its way stays in work."""
        yield
        assert [key for key in keys(work) if key.endswith(".composite")] == []

    def unfinished(self, store: Store) -> list[str]:
        """Keys of writes that have been begun, not finished and not undone, where the backend can tell."""
        return []

    def assert_same(self, found: ObjectInfo | None, written: ObjectInfo) -> None:
        """What is read is what the write answered, but for what a store need not know at both times."""
        assert found is not None
        assert abs(found.created - written.created) <= self.created_within
        if self.knows_crc32c:
            assert None is not found.crc32c == written.crc32c
        assert found.crc32c == written.crc32c or None in {found.crc32c, written.crc32c}
        assert found._replace(created=0, crc32c=None) == written._replace(created=0, crc32c=None)

    def assert_lists(self, found: Iterable[ObjectInfo], written: Iterable[ObjectInfo]) -> None:
        """A listing with metadata shows exactly these, in order."""
        standing, listed = {info.key: info for info in written}, list(found)
        self.assert_keys([info.key for info in listed], standing)
        for info in listed:
            self.assert_same(info, standing[info.key])

    def assert_keys(self, found: list[str], wanted: Iterable[str]) -> None:
        """Exactly these, in order."""
        if not self.orders_folders_by_name:
            assert found == sorted(wanted)
        assert sorted(found) == sorted(wanted)
        assert in_order_by_folder(found)

    # -- one object

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_gives_back_what_was_put_under_any_key(self, store: Store, key: str) -> None:
        put = store.put(key, b"content", metadata=METADATA)

        assert store.get(key) == b"content"
        assert (put.key, put.size, put.metadata) == (key, 7, METADATA)
        self.assert_same(store.head(key), put)
        self.assert_lists(store.list(key, metadata=True), [put])
        assert keys(store, key[:-1]) == [key]

    @pytest.mark.parametrize(
        "key", ["", "/", "/a", "a/", "a//b", ".", "a/./b", "../a", "a/..", "a\0b", "a\\b", "\ud800"]
    )
    def test_refuses_what_is_no_key(self, store: Store, key: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.put(key, b""),
            lambda: store.put_stream(key, iter([b""])),
            lambda: store.assemble(key, [b""], crc32c=0, condition=ABSENT),
            lambda: store.get(key),
            lambda: next(store.stream(key)),
            lambda: store.head(key),
            lambda: store.delete(key),
        ]
        for call in calls:
            with pytest.raises(KeyRefused) as caught:
                call()
            assert caught.value.path == key
            assert not caught.value.retryable

    @pytest.mark.parametrize("metadata", [None, {}, METADATA])
    @pytest.mark.parametrize("data", [b"", b"\0", b"\r\n\x1a\x89", bytes(range(256)) * 999])
    def test_content_is_bytes_and_metadata_text(
        self, store: Store, data: bytes, metadata: dict[str, str] | None
    ) -> None:
        put = store.put("o", data, metadata=metadata)

        assert (put.key, put.size, put.metadata) == ("o", len(data), metadata or {})
        assert put.crc32c in {None, crc32c(data)}
        assert store.get("o") == data
        head = store.head("o")
        assert head is not None
        assert (head.size, head.version, head.metadata) == (len(data), put.version, metadata or {})

    def test_created_is_now_in_seconds_since_the_epoch(self, store: Store) -> None:
        assert abs(store.put("o", b"").created - time.time()) < 120

    def test_nothing_stands_under_a_key_nobody_put(self, store: Store) -> None:
        store.put("folder/o", b"")
        for key in ("never", "folder", "folder/never", "folder/o/below"):
            assert store.head(key) is None
            with pytest.raises(KeyMissing) as caught:
                store.get(key)
            assert caught.value.path == key
            with pytest.raises(KeyMissing):
                next(store.stream(key))
            store.delete(key)
            store.delete(key, version="any")
        assert keys(store) == ["folder/o"]

    def test_streams_large_content_in_and_out_in_small_chunks(self, store: Store) -> None:
        block = random.Random(1).randbytes(MEBIBYTE // 2)
        blocks = self.large // len(block)

        put = store.put_stream("large", iter([block] * blocks), metadata=METADATA)

        assert put.size == self.large
        seen, size = 0, 0
        for chunk in store.stream("large"):
            assert 0 < len(chunk) <= MEBIBYTE
            seen, size = google_crc32c.extend(seen, chunk), size + len(chunk)
        assert (size, seen) == (self.large, crc32c(block * blocks))
        assert b"".join(store.stream("large", start=self.large - 5)) == block[-5:]

    @pytest.mark.parametrize("metadata", [None, METADATA])
    @pytest.mark.parametrize(
        ("start", "length"), [(0, None), (0, 0), (0, 3), (3, 4), (9, 1), (9, 99), (10, None), (10, 5), (5, None)]
    )
    def test_streams_a_range(
        self, store: Store, start: int, length: int | None, metadata: dict[str, str] | None
    ) -> None:
        store.put("o", b"0123456789", metadata=metadata)

        end = None if length is None else start + length
        assert b"".join(store.stream("o", start=start, length=length)) == b"0123456789"[start:end]

    @pytest.mark.parametrize("chunks", [[], [b""], [b"", b"a", b"", b"bc", b""], [b"x"] * 100])
    def test_put_stream_takes_any_chunks(self, store: Store, chunks: list[bytes]) -> None:
        assert store.put_stream("o", iter(chunks)).size == len(b"".join(chunks))
        assert store.get("o") == b"".join(chunks)

    @pytest.mark.parametrize("error", [BrokenSourceError, KeyboardInterrupt, ConnectionResetError, GeneratorExit])
    @pytest.mark.parametrize("before", [0, 1, 7 * MEBIBYTE])
    def test_an_interrupted_stream_leaves_nothing(self, store: Store, error: type[BaseException], before: int) -> None:
        def chunks() -> Iterator[bytes]:
            yield bytes(before)
            raise error

        store.put("old", b"old")
        for key, condition in (("new", None), ("new", ABSENT), ("old", None)):
            with pytest.raises(error) as caught:
                store.put_stream(key, chunks(), condition=condition)
            assert not isinstance(caught.value, PagebindError)

        assert store.get("old") == b"old"
        assert keys(store) == ["old"]
        assert self.unfinished(store) == []

    # -- conditions

    def test_create_only_never_replaces(self, store: Store) -> None:
        first = store.put("o", b"first", condition=ABSENT, metadata={"n": "1"})

        for again in (b"first", b"other"):
            with pytest.raises(ConditionFailed) as caught:
                store.put("o", again, condition=ABSENT, metadata={"n": "2"})
            assert caught.value.path == "o"
            with pytest.raises(ConditionFailed):
                store.put_stream("o", iter([again]), condition=ABSENT, metadata={"n": "2"})

        assert store.get("o") == b"first"
        self.assert_same(store.head("o"), first)

    def test_create_only_works_again_after_a_delete(self, store: Store) -> None:
        first = store.put("o", b"1", condition=ABSENT, metadata={"n": "1"})
        store.delete("o")
        second = store.put("o", b"2", condition=ABSENT, metadata={"n": "2"})

        assert second.version != first.version
        self.assert_same(store.head("o"), second)

    def test_each_replacement_is_another_version(self, store: Store) -> None:
        versions = [store.put("o", bytes([i]), metadata={"i": str(i)}).version for i in range(5)]

        assert len(set(versions)) == 5
        assert store.get("o") == b"\x04"
        head = store.head("o")
        assert head is not None
        assert (head.version, head.metadata) == (versions[-1], {"i": "4"})

    def test_the_same_bytes_again_are_another_version_unless_content_names_it(self, store: Store) -> None:
        first = store.put("o", b"1", metadata={"n": "1"})
        second = store.put("o", b"1", metadata={"n": "2"})

        assert (first.version == second.version) == self.versions_by_content
        self.assert_same(store.head("o"), second)

    def test_replaces_exactly_the_version_named(self, store: Store) -> None:
        first = store.put("o", b"1")
        second = store.put("o", b"2", condition=Version(first.version), metadata={"n": "2"})

        for version in (first.version, "nonsense", ""):
            with pytest.raises(ConditionFailed):
                store.put("o", b"3", condition=Version(version))
            with pytest.raises(ConditionFailed):
                store.put_stream("o", iter([b"3"]), condition=Version(version))
        self.assert_same(store.head("o"), second)
        assert store.get("o") == b"2"

    def test_a_version_that_was_deleted_is_not_replaced(self, store: Store) -> None:
        first = store.put("o", b"1")
        store.delete("o")

        with pytest.raises(ConditionFailed):
            store.put("o", b"2", condition=Version(first.version))
        assert keys(store) == []

    def test_deletes_exactly_the_version_named(self, store: Store) -> None:
        first = store.put("a/b/o", b"1")
        second = store.put("a/b/o", b"2")

        with pytest.raises(ConditionFailed) as caught:
            store.delete("a/b/o", version=first.version)
        assert caught.value.path == "a/b/o"
        assert store.get("a/b/o") == b"2"
        store.delete("a/b/o", version=second.version)
        assert store.head("a/b/o") is None
        store.delete("a/b/o", version=second.version)

    def test_metadata_goes_with_its_version(self, store: Store) -> None:
        store.put("o", b"1", metadata=METADATA)
        store.put("o", b"2")

        assert [info.metadata for info in store.list("o", metadata=True)] == [{}]

    # -- listing

    def test_lists_in_order_of_code_points_across_folders(self, store: Store) -> None:
        wanted = ["a b", "a!", "a-b/x", "a.b", "a.b.c/d", "a/b", "a/b.c", "a/c/d", "a/c0", "a0", "b", "é", "字/z", "🦊"]
        put_all(store, dict.fromkeys(random.Random(2).sample(wanted, len(wanted)), b""))

        self.assert_keys(keys(store), wanted)
        self.assert_keys(keys(store, "a/"), ["a/b", "a/b.c", "a/c/d", "a/c0"])

    @pytest.mark.parametrize(
        ("beginning", "found"),
        [
            ("v", ["v/1.r.json", "v/1/2", "v/10", "vw/1"]),
            ("v/", ["v/1.r.json", "v/1/2", "v/10"]),
            ("v/1", ["v/1.r.json", "v/1/2", "v/10"]),
            ("v/1/", ["v/1/2"]),
            ("v/1/2", ["v/1/2"]),
            ("v/1/2/", []),
            ("v/1/23", []),
            ("v/2", []),
            ("x", []),
            ("x/y/z", []),
            ("/", []),
            ("v//", []),
            ("../", []),
            ("v/../v/", []),
            ("./v/", []),
        ],
    )
    def test_a_prefix_may_end_anywhere(self, store: Store, beginning: str, found: list[str]) -> None:
        put_all(store, dict.fromkeys(["v/1/2", "v/10", "v/1.r.json", "vw/1", "w"], b""))

        self.assert_keys(keys(store, beginning), found)

    @pytest.mark.parametrize("beginning", ["", "a", "aa", "aa/", "aa/c", "b"])
    def test_lists_from_behind_a_key_that_need_not_be_there(self, store: Store, beginning: str) -> None:
        there = ["a", "a!", "a-b/x", "a.b", "a.b.c/d", "aa/!", "aa/b", "aa/b.c", "aa/c/d", "aa/c0", "b", "字/z"]
        put = {info.key: info for info in put_all(store, dict.fromkeys(there, b""), METADATA)}
        others = ["a-b", "a-b/", "aa/", "aa/c", "aa/c/", "字", "🦊"]

        for after in ["", *there, *(key + "!" for key in there), *others]:
            wanted = [key for key in there if key.startswith(beginning) and key > after]
            self._assert_comes_after(after, beginning, keys_after(store, beginning, after), wanted)
        wanted = [key for key in there if key.startswith(beginning) and key > "aa/b"]
        if not self.orders_folders_by_name:
            self.assert_lists(store.list(beginning, after="aa/b", metadata=True), [put[key] for key in wanted])

    def _assert_comes_after(self, after: str, prefix: str, found: list[str], wanted: list[str]) -> None:
        if not self.orders_folders_by_name or not after:
            self.assert_keys(found, wanted)
        elif prefix.endswith("/") and _lies_directly_in(prefix, after):  # nothing is promised of the others
            direct = [key for key in wanted if _lies_directly_in(prefix, key)]
            assert [key for key in found if _lies_directly_in(prefix, key)] == direct
            assert set(found) <= set(wanted)

    def test_lists_and_deletes_thousands_with_version_and_time(self, store: Store) -> None:
        put = put_all(store, {f"many/{i:05}": b"%d" % i for i in range(self.many)})

        first, *late = put[-1201:]  # more than a page; metadata may cost a request each
        self.assert_lists(store.list("many/", metadata=True, after=first.key), late)
        listed = list(store.list("many/"))
        assert [(info.key, info.version) for info in listed] == [(info.key, info.version) for info in put]
        assert max(abs(a.created - b.created) for a, b in zip(listed, put, strict=True)) <= self.created_within
        assert {tuple((info.metadata or {}).items()) for info in listed} == {()}

        store.delete_all(info for info in listed if info.key != "many/00007")
        assert keys(store) == ["many/00007"]

    def test_deletes_exactly_the_versions_named_and_passes_over_the_others(self, store: Store) -> None:
        same, replaced, gone, kept = put_all(store, {"a/same": b"1", "a/replaced": b"1", "b/gone": b"1", "kept": b"1"})
        newer = store.put("a/replaced", b"2")
        store.delete("b/gone")

        store.delete_all([])
        store.delete_all(iter([replaced, gone, same, ObjectInfo("never/there", 1, same.version, same.created)]))

        self.assert_lists(store.list(metadata=True), [newer, kept])
        assert store.get("a/replaced") == b"2"

    def test_what_is_deleted_is_listed_no_more(self, store: Store) -> None:
        for key in ("a/1", "a/2", "b/c/d"):
            store.put(key, b"")
        store.delete("a/1")
        store.delete("b/c/d")

        assert keys(store) == ["a/2"]

    # -- assembling

    @pytest.mark.usefixtures("tidy")
    def test_assembles_parts_in_order(self, store: Store, work: Store) -> None:
        first, second, empty = parts_of(work, {"staging/1": b"one" * 700_000, "staging/2": b"two", "staging/3": b""})
        whole = b"<" + b"one" * 700_000 + b"twotwo>"

        made = store.assemble(
            "books/b.cbz",
            [b"<", first, empty, second, second, b"", b">"],
            crc32c=crc32c(whole),
            condition=ABSENT,
            metadata=METADATA,
            content_type="application/vnd.comicbook+zip",
        )

        assert (made.key, made.size, made.crc32c) == ("books/b.cbz", len(whole), crc32c(whole))
        assert store.get("books/b.cbz") == whole
        assert made.metadata == METADATA
        self.assert_same(store.head("books/b.cbz"), made)
        assert work.get("staging/1") == b"one" * 700_000

    @pytest.mark.usefixtures("tidy")
    def test_assembles_many_parts_and_replaces_by_version(self, store: Store, work: Store) -> None:
        contents = {f"staging/{i:03}": bytes([i % 256]) * i for i in range(70)}
        parts = parts_of(work, contents)
        whole = b"".join(contents.values())
        old = store.put("books/b.cbz", b"old")

        made = store.assemble("books/b.cbz", parts, crc32c=crc32c(whole), condition=Version(old.version))

        assert store.get("books/b.cbz") == whole
        assert made.version != old.version

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda work: work.delete("staging/2"), id="missing"),
            pytest.param(lambda work: work.put("staging/2", b"twO", metadata=PART_METADATA), id="other bytes"),
            pytest.param(lambda work: work.put("staging/2", b"tw"), id="shorter"),
            pytest.param(lambda work: work.put("staging/2", b"two!"), id="longer"),
        ],
    )
    @pytest.mark.parametrize("replacing", [False, True])
    @pytest.mark.usefixtures("tidy")
    def test_a_damaged_part_leaves_nothing_and_is_named(
        self, store: Store, work: Store, damage: Callable[[Store], object], *, replacing: bool
    ) -> None:
        parts = parts_of(work, {"staging/1": b"one", "staging/2": b"two", "staging/3": b"three"})
        condition = Version(store.put("books/b", b"old").version) if replacing else ABSENT
        damage(work)

        with pytest.raises(PartDamaged) as caught:
            store.assemble("books/b", parts, crc32c=crc32c(b"onetwothree"), condition=condition)

        assert caught.value.path == "staging/2"
        assert keys(store, "books/") == (["books/b"] if replacing else [])
        if replacing:
            assert store.get("books/b") == b"old"

    @pytest.mark.usefixtures("tidy")
    def test_a_whole_that_differs_is_not_published(self, store: Store, work: Store) -> None:
        parts = parts_of(work, {"staging/1": b"one", "staging/2": b"two"})

        with pytest.raises(PartDamaged):
            store.assemble("books/b", [*reversed(parts)], crc32c=crc32c(b"onetwo"), condition=ABSENT)
        assert keys(store, "books/") == []

    @pytest.mark.usefixtures("tidy")
    def test_assembles_only_under_its_condition(self, store: Store, work: Store) -> None:
        parts = parts_of(work, {"staging/1": b"one"})
        stale = store.put("books/b", b"1").version
        standing = store.put("books/b", b"2", metadata=METADATA)

        for key, condition in (("books/b", ABSENT), ("books/b", Version(stale)), ("books/c", Version(stale))):
            with pytest.raises(ConditionFailed) as caught:
                store.assemble(key, parts, crc32c=crc32c(b"one"), condition=condition, metadata={"mine": "yes"})
            assert caught.value.path == key
        self.assert_same(store.head("books/b"), standing)
        assert keys(store, "books/") == ["books/b"]

    @pytest.mark.usefixtures("tidy")
    def test_an_assembled_object_can_be_a_part(self, store: Store, work: Store) -> None:
        first, second = parts_of(work, {"staging/1": b"one", "staging/2": b"two"})
        made = work.assemble("staging/12", [first, second], crc32c=crc32c(b"onetwo"), condition=ABSENT)
        assert made.crc32c is not None

        whole = StoredPart(made.key, made.version, made.size, made.crc32c)
        store.assemble("books/b", [whole, b"!"], crc32c=crc32c(b"onetwo!"), condition=ABSENT)

        assert store.get("books/b") == b"onetwo!"

    @pytest.mark.usefixtures("tidy")
    def test_assembles_large_parts_or_leaves_nothing(self, store: Store, work: Store) -> None:
        third = random.Random(3).randbytes(self.large // 3)
        first, second = parts_of(work, {"staging/1": third, "staging/2": third[::-1]})
        whole = third + b"header" + third[::-1] + third
        parts: list[Part] = [first, b"header", second, first]
        assemble = partial(store.assemble, "books/b", crc32c=crc32c(whole))

        made = assemble(parts, condition=ABSENT, metadata=METADATA)
        with pytest.raises(ConditionFailed):
            assemble(parts, condition=ABSENT)
        work.put(second.key, third[::-1][:-1] + b"?", metadata=PART_METADATA)
        with pytest.raises(PartDamaged) as caught:
            assemble(parts, condition=Version(made.version))

        assert caught.value.path == second.key
        self.assert_same(store.head("books/b"), made)
        assert crc32c(b"".join(store.stream("books/b"))) == crc32c(whole)
        assert self.unfinished(store) == []

    @pytest.mark.usefixtures("tidy")
    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
    @pytest.mark.parametrize("sound", [0, 1, 69])
    def test_an_interrupted_assembly_leaves_nothing(
        self, store: Store, work: Store, error: type[BaseException], sound: int
    ) -> None:
        (part,) = parts_of(work, {"staging/1": b"page"})
        parts = BreakingParts([part] * 70, sound, error)

        with pytest.raises(error):
            store.assemble("books/b", parts, crc32c=crc32c(b"page" * 70), condition=ABSENT)

        assert keys(store, "books/") == []
        assert self.unfinished(store) == []

    # -- what others have begun

    @pytest.mark.parametrize("abandoned", ["books/b", "books/"])
    def test_abandons_what_was_begun_and_leaves_objects_alone(self, store: Store, abandoned: str) -> None:
        def chunks() -> Iterator[bytes]:
            yield from [bytes(MEBIBYTE)] * (self.large // MEBIBYTE)
            store.abandon(abandoned)
            yield b"end"

        store.abandon(abandoned)
        standing = [store.put(key, b"content", metadata=METADATA) for key in ("books/a", "books/c/d", "books2/b")]
        with suppress(StoreUnavailable):  # a store may, but need not, take the living writer for a dead one
            standing.append(store.put_stream("books/b", chunks(), condition=ABSENT))
        store.abandon(abandoned)

        self.assert_lists(store.list("books", metadata=True), standing)
        assert self.unfinished(store) == []

    def test_says_what_it_lacks_and_leaves_nothing_of_trying_it_out(self, store: Store, work: Store) -> None:
        lacks = store.lacks()

        assert isinstance(lacks, tuple)
        for line in lacks:
            assert line.strip() == line != ""
            assert line.isprintable()
        assert keys(store) == keys(work) == []
        assert self.unfinished(store) == []

    # -- many at once

    def test_of_five_creators_exactly_one_wins(self, store: Store) -> None:
        def race(key: str) -> None:
            won = [info for info in self._race(5, partial(_try_put, store, key)) if info]

            assert len(won) == 1
            self.assert_same(store.head(key), won[0])
            assert store.get(key).decode() == (won[0].metadata or {})["worker"]

        with ThreadPoolExecutor(3) as pool:  # a server may let those who lose wait for a second
            list(pool.map(race, [f"race/{round_}" for round_ in range(10)]))

    def test_five_workers_comparing_and_swapping_lose_no_step(self, store: Store) -> None:
        store.put("steps", b"")

        def append(worker: int) -> None:
            for step in range(6):
                mine = b"%d.%d " % (worker, step)
                while not self._append(store, mine):
                    pass

        self._race(5, append)

        steps = store.get("steps").split()
        assert sorted(steps) == [b"%d.%d" % (worker, step) for worker in range(5) for step in range(6)]

    def _append(self, store: Store, mine: bytes) -> bool:
        """One try; whether it is done. Whoever is told that it is not must not find it done."""
        head = store.head("steps")
        assert head is not None
        written = store.get("steps")
        if mine in written:
            assert self.loses_answers
            return True
        try:
            store.put("steps", written + mine, condition=Version(head.version))
        except ConditionFailed:
            return False
        return True

    @pytest.mark.usefixtures("tidy")
    def test_of_five_assemblers_exactly_one_wins(self, store: Store, work: Store) -> None:
        parts = parts_of(work, {f"staging/{i}": b"%d" % i for i in range(5)})

        def bind(worker: int) -> ObjectInfo | None:
            try:
                return store.assemble(
                    "books/b",
                    [parts[worker]],
                    crc32c=parts[worker].crc32c,
                    condition=ABSENT,
                    metadata={"worker": str(worker)},
                )
            except ConditionFailed:
                return None

        won = [info for info in self._race(5, bind) if info]

        assert len(won) == 1
        self.assert_same(store.head("books/b"), won[0])
        assert store.get("books/b").decode() == (won[0].metadata or {})["worker"]

    def test_writers_and_deleters_in_the_same_folder_do_not_meet(self, store: Store) -> None:
        def work(worker: int) -> None:
            for i in range(20):
                key = f"shared/folder/{worker}-{i}"
                store.put(key, b"x", condition=ABSENT)
                store.delete(key)

        self._race(5, work)

        assert keys(store, "shared/") == []

    def test_readers_see_old_or_new_and_nothing_between(self, store: Store) -> None:
        store.put("o", b"0" * 1000, metadata={"digit": "0"})

        def act(worker: int) -> None:
            for i in range(1, 9):
                if worker == 0:
                    store.put("o", b"%d" % i * (1000 + i), metadata={"digit": str(i)})
                    continue
                data = store.get("o")
                assert data == data[:1] * (1000 + int(data[:1]))
                head = store.head("o")
                assert head is not None
                assert head.metadata == {"digit": str(head.size - 1000)}

        self._race(5, act)

    def _race(self, workers: int, act: Callable[[int], T]) -> list[T]:
        """Let all begin at the same moment; what each returned."""
        barrier = Barrier(workers)

        def begin(worker: int) -> T:
            barrier.wait(timeout=10)
            return act(worker)

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(begin, range(workers)))

    # -- everything together

    def test_behaves_as_a_dictionary(self, store: Store) -> None:
        run_state_machine_as_test(
            lambda: StoreMachine(store, self),  # type: ignore[arg-type] # a factory does as well
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=20,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_sweep_leaves_objects_alone(self, store: Store) -> None:
        put = store.put("o", b"content", metadata=METADATA)
        store.sweep()
        self.assert_same(store.head("o"), put)
        assert store.get("o") == b"content"


def _try_put(store: Store, key: str, worker: int) -> ObjectInfo | None:
    try:
        return store.put(key, b"%d" % worker, condition=ABSENT, metadata={"worker": str(worker)})
    except ConditionFailed:
        return None


# Prefix-free as paths, so that a folder never has to be a file; some sort differently as paths and as keys.
_KEYS = st.sampled_from(["a/b/c", "a/b.c", "a.b", "a-b/c", "é/🦊", "z"])
_DATA = st.binary(max_size=40)
_METADATA = st.none() | st.dictionaries(st.sampled_from(["k", "ключ"]), st.text('a\n"\\é🦊', max_size=9))


class StoreMachine(RuleBasedStateMachine):
    """The store and a dictionary, told the same things."""

    def __init__(self, store: Store, suite: StoreSuite) -> None:
        super().__init__()
        self.store = store
        self.suite = suite
        self.standing: dict[str, tuple[ObjectInfo, bytes]] = {}
        self.versions: dict[str, dict[str, bytes]] = {}

    def teardown(self) -> None:
        self.store.delete_all(list(self.store.list()))

    @rule(key=_KEYS, data=_DATA, metadata=_METADATA)
    def put(self, key: str, data: bytes, metadata: dict[str, str] | None) -> None:
        self._wrote(self.store.put(key, data, metadata=metadata), data)

    @rule(key=_KEYS, data=_DATA, metadata=_METADATA, streamed=st.booleans())
    def create(self, key: str, data: bytes, metadata: dict[str, str] | None, *, streamed: bool) -> None:
        def act() -> ObjectInfo:
            if streamed:
                return self.store.put_stream(key, iter([data, data]), condition=ABSENT, metadata=metadata)
            return self.store.put(key, data * 2, condition=ABSENT, metadata=metadata)

        if key not in self.standing:
            self._wrote(act(), data * 2)
        else:
            self._must_fail(act, key, data * 2, metadata or {})

    @rule(key=_KEYS, data=_DATA, choice=st.randoms(use_true_random=False))
    def replace(self, key: str, data: bytes, choice: random.Random) -> None:
        known = sorted(self.versions.get(key, ())) or ["never"]
        version = choice.choice(known)
        act = partial(self.store.put, key, data, condition=Version(version))
        if key in self.standing and self.standing[key][0].version == version:
            self._wrote(act(), data)
        else:
            self._must_fail(act, key, data, {})

    def _must_fail(self, act: Callable[[], ObjectInfo], key: str, data: bytes, metadata: dict[str, str]) -> None:
        """A conditional write; repeated after a lost answer, it may take an equal object for its own."""
        info, content = self.standing.get(key, (None, None))
        try:
            made = act()
        except ConditionFailed:
            return
        assert self.suite.loses_answers
        assert info is not None
        self.suite.assert_same(made, info)
        assert (data, metadata) == (content, info.metadata)

    @rule(key=_KEYS, current=st.booleans())
    def delete(self, key: str, *, current: bool) -> None:
        if current and key in self.standing:
            self.store.delete(key, version=self.standing[key][0].version)
        else:
            self.store.delete(key)
        self.standing.pop(key, None)

    @rule(prefix=st.sampled_from(["", "a", "a/", "a/b", "a.", "é", "q"]))
    def lists(self, prefix: str) -> None:
        wanted = [info for key, (info, _) in self.standing.items() if key.startswith(prefix)]
        self.suite.assert_lists(self.store.list(prefix, metadata=True), wanted)

    @rule(key=_KEYS)
    def read(self, key: str) -> None:
        if key in self.standing:
            info, data = self.standing[key]
            assert self.store.get(key) == data
            self.suite.assert_same(self.store.head(key), info)
        else:
            assert self.store.head(key) is None

    @invariant()
    def has_the_same_keys(self) -> None:
        self.suite.assert_keys(keys(self.store), self.standing)

    def _wrote(self, info: ObjectInfo, data: bytes) -> None:
        """A version names exactly these bytes; written again they are another one, unless content names versions."""
        seen = self.versions.setdefault(info.key, {})
        assert seen.get(info.version, data) == data
        if not self.suite.versions_by_content:
            assert info.version not in seen
        self.standing[info.key] = (info, data)
        seen[info.version] = data
