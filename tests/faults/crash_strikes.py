"""When a run is killed, in words that bring it back: ``time:0.31``, ``aim:clear:2:0.5``, ``call:17:after``."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.crash_marks import PHASES


@dataclass(frozen=True, slots=True)
class AtTime:
    """At this part of the length of an undisturbed run."""

    part: float

    def __str__(self) -> str:
        return f"time:{self.part:.6f}"


@dataclass(frozen=True, slots=True)
class InPhase:
    """In the ``visit``-th visit of a phase, at this part of the length that such a visit has."""

    phase: str
    visit: int
    part: float

    def __str__(self) -> str:
        return f"aim:{self.phase}:{self.visit}:{self.part:.6f}"


@dataclass(frozen=True, slots=True)
class AtCall:
    """At the ``number``-th call to the store, before or after it is done; only those named ``only``, if it is given."""

    number: int
    after: bool
    only: str = ""

    def __str__(self) -> str:
        return f"call:{self.number}:{'after' if self.after else 'before'}" + (f":{self.only}" if self.only else "")


Strike = AtTime | InPhase | AtCall


def parse(text: str) -> Strike:
    """What `str` made of a strike. Raises: ValueError."""
    kind, _, rest = text.partition(":")
    match [kind, *rest.split(":")]:
        case ["time", part]:
            return AtTime(float(part))
        case ["aim", phase, visit, part] if phase in PHASES:
            return InPhase(phase, int(visit), float(part))
        case ["call", number, "before" | "after" as side]:
            return AtCall(int(number), side == "after")
        case ["call", number, "before" | "after" as side, only]:
            return AtCall(int(number), side == "after", only)
    raise ValueError(f"{text!r} is no kill: time:0.31, aim:clear:2:0.5 or call:17:after")
