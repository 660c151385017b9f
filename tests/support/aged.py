"""Files as they will be when some time has gone by: a folder's objects were created when their files were changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def age(folder: Path, seconds: float) -> None:
    """Make every file below a folder so much older."""
    for path in folder.rglob("*"):
        if path.is_file():
            changed = path.stat().st_mtime - seconds
            os.utime(path, (changed, changed))
