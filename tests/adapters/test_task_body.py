"""Tasks as they travel: nothing gets lost, and nothing else is taken for a task."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pagebind.adapters.dispatch import task_body
from pagebind.adapters.dispatch.task_names import fetch_name, finalize_name
from pagebind.errors import UsageError
from pagebind.ports.dispatch import FetchTask, FinalizeTask, Held

_PAGE = FetchTask("one-piece-1", "0" * 20, "/comics/1/001.jpg", "/comics", "001.jpg", 3, 1, 1)
_BOOK = FinalizeTask("one-piece-1", 1, 1)

_text = st.text(st.characters() | st.sampled_from(["\ud83d", "\ude00"]))  # halves of a pair, also side by side
_path = _text.map("/".__add__)
_bytes = st.integers(min_value=0, max_value=2**63 - 1)
_seq = st.integers(min_value=1, max_value=999_999)
_epoch = st.integers(min_value=1, max_value=9_999)
_again = st.integers(min_value=0, max_value=1_000_000)
_sign = st.from_regex(r"[ -~]{0,99}", fullmatch=True)
_plain = st.text("abc漫画 .-", min_size=1, max_size=50).filter(lambda name: name not in {".", ".."})
_hash = st.from_regex(r"[0-9a-fA-F]{32,64}", fullmatch=True)
_volume = st.from_regex(r"[a-z0-9][a-z0-9-]{0,99}", fullmatch=True)
_held = st.builds(Held, st.lists(_plain, min_size=1).map("/".join), _bytes, _text, st.none() | st.just(2**32 - 1))
_asker = st.just("") | st.uuids().map(lambda poll: poll.hex)
_fetch_tasks = st.builds(
    FetchTask,
    volume=_volume,
    page=st.from_regex(r"[0-9a-f]{20}", fullmatch=True),
    path=_path,
    subscription=_path,
    book_name=_plain,
    size=_bytes,
    seq=_seq,
    epoch=_epoch,
    hashes=st.dictionaries(st.sampled_from(["sha256", "sha1", "md5"]), _hash),
    sign=_sign,
    kind=st.sampled_from(["page", "info", "archive"]),
    held=st.none() | _held,
    rename=st.booleans(),
    anew=st.booleans(),
    link=st.just("") | _path,
    again=_again,
    asker=_asker,
)
_finalize_tasks = st.builds(
    FinalizeTask,
    volume=_volume,
    seq=_seq,
    epoch=st.just(0) | _epoch,
    attempt=_again,
    existing=st.sampled_from(["keep", "adopt", "replace"]),
    hash_check=st.sampled_from(["warn", "strict", "off"]),
    without_info=st.booleans(),
    asker=_asker,
)


@given(_fetch_tasks, _text)
@example(_PAGE._replace(path="/\ud83d\ude00"), "")
@example(_PAGE._replace(kind="archive", book_name="\udcff\\.cbz"), "")
@example(_PAGE._replace(book_name="漫" * 66 + ".j"), "")
def test_a_page_comes_out_as_it_went_in(task: FetchTask, config: str) -> None:
    assert task_body.load_fetch(task_body.dump(task, config=config)) == (task, config)


@given(_finalize_tasks, _text)
def test_a_book_comes_out_as_it_went_in(task: FinalizeTask, config: str) -> None:
    assert task_body.load_finalize(task_body.dump(task, config=config)) == (task, config)


def test_what_has_its_default_is_left_out() -> None:
    assert json.loads(task_body.dump(_BOOK, config="")) == {"volume": "one-piece-1", "seq": 1, "epoch": 1}


def test_names_take_no_more_room_than_on_the_server() -> None:
    task = _PAGE._replace(path="/漫画/海贼王/第一话.jpg")
    assert task.path.encode() in task_body.dump(task, config="")


def test_hashes_that_fetch_cannot_compute_stay_at_home() -> None:
    listed = {"md5": "0A" * 16, "sha1": "unknown", "sha256": "", "quick": "c3xvci9oYXNo"}
    task, _ = task_body.load_fetch(task_body.dump(_PAGE._replace(hashes=listed), config=""))
    assert task.hashes == {"md5": "0A" * 16}


_CANARY = "canary-sign"


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": _CANARY},
        {"u" * 100_000: _CANARY},
        {"\ud800\n": _CANARY},
        {"volume": f"../{_CANARY}"},
        {"volume": "one-piece-1\n"},
        {"page": "0" * 20 + "\n"},
        {"path": _CANARY},
        {"link": f"@{_CANARY}"},
        {"link": f"\n/{_CANARY}"},
        {"kind": f"{_CANARY}\nand more` - at `$.page`"},
        {"sign": {_CANARY: _CANARY}},
        {"size": -1},
        {"size": True},
        {"size": 1.5},
        {"size": _CANARY},
        {"seq": 0},
        {"epoch": None},
        {"hashes": {"md5": 1}},
        {"hashes": _CANARY},
        {"held": {"key": "k", "unknown": _CANARY}},
        {"held": {"offset": 1}},
        {"sign": f"{_CANARY}\n"},
        {"sign": f"{_CANARY}\x7f"},
        {"sign": f"{_CANARY}é"},
        {"sign": f"{_CANARY}\ud800"},
        {"sign": _CANARY * 100},
        {"hashes": {_CANARY: "00"}},
        {"hashes": {"md5": _CANARY}},
        {"hashes": {"md5": "0" * 65}},
        {"asker": _CANARY},
        {"seq": 1_000_000},
        {"epoch": 10_000},
        {"again": 1_000_001},
        {"size": 2**63},
        {"size": 2**64},
        {"size": 10**400},
        {"held": {"key": f"../{_CANARY}"}},
        {"held": {"key": f"{_CANARY}\ud800"}},
        {"held": {"key": _CANARY * 100}},
        {"held": {"key": "k", "version": _CANARY * 100}},
        {"held": {"key": "k", "offset": 2**63}},
        {"held": {"key": "k", "crc32": 2**32}},
        *(
            {"kind": kind, "book_name": name}
            for kind in ("page", "info")
            for name in (
                "",
                ".",
                "..",
                f"../../{_CANARY}",
                f"/{_CANARY}",
                f"{_CANARY}/",
                f"{_CANARY}\\",
                f"{_CANARY}\0",
                f"{_CANARY}\ud800",
                "a" * 65_535,  # with another suffix, it would be too long
                "a" * 65_536,
            )
        ),
    ],
)
def test_what_is_no_task_is_refused_in_one_line_without_its_values(change: dict[str, Any]) -> None:
    body = {**json.loads(task_body.dump(_PAGE, config="")), **change}
    with pytest.raises(UsageError) as caught:
        task_body.load_fetch(json.dumps(body).encode())
    said = f"{caught.value.message} {caught.value.fix}"
    assert _CANARY not in said
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 300
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "change",
    [{"seq": 1_000_000}, {"epoch": 10_000}, {"attempt": 1_000_001}, {"asker": _CANARY}, {"asker": "0" * 33}],
)
def test_nor_is_one_for_a_book(change: dict[str, Any]) -> None:
    body = {**json.loads(task_body.dump(_BOOK, config="")), **change}
    with pytest.raises(UsageError) as caught:
        task_body.load_finalize(json.dumps(body).encode())
    assert _CANARY not in caught.value.message


@pytest.mark.parametrize(
    "content", [b"", b"canary", b"\xff\xfe\xfd", b"[]", b"null", b"NaN", b"{", b"[" * 100_000, b"1" * 10_000, b"{}"]
)
def test_what_is_no_object_is_no_task(content: bytes) -> None:
    for load in (task_body.load_fetch, task_body.load_finalize):
        with pytest.raises(UsageError, match=r"^this is no task: ") as caught:
            load(content)
        assert "canary" not in caught.value.message


@given(st.binary())
def test_any_bytes_are_a_task_or_refused(content: bytes) -> None:
    with pytest.raises(UsageError):
        task_body.load_finalize(content)


def test_one_kind_of_task_is_not_taken_for_the_other() -> None:
    with pytest.raises(UsageError):
        task_body.load_fetch(task_body.dump(_BOOK, config=""))
    with pytest.raises(UsageError):
        task_body.load_finalize(task_body.dump(_PAGE, config=""))


def test_a_body_holds_every_field_of_its_task() -> None:
    """A field that is new to the port must not get lost on the way."""
    assert {*FetchTask._fields, "config"} == set(task_body._Fetch.__struct_fields__)
    assert {*FinalizeTask._fields, "config"} == set(task_body._Finalize.__struct_fields__)


@pytest.mark.parametrize("sign", ["\n", "漫", "x" * 1025])
def test_a_sign_that_is_none_stays_at_home(sign: str) -> None:
    task, _ = task_body.load_fetch(task_body.dump(_PAGE._replace(sign=sign), config=""))
    assert task == _PAGE


@pytest.mark.parametrize(
    "change", [{"volume": "b"}, {"page": "1" * 20}, {"seq": 2}, {"epoch": 2}, {"again": 1}, {"asker": "p"}]
)
def test_another_handing_out_has_another_name(change: dict[str, Any]) -> None:
    assert fetch_name(_PAGE._replace(**change)) != fetch_name(_PAGE)


@pytest.mark.parametrize("change", [{"volume": "b"}, {"seq": 2}, {"epoch": 2}, {"attempt": 1}, {"asker": "p"}])
def test_another_wish_for_a_book_has_another_name(change: dict[str, Any]) -> None:
    assert finalize_name(_BOOK._replace(**change)) != finalize_name(_BOOK)


@given(_fetch_tasks, _finalize_tasks)
def test_names_are_digests(page: FetchTask, book: FinalizeTask) -> None:
    """They follow each other in no order: a queue slows down where they do."""
    names = (fetch_name(page), finalize_name(book))
    assert all(len(name) == 40 and not set(name) - set("0123456789abcdef") for name in names)


def test_the_same_handing_out_has_the_same_name_whatever_else_is_known_of_it() -> None:
    assert fetch_name(_PAGE._replace(sign="another", link="/d/x")) == fetch_name(_PAGE)
    assert finalize_name(_BOOK._replace(hash_check="off")) == finalize_name(_BOOK)
