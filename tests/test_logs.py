"""The log: its two forms, what may stand in it, and whose request a line belongs to."""

from __future__ import annotations

import ast
import http.client
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing, contextmanager, redirect_stderr, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from tests.app.world import World
from tests.support.logging_state import kept_logging
from tests.support.paths import REPOSITORY
from tests.support.servers import skipping

from pagebind import logs
from pagebind.adapters.clock import SystemClock
from pagebind.adapters.dispatch.local import LocalDispatch
from pagebind.adapters.stores.retrying import again
from pagebind.adapters.workers import Workers
from pagebind.demo.server import DemoServer
from pagebind.errors import ListingFailed, StoreUnavailable
from pagebind.ports.dispatch import FetchTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "s3cr3t-0f-a-page"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CLOUD = {"K_SERVICE": "fetch", "GOOGLE_CLOUD_PROJECT": "comics"}
LINKED = {"logging.googleapis.com/trace": f"projects/comics/traces/{TRACE}"}

log = logging.getLogger("pagebind.tests")


class Lines:
    """What was written to standard error so far, line by line."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._written = ""

    @property
    def all(self) -> str:
        self._written += self._read()
        return self._written

    @property
    def text(self) -> list[str]:
        assert self.all.endswith("\n") or not self.all
        return self.all.splitlines()

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text]

    @property
    def only(self) -> dict[str, Any]:
        [line] = self.json
        return line


@pytest.fixture
def cloud(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    with kept_logging():
        logs.set_up_functions(CLOUD)
        yield Lines(lambda: capsys.readouterr().err)


@pytest.fixture
def home(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    with kept_logging():
        logs.set_up_functions({})
        yield Lines(lambda: capsys.readouterr().err)


# -- forms


def test_a_line_for_cloud_logging(cloud: Lines) -> None:
    log.info("page fetched", extra={"volume": "v", "seq": 1, "outcome": "staged", "seconds": 0.5})

    line = cloud.only
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "severity": "INFO",
        "message": "page fetched",
        "volume": "v",
        "seq": 1,
        "outcome": "staged",
        "seconds": 0.5,
    }


def test_a_line_for_people(home: Lines) -> None:
    log.warning("page failed", extra={"volume": "v", "reason": "gone"})

    [line] = home.text
    assert line[8:] == " warning: page failed (volume=v, reason=gone)"


@pytest.mark.parametrize("level", ["INFO", "WARNING", "ERROR", "CRITICAL"])
def test_severities_are_those_of_cloud_logging(cloud: Lines, level: str) -> None:
    log.log(logging.getLevelNamesMapping()[level], "event")
    assert cloud.only["severity"] == level


def test_details_are_left_out(cloud: Lines) -> None:
    log.debug("removed")
    assert cloud.text == []


def test_setting_up_again_adds_nothing(cloud: Lines) -> None:
    logs.set_up_functions(CLOUD)
    log.info("bound")
    logging.getLogger("flask").error("worker gone")
    assert len(cloud.text) == 2


@pytest.mark.parametrize("env", [{}, CLOUD], ids=["home", "cloud"])
@given(name=st.text(st.characters(exclude_categories=[]), max_size=20))
def test_whatever_a_name_holds_it_is_one_line_of_valid_text(env: dict[str, str], name: str) -> None:
    with kept_logging(), redirect_stderr(io.StringIO()) as written:
        logs.set_up_functions(env)
        log.info("page fetched", extra={"page": f"{name}\n\r\u2028\x1b[31m\udcff"})

    [line] = written.getvalue().splitlines()
    line.encode()
    assert "\x1b" not in line
    if env is CLOUD:
        json.loads(line)["page"].encode()


def test_the_line_of_a_page_is_small(cloud: Lines) -> None:
    volume = "comics-one-piece-vol-103-0123456789abcdef"
    page = {"page": "/comics/One Piece/Vol 103/One Piece v103 - 0042.jpg", "outcome": "staged", "seconds": 0.812}
    with logs.traced({"traceparent": TRACEPARENT}):
        log.info("page fetched", extra={"volume": volume, "seq": 1, "epoch": 1, **page, "bytes": 1048576})

    [line] = cloud.text
    assert len(line) <= 400, len(line)


# -- what a command shows


def test_a_command_does_not_tell_a_problem_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with kept_logging():
        logs.set_up("text", verbose=0, quiet=False)
        log.warning("page failed")
        log.warning("hash differs")
        assert capsys.readouterr().err.splitlines()[0].endswith("warning: hash differs")
        logs.set_up("text", verbose=1, quiet=False)
        log.warning("page failed")
        assert capsys.readouterr().err.endswith("warning: page failed\n")


# -- traces


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": TRACEPARENT},
        {"traceparent": f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later"},
        {"X-Cloud-Trace-Context": f"{TRACE}/123;o=1"},
        {"X-Cloud-Trace-Context": TRACE.upper()},
        {"traceparent": "00-bad", "X-Cloud-Trace-Context": TRACE},
    ],
)
def test_a_line_names_the_trace_of_its_request(cloud: Lines, headers: dict[str, str]) -> None:
    with logs.traced(headers):
        log.info("bound")
    log.info("bound")

    inside, after = cloud.json
    assert inside.items() >= LINKED.items()
    assert not after.keys() & LINKED.keys()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": ""},
        {"traceparent": TRACEPARENT.upper()},
        {"traceparent": f"{TRACEPARENT}-more"},
        {"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"X-Cloud-Trace-Context": "0" * 32},
        {"X-Cloud-Trace-Context": f"{TRACE[:-1]}/1"},
        {"X-Cloud-Trace-Context": f'{TRACE}", "severity": "INFO'},
    ],
)
def test_what_is_no_trace_is_left_out(cloud: Lines, headers: dict[str, str]) -> None:
    with logs.traced(headers):
        log.info("bound")
    assert set(cloud.only) == {"time", "severity", "message"}


def test_without_a_project_the_trace_stands_alone(cloud: Lines) -> None:
    logs.set_up_functions({"K_SERVICE": "fetch"})
    with logs.traced({"traceparent": TRACEPARENT}):
        log.info("bound")
    assert cloud.only["trace"] == TRACE


def test_the_threads_of_stores_know_the_trace(cloud: Lines) -> None:
    with logs.traced({"traceparent": TRACEPARENT}), Workers(2) as pool:
        pool.submit(log.info, "store asked again").result()
        list(pool.map(log.info, ["store asked again"] * 3))

    assert len(cloud.json) == 4
    assert all(line.items() >= LINKED.items() for line in cloud.json)


def test_all_lines_of_a_run_know_the_trace(cloud: Lines, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.source.folder("/c/A/Vol 1", "1.png", "2.png")
    world.source.folder("/c/B/Vol 1", "1.png")
    world.source.failing["/c/B/Vol 1"] = ListingFailed("the drive is not there")
    with logs.traced({"traceparent": TRACEPARENT}):
        world.run()

    told = {line["message"] for line in cloud.json}
    assert {"listing failed", "handed out", "bound"} < told
    assert all(line.items() >= LINKED.items() for line in cloud.json)


def test_two_requests_at_once_keep_their_traces(cloud: Lines) -> None:
    meet = threading.Barrier(2)

    def request(trace: str) -> None:
        with logs.traced({"X-Cloud-Trace-Context": trace}):
            meet.wait(10)
            log.info("bound", extra={"volume": trace})

    threads = [threading.Thread(target=request, args=(digit * 32,)) for digit in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(line["logging.googleapis.com/trace"][-32:] for line in cloud.json) == ["a" * 32, "b" * 32]
    assert all(line["logging.googleapis.com/trace"].endswith(line["volume"]) for line in cloud.json)


# -- other libraries


@contextmanager
def everything_told() -> Iterator[io.StringIO]:
    """What libraries say at level DEBUG, without our handler."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    before = logging.getLogger("httpx").level
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        logging.getLogger("httpx").setLevel(before)


