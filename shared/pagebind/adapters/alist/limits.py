"""How hard the client may press on a server."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Rates, time-outs and patience.

    Attributes:
        list_per_second: `fs/list` and `fs/get` calls a second, which cost the drive behind the server; 0: no limit.
        downloads_per_second: downloads begun a second; 0: no limit.
        bandwidth: bytes a second of all downloads together; 0: no limit.
        concurrency: connections kept open between requests: as many as the caller has threads.
        connect_timeout: seconds to reach the server.
        read_timeout: seconds without a single byte from it, or in which less than 1 KiB a second came.
        attempts: how often one call of the API is made while its failure looks like one that passes.
    """

    list_per_second: float = 5.0
    downloads_per_second: float = 0.0
    bandwidth: float = 0.0
    concurrency: int = 8
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    attempts: int = 3
