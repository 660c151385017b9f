from __future__ import annotations

import subprocess
import sys

import pytest

from pagebind import wiring
from pagebind.adapters.clock import SystemClock
from pagebind.adapters.secrets import KeptSecrets
from pagebind.config import Patterns, parse
from pagebind.core.layout import AUTO
from pagebind.core.watch import Watch

HEAD = '[source]\nurl = "https://a"\n[store]\nurl = "/srv/x"\n'


@pytest.mark.parametrize(
    ("path", "is_dir", "excluded"),
    [
        ("raw", True, True),
        ("raw", False, False),
        ("A/RAW", True, True),
        ("A/raw/001.jpg", False, True),
        ("A/zz_Credits.png", False, True),
        ("A/zz_credits_keep.png", False, False),
        ("top.jpg", False, True),
        ("A/top.jpg", False, False),
        ("Ärger/x", False, True),
        ("A/001.jpg", False, False),
    ],
)
def test_exclude_is_gitignore_relative_to_the_path_and_without_case(path: str, is_dir: bool, excluded: bool) -> None:
    exclude = '["Raw/", "ZZ_credits*", "!zz_credits_keep.png", "/top.jpg", "äRGER/"]'
    settings = parse(f'{HEAD}[[subscription]]\npath = "/comics"\nexclude = {exclude}\n', {}, "x")
    assert settings.subscriptions[0].excluded(path, is_dir=is_dir) is excluded


def test_patterns_compare_by_what_was_written() -> None:
    assert Patterns(("a",)) == Patterns(("a",))
    assert Patterns(("a",)) != Patterns(("b",))
    assert not Patterns().match("anything", is_dir=False)


def test_a_plain_configuration_imports_neither_pathspec_nor_difflib_nor_platformdirs() -> None:
    text = HEAD + '[[subscription]]\npath = "/"\n'
    code = (
        "import sys; from pagebind.config import parse; assert 'tomllib' not in sys.modules; "
        f"parse({text!r}, {{}}, 'x'); print({{'pathspec', 'difflib', 'platformdirs'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def watch_of(lines: str) -> Watch:
    settings = parse(f'{HEAD}[[subscription]]\npath = "/comics"\n{lines}', {}, "x")
    return wiring.watch(settings, settings.subscriptions[0], KeptSecrets({}, SystemClock()))


def test_the_use_cases_see_every_setting_of_a_subscription() -> None:
    watch = watch_of(
        """
        layout = "{series}/{volume}/{chapter}"
        library = "{series} {number}.cbz"
        archives = "copy"
        existing = "adopt"
        hash = "strict"
        fix_extensions = true
        comicinfo = false
        series = "S"
        strip = ["x"]
        language = "ja"
        reading_direction = "rtl"
        reader = "komga"
        headers = { Referer = "https://b" }
        """
    )

    assert watch.layout.merges
    rest = watch._replace(layout=AUTO)._asdict()
    del rest["password"]
    assert rest == {
        "path": "/comics",
        "template": "{series} {number}.cbz",
        "excluded": None,
        "headers": {"Referer": "https://b"},
        "layout": AUTO,
        "archives": "copy",
        "existing": "adopt",
        "hash_check": "strict",
        "fix_extensions": True,
        "comicinfo": False,
        "series": "S",
        "strip": ("x",),
        "language": "ja",
        "direction": "rtl",
        "reader": "komga",
    }


def test_the_use_cases_see_the_defaults_that_they_have_themselves() -> None:
    assert watch_of("") == Watch("/comics", "{series}/{volume}.cbz", headers={})
