"""A demo server, a store and the real command, together in one place."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from pagebind.cli.main import pagebind
from pagebind.config import parse, template
from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pagebind.config import Settings
    from pagebind.demo.server import DemoServer


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended."""

    status: int
    document: dict[str, Any]
    stderr: str

    def keys(self, name: str) -> list[str]:
        """The library keys in one list of the document."""
        return [volume["key"] for volume in self.document[name]]

    @property
    def codes(self) -> set[str]:
        return {problem["code"] for problem in self.document["problems"]}

    @property
    def fetched(self) -> int:
        return int(self.document["pages_fetched"])


@dataclass(slots=True)
class World:
    """One server folder, mounted at ``/comics``, one store and one configuration.

    Attributes:
        home: holds everything.
        server: answers, or will.
        values: settings that differ from the defaults of these tests.
        more: TOML that follows them, for further subscriptions.
        env: what the command finds in its environment.
    """

    home: Path
    server: DemoServer
    values: dict[str, object] = field(default_factory=dict)
    more: str = ""
    env: dict[str, str] = field(default_factory=dict)

    @property
    def comics(self) -> Path:
        """What the server serves."""
        return self.home / "comics"

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def library(self) -> Path:
        return self.home / "library"

    def write(self, path: str, data: bytes | None = None) -> Path:
        """A page on the server; by default a picture of its own."""
        file = self.comics / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(path) if data is None else data)
        return file

    def volume(self, path: str, names: Iterable[str] = ("1.png", "2.png", "3.png")) -> None:
        """A folder of pages on the server."""
        for name in names:
            self.write(f"{path}/{name}")

    def toml(self) -> str:
        values = {
            "source.url": self.server.url,
            "source.token": "env:TOKEN",
            "source.list_per_second": 0,
            "source.read_timeout": "2s",
            "store.library": self.library.as_uri(),
            "bind.settle": "0s",
            "subscription.path": "/comics",
        } | self.values
        return template(self.work.as_uri(), values) + self.more

    def environment(self) -> dict[str, str]:
        return {"TOKEN": self.server.token} | self.env

    def settings(self) -> Settings:
        return parse(self.toml(), self.environment(), "the test's configuration")

    def config(self) -> Path:
        """The configuration as a file."""
        file = self.home / "pagebind.toml"
        file.write_text(self.toml(), encoding="utf-8")
        return file

    def run(self, *words: str) -> Run:
        """`pagebind run` in this process."""
        arguments = ["run", "--json", "--config", str(self.config()), *words]
        result = CliRunner().invoke(pagebind, arguments, env=self.environment(), catch_exceptions=False)
        return Run(result.exit_code, json.loads(result.stdout), result.stderr)

    def books(self) -> dict[str, bytes]:
        """Every file in the library, whatever it is, by its key."""
        files = sorted(file for file in self.library.rglob("*") if file.is_file())
        return {file.relative_to(self.library).as_posix(): file.read_bytes() for file in files}

    def stored(self, prefix: str) -> list[Path]:
        """The objects of the work store under a prefix."""
        return sorted(file for file in (self.work / prefix).rglob("*") if file.is_file())
