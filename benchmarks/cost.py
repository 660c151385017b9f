"""What the pipeline costs in the cloud: counted operations times the price list. Pure arithmetic.

Operations of the stores are counted (see `counted_costs`). Tasks, seconds, bytes of logs and reads of secrets are
assumptions of `Assumed`, printed as such, until there are functions that can be counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.prices import Price

GOAL = 2.0
"""USD for binding 1,000 volumes of 200 pages; docs/design.md."""

_GIB = 2**30
_DAYS_A_MONTH = 30
_KEYS_A_LISTING = 1_000
_GROWING_PREFIXES = 4
"""Manifests, sent, receipts and the library hold a key for each bound volume."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Requests to a store by what they are billed as; ``free`` are deletes and the like."""

    a: float = 0
    b: float = 0
    free: float = 0

    def __add__(self, other: Operations) -> Operations:
        return Operations(self.a + other.a, self.b + other.b, self.free + other.free)

    def __sub__(self, other: Operations) -> Operations:
        return Operations(self.a - other.a, self.b - other.b, self.free - other.free)

    def of_each(self, count: int) -> Operations:
        """The part of each of so many."""
        return Operations(self.a / count, self.b / count, self.free / count)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a store was asked: for one volume from first listing to book, and by one poll that finds nothing new."""

    volume: Operations
    poll: Operations


@dataclass(frozen=True, slots=True)
class Load:
    """What is bound."""

    volumes: int = 1_000
    pages: int = 200
    page_bytes: int = 500_000

    def __str__(self) -> str:
        return f"{self.volumes:,} volumes of {self.pages} pages of {self.page_bytes // 1000} kB"

    @property
    def files(self) -> int:
        """Pages of all volumes."""
        return self.volumes * self.pages

    @property
    def gib(self) -> float:
        """All pages."""
        return self.files * self.page_bytes / _GIB


@dataclass(frozen=True, slots=True)
class Size:
    """An instance of a function; ``at_once`` requests share it."""

    vcpus: float
    gib: float
    at_once: int

    def __str__(self) -> str:
        return f"{self.vcpus:.2g} vCPU, {self.gib * 1024:.0f} MiB, {self.at_once} at a time"


SMALL = Size(1 / 6, 0.25, 1)
SHARED = Size(1, 0.5, 16)
"""More than one request at a time needs a whole vCPU; 16 pages of up to 4 MiB wait in its memory."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is not counted yet.

    Attributes:
        fetch, finalize, poll: instances on Google; finalize and poll wait more than they compute.
        fetch_gb, finalize_gb, poll_gb: memory on Lambda, which shares it out with the processor.
        page_seconds, finalize_seconds, poll_seconds: of one request; a poll lists 1,101 folders, 5 a second.
        finalizes: tasks of one volume; where the first comes too early, there are more.
        page_log, finalize_log, poll_log: bytes of log lines, those that the platform writes of a request included.
        volume_secrets, poll_secrets: accesses of secrets for one volume, and by one poll.
        poll_interval: seconds.
    """

    fetch: Size = SHARED
    finalize: Size = SMALL
    poll: Size = SMALL
    fetch_gb: float = 0.25
    finalize_gb: float = 0.5
    poll_gb: float = 0.25
    page_seconds: float = 1.0
    finalize_seconds: float = 10.0
    poll_seconds: float = 220.0
    finalizes: int = 1
    page_log: int = 1_500
    finalize_log: int = 2_000
    poll_log: int = 5_000
    volume_secrets: float = 1.0
    poll_secrets: float = 1.0
    poll_interval: float = 900.0

    @property
    def polls(self) -> float:
        """In a month."""
        return _DAYS_A_MONTH * 86_400 / self.poll_interval


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of something."""

    price: Price
    units: float
    why: str
    counted: bool = False

    @property
    def usd(self) -> float:
        """What they cost."""
        return self.price.of(self.units)

    def row(self) -> str:
        """For a table."""
        known = "counted" if self.counted else "assumed"
        return (
            f"| {self.price.service} | {self.units:,.6g} {self.price.unit} | {self.price.tag} "
            f"| {self.usd:.3f} | {known}: {self.why} |"
        )


def total(lines: Iterable[Line], *services: str) -> float:
    """USD of these lines, or of those of some services."""
    return sum(line.usd for line in lines if not services or line.price.service in services)


def poll_of(poll: Operations, volumes: int) -> Operations:
    """What a poll costs over so many bound volumes, from one counted over at most 1,000."""
    further = max(1, math.ceil(volumes / _KEYS_A_LISTING)) - 1
    return poll + Operations(a=_GROWING_PREFIXES * further)


