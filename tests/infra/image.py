"""What the Dockerfile says, and where its folders lie on this machine."""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockerfile_parse import DockerfileParser
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DOCKERFILE = REPOSITORY / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Stage:
    """The instructions of one stage, from its FROM on: names and values, continued lines joined."""

    instructions: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """The values of all instructions of this name."""
        return [value for instruction, value in self.instructions if instruction == name]

    def value(self, name: str) -> str:
        """That of the only one."""
        (value,) = self.values(name)
        return value

    def words(self, name: str) -> list[str]:
        """The words of the only one, which is written as JSON."""
        return list(map(str, json.loads(self.value(name))))

    @property
    def environment(self) -> dict[str, str]:
        """All of its ENV, as it is written."""
        return dict(word.split("=", 1) for value in self.values("ENV") for word in shlex.split(value))

    @property
    def health_check(self) -> list[str]:
        """The words of its HEALTHCHECK's command."""
        return list(map(str, json.loads(self.value("HEALTHCHECK").partition(" CMD ")[2])))


def stages() -> list[Stage]:
    """The stages of the Dockerfile, in order."""
    parser = DockerfileParser(fileobj=io.BytesIO(DOCKERFILE.read_bytes()), env_replace=False)
    found: list[list[tuple[str, str]]] = []
    for part in parser.structure:
        if part["instruction"] == "FROM":
            found.append([])
        if found and part["instruction"] != "COMMENT":
            found[-1].append((part["instruction"], part["value"]))
    return [Stage(tuple(instructions)) for instructions in found]


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that stands for the root of a container: the one place that says what lies elsewhere on this machine.

    Attributes:
        folder: the root.
        own: folders of the container's own; what else a path names, such as ``/usr``, is this machine's.
    """

    folder: Path
    own: tuple[str, ...]

    def here(self, text: str) -> str:
        """A text of the container's, in which its own folders are those below ``folder``."""
        names = "|".join(re.escape(name) for name in self.own)
        return re.sub(rf"(?<![\w.-])(?:{names})(?=[/\"':\s]|$)", lambda found: f"{self.folder}{found[0]}", text)

    def path(self, inside: str) -> Path:
        """Where a path of the container's lies."""
        return self.folder / inside.lstrip("/")

    def environment(self, *given: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Variables for a process: the later ones go before the earlier."""
        return {name: self.here(value) for items in given for name, value in items}
