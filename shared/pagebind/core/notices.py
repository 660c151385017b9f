"""Notices as state: from what was told and what is found now to what is to be told, and in which words.

Nothing here is an event. What people know stands in a `State`; `compare` holds what a poll has found against it. So
whatever was found twice, or by two polls, or by one that died, is told as often as a state is written: once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.core import keys
from pagebind.core.message import Message, Tone
from pagebind.core.printable import printable
from pagebind.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pagebind.core.keys import ReceiptMark

OVERLAP = 3600.0
"""Seconds by which a book may be younger than the newest known one and yet be seen later: listings take their time."""

MEMORY = 86400.0
"""Seconds for which what was told and is over is not told again: what comes and goes is told once."""

PATIENCE = 86400.0
"""Seconds for which a notice is sent again to those who do not have it."""

_FIRST_PAUSE = 900.0
"""Seconds from the first try to send a notice to the second; each pause is twice as long as the one before."""

EARLY = 60.0
"""Seconds by which a poll may come before the others' rhythm, and the clocks of store and poll differ."""

_MOST_TRIES = 16

LONGEST = 1500
"""Characters of a whole message: services cut what is longer."""

_NAME = 90
_REASON = 200
_LINE = 420
"""Characters of a name, of a reason and of a line at most."""

_LAST = datetime.max.replace(tzinfo=UTC).timestamp() - 1


# -- what is known


class Book(NamedTuple):
    """A receipt of a volume's book."""

    volume: str
    mark: ReceiptMark

    @property
    def id(self) -> str:
        """What tells it from every other."""
        seq, version, decision, _ = self.mark
        return keys.digest(f"{self.volume} {seq} {version} {decision}")


class Window(NamedTuple):
    """Known books: all up to a time of the store's clock, and of the later ones those with these ids."""

    since: float = 0.0
    ids: frozenset[str] = frozenset()

    def unknown(self, books: Sequence[Book]) -> list[Book]:
        """Those that are not known, by age."""
        found = [book for book in books if book.mark.created > self.since and book.id not in self.ids]
        return sorted(found, key=lambda book: (book.mark.created, book.volume, book.mark.seq, book.mark.decision))

    def knowing(self, books: Sequence[Book], now: float) -> Window:
        """The window when all books that there are are known.

        One that was made after ``now``, by a clock that ran ahead, is known by its id: else all were that come before.
        """
        newest = max((min(book.mark.created, now) for book in books), default=0.0)
        since = max(self.since, newest - OVERLAP)
        return Window(since, frozenset(book.id for book in books if book.mark.created > since))


class Trouble(NamedTuple):
    """What is wrong with the server, by the code of its error, and since when, in seconds since the epoch."""

    code: str
    since: float


TROUBLES = ("auth", "server")
"""Codes of errors that say of the server that it cannot be worked with."""


class State(NamedTuple):
    """What people know.

    Attributes:
        books: these were bound.
        held: why a volume is held, by its id.
        failing: of which seq pages could not be had, by the volume's id.
        unlisted: folders that could not be listed.
        trouble: with the server, or None.
        over: what was told of and ended lately, and when: folders by their paths, held volumes by id and why.
    """

    books: Window
    held: Mapping[str, str]
    failing: Mapping[str, int]
    unlisted: frozenset[str]
    trouble: Trouble | None
    over: Mapping[str, float]

    @classmethod
    def beginning(cls, books: Sequence[Book], now: float) -> State:
        """What people know who were told of nothing yet: the books that there are."""
        return cls(Window().knowing(books, now), {}, {}, frozenset(), None, {})


class Found(NamedTuple):
    """What a poll has found, as far as it looked.

    Attributes:
        books: all receipts that there are.
        taken_over: ids of those for books that were another volume's before: they are no new books.
        made_here: ids of volumes whose books this very run has bound.
        known: ids of all volumes that there are.
        held: why a volume is held, by its id, and None of those that are not. Of others it is not known.
        failing: seqs of volumes of which pages have failed in the newest epoch.
        on_the_way: seqs of volumes of which a book is yet to be made, None of those that need none. Of others it is not
            known.
        unlisted: folders that could not be listed.
        walked: whether a folder would have been listed.
        trouble: code of the error that the server is to blame for; empty: it answers; None: nobody knows.
        now: seconds since the epoch.
    """

    books: Sequence[Book]
    taken_over: Collection[str]
    made_here: Collection[str]
    known: Collection[str]
    held: Mapping[str, str | None]
    failing: Mapping[str, int]
    on_the_way: Mapping[str, int | None]
    unlisted: Collection[str]
    walked: Callable[[str], bool]
    trouble: str | None
    now: float