def on_google(counted: Counted, load: Load, assumed: Assumed) -> Iterator[Line]:
    """Binding the volumes: Google Cloud Storage, Cloud Run functions, Cloud Tasks."""
    requests = load.files + assumed.finalizes * load.volumes
    fetching = load.files * assumed.page_seconds / assumed.fetch.at_once
    finalizing = assumed.finalizes * load.volumes * assumed.finalize_seconds
    logged = load.files * assumed.page_log + assumed.finalizes * load.volumes * assumed.finalize_log
    each = (
        f"{assumed.page_seconds:g} s a page on {assumed.fetch}; "
        f"{assumed.finalize_seconds:g} s a finalize on {assumed.finalize}"
    )
    yield Line(prices.GCS_A, counted.volume.a * load.volumes, f"{counted.volume.a:g} a volume", counted=True)
    yield Line(prices.GCS_B, counted.volume.b * load.volumes, f"{counted.volume.b:g} a volume", counted=True)
    yield Line(prices.GCS_STORAGE, load.gib / _DAYS_A_MONTH, "pages on the way, for a day")
    yield Line(prices.TASKS, 2 * requests, "each task is created and dispatched")
    yield Line(prices.FUNCTION_REQUESTS, requests, f"a page each, {assumed.finalizes} finalize a volume")
    yield Line(prices.FUNCTION_CPU, fetching * assumed.fetch.vcpus + finalizing * assumed.finalize.vcpus, each)
    yield Line(prices.FUNCTION_MEMORY, fetching * assumed.fetch.gib + finalizing * assumed.finalize.gib, "the same")
    yield Line(prices.LOGGING, logged / _GIB, f"{assumed.page_log} bytes a page, {assumed.finalize_log} a finalize")
    yield Line(prices.SECRETS, load.volumes * assumed.volume_secrets, f"{assumed.volume_secrets:g} a volume")


def on_google_a_month(counted: Counted, load: Load, assumed: Assumed) -> Iterator[Line]:
    """What stands: the library, and polls that find nothing new."""
    poll, polls = poll_of(counted.poll, load.volumes), assumed.polls
    seconds = polls * assumed.poll_seconds
    each = f"{assumed.poll_seconds:g} s a poll on {assumed.poll}"
    yield Line(prices.GCS_STORAGE, load.gib, "the library")
    yield Line(prices.GCS_A, polls * poll.a, f"{poll.a:g} a poll, every {assumed.poll_interval:g} s", counted=True)
    yield Line(prices.GCS_B, polls * poll.b, f"{poll.b:g} a poll", counted=True)
    yield Line(prices.SCHEDULER, 1, "one job")
    yield Line(prices.FUNCTION_REQUESTS, polls, "polls")
    yield Line(prices.FUNCTION_CPU, seconds * assumed.poll.vcpus, each)
    yield Line(prices.FUNCTION_MEMORY, seconds * assumed.poll.gib, "the same")
    yield Line(prices.LOGGING, polls * assumed.poll_log / _GIB, f"{assumed.poll_log} bytes a poll")
    yield Line(prices.SECRETS, polls * assumed.poll_secrets, f"{assumed.poll_secrets:g} a poll")


def on_aws(counted: Counted, load: Load, assumed: Assumed) -> Iterator[Line]:
    """Binding the volumes: S3, Lambda, SQS, a message for each page.

    The list has no price of storage there, nor of logs.
    """
    finalizes = assumed.finalizes * load.volumes
    messages = load.files + finalizes
    fetching = load.files * assumed.page_seconds * assumed.fetch_gb
    finalizing = finalizes * assumed.finalize_seconds * assumed.finalize_gb
    each = (
        f"{assumed.page_seconds:g} s a page on {assumed.fetch_gb:g} GB, "
        f"{assumed.finalize_seconds:g} s a finalize on {assumed.finalize_gb:g} GB"
    )
    yield Line(prices.S3_A, counted.volume.a * load.volumes, f"{counted.volume.a:g} a volume", counted=True)
    yield Line(prices.S3_B, counted.volume.b * load.volumes, f"{counted.volume.b:g} a volume", counted=True)
    yield Line(prices.SQS, 3 * messages, "each is sent, received and deleted")
    yield Line(prices.LAMBDA_REQUESTS, messages, f"a page each, {assumed.finalizes} finalize a volume")
    yield Line(prices.LAMBDA_TIME, fetching + finalizing, each)


def on_aws_a_month(counted: Counted, load: Load, assumed: Assumed) -> Iterator[Line]:
    """Polls that find nothing new."""
    poll, polls = poll_of(counted.poll, load.volumes), assumed.polls
    each = f"{assumed.poll_seconds:g} s a poll on {assumed.poll_gb:g} GB"
    yield Line(prices.S3_A, polls * poll.a, f"{poll.a:g} a poll, every {assumed.poll_interval:g} s", counted=True)
    yield Line(prices.S3_B, polls * poll.b, f"{poll.b:g} a poll", counted=True)
    yield Line(prices.LAMBDA_REQUESTS, polls, "polls")
    yield Line(prices.LAMBDA_TIME, polls * assumed.poll_seconds * assumed.poll_gb, each)