def ask_by_httpx(url: str) -> None:
    httpx.get(url)


def ask_in_vain(url: str) -> None:
    """Urllib3 warns of each repetition."""
    with socket.socket() as closed:  # bound, and never listened at
        closed.bind(("127.0.0.1", 0))
        closed_url = f"http://127.0.0.1:{closed.getsockname()[1]}/d/x?sign={SECRET}"
        with pytest.raises(urllib3.exceptions.MaxRetryError), urllib3.PoolManager() as pool:
            pool.request("GET", closed_url, retries=urllib3.Retry(1))


def ask_google(url: str) -> None:
    storage = pytest.importorskip("google.cloud.storage")
    credentials = pytest.importorskip("google.auth.credentials").AnonymousCredentials()
    client = storage.Client("p", credentials, client_options={"api_endpoint": url.rpartition("/d/")[0]})
    with suppress(Exception):  # this is no Google
        client.bucket("b").blob(f"x?sign={SECRET}").reload(retry=None)
    client.close()


def ask_amazon(url: str) -> None:
    boto3 = pytest.importorskip("boto3")
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": SECRET, "region_name": "eu-west-1"}
    client = boto3.client("s3", endpoint_url=url.rpartition("/d/")[0], **keys)
    with suppress(Exception):  # nor Amazon
        client.get_object(Bucket="bucket", Key=SECRET)
    client.close()


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with skipping(), DemoServer({}) as server:
        yield server


