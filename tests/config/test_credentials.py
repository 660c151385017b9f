"""How the secrets of a configuration reach those that use them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pagebind import wiring
from pagebind.config import parse
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from pagebind.config import Settings


def settings_of(tmp_path: Path, source: str = "", password: str = "env:NONE") -> Settings:
    text = f"""
        [source]
        url = "http://127.0.0.1:9"
        {source}
        [store]
        url = "{tmp_path.as_uri()}"
        [[subscription]]
        path = "/comics"
        password = "{password}"
    """
    return parse(text, {}, "pagebind.toml")


@pytest.mark.parametrize(
    ("source", "password"),
    [
        ('token = "env:NONE"', "env:FOLDER"),
        ('username = "bob"\npassword = "env:NONE"', "env:FOLDER"),
        ('username = "bob"\npassword = "env:FOLDER"\notp_secret = "env:NONE"', "env:FOLDER"),
        ("", "env:NONE"),
    ],
)
def test_every_reference_is_followed_once_before_the_work_unless_it_is_put_off(
    tmp_path: Path, source: str, password: str
) -> None:
    settings, env = settings_of(tmp_path, source, password), {"FOLDER": "sesame"}
    with pytest.raises(ConfigError, match="env:NONE leads nowhere"):
        wiring.build(settings, env)
    wiring.build(settings, {**env, "NONE": "there"}).source.close()
    parts = wiring.build(settings, env, check_secrets=False)
    parts.source.close()
    (watch,) = parts.watches
    if password == "env:FOLDER":
        assert watch.password() == "sesame"
    else:
        with pytest.raises(ConfigError, match="env:NONE leads nowhere"):
            watch.password()


def test_a_subscription_without_a_password_sends_an_empty_one(tmp_path: Path) -> None:
    settings = parse(
        f'[source]\nurl = "http://127.0.0.1:9"\n[store]\nurl = "{tmp_path.as_uri()}"\n[[subscription]]\npath = "/"\n',
        {},
        "pagebind.toml",
    )
    parts = wiring.build(settings, {})
    parts.source.close()
    assert parts.watches[0].password() == ""


def test_no_library_of_a_cloud_is_loaded_before_a_secret_of_it_is_read(tmp_path: Path) -> None:
    code = f"""
import sys
from pagebind import wiring
from pagebind.config import parse
text = '''[source]
url = "http://127.0.0.1:9"
token = "gcp:projects/p/secrets/t"
[store]
url = "{tmp_path.as_uri()}"
[[subscription]]
path = "/"
password = "aws:t"
'''
wiring.build(parse(text, {{}}, "x"), {{}}, check_secrets=False)
print({{"google", "google.auth", "boto3", "botocore"}} & set(sys.modules) - {{"google"}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
