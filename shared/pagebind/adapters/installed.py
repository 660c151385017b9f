"""Libraries that only some configurations need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def installed(extra: str, wanted_by: str) -> Iterator[None]:
    """Turn a library that is not installed into the line that installs it.

    Args:
        extra: of Pagebind, which brings it.
        wanted_by: what needs it, with the verb: ``Cloud Tasks needs``.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        yield
    except ImportError as error:  # `google.cloud` may be there without its `storage`
        if (error.name or "").startswith("pagebind"):
            raise
        raise ConfigError(
            f"a library that {wanted_by} is not installed: {error.msg}", fix=f'pip install "pagebind[{extra}]"'
        ) from error
