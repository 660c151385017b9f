from __future__ import annotations

import re
from typing import Any

import pytest

from pagebind.config import Settings, StoreSettings, parse, store_of
from pagebind.errors import ConfigError

CANARY = "kanarienvogel"
MINIMAL = """
[source]
url = "https://alist.example.org"
[store]
url = "file:///srv/pagebind"
[[subscription]]
path = "/comics"
"""


def with_line(section: str, line: str) -> str:
    """The minimal configuration with a line in one section; replaces a line of the same key."""
    key = line.split("=", maxsplit=1)[0]
    head = "[[subscription]]" if section == "subscription" else f"[{section}]"
    sections = MINIMAL if head in MINIMAL else f"{head}\n{MINIMAL}"
    before, _, after = sections.partition(f"{head}\n")
    own, bracket, rest = after.partition("[")
    kept = "".join(old for old in own.splitlines(keepends=True) if not old.startswith(f"{key.strip()} ="))
    return f"{before}{head}\n{kept}{line}\n{bracket}{rest}"


def refused(text: str, env: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text, env or {}, "pagebind.toml")
    error = caught.value
    assert "\n" not in error.message + error.fix
    assert error.fix
    chain: BaseException | None = error
    while chain is not None:
        assert CANARY not in f"{chain}{getattr(chain, 'fix', '')}"
        chain = chain.__cause__
    return error


def value_of(section: str, line: str, env: dict[str, str] | None = None) -> Any:
    settings = parse(with_line(section, line), env or {}, "pagebind.toml")
    table = settings.subscriptions[0] if section == "subscription" else getattr(settings, section)
    return getattr(table, line.split("=", maxsplit=1)[0].strip())


def test_every_key_of_the_documented_example_is_read() -> None:
    settings = parse(
        """
        [source]
        url = "https://alist.example.org/base/"
        token = "env:ALIST_TOKEN"
        list_per_second = 2.5
        downloads_per_second = 1
        bandwidth = "5M"
        concurrency = 4
        headers = { "User-Agent" = "pan.baidu.com", Referer = "https://a.example/" }
        connect_timeout = "5s"
        read_timeout = "2m"
        [store]
        url = "file:///srv/page%20bind"
        library = "/srv/comics"
        [poll]
        interval = "1h30m"
        [bind]
        settle = "0s"
        give_up_epochs = 5
        give_up_after = "2d"
        keep_pages = true
        [[subscription]]
        path = "/comics/"
        exclude = ["raw/", "zz_credits*"]
        layout = "{_}/{series}/{volume}/Ch {chapter}"
        library = "{series}/{series} {number:03}.{ext}"
        series = " One Piece "
        strip = ['更新至\\d+话', "\\\\(digital\\\\)"]
        archives = "copy"
        existing = "adopt"
        language = "PT-BR"
        reading_direction = "rtl"
        reader = "komga"
        comicinfo = false
        hash = "strict"
        fix_extensions = true
        headers = { referer = "https://b.example/" }
        password = "file:/run/secrets/folder"
        list_per_second = 1
        downloads_per_second = 0.5
        bandwidth = 1000
        """,
        {},
        "pagebind.toml",
    )
    source, subscription = settings.source, settings.subscriptions[0]
    assert (source.url, source.token, source.list_per_second) == (
        "https://alist.example.org/base",
        "env:ALIST_TOKEN",
        2.5,
    )
    assert (source.downloads_per_second, source.bandwidth, source.concurrency) == (1, 5_000_000, 4)
    assert (source.connect_timeout, source.read_timeout) == (5, 120)
    assert (str(settings.store.work_folder), str(settings.store.library_folder)) == ("/srv/page bind", "/srv/comics")
    assert settings.poll.interval == 5400
    bind = settings.bind
    assert (bind.settle, bind.give_up_epochs, bind.give_up_after, bind.keep_pages) == (0, 5, 172_800, True)
    assert (subscription.path, subscription.library) == ("/comics", "{series}/{series} {number:03}.{ext}")
    assert subscription.layout == "{_}/{series}/{volume}/Ch {chapter}"
    assert (subscription.series, subscription.strip) == ("One Piece", (r"更新至\d+话", r"\(digital\)"))
    assert (subscription.archives, subscription.existing, subscription.hash) == ("copy", "adopt", "strict")
    assert (subscription.language, subscription.reading_direction, subscription.reader) == ("pt-BR", "rtl", "komga")
    assert (subscription.comicinfo, subscription.fix_extensions) == (False, True)
    assert subscription.password == "file:/run/secrets/folder"
    assert (subscription.list_per_second, subscription.downloads_per_second, subscription.bandwidth) == (1, 0.5, 1000)
    assert settings.headers_for(subscription) == {"User-Agent": "pan.baidu.com", "referer": "https://b.example/"}


def test_defaults() -> None:
    settings = parse(MINIMAL, {}, "pagebind.toml")
    source, bind, subscription = settings.source, settings.bind, settings.subscriptions[0]
    assert (source.token, source.username, source.password, source.otp_secret) == (None, None, None, None)
    assert (source.list_per_second, source.downloads_per_second, source.bandwidth, source.concurrency) == (5, 0, 0, 8)
    assert (source.headers, source.connect_timeout, source.read_timeout) == ({}, 10, 60)
    assert settings.store.library == "file:///srv/pagebind/library"
    assert settings.poll.interval == 900
    assert (bind.settle, bind.give_up_epochs, bind.give_up_after, bind.keep_pages) == (600, 3, 86_400, False)
    assert (subscription.layout, subscription.library) == ("auto", "{series}/{volume}.cbz")
    assert (subscription.archives, subscription.existing, subscription.password) == ("ignore", "keep", None)
    assert (subscription.series, subscription.strip, subscription.reader) == (None, (), None)
    assert (subscription.language, subscription.reading_direction) == (None, None)
    assert (subscription.comicinfo, subscription.hash, subscription.fix_extensions) == (True, "warn", False)
    assert (subscription.list_per_second, subscription.downloads_per_second, subscription.bandwidth) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    "key",
    [
        "access_key",
        "secret_key",
        "aws_access_key_id",
        "AWS_SECRET_ACCESS_KEY",
        "session_token",
        "credentials",
        "google_application_credentials",
        "service_account_file",
        "key_file",
        "token",
        "username",
        "password",
        "profile",
    ],
)
def test_credentials_of_a_store_never_stand_in_the_file(key: str) -> None:
    for error in (
        refused(with_line("store", f"{key} = '{CANARY}'")),
        refused(MINIMAL, {f"PAGEBIND_STORE_{key.upper()}": CANARY}),
    ):
        assert key.lower() in error.message.lower()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "gcloud", "GOOGLE_APPLICATION_CREDENTIALS"):
            assert name in error.fix
        assert CANARY not in error.message + error.fix