@pytest.mark.parametrize("ask", [ask_by_httpx, ask_in_vain, ask_google, ask_amazon])
def test_libraries_leave_no_address(cloud: Lines, server: DemoServer, ask: Callable[[str], None]) -> None:
    with everything_told() as told:
        ask(f"{server.url}/d/x?sign={SECRET}")

    assert SECRET in told.getvalue()
    assert all(line["severity"] in {"WARNING", "ERROR"} for line in cloud.json)
    shown = cloud.all
    assert SECRET not in shown
    assert "http" not in shown.replace("HTTP", "").replace('"urllib3', "")
    assert ("urllib3.connectionpool" in shown) is (ask is ask_in_vain)


@pytest.mark.parametrize(
    ("words", "arguments", "shown"),
    [
        ("Connection pool is full: %s", (SECRET,), "Connection pool is full: %s"),
        (f"failed: https://host/d/x?sign={SECRET} again", (), "failed: … again"),
        (f"refresh with token={SECRET}", (), "refresh with …"),
        (f"Authorization: alist-{'0123456789abcdef' * 4}", (), "Authorization: …"),
        (ValueError(SECRET), (), "ValueError"),
    ],
)  # fmt: skip
def test_of_a_librarys_words_only_harmless_ones_are_shown(
    cloud: Lines, words: object, arguments: tuple[str, ...], shown: str
) -> None:
    logging.getLogger("some.library").warning(words, *arguments, extra={"request": SECRET})

    line = cloud.only
    assert SECRET not in cloud.all
    assert (line["message"], line["logger"], set(line)) == (
        shown, "some.library", {"time", "severity", "message", "logger", "line"}
    )  # fmt: skip


def gunicorn_log(level: str = "error") -> Any:
    glogging = pytest.importorskip("gunicorn.glogging")
    config = pytest.importorskip("gunicorn.config").Config()
    config.set("loglevel", level)
    return glogging.Logger(config)


def test_gunicorn_which_sets_up_its_own_log_later_writes_our_lines(cloud: Lines) -> None:
    gunicorn = gunicorn_log("info")
    gunicorn.error("Error handling request %s", f"/?sign={SECRET}")
    gunicorn.info("Listening at: %s", "127.0.0.1")
    assert (cloud.only["message"], cloud.only["logger"]) == ("Error handling request …", "gunicorn.error")


@pytest.mark.parametrize(
    ("words", "arguments", "shown"),
    [
        ("Connection in use: %s", (str(("0.0.0.0", 8080)),), "Connection in use: ('0.0.0.0', 8080)"),
        ("Worker (pid:%s) was sent %s!", (7, "SIGKILL"), "Worker (pid:7) was sent SIGKILL!"),
        (f"Invalid request from ip=1.2.3.4: '/{SECRET}&x'", (), "Invalid request from … …"),
        ("Invalid HTTP Header: %s", (f"me@{SECRET}",), "Invalid HTTP Header: …"),
        ("Invalid HTTP Header: %s", (SECRET * 6,), "Invalid HTTP Header: …"),
        ("Exception during worker exit:\n%s", (f"ValueError: {SECRET}",), "Exception during worker exit:"),
    ],
)
def test_lines_of_gunicorn_are_whole_but_for_what_requests_hold(
    cloud: Lines, words: str, arguments: tuple[object, ...], shown: str
) -> None:
    gunicorn_log().error(words, *arguments)
    assert cloud.only["message"] == shown
    assert SECRET not in cloud.all


def test_at_home_gunicorn_tells_where_it_listens(home: Lines) -> None:
    gunicorn = gunicorn_log("info")
    gunicorn.info("Starting gunicorn %s", "27.0.1")
    gunicorn.info("Listening at: %s (%s)", "http://0.0.0.0:8080", 7)
    gunicorn.info("Booting worker with pid: %s", 8)
    [line] = home.text
    assert line[8:].startswith(" info: Listening at: http://0.0.0.0:8080 (7) (")


