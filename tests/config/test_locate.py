from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pagebind.config import find_config, parse, read, template
from pagebind.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FORMS = "write a path, or gs://bucket/pagebind.toml or s3://bucket/pagebind.toml"


@pytest.fixture
def users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's configuration would be, under a home of the test."""
    monkeypatch.setattr("platformdirs.user_config_path", lambda name, appauthor: tmp_path / "users" / name)
    folder = tmp_path / "users" / "pagebind"
    folder.mkdir(parents=True)
    return folder / "pagebind.toml"


def test_the_order_of_places(tmp_path: Path, users_file: Path) -> None:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    env = {"PAGEBIND_CONFIG": "from-env.toml"}
    users_file.touch()
    assert find_config(None, {}, cwd) == users_file
    (cwd / "pagebind.toml").touch()
    assert find_config(None, {"PAGEBIND_CONFIG": ""}, cwd) == cwd / "pagebind.toml"
    assert find_config(None, env, cwd) == cwd / "from-env.toml"
    assert str(find_config("/etc/pb.toml", env, cwd)) == "/etc/pb.toml"


def test_nothing_found_says_where_it_looked_and_what_to_do(tmp_path: Path, users_file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(None, {}, tmp_path)
    assert str(tmp_path / "pagebind.toml") in caught.value.message
    assert str(users_file) in caught.value.message
    assert "PAGEBIND_CONFIG" in caught.value.message
    assert "pagebind init" in caught.value.fix


@pytest.mark.parametrize("url", ["gs://bucket/pagebind.toml", "s3://bucket/a/b.toml"])
def test_it_may_lie_in_a_bucket(url: str, tmp_path: Path) -> None:
    assert find_config(None, {"PAGEBIND_CONFIG": url}, tmp_path) == url
    assert find_config(url.upper()[:2] + url[2:], {}, tmp_path) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gs://bucket", "--config names no object"),
        ("gs://bucket/a/", "--config names no object"),
        ("s3://B/x.toml", "--config names 'B', which no bucket is called"),
        ("s3://bucket/../x.toml", "--config holds an empty, . or .. part"),
        ("s3://key:secret@bucket/x.toml", "--config holds a user, a password or a port"),
    ],
)
def test_a_url_that_names_no_object(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(url, {}, tmp_path)
    assert caught.value.message.startswith(message)
    assert f"{url[:5]}bucket" in caught.value.fix
    assert "secret" not in caught.value.message + caught.value.fix


@pytest.mark.parametrize(
    ("address", "fix"),
    [
        ("https://s3.amazonaws.com/b-1/conf/pagebind.toml", "write s3://b-1/conf/pagebind.toml"),
        ("https://b-1.s3.eu-west-1.amazonaws.com/pagebind.toml?X-Amz-Signature=secret", "write s3://b-1/pagebind.toml"),
        ("HTTPS://storage.googleapis.com/b-1/pagebind.toml", "write gs://b-1/pagebind.toml"),
        ("arn:aws:s3:::b-1/pagebind.toml", "write s3://b-1/pagebind.toml"),
        (
            "https://minio.example.org:9000/b-1/p.toml",
            "write s3://b-1/p.toml, and https://minio.example.org:9000 as PAGEBIND_STORE_ENDPOINT",
        ),
        ("https://key:secret@s3.amazonaws.com/b-1/p.toml", FORMS),
        ("https://example.org/pagebind.toml", FORMS),
        ("http://", FORMS),
        ("file:///etc/pagebind.toml", FORMS),
        ("arn:secret", FORMS),
        ("s3:b-1/p.toml", "write s3://bucket/pagebind.toml"),
        ("GS:b-1/p.toml", "write gs://bucket/pagebind.toml"),
        ("gcs://b-1/p.toml", "write gs://bucket/pagebind.toml"),
        ("s3a://b-1/p.toml", "write s3://bucket/pagebind.toml"),
    ],
)
def test_another_address_is_neither_a_path_nor_taken(address: str, fix: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(None, {"PAGEBIND_CONFIG": address}, tmp_path)
    assert caught.value.message.startswith("PAGEBIND_CONFIG is ")
    assert caught.value.fix == fix
    assert "secret" not in caught.value.message


def test_a_path_with_a_colon_is_a_path(tmp_path: Path) -> None:
    assert find_config("./s3:b", {}, tmp_path) == tmp_path / "s3:b"
    assert find_config("a:b/c.toml", {}, tmp_path) == tmp_path / "a:b/c.toml"


def test_load_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pagebind.toml"
    path.write_text(template("file:///srv/x"), encoding="utf-8")
    assert parse(read(path), {}, str(path)).store.url == "file:///srv/x"


def test_load_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*none\.toml") as caught:
        parse(read(tmp_path / "none.toml"), {}, str(tmp_path / "none.toml"))
    assert "pagebind init" in caught.value.fix
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        parse(read(tmp_path), {}, str(tmp_path))
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xe4")
    with pytest.raises(ConfigError, match=r"latin.toml is not UTF-8 text \(byte 3\)"):
        parse(read(latin), {}, str(latin))
    bad = tmp_path / "bad.toml"
    bad.write_text("[source]\nurl = x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad.toml is not valid TOML: .*line 2, column 7"):
        parse(read(bad), {}, str(bad))
