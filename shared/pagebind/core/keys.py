"""Every object key, built and taken apart here and nowhere else.

Keys are a readable slug plus a short digest, lower case, ASCII, safe in every store and on every file system. Numbers
are padded so that the order of keys is the order of events.

========================================================= =========================================
``manifests/<volume>/<seq>.<revision>.<key digest>.json`` this listing was seen
``sent/<volume>/<seq>.<revision>.<epoch>``                its missing pages are being handed out
``staging/<volume>/<page>.entry``                         this page is safely here
``staging/<volume>/<page>.<nonce>.data``                  a large page on its way
``staging/<volume>/<page>.<number>.piece``                a part of an archive on its way
``failures/<volume>/<page>.<seq>.<epoch>.json``           this page failed, and why
``decisions/<volume>/<number>.<kind>.<subject>.json``     what the operator decided, and about what
``done/<volume>/<seq>.<version digest>.<decision>.json``  the receipt of a published book
``runs/<inverted time>.<nonce>.json``                     what a poll saw and did; the newest first
``notices/<number>.json``                                 what people were told, and are not to be told again
``notices/<number>.<digest of whom>``                     this one has it, or cannot be had
``notices/<number>.left``                                 whoever wrote it has gone, and not all have it
``hooks/<digest of which>/<inverted time>.json``          a reader was told of all books up to then
========================================================= =========================================
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import NamedTuple

MANIFESTS = "manifests/"
SENT = "sent/"
STAGING = "staging/"
FAILURES = "failures/"
DECISIONS = "decisions/"
DONE = "done/"
RUNS = "runs/"
BOOK_RECORDS = "meta/"
NOTICES = "notices/"
HOOKS = "hooks/"

RESERVED = frozenset({MANIFESTS, SENT, STAGING, FAILURES, DECISIONS, DONE, RUNS, BOOK_RECORDS, NOTICES, HOOKS})
"""What stands at the root of a work store; a library inside it must not be one of these."""

BOOK_TYPE = "application/vnd.comicbook+zip"

ARCHIVE_TYPES = {
    "cbz": BOOK_TYPE,
    "zip": BOOK_TYPE,
    "cbr": "application/vnd.comicbook-rar",
    "rar": "application/vnd.comicbook-rar",
    "7z": "application/x-7z-compressed",
    "pdf": "application/pdf",
    "epub": "application/epub+zip",
}
"""Media types of archives that are copied, by suffix."""

LEFT = "left"
"""In the place of a digest: whoever wrote the notice sends it no more, and not all have it."""

_SLUG_LENGTH = 40
_LAST_MILLISECOND = 10**13 - 1
"""Far enough (the year 2286) that every inverted time has 13 digits."""


def is_key(key: str) -> bool:
    """Whether a text can be the key of an object, in every store: see `pagebind.ports.store`."""
    return is_text(key) and not any(part in {"", ".", ".."} for part in key.split("/")) and not set(key) & {"\0", "\\"}


def is_text(name: str) -> bool:
    """Whether it is valid Unicode; a file name of other bytes cannot be a key, nor in the way of one."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def digest(text: str, length: int = 12) -> str:
    """The first ``length`` hex digits of the SHA-256 of the text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def volume_id(path: str) -> str:
    """The id of the volume at a server path, e.g. ``one-piece-vol-01-3f0c5a9b1d2e``."""
    words = unicodedata.normalize("NFKD", " ".join(path.split("/")[-2:])).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:_SLUG_LENGTH].strip("-")
    return f"{slug or 'volume'}-{digest(path)}"


def library_digest(key: str) -> str:
    """Two library keys with the same digest cannot stand side by side where case or unicode form is ignored."""
    return digest(unicodedata.normalize("NFC", unicodedata.normalize("NFC", key).casefold()))


def version_digest(version: str) -> str:
    """A short name for a store's version of a book, as it stands in the receipt's key."""
    return digest(version)


class ManifestMark(NamedTuple):
    """A manifest, as far as its key tells; ``created`` in seconds since the epoch, by the store's clock."""

    seq: int
    revision: str
    key_digest: str
    created: float = 0.0


class SentMark(NamedTuple):
    """The ``epoch``-th handing out of a revision's missing pages."""

    seq: int
    revision: str
    epoch: int
    created: float = 0.0


class FailureMark(NamedTuple):
    """One failure of one page in one epoch."""

    page: str
    seq: int
    epoch: int
    created: float = 0.0


class ReceiptMark(NamedTuple):
    """A receipt for one version of a book, made when ``decision`` was the newest decision (0: there was none)."""

    seq: int
    version_digest: str
    decision: int = 0
    created: float = 0.0


class NoticeMark(NamedTuple):
    """A notice or, with ``whom``, what says of it that this one has it: the digest of a name, or `LEFT`."""

    number: int
    whom: str = ""
    created: float = 0.0


class DecisionMark(NamedTuple):
    """A decision; ``subject`` is what it was decided on (a revision, a version's or a key's digest), or empty."""

    number: int
    kind: str
    subject: str = ""
    created: float = 0.0


def manifest_key(volume: str, mark: ManifestMark) -> str:
    """Key of a manifest."""
    return f"{MANIFESTS}{volume}/{mark.seq:06d}.{mark.revision}.{mark.key_digest}.json"


def sent_key(volume: str, mark: SentMark) -> str:
    """Key of a sent marker."""
    return f"{SENT}{volume}/{mark.seq:06d}.{mark.revision}.{mark.epoch:04d}"