def test_the_level_that_somebody_set_for_gunicorn_stays() -> None:
    env = {"GUNICORN_LOG_LEVEL": "error"}
    with kept_logging():
        logs.set_up_functions(env)
    assert env == {"GUNICORN_LOG_LEVEL": "error"}


def test_warnings_of_python_are_lines_too(cloud: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"deprecated\nsee https://host/?sign={SECRET}", FutureWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert (cloud.only["severity"], cloud.only["logger"]) == ("WARNING", "py.warnings")
    assert SECRET not in cloud.all


# -- exceptions


def told_of(error: BaseException) -> None:
    logging.getLogger("fetch").error("Exception on / [POST]", exc_info=error)


def test_an_exception_is_its_kind_and_where_it_came_from(cloud: Lines) -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError(f"https://host/d/x?sign={SECRET}") from httpx.ConnectError(f"https://host/d/x?sign={SECRET}")
    told_of(caught.value)

    line = cloud.only
    assert (line["severity"], line["exception"], line["causes"]) == ("ERROR", "KeyError", "httpx.ConnectError")
    assert line["places"].startswith("tests/test_logs.py:")
    assert SECRET not in cloud.all


def test_it_is_told_which_lines_of_ours_it_passed(cloud: Lines) -> None:
    def fail(*_: object) -> NoReturn:
        raise RuntimeError(SECRET)

    dispatch = LocalDispatch(fail, fail, SystemClock(), workers=1)
    dispatch.fetch(FetchTask("v", "p", "/p", "/", "p.jpg", 1, 1, 1))
    with pytest.raises(RuntimeError) as caught:
        dispatch.drain()
    dispatch.join(10)
    told_of(caught.value)

    places = [place.partition(":")[0] for place in cloud.only["places"].split(", ")]
    assert set(places[:-1]) == {"dispatch/local.py"}
    assert places[-1] == "tests/test_logs.py"
    assert SECRET not in cloud.all


def test_of_a_long_way_the_end_is_told(cloud: Lines) -> None:
    def fall(deep: int) -> None:
        again(partial(fall, deep - 1) if deep else partial(int, SECRET), "call")

    with pytest.raises(ValueError, match=SECRET) as caught:
        fall(20)
    told_of(caught.value)
    assert len(cloud.only["places"].split(", ")) == 8
    assert SECRET not in cloud.all


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreUnavailable("the store is full"), "the store is full"),
        (OSError(28, SECRET, SECRET), os.strerror(28)),
        (OSError(SECRET), None),
        (httpx.ConnectError(SECRET), None),
        (UnicodeEncodeError("utf-8", SECRET, 0, 1, SECRET), None),
    ],
)
def test_reasons_are_ours_or_the_operating_systems(cloud: Lines, error: Exception, reason: str | None) -> None:
    told_of(error)
    assert cloud.only.get("reason") == reason
    assert SECRET not in cloud.all


def test_at_home_too(home: Lines) -> None:
    told_of(RuntimeError(f"https://host/?sign={SECRET}"))
    [line] = home.text
    assert " error: Exception on … [POST] (logger=fetch, " in line
    assert "exception=RuntimeError" in line
    assert SECRET not in line


def test_a_thread_that_dies_is_one_line(cloud: Lines) -> None:
    def die() -> None:
        raise RuntimeError(SECRET)

    hook = threading.excepthook
    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    assert hook is threading.excepthook
    assert (cloud.only["message"], cloud.only["exception"]) == ("a thread died", "RuntimeError")
    assert SECRET not in cloud.all


def test_an_exception_that_python_ignores_is_one_line(cloud: Lines) -> None:
    class Bad:
        def __del__(self) -> None:
            raise RuntimeError(SECRET)

    Bad()
    assert (cloud.only["message"], cloud.only["exception"]) == ("an exception was ignored", "RuntimeError")
    assert SECRET not in cloud.all


def test_what_cannot_be_written_ends_nothing_and_tells_nothing(cloud: Lines) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    log.info("bound", extra={"volume": Unspeakable()})
    assert cloud.all == ""


# -- the events


def calls_of_the_log() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a module's ``log``, with the level it names."""
    for file in (REPOSITORY / "shared" / "pagebind").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=level)):
                    yield level.upper(), node


def fields_of(call: ast.Call) -> set[str]:
    """Those that stand in the call itself."""
    extras = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
    keys = [key for extra in extras if isinstance(extra, ast.Dict) for key in extra.keys]
    return {str(key.value) for key in keys if isinstance(key, ast.Constant)}


