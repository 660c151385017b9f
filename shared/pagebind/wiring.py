"""The composition root: settings become ports. The only place that chooses a backend, and it imports lazily."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.adapters.clock import SystemClock
from pagebind.adapters.installed import installed
from pagebind.adapters.secrets import KeptSecrets
from pagebind.adapters.stores.folder import FolderStore
from pagebind.core.keys import digest
from pagebind.core.layout import AUTO
from pagebind.core.planner import Policy
from pagebind.core.watch import Watch
from pagebind.errors import ConfigError, KeyMissing, StoreError, StoreUnavailable
from pagebind.ports.progress import Progress, Silent
from pagebind.ports.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pagebind.adapters.alist import Credentials
    from pagebind.adapters.dispatch.cloud_tasks import CloudTasksDispatch
    from pagebind.adapters.dispatch.local import HandleFetch, HandleFinalize, LocalDispatch
    from pagebind.adapters.notify.apprise import AppriseNotifier
    from pagebind.adapters.notify.hook import HttpHook
    from pagebind.adapters.stores.run_lock import RunLock
    from pagebind.app.notices import News
    from pagebind.app.plan import Rates
    from pagebind.app.poll import Poll
    from pagebind.config import Settings, SourceSettings, StoreSettings, Subscription
    from pagebind.core.layout import Layout
    from pagebind.ports.dispatch import Dispatch
    from pagebind.ports.secrets import Secrets
    from pagebind.ports.source import Source
    from pagebind.ports.store import Store

_WORKERS = 1.5
"""Threads for each download that may be under way: while some check and write a page, others keep the server busy."""

_PAGES_PER_WORKER = 2.0
"""Without a rate, so many pages a second are expected of each download under way."""

_STORE_CONNECTIONS = 16
"""Connections to an object store besides those of the downloads: what a book is put together by."""


_THIS_STORE = "this kind of store needs"


class Parts(NamedTuple):
    """Everything that the use cases are made of."""

    settings: Settings
    source: Source
    work: Store
    library: Store
    clock: SystemClock
    watches: tuple[Watch, ...]
    policy: Policy
    progress: Progress
    secrets: Secrets

    def poll(self, dispatch: Dispatch, *, write: bool) -> Poll:
        """A poll over these parts; without ``write`` it only plans."""
        from pagebind.app.poll import Poll

        return Poll(
            self.source,
            self.work,
            self.library,
            dispatch,
            self.clock,
            self.progress,
            watches=self.watches,
            policy=self.policy,
            interval=self.settings.poll.interval,
            concurrency=self.settings.source.concurrency,
            write=write,
        )

    def plan(self) -> Poll:
        """A poll that changes nothing; its queue is never used."""
        return self.poll(self.local_dispatch(_never, _never), write=False)

    def local_dispatch(self, fetch: HandleFetch, finalize: HandleFinalize) -> LocalDispatch:
        """A queue in this process."""
        from pagebind.adapters.dispatch.local import LocalDispatch

        return LocalDispatch(
            fetch, finalize, self.clock, workers=math.ceil(_WORKERS * self.settings.source.concurrency)
        )

    def cloud_dispatch(self, config: str) -> CloudTasksDispatch:
        """The queues of the settings. ``config``: digest of the configuration that the tasks are made by."""
        from pagebind.adapters.dispatch.cloud_tasks import CloudTasksDispatch, Queues

        queue = self.settings.queue
        places = (queue.fetch, queue.finalize, queue.fetch_url, queue.finalize_url, queue.service_account)
        return CloudTasksDispatch(Queues(*(place or "" for place in places)), self.clock, config=config)

    def news(self) -> News | None:
        """Who is told, and of what; None: nobody, of nothing."""
        if not self.settings.anybody_is_told:
            return None
        from pagebind.app.notices import News

        chosen = self.settings.notify
        told = notifiers(self.settings, self.secrets)
        return News(told, hooks(self.settings, self.secrets), chosen.on, chosen.limit)

    def run_lock(self, on_wait: Callable[[], None]) -> AbstractContextManager[None]:
        """The lock that lets one run at a time work on this store."""
        return run_lock(self.settings).acquire(on_wait)


def build(
    settings: Settings,
    env: Mapping[str, str],
    progress: Progress | None = None,
    *,
    durable: bool = False,
    check_secrets: bool = True,
) -> Parts:
    """Make the parts that the settings ask for. Neither server nor store is contacted yet.

    Args:
        settings: of the user.
        env: where ``env:`` secrets are looked up.
        progress: is told what happens; None: nobody is.
        durable: tasks go to a queue that outlives this process.
        check_secrets: look every secret up once, so that a wrong reference shows now and not in the middle of the work;
            without it none is, before the work needs it.

    Raises:
        ConfigError: a secret's reference leads nowhere.
        SecretsUnavailable: a secret cannot be looked up now.
        StoreUnavailable: a file stands where a folder should be.
    """
    clock = SystemClock()
    secrets = KeptSecrets(env, clock)
    work, library = stores(settings)
    if check_secrets:
        for reference in _references(settings):
            secrets.get(reference)
    return Parts(
        settings,
        source(settings, secrets, clock),
        work,
        library,
        clock,
        tuple(watch(settings, subscription, secrets) for subscription in settings.subscriptions),
        policy(settings)._replace(durable=durable),
        progress or Silent(),
        secrets,
    )


def _references(settings: Settings) -> Iterator[str]:
    chosen = settings.source
    folders = (subscription.password for subscription in settings.subscriptions)
    return (it for it in (chosen.token, chosen.password, chosen.otp_secret, *folders) if it is not None)


def _never(*_: object) -> None:
    raise AssertionError("a plan hands nothing out")


def stores(settings: Settings) -> tuple[Store, Store]:
    """Work and library.

    Raises:
        ConfigError: the chosen store's library is not installed, or finds no credentials.
        StoreUnavailable: a file stands where a folder should be; read, it would look like an empty store.
    """
    match settings.store.kind:
        case "gs":
            return _gcs_stores(settings.store, _connections(settings))
        case "s3":
            return _s3_stores(settings.store, _connections(settings))
        case _:
            return _folder_stores(settings)


def _folder_stores(settings: Settings) -> tuple[Store, Store]:
    for folder in (settings.store.work_folder, settings.store.library_folder):
        if folder.exists() and not folder.is_dir():
            raise StoreUnavailable(
                f"{folder} is a file, not a folder", fix="move it away, or change [store]", path=str(folder)
            )
    work = FolderStore(settings.store.work_folder)
    return work, FolderStore(settings.store.library_folder, work=work)


def _gcs_stores(chosen: StoreSettings, connections: int) -> tuple[Store, Store]:
    with installed("gcs", _THIS_STORE):
        from pagebind.adapters.stores.gcs import GcsStore, connect
    from pagebind.adapters.stores.retrying import RetryingStore

    client = connect(connections=connections)
    work = GcsStore(client, *chosen.work_bucket)
    return RetryingStore(work), RetryingStore(GcsStore(client, *chosen.library_bucket, work=work))


def _s3_stores(chosen: StoreSettings, connections: int) -> tuple[Store, Store]:
    with installed("s3", _THIS_STORE):
        from pagebind.adapters.stores.s3 import S3Store, connect
    from pagebind.adapters.stores.retrying import RetryingStore

    client = connect(
        endpoint=chosen.endpoint,
        region=chosen.region,
        addressing=chosen.addressing,
        checksums=chosen.checksums,
        connections=connections,
    )
    conditions = chosen.conditional_writes
    work = S3Store(client, *chosen.work_bucket, conditional_writes=conditions)
    library = S3Store(client, *chosen.library_bucket, work=work, conditional_writes=conditions)
    return RetryingStore(work), RetryingStore(library)


def _connections(settings: Settings) -> int:
    """So many requests to the store may be under way at once."""
    return math.ceil(_WORKERS * settings.source.concurrency) + _STORE_CONNECTIONS


def run_lock(settings: Settings) -> RunLock:
    """The lock that lets one run at a time of this machine work on the store.

    A folder holds it itself; for a bucket it lies in the user's state folder, where that can be written.
    """
    from pagebind.adapters.stores.run_lock import RUN_LOCK, RunLock

    store = settings.store
    if store.kind == "file":
        return RunLock(store.work_folder / RUN_LOCK)
    from platformdirs import user_state_path

    name = digest(f"{_server_of(store)}\0{store.url}", 32)
    return RunLock(user_state_path("pagebind", appauthor=False) / f"{name}.lock", optional=True)


def _server_of(store: StoreSettings) -> str:
    """The address of the server that keeps the buckets, where it is not the provider's own."""
    if store.endpoint:
        return store.endpoint
    # Read from the environment itself, as the libraries do which these variables are for.
    names = ("STORAGE_EMULATOR_HOST",) if store.kind == "gs" else ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next((address for name in names if (address := os.environ.get(name))), "")


