"""The acts of the rehearsal, in their order: each does something to the pipeline and demands what must come of it."""

from __future__ import annotations

import io
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from tests.rehearsal.deployment import PASSWORD
from tests.rehearsal.processes import until
from tests.rehearsal.stage import Counts, expect, expect_same_books

from pagebind.core import keys
from pagebind.demo.answers import Request
from pagebind.demo.library import write_demo_library
from pagebind.demo.store_calls import Call
from pagebind.demo.store_proxy import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rehearsal.processes import Handled, Service
    from tests.rehearsal.stage import Stage

SETTLE, LONGER = "10m", 11 * 60.0
RESEND = 3700.0
"""Seconds after which a poll hands out again what was handed out and never came: a little more than an hour."""

POLLS_WITHOUT_SERVER = 3
HELD = "Act 5/Vol 1"
"""The one volume whose book, in the end, lacks a page on purpose."""

_LIST = "/api/fs/list"
_LOGIN = "/api/auth/login"
_COMPOSE = "objects.compose"


class Act(NamedTuple):
    """One act: what it does, for people, and how; it returns what was counted."""

    title: str
    play: Callable[[Stage], str]


def perform(stage: Stage, say: Callable[[str], None]) -> None:
    """All acts and the end; each is told when it is over. Raises: AssertionError, TooLate, TimeoutError."""
    say(f"Dice: --seed {stage.seed}")
    for number, act in enumerate(ACTS, 1):
        begun, before = time.monotonic(), stage.counts()
        say(f"{number}. {act.title}")
        seen = act.play(stage)
        stage.check()
        say(f"   {seen} [{stage.counts().since(before)}; {time.monotonic() - begun:.1f} s]")


def books_appear(stage: Stage) -> str:
    write_demo_library(stage.comics)
    at_home = stage.run_at_home()
    files = stage.downloads()
    expect("a run at home asks for each file", len(set(files)), len(files))
    stage.server.requests.clear()

    first = stage.poll_and_settle()
    counts = stage.counts()
    expect_same_books(stage.books(), at_home)
    expect("downloads", sorted(stage.downloads()), sorted(files))
    expect(
        "fetch tasks, calls of fetch, downloads, books",
        counts,
        Counts(len(files), len(files), len(files), len(at_home)),
    )
    expect("other questions of the server than listings and files", stage.server.count("get"), 0)
    told = Counter(line.get("outcome") for line in stage.lines(stage.fetch))
    expect("lines of fetch, by outcome", told, Counter({"staged": len(files)}))
    expect("volumes that poll handed out", len(_waiting(first)), len(at_home))

    again = stage.poll_and_settle()
    expect("what a poll with nothing new does", stage.counts().since(counts), Counts(0, 0, 0, 0))
    expect("volumes that it finds bound", len(again.document["up_to_date"]), len(at_home))
    return f"{len(at_home)} books as at home; one task, one call and one download for each of {len(files)} files"


def page_added(stage: Stage) -> str:
    path = "One Piece/Vol 01"
    before = stage.books()
    stage.configure(settle=SETTLE)
    counts = stage.counts()
    stage.add(f"{path}/013.png")
    stage.poll_and_settle()
    stage.poll_and_settle()
    expect("what is done before it has settled", stage.counts().since(counts), Counts(0, 0, 0, 0))
    stage.buckets.pass_time(LONGER)
    stage.poll_and_settle()
    stage.configure()

    done, key = stage.counts().since(counts), f"{path}.cbz"
    pages = len(list((stage.comics / path).iterdir()))
    expect("downloads", stage.downloads()[-done.downloads :], [f"/comics/{path}/013.png"])
    expect("tasks: one for the new page, and one to copy each of the others from the book", done.tasks, pages)
    expect("books published", done.books, 1)
    after = stage.books()
    expect("books that changed", [name for name in after if after[name] != before.get(name)], [key])
    expect("the new page in the book", "013.png" in _names(after[key]), True)
    return f"settled after {SETTLE}; one page downloaded, {pages - 1} copied from the book, which was replaced"


