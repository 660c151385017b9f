"""What only a store in a folder has to be tried for: files, folders, and the file systems under them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import google_crc32c
import pytest
from tests.contracts.store_suite import keys

from pagebind.adapters.stores import trailer
from pagebind.adapters.stores.book_records import BookRecords
from pagebind.adapters.stores.folder import FolderStore
from pagebind.errors import ConditionFailed, PartDamaged, StoreError, StoreUnavailable
from pagebind.ports.store import ABSENT, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Begins to write, says so, and waits to be killed.
_WRITE_AND_HANG = """
import sys
from pathlib import Path
from pagebind.adapters.stores.folder import FolderStore

def chunks():
    yield bytes(100_000)
    print("written", flush=True)
    sys.stdin.read()

work = FolderStore(Path(sys.argv[1]))
store = FolderStore(Path(sys.argv[2]), work=work) if sys.argv[2:] else work
store.put_stream("folder/o", chunks())
"""


@pytest.fixture
def work(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "work")


@pytest.fixture
def library(tmp_path: Path, work: FolderStore) -> FolderStore:
    return FolderStore(tmp_path / "library", work=work)


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def records(work: FolderStore) -> list[dict[str, object]]:
    return [json.loads(work.get(key)) for key in keys(work, "meta/")]


class TestTrailer:
    CONTENTS: ClassVar = [
        b"",
        b"plain",
        trailer.MAGIC,
        b"x" + trailer.MAGIC,
        trailer.encode({"a": "b"}, content_end=b""),
    ]

    @pytest.mark.parametrize("metadata", [{}, {"k": "v"}, {"long": "x" * 5000}])
    @pytest.mark.parametrize("content", CONTENTS)
    def test_content_is_never_taken_for_a_trailer(
        self, work: FolderStore, content: bytes, metadata: dict[str, str]
    ) -> None:
        for split in range(len(content) + 1):
            work.put_stream("o", iter([content[:split], content[split:]]), metadata=metadata)

            assert work.get("o") == content
            head = work.head("o")
            assert head is not None
            assert (head.size, head.metadata) == (len(content), metadata)

    def test_an_object_without_metadata_is_a_plain_file(self, work: FolderStore) -> None:
        work.put("manifests/v/1.json", b"{}")
        assert (work.root / "manifests/v/1.json").read_bytes() == b"{}"

    def test_a_listing_without_metadata_opens_no_file(self, work: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
        put = work.put("o", b"content", metadata={"k": "v"})
        monkeypatch.setattr(os, "open", None)
        (info,) = work.list()
        assert (info.version, info.created, info.metadata) == (put.version, put.created, None)
        assert info.size >= put.size

    def test_a_damaged_trailer_reads_as_no_metadata(self, work: FolderStore) -> None:
        work.put("o", b"content", metadata={"key": "value"})
        file = work.root / "o"
        whole = file.read_bytes()
        damaged = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(7, len(whole))]
        damaged += [whole[:length] for length in range(7, len(whole))]
        damaged += [whole[-length:] for length in range(1, 16 + len('{"key":"value"}'))]
        for data in damaged:
            file.write_bytes(data)
            head = work.head("o")
            assert head is not None
            assert (head.size, head.metadata) == (len(data), {})
            assert [info.metadata for info in work.list(metadata=True)] == [{}]
            assert work.get("o") == data


class TestLibrary:
    def test_holds_nothing_but_books(self, library: FolderStore) -> None:
        library.put("S/b.cbz", b"book", metadata={"volume": "v"})
        assert files(library.root) == ["S/b.cbz"]
        assert (library.root / "S/b.cbz").read_bytes() == b"book"

    def test_a_book_is_recorded_before_it_is_seen(
        self, library: FolderStore, work: FolderStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[object] = []
        link, replace = os.link, Path.replace

        def spying_link(source: Path, target: Path) -> None:
            if target.suffix == ".cbz":
                seen.extend(record["metadata"] for record in records(work))
            link(source, target)

        def spying_replace(source: Path, target: Path) -> Path:
            seen.extend(record["metadata"] for record in records(work))
            return replace(source, target)

        monkeypatch.setattr(os, "link", spying_link)
        monkeypatch.setattr(Path, "replace", spying_replace)
        first = library.put("b.cbz", b"1", condition=ABSENT, metadata={"n": "1"})
        assert seen == [{"n": "1"}]
        library.put("b.cbz", b"2", condition=Version(first.version), metadata={"n": "2"})
        assert seen[1:] == [{"n": "1"}, {"n": "2"}]

    def test_superseded_records_are_removed_also_those_of_crashes(
        self, library: FolderStore, work: FolderStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = library.put("b.cbz", b"1", metadata={"n": "1"})
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", _raiser(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                library.put("b.cbz", b"2", condition=Version(first.version), metadata={"n": "2"})
        assert len(records(work)) == 2
        assert library.head("b.cbz") == first

        third = library.put("b.cbz", b"3", condition=Version(first.version), metadata={"n": "3"})
        assert [record["version"] for record in records(work)] == [third.version]

    def test_a_book_that_appears_at_the_last_moment_is_kept_and_leaves_no_record(
        self, library: FolderStore, work: FolderStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = os.link

        def link_too_late(source: Path, target: Path) -> None:
            if target.suffix == ".cbz":
                target.write_bytes(b"foreign")
            link(source, target)

        monkeypatch.setattr(os, "link", link_too_late)
        with pytest.raises(ConditionFailed):
            library.put("b.cbz", b"ours", condition=ABSENT, metadata={"n": "1"})
        assert files(library.root) == ["b.cbz"]
        assert library.get("b.cbz") == b"foreign"
        assert records(work) == []

    def test_a_book_replaced_while_it_is_looked_at_is_not_taken_for_a_foreign_one(
        self, library: FolderStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        library.put("b.cbz", b"1", metadata={"n": "1"})
        metadata = BookRecords.metadata

        def replaced_before(records: BookRecords, key: str, version: str) -> dict[str, str] | None:
            monkeypatch.undo()
            library.put("b.cbz", b"2", metadata={"n": "2"})
            return metadata(records, key, version)

        monkeypatch.setattr(BookRecords, "metadata", replaced_before)
        head = library.head("b.cbz")
        assert head is not None
        assert head.metadata == {"n": "2"}

    def test_foreign_and_changed_books_have_no_metadata(self, library: FolderStore) -> None:
        put = library.put("S/ours.cbz", b"ours", metadata={"n": "1"})
        (library.root / "S/foreign.pdf").write_bytes(b"foreign")
        (library.root / ".hidden").write_bytes(b"")
        assert [(info.key, info.metadata) for info in library.list(metadata=True)] == [
            (".hidden", {}),
            ("S/foreign.pdf", {}),
            ("S/ours.cbz", {"n": "1"}),
        ]
        (library.root / "S/ours.cbz").write_bytes(b"another")
        changed = library.head("S/ours.cbz")
        assert changed is not None
        assert (changed.metadata, changed.version == put.version) == ({}, False)

    def test_a_damaged_record_reads_as_no_metadata(self, library: FolderStore, work: FolderStore) -> None:
        library.put("b.cbz", b"1", metadata={"n": "1"})
        (key,) = keys(work, "meta/")
        for damage in (b"", b"[]", b'{"metadata": 1}', b"\xff"):
            work.put(key, damage)
            assert [info.metadata for info in library.list(metadata=True)] == [{}]

    def test_a_copy_that_keeps_whole_seconds_is_the_same_version(self, library: FolderStore, tmp_path: Path) -> None:
        put = library.put("b.cbz", b"book", metadata={"n": "1"})
        book = library.root / "b.cbz"
        seconds = int(book.stat().st_mtime)
        shutil.copy(book, tmp_path / "backup")
        os.utime(tmp_path / "backup", (seconds, seconds))
        (tmp_path / "backup").replace(book)
        assert library.head("b.cbz") == put

    def test_a_version_is_never_given_twice(self, library: FolderStore) -> None:
        seen = set()
        for round_ in range(4):
            for put in range(2):
                seen.add(library.put("b.cbz", b"%d" % put).version)
            library.delete("b.cbz")
            assert len(seen) == 2 * (round_ + 1)

    def test_a_library_that_vanished_is_not_taken_for_an_empty_one(self, library: FolderStore) -> None:
        assert list(library.list()) == []
        library.put("b.cbz", b"book", metadata={"volume": "b"})
        shutil.rmtree(library.root)
        calls: list[Callable[[], object]] = [
            lambda: list(library.list()),
            lambda: library.head("b.cbz"),
            lambda: library.get("b.cbz"),
            lambda: library.put("c.cbz", b"book"),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable, match="is not there any more"):
                call()
        assert not library.root.exists()

    def test_may_lie_inside_work(self, work: FolderStore) -> None:
        library = FolderStore(work.root / "library", work=work)
        put = library.put("S/b.cbz", b"book", metadata={"n": "1"})
        assert library.head("S/b.cbz") == put
        assert keys(library) == ["S/b.cbz"]


class TestLeftovers:
    def _killed(self, *roots: Path) -> None:
        """Begin to write into work, or into work's library, and die of SIGKILL."""
        words = [sys.executable, "-c", _WRITE_AND_HANG, *map(str, roots)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written\n"
            process.kill()

    def test_sweep_removes_what_a_killed_writer_left_in_work(self, tmp_path: Path) -> None:
        self._killed(tmp_path / "work")
        work = FolderStore(tmp_path / "work")
        assert [Path(file).parent.name for file in files(work.root)] == [".tmp"]
        assert keys(work) == []
        work.sweep()
        assert files(work.root) == []

    def test_sweep_removes_from_a_library_only_what_its_own_writers_left(self, tmp_path: Path) -> None:
        root = tmp_path / "library"
        self._killed(tmp_path / "work 1", root)
        self._killed(tmp_path / "work 2", root)
        assert len(files(root)) == 2
        for name in files(root):
            assert Path(name).suffix == ".part"
        library = FolderStore(root, work=FolderStore(tmp_path / "work 1"))
        library.put("b.cbz", b"book")
        assert keys(library) == ["b.cbz"]
        library.sweep()
        assert len(files(root)) == 2
        FolderStore(root, work=FolderStore(tmp_path / "work 2")).sweep()
        assert files(root) == ["b.cbz"]

    def test_sweep_finds_nothing_where_nothing_was_written(self, work: FolderStore, library: FolderStore) -> None:
        work.sweep()
        library.sweep()
        assert not work.root.exists()

    def test_failed_writes_leave_no_file(self, work: FolderStore, library: FolderStore) -> None:
        work.put("o", b"1", condition=ABSENT)
        with pytest.raises(ConditionFailed):
            work.put("o", b"2", condition=ABSENT)
        lost = StoredPart("never", "v", 1, 0)
        for store in (work, library):
            with pytest.raises(PartDamaged):
                store.assemble("b", [b"x", lost], crc32c=0, condition=ABSENT)
        assert files(work.root) == ["o"]
        assert files(library.root) == []

    def test_an_emptied_folder_is_removed(self, library: FolderStore) -> None:
        library.put("a/b/c.cbz", b"")
        library.put("a/d.cbz", b"")
        library.delete("a/b/c.cbz")
        assert sorted(path.name for path in library.root.rglob("*")) == ["a", "d.cbz"]
        library.delete("a/d.cbz")
        assert list(library.root.iterdir()) == []


class TestDurability:
    @pytest.fixture
    def synced(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        """What was synced, in order, as (device, inode); a link counts as (0, 0)."""
        seen = []
        fsync, link = os.fsync, os.link

        def spying_fsync(fd: int) -> None:
            found = os.fstat(fd)
            seen.append((found.st_dev, found.st_ino))
            fsync(fd)

        def spying_link(source: Path, target: Path) -> None:
            seen.append((0, 0))
            link(source, target)

        monkeypatch.setattr(os, "fsync", spying_fsync)
        monkeypatch.setattr(os, "link", spying_link)
        return seen

    def test_file_before_its_name_and_folder_after(self, work: FolderStore, synced: list[tuple[int, int]]) -> None:
        work.put("a/first", b"")
        synced.clear()
        work.put("a/o", b"content", condition=ABSENT)
        assert synced == [_identity(work.root / "a/o"), (0, 0), _identity(work.root / "a")]

    def test_new_folders_too(self, work: FolderStore, synced: list[tuple[int, int]]) -> None:
        work.put("a/b/o", b"content", condition=ABSENT)
        for folder in (work.root.parent, work.root, work.root / "a", work.root / "a/b"):
            assert _identity(folder) in synced

    def test_replacing_syncs_the_same(self, library: FolderStore, synced: list[tuple[int, int]]) -> None:
        library.put("a/b.cbz", b"1")
        synced.clear()
        library.put("a/b.cbz", b"2")
        own = [item for item in synced if item[1] in {_identity(path)[1] for path in library.root.rglob("*")}]
        assert own[0] == _identity(library.root / "a/b.cbz")
        assert own[-1] == _identity(library.root / "a")

    @pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
    def test_folders_that_cannot_be_synced_are_put_up_with(
        self, work: FolderStore, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        monkeypatch.setattr(os, "fsync", _failing_for_folders(number))
        work.put("a/o", b"content", condition=ABSENT)
        assert work.get("a/o") == b"content"

    def test_a_folder_whose_sync_fails_is_an_error(self, work: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "fsync", _failing_for_folders(errno.EIO))
        with pytest.raises(StoreUnavailable):
            work.put("a/o", b"content", condition=ABSENT)


class TestTroubles:
    @pytest.mark.parametrize(
        ("number", "message", "fix"),
        [
            (errno.ENOSPC, "is full", "free some space"),
            (errno.EDQUOT, "is full", "free some space"),
            (errno.EROFS, "is not writable", "let the user"),
            (errno.EACCES, "is not writable", "let the user"),
            (errno.EIO, "cannot be used", "check that the disk"),
        ],
    )
    def test_says_in_one_line_why_it_cannot_write(
        self, work: FolderStore, monkeypatch: pytest.MonkeyPatch, number: int, message: str, fix: str
    ) -> None:
        work.put("o", b"1")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", _raiser(OSError(number, os.strerror(number))))
            with pytest.raises(StoreUnavailable) as caught:
                work.put("o", b"2")
        assert str(work.root) in caught.value.message
        assert message in caught.value.message
        assert caught.value.fix.startswith(fix)
        assert "\n" not in caught.value.message
        assert files(work.root) == [".lock", "o"]
        assert work.get("o") == b"1"

    def test_says_that_it_may_not_read(self, work: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
        work.put("o", b"1")
        monkeypatch.setattr(os, "open", _raiser(PermissionError(errno.EACCES, "Permission denied")))
        with pytest.raises(StoreUnavailable, match="may not be read"):
            work.get("o")

    def test_an_error_of_the_source_is_not_the_store_s(self, work: FolderStore) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"x"
            raise OSError(errno.ENOSPC, "the source's disk")

        with pytest.raises(OSError, match="the source's disk"):
            work.put_stream("o", chunks())

    def test_a_read_only_file_system(self, mount: Callable[..., Path]) -> None:
        root = mount("-t", "tmpfs", "-o", "size=1m,ro", "none")
        assert list(FolderStore(root).list()) == []
        with pytest.raises(StoreUnavailable, match="is not writable"):
            FolderStore(root).put("o", b"1")

    def test_a_full_disk_leaves_what_was_there(self, mount: Callable[..., Path]) -> None:
        work = FolderStore(mount("-t", "tmpfs", "-o", "size=1m", "none"))
        old = work.put("o", bytes(400_000), metadata={"n": "1"})
        for condition in (None, Version(old.version)):
            with pytest.raises(StoreUnavailable, match="is full"):
                work.put("o", bytes(900_000), condition=condition)
        with pytest.raises(StoreUnavailable, match="is full"):
            work.put_stream("new", iter([bytes(100_000)] * 9), condition=ABSENT)
        assert list(work.list(metadata=True)) == [old]
        assert not list((work.root / ".tmp").iterdir())

    def test_file_and_folder_in_each_other_s_way(self, work: FolderStore) -> None:
        work.put("a/b", b"")
        for key in ("a", "a/b/c"):
            for condition in (None, ABSENT):
                with pytest.raises(StoreUnavailable, match="in each other's way"):
                    work.put(key, b"", condition=condition)

    def test_a_name_too_long(self, work: FolderStore) -> None:
        with pytest.raises(StoreUnavailable, match="too long"):
            work.put("n" * 300, b"")

    def test_its_own_files_are_no_keys(self, work: FolderStore, library: FolderStore) -> None:
        for key in (".tmp/o", ".lock", ".Run.Lock"):
            with pytest.raises(StoreError, match="is no key"):
                work.put(key, b"")
        with pytest.raises(StoreError, match="is no key"):
            library.put(".pagebind-0-1.part", b"")
        assert library.put(".hack/.tmp.cbz", b"").key == ".hack/.tmp.cbz"


class TestOddFolders:
    def test_files_that_vanish_while_it_lists(self, work: FolderStore) -> None:
        for key in ("a", "b", "c/d", "e"):
            work.put(key, b"")
        for metadata in (False, True):
            listing = work.list(metadata=metadata)
            assert next(listing).key == "a"
            work.delete("b")
            work.delete("c/d")
            assert [info.key for info in listing] == ["e"]

    def test_links_that_lead_back_end(self, library: FolderStore) -> None:
        library.put("a/b.cbz", b"")
        (library.root / "a/back").symlink_to(library.root, target_is_directory=True)
        (library.root / "dangling").symlink_to("nowhere")
        assert keys(library) == ["a/b.cbz"]

    def test_follows_links_to_other_folders(self, library: FolderStore, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/b.cbz").write_bytes(b"book")
        library.root.mkdir()
        (library.root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        assert keys(library, "linked/") == ["linked/b.cbz"]
        assert library.get("linked/b.cbz") == b"book"

    def test_names_of_other_systems(self, library: FolderStore) -> None:
        library.root.mkdir()
        (library.root / "cafe\u0301.cbz").write_bytes(b"")
        Path(os.fsdecode(os.fsencode(library.root) + b"/\xff\xfe.cbz")).write_bytes(b"")
        assert keys(library) == ["caf\u00e9.cbz"]

    def test_times_in_steps_of_two_seconds(self, work: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
        utime = os.utime

        def coarse(path: Path, *, ns: tuple[int, int]) -> None:
            utime(path, ns=(ns[0] // 2_000_000_000 * 2_000_000_000,) * 2)

        monkeypatch.setattr(os, "utime", coarse)
        library = FolderStore(work.root.parent / "coarse", work=work)
        for store in (work, library):
            assert len({store.put("o", bytes([i])).version for i in range(4)}) == 4

    def test_files_whose_times_are_another_s(self, work: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "utime", _raiser(PermissionError(errno.EPERM, "Operation not permitted")))
        assert work.put("o", b"1", condition=ABSENT).size == 1
        monkeypatch.setattr(os, "fstat", lambda _fd: (work.root / "o").stat())
        with pytest.raises(StoreUnavailable, match="same time of change"):
            work.put("o", b"2")
        assert work.get("o") == b"1"

    def test_a_bad_sector_is_a_damaged_part(
        self, work: FolderStore, library: FolderStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put = work.put("staging/1", b"one")
        part = StoredPart(put.key, put.version, 3, google_crc32c.value(b"one"))
        monkeypatch.setattr(os, "read", _raiser(OSError(errno.EIO, "Input/output error")))
        with pytest.raises(PartDamaged) as caught:
            library.assemble("b.cbz", [part], crc32c=part.crc32c, condition=ABSENT)
        assert caught.value.path == "staging/1"

    def test_a_file_system_that_ignores_case(self, vfat: Path) -> None:
        work = FolderStore(vfat / "work")
        library = FolderStore(vfat / "library", work=work)
        for store in (work, library):
            first = store.put("S/a.cbz", b"1", condition=ABSENT, metadata={"n": "1"})
            with pytest.raises(ConditionFailed):
                store.put("S/A.cbz", b"2", condition=ABSENT)
            assert keys(store, "S") == ["S/a.cbz"]
            second = store.put("S/a.cbz", b"2", condition=Version(first.version), metadata={"n": "2"})
            assert second.version != first.version
            assert store.head("S/a.cbz") == second


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _raiser(error: BaseException) -> Callable[..., None]:
    def act(*_: object, **__: object) -> None:
        raise error

    return act


def _failing_for_folders(number: int) -> Callable[[int], None]:
    fsync = os.fsync

    def act(fd: int) -> None:
        if os.path.isdir(f"/dev/fd/{fd}"):  # noqa: PTH112 - a descriptor, not a path
            raise OSError(number, os.strerror(number))
        fsync(fd)

    return act


def test_a_library_that_is_being_made_is_not_taken_for_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FolderStore(tmp_path / "library", work=FolderStore(tmp_path / "work"))

    def recorded_meanwhile(_: object) -> bool:
        library.root.mkdir()
        return True

    monkeypatch.setattr("pagebind.adapters.stores.book_records.BookRecords.any", recorded_meanwhile)
    assert library.head("books/b") is None