def test_settings_are_frozen_and_equal_by_value() -> None:
    settings = parse(MINIMAL, {}, "a")
    assert settings == parse(MINIMAL, {}, "b")
    assert settings != parse(MINIMAL.replace("/comics", "/books"), {}, "a")
    with pytest.raises(AttributeError):
        settings.poll = settings.poll  # type: ignore[misc]


WRONG = [
    # section, line, what the message says after the file's name, what the fix says
    ("source", "tokn = 'x'", "unknown key tokn in [source]", "did you mean token?"),
    ("source", "Concurrency = 3", "unknown key Concurrency in [source]", "did you mean concurrency?"),
    ("source", "interval = '1m'", "unknown key interval in [source]", "it belongs to [poll]"),
    ("notify", "url = 'env:X'", "unknown key url in [notify]", "did you mean urls?"),
    ("source", "xyzzy = 1", "unknown key xyzzy in [source]", "known are url, token"),
    ("subscription", "pth = '/x'", "unknown key pth in [[subscription]]", "did you mean path?"),
    (
        "source",
        "url = 'ftp://a'",
        "[source] url is 'ftp://a', not an address that begins with http://",
        "https://alist",
    ),
    ("source", "url = 'localhost:5244'", "[source] url is 'localhost:5244', not an address", "https://alist"),
    ("source", "url = 'https://'", "[source] url is 'https://', not the address of a server", "https://alist"),
    ("source", "url = 'http://[::1'", "[source] url is 'http://[::1', not the address of a server", "https://alist"),
    ("source", "url = 'http://a:99999'", "[source] url is 'http://a:99999', not the address", "https://alist"),
    ("source", "url = 'http://a b'", "[source] url is 'http://a b', not the address", "https://alist"),
    ("source", "url = 'http://a/?x=1'", "[source] url holds a ? or #", "https://alist"),
    ("source", "url = 5", "[source] url is 5, not a text of one line", 'url = "https://alist.example.org"'),
    ("source", "url = ''", "[source] url is '', not a text of one line", 'url = "https://alist.example.org"'),
    ("source", "concurrency = 0", "[source] concurrency is 0, not a whole number from 1 to 64", "concurrency = 8"),
    ("source", "concurrency = 65", "[source] concurrency is 65, not a whole number", "concurrency = 8"),
    ("source", "concurrency = 2.0", "[source] concurrency is 2.0, not a whole number", "concurrency = 8"),
    ("source", "concurrency = true", "[source] concurrency is true, not a whole number", "concurrency = 8"),
    ("source", "concurrency = '8'", "[source] concurrency is '8', not a whole number", "concurrency = 8"),
    ("source", "list_per_second = -1", "[source] list_per_second is -1, not a number from 0", "list_per_second = 5"),
    ("source", "list_per_second = nan", "[source] list_per_second is nan, not", "list_per_second = 5"),
    ("source", "list_per_second = inf", "[source] list_per_second is inf, not", "list_per_second = 5"),
    ("source", f"concurrency = 1{'0' * 4000}", "[source] concurrency is a huge number, not", "concurrency = 8"),
    ("source", f"concurrency = 0x{'f' * 9000}", "[source] concurrency is a huge number, not", "concurrency = 8"),
    ("source", f"bandwidth = 0x{'f' * 9000}", "[source] bandwidth is a huge number, not", 'bandwidth = "5M"'),
    ("source", f"list_per_second = 0x{'f' * 9000}", "[source] list_per_second is a huge number", "= 5"),
    ("source", "list_per_second = [1]", "[source] list_per_second is a list, not", "list_per_second = 5"),
    ("source", "bandwidth = '5 M'", "[source] bandwidth is '5 M', not bytes per second", 'bandwidth = "5M"'),
    ("source", "bandwidth = -5", "[source] bandwidth is -5, not bytes per second", 'bandwidth = "5M"'),
    ("source", "bandwidth = 1.5", "[source] bandwidth is 1.5, not bytes per second", 'bandwidth = "5M"'),
    ("source", "read_timeout = 60", "[source] read_timeout is 60, not a time such as", 'read_timeout = "60s"'),
    ("source", "read_timeout = '0s'", "[source] read_timeout is '0s', not a time of at least 0.1 s", '"60s"'),
    ("source", "headers = ['a']", "[source] headers is a list, not a table of texts", "headers = {"),
    ("source", "headers = { 'a b' = 'c' }", "[source] headers holds 'a b', which is no name", "headers = {"),
    ("source", "headers = { Range = 'c' }", "[source] headers sets Range, which is Pagebind's own", "take Range out"),
    ("source", "headers = { A = 'c', a = 'd' }", "[source] headers sets a twice", "leave one a"),
    ("source", "username = 'env:ME'", "[source] username is a reference", "write the name itself"),
    ("store", "url = 'srv/pagebind'", "[store] url is 'srv/pagebind', not a folder", 'url = "file:///srv/pagebind"'),
    ("store", "url = 'dav://a/b'", "[store] url is 'dav://a/b', not a folder", 'url = "file:///srv/pagebind"'),
    ("store", "url = 'file:srv'", "[store] url is a relative path, 'srv'", "file:///absolute/path"),
    ("store", "url = 'file://srv/x'", "[store] url names a host, 'srv'", "write file:///srv/x"),
    ("store", "url = 'file:///a?b'", "[store] url holds a ? or #", "%3F"),
    ("store", "url = 'file:///a%FF'", "[store] url holds %-codes that are not UTF-8", "letters"),
    ("store", "url = 'file:///a%00'", "[store] url holds .. or a control character", "plain absolute path"),
    ("store", "url = '/srv/../x'", "[store] url holds ..", "plain absolute path"),
    ("store", "url = 'srv'", "nor a bucket as gs://bucket/prefix or s3://bucket/prefix", "file:///srv/pagebind"),
    ("store", "url = 'gs://'", "[store] url names no bucket", "write gs://bucket/prefix"),
    ("store", "url = 'gs:bucket'", "[store] url names no bucket", "write gs://bucket/prefix"),
    ("store", "url = 's3:///bucket'", "[store] url names no bucket", "write s3://bucket/prefix"),
    ("store", "url = 's3a://bucket'", "[store] url begins with s3a:", "write s3://bucket/prefix"),
    ("store", "url = 'gcs://bucket'", "[store] url begins with gcs:", "write gs://bucket/prefix"),
    *(
        ("store", f"url = '{kind}://{name}/x'", f"[store] url names '{name}', which no bucket is called", f"{kind}://")
        for kind, name in (
            ("gs", "My-Work"),
            ("gs", "ab"),
            ("gs", "abc.-"),
            ("gs", "a b c"),
            ("gs", "-abc"),
            ("gs", "bücher"),
            ("gs", "192.168.0.1"),
            ("s3", "192.168.0.1"),
            ("s3", "a..b"),
            ("s3", "under_score"),
            ("s3", "Upper"),
            ("s3", "ab"),
            ("s3", "abc_"),
            ("s3", "abc."),
        )
    ),
    ("store", "url = 'gs://bucket//x'", "[store] url holds an empty, . or .. part", "gs://bucket/prefix"),
    ("store", "url = 'gs://bucket/x//'", "[store] url holds an empty, . or .. part", "gs://bucket/prefix"),
    ("store", "url = 's3://bucket/a/../b'", "[store] url holds an empty, . or .. part", "s3://bucket/prefix"),
    ("store", "url = 's3://bucket/a\\b'", "or a backslash behind the bucket", "s3://bucket/prefix"),
    ("store", "url = 's3://bucket?region=x'", "[store] url holds a ? or #", "write only s3://bucket/prefix"),
    ("store", "url = 'gs://bucket/a#1'", "[store] url holds a ? or #", "write only gs://bucket/prefix"),
    ("store", "url = 's3://bucket:9000/x'", "[store] url holds a user, a password or a port", "AWS_ACCESS_KEY_ID"),
    ("store", "url = 'gs://me@bucket'", "[store] url holds a user, a password or a port", "default credentials"),
    ("store", "library = 's3://bucket/x'", "[store] library is on s3://, but url is a folder", "one kind of store"),
    ("store", "library = '/srv/pagebind/'", "[store] library is the place of url, or one above it", "of its own"),
    ("store", "library = '/srv'", "[store] library is the place of url, or one above it", "of its own"),
    ("store", "endpoint = 'https://x'", "[store] endpoint is set, which is for s3:// only, but url is a folder", "out"),
    ("store", "region = 'auto'", "[store] region is set, which is for s3:// only, but url is a folder", "take it out"),
    ("store", "checksums = 'off'", "[store] checksums is set, which is for s3:// only", "s3://bucket/prefix"),
    ("store", "endpoint = 'x:9000'", "[store] endpoint is 'x:9000', not an address that begins with", "https://s3."),
    ("store", "endpoint = 'https://x/b/c'", "[store] endpoint holds a path", "write https://x; the bucket belongs"),
    ("store", "endpoint = 'https://x?a=b'", "[store] endpoint holds a ? or #", "https://s3."),
    ("store", "endpoint = 'https://me@x'", "[store] endpoint holds a user or password", "AWS_ACCESS_KEY_ID"),
    (
        "store",
        "region = 'eu central'",
        "[store] region is 'eu central', not a region such as",
        'region = "eu-central-1"',
    ),
    ("store", "region = 1", "[store] region is 1, not a region such as", 'region = "eu-central-1"'),
    ("store", "addressing = 'host'", '[store] addressing is \'host\', not "auto" or "path" or', 'addressing = "auto"'),
    ("store", "checksums = true", '[store] checksums is true, not "auto" or "on" or "off"', 'checksums = "auto"'),
    ("store", "conditional_writes = 'no'", "[store] conditional_writes is 'no', not \"auto\"", '"auto"'),
    (
        "store",
        "library = '/srv/pagebind/staging/x'",
        "[store] library lies in staging/, where Pagebind keeps its own objects",
        "of its own",
    ),
    ("poll", "interval = 15", "[poll] interval is 15, not a time such as", 'interval = "15m"'),
    ("poll", "interval = '0s'", "[poll] interval is '0s', not a time of at least 1 s", 'interval = "15m"'),
    ("poll", "interval = '15 min'", "[poll] interval is '15 min', not a time such as", 'interval = "15m"'),
    ("poll", "interval = '30m1h'", "[poll] interval is '30m1h', not a time such as", 'interval = "15m"'),
    ("poll", "interval = 2026-01-01", "[poll] interval is a date or time, not a time such as", 'interval = "15m"'),
    ("bind", "settle = -1", "[bind] settle is -1, not a time such as", 'settle = "10m"'),
    ("bind", "settle = '3650d1s'", "[bind] settle is '3650d1s', not a time of at most 3650d", 'settle = "10m"'),
    ("bind", "settle = false", "[bind] settle is false, not a time such as", 'settle = "10m"'),
    ("bind", "give_up_epochs = 0", "[bind] give_up_epochs is 0, not a whole number from 1", "give_up_epochs = 3"),
    ("bind", "keep_pages = 'true'", "[bind] keep_pages is 'true', not true or false", "keep_pages = false"),
    ("bind", "keep_pages = 1", "[bind] keep_pages is 1, not true or false", "keep_pages = false"),
    (
        "subscription",
        "path = 'comics'",
        "[[subscription]] path is 'comics', not a path on the server",
        'path = "/comics"',
    ),
    ("subscription", "path = '/a/../b'", "[[subscription]] path is '/a/../b', not a plain path", 'path = "/comics"'),
    ("subscription", "path = '/a//b'", "[[subscription]] path is '/a//b', not a plain path", 'path = "/comics"'),
    ("subscription", "exclude = 'raw/'", "[[subscription]] exclude is 'raw/', not a list of texts", "exclude = ["),
    ("subscription", "exclude = [1]", "[[subscription]] exclude is a list, not a list of texts", "exclude = ["),
    (
        "subscription",
        "exclude = ['ok', '!']",
        "[[subscription]] exclude is wrong: '!' is not a gitignore",
        "exclude = [",
    ),
    ("subscription", "exclude = ['[z-a]']", "[[subscription]] exclude is wrong: '[z-a]' is not a git", "exclude = ["),
    ("subscription", "exclude = ['']", "[[subscription]] exclude is wrong: '' matches nothing", "exclude = ["),
    ("subscription", "layout = 'atuo'", "[[subscription]] layout is 'atuo', not \"auto\" or a pattern", "{series}/"),
    ("subscription", "layout = 1", '[[subscription]] layout is 1, not "auto" or a pattern', "layout = "),
    ("subscription", 'layout = "{volume}\\n"', "layout is '{volume}\\n', not \"auto\" or a pattern", "layout = "),
    ("subscription", "layout = '{sries}/{volume}'", "layout uses the unknown field {sries}", "did you mean {series}?"),
    ("subscription", "layout = '{xyzzy}/{volume}'", "layout uses the unknown field {xyzzy}", "known are {series}, "),
    ("subscription", "layout = '{series}/{_}'", "layout holds neither {volume} nor {chapter}", "{series}/{volume}"),
    ("subscription", "layout = '/{series}/{volume}'", "layout has an empty, . or .. part", "{series}/{volume}"),
    ("subscription", "layout = '{series}{volume}'", "layout has two fields with nothing between", "{series}/{volume}"),
    ("subscription", "layout = '{volume'", "layout has a { or } that is not one of a pair", "{series}/{volume}"),
    ("subscription", "layout = '{chapter}/{volume}'", "layout has {chapter} not below {volume}", "{series}/{volume}"),
    ("subscription", "archives = 'copi'", '[[subscription]] archives is \'copi\', not "ignore" or "copy"', '"ignore"'),
    ("subscription", "existing = 'adobt'", 'existing is \'adobt\', not "keep" or "adopt" or "replace"', '"keep"'),
    ("subscription", "existing = []", '[[subscription]] existing is a list, not "keep"', '"keep"'),
    ("subscription", "language = 'Japanese'", "language is 'Japanese', not a language such as", 'language = "ja"'),
    ("subscription", "language = 'ja_JP'", "language is 'ja_JP', not a language such as", 'language = "ja"'),
    ("subscription", "language = 1", "[[subscription]] language is 1, not a language", 'language = "ja"'),
    ("subscription", "reading_direction = 'right'", 'reading_direction is \'right\', not "ltr" or "rtl"', '"rtl"'),
    ("subscription", "reader = 'mihon'", 'reader is \'mihon\', not "kavita" or "komga"', '"komga"'),
    ("subscription", "hash = true", 'hash is true, not "warn" or "strict" or "off"', '"warn"'),
    ("subscription", "comicinfo = 'no'", "comicinfo is 'no', not true or false", "comicinfo = true"),
    ("subscription", "fix_extensions = 1", "fix_extensions is 1, not true or false", "fix_extensions = false"),
    ("subscription", "series = ''", "series is '', not a text", 'series = "One Piece"'),
    ("subscription", "series = ' '", "series is ' ', not a name", 'series = "One Piece"'),
    ("subscription", "strip = '更新'", "strip is '更新', not a list of texts", "strip = ["),
    ("subscription", "strip = [1]", "strip is a list, not a list of texts", "strip = ["),
    ("subscription", "strip = ['ok', '(']", "strip is wrong: '(' is not a regular expression", "strip = ["),
    ("subscription", "strip = ['[z-a]']", "strip is wrong: '[z-a]' is not a regular expression", "strip = ["),
    ("subscription", "strip = ['x*']", "strip is wrong: 'x*' matches the empty text", "strip = ["),
    ("subscription", "strip = ['']", "strip is wrong: '' matches the empty text", "strip = ["),
    (
        "subscription",
        "library = '{series}.cbz'",
        "[[subscription]] library lacks {volume}, {number} and {chapter}",
        "{series}/",
    ),
    (
        "subscription",
        "library = '{volume}.zip'",
        "library is '{volume}.zip', not a name that ends with .cbz or .{ext}",
        "{series}",
    ),
    ("subscription", "library = '{volme}.cbz'", "library uses the unknown field {volme}", "did you mean {volume}?"),
    (
        "subscription",
        "library = '{xyzzy}/{volume}.cbz'",
        "library uses the unknown field {xyzzy}",
        "known are {series}, {volume}, {number}",
    ),
    (
        "subscription",
        "library = '{volume:03}.cbz'",
        "library uses {volume:03}, but only {number} takes a width",
        "write {volume}",
    ),
    *(
        (
            "subscription",
            f"library = '{{number:{width}}}.cbz'",
            f"library uses {{number:{width}}}, but only {{number}} takes a width, as {{number:03}}",
            "write {number:03}",
        )
        for width in ("3", "", "00", "010", "03d", ">3")
    ),
    ("subscription", "library = '{volume.cbz'", "library is '{volume.cbz', not a template", "{series}/{series}"),
    ("subscription", "library = '/{volume}.cbz'", "library is '/{volume}.cbz', not a relative path", "{series}"),
    ("subscription", "library = '../{volume}.cbz'", "library is '../{volume}.cbz', not a relative path", "{series}"),
    ("subscription", "library = '{volume}/.{ext}'", "library is '{volume}/.{ext}', not a relative path", "{series}"),
]