class Changes(NamedTuple):
    """What is new: books, ids of volumes, paths of folders, and what has become of the server.

    ``begun`` and ``ended`` are a change of the trouble where both are set.
    """

    books: Sequence[Book] = ()
    held: Sequence[str] = ()
    failing: Sequence[str] = ()
    unlisted: Sequence[str] = ()
    begun: Trouble | None = None
    ended: Trouble | None = None


def compare(state: State | None, found: Found) -> tuple[Changes, State]:
    """What is new against what people know, and what they know when they have been told.

    Without a ``state``, all books are known but those that this very run has made.
    """
    if state is None:
        before = [book for book in found.books if book.volume not in found.made_here]
        state = State.beginning(before, found.now)
    unknown = state.books.unknown(found.books)
    held, failing, unlisted = _held_now(state, found), _failing_now(state, found), _unlisted_now(state, found)
    trouble = _trouble_now(state, found)
    changed = trouble != state.trouble
    changes = Changes(
        _one_of_each([book for book in unknown if book.id not in found.taken_over]),
        [
            volume
            for volume, why in held.items()
            if state.held.get(volume) != why and not _is_remembered(state, _case(volume, why), found.now)
        ],
        [volume for volume, seq in failing.items() if state.failing.get(volume) != seq],
        sorted(path for path in unlisted - state.unlisted if not _is_remembered(state, path, found.now)),
        trouble if changed else None,
        state.trouble if changed else None,
    )
    books = state.books.knowing(found.books, found.now) if unknown else state.books
    return changes, State(books, held, failing, unlisted, trouble, _over_now(state, held, unlisted, found.now))


def _one_of_each(books: Sequence[Book]) -> list[Book]:
    """Of each volume the newest."""
    return list({book.volume: book for book in books}.values())


def _held_now(state: State, found: Found) -> dict[str, str]:
    stays = {volume: why for volume, why in state.held.items() if volume in found.known and volume not in found.held}
    return stays | {volume: why for volume, why in found.held.items() if why is not None}


def _case(volume: str, why: str) -> str:
    """No path, for an id begins with no slash."""
    return f"{volume} {why}"


def _is_remembered(state: State, case: str, now: float) -> bool:
    return state.over.get(case, -MEMORY) > now - MEMORY


def _over_now(state: State, held: Mapping[str, str], unlisted: frozenset[str], now: float) -> Mapping[str, float]:
    """What is too old is forgotten when something ends, so that to forget needs no notice of its own."""
    ended = [_case(volume, why) for volume, why in state.held.items() if held.get(volume) != why]
    ended += sorted(state.unlisted - unlisted)
    if not ended:
        return state.over
    return {case: at for case, at in state.over.items() if at > now - MEMORY} | dict.fromkeys(ended, now)


def _failing_now(state: State, found: Found) -> dict[str, int]:
    """One that failed once is failing until its book is made, or held, or another listing of it is to be one."""
    stays = {
        volume: seq
        for volume, seq in state.failing.items()
        if volume in found.known and found.on_the_way.get(volume, seq) == seq
    }
    fails = {volume: seq for volume, seq in found.failing.items() if volume not in stays}
    return stays | fails


def _unlisted_now(state: State, found: Found) -> frozenset[str]:
    """A folder below one that cannot be listed is not looked at either."""

    def is_hidden(path: str) -> bool:
        return any(path.startswith(f"{above.rstrip('/')}/") for above in found.unlisted)

    stays = {path for path in state.unlisted if is_hidden(path) or not found.walked(path)}
    return frozenset({*stays, *found.unlisted})


def _trouble_now(state: State, found: Found) -> Trouble | None:
    if found.trouble is None:
        return state.trouble
    if not found.trouble:
        return None
    before = state.trouble
    if before is None:
        return Trouble(found.trouble, found.now)
    return before._replace(code=found.trouble)


# -- the words


class Item(NamedTuple):
    """One thing that a message names, with what is to be said of it."""

    name: str
    reason: str = ""
    fix: str = ""


class Topic(NamedTuple):
    """A paragraph: its words in the title, its first line, as many lines as there is room for, how many there are."""

    short: str
    head: str
    lines: Sequence[str]
    total: int
    tone: Tone


def of_books(total: int, items: Sequence[Item]) -> Topic:
    """So many books were bound."""
    books = counted(total, "book")
    return Topic(books, f"{books} bound:", [_line(item) for item in items], total, Tone.SUCCESS)


def of_held(total: int, items: Sequence[Item]) -> Topic:
    """So many volumes are held."""
    head = f"{counted(total, 'volume')} {'waits' if total == 1 else 'wait'} for a decision:"
    return Topic(f"{total} held", head, [_line(item) for item in items], total, Tone.WARNING)


