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

from pagebind.app.findings import Namer, Run, found
from pagebind.core import garbage, keys, notices
from pagebind.core.keys import NoticeMark
from pagebind.core.notices import Found, Notice, Text, Window
from pagebind.errors import ConditionFailed, ConfigError, KeyMissing, NotifyFailed, PagebindError, StoreError
from pagebind.ports.notify import Message, Tone
from pagebind.ports.store import ABSENT, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pagebind.ports.clock import Clock
    from pagebind.ports.notify import Hook, Notifier

__all__ = ["News", "Run", "tell"]

log = logging.getLogger(__name__)

_SECONDS = 30.0
"""So long after it began nothing more is sent in a poll."""

_SECONDS_OF_HOOKS = 15.0
"""Of these, so many may go by before the last reader is called."""

_SECONDS_OF_READS = 10.0
"""Of these, so many may go by while what is new is looked up to be named."""

_UNDER_WAY = 300.0
"""Seconds for which whoever wrote a notice may still be sending it."""

_PATIENCE = 86400.0
"""Seconds for which a notice is sent again to those who do not have it."""

_MOST = 3
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
        log.warning("not notified", extra={"code": error.code, "reason": error.message})
        return
    if told is None:
        return
    begun, seen = clock.monotonic(), found(run, run.poll.volumes, clock.now())
    new_to_readers = [book for book in seen.books if book.id not in seen.taken_over]
    for hook in told.hooks:
        if clock.monotonic() < begun + _SECONDS_OF_HOOKS:
            _call(hook, work, clock, new_to_readers)
    if told.notifiers:
        namer = Namer(work, run, limit=told.limit, in_time=lambda: clock.monotonic() < begun + _SECONDS_OF_READS)
        try:
            _Telling(work, clock, told, until=begun + _SECONDS).tell(seen, namer)
        except StoreError as error:
            log.warning("not notified", extra={"code": error.code, "reason": error.message})


# -- readers


def _call(hook: Hook, work: Store, clock: Clock, books: Sequence[notices.Book]) -> None:
    """Call a reader if there are books that it does not know, unless it was called shortly before."""
    which = keys.digest(hook.name)
    try:
        calls = [(when, info.key) for info in work.list(keys.hook_prefix(which)) if (when := keys.hook_time(info.key))]
        last, newest = calls[0] if calls else (0.0, "")
        now, known = clock.now(), _known(work, newest) if newest else Window()
        if not known.unknown(books) or 0.0 <= now - last < hook.debounce:
            return
        hook.call()
        # Above the last one also where the clock that this was written by ran ahead.
        _note_call(work, keys.hook_key(which, max(now, last + 0.001)), known.knowing(books), calls)
    except PagebindError as error:
        log.warning("reader not told", extra={"reader": hook.name, "code": error.code, "reason": error.message})
    else:
        log.info("reader told", extra={"reader": hook.name})


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

    def tell(self, seen: Found, namer: Namer) -> None:
        """Write the next notice if there is something new, or something still to be sent; then send.

        Raises:
            StoreError: it cannot be done now.
        """
        former = self._newest()
        changes, state = notices.compare(former.state if former else None, seen)
        text = _text(namer.topics(changes, self._news.on, seen.now))
        owed = self._owed(former.owed) if former else {}
        again = self._again(owed, seen.now)
        if former is not None and state == former.state and not again:
            return
        number = self._listed.newest + 1
        if text is not None:
            owed[number] = tuple(self._notifiers)
            again[number] = text
        try:
            self._work.put(
                keys.notice_key(NoticeMark(number)), notices.dump(Notice(state, text, owed)), condition=ABSENT
            )
        except ConditionFailed:
            return  # another poll is telling it
        if not self._send_all(again, owed, number):
            self._mark(number, keys.LEFT)
        self._clear(seen.now)

    def _newest(self) -> Notice | None:
        """What people know; None where nothing was written yet, or nobody can read it."""
        newest = self._listed.newest
        if not newest:
            return None
        key = keys.notice_key(NoticeMark(newest))
        try:
            return notices.load(self._work.get(key))
        except ValueError as error:
            log.warning("not notified", extra={"code": "store", "reason": f"{key} is not readable: {error}"})
            return None

    def _owed(self, owed: Mapping[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
        """Who does still not have which notice; not those who were taken out of the configuration."""
        left = {
            number: tuple(whom for whom in some if whom in self._notifiers and (number, whom) not in self._listed.marks)
            for number, some in owed.items()
            if number in self._listed.created
        }
        return {number: some for number, some in left.items() if some}

    def _again(self, owed: Mapping[int, tuple[str, ...]], now: float) -> dict[int, Text | None]:
        """The notices that this poll may send once more, their texts not read yet: none while another may do so."""
        newest = self._listed.newest
        left = (newest, keys.LEFT) in self._listed.marks
        under_way = newest > 0 and not left and now - self._listed.created[newest] < _UNDER_WAY
        return {} if under_way else dict.fromkeys(owed)

    def _send_all(self, texts: dict[int, Text | None], owed: Mapping[int, tuple[str, ...]], number: int) -> bool:
        """Send to everybody what they do not have. Says whether all have everything now."""
        names = list(self._notifiers)
        first = number % len(names)  # so that none waits behind the same slow ones in each poll
        wanted = {whom: sorted(one for one in texts if whom in owed[one]) for whom in names[first:] + names[:first]}
        left = {whom for whom, numbers in wanted.items() if len(numbers) > _MOST}
        stuck: set[str] = set()
        for turn in range(_MOST):
            for whom, numbers in wanted.items():
                if turn < len(numbers) and whom not in stuck and not self._send(whom, numbers[turn], texts):
                    stuck.add(whom)
        return not (left or stuck)

    def _send(self, whom: str, number: int, texts: dict[int, Text | None]) -> bool:
        """Send one notice to one, or give it up. Says whether nothing of it is left to do."""
        notifier = self._notifiers[whom]
        if self._clock.now() - self._listed.created.get(number, self._clock.now()) > _PATIENCE:
            reason = f"notice {number} is given up: it could not be sent for a day"
            log.warning("not notified", extra={"notifier": notifier.name, "code": NotifyFailed.code, "reason": reason})
            self._mark(number, whom)
            return True
        if self._clock.monotonic() >= self._until:
            return False
        text = texts[number] = texts[number] or self._text_of(number)
        if text is not None:
            try:
                notifier.send(Message(text.title, text.body, Tone(text.tone)))
            except PagebindError as error:
                about = {"notifier": notifier.name, "code": error.code, "reason": error.message}
                log.warning("not notified", extra=about)
                return False
            log.info("notified", extra={"notifier": notifier.name, "notice": number})
        self._mark(number, whom)
        return True

    def _text_of(self, number: int) -> Text | None:
        """What was to be sent with an earlier notice; None where nobody can tell any more."""
        with suppress(KeyMissing, ValueError):
            return notices.load(self._work.get(keys.notice_key(NoticeMark(number)))).text
        return None

    def _mark(self, number: int, whom: str) -> None:
        with suppress(ConditionFailed):
            self._work.put(keys.notice_key(NoticeMark(number, whom)), b"", condition=ABSENT)

    def _clear(self, now: float) -> None:
        """Remove a little of what is old."""
        for mark in islice(garbage.needless_notices(self._listed.all, now), _LITTLE):
            self._work.delete(keys.notice_key(mark))


def _text(topics: Iterable[notices.Topic]) -> Text | None:
    told = list(topics)
    return notices.compose(told) if told else None