@pytest.mark.parametrize(("section", "line", "message", "fix"), WRONG, ids=[f"{row[0]} {row[1][:60]}" for row in WRONG])
def test_a_wrong_value_is_one_line_that_names_the_key_and_the_right_form(
    section: str, line: str, message: str, fix: str
) -> None:
    error = refused(with_line(section, line))
    assert error.message.startswith("pagebind.toml: ")
    assert message in error.message
    assert fix in error.fix
    assert error.path == "pagebind.toml"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("[source\n", "is not valid TOML: ", "quotes"),
        ("[source]\nurl = alist\n", "is not valid TOML: Invalid value (at line 2, column 7)", "quotes"),
        ("[source]\nurl = ", "is not valid TOML: Invalid value (at line 2, the last one)", "quotes"),
        ("a = " + "[" * 5000, "is not valid TOML: ", "quotes"),
        ("a = " + "1" * 5000, "is not valid TOML: ", "quotes"),
        ("", "[source] url is missing", 'add url = "https://alist.example.org", or set PAGEBIND_SOURCE_URL'),
        (MINIMAL.replace('url = "file', '# "file'), "[store] url is missing", "PAGEBIND_STORE_URL"),
        (MINIMAL.replace("path", "# path"), "[[subscription]] path is missing", 'add path = "/comics"'),
        (MINIMAL.split("[[", maxsplit=1)[0], "there is no [[subscription]]", "[[subscription]]"),
        (MINIMAL.replace("[[subscription]]", "[subscription]"), "subscription is not a list of tables", "[["),
        (MINIMAL.replace("[source]", "[sorce]"), "unknown section [sorce]", "did you mean source?"),
        (MINIMAL.replace("[source]", "[[source]]"), "source is a list, not a section", "write [source]"),
        ("interval = '1m'\n" + MINIMAL, "interval stands outside of any section", "below [poll]"),
        ("nonsense = 1\n" + MINIMAL, "nonsense stands outside of any section", "[section]"),
        (
            MINIMAL + '[[subscription]]\npath = "/comics/"\n',
            "[[subscription]] 2: path is that of another [[subscription]]",
            "take one",
        ),
        (MINIMAL + "[[subscription]]\nlayuot = 'auto'\n", "unknown key layuot in [[subscription]] 2", "layout"),
        (with_line("source", "'a\\nb' = 1"), "unknown key a\\nb in [source]", "known are"),
        (with_line("source", '"a\\nb" = 1'), "unknown key 'a\\nb' in [source]", "known are"),
    ],
)
def test_a_wrong_file_is_one_line(text: str, message: str, fix: str) -> None:
    error = refused(text)
    assert message in error.message
    assert fix in error.fix


