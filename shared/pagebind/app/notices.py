"""Notices: what people and readers of books are told after a poll or a run.

A notice is an object: what people know, and what was sent them so that they do. Whoever finds something new writes the
next one, create-only, before anything is sent: of two polls at once one sends. Who has it is marked afterwards. What
is not marked is sent again by a later poll, so a message comes twice only where somebody died between the two.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pagebind.app.findings import Namer, Run, books_of, found
from pagebind.core import garbage, keys, notices
from pagebind.core.keys import NoticeMark
from pagebind.core.notices import Found, Notice, Window
from pagebind.errors import (
    ConditionFailed,
    ConfigError,
    KeyMissing,
    NotifyFailed,
    NotifyRefused,
    PagebindError,
    StoreError,
)
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pagebind.core.history import History
    from pagebind.core.message import Message
    from pagebind.ports.clock import Clock
    from pagebind.ports.notify import Hook, Notifier

__all__ = ["News", "Run", "begin", "tell"]

log = logging.getLogger(__name__)

_SECONDS_OF_HOOKS = 15.0
"""So many may go by before the last reader is called."""

_SECONDS = 30.0
"""So many may go by, from when the readers are through, before the last message is sent in a poll."""

_SECONDS_IN_ALL = 45.0
"""So long after the first reader was called nothing more is sent."""

_SECONDS_OF_READS = 10.0
"""Of those of the messages, so many may go by while what is new is looked up to be named."""

_UNDER_WAY = 300.0
"""Seconds for which whoever wrote a notice may still be sending it."""

_SLOW = 5.0
"""Whoever fails after so many seconds is sent nothing more in this poll: the time is the others' too."""

_MOST = 5
"""So many notices are sent to one notifier in one poll."""

_LITTLE = 100
"""So many old objects are removed in one poll."""


class News(NamedTuple):
    """Who is told, and of what.

    Attributes:
        notifiers: where people read messages.
        hooks: readers that are called when there are new books.
        on: of these kinds people are told: ``bound``, ``held``, ``failed``, ``source``.
        limit: so many of each kind are named in a message at most.
    """

    notifiers: tuple[Notifier, ...]
    hooks: tuple[Hook, ...]
    on: tuple[str, ...]
    limit: int


def tell(news: Callable[[], News | None], work: Store, clock: Clock, run: Run) -> None:
    """Tell what a poll or run has found that was not told before. Whatever goes wrong is a line in the log.

    An error of the store or of the configuration is not told: what is known stands in the one, whom to tell in the
    other.
    """
    if run.poll.volumes is None or isinstance(run.error, StoreError | ConfigError):
        return
    try:
        told = news()
    except PagebindError as error:
        _not_notified(error)
        return
    if told is None:
        return
    begun, seen = clock.monotonic(), found(run, run.poll.volumes, clock.now())
    new_to_readers = [book for book in seen.books if book.id not in seen.taken_over]
    for hook in _in_turn(told.hooks, seen.now):
        _call(hook, work, clock, new_to_readers, until=begun + _SECONDS_OF_HOOKS)
    if told.notifiers:
        called = clock.monotonic()
        until = min(called + _SECONDS, begun + _SECONDS_IN_ALL)
        namer = Namer(work, run, limit=told.limit, in_time=lambda: clock.monotonic() < called + _SECONDS_OF_READS)
        try:
            _Telling(work, clock, told, until=until).tell(seen, namer)
        except StoreError as error:
            _not_notified(error)


def begin(work: Store, clock: Clock, volumes: Mapping[str, History]) -> None:
    """Before the first book of a run: where nobody was told anything yet, write down the books that there are.

    So people are told of those that it makes, also where it is broken off before it could tell them.
    """
    try:
        if not any(keys.parse_notice(info.key) for info in work.list(keys.NOTICES)):
            state = notices.State.beginning(books_of(volumes), clock.now())
            with suppress(ConditionFailed):  # another run or poll has begun
                work.put(keys.notice_key(NoticeMark(1)), notices.dump(Notice(state, None, {})), condition=ABSENT)
    except StoreError as error:
        _not_notified(error)


def _not_notified(error: PagebindError, **whom: str) -> None:
    """A line for people: an error where nothing goes out before somebody mends something."""
    about = {**whom, "code": error.code, "reason": error.message, "fix": error.fix}
    log.log(_level(error), "not notified", extra=about)


def _level(error: PagebindError) -> int:
    return logging.ERROR if isinstance(error, NotifyRefused) else logging.WARNING


# -- readers


def _in_turn(hooks: Sequence[Hook], now: float) -> Sequence[Hook]:
    """All of them, another one first each time: in polls of a fixed rhythm, too, hence the digest."""
    first = int(keys.digest(f"{now // 60:.0f}"), 16) % len(hooks) if hooks else 0
    return [*hooks[first:], *hooks[:first]]


