"""What the pipeline costs in the cloud: what was counted and measured times the price list. Pure arithmetic.

Operations of the stores, tasks, log lines, reads of secrets and processor time are counted on Google's side by
`counted_functions`, on the functions as they are deployed; on that of AWS only the operations, for there are no
functions there. What depends on the user's drive and on the platform is assumed: `Assumed`.
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
_INTERVALS_AHEAD = 2.0
PAGES_PER_DOWNLOAD = 2.0
"""Without a rate: what poll takes for the pages a second of each download under way."""

_SOONEST, _LATEST, _MOST_DOUBLINGS = 20.0, 600.0, 5
_DELETED_AT_ONCE = 12
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

    def times(self, count: float) -> Operations:
        """So many of it."""
        return Operations(self.a * count, self.b * count, self.free * count)

    def of_each(self, count: int) -> Operations:
        """The part of each of so many."""
        return Operations(self.a / count, self.b / count, self.free / count)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a store was asked: for one volume from first listing to book, and by one poll that finds nothing new.

    ``early`` is what a finalize asks that comes before its pages; they are not part of ``volume``.
    """

    volume: Operations
    poll: Operations
    early: Operations = Operations()


@dataclass(frozen=True, slots=True)
class Measured:
    """What the functions did, on Google.

    Attributes:
        page_lines, volume_lines, poll_lines: lines of their logs for a page, for a volume besides its pages, and by a
            poll that finds nothing new.
        page_log, volume_log, poll_log: bytes of these lines.
        page_cpu, finalize_cpu, early_cpu, poll_cpu: seconds of processor time of one request.
        task_cpu: the same of poll for each task that it creates.
        start_cpu: the same of a process until it has answered its first request.
        finalize_requests: to the store, by one finalize; deletions are ``deletions``, several at a time.
        page_secrets, poll_secrets: accesses of secrets for a page, and by the first poll of a process.
        due_own, due_before: a volume's first finalize is due after so many times the seconds that its own pages are
            expected to take, and so many times those of all pages that were handed out before them.
    """

    page_lines: float
    page_log: float
    volume_lines: float
    volume_log: float
    poll_lines: float
    poll_log: float
    page_cpu: float
    finalize_cpu: float
    early_cpu: float
    poll_cpu: float
    task_cpu: float
    start_cpu: float
    finalize_requests: float
    deletions: float
    page_secrets: float
    poll_secrets: float
    due_own: float
    due_before: float


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

    def seconds(self, waiting: float, cpu: float) -> float:
        """Seconds of an instance for a request that waits and computes so long, where others share the instance.

        They share the waiting, not the processor.
        """
        return max((waiting + cpu / self.vcpus) / self.at_once, cpu / self.vcpus)


SMALL = Size(1 / 6, 0.25, 1)
SHARED = Size(1, 0.5, 16)
"""More than one request at a time needs a whole vCPU; 16 pages of up to 4 MiB wait in its memory."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What depends on the user, the drive and the platform.

    Attributes:
        fetch, finalize, poll: instances on Google; finalize and poll wait more than they compute.
        page_seconds: that a page takes to come from the drive.
        write_seconds, request_seconds: that the store takes to write a page, and to do anything else.
        poll_seconds: of one poll, which lists 1,101 folders, 5 a second.
        poll_interval: seconds.
        in_flight: pages that the queue lets be fetched at once, by as many instances as it takes.
        concurrency: the setting of that name, by which finalizes are timed.
        entry: bytes that an entry of the log has besides the line: its resource, name, id and times.
        request_log: bytes of the entry that the platform writes of each request; 0: an exclusion filter drops them.
        staged_hours: that a page is on its way.
        fetch_gb, finalize_gb, poll_gb: memory on Lambda, which shares it out with the processor.
        finalize_seconds: of one finalize on Lambda.
    """

    fetch: Size = SHARED
    finalize: Size = SMALL
    poll: Size = SMALL
    page_seconds: float = 1.0
    write_seconds: float = 0.1
    request_seconds: float = 0.1
    poll_seconds: float = 220.0
    poll_interval: float = 900.0
    in_flight: int = 16
    concurrency: int = 8
    entry: int = 400
    request_log: int = 1_100
    staged_hours: float = 2.0
    fetch_gb: float = 0.25
    finalize_gb: float = 0.5
    poll_gb: float = 0.25
    finalize_seconds: float = 10.0

    @property
    def polls(self) -> float:
        """In a month."""
        return _DAYS_A_MONTH * 86_400 / self.poll_interval


