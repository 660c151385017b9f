"""Where a value stands, and how a message shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN_CHARACTERS = 60
_SHOWN_NUMBER = 10**15
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TOKEN_START = re.compile(r"alist-|openlist-|eyJ", re.IGNORECASE)


class Place(NamedTuple):
    """One value of the file or of the environment.

    Attributes:
        name: as messages call it: ``[source] url`` or ``PAGEBIND_SOURCE_URL``.
        example: a right line for the file, or a right assignment in the environment.
        origin: the file, or None for the environment, where all values are text.
        home: the user's home folder, to show what a ``~`` means; may be empty.
    """

    name: str
    example: str
    origin: str | None
    home: str = ""

    @property
    def textual(self) -> bool:
        """Whether numbers and booleans come as text here."""
        return self.origin is None

    def wrong(self, what: str, fix: str = "") -> ConfigError:
        """An error about this value; ``fix`` by default shows the example."""
        where = self.name if self.origin is None else f"{self.origin}: {self.name}"
        return ConfigError(f"{where} {what}", fix=fix or f"write for example {self.example}", path=self.origin)

    def unfit(self, value: object, expected: str) -> ConfigError:
        """An error that shows the value and says what belongs there."""
        return self.wrong(f"is {shown(value)}, not {expected}")


def is_one_line(text: str) -> bool:
    """Whether it holds no line breaks, control characters and halves of characters.

    Not `str.isprintable`: that refuses the wide space of Chinese and Japanese names.
    """
    return _NOT_IN_A_LINE.search(text) is None


def shown(value: object) -> str:
    """A value for a message: one short line without what may be a credential in the wrong place."""
    if isinstance(value, str):
        if _TOKEN_START.match(value):
            return "what looks like a token"
        without_user = re.sub(r".*@", "...@", value, flags=re.DOTALL)
        without_query = re.sub(r"\?.*", "?...", without_user, flags=re.DOTALL)
        text = repr(without_query)
        return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) <= _SHOWN_NUMBER else "a huge number"
    return kind_of(value)


def kind_of(value: object) -> str:
    """What kind of TOML value it is, for messages that must not show it."""
    if isinstance(value, bool):
        return "true or false"
    kinds: dict[type, str] = {str: "a text", int: "a number", float: "a number", dict: "a table", list: "a list"}
    return kinds.get(type(value), "a date or time")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    # Here, not above: only mistakes need it.
    from difflib import get_close_matches

    written = {candidate.lower(): candidate for candidate in known}
    return next((written[match] for match in get_close_matches(word.lower(), written, n=1)), None)


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word: the nearest known one, else all of them."""
    candidates = [*known]
    near = nearest(word, candidates)
    return f"did you mean {near}?" if near else f"known are {', '.join(candidates)}"