def of_failing(total: int, items: Sequence[Item]) -> Topic:
    """Of so many volumes pages could not be had."""
    head = f"Pages of {counted(total, 'volume')} could not be had; they are tried again:"
    return Topic(f"{total} failed", head, [_line_of_failure(item) for item in items], total, Tone.WARNING)


def of_unlisted(total: int, items: Sequence[Item]) -> Topic:
    """So many folders could not be listed."""
    folders = counted(total, "folder")
    lines = [_line_of_failure(item) for item in items]
    return Topic(f"{folders} not listed", f"{folders} could not be listed:", lines, total, Tone.WARNING)


_SHORT = {"auth": "credentials refused", "server": "server unreachable"}
_IS_SO = {"auth": "The server refuses the credentials", "server": "The server cannot be reached"}
_WAS_SO = {"auth": "it refused the credentials", "server": "it could not be reached"}
_OVER = {"auth": "credentials accepted again", "server": "server reachable again"}


def of_trouble(begun: Trouble, fix: str, before: Trouble | None) -> Topic:
    """There is trouble with the server, or another one than ``before``."""
    if before is None:
        head = f"{_IS_SO[begun.code]}, since {moment(begun.since)}."
    else:
        head = (
            f"{_IS_SO[begun.code]} now; before, {_WAS_SO[before.code]}. There is trouble since {moment(begun.since)}."
        )
    return Topic(_SHORT[begun.code], head, [f"To do: {printable(fix)}"] if fix else [], 0, Tone.FAILURE)


def of_recovery(ended: Trouble, now: float) -> Topic:
    """The trouble with the server is over."""
    lasted = duration(now - ended.since)
    head = f"The server answers again: {_WAS_SO[ended.code]} for {lasted}, since {moment(ended.since)}."
    return Topic(_OVER[ended.code], head, [], 0, Tone.INFO)


def _line(item: Item) -> str:
    line = f"- {_cut_middle(printable(item.name), _NAME)}"
    if item.reason:
        line += f": {_cut(printable(item.reason), _REASON)}"
    return f"{line}. To do: {printable(item.fix)}" if item.fix else line


def _line_of_failure(item: Item) -> str:
    """Its reason is an error's, which may name a server, and begins with the path that it is about."""
    said = (
        item.reason.removeprefix("cannot list ") if item.reason.startswith(f"cannot list {item.name}") else item.reason
    )
    return _line(item._replace(reason=harmless(said.removeprefix(item.name).lstrip(":/ ")), fix=harmless(item.fix)))


def compose(topics: Sequence[Topic]) -> Message:
    """The message, of at most `LONGEST` characters. At least one thing of each topic is named."""
    title = f"Pagebind: {', '.join(topic.short for topic in topics)}"
    paragraphs = [
        "\n".join([topic.head, *lines, *_rest(topic.total - len(lines))])
        for topic, lines in zip(topics, _fitting(topics, LONGEST - len(title)), strict=True)
    ]
    tones = {topic.tone for topic in topics}
    tone = next(tone for tone in (Tone.FAILURE, Tone.WARNING, Tone.SUCCESS, Tone.INFO) if tone in tones)
    return Message(title, "\n\n".join(paragraphs), tone)


def _rest(more: int) -> list[str]:
    return [f"- and {more} more"] if more > 0 else []