def early_finalizes(measured: Measured, load: Load, assumed: Assumed) -> float:
    """So many finalizes of a volume come before its pages do, on the average.

    Each poll hands out what is due until pages for two intervals are under way, and they are fetched in their order.
    The first finalize of a volume is due when poll expects its pages; it comes back after 20 s, and then doubles its
    patience up to 10 min (`pagebind.serverless.finalize`).
    """
    rate = PAGES_PER_DOWNLOAD * assumed.concurrency
    page = assumed.page_seconds + assumed.write_seconds + measured.page_cpu / assumed.fetch.vcpus
    pace = assumed.in_flight / page
    sent = early = polls = 0
    while sent < load.volumes:
        under_way = max(0.0, sent * load.pages - polls * assumed.poll_interval * pace)
        room = int((_INTERVALS_AHEAD * assumed.poll_interval * rate - under_way) / load.pages)
        more = min(max(room, 0), load.volumes - sent)
        for number in range(1, more + 1):
            before = under_way + (number - 1) * load.pages
            due = (measured.due_own * load.pages + measured.due_before * before) / rate
            early += _attempts_before((before + load.pages) / pace, due)
        sent += more
        polls += 1
    return early / load.volumes


def _attempts_before(through: float, first: float) -> int:
    """How often a finalize comes that comes ``first`` after so many seconds, while its pages are ``through`` later."""
    due, attempts = first, 0
    while due < through:
        due += min(_SOONEST * 2 ** min(attempts, _MOST_DOUBLINGS), _LATEST)
        attempts += 1
    return attempts