def policy(settings: Settings) -> Policy:
    """The settings as the state table needs them, for a queue in the process."""
    per_second = settings.source.downloads_per_second
    return Policy(
        settle=settings.bind.settle,
        give_up_epochs=settings.bind.give_up_epochs,
        give_up_after=settings.bind.give_up_after,
        rate=per_second if per_second > 0 else _PAGES_PER_WORKER * settings.source.concurrency,
        durable=False,
        keep_pages=settings.bind.keep_pages,
    )


def watch(settings: Settings, subscription: Subscription, secrets: Secrets) -> Watch:
    """A subscription as the use cases see it."""
    return Watch(
        subscription.path,
        subscription.library,
        (lambda path, is_dir: subscription.excluded(path, is_dir=is_dir)) if subscription.exclude.lines else None,
        Secret(subscription.password, secrets) if subscription.password is not None else str,
        settings.headers_for(subscription),
        _layout(subscription.layout),
        archives=subscription.archives,
        existing=subscription.existing,
        hash_check=subscription.hash,
        fix_extensions=subscription.fix_extensions,
        comicinfo=subscription.comicinfo,
        series=subscription.series or "",
        strip=subscription.strip,
        language=subscription.language or "",
        direction=subscription.reading_direction or "",
        reader=subscription.reader or "",
    )


