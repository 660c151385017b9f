"""What every object store has to keep of the promises in `pagebind.ports.store`.

A backend's test subclasses `StoreSuite` and gives it a ``store`` fixture (and ``work``, where the store takes the parts
of `assemble` from another one). Every test finds the store as it was left by others: keys are the test's own.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, ClassVar, TypeVar

import google_crc32c
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pagebind.errors import ConditionFailed, KeyMissing, PagebindError, PartDamaged, StoreError
from pagebind.ports.store import ABSENT, ObjectInfo, Store, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
METADATA = {"crc32c": "c1d0ba1e", "note": 'page 1: 進撃 \U0001f98a "quoted"\n', "empty": ""}


class BrokenSourceError(Exception):
    """What a source of bytes raises in the middle."""


def crc32c(data: bytes) -> int:
    return int(google_crc32c.value(data))


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def parts_of(work: Store, contents: dict[str, bytes]) -> list[StoredPart]:
    """Put these into the work store, and say so as parts."""
    return [
        StoredPart(key, work.put(key, data, metadata={"part": key}).version, len(data), crc32c(data))
        for key, data in contents.items()
    ]


class StoreSuite:
    large: ClassVar[int] = 20 * MEBIBYTE
    many: ClassVar[int] = 2500  # more than any backend lists at once, twice

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def work(self, store: Store) -> Store:
        return store

    # -- one object

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_gives_back_what_was_put_under_any_key(self, store: Store, key: str) -> None:
        put = store.put(key, b"content", metadata=METADATA)

        assert store.get(key) == b"content"
        assert store.head(key) == ObjectInfo(key, 7, put.version, put.created, METADATA, put.crc32c)
        assert list(store.list(key, metadata=True)) == [store.head(key)]
        assert keys(store, key[:-1]) == [key]

    @pytest.mark.parametrize(
        "key", ["", "/", "/a", "a/", "a//b", ".", "a/./b", "../a", "a/..", "a\0b", "a\\b", "\ud800"]
    )
    def test_refuses_what_is_no_key(self, store: Store, key: str) -> None:
        for call in (store.get, store.head, store.delete, lambda key: store.put(key, b"")):
            with pytest.raises(StoreError):
                call(key)

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
        assert store.head("o") == first

    def test_create_only_works_again_after_a_delete(self, store: Store) -> None:
        first = store.put("o", b"1", condition=ABSENT, metadata={"n": "1"})
        store.delete("o")
        second = store.put("o", b"2", condition=ABSENT, metadata={"n": "2"})

        assert second.version != first.version
        assert store.head("o") == second

    def test_each_replacement_is_another_version(self, store: Store) -> None:
        versions = [store.put("o", bytes([i]), metadata={"i": str(i)}).version for i in range(5)]

        assert len(set(versions)) == 5
        assert store.get("o") == b"\x04"
        head = store.head("o")
        assert head is not None
        assert (head.version, head.metadata) == (versions[-1], {"i": "4"})

    def test_replaces_exactly_the_version_named(self, store: Store) -> None:
        first = store.put("o", b"1")
        second = store.put("o", b"2", condition=Version(first.version), metadata={"n": "2"})

        for version in (first.version, "nonsense", ""):
            with pytest.raises(ConditionFailed):
                store.put("o", b"3", condition=Version(version))
            with pytest.raises(ConditionFailed):
                store.put_stream("o", iter([b"3"]), condition=Version(version))
        assert store.head("o") == second
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
        for key in random.Random(2).sample(wanted, len(wanted)):
            store.put(key, b"")

        assert keys(store) == sorted(wanted)
        assert keys(store, "a/") == ["a/b", "a/b.c", "a/c/d", "a/c0"]

    @pytest.mark.parametrize(
        ("prefix", "found"),
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
    def test_a_prefix_may_end_anywhere(self, store: Store, prefix: str, found: list[str]) -> None:
        for key in ("v/1/2", "v/10", "v/1.r.json", "vw/1", "w"):
            store.put(key, b"")

        assert keys(store, prefix) == found

    @pytest.mark.parametrize("prefix", ["", "a", "aa", "aa/", "aa/c", "b"])
    def test_lists_from_behind_a_key_that_need_not_be_there(self, store: Store, prefix: str) -> None:
        there = sorted(["a", "a!", "a-b/x", "a.b", "a.b.c/d", "aa/!", "aa/b", "aa/b.c", "aa/c/d", "aa/c0", "b", "字/z"])
        for key in there:
            store.put(key, b"", metadata=METADATA)

        for after in [
            "",
            *there,
            *(key + "!" for key in there),
            "a",
            "a-b",
            "a-b/",
            "aa/",
            "aa/c",
            "aa/c/",
            "字",
            "🦊",
        ]:
            wanted = [key for key in there if key.startswith(prefix) and key > after]
            assert [info.key for info in store.list(prefix, after=after)] == wanted
            assert [info.metadata for info in store.list(prefix, after=after, metadata=True)] == [METADATA] * len(
                wanted
            )

    def test_lists_thousands_with_version_and_time(self, store: Store) -> None:
        wanted = [f"many/{i:05}" for i in range(self.many)]
        with ThreadPoolExecutor(8) as pool:
            put = list(pool.map(lambda key: store.put(key, key.encode()), wanted))

        assert list(store.list("many/", metadata=True)) == put
        listed = list(store.list("many/"))
        assert [(info.key, info.version, info.created) for info in listed] == [
            (info.key, info.version, info.created) for info in put
        ]
        assert {tuple((info.metadata or {}).items()) for info in listed} == {()}

    def test_what_is_deleted_is_listed_no_more(self, store: Store) -> None:
        for key in ("a/1", "a/2", "b/c/d"):
            store.put(key, b"")
        store.delete("a/1")
        store.delete("b/c/d")

        assert keys(store) == ["a/2"]

    # -- assembling

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
        head = store.head("books/b.cbz")
        assert head is not None
        assert (head.version, head.created, head.metadata) == (made.version, made.created, METADATA)
        assert work.get("staging/1") == b"one" * 700_000

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
            pytest.param(lambda work: work.put("staging/2", b"twO"), id="other bytes"),
            pytest.param(lambda work: work.put("staging/2", b"tw"), id="shorter"),
            pytest.param(lambda work: work.put("staging/2", b"two!"), id="longer"),
        ],
    )
    @pytest.mark.parametrize("replacing", [False, True])
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

    def test_a_whole_that_differs_is_not_published(self, store: Store, work: Store) -> None:
        parts = parts_of(work, {"staging/1": b"one", "staging/2": b"two"})

        with pytest.raises(PartDamaged):
            store.assemble("books/b", [*reversed(parts)], crc32c=crc32c(b"onetwo"), condition=ABSENT)
        assert keys(store, "books/") == []

    def test_assembles_only_under_its_condition(self, store: Store, work: Store) -> None:
        parts = parts_of(work, {"staging/1": b"one"})
        stale = store.put("books/b", b"1").version
        standing = store.put("books/b", b"2", metadata=METADATA)

        for key, condition in (("books/b", ABSENT), ("books/b", Version(stale)), ("books/c", Version(stale))):
            with pytest.raises(ConditionFailed) as caught:
                store.assemble(key, parts, crc32c=crc32c(b"one"), condition=condition, metadata={"mine": "yes"})
            assert caught.value.path == key
        assert store.head("books/b") == standing
        assert keys(store, "books/") == ["books/b"]

    def test_an_assembled_object_can_be_a_part(self, store: Store, work: Store) -> None:
        first, second = parts_of(work, {"staging/1": b"one", "staging/2": b"two"})
        made = work.assemble("staging/12", [first, second], crc32c=crc32c(b"onetwo"), condition=ABSENT)
        assert made.crc32c is not None

        whole = StoredPart(made.key, made.version, made.size, made.crc32c)
        store.assemble("books/b", [whole, b"!"], crc32c=crc32c(b"onetwo!"), condition=ABSENT)

        assert store.get("books/b") == b"onetwo!"

    # -- many at once

    def test_of_five_creators_exactly_one_wins(self, store: Store) -> None:
        for round_ in range(10):
            key = f"race/{round_}"
            won = [info for info in self._race(5, partial(_try_put, store, key)) if info]

            assert len(won) == 1
            assert store.head(key) == won[0]
            assert store.get(key).decode() == (won[0].metadata or {})["worker"]

    def test_five_workers_comparing_and_swapping_lose_no_step(self, store: Store) -> None:
        store.put("counter", b"0")

        def count(_worker: int) -> None:
            done = 0
            while done < 6:
                head = store.head("counter")
                assert head is not None
                value = int(store.get("counter"))
                try:
                    store.put("counter", b"%d" % (value + 1), condition=Version(head.version))
                except ConditionFailed:
                    continue
                done += 1

        self._race(5, count)

        assert store.get("counter") == b"30"

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
        head = store.head("books/b")
        assert head is not None
        assert (head.version, head.metadata) == (won[0].version, won[0].metadata)
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
            lambda: StoreMachine(store),  # type: ignore[arg-type] # a factory does as well
            settings=settings(
                max_examples=25,
                stateful_step_count=20,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_sweep_leaves_objects_alone(self, store: Store) -> None:
        put = store.put("o", b"content", metadata=METADATA)
        store.sweep()
        assert store.head("o") == put
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

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.standing: dict[str, tuple[ObjectInfo, bytes]] = {}
        self.versions: dict[str, set[str]] = {}

    def teardown(self) -> None:
        for info in list(self.store.list()):
            self.store.delete(info.key)

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
            return
        with pytest.raises(ConditionFailed):
            act()

    @rule(key=_KEYS, data=_DATA, choice=st.randoms(use_true_random=False))
    def replace(self, key: str, data: bytes, choice: random.Random) -> None:
        known = sorted(self.versions.get(key, set())) or ["never"]
        version = choice.choice(known)
        if key in self.standing and self.standing[key][0].version == version:
            self._wrote(self.store.put(key, data, condition=Version(version)), data)
            return
        with pytest.raises(ConditionFailed):
            self.store.put(key, data, condition=Version(version))

    @rule(key=_KEYS, current=st.booleans())
    def delete(self, key: str, *, current: bool) -> None:
        if current and key in self.standing:
            self.store.delete(key, version=self.standing[key][0].version)
        else:
            self.store.delete(key)
        self.standing.pop(key, None)

    @rule(prefix=st.sampled_from(["", "a", "a/", "a/b", "a.", "é", "q"]))
    def lists(self, prefix: str) -> None:
        wanted = [self.standing[key][0] for key in sorted(self.standing) if key.startswith(prefix)]
        assert list(self.store.list(prefix, metadata=True)) == wanted

    @rule(key=_KEYS)
    def read(self, key: str) -> None:
        if key in self.standing:
            assert self.store.get(key) == self.standing[key][1]
            assert self.store.head(key) == self.standing[key][0]
        else:
            assert self.store.head(key) is None

    @invariant()
    def has_the_same_keys(self) -> None:
        assert keys(self.store) == sorted(self.standing)

    def _wrote(self, info: ObjectInfo, data: bytes) -> None:
        assert info.key not in self.standing or self.standing[info.key][0].version != info.version
        self.standing[info.key] = (info, data)
        self.versions.setdefault(info.key, set()).add(info.version)
