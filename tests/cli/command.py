"""Calling the command: in this process for speed, in one of its own where signals and streams matter."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

from pagebind.cli.main import entry
from pagebind.demo.drives import LocalDrive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pagebind.demo.bodies import Body
    from pagebind.demo.drives import Entry
    from pagebind.demo.server import DemoServer

SECONDS = 20.0
"""Longer than anything here takes on a busy machine."""


@dataclass(frozen=True)
class Answer:
    """What a call gave."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document, on a line of its own and alone."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line on standard error."""
        assert self.err.endswith("\n"), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removesuffix("\n")


def call(*words: object) -> Answer:
    """Call the command in this process."""
    out, err = _stream(), _stream()
    with mock.patch.object(sys, "argv", ["pagebind", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            entry()
        except SystemExit as end:
            status = end.code
    assert isinstance(status, int)
    return Answer(status, _text(out), _text(err))


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def spawn(*words: object, **environment: str) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pagebind", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    _started.append(process)
    return process


_started: list[subprocess.Popen[bytes]] = []


def end_all() -> None:
    """End what a failed test left behind."""
    for process in _started:
        with process:
            process.kill()
    _started.clear()


def end(process: subprocess.Popen[bytes]) -> Answer:
    """Wait for its end."""
    out, err = process.communicate(timeout=SECONDS)
    return Answer(process.returncode, out.decode(), err.decode())


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has to come true."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


@dataclass(slots=True, kw_only=True)
class Gate(LocalDrive):
    """A drive that gives no file before it is opened, and no listing either if ``shut``."""

    opened: threading.Event = field(default_factory=threading.Event)
    shut: bool = False
    asked: int = 0

    def open(self, relative: str) -> Body:
        self._wait()
        return LocalDrive.open(self, relative)

    def list(self, relative: str) -> list[Entry]:
        if self.shut:
            self._wait()
        return LocalDrive.list(self, relative)

    def _wait(self) -> None:
        self.asked += 1
        assert self.opened.wait(SECONDS)


class Home:
    """A server with some comics, and a configuration for it."""

    def __init__(self, folder: Path, server: DemoServer) -> None:
        self.folder = folder
        self.server = server
        self.comics = folder / "comics"
        self.store = folder / "store"
        self.library = self.store / "library"
        self.config = folder / "pagebind.toml"
        (folder / "token").write_text(server.token)
        self.configure()

    def configure(
        self, *, source: str | None = None, store: str = "", bind: str = 'settle = "0s"', more: str = ""
    ) -> None:
        """Write the configuration. ``source``: instead of the token; ``more``: at the end, in the subscription."""
        token = f'token = "file:{self.folder / "token"}"'
        self.config.write_text(
            f'[source]\nurl = "{self.server.url}"\nlist_per_second = 0\n{token if source is None else source}\n'
            f'[store]\nurl = "{store or self.store.as_uri()}"\n[bind]\n{bind}\n'
            f'[[subscription]]\npath = "/comics"\n{more}\n'
        )

    def call(self, command: str, *words: object) -> Answer:
        """Call a subcommand with this configuration, in this process."""
        return call(command, "--config", self.config, *words)

    def spawn(self, command: str, *words: object, **environment: str) -> subprocess.Popen[bytes]:
        """Call it in a process of its own."""
        return spawn(command, "--config", self.config, *words, **environment)

    def shut(self, *, lists: bool = False) -> Gate:
        """Put a gate before the comics."""
        gate = Gate(folder=self.comics, shut=lists)
        self.server.tree.mounted("/comics").drive = gate
        return gate

    def add(self, path: str, data: bytes) -> Path:
        """Put a file on the server."""
        file = self.comics / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def books(self) -> list[str]:
        """Keys of all books in the library."""
        return sorted(book.relative_to(self.library).as_posix() for book in self.library.rglob("*.cbz"))