COUNTED, MEASURED, ASSUMED = "counted", "measured", "assumed"


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of something; ``known`` says how these are known."""

    price: Price
    units: float
    why: str
    known: str

    @property
    def usd(self) -> float:
        """What they cost."""
        return self.price.of(self.units)

    def row(self) -> str:
        """For a table."""
        return (
            f"| {self.price.service} | {self.units:,.6g} {self.price.unit} | {self.price.tag} "
            f"| {self.usd:.3f} | {self.known}: {self.why} |"
        )


def total(lines: Iterable[Line], *services: str) -> float:
    """USD of these lines, or of those of some services."""
    return sum(line.usd for line in lines if not services or line.price.service in services)


def poll_of(poll: Operations, volumes: int) -> Operations:
    """What a poll costs over so many bound volumes, from one counted over at most 1,000."""
    further = max(1, math.ceil(volumes / _KEYS_A_LISTING)) - 1
    return poll + Operations(a=_GROWING_PREFIXES * further)


def on_google(counted: Counted, measured: Measured, load: Load, assumed: Assumed) -> Iterator[Line]:
    """Binding the volumes: Google Cloud Storage, Cloud Run functions, Cloud Tasks."""
    early = early_finalizes(measured, load, assumed)
    asked = counted.volume + counted.early.times(early)
    requests = load.files + (1 + early) * load.volumes
    fetch, finalize, poll = _binding_seconds(counted, measured, load, assumed, early)
    used = ((fetch, assumed.fetch), (finalize, assumed.finalize), (poll, assumed.poll))
    with_early = f"{early:.1f} finalizes that come too early counted in"
    each = f"a page each, and {1 + early:.1f} finalizes a volume"
    yield Line(prices.GCS_A, asked.a * load.volumes, f"{asked.a:.1f} a volume, {with_early}", COUNTED)
    yield Line(prices.GCS_B, asked.b * load.volumes, f"{asked.b:.1f} a volume", COUNTED)
    staged = load.gib * assumed.staged_hours / (_DAYS_A_MONTH * 24)
    yield Line(prices.GCS_STORAGE, staged, f"pages on the way, for {assumed.staged_hours:g} h", ASSUMED)
    yield Line(prices.TASKS, 2 * requests, f"created and delivered: {each}", COUNTED)
    yield Line(prices.FUNCTION_REQUESTS, requests, each, COUNTED)
    yield Line(prices.FUNCTION_CPU, sum(seconds * size.vcpus for seconds, size in used), _timed(assumed), MEASURED)
    yield Line(prices.FUNCTION_MEMORY, sum(seconds * size.gib for seconds, size in used), "the same", MEASURED)
    lines = load.files * measured.page_log + load.volumes * measured.volume_log
    entries = load.files * measured.page_lines + load.volumes * measured.volume_lines
    yield Line(prices.LOGGING, lines / _GIB, f"{measured.page_log:.0f} bytes a page in our line", COUNTED)
    yield Line(prices.LOGGING, entries * assumed.entry / _GIB, f"{assumed.entry} bytes more in its entry", ASSUMED)
    logged = f"{assumed.request_log} bytes a request that the platform logs"
    yield Line(prices.LOGGING, requests * assumed.request_log / _GIB, logged, ASSUMED)
    yield Line(prices.SECRETS, load.files * measured.page_secrets, f"{measured.page_secrets:g} a page", COUNTED)


def _binding_seconds(
    counted: Counted, measured: Measured, load: Load, assumed: Assumed, early: float
) -> tuple[float, float, float]:
    """Seconds of instances of fetch, of finalize, and of poll for what it does beyond looking."""
    page = assumed.fetch.seconds(assumed.page_seconds + assumed.write_seconds, measured.page_cpu)
    one_by_one = measured.finalize_requests + measured.deletions / _DELETED_AT_ONCE
    book = assumed.finalize.seconds(one_by_one * assumed.request_seconds, measured.finalize_cpu)
    asked = counted.early.a + counted.early.b
    vain = assumed.finalize.seconds(asked * assumed.request_seconds, measured.early_cpu)
    task = assumed.poll.seconds(0.0, measured.task_cpu)
    return load.files * page, load.volumes * (book + early * vain), (load.files + load.volumes) * task


def _timed(assumed: Assumed) -> str:
    return (
        f"assumed: {assumed.page_seconds:g} s a page from the drive, {assumed.write_seconds:g} s to the store; "
        f"fetch on {assumed.fetch}; finalize and poll on {assumed.finalize}"
    )


def on_google_a_month(counted: Counted, measured: Measured, load: Load, assumed: Assumed) -> Iterator[Line]:
    """What stands: the library, and polls that find nothing new, each by a process that starts for it."""
    poll, polls = poll_of(counted.poll, load.volumes), assumed.polls
    seconds = polls * assumed.poll.seconds(assumed.poll_seconds, measured.start_cpu + measured.poll_cpu)
    each = f"assumed: {assumed.poll_seconds:g} s a poll besides computing, on {assumed.poll}"
    logged = measured.poll_log + measured.poll_lines * assumed.entry + assumed.request_log
    yield Line(prices.GCS_STORAGE, load.gib, "the library", ASSUMED)
    yield Line(prices.GCS_A, polls * poll.a, f"{poll.a:g} a poll, every {assumed.poll_interval:g} s", COUNTED)
    yield Line(prices.GCS_B, polls * poll.b, f"{poll.b:g} a poll, of which one is the configuration", COUNTED)
    yield Line(prices.SCHEDULER, 1, "one job", ASSUMED)
    yield Line(prices.FUNCTION_REQUESTS, polls, "polls", COUNTED)
    yield Line(prices.FUNCTION_CPU, seconds * assumed.poll.vcpus, each, MEASURED)
    yield Line(prices.FUNCTION_MEMORY, seconds * assumed.poll.gib, "the same", MEASURED)
    yield Line(prices.LOGGING, polls * logged / _GIB, f"{measured.poll_log:.0f} bytes a poll in our lines", MEASURED)
    yield Line(prices.SECRETS, polls * measured.poll_secrets, f"{measured.poll_secrets:g} a poll", COUNTED)


def on_aws(counted: Counted, load: Load, assumed: Assumed) -> Iterator[Line]:
    """Binding the volumes: S3, Lambda, SQS, a message for each page.

    The list has no price of storage there, nor of logs.
    """
    messages = load.files + load.volumes
    fetching = load.files * assumed.page_seconds * assumed.fetch_gb
    finalizing = load.volumes * assumed.finalize_seconds * assumed.finalize_gb
    each = (
        f"{assumed.page_seconds:g} s a page on {assumed.fetch_gb:g} GB, "
        f"{assumed.finalize_seconds:g} s a finalize on {assumed.finalize_gb:g} GB"
    )
    yield Line(prices.S3_A, counted.volume.a * load.volumes, f"{counted.volume.a:g} a volume", COUNTED)
    yield Line(prices.S3_B, counted.volume.b * load.volumes, f"{counted.volume.b:g} a volume", COUNTED)
    yield Line(prices.SQS, 3 * messages, "each is sent, received and deleted", ASSUMED)
    yield Line(prices.LAMBDA_REQUESTS, messages, "a page each, 1 finalize a volume", ASSUMED)
    yield Line(prices.LAMBDA_TIME, fetching + finalizing, each, ASSUMED)


def on_aws_a_month(counted: Counted, load: Load, assumed: Assumed) -> Iterator[Line]:
    """Polls that find nothing new."""
    poll, polls = poll_of(counted.poll, load.volumes), assumed.polls
    each = f"{assumed.poll_seconds:g} s a poll on {assumed.poll_gb:g} GB"
    yield Line(prices.S3_A, polls * poll.a, f"{poll.a:g} a poll, every {assumed.poll_interval:g} s", COUNTED)
    yield Line(prices.S3_B, polls * poll.b, f"{poll.b:g} a poll", COUNTED)
    yield Line(prices.LAMBDA_REQUESTS, polls, "polls", ASSUMED)
    yield Line(prices.LAMBDA_TIME, polls * assumed.poll_seconds * assumed.poll_gb, each, ASSUMED)
