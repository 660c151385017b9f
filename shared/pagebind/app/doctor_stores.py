"""Doctor's part for the stores: every right that a run needs, tried one by one with real operations."""

from __future__ import annotations

import uuid
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pagebind.errors import AccessDenied, ConditionFailed, PagebindError, StoreError
from pagebind.ports.store import ABSENT, StoredPart, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pagebind.ports.store import Condition, ObjectInfo, Part, Store

_PREFIX = "pagebind-doctor-"
_FIRST, _SECOND, _THIRD = b"pagebind", b"pagebind doctor", b"pagebind doctor, once more"
_HEAD, _TAIL = b"doctor: ", b"the stored part"
_METADATA = MappingProxyType({"made-by": "pagebind doctor"})
_ELSEWHERE = 'choose another place for it; on S3, leave conditional_writes and checksums at "auto"'
_MADE_UP_FOR = 'nothing has to be done; the README says more, under "Object storage"'
_LASTING = "try again; if it stays so, choose another place for it"


class Check(NamedTuple):
    """One line: ``status`` is ``ok``, ``warn`` or ``fail``."""

    name: str
    status: str
    detail: str
    fix: str = ""
    error: PagebindError | None = None


def check_stores(work: Store, library: Store, *, one_server: bool) -> Iterator[Check]:
    """One line for each store that has all it needs; else one for each right that is missing and for what it lacks.

    ``one_server``: both are kept by the same one. Then what is missing is told once for both, and where the server does
    not answer for work, it is not asked for the library.
    """
    nonce = uuid.uuid4().hex[:12]
    told: set[str] = set()
    first = _WorkTrial("store", work, f"{_PREFIX}{nonce}/", told)
    trials: list[_Trial] = [first]
    checks = first.checks()
    if one_server and first.silent:
        yield checks[0]._replace(detail=f"{checks[0].detail}; the library, which is kept there too, was not tried")
        yield from checks[1:]
    else:
        yield from checks
        told = told if one_server else set()
        second = _LibraryTrial("library", library, f"{_PREFIX}{nonce}", told, first)
        trials.append(second)
        yield from second.checks()
    lacking: set[str] = set()
    for trial in trials:
        for check in trial.lacking():
            if check.detail not in lacking:
                lacking.add(check.detail)
                yield check


class _Untrue(Exception):
    """The store allows what it must not, or forgets."""


class _Trial:
    """One store. Where a right is missing the others are tried all the same; where it is out of reach, nothing more.

    It is listed first, as a run does, and nothing is written where that fails: there are stores that make a bucket
    of any name that something is written to, and without credentials every other right would be missing, too.

    Args:
        name: of the lines.
        store: what is tried.
        prefix: begins the keys of all that is written.
        told: what to do about what was found before, which is not told again.

    Attributes:
        out_of_reach: it cannot be listed, or does not answer.
        silent: its server gives no usable answer.
    """

    _metadata: Mapping[str, str] = _METADATA

    def __init__(self, name: str, store: Store, prefix: str, told: set[str]) -> None:
        self._name = name
        self.store = store
        self.prefix = prefix
        self._key = prefix
        self._standing: ObjectInfo | None = None
        self._former: str | None = None
        self._expected = b""
        self._written: dict[str, Store] = {}
        self._found: list[Check] = []
        self._told = told
        self._surely: set[str] = set()
        self._error: PagebindError | None = None
        self.out_of_reach = False
        self.silent = False

    def checks(self) -> list[Check]:
        """Try everything, and remove what was written."""
        self._look_first()
        try:
            for what, step in self._steps():
                self._try(what, step)
        finally:
            self._clean()
        if self._error or self._found:
            return self._found
        return [Check(self._name, "ok", "can be written, replaced, listed, read and cleaned")]

    def lacking(self) -> Iterator[Check]:
        """What the store does without."""
        if not self.out_of_reach:
            with suppress(PagebindError):  # whatever is wrong has been told
                for line in self.store.lacks():
                    yield Check(self._name, "warn", line, _MADE_UP_FOR)

    def _look_first(self) -> None:
        self._try("listed", lambda: next(iter(self.store.list(self.prefix)), None))
        if self._error is not None:
            self.out_of_reach = True
            self.silent = not isinstance(self._error, AccessDenied)

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("written", self._create),
            ("written", self._refuse_to_create_again),
            ("replaced", self._replace),
            ("replaced", self._refuse_to_replace_another),
            ("listed", self._list),
            ("read", self._read),
            ("cleaned of unfinished writes", lambda: self.store.abandon(self._key)),
            ("cleaned", self._delete),
        ]

    def _write(self, data: bytes, condition: Condition) -> ObjectInfo:
        """Write the probe as a run writes here."""
        raise NotImplementedError

    def _content(self, data: bytes) -> bytes:
        """What `_write` makes of ``data``."""
        return data

    def _try(self, what: str, step: Callable[[], object]) -> None:
        if self.out_of_reach:
            return
        try:
            step()
        except _Untrue as untrue:
            self._found.append(Check(self._name, "fail", str(untrue), _ELSEWHERE))
        except PagebindError as error:
            self._error = error
            self.out_of_reach = self.silent = error.retryable
            what_to_do = error.fix or error.message
            if what_to_do not in self._told:  # the same right was missed before, or the same thing is in the way
                self._told.add(what_to_do)
                detail = f"cannot be {what}: {error.message}"
                self._found.append(Check(self._name, "fail", detail, error.fix or _LASTING, error))

    def _writing(self, key: str, store: Store, write: Callable[[], ObjectInfo]) -> ObjectInfo:
        """Write, and remember that it has to be removed: also where a signal comes or only the answer is lost."""
        stood = key in self._written
        self._written[key] = store
        try:
            info = write()
        except StoreError as error:
            if not stood and not error.retryable:
                del self._written[key]
            raise
        self._surely.add(key)
        return info

    def _put(self, data: bytes, condition: Condition) -> None:
        info = self._writing(self._key, self.store, lambda: self._write(data, condition))
        self._former = self._standing.version if self._standing else None
        self._standing, self._expected = info, self._content(data)

    def _create(self) -> None:
        self._put(_FIRST, ABSENT)

    def _refuse_to_create_again(self) -> None:
        if self._standing:
            with suppress(ConditionFailed):
                self._put(_SECOND, ABSENT)
                raise _Untrue("a write that must only create has replaced what stood there")

    def _replace(self) -> None:
        if self._standing:
            self._put(_THIRD, Version(self._standing.version))

    def _refuse_to_replace_another(self) -> None:
        if self._former:
            with suppress(ConditionFailed):
                self._put(_SECOND, Version(self._former))
                raise _Untrue("a write that must replace one version has replaced another one")

    def _list(self) -> None:
        listed = [info.key for info in self.store.list(self.prefix)]
        if self._standing and self._key not in listed:
            raise _Untrue("what was written is not listed")

    def _read(self) -> None:
        if self._standing is None:
            self.store.head(self._key)  # which tells whether it would be allowed
            return
        start, length = 2, 5
        read = b"".join(self.store.stream(self._key, start=start, length=length))
        described = self.store.head(self._key)
        metadata = (described and described.metadata) or {}
        if read != self._expected[start : start + length] or not self._metadata.items() <= metadata.items():
            raise _Untrue("what was written does not come back")

    def _delete(self) -> None:
        self.store.delete(self._key, version=self._standing.version if self._standing else None)
        self._written.pop(self._key, None)

    def _clean(self) -> None:
        """Remove what still stands, and say what cannot be removed."""
        if self._written and not self.out_of_reach:
            with suppress(StoreError):
                standing = [info.key for info in self.store.list(self.prefix)]
                self._written |= dict.fromkeys(standing, self.store)
                self._surely |= {*standing}
        left: list[str] = []
        error: StoreError | None = None
        for key, store in self._written.items():
            try:
                if error is None or not error.retryable:
                    store.delete(key)
                    continue
            except StoreError as refused:
                error = refused
            if key in self._surely:
                left.append(key)
        if left:
            told = f"{', '.join(left)} could not be removed"
            self._found.append(Check(self._name, "fail", told, "remove what doctor has left there", error))