def _call(hook: Hook, work: Store, clock: Clock, books: Sequence[notices.Book], *, until: float) -> None:
    """Call a reader if there are books that it does not know, unless it was called shortly before."""
    which = keys.digest(hook.name)
    try:
        calls = [(when, info.key) for info in work.list(keys.hook_prefix(which)) if (when := keys.hook_time(info.key))]
        last, newest = calls[0] if calls else (0.0, "")
        now, known = clock.now(), _known(work, newest) if newest else Window()
        if not known.unknown(books) or 0.0 <= now - last < hook.debounce:
            return
        if clock.monotonic() >= until:
            raise NotifyFailed("no time was left; the next run calls it", fix="see which of the other readers is slow")
        hook.call()
    except PagebindError as error:
        about = {"reader": hook.name, "code": error.code, "reason": error.message, "fix": error.fix}
        log.log(_level(error), "reader not told", extra=about)
        return
    log.info("reader told", extra={"reader": hook.name})
    try:
        # Above the last one also where the clock that this was written by ran ahead.
        _note_call(work, keys.hook_key(which, max(now, last + 0.001)), known.knowing(books, now), calls)
    except StoreError as error:
        about = {"reader": hook.name, "code": error.code, "reason": error.message, "fix": error.fix}
        log.warning("call not noted", extra=about)


def _known(work: Store, key: str) -> Window:
    """The books of which a reader knows; one that cannot be read tells of none."""
    with suppress(KeyMissing, ValueError):
        return notices.load_window(work.get(key))
    return Window()


def _note_call(work: Store, key: str, known: Window, former: Iterable[tuple[float, str]]) -> None:
    with suppress(ConditionFailed):  # another poll called it in the same millisecond
        work.put(key, notices.dump_window(known), condition=ABSENT)
    for _, old in islice(former, _LITTLE):
        work.delete(old)


# -- people


@dataclass(slots=True)
class _Listed:
    """What stands in the store of notices: when each was written, and who has which."""

    created: dict[int, float] = field(default_factory=dict)
    marks: set[tuple[int, str]] = field(default_factory=set)
    all: list[NoticeMark] = field(default_factory=list)

    @classmethod
    def of(cls, work: Store) -> _Listed:
        listed = cls()
        for info in work.list(keys.NOTICES):
            mark = keys.parse_notice(info.key, info.created)
            if mark is not None:
                listed.all.append(mark)
                if mark.whom:
                    listed.marks.add((mark.number, mark.whom))
                else:
                    listed.created[mark.number] = mark.created
        return listed

    @property
    def newest(self) -> int:
        """The number of the newest notice; 0: there is none."""
        return max(self.created, default=0)