def token_rotated(stage: Stage) -> str:
    """The queue still holds tasks with signs of the old one."""
    stage.volume("Act 3/Vol 1")
    stage.queue.pause("fetch")
    expect("the answer of poll", stage.schedule().status, 200)
    stage.note_secrets()
    stage.mount_token(stage.server.rotate_token())
    stage.queue.resume("fetch")
    stage.settle()
    expect("signs asked for anew", stage.server.count("get") >= 6, True)
    expect("the book of the tasks that were on their way", _has_book(stage, "Act 3/Vol 1"), True)
    stage.volume("Act 3/Vol 2")
    stage.poll_and_settle()
    expect("the book of the next poll", _has_book(stage, "Act 3/Vol 2"), True)
    expect("error lines of poll and fetch", stage.errors(stage.poll) + stage.errors(stage.fetch), [])
    return "tasks with the old signs and the next poll both went on, without a restart"


def refused(stage: Stage) -> str:
    """Both kinds of credentials."""
    stage.volume("Act 4/Vol 1")
    stage.note_secrets()
    new = stage.server.rotate_token()
    _refused_thrice(stage, stage.poll)
    stage.mount_token(new)
    stage.poll_and_settle()
    expect("the book of the next good poll", _has_book(stage, "Act 4/Vol 1"), True)

    stage.volume("Act 4/Vol 2")
    stage.mount_password("no-longer-right")
    logins = _refused_thrice(stage, stage.poll_by_login)
    expect("logins tried by three polls, at most", min(logins, 3), logins)
    stage.mount_password(PASSWORD)
    expect("the problems of the next poll", stage.schedule(stage.poll_by_login).document.get("problems"), [])
    stage.settle()
    expect("the book of the next good poll by login", _has_book(stage, "Act 4/Vol 2"), True)
    return f"3 polls with a dead token, 3 with a wrong password ({logins} logins tried): an error line each, no task"


def _refused_thrice(stage: Stage, poll: Service) -> int:
    """Three polls whose credentials are refused. Returns how many logins were tried."""
    counts, asked = stage.counts(), len(stage.server.requests)
    for _ in range(3):
        told = len(stage.errors(poll))
        polled = stage.schedule(poll)
        expect("the status of a refused poll", polled.status, 200)
        expect("its problems", [problem["code"] for problem in polled.document["problems"]], ["auth"])
        expect("its error lines", len(stage.errors(poll)) - told, 1)
    expect("what was enqueued", stage.counts().since(counts), Counts(0, 0, 0, 0))
    made = stage.server.requests[asked:]
    if len(made) > 2 * 3:
        raise AssertionError(f"three refused polls asked the server {len(made)} times")
    return sum(one.url.startswith(_LOGIN) for one in made)


def page_failed(stage: Stage) -> str:
    bad = f"/comics/{HELD}/003.png"
    stage.volume(HELD)
    stage.server.faults.add("wrong_bytes", bad)
    stage.poll_and_settle()
    stage.settle()
    expect("a book that lacks a page", _has_book(stage, HELD), False)
    polled = stage.schedule()
    expect("volumes held", [one["path"] for one in polled.document["held"]], [f"/comics/{HELD}"])
    expect("why", polled.document["held"][0]["problem"]["code"], "page_failed")
    counts = stage.counts()
    decided = stage.command("bind", f"/comics/{HELD}", "--without-missing")
    expect("decided", [one["kind"] for one in decided["decided"]], ["without-missing"])
    stage.poll_and_settle()
    expect("fetches after the decision", stage.counts().since(counts).fetches, 0)
    expect("its book", _names(stage.books()[f"{HELD}.cbz"]), [*_pages(1, 2, 4, 5, 6), "ComicInfo.xml"])
    stage.server.faults.clear()
    return "held after its last attempt, waived by `pagebind bind --without-missing`, bound"


