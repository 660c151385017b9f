"""Google Cloud Storage: `GcsStore`, a bucket with a prefix.

- **Version**: the generation. Conditions are generation preconditions, which the store checks with the write itself.
- **Metadata**: the object's custom metadata, beside the content and written with it.
- **Putting together**: a tree of compose calls in work (see `gcs_compose`), proved by its CRC-32C, then copied inside
  the store by `rewrite` under the condition. No byte of a stored part passes through this process.

Every method makes one request, or one per page, piece, part or object where its docstring says so; repeating them is
`RetryingStore`'s business. Threads may share a client and its stores.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import google_crc32c
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from requests.adapters import HTTPAdapter

from pagebind.adapters.stores import gcs_errors
from pagebind.adapters.stores.gcs_compose import Composition, in_parallel, joined
from pagebind.adapters.stores.gcs_errors import Call, as_an_object, in_plain_words, refusal
from pagebind.adapters.stores.gcs_upload import Upload, decode_crc32c, pieces
from pagebind.adapters.stores.retrying import again, recognising
from pagebind.core.keys import is_key
from pagebind.errors import (
    AccessDenied,
    ConditionFailed,
    ConfigError,
    KeyMissing,
    KeyRefused,
    PartDamaged,
    StoreError,
)
from pagebind.ports.store import Absent, Condition, ObjectInfo, Part, StoredPart, Version

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_TIMEOUT: Final = (10.0, 20.0)
"""Seconds to connect, and between two bytes of an answer."""

_LONG: Final = (10.0, 60.0)
"""The same where the store has work to do, or much may still be on its way to it."""

_SMALL: Final = 64 * 1024  # bytes

_CHUNK: Final = 512 * 1024
_ONE_REQUEST: Final = 8 * 2**20  # bytes; a larger object goes up in pieces, which can be sent again one by one
_PAGE: Final = 1000  # objects; the most that one listing request gives
_DELETED_AT_ONCE: Final = 256
_LONGEST_NAME: Final = 1024  # bytes; cloud.google.com/storage/docs/objects#naming
_LARGEST_GENERATION: Final = 2**63 - 1
_BINARY: Final = "application/octet-stream"
_FIELDS: Final = "name,size,generation,timeCreated,crc32c"


def connect(*, connections: int) -> storage.Client:
    """A client with the default credentials; an anonymous one where `STORAGE_EMULATOR_HOST` names a server.

    Args:
        connections: kept open at once, at most.

    Raises:
        ConfigError: there are no credentials.
    """
    try:
        client = storage.Client(project=None)
    except (GoogleAuthError, OSError, ValueError) as error:
        raise ConfigError(
            f"Google Cloud Storage has no credentials to use: {gcs_errors.first_sentences(error)}",
            fix="run gcloud auth application-default login, or let GOOGLE_APPLICATION_CREDENTIALS name a key file",
        ) from error
    # For spans that nobody asked for it would look at the bucket behind our back: a thread, a read, another permission.
    client._bucket_metadata_cache = None  # noqa: SLF001
    adapter = HTTPAdapter(pool_connections=connections, pool_maxsize=connections)
    for scheme in ("https://", "http://"):
        _session(client).mount(scheme, adapter)
    return client


def _session(client: storage.Client) -> Any:
    """The requests session that signs requests; the library offers no streaming read and no uploads in pieces."""
    return client._http  # noqa: SLF001


class GcsStore:
    """A `Store` in a bucket, under ``prefix`` (empty, or ending in a slash).

    Without ``work`` it is a work store, with it the library whose work store is ``work``.
    """

    def __init__(self, client: storage.Client, bucket: str, prefix: str = "", *, work: GcsStore | None = None) -> None:
        self._client = client
        self._bucket = client.bucket(bucket)
        self._prefix = prefix
        self._work = work

    # -- writing

    def put(
        self, key: str, data: bytes, *, condition: Condition | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """See `Store.put`."""
        return self._put(key, data, condition, metadata, _BINARY)

    def put_stream(
        self,
        key: str,
        chunks: Iterator[bytes],
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """See `Store.put_stream`. More than one piece goes up by a resumable upload, a request each.

        Each request is repeated here: nobody else has the bytes.
        """
        upload: Upload | None = None
        for piece, last in pieces(chunks):
            if upload is None and last:
                put = partial(self._put, key, piece, condition, metadata, _BINARY)
                own = partial(self._own, key, len(piece), google_crc32c.value(piece), metadata)
                return again(recognising(put, own), f"put {key}")
            if upload is None:
                begin = partial(self._begin, key, condition, metadata, _BINARY)
                upload = again(begin, f"begin the upload of {key}")
            with self._writing(key, condition):
                made = upload.send(piece, last=last)
        return _listed(key, made, metadata=True)

    def _put(
        self,
        key: str,
        data: bytes,
        condition: Condition | None,
        metadata: Mapping[str, str] | None,
        content_type: str,
    ) -> ObjectInfo:
        """Write one object; the store refuses bytes that do not arrive as their CRC-32C says."""
        if len(data) > _ONE_REQUEST:
            upload = self._begin(key, condition, metadata, content_type)
            with self._writing(key, condition):
                return _listed(key, upload.send(data, last=True), metadata=True)
        blob = self._new_blob(key, metadata)
        match = _generation_to_match(key, condition)
        with self._writing(key, condition):
            blob.upload_from_string(
                data,
                content_type=content_type,
                if_generation_match=match,
                timeout=_TIMEOUT if len(data) <= _SMALL else _LONG,
                checksum="crc32c",
                retry=None,
            )
        return self._described(key, blob, gcs_errors.CREATE)

    def _begin(
        self, key: str, condition: Condition | None, metadata: Mapping[str, str] | None, content_type: str
    ) -> Upload:
        blob = self._new_blob(key, metadata)
        match = _generation_to_match(key, condition)
        with self._writing(key, condition):
            url = blob.create_resumable_upload_session(
                content_type=content_type, if_generation_match=match, timeout=_TIMEOUT, retry=None
            )
        return Upload(_session(self._client), url, self._call(key, gcs_errors.CREATE), _LONG)

    @contextmanager
    def _writing(self, key: str, condition: Condition | None) -> Iterator[None]:
        """As `_copying`, for a write that takes nothing from other objects: only the bucket can be missing."""
        try:
            with self._copying(key, condition):
                yield
        except KeyMissing as error:
            raise gcs_errors.no_bucket(self._call(key, gcs_errors.CREATE)) from error

    @contextmanager
    def _copying(self, key: str, condition: Condition | None) -> Iterator[None]:
        """As `in_plain_words`, for a write.

        An account that may create but not delete is forbidden to write where something stands, instead of being told
        that the condition fails.
        """
        call = self._call(key, gcs_errors.CREATE)
        try:
            with in_plain_words(call):
                yield
        except AccessDenied as error:
            if isinstance(condition, Absent) and self._stands(key):
                raise ConditionFailed(f"{call.place} stands already", path=key) from error
            raise

    def _stands(self, key: str) -> bool:
        """Whether something is seen to stand there."""
        try:
            return self.head(key) is not None
        except StoreError:
            return False

    # -- putting together

    def assemble(
        self,
        key: str,
        parts: Sequence[Part],
        *,
        crc32c: int,
        condition: Condition,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        """See `Store.assemble`. The condition is checked by the last request alone; a part counts under its version.

        Of n parts, bytes that follow each other being one, it takes ceil((n - 1) / 31) compose calls, a write for each
        that is bytes, and a rewrite. A single stored part is not composed, but its metadata is read.
        """
        _generation_to_match(key, condition)
        content_type = content_type or _BINARY
        pieced = joined(parts)
        if not any(isinstance(part, StoredPart) for part in pieced):
            data = b"".join(part for part in pieced if isinstance(part, bytes))
            if google_crc32c.value(data) != crc32c:
                raise PartDamaged.whole_differs(key)
            return self._put(key, data, condition, metadata, content_type)
        work = self._work or self
        with Composition(work, key, pieced) as composition:
            whole = composition.whole(crc32c)
            try:
                return self._publish(key, work, whole, condition, metadata, content_type)
            except (KeyMissing, ConditionFailed) as error:
                if isinstance(error, KeyMissing):
                    self._demand_bucket()
                composition.explain(error)
                raise

    def _demand_bucket(self) -> None:
        """After a 404 that may be about anything. Raises: NoBucket: there is none, as far as it can be found out."""
        try:
            self._page("", "", None, metadata=False)
        except gcs_errors.NoBucket:
            raise
        except StoreError:
            return

    def compose(self, key: str, sources: Sequence[StoredPart]) -> ObjectInfo:
        """Make a new object of up to 32 sources of this store, each under the version that it names; one request.

        Raises:
            KeyMissing, ConditionFailed: a source is not there (any more), or something stands under ``key``.
            StoreUnavailable: as for `put`.
        """
        blob = self._new_blob(key, None)
        blob.content_type = _BINARY
        generations = [_exactly(source.key, source.version) for source in sources]
        with in_plain_words(self._call(key, gcs_errors.CREATE)):
            blob.compose(
                [self._blob(source.key, each) for source, each in zip(sources, generations, strict=True)],
                timeout=_LONG,
                if_generation_match=0,
                if_source_generation_match=generations,
                retry=None,
            )
        return self._described(key, blob, gcs_errors.CREATE)

    def _publish(
        self,
        key: str,
        work: GcsStore,
        whole: StoredPart,
        condition: Condition,
        metadata: Mapping[str, str] | None,
        content_type: str,
    ) -> ObjectInfo:
        """Copy an object of work to its place, inside the store. Raises: KeyMissing: it is not there any more."""
        blob = self._new_blob(key, metadata)
        blob.content_type = content_type
        source = work._blob(whole.key)
        match, source_match = _generation_to_match(key, condition), _exactly(whole.key, whole.version)
        token: str | None = None

        def step() -> ObjectInfo | None:
            nonlocal token
            with self._copying(key, condition):
                token, _, _ = blob.rewrite(
                    source,
                    token=token,
                    if_generation_match=match,
                    if_source_generation_match=source_match,
                    timeout=_LONG,
                    retry=None,
                )
            return self._described(key, blob, gcs_errors.CREATE) if token is None else None

        own = partial(self._own, key, whole.size, whole.crc32c, metadata)
        while (done := again(recognising(step, own), f"publish {key}")) is None:
            pass
        return done

    def _own(self, key: str, size: int, crc32c: int, metadata: Mapping[str, str] | None) -> ObjectInfo | None:
        """What stands there, if it is what was to be written: then a request did that whose answer was lost."""
        found = again(partial(self.head, key), f"head {key}")
        wanted = (size, crc32c, dict(metadata or {}))
        alike = found is not None and (found.size, found.crc32c, dict(found.metadata or {})) == wanted
        return found if alike else None

    # -- reading

    def get(self, key: str) -> bytes:
        """See `Store.get`. Its CRC-32C is checked."""
        blob = self._blob(key)
        with in_plain_words(self._call(key, gcs_errors.GET)):
            data: bytes = blob.download_as_bytes(raw_download=True, timeout=_TIMEOUT, checksum="crc32c", retry=None)
        if blob.generation is None:
            raise gcs_errors.not_google(self._call(key, gcs_errors.GET))
        return data

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `Store.stream`. One request, whose answer is read as it is asked for."""
        url = f"{self._client.api_endpoint}/storage/v1{self._blob(key).path}"
        if length == 0:
            return
        headers = {"Accept-Encoding": "gzip"}  # as it is stored: nothing is unpacked on the way
        if start or length is not None:
            headers["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        call = self._call(key, gcs_errors.GET)
        with (
            in_plain_words(call),
            _session(self._client).get(
                url, params={"alt": "media"}, headers=headers, timeout=_TIMEOUT, stream=True
            ) as answer,
        ):
            if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # it begins at the end, or behind it
            if answer.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise refusal(call, answer.status_code, answer.text, answer.headers)
            if "X-Goog-Generation" not in answer.headers:
                raise gcs_errors.not_google(call)
            yield from answer.raw.stream(_CHUNK, decode_content=False)

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        blob = self._blob(key)
        try:
            with in_plain_words(self._call(key, gcs_errors.GET)):
                blob.reload(timeout=_TIMEOUT, retry=None)
        except KeyMissing:
            return None
        return self._described(key, blob, gcs_errors.GET)

    def list(self, prefix: str = "", *, metadata: bool = False, after: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`. One request for 1,000 objects; what else stands in the bucket is passed over."""
        token: str | None = None
        page = partial(self._page, prefix, after, metadata=metadata)
        while True:
            items, token = page(None) if token is None else again(partial(page, token), f"list {prefix}")
            items.reverse()
            while items:  # each is let go before the next is looked at: memory never holds two pages
                item = items.pop()
                key = item["name"].removeprefix(self._prefix)
                if key > after and is_key(key):
                    yield _listed(key, item, metadata=metadata)
            if token is None:
                return

    def _page(
        self, prefix: str, after: str, token: str | None, *, metadata: bool
    ) -> tuple[builtins.list[dict[str, Any]], str | None]:
        """Up to 1,000 objects as they came, and what the next page is asked by, if there is one."""
        found = self._client.list_blobs(
            self._bucket,
            prefix=self._prefix + prefix,
            start_offset=self._prefix + after if after else None,
            fields=f"items({_FIELDS},metadata),nextPageToken" if metadata else f"items({_FIELDS}),nextPageToken",
            page_size=_PAGE,
            page_token=token,
            timeout=_TIMEOUT,
            retry=None,
        )
        call = Call(self._bucket.name, None, gcs_errors.LIST)
        with in_plain_words(call), as_an_object(call):
            page = next(found.pages)
        return page.raw_page.get("items", []), found.next_page_token

    # -- removing

    def delete(self, key: str, *, version: str | None = None) -> None:
        """See `Store.delete`."""
        blob = self._blob(key)
        try:
            match = None if version is None else _exactly(key, version)
            with in_plain_words(self._call(key, gcs_errors.DELETE)):
                blob.delete(if_generation_match=match, timeout=_TIMEOUT, retry=None)
        except KeyMissing:
            return
        except ConditionFailed:
            if self.head(key) is not None:
                raise

    def delete_all(self, objects: Iterable[ObjectInfo]) -> None:
        """See `Store.delete_all`. One request each, several at a time: they are free, and batches are no faster."""
        left = iter(objects)
        while some := list(islice(left, _DELETED_AT_ONCE)):
            in_parallel(self._delete_exactly, some)

    def _delete_exactly(self, info: ObjectInfo) -> None:
        with suppress(KeyMissing, ConditionFailed), in_plain_words(self._call(info.key, gcs_errors.DELETE)):
            self._blob(info.key).delete(
                if_generation_match=_exactly(info.key, info.version), timeout=_TIMEOUT, retry=None
            )

    def abandon(self, key: str) -> None:
        """See `Store.abandon`: nothing. An unfinished upload is invisible, costs nothing and expires by itself."""

    def sweep(self) -> None:
        """See `Store.sweep`: nothing is left half-written that anybody sees."""

    def lacks(self) -> tuple[str, ...]:
        """See `Store.lacks`: nothing."""
        return ()

    # -- names

    def _blob(self, key: str, generation: int | None = None) -> Any:
        name = self._prefix + key
        if not is_key(key) or len(name.encode()) > _LONGEST_NAME or set(name) & {"\r", "\n"}:
            raise KeyRefused.of_no_key(key)
        return self._bucket.blob(name, generation=generation)

    def _new_blob(self, key: str, metadata: Mapping[str, str] | None) -> Any:
        blob = self._blob(key)
        blob.metadata = dict(metadata or {})
        return blob

    def _call(self, key: str, permission: str) -> Call:
        return Call(self._bucket.name, key, permission)

    def _described(self, key: str, blob: Any, permission: str) -> ObjectInfo:
        """What the store answered about one object. Raises: NotTheStore: nothing of the kind."""
        call = self._call(key, permission)
        with as_an_object(call):
            created: datetime | None = blob.time_created
        if created is None or blob.generation is None or blob.size is None:
            raise gcs_errors.not_google(call)
        return ObjectInfo(
            key,
            int(blob.size),
            str(blob.generation),
            created.timestamp(),
            dict(blob.metadata or {}),
            decode_crc32c(blob.crc32c),
        )


def _exactly(key: str, version: str) -> int:
    """The generation that a version names. Raises: ConditionFailed: no object can have it."""
    generation = int(version) if version.isascii() and version.isdigit() else 0
    if not 0 < generation <= _LARGEST_GENERATION:
        raise ConditionFailed(f"{key} never had the version {version!r}", path=key)
    return generation


def _generation_to_match(key: str, condition: Condition | None) -> int | None:
    """The precondition of a write; 0 stands for nothing. Raises: ConditionFailed: no object can fulfil it."""
    match condition:
        case None:
            return None
        case Version(version):
            return _exactly(key, version)
        case Absent():
            return 0


def _listed(key: str, item: Mapping[str, Any], *, metadata: bool) -> ObjectInfo:
    """The same of an object's resource as it came; with ten thousand of them blobs are too heavy."""
    return ObjectInfo(
        key,
        int(item["size"]),
        item["generation"],
        datetime.fromisoformat(item["timeCreated"]).timestamp(),
        item.get("metadata", {}) if metadata else None,
        decode_crc32c(item.get("crc32c")),
    )
