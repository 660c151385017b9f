"""``FILES BYTES DELAY``: the pages of one made-up volume as plain files, with an index as Python's http.server has it.

Each answer takes DELAY seconds, and comes over the same HTTP as the demo server's. It tells its URL when it is ready.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pagebind.demo.answers import Answer, Request, text
from pagebind.demo.drives import NotThere, VirtualDrive
from pagebind.demo.wire import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable

_VOLUME = "Series 001/Vol 001"


def serve(drive: VirtualDrive, delay: float) -> Callable[[Request, threading.Event], Answer]:
    index = "".join(f'<li><a href="{entry.name}">{entry.name}</a></li>\n' for entry in drive.list(_VOLUME))
    changed = {"Last-Modified": formatdate(drive.modified, usegmt=True)}

    def answer(request: Request, stopping: threading.Event) -> Answer:
        stopping.wait(delay)
        name = unquote(request.path).strip("/")
        if not name:
            return text(200, f"<ul>\n{index}</ul>\n", "text/html")
        try:
            drive.stat(f"{_VOLUME}/{name}")
            return Answer(200, {"Content-Type": "image/jpeg", **changed}, drive.open(f"{_VOLUME}/{name}"))
        except NotThere:
            return text(404, "not found\n", "text/plain")

    return answer


def main(files: str, size: str, delay: str) -> None:
    drive = VirtualDrive(folders=1, files=int(files), size=int(size))
    server = HttpServer(("127.0.0.1", 0), serve(drive, float(delay)))
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}) + "\n")
    sys.stdout.flush()
    stopped.wait()
    server.stop()


main(*sys.argv[1:])