def test_the_events_are_those_of_the_design() -> None:
    text = (
        (REPOSITORY / "docs" / "design.md").read_text(encoding="utf-8").partition("\n## Log\n")[2].partition("\n## ")[0]
    )
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    designed = {name: row for row in table for name in re.findall(r"`([^`]+)`", row[0])}
    seen = set()
    for level, call in calls_of_the_log():
        event, *arguments = call.args[1:] if level == "LOG" else call.args
        assert isinstance(event, ast.Constant), ast.unparse(call)
        assert not arguments, ast.unparse(call)
        _, severities, fields, _ = designed[event.value]
        seen.add(event.value)
        assert level in {"LOG", *severities.split(", ")}, event.value
        assert fields_of(call) <= set(fields.split(", ")), event.value
    assert seen == designed.keys()


# -- under functions-framework

SOURCE = """
import logging
import os
import threading

import functions_framework
import httpx
from pagebind import logs
from pagebind.adapters.workers import Workers

logs.set_up_functions(os.environ)
log = logging.getLogger("pagebind.tests")


def page():
    log.info("page fetched", extra={"volume": "v", "outcome": "staged"})


def thread():
    with Workers(2) as pool:
        list(pool.map(lambda _: page(), range(2)))


def broken():
    try:
        raise httpx.ConnectError("https://host/d/x?sign=SECRET")
    except httpx.ConnectError as error:
        raise KeyError("https://host/d/x?sign=SECRET") from error


@functions_framework.http
def go(request):
    with logs.traced(request.headers):
        {"page": page, "thread": thread, "broken": broken}[request.path.strip("/")]()
    return "done"
"""


class Process:
    """A function of functions-framework, with nothing of our environment but where things are."""

    def __init__(self, home: Path, **env: str) -> None:
        (home / "main.py").write_text(SOURCE.replace("SECRET", SECRET))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._log = home / "log"
        words = ["--target", "go", "--source", str(home / "main.py"), "--host", "127.0.0.1", "--port", str(self._port)]
        with self._log.open("wb") as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "functions_framework", *words],
                cwd=home,
                env={"PATH": os.environ["PATH"], **env},
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,
            )

    def wait(self) -> None:
        until(self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def ask(self, path: str, **headers: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)) as asked:
            asked.request("POST", f"/{path}", b"{}", {name.replace("_", "-"): value for name, value in headers.items()})
            answer = asked.getresponse()
            return answer.status, answer.read().decode()

    def lines(self, count: int) -> list[str]:
        """So many lines, and no more."""
        until(lambda: len(self._log.read_text().splitlines()) >= count)
        lines = self._log.read_text().splitlines()
        assert len(lines) == count, lines
        return lines

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    pytest.importorskip("functions_framework")
    started = []

    def start(**env: str) -> Process:
        process = Process(tmp_path, **env)
        started.append(process)
        process.wait()
        return process

    yield start
    for process in started:
        process.end()


@pytest.mark.parametrize("ids", [True, False])
def test_in_the_cloud(start: Callable[..., Process], ids: bool) -> None:
    process = start(**CLOUD, LOG_EXECUTION_ID="true" if ids else "false")
    named = {"traceparent": TRACEPARENT, "X_Cloud_Trace_Context": f"{TRACE}/123;o=1", "Function_Execution_Id": "run1"}

    assert process.ask("page", **named) == (200, "done")
    assert process.ask("thread", **named) == (200, "done")
    status, body = process.ask("broken", **named)

    *pages, broken = [json.loads(line) for line in process.lines(4)]
    labels = {"logging.googleapis.com/labels": {"execution_id": "run1"}, "logging.googleapis.com/spanId": "123"}
    expected = {"severity": "INFO", "message": "page fetched", "volume": "v", "outcome": "staged", **LINKED}
    for page in pages:
        assert page.pop("time")
        assert page == (expected | labels if ids else expected)
    assert (status, broken["severity"], broken["logger"]) == (500, "ERROR", "go")
    assert (broken["exception"], broken["causes"]) == ("KeyError", "httpx.ConnectError")
    assert broken.items() >= LINKED.items()
    assert SECRET not in body + str(broken)


def test_on_one_machine(start: Callable[..., Process]) -> None:
    process = start()
    process.ask("page", traceparent=TRACEPARENT)
    process.ask("broken")

    listens, page, broken = process.lines(3)
    assert listens[8:].startswith(f" info: Listening at: {process.url} (")
    assert page[8:] == " info: page fetched (volume=v, outcome=staged)"
    assert " error: Exception on … [POST] (logger=go, " in broken
    assert SECRET not in broken
