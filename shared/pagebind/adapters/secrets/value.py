"""What is found behind a reference, as the one line that a secret is."""

from __future__ import annotations

from typing import Final

from pagebind.errors import ConfigError

LARGEST_BYTES: Final = 64 * 1024
"""What is longer is no secret but a mistaken reference. Google's and Amazon's own stores hold no more either."""


def one_line(data: bytes, reference: str, path: str | None = None) -> str:
    """The secret without the newline that editors and ``echo`` append.

    Args:
        data: as it was found.
        reference: to it, for messages.
        path: of the file that it was found in, if any.

    Raises:
        ConfigError: it is longer than `LARGEST_BYTES`, no UTF-8 text, empty, or more than one line.
    """
    if len(data) > LARGEST_BYTES:
        raise ConfigError(
            f"{reference} is longer than 64 KiB, so it is no secret", fix="change the reference", path=path
        )
    try:
        value = data.decode()
    except UnicodeDecodeError:
        # Without its cause: that error carries the bytes.
        raise ConfigError(f"{reference} is not UTF-8 text", fix="put only the secret there", path=path) from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise ConfigError(f"{reference} is empty", fix="put the secret there, or change the reference")
    if any(character < " " for character in value):
        raise ConfigError(
            f"{reference} holds more than one line, or control characters", fix="put only the secret there"
        )
    return value