def test_a_tilde_is_refused_with_what_it_means() -> None:
    for url in ("~/pb", "file://~/pb", "file:///~/pb", "file:~/pb"):
        error = refused(with_line("store", f"url = '{url}'"), {"HOME": "/home/ann"})
        assert "~, which is not expanded" in error.message
        assert error.fix == "write file:///home/ann/pb"


@pytest.mark.parametrize(
    ("written", "folder"),
    [
        ("file:///srv/a%20b%25", "/srv/a b%"),
        ("file:/srv/x", "/srv/x"),
        ("/srv/x/", "/srv/x"),
        ("/srv/a b%20?#", "/srv/a b%20?#"),
        ("//srv/x", "/srv/x"),
        ("/書庫/第　1", "/書庫/第　1"),
        ("file:///書庫", "/書庫"),
    ],
)
def test_folders(written: str, folder: str) -> None:
    settings = parse(with_line("store", f"url = '{written}'"), {}, "x")
    assert str(settings.store.work_folder) == folder
    assert str(settings.store.library_folder) == f"{folder}/library"
    assert settings.store.url.startswith("file:///")


@pytest.mark.parametrize(
    ("written", "url", "name", "prefix"),
    [
        ("gs://my_work.example", "gs://my_work.example", "my_work.example", ""),
        ("gs://bucket/", "gs://bucket", "bucket", ""),
        ("s3://1.2.3.4.5", "s3://1.2.3.4.5", "1.2.3.4.5", ""),
        (f"gs://{'a' * 60}.{'b' * 60}", f"gs://{'a' * 60}.{'b' * 60}", f"{'a' * 60}.{'b' * 60}", ""),
        ("GS://bucket/comics/one", "gs://bucket/comics/one", "bucket", "comics/one/"),
        ("s3://3-buckets/書庫/第　1/", "s3://3-buckets/書庫/第　1", "3-buckets", "書庫/第　1/"),
        ("s3://bucket/a%20b +", "s3://bucket/a%20b +", "bucket", "a%20b +/"),
    ],
)
def test_buckets(written: str, url: str, name: str, prefix: str) -> None:
    store = parse(with_line("store", f"url = '{written}'"), {}, "x").store
    assert (store.url, store.library, store.kind) == (url, f"{url}/library", url[:2])
    assert store.work_bucket == (name, prefix)
    assert store.library_bucket == (name, f"{prefix}library/")


