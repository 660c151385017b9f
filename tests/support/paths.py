"""Where the files lie that tests share."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).parent
REPOSITORY = SUPPORT.parent.parent

COMICINFO_SCHEMA = SUPPORT / "ComicInfo-2.0.xsd"
READ_ZIPS = SUPPORT / "ReadZips.java"
RECORDED_LIBRARY = REPOSITORY.parent / "shared" / "alist-recordings" / "library.zip"
"""A library with odd files, where the recordings of real servers are; not part of the repository."""