class _Telling:
    """One poll's telling of people.

    Args:
        until: a time of the monotonic clock, after which nothing more is sent.
    """

    def __init__(self, work: Store, clock: Clock, news: News, *, until: float) -> None:
        self._work = work
        self._clock = clock
        self._news = news
        self._until = until
        self._notifiers = {keys.digest(notifier.name): notifier for notifier in news.notifiers}
        self._listed = _Listed.of(work)
        self._texts: dict[int, Message | None] = {}

    def tell(self, seen: Found, namer: Namer) -> None:
        """Write the next notice if there is something new, or something is due to be sent; then send.

        Raises:
            StoreError: it cannot be done now.
        """
        newest = self._listed.newest
        last, former = self._last()
        changes, state = notices.compare(former.state if former else None, seen)
        text = _text(namer.topics(changes, self._news.on, seen.now))
        owed = self._owed(former.owed) if former else {}
        trying = self._due(owed, seen.now)
        if former is not None and last == newest and state == former.state and not trying:
            return
        number = newest + 1
        if text is not None:
            owed[number] = dict.fromkeys(self._notifiers, 0)
            for whom in self._notifiers:
                trying.setdefault(whom, []).append(number)
        chosen = {whom: numbers[:_MOST] for whom, numbers in trying.items()}
        for whom, numbers in chosen.items():
            for one in numbers:
                owed[one][whom] += 1
        try:
            self._work.put(
                keys.notice_key(NoticeMark(number)), notices.dump(Notice(state, text, owed)), condition=ABSENT
            )
        except ConditionFailed:
            return  # another poll is telling it
        self._texts[number] = text
        untried = self._send_all(chosen, first=number % len(self._notifiers))
        if self._is_any_left(owed):
            self._leave(number, untried)
        self._clear(seen.now)

    def _last(self) -> tuple[int, Notice | None]:
        """The newest notice that can be read, which says what people know, and its number; None: there is none."""
        for number in sorted(self._listed.created, reverse=True):
            key = keys.notice_key(NoticeMark(number))
            try:
                return number, notices.load(self._work.get(key))
            except ValueError as error:
                _not_notified(StoreError(f"{key} is not readable, the one before it counts: {error}", path=key))
        return 0, None

    def _owed(self, owed: notices.Owed) -> dict[int, dict[str, int]]:
        """Who still lacks which notice, and how often it was tried; not those taken out of the configuration."""
        untried = self._untried()
        left = {
            number: {
                whom: max(0, tries - (whom in untried.get(number, ())))
                for whom, tries in some.items()
                if whom in self._notifiers and (number, whom) not in self._listed.marks
            }
            for number, some in sorted(owed.items())
            if number in self._listed.created
        }
        return {number: some for number, some in left.items() if some}

    def _untried(self) -> Mapping[int, Sequence[str]]:
        """What whoever wrote the newest notice counted as tried, and did not come to."""
        mark = NoticeMark(self._listed.newest, keys.LEFT)
        if mark[:2] in self._listed.marks:
            with suppress(KeyMissing, ValueError):
                return notices.load_untried(self._work.get(keys.notice_key(mark)))
        return {}

    def _due(self, owed: Mapping[int, Mapping[str, int]], now: float) -> dict[str, list[int]]:
        """The notices that this poll is to send once more to each, the oldest first: none while another may do so."""
        newest, created = self._listed.newest, self._listed.created
        left = (newest, keys.LEFT) in self._listed.marks
        if newest and not left and now - created[newest] < _UNDER_WAY:
            return {}
        due: dict[str, list[int]] = {}
        for number, some in owed.items():
            for whom, tries in some.items():
                if notices.due(created[number], tries) <= now:
                    due.setdefault(whom, []).append(number)
        return due

    def _send_all(self, chosen: Mapping[str, Sequence[int]], *, first: int) -> dict[int, list[str]]:
        """Send to everybody what is due, one each in turn. Gives what this did not come to, by number."""
        names = list(self._notifiers)
        names = names[first:] + names[:first]  # so that none waits behind the same slow ones in each poll
        untried: dict[int, list[str]] = {}
        slow: set[str] = set()
        for turn in range(_MOST):
            for whom in names:
                if turn >= len(chosen.get(whom, ())):
                    continue
                number, begun = chosen[whom][turn], self._clock.monotonic()
                if whom in slow or begun >= self._until:
                    untried.setdefault(number, []).append(whom)
                elif not self._send(whom, number) and self._clock.monotonic() - begun >= _SLOW:
                    slow.add(whom)
        return untried

    def _send(self, whom: str, number: int) -> bool:
        """Send one notice to one, or give it up. Says whether nothing of it is left to do."""
        notifier = self._notifiers[whom]
        now = self._clock.now()
        if now - self._listed.created.get(number, now) >= notices.PATIENCE - notices.EARLY:
            reason = f"notice {number} is given up: it could not be sent for a day"
            _not_notified(NotifyRefused(reason, fix="try pagebind notify --test"), notifier=notifier.name)
        elif (text := self._text_of(number)) is not None:
            try:
                notifier.send(text)
            except PagebindError as error:
                _not_notified(error, notifier=notifier.name)
                return False
            log.info("notified", extra={"notifier": notifier.name, "notice": number})
        self._mark(number, whom)
        return True

    def _is_any_left(self, owed: Mapping[int, Mapping[str, int]]) -> bool:
        return any((number, whom) not in self._listed.marks for number, some in owed.items() for whom in some)

    def _leave(self, number: int, untried: Mapping[int, Sequence[str]]) -> None:
        """Say that nobody is at it any more."""
        key = keys.notice_key(NoticeMark(number, keys.LEFT))
        with suppress(ConditionFailed):
            self._work.put(key, notices.dump_untried(untried), condition=ABSENT)

    def _text_of(self, number: int) -> Message | None:
        """What is to be sent with a notice; None where nobody can tell any more."""
        if number not in self._texts:
            self._texts[number] = None
            with suppress(KeyMissing, ValueError):
                self._texts[number] = notices.load(self._work.get(keys.notice_key(NoticeMark(number)))).text
        return self._texts[number]

    def _mark(self, number: int, whom: str) -> None:
        with suppress(ConditionFailed):
            self._work.put(keys.notice_key(NoticeMark(number, whom)), b"", condition=ABSENT)
        self._listed.marks.add((number, whom))

    def _clear(self, now: float) -> None:
        """Remove a little of what is old."""
        for mark in islice(garbage.needless_notices(self._listed.all, now), _LITTLE):
            self._work.delete(keys.notice_key(mark))


def _text(topics: Iterable[notices.Topic]) -> Message | None:
    told = list(topics)
    return notices.compose(told) if told else None