@pytest.mark.parametrize("url", [f"gs://{'a' * 64}", f"gs://a.{'b' * 64}", f"s3://a.{'b' * 62}", f"gs://{'a.' * 111}b"])
def test_a_name_that_is_too_long_for_a_bucket(url: str) -> None:
    assert "which no bucket is called" in refused(with_line("store", f"url = '{url}'")).message


def bucket_with(url: str, library: str) -> str:
    return with_line("store", f"library = '{library}'").replace("file:///srv/pagebind", url)


@pytest.mark.parametrize("library", ["gs://books", "gs://books/work", "gs://work/work2", "gs://work/work/library/a"])
def test_a_library_beside_or_inside_the_work(library: str) -> None:
    assert parse(bucket_with("gs://work/work", library), {}, "x").store.library == library


@pytest.mark.parametrize(
    ("library", "message"),
    [
        ("gs://work/work/", "[store] library is the place of url, or one above it"),
        ("gs://work", "[store] library is the place of url, or one above it"),
        ("gs://work/work/manifests/x", "[store] library lies in manifests/, where Pagebind keeps its own objects"),
        ("s3://work/library", "[store] library is on s3://, but url is on gs://"),
        ("/srv/comics", "[store] library is a folder, but url is on gs://"),
    ],
)
def test_a_library_that_would_mix_with_the_work(library: str, message: str) -> None:
    error = refused(bucket_with("gs://work/work", library))
    assert message in error.message
    assert "leave" in error.fix