class _WorkTrial(_Trial):
    """The store of what is on the way: single objects, and one that is put together from stored ones."""

    def __init__(self, name: str, store: Store, prefix: str, told: set[str]) -> None:
        super().__init__(name, store, prefix, told)
        self._key = f"{prefix}probe"

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        *steps, cleaning = super()._steps()
        return [*steps, ("used to put a book together", self._assemble), cleaning]

    def _write(self, data: bytes, condition: Condition) -> ObjectInfo:
        return self.store.put(self._key, data, condition=condition, metadata=self._metadata)

    def _assemble(self) -> None:
        if self._standing is None:
            return
        key, part = f"{self.prefix}whole", _part(self._standing, self._expected)
        self._writing(key, self.store, lambda: _assemble(self.store, key, [_HEAD, part], _HEAD + self._expected))
        if self.store.get(key) != _HEAD + self._expected:
            raise _Untrue("what was put together is not what it was put together from")


class _LibraryTrial(_Trial):
    """The store of books: everything in it is put together from what stands in work.

    The probe has no metadata: a library that gets something with metadata counts as one that has had a book.
    """

    _metadata: Mapping[str, str] = MappingProxyType({})

    def __init__(self, name: str, store: Store, prefix: str, told: set[str], work: _WorkTrial) -> None:
        super().__init__(name, store, prefix, told)
        self._work = work
        self._part: StoredPart | None = None

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [("written", self._stage), *super()._steps()]

    def _stage(self) -> None:
        """Have a part to publish; where work does not let us, which was told, go on without."""
        if self._work.out_of_reach:
            return
        work, key = self._work.store, f"{self._work.prefix}part"
        with suppress(StoreError):
            self._part = _part(self._writing(key, work, lambda: work.put(key, _TAIL)), _TAIL)

    def _content(self, data: bytes) -> bytes:
        return data + _TAIL if self._part else data

    def _write(self, data: bytes, condition: Condition) -> ObjectInfo:
        parts: list[Part] = [data, self._part] if self._part else [data]
        return _assemble(self.store, self._key, parts, self._content(data), condition)


def _part(info: ObjectInfo, content: bytes) -> StoredPart:
    return StoredPart(info.key, info.version, len(content), _crc32c(content))


def _assemble(store: Store, key: str, parts: list[Part], content: bytes, condition: Condition = ABSENT) -> ObjectInfo:
    return store.assemble(key, parts, crc32c=_crc32c(content), condition=condition, content_type="text/plain")


def _crc32c(content: bytes) -> int:
    import google_crc32c

    value: int = google_crc32c.value(content)
    return value
