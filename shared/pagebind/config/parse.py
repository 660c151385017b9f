"""From the text of the file and the environment to `Settings`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pagebind.config.place import Place, is_one_line, kind_of, nearest, suggestion
from pagebind.config.schema import HOOK, SECTIONS, SETTINGS, SUBSCRIPTION, Setting
from pagebind.config.settings import (
    BindSettings,
    HookSettings,
    NotifySettings,
    PollSettings,
    QueueSettings,
    Settings,
    SourceSettings,
    StoreSettings,
    Subscription,
    parts_of,
)
from pagebind.core.keys import RESERVED
from pagebind.errors import ConfigError

_Table = Mapping[str, Any]

_KINDS = {"file": "a folder", "gs": "on gs://", "s3": "on s3://"}
_CREDENTIAL = (  # not compiled here: only mistakes need it
    r"(aws_|google_|gcs?_|s3_)?(access_?key(_?id)?|secret(_?access)?_?key|secret|session_?token|token|api_?key|key"
    r"|(application_)?credentials?(_?file)?|service_?account(_?(key|file|json))?|key_?file|(user(name)?|password)|profile)"
)
_CREDENTIALS_BELONG = (
    "take it out, credentials of a store never stand here: S3 takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
    " AWS_PROFILE, from the environment; Google takes what `gcloud auth application-default login` leaves, or the file"
    " that GOOGLE_APPLICATION_CREDENTIALS names"
)
_OF_ITS_OWN = "give the library a place of its own, or leave it out"


def parse(text: str, env: Mapping[str, str], origin: str) -> Settings:
    """Read settings.

    Args:
        text: the file's TOML.
        env: the environment, whose ``PAGEBIND_<SECTION>_<KEY>`` go before the file's values.
        origin: what messages call the file.

    Raises:
        ConfigError: at the first thing that is wrong.
    """
    document = _decode(text, origin)
    _refuse_unknown_sections(document, origin)
    _refuse_unknown_variables(env)
    parser = _Parser(origin, env)
    source = SourceSettings(**parser.section("source", document))
    store = parser.section("store", document)
    poll = PollSettings(**parser.section("poll", document))
    queue = parser.queue(QueueSettings(**parser.section("queue", document)))
    bind = BindSettings(**parser.section("bind", document))
    parser.check_credentials(source)
    return Settings(
        source=source,
        store=parser.store(store),
        poll=poll,
        queue=queue,
        bind=bind,
        subscriptions=tuple(parser.subscriptions(document.get(SUBSCRIPTION, []))),
        notify=NotifySettings(**parser.section("notify", document)),
        hooks=tuple(parser.hooks(document.get(HOOK, []))),
    )


def store_of(url: str, env: Mapping[str, str]) -> StoreSettings:
    """How to reach the store at ``url`` while no file is read yet: by the variables of `store` alone.

    Raises:
        ConfigError: one of them is wrong.
    """
    store = StoreSettings(url, url)
    if store.kind != "s3":
        return store
    parser = _Parser("", env)
    return store._replace(**{key: parser.variable("store", key) for key in StoreSettings._field_defaults})


def _decode(text: str, origin: str) -> _Table:
    # Here, not above: it costs start-up time, and the command's help and version do without.
    import tomllib

    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        last_line = f"at line {len(text.splitlines()) or 1}, the last one"
        what = str(error).replace("at end of document", last_line)
        raise ConfigError(
            f"{origin} is not valid TOML: {what}",
            fix='correct that place; a text stands in quotes: key = "text", a list in brackets: key = ["a", "b"]',
            path=origin,
        ) from error


def _refuse_unknown_sections(document: _Table, origin: str) -> None:
    for name, content in document.items():
        if name in SECTIONS:
            continue
        if not isinstance(content, dict | list):
            homes = [f"[{setting.section}]" for setting in SETTINGS if setting.key == name]
            fix = f"move it below {' or '.join(homes)}" if homes else "every key stands below a [section]"
            raise ConfigError(f"{origin}: {_plain(name)} stands outside of any section", fix=fix, path=origin)
        raise ConfigError(f"{origin}: unknown section [{_plain(name)}]", fix=suggestion(name, SECTIONS), path=origin)


def _refuse_unknown_variables(env: Mapping[str, str]) -> None:
    known = [setting.variable for setting in SETTINGS if setting.variable]
    prefixes = tuple(f"PAGEBIND_{section.upper()}_" for section in SECTIONS)
    for name in sorted(env):
        if not name.startswith(prefixes) or name in known:
            continue
        if any(name == f"PAGEBIND_{setting.name.replace('.', '_').upper()}" for setting in SETTINGS):
            raise ConfigError(f"{name} cannot be set in the environment", fix="set it in the configuration file")
        is_credential = _is_credential("store", name.lower().removeprefix("pagebind_store_"))
        fix = _CREDENTIALS_BELONG if is_credential else suggestion(name, known)
        raise ConfigError(f"unknown variable {name} in the environment", fix=fix)


def _is_credential(section: str, key: str) -> bool:
    """Whether somebody wants to give the store its credentials by this key."""
    return section == "store" and re.fullmatch(_CREDENTIAL, key, re.IGNORECASE) is not None


def _plain(name: str) -> str:
    return name if is_one_line(name) else repr(name)


class _Parser:
    def __init__(self, origin: str, env: Mapping[str, str]) -> None:
        self._origin = origin
        self._env = env

    def section(self, name: str, document: _Table) -> dict[str, Any]:
        """All values of one section, by key."""
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise self._error(f"{name} is {kind_of(table)}, not a section", f"write [{name}], and its keys below")
        return self._read(name, f"[{name}] ", table)

    def variable(self, section: str, key: str) -> Any:
        """One value by the environment alone."""
        setting = next(setting for setting in SETTINGS if (setting.section, setting.key) == (section, key))
        return self._value(setting, f"[{section}] ", {})

    def store(self, values: dict[str, Any]) -> StoreSettings:
        """The two places, which must be of one kind and must not mix, and how to reach them."""
        inside = f"{values['url'].removesuffix('/')}/library"
        store = StoreSettings(**{**values, "library": values["library"] or inside})
        library = self._name("store", "library")
        kind = store.library.partition(":")[0]
        if kind != store.kind:
            raise self._error(
                f"{library} is {_KINDS[kind]}, but url is {_KINDS[store.kind]}",
                "keep both in one kind of store, or leave library out",
            )
        self._refuse_mixing(library, parts_of(store.url), parts_of(store.library))
        if store.kind != "s3":
            self._refuse_s3_settings(store)
        return store

    def _refuse_mixing(self, name: str, work: tuple[str, ...], library: tuple[str, ...]) -> None:
        """Nothing but books lies in the library: what is on the way would be taken for books, or swept as leftovers."""
        if work[: len(library)] == library:
            raise self._error(f"{name} is the place of url, or one above it", _OF_ITS_OWN)
        if library[: len(work)] == work:
            first = library[len(work)]
            if first.startswith(".") or f"{first}/" in RESERVED:
                raise self._error(f"{name} lies in {first}/, where Pagebind keeps its own objects", _OF_ITS_OWN)

    def queue(self, queue: QueueSettings) -> QueueSettings:
        """The queues: all that belongs to them, or nothing."""
        needed = ("fetch", "finalize", "fetch_url", "finalize_url")
        given = [key for key in (*needed, "service_account") if getattr(queue, key)]
        missing = [key for key in needed if key not in given]
        if given and missing:
            raise self._error(
                f"{self._name('queue', given[0])} is set, and {missing[0]} is not",
                "set fetch, finalize, fetch_url and finalize_url, or nothing of [queue]",
            )
        for one, other in (("fetch", "finalize"), ("fetch_url", "finalize_url")):
            if given and getattr(queue, one) == getattr(queue, other):
                raise self._error(
                    f"{self._name('queue', one)} and {other} are the same",
                    "give each function its own queue and address",
                )
        return queue

    def _refuse_s3_settings(self, store: StoreSettings) -> None:
        for key, default in StoreSettings._field_defaults.items():
            if getattr(store, key) != default:
                raise self._error(
                    f"{self._name('store', key)} is set, which is for s3:// only, but url is {_KINDS[store.kind]}",
                    "take it out, or write s3://bucket/prefix as url",
                )

    def subscriptions(self, tables: Any) -> Iterator[Subscription]:
        """Each subscription, in the order of the file."""
        if tables == []:
            raise self._error("there is no [[subscription]]", 'add [[subscription]] and below it path = "/comics"')
        yield from (Subscription(**values) for values in self._repeated(SUBSCRIPTION, tables, "path"))

    def hooks(self, tables: Any) -> Iterator[HookSettings]:
        """Each hook, in the order of the file."""
        yield from (HookSettings(**values) for values in self._repeated(HOOK, tables, "url"))

    def _repeated(self, section: str, tables: Any, once: str) -> Iterator[dict[str, Any]]:
        """The values of each table of such a section, by key; those under ``once`` are different ones."""
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self._error(f"{section} is not a list of tables", f"write [[{section}]] with two brackets")
        seen: set[str] = set()
        for number, table in enumerate(tables, 1):
            where = f"[[{section}]] " if len(tables) == 1 else f"[[{section}]] {number}: "
            values = self._read(section, where, table)
            if values[once] in seen:  # not shown: the address of a hook may hold a secret
                raise self._error(f"{where}{once} is that of another [[{section}]]", "take one of them out")
            seen.add(values[once])
            yield values

    def check_credentials(self, source: SourceSettings) -> None:
        """A token, or a user with a password, or neither."""
        given = [key for key in ("token", "username", "password", "otp_secret") if getattr(source, key) is not None]
        names = " and ".join(self._name("source", key) for key in given)
        login = 'username = "reader" and password = "env:ALIST_PASSWORD"'
        if "token" in given and len(given) > 1:
            raise self._error(f"{names} are set together", "leave either token, or username and password")
        if given and "token" not in given and not {"username", "password"} <= set(given):
            missing = " and ".join(key for key in ("username", "password") if key not in given)
            raise self._error(f"{names} set without {missing}", f"write {login}, or a token instead")

    def _read(self, section: str, where: str, table: _Table) -> dict[str, Any]:
        known = {setting.key: setting for setting in SETTINGS if setting.section == section}
        for key in table:
            if key not in known:
                raise self._unknown(section, key, where, [*known])
        return {key: self._value(setting, where, table) for key, setting in known.items()}

    def _value(self, setting: Setting, where: str, table: _Table) -> object:
        home = self._env.get("HOME", "")
        variable = setting.variable
        if variable is not None and variable in self._env:
            return setting.read(self._env[variable], Place(variable, setting.assignment(), origin=None, home=home))
        place = Place(where + setting.key, setting.line(), self._origin, home)
        if setting.key in table:
            return setting.read(table[setting.key], place)
        if setting.required:
            instead = f", or set {variable}" if variable else ""
            raise place.wrong("is missing", f"add {setting.line()}{instead}")
        return None if setting.default is None else setting.read(setting.default, place)

    def _unknown(self, section: str, key: str, where: str, known: list[str]) -> ConfigError:
        homes = dict.fromkeys(setting.section for setting in SETTINGS if setting.key == key)
        if _is_credential(section, key):
            fix = _CREDENTIALS_BELONG
        elif homes and nearest(key, known) is None:
            fix = f"it belongs to [{'] or ['.join(homes)}]"
        else:
            fix = suggestion(key, known)
        return self._error(f"unknown key {_plain(key)} in {where.rstrip(': ')}", fix)

    def _name(self, section: str, key: str) -> str:
        variable = f"PAGEBIND_{section}_{key}".upper()
        return variable if variable in self._env else f"[{section}] {key}"

    def _error(self, what: str, fix: str) -> ConfigError:
        return ConfigError(f"{self._origin}: {what}", fix=fix, path=self._origin)
