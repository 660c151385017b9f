from __future__ import annotations

import re
import tomllib
from inspect import signature

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagebind.config import (
    SETTINGS,
    BindSettings,
    HookSettings,
    NotifySettings,
    PollSettings,
    QueueSettings,
    Setting,
    SourceSettings,
    StoreSettings,
    Subscription,
    parse,
    template,
)
from pagebind.config.schema import REPEATED, toml
from pagebind.config.values import secret
from pagebind.errors import ConfigError

SECTIONS = {
    "source": SourceSettings,
    "store": StoreSettings,
    "poll": PollSettings,
    "queue": QueueSettings,
    "bind": BindSettings,
    "notify": NotifySettings,
    "subscription": Subscription,
    "hook": HookSettings,
}


def test_every_field_of_the_settings_has_its_row_and_no_row_is_without_a_field() -> None:
    expected = {f"{section}.{name}" for section, kind in SECTIONS.items() for name in signature(kind).parameters}
    assert {setting.name for setting in SETTINGS} == expected
    assert len(SETTINGS) == len(expected)


def test_rows_are_fit_for_a_table() -> None:
    for setting in SETTINGS:
        assert setting.meaning.endswith(".")
        assert not re.search(r"[\n|]", setting.meaning + setting.default_text)
        assert setting.required or setting.default is not None or setting.example is not None


def uncommented(text: str) -> str:
    """The template with its defaults and examples in force.

    Apart from the login, which excludes the token, and from what belongs to a store on S3.
    """
    others = ("username", "otp_secret", 'password = "file:', "endpoint", "region")
    return "\n".join(
        line[2:] if re.match(r"# (\w+ = |\[\[)", line) and not line[2:].startswith(others) else line
        for line in text.split("\n")
    )


def test_the_template_holds_every_setting_once_with_its_meaning() -> None:
    text = template("file:///srv/pagebind")
    for section, block in re.findall(r"^\[\[?(\w+)\]\]?\n((?:.+\n)+)", text, re.MULTILINE):
        keys = re.findall(r"^(?:# )?(\w+) = ", block, re.MULTILINE)
        assert keys == [setting.key for setting in SETTINGS if setting.section == section]
        for setting in SETTINGS:
            assert setting.section != section or f"# {setting.meaning}" in block


def test_the_template_is_a_configuration_of_defaults() -> None:
    settings = parse(template("file:///srv/pagebind"), {}, "x")
    minimal = """
        [source]
        url = "https://alist.example.org"
        token = "env:ALIST_TOKEN"
        [store]
        url = "file:///srv/pagebind"
        [[subscription]]
        path = "/comics"
    """
    assert settings == parse(minimal, {}, "x")


def test_the_defaults_in_the_templates_comments_are_the_real_ones() -> None:
    text = template("file:///srv/pagebind")
    parse(uncommented(text), {}, "x")
    shown = tomllib.loads(uncommented(text))
    for setting in SETTINGS:
        if setting.default is not None:
            table = shown[setting.section][0] if setting.section in REPEATED else shown[setting.section]
            assert table[setting.key] == setting.default, setting.name


def test_the_template_takes_values() -> None:
    text = template(
        "file:///tmp/x y",
        {
            "source.url": "http://127.0.0.1:5244",
            "source.token": None,
            "subscription.path": '/a "b" \\ 漫　画',
            "bind.settle": "0s",
            "bind.keep_pages": False,
            "subscription.exclude": ["a/"],
            "source.headers": {"User-Agent": "x"},
        },
    )
    settings = parse(text, {}, "x")
    assert (settings.source.url, settings.source.token) == ("http://127.0.0.1:5244", None)
    assert settings.subscriptions[0].path == '/a "b" \\ 漫　画'
    assert settings.subscriptions[0].exclude.lines == ("a/",)
    assert (settings.bind.settle, settings.source.headers) == (0, {"User-Agent": "x"})
    assert str(settings.store.work_folder) == "/tmp/x y"
    assert "\nsettle = " in text
    assert "\nkeep_pages = false" in text


def test_the_template_refuses_a_name_that_is_no_setting() -> None:
    with pytest.raises(ValueError, match=r"source\.tokn"):
        template("file:///x", {"source.tokn": "env:X"})


_SECRET = "kanarienvogel"
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(_VALUES)
def test_what_is_written_as_toml_is_read_back(value: object) -> None:
    assert tomllib.loads(f"key = {toml(value)}")["key"] == value


def refusal(values: dict[str, object]) -> ConfigError | None:
    """The error that these values meet, if any."""
    try:
        parse(template("file:///srv/x", {"source.token": None, **values}), {}, "x")
    except ConfigError as error:
        return error
    return None


_STARTS = st.sampled_from(["", "~", "/", "file:", "https://", "env:", "{", "gs://", "s3://bucket/", "arn:aws:s3:::"])


@given(st.sampled_from(SETTINGS), _VALUES | st.floats(), _STARTS)
def test_any_value_is_taken_or_refused_in_one_line(setting: Setting, value: object, start: str) -> None:
    error = refusal({setting.name: start + value if isinstance(value, str) else value})
    if error is not None:
        assert len(error.message.splitlines()) == 1
        assert setting.key in error.message
        assert error.fix


@given(st.sampled_from([setting for setting in SETTINGS if setting.read is secret]), _TEXT, _TEXT, st.booleans())
def test_a_secret_is_never_in_a_message(setting: Setting, before: str, after: str, listed: bool) -> None:
    typed = f"{before}{_SECRET}{after}"
    error = refusal({setting.name: [typed] if listed else typed})
    assert error is not None
    assert _SECRET not in f"{error.message}{error.fix}{error.__cause__}"