def at_once(stage: Stage) -> str:
    for times in (2, 5):
        stage.volume(f"Act 6/Vol {times}", pages=8)
        counts = stage.counts()
        for polled in stage.schedule_at_once(times):
            expect("the answer of each", (polled.status, polled.document["problems"]), (200, []))
        stage.settle()
        stage.poll_and_settle()
        expect(f"what {times} polls at once did", stage.counts().since(counts), Counts(8, 8, 8, 1))
    expect_same_books(*_books_to_compare(stage))
    return "2 and 5 polls at once: each page once"


def doubled(stage: Stage) -> str:
    for number in range(1, 4):
        stage.volume(f"Act 7/Vol {number}", pages=8)
    stage.queue.duplicate = True
    stage.queue.shuffle(stage.seed)
    counts = stage.counts()
    try:
        stage.poll_and_settle()
        stage.poll_and_settle()
    finally:
        stage.queue.duplicate = False
        stage.queue.shuffle(None)
    done = stage.counts().since(counts)
    expect("tasks", done.tasks, 24)
    expect("calls of fetch", done.fetches, 48)
    expect_same_books(*_books_to_compare(stage))
    return "the same books"


def killed(stage: Stage) -> str:
    """At moments that are seen: a request to the server or to a bucket is under way."""
    _killed_poll(stage, "listing", lambda asked: isinstance(asked, Request) and asked.path == _LIST)
    _killed_poll(stage, "handing out", lambda asked: _writes(asked, keys.SENT), hour=True)
    calls = _killed(stage, stage.fetch, "fetching", lambda asked: _downloads(asked, "/comics/Act 8/fetching/003.png"))
    calls += _killed(
        stage, stage.finalize, "composing", lambda asked: isinstance(asked, Call) and asked.operation == _COMPOSE
    )
    calls += _killed(stage, stage.finalize, "receipt", lambda asked: _writes(asked, keys.DONE))
    expect_same_books(*_books_to_compare(stage))
    return f"poll while listing and handing out, fetch, finalize before compose and receipt: {calls} calls died"


def _downloads(asked: Request | Call, path: str) -> bool:
    return isinstance(asked, Request) and unquote(asked.path) == f"/d{path}"


def _writes(asked: Request | Call, prefix: str) -> bool:
    return isinstance(asked, Call) and asked.operation == "objects.insert" and asked.key.startswith(prefix)


def _killed(stage: Stage, service: Service, name: str, moment: Callable[[Request | Call], bool]) -> int:
    """Kill fetch or finalize at a moment; the queue calls again by itself. Returns how many calls died with it."""
    stage.volume(f"Act 8/{name}")
    handled = len(service.handled)
    with stage.stopped_at(moment) as came:
        expect("the answer of poll", stage.schedule().status, 200)
        until(came.is_set, f"{service.name} is at it: {name}")
        service.kill()
    service.start()
    service.ready()
    stage.settle()
    expect(f"the book after {name}", _has_book(stage, f"Act 8/{name}"), True)
    died = sum(one.status == 0 for one in service.handled[handled:])
    expect("whether a call died", died > 0, True)
    return died


def _killed_poll(stage: Stage, name: str, moment: Callable[[Request | Call], bool], *, hour: bool = False) -> None:
    """Kill poll at a moment; the scheduler calls again, what was handed out waits for an ``hour``."""
    stage.volume(f"Act 8/{name}")
    with ThreadPoolExecutor(1) as pool, stage.stopped_at(moment, Fault(drop="after")) as came:
        polled = pool.submit(stage.schedule)
        until(came.is_set, f"poll is at it: {name}")
        stage.poll.kill()
        expect("the answer of a poll that was killed", polled.result().status, 503)
    stage.poll.start()
    stage.poll.ready()
    if hour:
        counts = stage.counts()
        stage.poll_and_settle()
        expect("tasks before the hour is over", stage.counts().since(counts).tasks, 0)
        stage.buckets.pass_time(RESEND)
    stage.poll_and_settle()
    expect(f"the book after {name}", _has_book(stage, f"Act 8/{name}"), True)


