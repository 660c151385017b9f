"""Finding the volumes that an operator's word means."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, NamedTuple

from pagebind.core import layout
from pagebind.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pagebind.core.watch import Watch

_GLOB = "*?["
_SHOWN = 10


class Named(NamedTuple):
    """A volume by all its names: id, server path, key in the library. ``moved``: the key is another's by now."""

    volume: str
    path: str
    key: str
    moved: bool = False


def volumes(word: str, known: Iterable[Named]) -> list[Named]:
    """The volumes that ``word`` names: a server path, a library key, an id, or a glob over paths and keys.

    A word without a glob means one volume: a path or key exactly, else the end of one; of several, the one that has not
    moved away.

    Raises:
        UsageError: none, or, without a glob, several.
    """
    named = sorted(known, key=lambda n: n.path)
    if any(sign in word for sign in _GLOB):
        exact = [n for n in named if word in (n.path, n.key)]
        found = exact or [n for n in named if _matches(n, word)]
    else:
        wanted = word.rstrip("/") or "/"
        found = [n for n in named if wanted in (n.path, n.key, n.volume)] or [
            n for n in named if any(name.endswith(f"/{wanted.strip('/')}") for name in (n.path, n.key))
        ]
        if len(staying := [n for n in found if not n.moved]) == 1:
            found = staying
        if len(found) > 1:
            listed = ", ".join(n.path for n in found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else "")
            raise UsageError(
                f"{word!r} means {len(found)} volumes: {listed}", fix="give one of these paths, or a glob for several"
            )
    if not found:
        raise UsageError(f"no volume is called {word!r}", fix="`pagebind status` lists them all")
    return found


def _matches(named: Named, glob: str) -> bool:
    """Whether the glob fits the key or the path, or the end of the path from one of its folders on."""
    tail = glob if glob.startswith("/") else f"*/{glob}"
    return any(fnmatch.fnmatchcase(*pair) for pair in ((named.key, glob), (named.path, glob), (named.path, tail)))


def paths(words: Sequence[str], watches: Sequence[Watch]) -> tuple[str, ...]:
    """Server paths inside subscriptions, as given on the command line, made plain.

    Raises:
        UsageError: one that no subscription covers.
    """
    return tuple(_path(word, watches) for word in words)


def _path(word: str, watches: Sequence[Watch]) -> str:
    plain = "/" + "/".join(part for part in word.split("/") if part)
    if any(layout.is_below(plain, watch.path) for watch in watches) and ".." not in plain.split("/"):
        return plain
    listed = ", ".join(watch.path for watch in watches[:_SHOWN])
    raise UsageError(f"{word!r} lies in no subscription", fix=f"give a path inside one of {listed}")