def test_how_to_reach_an_s3_relative() -> None:
    text = MINIMAL.replace("file:///srv/pagebind", "s3://bucket/x").replace(
        "[[",
        'endpoint = "HTTPS://s3.example.org:9000/"\nregion = "eu-central-003"\naddressing = "path"\n'
        'checksums = "off"\nconditional_writes = "on"\n[[',
    )
    store = parse(text, {}, "x").store
    assert store[2:] == ("https://s3.example.org:9000", "eu-central-003", "path", "off", "on")
    changed = parse(
        text, {"PAGEBIND_STORE_ENDPOINT": "http://nas:9000", "PAGEBIND_STORE_ADDRESSING": "auto"}, "x"
    ).store
    assert changed[2:] == ("http://nas:9000", "eu-central-003", "auto", "off", "on")


@pytest.mark.parametrize(
    ("pasted", "fix"),
    [
        ("https://storage.googleapis.com/my-bucket/a/b", "write gs://my-bucket/a/b"),
        ("https://storage.cloud.google.com/my-bucket", "write gs://my-bucket"),
        ("https://my-bucket.storage.googleapis.com/a/", "write gs://my-bucket/a"),
        (
            "https://console.cloud.google.com/storage/browser/my-bucket/a;tab=objects?project=p",
            "write gs://my-bucket/a",
        ),
        ("https://my-bucket.s3.amazonaws.com", "write s3://my-bucket"),
        ("https://my.bucket.s3.eu-central-1.amazonaws.com/a", "write s3://my.bucket/a"),
        ("https://my-bucket.s3-eu-west-1.amazonaws.com/a", "write s3://my-bucket/a"),
        ("https://s3.eu-central-1.amazonaws.com/my-bucket/a", "write s3://my-bucket/a"),
        (
            "https://0a1b.r2.cloudflarestorage.com/my-bucket",
            "write s3://my-bucket, and https://0a1b.r2.cloudflarestorage.com as [store] endpoint",
        ),
        ("http://nas:9000/my-bucket/a", "write s3://my-bucket/a, and http://nas:9000 as [store] endpoint"),
        ("arn:aws:s3:::my-bucket/a", "write s3://my-bucket/a"),
        ("https://example.org", "write gs://bucket/prefix or s3://bucket/prefix"),
        ("https://[::1/x", "write gs://bucket/prefix or s3://bucket/prefix"),
        ("https://me:x@storage.googleapis.com/my-bucket", "write gs://bucket/prefix or s3://bucket/prefix"),
    ],
)
def test_an_address_of_a_bucket_is_told_how_to_write_it(pasted: str, fix: str) -> None:
    error = refused(with_line("store", f"url = '{pasted}'"))
    assert "url is the address of a bucket for browsers and programs, not its URL" in error.message
    assert error.fix == fix


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ('"10m"', 600),
        ('"24h"', 86_400),
        ('"1h30m"', 5400),
        ('"0s"', 0),
        ('"2d"', 172_800),
        ("0", 0),
        ('"0"', 0),
        ('"1.5h"', 5400),
        ('"3650d"', 315_360_000),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    assert value_of("bind", f"settle = {written}") == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ('"5M"', 5_000_000),
        ('"500k"', 500_000),
        ('"1G"', 10**9),
        ('"2Mi"', 2 * 2**20),
        ('"1.5kB"', 1500),
        ("0", 0),
        ('"12"', 12),
    ],
)
def test_sizes(written: str, size: int) -> None:
    assert value_of("source", f"bandwidth = {written}") == size


@pytest.mark.parametrize(
    "template",
    [
        "{number}.cbz",
        "{series}/{chapter}.{ext}",
        "{subscription}/{parent}/{series} {number:03}.cbz",
        "{ext}/{volume}{number:09}.{ext}",
    ],
)
def test_templates_of_keys(template: str) -> None:
    assert value_of("subscription", f"library = '{template}'") == template


@pytest.mark.parametrize(
    ("written", "language"), [("ja", "ja"), ("EN", "en"), ("zh-Hant-TW", "zh-Hant-TW"), ("yue", "yue")]
)
def test_languages(written: str, language: str) -> None:
    assert value_of("subscription", f"language = '{written}'") == language


def test_a_set_within_a_set_is_no_warning() -> None:
    assert value_of("subscription", "strip = ['[[x]']") == ("[[x]",)


@pytest.mark.parametrize("path", ["/", "/漫画　全巻", "/a b/c#d?e%20+&'\"", "/@x"])
def test_paths_on_the_server_are_taken_as_they_are(path: str) -> None:
    escaped = path.replace('"', '\\"')
    assert value_of("subscription", f'path = "{escaped}"') == path


