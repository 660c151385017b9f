"""The demo server: Alist or OpenList over a folder, on this machine, for people who try and tests that break things.

In a process of its own, ``python -m pagebind.demo.server --root DIR``, it prints one line of JSON with ``url`` and
``token`` when it is ready.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pagebind.demo.accounts import Accounts, User
from pagebind.demo.answers import Answer, Request, text, to_json
from pagebind.demo.api import Api
from pagebind.demo.bodies import Pieces
from pagebind.demo.dialects import DIALECTS
from pagebind.demo.downloads import Downloads
from pagebind.demo.drives import LISTING_CACHE_SECONDS, Drive, LocalDrive, VirtualDrive
from pagebind.demo.faults import Faults
from pagebind.demo.listings import Listings
from pagebind.demo.signs import Signs
from pagebind.demo.tree import Tree
from pagebind.demo.wire import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

DEFAULT_DIALECT = "alist-3.63"


@dataclass(frozen=True, slots=True)
class Logged:
    """One answered request.

    Attributes:
        method: of HTTP.
        url: its path, still encoded, without the query.
        kind: ``list``, ``get``, ``file`` or ``other``.
        path: the absolute server path that it was about, else the URL's.
        status: of HTTP.
        code: in the JSON body, or None.
        page: that was asked for, in a listing.
        refresh: whether a fresh listing was asked for.
        range: the Range header, or empty.
        at: when, in seconds of this machine's monotonic clock, which all its processes share.
    """

    method: str
    url: str
    kind: str
    path: str
    status: int
    code: int | None
    page: int | None
    refresh: bool
    range: str
    at: float


class DemoServer:
    """A server of one dialect over some drives, in threads of this process.

    Attributes:
        accounts, signs, tree, faults, listings: its parts, to be changed while it runs.
        requests: what was answered, in order.
    """

    def __init__(
        self,
        mounts: Mapping[str, Path | Drive],
        *,
        dialect: str = DEFAULT_DIALECT,
        token: str | None = None,
        users: Iterable[User] = (),
        guest: bool = False,
        sign_all: bool = True,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.dialect = DIALECTS[dialect]
        token = token or f"{self.dialect.token_prefix}-{secrets.token_hex(32)}"
        self.faults = Faults()
        self.accounts = Accounts(self.dialect, clock, token)
        self.signs = Signs(token, clock)
        self.tree = Tree(self.dialect, clock)
        self.listings = Listings(self.dialect, self.tree, self.signs, self.faults)
        self.listings.sign_all = sign_all
        downloads = Downloads(self.dialect, self.tree, self.signs, self.faults, self.listings)
        self._api = Api(self.dialect, self.accounts, self.tree, self.listings, downloads)
        self._address = (host, port)
        self._http: HttpServer | None = None
        self.requests: list[Logged] = []
        for user in users:
            self.accounts.add(user)
        self.set_guest(guest)
        for path, drive in mounts.items():
            self.mount(path, drive)

    @property
    def token(self) -> str:
        """The static token, an administrator's."""
        return self.accounts.token

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://{self._address[0]}:{self._address[1]}"

    def start(self) -> Self:
        """Listen; the port stays the same when it is stopped and started again."""
        self._http = HttpServer(self._address, self.answer)
        self._address = (self._address[0], self._http.server_port)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._http is not None:
            self._http.stop()
            self._http = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def mount(self, path: str, drive: Path | Drive) -> None:
        """Mount a folder of this machine or a drive."""
        self.tree.mount(path, LocalDrive(folder=drive) if isinstance(drive, Path) else drive)

    def rotate_token(self) -> str:
        """Reset the static token; with it die all signs. Gives the new one."""
        self.accounts.token = f"{self.dialect.token_prefix}-{secrets.token_hex(32)}"
        self.signs.rekey(self.accounts.token)
        return self.accounts.token

    def restart(self) -> None:
        """Forget what real servers hold in memory: logins, lockouts, cached listings."""
        self.accounts.forget_sessions()
        for mount in self.tree.mounts:
            mount.listings.clear()

    def set_guest(self, enabled: bool) -> None:
        """Let requests without credentials in, or not."""
        self.accounts["guest"].disabled = not enabled

    def disable_user(self, name: str, *, disabled: bool = True) -> None:
        """Switch an account off or on. Raises: KeyError."""
        self.accounts[name].disabled = disabled

    def set_folder_password(self, path: str, password: str) -> None:
        """Protect a folder; an empty password opens it again."""
        self.tree.set_password(path, password)

    def break_drive(self, path: str, message: str = "the demo drive is broken") -> None:
        """Let the drive mounted here fail with these words. Raises: KeyError."""
        self.tree.mounted(path).drive.broken = message

    def repair_drive(self, path: str) -> None:
        """Let the drive mounted here work again. Raises: KeyError."""
        self.tree.mounted(path).drive.broken = ""

    def count(self, kind: str | None = None, path: str | None = None, method: str | None = None) -> int:
        """How many requests were answered, of a kind, about exactly this path, by this method."""
        return sum(
            (kind is None or one.kind == kind)
            and (path is None or one.path == path)
            and (method is None or one.method == method)
            for one in self.requests
        )

    def answer(self, request: Request, stopping: threading.Event) -> Answer:
        """Answer one request, faults included, and write it down. Never raises `Refused`."""
        if request.path.startswith("/__demo__/"):
            return self._control(request)
        body, kind, path = self._api.subject(request)
        for fault in self.faults.strike({"delay"}, path, kind):
            stopping.wait(fault.seconds)
        refused = self.faults.strike({"status"}, path, kind)
        if refused:
            answer = Answer(
                refused[0].code or 503, {"Content-Type": "text/plain"}, Pieces([b"the demo server fails\n"])
            )
            if refused[0].retry_after is not None:
                answer.headers["Retry-After"] = str(refused[0].retry_after)
        else:
            answer = self._api.answer(request, body, path)
        self._log(request, body, kind, path, answer)
        return answer

    def _log(self, request: Request, body: Any, kind: str, path: str, answer: Answer) -> None:
        fields = body if isinstance(body, dict) else {}
        self.requests.append(
            Logged(
                method=request.method,
                url=request.path,
                kind=kind,
                path=path,
                status=answer.status,
                code=answer.code,
                page=fields.get("page") if kind == "list" else None,
                refresh=kind == "list" and bool(fields.get("refresh")),
                range=request.headers.get("range", ""),
                at=time.monotonic(),
            )
        )

    def _control(self, request: Request) -> Answer:
        """What tests in another process ask of this server."""
        if request.path == "/__demo__/faults" and request.method == "POST":
            try:
                self.faults.replace(json.loads(request.body))
            except (ValueError, TypeError) as error:
                return text(400, str(error), "text/plain")
            return text(200, b"{}", "application/json")
        if request.path == "/__demo__/requests":
            told = list(self.requests)
            data = to_json({"requests": [asdict(one) for one in told]})
            if request.query.get("reset"):
                del self.requests[: len(told)]  # what was asked meanwhile is for the next time
            return text(200, data, "application/json")
        return text(404, "no such control\n", "text/plain")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a server of its own until it is told to stop."""
    options = _parser().parse_args(arguments)
    server = DemoServer(
        {options.mount: _drive(options)},
        dialect=options.dialect,
        token=options.token,
        guest=options.guest,
        sign_all=not options.no_sign,
        port=options.port,
    )
    server.faults.replace(json.loads(options.faults))
    if options.delay:
        server.faults.add("delay", seconds=options.delay)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with server:
        sys.stdout.write(json.dumps({"url": server.url, "token": server.token}) + "\n")
        sys.stdout.flush()
        stopped.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pagebind.demo.server", description=main.__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--root", type=Path, help="folder to serve")
    source.add_argument("--virtual", metavar="FOLDERSxFILESxBYTES", help="serve made-up volumes, e.g. 500x200x500000")
    parser.add_argument("--mount", default="/comics", help="where it is mounted")
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default=DEFAULT_DIALECT)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", help="static token; else a new one")
    parser.add_argument("--guest", action="store_true", help="let guests in")
    parser.add_argument("--no-sign", action="store_true", help="downloads need no sign")
    parser.add_argument(
        "--cached", action="store_true", help="keep listings for 30 minutes, as for all drives but Local"
    )
    parser.add_argument("--hashes", default="", help="hashes to list, e.g. md5,sha1")
    parser.add_argument("--order", choices=("name", "reversed", "shuffled"), default="name")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--faults", default="[]", help="JSON list of faults")
    return parser


def _drive(options: argparse.Namespace) -> Drive:
    hashes = tuple(kind for kind in options.hashes.split(",") if kind)
    seconds = LISTING_CACHE_SECONDS if options.cached else 0
    if options.root is not None:
        return LocalDrive(folder=options.root, hashes=hashes, order=options.order, cache_seconds=seconds)
    folders, files, size = (int(part) for part in options.virtual.split("x"))
    return VirtualDrive(folders=folders, files=files, size=size, hashes=hashes, order=options.order)


if __name__ == "__main__":
    main()