def _fitting(topics: Sequence[Topic], room: int) -> list[list[str]]:
    """Of each topic as many lines as fit: one of each in turn."""
    around = (len(topic.head) + len(f"\n- and {topic.total} more") + len("\n\n") for topic in topics)
    room -= sum(around)
    longest = min(_LINE, room // max(1, sum(bool(topic.lines) for topic in topics)) - 1)
    shown: list[list[str]] = [[] for _ in topics]
    going = list(zip(topics, shown, strict=True))
    while going:
        for one in tuple(going):
            topic, lines = one
            line = _cut(topic.lines[len(lines)], longest) if len(lines) < len(topic.lines) else None
            if line is None or len(line) >= room:
                going.remove(one)
            else:
                lines.append(line)
                room -= len(line) + 1
    return shown


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _cut_middle(text: str, length: int) -> str:
    """A name tells most by its end."""
    if len(text) <= length:
        return text
    begin = length // 3
    return f"{text[:begin]}…{text[begin + 1 - length :]}"


_ADDRESS = re.compile(
    r"\b\w+://\S+"  # a URL
    r"|\[[0-9A-Fa-f:.]+\](?::\d+)?"
    r"|(?<![\w./-])(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+:\d+"  # a host, or the number of one, with its port
    r"|(?<![\w./-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"
    r"|(?<![\w./-])(?:[a-z0-9-]+\.)+(?!jpe?g|png|gif|webp|avif|xml|zip|cb[rz7]|rar|pdf|epub)[a-z]{2,}(?![\w./-])"
    r"|\blocalhost\b(?::\d+)?"
)


def harmless(reason: str) -> str:
    """A reason without the addresses of servers that it may name."""
    return _ADDRESS.sub("the server", reason)


def moment(instant: float) -> str:
    """``2026-11-22 17:05 UTC``."""
    return datetime.fromtimestamp(min(max(0.0, instant), _LAST), UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """``3 h 20 min``, in whole minutes."""
    minutes = int(max(0.0, seconds)) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else "less than a minute"


# -- as objects


Owed = Mapping[int, Mapping[str, int]]


class Notice(NamedTuple):
    """A notice as it is stored.

    Attributes:
        state: what people know.
        text: what was to be sent; None: nothing.
        owed: who did not have which notices when it was written, and how often each was tried, with the try that it was
            written for: by the notice's number, and by the digest of a name.
    """

    state: State
    text: Message | None
    owed: Owed


def due(created: float, tries: int) -> float:
    """When a notice is to be sent once more, or to be given up, after so many tries.

    The pauses are 15 minutes, 30 minutes, 1 hour and so on; after `PATIENCE` it is given up.
    """
    if not tries:
        return created
    return created + min(PATIENCE, (2.0 ** min(tries, _MOST_TRIES) - 1) * _FIRST_PAUSE - EARLY)


def dump(notice: Notice) -> bytes:
    """The notice as JSON."""
    state, text, owed = notice
    document = {
        "schema": 1,
        "text": {"title": text.title, "body": text.body, "tone": text.tone.value} if text else None,
        "owed": {str(number): dict(whom) for number, whom in owed.items()},
        **_window_document(state.books),
        "held": dict(state.held),
        "failing": dict(state.failing),
        "unlisted": sorted(state.unlisted),
        "trouble": state.trouble._asdict() if state.trouble else None,
        "over": dict(state.over),
    }
    return _encoded(document)


def load(content: bytes) -> Notice:
    """Read back what `dump` wrote.

    Raises:
        ValueError: it is not a notice.
    """
    try:
        document = json.loads(content)
        state = State(
            _window(document),
            {str(volume): str(why) for volume, why in document["held"].items()},
            {str(volume): int(seq) for volume, seq in document["failing"].items()},
            frozenset(str(path) for path in document["unlisted"]),
            _trouble(document["trouble"]),
            {str(case): _finite(at) for case, at in document["over"].items()},
        )
        owed = {
            int(number): {str(whom): max(0, int(tries)) for whom, tries in some.items()}
            for number, some in document["owed"].items()
        }
        return Notice(state, _message(document["text"]), owed)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a notice: {error}") from error


def dump_untried(untried: Mapping[int, Sequence[str]]) -> bytes:
    """As JSON: which notices whoever wrote the newest one did not come to send, and to whom; nothing where none."""
    return _encoded({str(number): list(some) for number, some in untried.items()}) if untried else b""


def load_untried(content: bytes) -> Mapping[int, Sequence[str]]:
    """Read back what `dump_untried` wrote.

    Raises:
        ValueError: it is not that.
    """
    try:
        document = json.loads(content or b"{}")
        return {int(number): [str(whom) for whom in some] for number, some in document.items()}
    except (AttributeError, OverflowError, RecursionError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not what was left: {error}") from error


def dump_window(window: Window) -> bytes:
    """What a hook knows, as JSON."""
    return _encoded({"schema": 1, **_window_document(window)})


def load_window(content: bytes) -> Window:
    """Read back what `dump_window` wrote.

    Raises:
        ValueError: it is not that.
    """
    try:
        return _window(json.loads(content))
    except (KeyError, OverflowError, RecursionError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not what a hook knows: {error}") from error


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()  # escaped: paths may be no valid Unicode


def _window_document(window: Window) -> dict[str, Any]:
    return {"since": window.since, "books": sorted(window.ids)}


def _window(document: Any) -> Window:
    return Window(_finite(document["since"]), frozenset(str(book) for book in document["books"]))


def _finite(number: Any) -> float:
    if not isinstance(number, int | float) or not isfinite(number):
        raise ValueError(f"{number!r} is no time")
    return float(number)


def _trouble(document: Any) -> Trouble | None:
    if document is None:
        return None
    if document["code"] not in TROUBLES:
        raise ValueError("no known trouble")
    return Trouble(document["code"], _finite(document["since"]))


def _message(document: Any) -> Message | None:
    if document is None:
        return None
    return Message(str(document["title"]), str(document["body"]), Tone(document["tone"]))