def test_a_byte_order_mark_is_no_error() -> None:
    assert parse("\ufeff" + MINIMAL, {}, "x") == parse(MINIMAL, {}, "x")


# --- credentials ---


@pytest.mark.parametrize("key", ["token", "password", "otp_secret"])
@pytest.mark.parametrize(
    ("written", "message"),
    [
        (f"'alist-{CANARY}'", "is no reference, and a secret itself is never written in this file"),
        (f"'$ALIST_{CANARY}'", "is no reference, and a secret itself is never written in this file"),
        (f"'env:alist-{CANARY}'", "is an env: reference without the name of a variable"),
        (f"'file:{CANARY}'", "is a file: reference without an absolute path"),
        (f"'gcp:{CANARY}'", "is a gcp: reference without the name of a secret"),
        (f"'gcp:projects/p/{CANARY}'", "is a gcp: reference without the name of a secret"),
        (f"'gcp:projects/p/secrets/{CANARY}/versions/'", "is a gcp: reference without the name of a secret"),
        (f"'aws:a {CANARY}'", "is an aws: reference without the name of a secret or parameter"),
        (f"'aws:{CANARY}:x'", "is an aws: reference without the name of a secret or parameter"),
        (f"'arn:aws:ssm:eu-west-1:123456789012:parameter/{CANARY}'", "is the ARN of a secret, but no reference to it"),
        (f"['{CANARY}']", "is a list, not a reference to a secret"),
        (f"{{ x = '{CANARY}' }}", "is a table, not a reference to a secret"),
        ("''", "is no reference"),
        ("true", "is true or false, not a reference to a secret"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_shown(key: str, written: str, message: str) -> None:
    error = refused(with_line("source", f"{key} = {written}"))
    assert f"[source] {key} {message}" in error.message
    assert re.search("env:|file:/|gcp:projects/|aws:", error.fix)


@pytest.mark.parametrize(
    "reference",
    [
        "env:_X1",
        "file:/run/secrets/a b",
        "gcp:projects/my-project/secrets/alist_token-1",
        "gcp:projects/123456789012/secrets/t/versions/7",
        "gcp:projects/example.com:old/secrets/t/versions/latest",
        "aws:alist/token+x@y",
        "aws:/alist/token",
        "aws:ssm:alist.token",
        "aws:ssm:/alist/token",
        "aws:arn:aws:ssm:eu-west-1:123456789012:parameter/alist/token",
        "aws:arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:alist/token-AbCdEf",
    ],
)
def test_references_to_secrets(reference: str) -> None:
    assert value_of("source", f"token = '{reference}'") == reference
    assert parse(MINIMAL, {"PAGEBIND_SOURCE_TOKEN": reference}, "x").source.token == reference


def test_a_folder_password_in_the_file_is_refused_and_never_shown() -> None:
    assert "password is no reference" in refused(with_line("subscription", f"password = '{CANARY}'")).message


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("source", f"url = 'https://ann:{CANARY}@alist.example.org'"),
        ("source", f"url = 'https://ann:p/{CANARY}@alist.example.org'"),
        ("source", f"url = 'ann:{CANARY}@alist.example.org'"),
        ("source", f"url = 'alist-{CANARY}'"),
        ("source", f"url = 'https://a/?sign={CANARY}'"),
        ("source", f"headers = {{ Cookie = '{CANARY}\\n' }}".replace("'", '"')),
        ("source", f"headers = {{ Cookie = ['{CANARY}'] }}"),
        ("source", f"headers = {{ Authorization = '{CANARY}' }}"),
        ("source", f"headers = '{CANARY}'"),
        ("source", f"tokn = '{CANARY}'"),
        ("store", f"token = 'alist-{CANARY}'"),
        ("store", f"url = 's3://key:{CANARY}@bucket'"),
        ("store", f"url = 's3://key:{CANARY}/more@bucket/prefix'"),
        ("store", f"url = 's3://key:{CANARY}'"),
        ("store", f"url = 'gs:user:{CANARY}@bucket'"),
        ("store", f"url = 's3a://key:{CANARY}@bucket'"),
        ("store", f"url = 'S3://bucket/x?secret={CANARY}'"),
        ("store", f"url = 'https://user:{CANARY}@s3.example.org/bucket'"),
        ("store", f"url = 'https://bucket.s3.amazonaws.com/x?X-Amz-Signature={CANARY}'"),
        ("store", f"endpoint = 'https://key:{CANARY}@s3.example.org'"),
        ("store", f"region = '{CANARY}@'"),
        ("subscription", f"path = 'https://a/comics?sign={CANARY}'"),
        ("poll", f"interval = 'openlist-{CANARY}'"),
    ],
)
def test_credentials_in_the_wrong_place_are_not_shown(section: str, line: str) -> None:
    refused(with_line(section, line))


@pytest.mark.parametrize(
    ("lines", "message", "fix"),
    [
        ("token = 'env:T'\nusername = 'ann'", "[source] token and [source] username are set together", "leave either"),
        ("token = 'env:T'\notp_secret = 'env:O'", "[source] token and [source] otp_secret are set together", "leave"),
        ("username = 'ann'", "[source] username set without password", "password ="),
        ("password = 'env:P'", "[source] password set without username", "username ="),
        ("otp_secret = 'env:O'", "[source] otp_secret set without username and password", "username ="),
    ],
)
def test_credentials_that_do_not_fit_together(lines: str, message: str, fix: str) -> None:
    error = refused(with_line("source", lines))
    assert message in error.message
    assert fix in error.fix


def test_settings_show_neither_headers_nor_secrets() -> None:
    text = with_line("source", f"headers = {{ Cookie = '{CANARY}' }}")
    settings = parse(text, {"PAGEBIND_SOURCE_TOKEN": f"alist-{CANARY}"}, "x")
    assert settings.source.headers == {"Cookie": CANARY}
    assert settings.source.token == "env:PAGEBIND_SOURCE_TOKEN"
    assert CANARY not in repr(settings)


# --- the environment ---


def test_the_environment_goes_before_the_file() -> None:
    env = {
        "PAGEBIND_SOURCE_URL": "http://nas:5244/",
        "PAGEBIND_SOURCE_CONCURRENCY": "16",
        "PAGEBIND_SOURCE_LIST_PER_SECOND": "0.5",
        "PAGEBIND_SOURCE_BANDWIDTH": "2000",
        "PAGEBIND_STORE_URL": "/data",
        "PAGEBIND_STORE_LIBRARY": "file:///books",
        "PAGEBIND_POLL_INTERVAL": "1h",
        "PAGEBIND_BIND_SETTLE": "0",
        "PAGEBIND_BIND_KEEP_PAGES": "Yes",
        "PAGEBIND_CONFIG": "elsewhere.toml",
        "PATH": "/bin",
    }
    settings: Settings = parse(MINIMAL, env, "x")
    source = settings.source
    assert (source.url, source.concurrency, source.list_per_second, source.bandwidth) == (
        "http://nas:5244",
        16,
        0.5,
        2000,
    )
    assert (settings.store.url, settings.store.library) == ("file:///data", "file:///books")
    assert (settings.poll.interval, settings.bind.settle, settings.bind.keep_pages) == (3600, 0, True)
    assert settings == parse(MINIMAL.replace('url = "https', '# "https'), env, "x")


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        (f"alist-{CANARY}", "env:PAGEBIND_SOURCE_TOKEN"),
        ("", "env:PAGEBIND_SOURCE_TOKEN"),
        ("env:OTHER", "env:OTHER"),
        ("file:/run/secrets/t", "file:/run/secrets/t"),
    ],
)
def test_a_secret_in_the_environment_is_kept_as_a_reference(held: str, kept: str) -> None:
    text = with_line("source", "token = 'env:ALIST_TOKEN'")
    assert parse(text, {"PAGEBIND_SOURCE_TOKEN": held}, "x").source.token == kept