def entry_key(volume: str, page: str) -> str:
    """Key of a staged page: local file header + bytes."""
    return f"{STAGING}{volume}/{page}.entry"


def data_key(volume: str, page: str, nonce: str) -> str:
    """Key under which the bytes of a page too large for memory wait for their header; ``nonce`` is one fetch's own."""
    return f"{STAGING}{volume}/{page}.{nonce}.data"


def piece_prefix(volume: str, page: str) -> str:
    """Begins the keys of an archive's pieces, and that of its entry."""
    return f"{STAGING}{volume}/{page}."


def piece_key(volume: str, page: str, number: int) -> str:
    """Key of the ``number``-th piece of an archive that is on its way, from 0."""
    return f"{piece_prefix(volume, page)}{number:06d}.piece"


def failure_key(volume: str, mark: FailureMark) -> str:
    """Key of a failure."""
    return f"{FAILURES}{volume}/{mark.page}.{mark.seq:06d}.{mark.epoch:04d}.json"


def receipt_key(volume: str, mark: ReceiptMark) -> str:
    """Key of a receipt."""
    return f"{DONE}{volume}/{mark.seq:06d}.{mark.version_digest}.{mark.decision:06d}.json"


def decision_key(volume: str, mark: DecisionMark) -> str:
    """Key of a decision."""
    return f"{DECISIONS}{volume}/{mark.number:06d}.{mark.kind}.{mark.subject}.json"


def run_key(now: float, nonce: str) -> str:
    """Key of the record of a poll that ended ``now``; ``nonce`` tells apart two in one millisecond."""
    return f"{RUNS}{_LAST_MILLISECOND - int(now * 1000):013d}.{nonce}.json"


def run_time(key: str) -> float:
    """When the poll of this record ended, in seconds since the epoch; 0 for another kind of object."""
    inverted = key.removeprefix(RUNS).partition(".")[0]
    return (_LAST_MILLISECOND - int(inverted)) / 1000 if inverted.isdigit() else 0.0


def notice_key(mark: NoticeMark) -> str:
    """Key of a notice or of a mark on it."""
    return f"{NOTICES}{mark.number:06d}.{mark.whom or 'json'}"


def hook_prefix(which: str) -> str:
    """Begins the keys of a hook's calls; ``which`` is the digest of its name."""
    return f"{HOOKS}{which}/"


def hook_key(which: str, now: float) -> str:
    """Key of what says that a hook was called ``now``."""
    return f"{hook_prefix(which)}{_LAST_MILLISECOND - int(now * 1000):013d}.json"


def hook_time(key: str) -> float | None:
    """When the call of this key was made, in seconds since the epoch; None for another kind of object."""
    match key.rpartition("/")[2].split("."):
        case [inverted, "json"] if _is_number(inverted):
            return (_LAST_MILLISECOND - int(inverted)) / 1000
    return None


def adoption(version: str) -> str:
    """What stands for the page in a `FailureMark` that says: the book of this version digest was not adopted."""
    return f"book-{version}"


def volume_of(key: str) -> str:
    """The volume in the second place of a key of work; empty where there is none."""
    parts = key.split("/", 2)
    return parts[1] if len(parts) == len(("prefix", "volume", "rest")) else ""


def page_of(key: str) -> str | None:
    """The page of an entry's key, or None for another kind of object."""
    name = key.rpartition("/")[2]
    return name.removesuffix(".entry") if name.endswith(".entry") else None


def piece_of(key: str) -> int | None:
    """The number of a piece's key, or None for another kind of object."""
    match key.rpartition("/")[2].split("."):
        case [_, number, "piece"] if number.isdigit():
            return int(number)
    return None


def parse_manifest(key: str, created: float = 0.0) -> ManifestMark | None:
    """Take a manifest's key apart; None if it is not one."""
    match key.rpartition("/")[2].split("."):
        case [seq, revision, key_digest, "json"] if seq.isdigit():
            return ManifestMark(int(seq), revision, key_digest, created)
    return None


def parse_sent(key: str, created: float = 0.0) -> SentMark | None:
    """Take a sent marker's key apart; None if it is not one."""
    match key.rpartition("/")[2].split("."):
        case [seq, revision, epoch] if seq.isdigit() and epoch.isdigit():
            return SentMark(int(seq), revision, int(epoch), created)
    return None


def parse_failure(key: str, created: float = 0.0) -> FailureMark | None:
    """Take a failure's key apart; None if it is not one."""
    match key.rpartition("/")[2].split("."):
        case [page, seq, epoch, "json"] if seq.isdigit() and epoch.isdigit():
            return FailureMark(page, int(seq), int(epoch), created)
    return None


def parse_receipt(key: str, created: float = 0.0) -> ReceiptMark | None:
    """Take a receipt's key apart; None if it is not one."""
    match key.rpartition("/")[2].split("."):
        case [seq, version, decision, "json"] if seq.isdigit() and decision.isdigit():
            return ReceiptMark(int(seq), version, int(decision), created)
    return None


def parse_decision(key: str, created: float = 0.0) -> DecisionMark | None:
    """Take a decision's key apart; None if it is not one."""
    match key.rpartition("/")[2].split("."):
        case [number, kind, subject, "json"] if number.isdigit():
            return DecisionMark(int(number), kind, subject, created)
    return None


def parse_notice(key: str, created: float = 0.0) -> NoticeMark | None:
    """Take the key of a notice or of a mark on it apart; None if it is neither."""
    match key.removeprefix(NOTICES).split("."):
        case [number, whom] if _is_number(number) and whom:
            return NoticeMark(int(number), "" if whom == "json" else whom, created)
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
