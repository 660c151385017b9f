"""The settings, parsed and checked: frozen, comparable, and safe to print (secrets are references)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pagebind.config.place import shown
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Patterns:
    """What a subscription leaves out: gitignore patterns, compared without case.

    Attributes:
        lines: the patterns as written.

    Raises:
        ConfigError: from the constructor, for a pattern that git would not understand or that matches nothing.
    """

    lines: tuple[str, ...] = ()
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", _compile(self.lines) if self.lines else None)

    def match(self, relative_path: str, *, is_dir: bool) -> bool:
        """Whether the patterns leave out this path, given without a leading ``/``, or a folder above it."""
        if self._compiled is None:
            return False
        return bool(self._compiled.match_file((relative_path + "/" if is_dir else relative_path).lower()))


def _compile(lines: tuple[str, ...]) -> Any:
    # Here, not above: it costs start-up time, and most configurations have no patterns.
    from pathspec import GitIgnoreSpec

    for line in lines:
        try:
            patterns = GitIgnoreSpec.from_lines([line.lower()]).patterns
        except (ValueError, re.error) as error:
            raise ConfigError(f"{shown(line)} is not a gitignore pattern") from error
        if all(pattern.include is None for pattern in patterns):
            raise ConfigError(f"{shown(line)} matches nothing")
    return GitIgnoreSpec.from_lines(line.lower() for line in lines)


def _without_headers(record: Any) -> str:
    """A record for people: what its headers hold may be a secret."""
    shown = zip(record._fields, record, strict=True)
    return f"{type(record).__name__}({', '.join(f'{name}={value!r}' for name, value in shown if name != 'headers')})"


class SourceSettings(NamedTuple):
    """The server. Rates are per second, 0 is no limit; bandwidth is bytes per second; time-outs are seconds.

    ``token``, ``password`` and ``otp_secret`` are references for `Secrets.get`, ``username`` is plain text. All four
    None: a guest. ``allow_private``: links may lead from a public server to addresses of a private network.
    """

    url: str
    token: str | None
    username: str | None
    password: str | None
    otp_secret: str | None
    list_per_second: float
    downloads_per_second: float
    bandwidth: int
    concurrency: int
    headers: Mapping[str, str]
    connect_timeout: float
    read_timeout: float
    allow_private: bool = False

    def __repr__(self) -> str:
        return _without_headers(self)


class StoreSettings(NamedTuple):
    """Where everything on the way (``url``) and the finished books (``library``) are kept.

    Both are ``file:///folder``, ``gs://bucket/prefix`` or ``s3://bucket/prefix``, of one kind. The rest is for S3 and
    its relatives: ``endpoint`` and ``region`` may be None, ``addressing`` is ``auto``, ``path`` or ``virtual``,
    ``checksums`` and ``conditional_writes`` are ``auto``, ``on`` or ``off``.
    """

    url: str
    library: str
    endpoint: str | None = None
    region: str | None = None
    addressing: str = "auto"
    checksums: str = "auto"
    conditional_writes: str = "auto"

    @property
    def kind(self) -> str:
        """``file``, ``gs`` or ``s3``."""
        return self.url.partition(":")[0]

    @property
    def work_folder(self) -> Path:
        """The folder behind ``url``, where it is one."""
        return folder_of(self.url)

    @property
    def library_folder(self) -> Path:
        """The folder behind ``library``, where it is one."""
        return folder_of(self.library)

    @property
    def work_bucket(self) -> Bucket:
        """The bucket behind ``url``, where it is one."""
        return bucket_of(self.url)

    @property
    def library_bucket(self) -> Bucket:
        """The bucket behind ``library``, where it is one."""
        return bucket_of(self.library)


def folder_of(url: str) -> Path:
    """The folder that a ``file:///`` URL names."""
    return Path(unquote(urlsplit(url).path))


class Bucket(NamedTuple):
    """A place in an object store: ``prefix`` is empty or ends in ``/``."""

    name: str
    prefix: str


def bucket_of(url: str) -> Bucket:
    """The bucket and prefix that a ``gs://`` or ``s3://`` URL names."""
    name, _, path = url.partition("://")[2].partition("/")
    path = path.strip("/")
    return Bucket(name, f"{path}/" if path else "")


def parts_of(url: str) -> tuple[str, ...]:
    """The place that a store's URL names, as the names on the way down to it, from the root or the bucket on."""
    if url.startswith("file:"):
        return folder_of(url).parts
    name, prefix = bucket_of(url)
    return (name, *prefix.split("/")[:-1])


class PollSettings(NamedTuple):
    """When the server is looked at, and how much of it in one poll that hands out to a queue.

    ``interval``: seconds between two polls. ``budget``: seconds that one may take. ``listings``: folders that it may
    list; 0: no limit.
    """

    interval: float
    budget: float
    listings: int