@pytest.mark.parametrize(
    ("name", "value", "message", "fix"),
    [
        ("PAGEBIND_SOURCE_CONCURRENCY", "many", "PAGEBIND_SOURCE_CONCURRENCY is 'many', not a whole number", "=8"),
        ("PAGEBIND_SOURCE_LIST_PER_SECOND", "nan", "PAGEBIND_SOURCE_LIST_PER_SECOND is 'nan', not a number", "=5"),
        ("PAGEBIND_BIND_KEEP_PAGES", "maybe", "PAGEBIND_BIND_KEEP_PAGES is 'maybe', not true or false", "=false"),
        ("PAGEBIND_BIND_SETTLE", "10", "PAGEBIND_BIND_SETTLE is '10', not a time", "PAGEBIND_BIND_SETTLE=10m"),
        ("PAGEBIND_STORE_LIBRARY", "", "PAGEBIND_STORE_LIBRARY is '', not a text", "PAGEBIND_STORE_LIBRARY=file:///"),
        ("PAGEBIND_STORE_URL", "gs://x", "PAGEBIND_STORE_URL names 'x', which no bucket is called", "gs://bucket"),
        ("PAGEBIND_SOURCE_TOKEN", f"gcp:{CANARY}", "PAGEBIND_SOURCE_TOKEN is a gcp: reference", "gcp:"),
        (
            "PAGEBIND_SOURCE_TOKN",
            CANARY,
            "unknown variable PAGEBIND_SOURCE_TOKN",
            "did you mean PAGEBIND_SOURCE_TOKEN?",
        ),
        ("PAGEBIND_BIND_SETTEL", "1m", "unknown variable PAGEBIND_BIND_SETTEL", "did you mean PAGEBIND_BIND_SETTLE?"),
        ("PAGEBIND_SOURCE_HEADERS", CANARY, "PAGEBIND_SOURCE_HEADERS cannot be set in the environment", "file"),
        ("PAGEBIND_SUBSCRIPTION_PATH", "/x", "PAGEBIND_SUBSCRIPTION_PATH cannot be set in the environment", "file"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, message: str, fix: str) -> None:
    error = refused(MINIMAL, {name: value})
    assert error.message.startswith(message)
    assert fix in error.fix


def test_credentials_of_file_and_environment_that_do_not_fit_name_both() -> None:
    error = refused(with_line("source", "token = 'env:T'"), {"PAGEBIND_SOURCE_USERNAME": "ann"})
    assert "[source] token and PAGEBIND_SOURCE_USERNAME are set together" in error.message


def test_two_places_that_do_not_fit_are_named_by_their_variables() -> None:
    error = refused(MINIMAL, {"PAGEBIND_STORE_LIBRARY": "gs://books"})
    assert "pagebind.toml: PAGEBIND_STORE_LIBRARY is on gs://, but url is a folder" in error.message
    error = refused(MINIMAL, {"PAGEBIND_STORE_REGION": "auto"})
    assert "PAGEBIND_STORE_REGION is set, which is for s3:// only" in error.message


def test_a_store_that_is_read_before_any_file_is_reached_by_variables_alone() -> None:
    env = {"PAGEBIND_STORE_ENDPOINT": "http://nas:9000/", "PAGEBIND_STORE_CHECKSUMS": "on", "PAGEBIND_STORE_URL": "/x"}
    store = StoreSettings("s3://bucket", "s3://bucket", endpoint="http://nas:9000", checksums="on")
    assert store_of("s3://bucket", env) == store
    assert store_of("gs://bucket", env) == StoreSettings("gs://bucket", "gs://bucket")
    with pytest.raises(ConfigError, match="PAGEBIND_STORE_REGION is 'a b', not a region"):
        store_of("s3://bucket", {"PAGEBIND_STORE_REGION": "a b"})
