"""Where the configuration is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pagebind.config.place import Place
from pagebind.config.store_url import BUCKET_SCHEMES, object_url, refuse_other_addresses_of_objects
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE_NAME: Final = "pagebind.toml"
_INIT: Final = "`pagebind init` writes one"


def find_config(explicit: str | None, env: Mapping[str, str], cwd: Path) -> Path | str:
    """The path of the configuration file, or the URL of the object that holds it: ``gs://`` or ``s3://``.

    That is ``--config``, else ``$PAGEBIND_CONFIG``, else the first that exists of ``./pagebind.toml`` and
    ``pagebind.toml`` in the user's configuration folder. One that is named is not looked at: `read` says what is wrong
    with it.

    Raises:
        ConfigError: there is none, or an address names no object.
    """
    for name, called in ((explicit, "--config"), (env.get("PAGEBIND_CONFIG"), "PAGEBIND_CONFIG")):
        if name:
            return _named(name, Place(called, "gs://bucket/pagebind.toml", origin=None), cwd)
    here = cwd / FILE_NAME
    if here.is_file():
        return here
    # Here, not above: most calls have found a file by now.
    from platformdirs import user_config_path

    users = user_config_path("pagebind", appauthor=False) / FILE_NAME
    if users.is_file():
        return users
    raise ConfigError(
        f"there is no configuration: neither --config nor PAGEBIND_CONFIG is given, nor is there {here} or {users}",
        fix=_INIT,
    )


def _named(name: str, place: Place, cwd: Path) -> Path | str:
    if is_object(name):
        return object_url(name, place)
    refuse_other_addresses_of_objects(name, place)
    return cwd / name


def is_object(name: str) -> bool:
    """Whether a configuration of this name lies in a bucket."""
    return name.lower().startswith(tuple(f"{scheme}://" for scheme in BUCKET_SCHEMES))


def read(path: Path) -> str:
    """The text of a configuration file. Raises: ConfigError."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}", fix=_INIT, path=str(path)) from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", fix="name a file that this user may read", path=str(path)
        ) from error
    except UnicodeDecodeError as error:
        # Without its cause: that error carries the file's bytes.
        raise ConfigError(
            f"{path} is not UTF-8 text (byte {error.start + 1})", fix="save it as UTF-8", path=str(path)
        ) from None