class QueueSettings(NamedTuple):
    """The queues of Cloud Tasks, for the functions; without ``fetch`` there is none.

    Attributes:
        fetch, finalize: names, ``projects/P/locations/L/queues/Q``, or None.
        fetch_url, finalize_url: of the functions that do the tasks, or None.
        service_account: e-mail address of the account whose identity the calls carry, or None.
        max_attempts: so often does the queue of pages try each task.
    """

    fetch: str | None
    finalize: str | None
    fetch_url: str | None
    finalize_url: str | None
    service_account: str | None
    max_attempts: int


class BindSettings(NamedTuple):
    """When a volume is bound and when a page is given up; times are seconds."""

    settle: float
    give_up_epochs: int
    give_up_after: float
    keep_pages: bool


class Subscription(NamedTuple):
    """One watched path with its settings.

    Attributes:
        path: on the server, absolute, without a trailing ``/`` (the root is ``/``).
        exclude: what is left out; see `excluded`.
        layout: how folders become volumes; ``auto``, or a pattern for `parse_layout`.
        library: the book's key in the library, a template for `library_key`.
        series: of all its books, or None.
        strip: regular expressions of what is taken out of names.
        archives: what is done with archives; ``ignore`` or ``copy``.
        existing: what is done with a book that Pagebind did not make; ``keep``, ``adopt`` or ``replace``.
        language: of the books, or None.
        reading_direction: ``ltr``, ``rtl`` or None.
        reader: whose wishes for the numbers of volumes are followed; ``kavita``, ``komga`` or None.
        comicinfo: whether the books hold a ComicInfo.xml.
        hash: what a hash that differs from the listed one means; ``warn``, ``strict`` or ``off``.
        fix_extensions: whether pages get the suffix of what they really are.
        headers: sent with downloads, besides the source's.
        password: reference to the folder's password, or None.
        list_per_second: None is the source's value, here and in the two below.
        downloads_per_second: as `SourceSettings`.
        bandwidth: as `SourceSettings`.
    """

    path: str
    exclude: Patterns
    layout: str
    library: str
    series: str | None
    strip: tuple[str, ...]
    archives: str
    existing: str
    language: str | None
    reading_direction: str | None
    reader: str | None
    comicinfo: bool
    hash: str
    fix_extensions: bool
    headers: Mapping[str, str]
    password: str | None
    list_per_second: float | None
    downloads_per_second: float | None
    bandwidth: int | None

    def __repr__(self) -> str:
        return _without_headers(self)

    def excluded(self, relative_path: str, *, is_dir: bool) -> bool:
        """Whether the user leaves out this file or folder, given relative to ``path`` without a leading ``/``."""
        return self.exclude.match(relative_path, is_dir=is_dir)


class NotifySettings(NamedTuple):
    """Who is told, and what.

    Attributes:
        urls: references to addresses as Apprise takes them.
        on: what is worth a message; some of ``bound``, ``held``, ``failed`` and ``source``.
        limit: so many volumes of a kind does a message name; it counts the rest.
    """

    urls: tuple[str, ...] = ()
    on: tuple[str, ...] = ("bound", "held", "failed", "source")
    limit: int = 20


class HookSettings(NamedTuple):
    """A reader that is to scan its library after new books.

    Attributes:
        url: what is called, by POST.
        headers: references to the values of headers, by name.
        debounce: seconds that lie between two calls at least.
    """

    url: str
    headers: Mapping[str, str]
    debounce: float

    def __repr__(self) -> str:
        """Without what follows a ``?``, where some readers take their keys."""
        return f"HookSettings(url={self.address!r}, headers={self.headers!r}, debounce={self.debounce!r})"

    @property
    def address(self) -> str:
        """The URL without its query: what may be shown of it."""
        return self.url.partition("?")[0]


class Settings(NamedTuple):
    """Everything that the user configures."""

    source: SourceSettings
    store: StoreSettings
    poll: PollSettings
    queue: QueueSettings
    bind: BindSettings
    subscriptions: tuple[Subscription, ...]
    notify: NotifySettings = NotifySettings()
    hooks: tuple[HookSettings, ...] = ()

    @property
    def anybody_is_told(self) -> bool:
        """Whether there are people or readers to tell of news."""
        return bool(self.notify.urls or self.hooks)

    def headers_for(self, subscription: Subscription) -> dict[str, str]:
        """The headers of a subscription's downloads: the source's, where it does not set its own (without case)."""
        own = {name.lower() for name in subscription.headers}
        inherited = {name: value for name, value in self.source.headers.items() if name.lower() not in own}
        return {**inherited, **subscription.headers}
