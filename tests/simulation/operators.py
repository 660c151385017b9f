"""Operators: they look at what a poll said of a volume, and decide what lifts it; now and then something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.app.decide import Decide
from pagebind.core import keys
from pagebind.errors import PagebindError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from tests.simulation.drive import Library
    from tests.simulation.memory_store import MemoryStore
    from tests.simulation.rules import Rules
    from tests.simulation.schedule import Schedule

    from pagebind.wiring import Parts

KINDS = ("retry", "without_missing", "accept_shrink", "replace", "forget", "delete")

_FITTING = {
    "page_failed": ("retry", "without_missing", "without_missing"),
    "shrunk": ("accept_shrink",),
    "foreign": ("replace",),
    "changed": ("replace",),
    "removed": ("replace",),
    "ignored": ("retry",),
    "bound": ("forget", "delete", "retry"),
}
"""What an operator may decide, by what a volume is held for, or by its state."""

_WRONG = 0.15
"""Chance that it is anything else."""

_MENDED, _MOVED_AWAY, _TAKEN_BACK = 0.5, 0.3, 0.5
"""Chances of what lifts a hold when all is calm: else the book goes without, is replaced, and the rest stays alone."""


class Site(NamedTuple):
    """What an operator can reach: the drive, the library, what the newest polls said of each volume, by id."""

    schedule: Schedule
    drive: Library
    library: MemoryStore
    rules: Rules
    told: Mapping[str, Mapping[str, Any]]


class Operators:
    """All of them.

    Args:
        parts: makes what a process of theirs works with.
    """

    def __init__(self, dice: random.Random, site: Site, parts: Callable[[], Parts]) -> None:
        self._dice = dice
        self._site = site
        self._parts = parts
        self._too_early: list[str] = []

    def decide(self, path: str) -> None:
        """One decides something about a volume, by what was said of it last."""
        fitting = _FITTING.get(self.stands(path), ("retry", "forget"))
        kind = self._dice.choice(KINDS if self._dice.random() < _WRONG else fitting)
        self._begin(path, kind)

    def stands(self, path: str) -> str:
        """What a volume is held for, else its state; empty where nothing was said of it."""
        said = self._site.told.get(keys.volume_id(path), {})
        problem = said.get("problem") or {}
        return str(problem.get("code", "")) if said.get("state") == "held" else str(said.get("state", ""))

    def _begin(self, path: str, kind: str) -> None:
        self._site.schedule.begin("operator", lambda: self._decide(path, kind))

    def _decide(self, path: str, kind: str) -> bool:
        parts, tell = self._parts(), self._site.schedule.tell
        decide = Decide(parts.work, parts.library, parts.policy, parts.clock)
        volume, watch = keys.volume_id(path), parts.watches[0]
        acts: dict[str, Callable[[], object]] = {
            "retry": lambda: decide.retry(volume),
            "without_missing": lambda: decide.without_missing(volume),
            "accept_shrink": lambda: decide.accept_shrink(volume, watch),
            "replace": lambda: decide.replace(volume),
            "forget": lambda: decide.forget(volume, delete_book=False),
            "delete": lambda: decide.forget(volume, delete_book=True),
        }
        try:
            acts[kind]()
        except PagebindError as error:
            tell(f"{kind} {path}: {error.message}", "a decision that is refused")
            return False
        tell(f"has decided: {kind} {path}")
        return True

    # -- when all is calm

    def resolve(self) -> bool:
        """Begin to lift every hold, and to take some of what is ignored back. Whether there was any."""
        begun = [self._resolve(path) for path in sorted(self._site.drive.folders)]
        return any(begun)

    def _resolve(self, path: str) -> bool:
        match self.stands(path):
            case "page_failed":
                self._site.schedule.begin("operator", lambda: self._lift_failure(path))
            case "shrunk":
                self._begin(path, "accept_shrink")
            case "foreign" | "changed" if self._dice.random() < _MOVED_AWAY:
                self._move_away(path)
            case "foreign" | "changed" | "removed":
                self._begin(path, "replace")
            case "ignored" if self._dice.random() < _TAKEN_BACK:
                self._begin(path, "retry")
            case _:
                return False
        return True

    def _lift_failure(self, path: str) -> None:
        """The drive gets its pages back, or the book goes without, unless it would have no page.

        That the drive has them is not so yet when it is first tried again.
        """
        if self._dice.random() < _MENDED or not self._decide(path, "without_missing"):
            self._decide(path, "retry")
            self._too_early.append(path)

    def try_once_more(self) -> bool:
        """Begin to try again, once the drive has its pages, what was tried too early. Whether there was any."""
        paths, self._too_early = self._too_early, []
        for path in paths:
            self._site.schedule.tell(f"the drive: all of {path} can be had again")
            self._site.drive.mend(path)
            self._begin(path, "retry")
        return bool(paths)

    def _move_away(self, path: str) -> None:
        """Of a book that was ours that is another hold."""
        key = str(self._site.told[keys.volume_id(path)]["key"])
        self._site.schedule.tell(f"somebody moves {key} away")
        self._site.library.delete(key)
        self._site.rules.somebody_meddled(key)
