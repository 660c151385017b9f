"""What people know, what is new against it, and the words in which they are told."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagebind.core import keys, notices
from pagebind.core.garbage import NOTICE_MEMORY, needless_notices
from pagebind.core.keys import LEFT, NoticeMark, ReceiptMark
from pagebind.core.message import Message, Tone
from pagebind.core.notices import (
    LONGEST,
    OVERLAP,
    Book,
    Changes,
    Found,
    Item,
    Notice,
    State,
    Trouble,
    Window,
    compare,
    compose,
    of_books,
    of_failing,
    of_held,
    of_recovery,
    of_trouble,
    of_unlisted,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 86400.0
NOTHING = State(Window(), {}, {}, frozenset(), None, {})


def book(volume: str, created: float = NOW, seq: int = 1) -> Book:
    return Book(volume, ReceiptMark(seq, "v", 0, created))


def found(
    *books: Book,
    held: Mapping[str, str | None] | None = None,
    failing: Mapping[str, int] | None = None,
    on_the_way: Mapping[str, int | None] | None = None,
    unlisted: Collection[str] = (),
    walked: Sequence[str] = (),
    trouble: str | None = None,
    made_here: Collection[str] = (),
    known: Collection[str] = "abc",
    now: float = NOW,
) -> Found:
    return Found(
        books,
        (),
        made_here,
        known,
        held or {},
        failing or {},
        on_the_way or failing or {},
        unlisted,
        walked.__contains__,
        trouble,
        now,
    )


def told(*polls: Found, state: State | None = NOTHING) -> list[Changes]:
    """What each of some polls tells, one after the other."""
    changes = []
    for poll in polls:
        new, state = compare(state, poll)
        changes.append(new)
    return changes


# -- books


def test_each_book_is_told_once() -> None:
    first, second = book("a"), book("b", NOW + 10)
    changes = told(found(first), found(first), found(first, second), found(first, second))
    assert [list(one.books) for one in changes] == [[first], [], [second], []]


def test_a_book_that_is_bound_anew_is_told_anew() -> None:
    changes = told(found(book("a")), found(book("a"), book("a", NOW + 10, seq=2)))
    assert [one.mark.seq for one in changes[1].books] == [2]


def test_a_volume_that_was_bound_twice_in_between_is_told_once() -> None:
    [changes] = told(found(book("a", NOW + 10, seq=2), book("a")))
    assert [one.mark.seq for one in changes.books] == [2]


def test_the_first_poll_tells_no_book_from_before_it() -> None:
    old, new = book("a", NOW - 9 * HOUR), book("b")
    changes = told(found(old), found(old), found(old, new), state=None)
    assert [list(one.books) for one in changes] == [[], [], [new]]


def test_the_first_run_tells_the_books_that_it_has_made_itself() -> None:
    [changes] = told(found(book("a", NOW - 1), book("b"), made_here={"b"}), state=None)
    assert [one.volume for one in changes.books] == ["b"]


def test_a_book_that_a_listing_missed_is_told_later() -> None:
    late = book("a", NOW - OVERLAP / 2)
    changes = told(found(book("b")), found(book("b"), late))
    assert list(changes[1].books) == [late]


def test_what_is_remembered_of_books_does_not_grow_with_them() -> None:
    state = NOTHING
    books: list[Book] = []
    for number in range(500):
        books.append(book(f"v{number}", NOW + 60 * number))
        _, state = compare(state, found(*books, now=NOW + 60 * number))
        assert len(state.books.ids) <= OVERLAP / 60


def test_a_book_of_a_clock_that_ran_ahead_hides_no_later_one() -> None:
    ahead = book("a", NOW + 900 * HOUR)
    polls = [[ahead], [ahead, book("b", NOW)], [ahead, book("b", NOW)], [ahead, book("b", NOW), book("c", NOW + 1)]]
    changes = told(*(found(*books) for books in polls))
    assert [[one.volume for one in poll.books] for poll in changes] == [["a"], ["b"], [], ["c"]]


def test_a_book_that_was_another_volumes_is_known_and_not_told() -> None:
    moved = book("a")
    changes, state = compare(NOTHING, found(moved)._replace(taken_over={moved.id}))
    assert list(changes.books) == []
    assert state.books.ids == {moved.id}


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.integers(0, 8), max_size=4), max_size=8),
    st.lists(st.booleans(), max_size=8),
)
def test_whatever_is_bound_when_each_book_is_told_exactly_once(rounds: list[list[int]], lost: list[bool]) -> None:
    """A poll whose claim is lost to another, or that dies before it, has written nothing."""
    state: State | None = None
    bound: list[Book] = []
    heard: list[str] = []
    for number, volumes in enumerate([*rounds, *([] for _ in range(9))]):
        bound += [book(f"v{volume}", NOW + 7 * HOUR * number + volume, seq=number) for volume in sorted({*volumes})]
        changes, after = compare(state, found(*bound))
        if number < len(lost) and lost[number]:
            continue
        if state is None:
            bound.clear()  # from before the first poll that tells
        state = after
        heard += [f"{one.volume} {one.mark.seq}" for one in changes.books]
    newest = {one.volume: one for one in bound}
    assert len(heard) == len(set(heard))
    assert {f"{one.volume} {one.mark.seq}" for one in newest.values()} <= set(heard)


# -- volumes


def test_a_held_volume_is_told_once_for_each_reason() -> None:
    changes = told(
        found(held={"a": "1.foreign.0"}),
        found(held={"a": "1.foreign.0", "b": None}),
        found(held={"a": "1.foreign.2"}),
        found(held={"a": None}),
        found(held={"a": "1.foreign.2"}, now=NOW + DAY - 1),
        found(held={"a": None}, now=NOW + DAY),
        found(held={"a": "1.foreign.2"}, now=NOW + 2 * DAY),
    )
    assert [list(one.held) for one in changes] == [["a"], [], ["a"], [], [], [], ["a"]]


def test_what_is_over_is_remembered_for_a_day_and_forgotten_with_the_next_that_ends() -> None:
    _, state = compare(NOTHING, found(held={"a": "x.0"}, unlisted={"/c"}))
    _, ended = compare(state, found(held={"a": None}, walked=["/c"]))
    assert ended.over == {"a x.0": NOW, "/c": NOW}
    assert compare(ended, found(now=NOW + 9 * DAY))[1] == ended, "to forget alone is no news"
    _, other = compare(ended, found(held={"b": "y.0"}, now=NOW + 9 * DAY))
    _, other = compare(other, found(held={"b": None}, now=NOW + 9 * DAY))
    assert other.over == {"b y.0": NOW + 9 * DAY}


def test_a_volume_that_is_not_looked_at_stays_held() -> None:
    changes = told(found(held={"a": "1.foreign.0"}), found(), found(held={"a": "1.foreign.0"}))
    assert [list(one.held) for one in changes] == [["a"], [], []]


def test_of_volumes_that_are_no_more_nothing_is_remembered() -> None:
    _, state = compare(NOTHING, found(held={"a": "1.foreign.0"}, failing={"b": 1}))
    _, state = compare(state, found(known=()))
    assert (state.held, state.failing) == ({}, {})


def test_a_failing_volume_is_told_when_it_begins() -> None:
    changes = told(
        found(failing={"a": 1}),
        found(failing={"a": 1}),
        found(on_the_way={"a": 1}),  # handed out once more
        found(failing={"a": 1}),
        found(),
        found(failing={"a": 2}),  # another listing
        found(on_the_way={"a": None}),  # bound, or held
        found(failing={"a": 2}),
    )
    assert [list(one.failing) for one in changes] == [["a"], [], [], [], [], ["a"], [], ["a"]]


def test_a_folder_is_told_when_it_begins_to_fail() -> None:
    changes = told(
        found(unlisted={"/c/A"}),
        found(unlisted={"/c/A"}),
        found(),  # not walked
        found(unlisted={"/c/A"}),
        found(walked=["/c/A"], now=NOW - 2 * DAY),
        found(unlisted={"/c/A", "/c/B"}),
        found(unlisted={"/c"}, walked=["/c/A", "/c/B"]),  # what lies below is not looked at
        found(unlisted={"/c/B"}, walked=["/c", "/c/A"]),
    )
    told_of = [list(one.unlisted) for one in changes]
    assert told_of == [["/c/A"], [], [], [], [], ["/c/A", "/c/B"], ["/c"], []]


# -- the server


def test_trouble_is_told_when_it_begins_and_when_it_ends() -> None:
    polls = [found(trouble=code, now=NOW + number) for number, code in enumerate(["auth"] * 10 + ["", ""])]
    first, *between, last, after = told(*polls)
    assert (first.begun, first.ended) == (Trouble("auth", NOW), None)
    assert all((one.begun, one.ended) == (None, None) for one in (*between, after))
    assert (last.begun, last.ended) == (None, Trouble("auth", NOW))


def test_trouble_of_another_kind_is_a_change_and_lasts_from_the_first_on() -> None:
    codes = ["server", None, "auth", "auth", "server", ""]
    changes = told(*(found(trouble=code, now=NOW + number) for number, code in enumerate(codes)))
    assert [(one.begun and one.begun.code, one.ended and one.ended.code) for one in changes] == [
        ("server", None), (None, None), ("auth", "server"), (None, None), ("server", "auth"), (None, "server")
    ]  # fmt: skip
    assert changes[-1].ended == Trouble("server", NOW)


def test_trouble_in_the_first_poll_is_told() -> None:
    [changes] = told(found(trouble="auth"), state=None)
    assert changes.begun == Trouble("auth", NOW)


# -- words


def test_a_message() -> None:
    text = compose(
        [
            of_books(3, [Item("A/1.cbz"), Item("A/2.cbz", "adopted: another tool had made it")]),
            of_held(1, [Item("/c/A/3", "somebody removed the book", "put it back")]),
            of_failing(1, [Item("/c/A/4", "2 pages: 1.jpg: the drive at https://drive.example/x?sign=s3cr3t is away")]),
            of_unlisted(1, [Item("/c/B", "/c/B: alist.example.org:5244 answered 500: no such storage")]),
        ]
    )
    assert text.title == "Pagebind: 3 books, 1 held, 1 failed, 1 folder not listed"
    assert text.tone is Tone.WARNING
    assert text.body == (
        "3 books bound:\n"
        "- A/1.cbz\n"
        "- A/2.cbz: adopted: another tool had made it\n"
        "- and 1 more\n"
        "\n"
        "1 volume waits for a decision:\n"
        "- /c/A/3: somebody removed the book. To do: put it back\n"
        "\n"
        "Pages of 1 volume could not be had; they are tried again:\n"
        "- /c/A/4: 2 pages: 1.jpg: the drive at the server is away\n"
        "\n"
        "1 folder could not be listed:\n"
        "- /c/B: the server answered 500: no such storage"
    )


def test_messages_about_the_server() -> None:
    begun = compose([of_trouble(Trouble("auth", NOW), "check [source] token", None)])
    assert begun == Message(
        "Pagebind: credentials refused",
        "The server refuses the credentials, since 2027-01-15 08:00 UTC.\nTo do: check [source] token",
        Tone.FAILURE,
    )
    changed = compose([of_trouble(Trouble("server", NOW), "", Trouble("auth", NOW))])
    assert changed.title == "Pagebind: server unreachable"
    assert changed.body == (
        "The server cannot be reached now; before, it refused the credentials."
        " There is trouble since 2027-01-15 08:00 UTC."
    )
    ended = compose([of_recovery(Trouble("auth", NOW), NOW + 3 * HOUR + 20 * 60)])
    assert ended == Message(
        "Pagebind: credentials accepted again",
        "The server answers again: it refused the credentials for 3 h 20 min, since 2027-01-15 08:00 UTC.",
        Tone.INFO,
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 min"),
        (HOUR, "1 h 0 min"),
        (50 * HOUR, "2 d 2 h"),
    ],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert notices.duration(seconds) == words


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("https://a.example/d/x?sign=1 failed", "the server failed"),
        ("alist.example.org:5244 answered 500", "the server answered 500"),
        ("cdn.drive.example, where it redirects to, answered 403", "the server, where it redirects to, answered 403"),
        ("10.0.0.7 is away", "the server is away"),
        ("[::1]:5244 is away", "the server is away"),
        ("localhost:5244 is away", "the server is away"),
        ("0012.jpg: 12 bytes came, 300 are listed", "0012.jpg: 12 bytes came, 300 are listed"),
        ("Vol. 1/0012.jpg: not a picture", "Vol. 1/0012.jpg: not a picture"),
        ("ComicInfo.xml cannot be read", "ComicInfo.xml cannot be read"),
    ],
)  # fmt: skip
def test_a_reason_names_no_address(reason: str, shown: str) -> None:
    assert notices.harmless(reason) == shown


ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=300)
ITEMS = st.lists(st.builds(Item, ANYTHING, ANYTHING, ANYTHING), min_size=1, max_size=8)
MAKERS = (of_books, of_held, of_failing, of_unlisted)


@settings(max_examples=50)
@given(st.lists(ITEMS, min_size=4, max_size=4), st.integers(0, 10**6), ANYTHING)
def test_whatever_is_told_the_message_is_short_and_harmless(things: list[list[Item]], more: int, fix: str) -> None:
    topics = [of_trouble(Trouble("auth", NOW), fix, Trouble("server", NOW))]
    topics += [make(len(items) + more, items) for make, items in zip(MAKERS, things, strict=True)]
    text = compose(topics)

    assert len(text.title) + len(text.body) <= LONGEST
    assert text.title.isprintable()
    assert not set(text.body) & set("\u202e\u2066\u2028\x1b\r\0\udcff")
    paragraphs = text.body.split("\n\n")
    assert len(paragraphs) == len(topics)
    for topic, paragraph in zip(topics[1:], paragraphs[1:], strict=True):
        head, first, *rest = paragraph.splitlines()
        assert head == topic.head
        assert first.startswith("- ")
        named = [line for line in (first, *rest) if not line.startswith("- and ") or not line.endswith(" more")]
        left = topic.total - len(named)
        assert (f"- and {left} more" in rest) is (left > 0)


def test_a_long_name_keeps_its_end() -> None:
    [line] = of_books(1, [Item("Series/" + "x" * 300 + " Vol 12.cbz")]).lines
    assert line.endswith(" Vol 12.cbz")
    assert line.startswith("- Series/")
    assert len(line) < 100


def test_twenty_ordinary_books_are_all_named() -> None:
    items = [Item(f"One Piece/One Piece Vol {number:03}.cbz") for number in range(20)]
    assert "more" not in compose([of_books(20, items)]).body


@pytest.mark.parametrize("path", ["/c/B", "/c/cannot list /c/B"])
def test_a_folders_path_stands_once_in_its_line(path: str) -> None:
    [line] = of_unlisted(1, [Item(path, f"cannot list {path}: no such storage", "look at https://a.example:1")]).lines
    assert line == f"- {path}: no such storage. To do: look at the server"


# -- what was not sent


def test_the_pauses_double_and_end_with_a_day() -> None:
    pauses = [notices.due(NOW, tries) - NOW for tries in range(9)]
    assert pauses == [0, *(minutes * 60.0 - notices.EARLY for minutes in (15, 45, 105, 225, 465, 945)), DAY, DAY]
    assert notices.due(NOW, 10**9) == NOW + DAY


# -- what is old


def test_old_notices_go_before_their_marks_and_the_newest_stays_whole() -> None:
    old, young = NOW - NOTICE_MEMORY - 1, NOW - NOTICE_MEMORY + 1
    ages = {1: old, 2: old, 3: young, 4: old}
    marks = [NoticeMark(number, whom, created) for number, created in ages.items() for whom in ("ab", "", LEFT)]
    gone = [(mark.number, mark.whom) for mark in needless_notices(marks, NOW)]
    assert gone == [(1, ""), (1, "ab"), (1, LEFT), (2, ""), (2, "ab"), (2, LEFT)]
    assert list(needless_notices([], NOW)) == []


# -- as objects

WORDS = st.text(st.characters(exclude_categories=[]), max_size=10)
TIMES = st.floats(0, 1e11)
STATES = st.builds(
    State,
    st.builds(Window, TIMES, st.frozensets(WORDS)),
    st.dictionaries(WORDS, WORDS),
    st.dictionaries(WORDS, st.integers(0, 10**6)),
    st.frozensets(WORDS),
    st.none() | st.builds(Trouble, st.sampled_from(notices.TROUBLES), TIMES),
    st.dictionaries(WORDS, TIMES),
)
NOTICES = st.builds(
    Notice,
    STATES,
    st.none() | st.builds(Message, WORDS, WORDS, st.sampled_from(Tone)),
    st.dictionaries(st.integers(1, 10**7), st.dictionaries(WORDS, st.integers(0, 10**6), max_size=3), max_size=3),
)


@given(NOTICES)
def test_a_notice_survives_the_store(notice: Notice) -> None:
    assert notices.load(notices.dump(notice)) == notice


@given(st.dictionaries(st.integers(1, 10**7), st.lists(WORDS, max_size=3), max_size=3))
def test_what_was_left_survives_the_store(untried: dict[int, list[str]]) -> None:
    assert notices.load_untried(notices.dump_untried(untried)) == untried


@given(st.builds(Window, TIMES, st.frozensets(WORDS)))
def test_what_a_hook_knows_survives_the_store(window: Window) -> None:
    assert notices.load_window(notices.dump_window(window)) == window


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


@given(NOTICES, st.data())
def test_what_is_no_notice_is_told_by_one_error(notice: Notice, data: st.DataObject) -> None:
    document: dict[str, Any] = json.loads(notices.dump(notice))
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(JSON)
    content = json.dumps(document).encode()
    for load in (notices.load, notices.load_window, notices.load_untried):
        with suppress(ValueError):
            load(content)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"null", b"{}", b"[" * 100_000, b'{"since":"x","books":[]}'])
def test_what_is_nothing_at_all_is_told_by_one_error(content: bytes) -> None:
    for load in (notices.load, notices.load_window):
        with pytest.raises(ValueError, match=r"^(not |Expecting|'x' is no time)"):
            load(content)


@given(st.integers(0, 10**8), st.sampled_from(["", LEFT, "0123456789ab"]), TIMES)
def test_the_keys_of_notices_are_taken_apart(number: int, whom: str, created: float) -> None:
    mark = NoticeMark(number, whom, created)
    assert keys.parse_notice(keys.notice_key(mark), created) == mark


@pytest.mark.parametrize("name", ["x.json", "1", "1.a.b", "².json", "1.", ".json"])
def test_other_objects_are_no_notices(name: str) -> None:
    assert keys.parse_notice(f"{keys.NOTICES}{name}") is None


@given(st.integers(0, 9 * 10**12), st.integers(1, 10**9))
def test_the_newest_call_of_a_hook_comes_first(milliseconds: int, later: int) -> None:
    one, other = (keys.hook_key("0123456789ab", when / 1000) for when in (milliseconds, milliseconds + later))
    assert other < one
    assert keys.hook_time(one) == pytest.approx(milliseconds / 1000, abs=0.002)
    assert keys.hook_time(f"{keys.HOOKS}0123456789ab/x") is None