def _layout(text: str) -> Layout:
    if text == "auto":
        return AUTO
    from pagebind.core.layout_pattern import parse_layout

    return parse_layout(text)


def source(settings: Settings, secrets: Secrets, clock: SystemClock) -> Source:
    """The server, with the credentials and rates of the settings."""
    from pagebind.adapters.alist import AlistSource, Limits

    chosen = settings.source
    limits = Limits(
        list_per_second=chosen.list_per_second,
        downloads_per_second=chosen.downloads_per_second,
        bandwidth=chosen.bandwidth,
        concurrency=chosen.concurrency,
        connect_timeout=chosen.connect_timeout,
        read_timeout=chosen.read_timeout,
    )
    return AlistSource(
        chosen.url,
        _credentials(chosen, secrets),
        clock=clock,
        client_id=digest(f"pagebind\0{settings.store.url}", 32),
        limits=limits,
        limits_below={s.path: limits._replace(**own) for s in settings.subscriptions if (own := _own_rates(s))},
        allow_private=chosen.allow_private,
    )


def _own_rates(subscription: Subscription) -> dict[str, Any]:
    """The rates that a subscription sets instead of the source's."""
    names = ("list_per_second", "downloads_per_second", "bandwidth")
    return {name: value for name in names if (value := getattr(subscription, name)) is not None}


def download_rates(settings: Settings) -> tuple[Rates, dict[str, Rates]]:
    """The rates of downloads: the source's, and by path those of subscriptions that set their own."""
    from pagebind.app.plan import Rates

    shared = Rates(settings.source.downloads_per_second, settings.source.bandwidth)
    own = {
        subscription.path: shared._replace(**{name: rate for name, rate in rates.items() if name in Rates._fields})
        for subscription in settings.subscriptions
        if (rates := _own_rates(subscription))
    }
    return shared, own


def existing(settings: Settings) -> dict[str, str]:
    """What each subscription, by its path, does with books that Pagebind did not make."""
    return {subscription.path: subscription.existing for subscription in settings.subscriptions}


def paths_watched(settings: Settings) -> tuple[Watch, ...]:
    """The subscriptions' paths alone, to check a command line before anything is asked of anybody."""
    return tuple(Watch(subscription.path, subscription.library) for subscription in settings.subscriptions)


def _credentials(chosen: SourceSettings, secrets: Secrets) -> Credentials:
    from pagebind.adapters.alist import Guest, Login, StaticToken

    if chosen.token is not None:
        return StaticToken(Secret(chosen.token, secrets))
    if chosen.username is not None and chosen.password is not None:
        one_time = Secret(chosen.otp_secret, secrets) if chosen.otp_secret is not None else None
        return Login(chosen.username, Secret(chosen.password, secrets), one_time)
    return Guest()


def notifiers(settings: Settings, secrets: Secrets) -> tuple[AppriseNotifier, ...]:
    """Where people read messages. No secret is looked up, and no library loaded, before one is sent."""
    if not settings.notify.urls:
        return ()
    from pagebind.adapters.notify.apprise import AppriseNotifier

    return tuple(AppriseNotifier(Secret(reference, secrets)) for reference in settings.notify.urls)


