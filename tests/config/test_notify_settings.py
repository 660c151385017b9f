"""[notify] and [[hook]]: what they take, and what a message about them never shows."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.paths import REPOSITORY

from pagebind.config import HookSettings, NotifySettings, parse
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.config import Settings

HEAD = '[source]\nurl = "https://a"\n[store]\nurl = "/srv/x"\n[[subscription]]\npath = "/c"\n'
CANARY = "kanarienvogel"


def settings(more: str, env: Mapping[str, str] = {}) -> Settings:
    return parse(HEAD + more, env, "pagebind.toml")


def wrong(more: str, env: Mapping[str, str] = {}) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(more, env)
    assert CANARY not in f"{caught.value!r} {caught.value} {caught.value.fix}"
    assert caught.value.fix
    return caught.value.message


def test_nobody_is_told_of_anything_by_default() -> None:
    assert (settings("").notify, settings("").hooks) == (NotifySettings(), ())


def test_everything_is_read() -> None:
    read = settings(
        """
        [notify]
        urls = ["env:PHONE", "file:/run/secrets/mail", "env:PHONE"]
        on = ["source", "held"]
        limit = 3
        [[hook]]
        url = "HTTP://komga:25600/api/v1/libraries/0ABC/scan/"
        headers = { Authorization = "env:KOMGA", x-other = "gcp:projects/p/secrets/s" }
        debounce = "0s"
        [[hook]]
        url = "https://kavita.example.org/api/Library/scan?libraryId=2"
        """
    )
    assert read.notify == NotifySettings(("env:PHONE", "file:/run/secrets/mail"), ("held", "source"), 3)
    assert read.hooks == (
        HookSettings(
            "http://komga:25600/api/v1/libraries/0ABC/scan/",
            {"Authorization": "env:KOMGA", "x-other": "gcp:projects/p/secrets/s"},
            0,
        ),
        HookSettings("https://kavita.example.org/api/Library/scan?libraryId=2", {}, 300),
    )
    assert [hook.address for hook in read.hooks] == [
        "http://komga:25600/api/v1/libraries/0ABC/scan/",
        "https://kavita.example.org/api/Library/scan",
    ]


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ("env:A, env:B", ("env:A", "env:B")),
        (f"tgram://{CANARY}", ("env:PAGEBIND_NOTIFY_URLS",)),
        (f"json://{CANARY},mailto://{CANARY}", ("env:PAGEBIND_NOTIFY_URLS",)),
        ("", ()),
    ],
)
def test_a_variable_holds_references_or_the_addresses_themselves(value: str, urls: tuple[str, ...]) -> None:
    assert settings("", {"PAGEBIND_NOTIFY_URLS": value}).notify.urls == urls


def test_what_is_worth_a_message_in_a_variable() -> None:
    read = settings('[notify]\non = ["held"]', {"PAGEBIND_NOTIFY_ON": "source, bound", "PAGEBIND_NOTIFY_LIMIT": "7"})
    assert (read.notify.on, read.notify.limit) == (("bound", "source"), 7)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('urls = "env:X"', "[notify] urls is a text, not a list of references to secrets"),
        (f'urls = ["tgram://{CANARY}"]', "[notify] urls is no reference"),
        (f'urls = ["env:X", "{CANARY}"]', "[notify] urls is no reference"),
        ("urls = [1]", "[notify] urls is a number"),
        ("on = []", "[notify] on is empty"),
        ('on = ["bound", "sauce"]', "[notify] on holds 'sauce', which is none of bound, held, failed, source"),
        ('on = "bound"', "[notify] on is 'bound', not a list"),
        ("on = [1]", "[notify] on holds 1,"),
        ("limit = 0", "[notify] limit is 0, not a whole number from 1"),
        ("limit = true", "[notify] limit is true"),
    ],
)
def test_what_notify_does_not_take(lines: str, message: str) -> None:
    assert wrong(f"[notify]\n{lines}").startswith(f"pagebind.toml: {message}")


def test_a_wrong_word_in_a_variable() -> None:
    assert wrong("", {"PAGEBIND_NOTIFY_ON": "bount"}).startswith("PAGEBIND_NOTIFY_ON holds 'bount'")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"ftp://a?x={CANARY}", "url is 'ftp://a', not an address that begins with http://"),
        (f"http://u:{CANARY}@a/scan", "url holds a user or password"),
        (f"http://a/?x={CANARY}#y", "url holds a #"),
        (f"http://a/#y?x={CANARY}", "url holds a #"),
        (f"http://a/?x={CANARY} y", "url holds a #, or a blank behind its ?"),
        (f"http://a/?x={CANARY}\\n", "url is 'http://a/?...', not a text of one line"),
        (f"http://a b/?x={CANARY}", "url is 'http://a b/', not the address of a server"),
        (f"http://a:99999/?x={CANARY}", "url is 'http://a:99999/', not the address of a server"),
        (f"?x={CANARY}", "url is '', not a text"),
    ],
)
def test_what_is_no_address_of_a_reader(url: str, message: str) -> None:
    assert wrong(f'[[hook]]\nurl = "{url}"').startswith(f"pagebind.toml: [[hook]] {message}")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (f'{{ X-API-Key = "{CANARY}" }}', "[[hook]] headers, X-API-Key, is no reference"),
        ('{ X = "env:" }', "[[hook]] headers, X, is an env: reference without the name of a variable"),
        ('{ Host = "env:X" }', "[[hook]] headers sets Host, which is Pagebind's own"),
        ('{ "content-length" = "env:X" }', "[[hook]] headers sets content-length, which is Pagebind's own"),
        ('{ A = "env:X", a = "env:Y" }', "[[hook]] headers sets a twice"),
        ('{ "a b" = "env:X" }', "[[hook]] headers holds 'a b', which is no name of a header"),
        ('"env:X"', "[[hook]] headers is a text, not a table of texts"),
    ],
)
def test_headers_of_a_hook_are_references(headers: str, message: str) -> None:
    assert wrong(f'[[hook]]\nurl = "http://a"\nheaders = {headers}').startswith(f"pagebind.toml: {message}")


def test_hooks_stand_in_double_brackets_and_once_each() -> None:
    assert wrong('[hook]\nurl = "http://a"').endswith("hook is not a list of tables")
    twice = f'[[hook]]\nurl = "http://a?{CANARY}"\n'
    assert wrong(twice * 2) == "pagebind.toml: [[hook]] 2: url is that of another [[hook]]"
    assert "url is missing" in wrong("[[hook]]\n")
    assert "unknown key body" in wrong('[[hook]]\nurl = "http://a"\nbody = "x"')


def test_hooks_are_not_set_by_the_environment() -> None:
    assert wrong("", {"PAGEBIND_HOOK_URL": CANARY}) == "PAGEBIND_HOOK_URL cannot be set in the environment"


def test_printed_settings_hold_no_query() -> None:
    read = settings(f'[[hook]]\nurl = "http://a/scan?apiKey={CANARY}"\nheaders = {{ X = "env:KEY" }}')
    assert CANARY not in repr(read)
    assert "HookSettings(url='http://a/scan', headers={'X': 'env:KEY'}, debounce=300.0)" in repr(read)


def test_the_recipes_of_the_documents_are_right() -> None:
    text = (REPOSITORY / "docs" / "readers.md").read_text(encoding="utf-8")
    recipes = re.findall(r"(?ms)^```toml\n(.*?)^```", text)
    read = [settings(recipe) for recipe in recipes]
    assert [len(one.notify.urls) for one in read] == [2, 0, 0, 0]
    assert [one.hooks[0].headers for one in read[1:]] == [
        {"X-API-Key": "env:KOMGA_API_KEY"},
        {"Authorization": "env:KOMGA_LOGIN"},
        {"x-api-key": "env:KAVITA_AUTH_KEY"},
    ]


def test_where_nobody_is_told_nothing_of_it_is_loaded_and_a_secret_is_not_needed_before() -> None:
    code = (
        "import sys; from pagebind import wiring; from pagebind.config import parse\n"
        "parts = wiring.build(parse(sys.argv[1], {}, 'x'), {})\n"
        "news = parts.news()\n"
        "kinds = ('pagebind.adapters.notify', 'pagebind.app.notices', 'apprise')\n"
        "loaded = [name for name in sys.modules if name.startswith(kinds)]\n"
        "print(news and [one.name for one in (*news.notifiers, *news.hooks)], news and news[2:], sorted(loaded))\n"
    )

    def printed(more: str) -> str:
        call = [sys.executable, "-c", code, HEAD + more]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    assert printed("") == "None None []"
    told = printed(
        '[notify]\nurls = ["env:NOBODY"]\nlimit = 3\n[[hook]]\nurl = "http://a/b?c"\nheaders = { X = "env:NOBODY" }'
    )
    assert told.startswith("['env:NOBODY', 'http://a/b'] (('bound', 'held', 'failed', 'source'), 3) ")
    assert "'apprise'" not in told