def server_away(stage: Stage) -> str:
    stage.volume("Act 9/Vol 1")
    stage.queue.pause("fetch")
    expect("the answer of poll", stage.schedule().status, 200)
    stage.server.stop()
    stage.volume("Act 9/Vol 2")
    counts = stage.counts()
    for _ in range(POLLS_WITHOUT_SERVER):
        told = len(stage.errors(stage.poll))
        polled = stage.schedule()
        expect("the status of a poll without a server", polled.status, 200)
        expect("its problems", [problem["code"] for problem in polled.document["problems"]], ["server"])
        expect("its error lines", len(stage.errors(stage.poll)) - told, 1)
    expect("what was enqueued", stage.counts().since(counts), Counts(0, 0, 0, 0))
    handled = len(stage.fetch.handled)
    stage.queue.resume("fetch")
    until(lambda: _put_off(stage.fetch.handled[handled:]), "fetch answers 503 with Retry-After")
    stage.server.start()
    stage.poll_and_settle()
    expect("the book of the tasks that waited", _has_book(stage, "Act 9/Vol 1"), True)
    expect("the book of the next poll", _has_book(stage, "Act 9/Vol 2"), True)
    others = [one.status for one in stage.fetch.handled[handled:] if one.status not in (200, 503)]
    expect("other answers of fetch than 200 and 503", others, [])
    return f"{POLLS_WITHOUT_SERVER} polls: an error line each, no task; what was queued came when the server was back"


def _put_off(answers: list[Handled]) -> bool:
    return any(one.status == 503 and one.retry_after for one in answers)


def the_end(stage: Stage) -> str:
    counts = stage.counts()
    last = stage.poll_and_settle()
    document = last.document
    expect("volumes that wait", _waiting(last), [])
    expect("volumes held", document["held"], [])
    expect("what the last poll does", stage.counts().since(counts), Counts(0, 0, 0, 0))
    expect("error lines of fetch and finalize", stage.errors(stage.fetch) + stage.errors(stage.finalize), [])
    expect("what is left in staging", stage.buckets.names(stage.deployment.work, keys.STAGING), [])
    found, wanted = _books_to_compare(stage)
    expect_same_books(found, wanted)
    expect("volumes bound", len(document["up_to_date"]), len(stage.books()))
    return f"{len(found)} books as at home, one without a page; nothing queued, dropped or left over"


def _books_to_compare(stage: Stage) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The library, and what a run at home makes of the same server, but for the book that lacks a page on purpose."""
    asked = len(stage.server.requests)
    at_home = stage.run_at_home()
    del stage.server.requests[asked:]
    library = stage.books()
    for books in (library, at_home):
        books.pop(f"{HELD}.cbz", None)
    return library, at_home


def _waiting(polled: Handled) -> list[str]:
    """The volumes that a poll found to do."""
    return [one["path"] for one in polled.document["waiting"] if one["state"] != "ignored"]


def _has_book(stage: Stage, path: str) -> bool:
    return f"{path}.cbz" in stage.books()


def _names(book: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        return archive.namelist()


def _pages(*numbers: int) -> list[str]:
    return [f"{number:03}.png" for number in numbers]


ACTS = (
    Act("The scheduler calls: the books appear", books_appear),
    Act("A page is added to a folder", page_added),
    Act("The token is rotated in the mounted file", token_rotated),
    Act("Credentials are refused", refused),
    Act("A page fails for good", page_failed),
    Act("Polls are fired at once", at_once),
    Act("Every delivery is doubled and shuffled", doubled),
    Act("Each function is killed while it works", killed),
    Act("The server is away for three polls", server_away),
    Act("The end", the_end),
)