def hooks(settings: Settings, secrets: Secrets) -> tuple[HttpHook, ...]:
    """The readers that are told of new books. No secret is looked up before one is."""
    if not settings.hooks:
        return ()
    from pagebind.adapters.alist.http import Connections
    from pagebind.adapters.alist.limits import Limits
    from pagebind.adapters.notify.attempt import PATIENCE
    from pagebind.adapters.notify.hook import HttpHook

    connections = Connections(Limits(concurrency=1, connect_timeout=PATIENCE, read_timeout=PATIENCE), None)
    names = hook_names(settings)
    return tuple(
        HttpHook(
            name,
            hook.url,
            {header: Secret(reference, secrets) for header, reference in hook.headers.items()},
            hook.debounce,
            connections.exchange,
        )
        for name, hook in zip(names, settings.hooks, strict=True)
    )


def hook_names(settings: Settings) -> tuple[str, ...]:
    """What each hook is called: its address without the query; those that differ in that alone are counted.

    Kavita names the library in the query, so one address may be called for several.
    """
    addresses = [hook.address for hook in settings.hooks]
    places = [addresses[:number].count(address) + 1 for number, address in enumerate(addresses)]
    return tuple(
        address if place == 1 else f"{address} ({place})" for address, place in zip(addresses, places, strict=True)
    )


def with_settle(settings: Settings, settle: float | None) -> Settings:
    """The settings with another settling time, as ``--settle`` gives it."""
    if settle is None:
        return settings
    return settings._replace(bind=settings.bind._replace(settle=settle))


class Configuration(NamedTuple):
    """The text of a configuration, and where it comes from: a path or URL."""

    text: str
    origin: str

    @property
    def digest(self) -> str:
        """A short name for exactly this text, as tasks carry it."""
        return digest(self.text, 16)

    def settings(self, env: Mapping[str, str]) -> Settings:
        """What it says, with what the environment puts in its place. Raises: ConfigError."""
        from pagebind.config import parse

        return parse(self.text, env, self.origin)


def read_configuration(explicit: str | None, env: Mapping[str, str], cwd: Path) -> Configuration:
    """Find the configuration.

    Raises:
        ConfigError: there is none, or it cannot be read.
        StoreUnavailable: it lies in a bucket that cannot be read now.
    """
    from pagebind.config import find_config, read

    found = find_config(explicit, env, cwd)
    return Configuration(config_text(found, env) if isinstance(found, str) else read(found), str(found))


def config_text(url: str, env: Mapping[str, str]) -> str:
    """The configuration that is the object at a ``gs://`` or ``s3://`` URL.

    Args:
        url: of the object.
        env: the environment, whose variables of ``[store]`` say how to reach a relative of S3.

    Raises:
        ConfigError: it is not there, may not be read or is not UTF-8; or as `stores`.
        StoreUnavailable: it cannot be read now.
    """
    from pagebind.config import store_of

    folder, _, name = url.rpartition("/")
    chosen = store_of(folder, env)
    work, _ = (_gcs_stores if chosen.kind == "gs" else _s3_stores)(chosen, 1)
    try:
        return work.get(name).decode()
    except KeyMissing as error:
        raise ConfigError(f"there is no object {url}", fix="put the file there, or name another", path=url) from error
    except StoreError as error:
        fix = _without_a_file(error.fix, chosen)
        if error.retryable:
            raise StoreUnavailable(f"{url} cannot be read: {error.message}", fix=fix, path=url) from error
        raise ConfigError(f"{url} cannot be read: {error.message}", fix=fix, path=url) from error
    except UnicodeDecodeError as error:
        # Without its cause: that error carries the file's bytes.
        raise ConfigError(
            f"{url} is not UTF-8 text (byte {error.start + 1})", fix="save it as UTF-8", path=url
        ) from None


def _without_a_file(fix: str, chosen: StoreSettings) -> str:
    """What to do where ``[store]`` is not read yet: the bucket stands in the URL, all else in the environment."""
    if chosen.kind == "gs":
        return fix.replace("in [store]", "in the URL")
    fix = re.sub(r'set region = "([^"]*)" in \[store\]', r"set PAGEBIND_STORE_REGION=\1", fix)
    fix = fix.replace("[store] endpoint", "PAGEBIND_STORE_ENDPOINT")
    return fix.replace("in [store]", "in the URL, PAGEBIND_STORE_ENDPOINT or PAGEBIND_STORE_REGION")
