"""Runs a server as long as its own standard input stays open, so that no server outlives whoever started it.

Run as a script: ``python keeper.py FOLDER COMMAND...``. Whoever holds the other end of standard input ends the server
by closing it; the kernel does the same when that process dies, in whatever way. The server's folder goes too then.
(``PR_SET_PDEATHSIG`` would be Linux only, and looks at the thread that started the child.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading


def keep(folder: str, command: list[str]) -> None:
    """Run the command until it ends, or until standard input does."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as server:  # noqa: S603 - given by our own caller
        asked = threading.Event()
        threading.Thread(target=_kill_at_end_of_input, args=(server, asked), daemon=True).start()
        server.wait()
    if asked.is_set():
        shutil.rmtree(folder, ignore_errors=True)


def _kill_at_end_of_input(server: subprocess.Popen[bytes], asked: threading.Event) -> None:
    """Servers of the demo keep nothing that a clean end would save."""
    while os.read(sys.stdin.fileno(), 1):  # sys.stdin itself would be locked when the interpreter ends
        pass
    asked.set()
    server.kill()


if __name__ == "__main__":
    keep(sys.argv[1], sys.argv[2:])
