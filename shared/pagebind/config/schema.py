"""Every setting once: key, default, meaning and reader. The parser, `pagebind init` and the README's table use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pagebind.config import store_url, values
from pagebind.config.place import is_one_line

if TYPE_CHECKING:
    from pagebind.config.values import Reader

SUBSCRIPTION: Final = "subscription"
HOOK: Final = "hook"
REPEATED: Final = (SUBSCRIPTION, HOOK)
"""Sections that stand once for each thing that they are about, in double brackets."""


class Setting(NamedTuple):
    """One setting.

    Attributes:
        section: the table that it stands in; those of `REPEATED` stand for each of them, as ``[[subscription]]``.
        key: its key there.
        read: turns what was written into the value of `Settings`.
        meaning: one line.
        default: as one would write it; None: there is none.
        example: as one would write it; None: the default is a good one.
        required: whether it must be set.
    """

    section: str
    key: str
    read: Reader
    meaning: str
    default: object = None
    example: object = None
    required: bool = False

    @property
    def name(self) -> str:
        """As ``source.url``."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str | None:
        """The environment variable that overrides it; None for tables, and for what stands in each of `REPEATED`."""
        if self.section in REPEATED or isinstance(self.default, dict):
            return None
        return f"PAGEBIND_{self.section.upper()}_{self.key.upper()}"

    @property
    def default_text(self) -> str:
        """The default as TOML; empty where there is none."""
        return "" if self.default is None else toml(self.default)

    def line(self, value: object = None) -> str:
        """The setting as a line of the file, by default with its example."""
        chosen = next(known for known in (value, self.example, self.default) if known is not None)
        return f"{self.key} = {toml(chosen)}"

    def assignment(self) -> str:
        """The setting as an environment variable with its example."""
        chosen = self.example if self.example is not None else self.default
        if isinstance(chosen, list):
            return f"{self.variable}={','.join(str(one) for one in chosen)}"
        return f"{self.variable}={chosen if isinstance(chosen, str) else toml(chosen)}"


def toml(value: object) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    return repr(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if is_one_line(character) else f"\\U{ord(character):08X}"


SETTINGS: Final = (
    Setting(
        "source",
        "url",
        values.web_url,
        "Address of the Alist or OpenList server, http or https.",
        example="https://alist.example.org",
        required=True,
    ),
    Setting(
        "source",
        "token",
        values.secret,
        "Reference to the token of the server (or username and password; with neither, Pagebind is a guest).",
        example="env:ALIST_TOKEN",
    ),
    Setting("source", "username", values.username, "User to log in as, instead of a token.", example="reader"),
    Setting(
        "source",
        "password",
        values.secret,
        "Reference to this user's password.",
        example="file:/run/secrets/alist-password",
    ),
    Setting(
        "source",
        "otp_secret",
        values.secret,
        "Reference to the secret of this user's one-time codes, where two-factor login is on.",
        example="env:ALIST_OTP_SECRET",
    ),
    Setting("source", "list_per_second", values.rate, "Folders listed per second; 0: no limit.", default=5),
    Setting("source", "downloads_per_second", values.rate, "Downloads begun per second; 0: no limit.", default=0),
    Setting(
        "source",
        "bandwidth",
        values.bandwidth,
        "Bytes per second of all downloads; k, M, G are of 1000, Ki, Mi, Gi of 1024; 0: no limit.",
        default=0,
        example="5M",
    ),
    Setting("source", "concurrency", values.whole(1, 64), "Requests at the same time, 1 to 64.", default=8),
    Setting(
        "source",
        "headers",
        values.headers,
        "Headers that the drive wants on downloads.",
        default={},
        example={"User-Agent": "pan.baidu.com"},
    ),
    Setting(
        "source", "connect_timeout", values.duration(0.1), "How long a connection may take to stand.", default="10s"
    ),
    Setting(
        "source",
        "read_timeout",
        values.duration(0.1),
        "How long the server may send nothing in an answer, or less than 1 KiB a second.",
        default="60s",
    ),
    Setting(
        "source",
        "allow_private",
        values.switch,
        "Let links lead from a public server to addresses of a private network.",
        default=False,
    ),
    Setting(
        "store",
        "url",
        store_url.store_url,
        "Where everything on the way is kept: file:///folder, gs://bucket/prefix or s3://bucket/prefix.",
        example="file:///srv/pagebind",
        required=True,
    ),
    Setting(
        "store",
        "library",
        store_url.store_url,
        'Where the finished books are kept, a place of the same kind; without it, "library" inside url.',
        example="file:///srv/comics",
    ),
    Setting(
        "store",
        "endpoint",
        store_url.endpoint,
        "S3: address of the server, http or https; without it, what boto3 finds, or AWS.",
        example="https://s3.example.org",
    ),
    Setting(
        "store",
        "region",
        values.region,
        "S3: region of the bucket, as its provider calls it; without it, what boto3 finds.",
        example="eu-central-1",
    ),
    Setting(
        "store",
        "addressing",
        values.choice("auto", "path", "virtual"),
        'S3: where a request names the bucket, "path" or "virtual" (the host); "auto": virtual at AWS, path elsewhere.',
        default="auto",
    ),
    Setting(
        "store",
        "checksums",
        values.choice("auto", "on", "off"),
        'S3: checksums of transfers, "on" or "off" (then MD5); "auto": on at AWS, off elsewhere (some refuse them).',
        default="auto",
    ),
    Setting(
        "store",
        "conditional_writes",
        values.choice("auto", "on", "off"),
        'S3: whether the server keeps conditions of writes, "on" or "off"; "auto": on at AWS, tried out elsewhere.',
        default="auto",
    ),
    Setting("poll", "interval", values.duration(1), "Time between two polls.", default="15m"),
    Setting(
        "poll",
        "budget",
        values.duration(10),
        "How long a poll that hands out to [queue] may take; the next one goes on where it stopped.",
        default="8m",
    ),
    Setting(
        "poll",
        "listings",
        values.whole(0, 1_000_000),
        "How many folders such a poll lists at most; 0: no limit but its budget.",
        default=0,
    ),
    Setting(
        "queue",
        "fetch",
        values.queue,
        "Cloud Tasks: the queue of pages. The functions work on it; `run` and `serve` never do.",
        example="projects/my-project/locations/europe-west1/queues/fetch",
    ),
    Setting(
        "queue",
        "finalize",
        values.queue,
        "Cloud Tasks: the queue of books.",
        example="projects/my-project/locations/europe-west1/queues/finalize",
    ),
    Setting(
        "queue",
        "fetch_url",
        values.function_url,
        "Address of the function that fetches a page.",
        example="https://fetch-abc.a.run.app",
    ),
    Setting(
        "queue",
        "finalize_url",
        values.function_url,
        "Address of the function that binds a book.",
        example="https://finalize-abc.a.run.app",
    ),
    Setting(
        "queue",
        "service_account",
        values.service_account,
        "The account whose identity (OIDC) calls of the functions carry.",
        example="pagebind-queue@my-project.iam.gserviceaccount.com",
    ),
    Setting(
        "queue",
        "max_attempts",
        values.whole(1, 100),
        "How often the queue of pages tries a task, as it is set there; at the last one the reason is recorded.",
        default=8,
    ),
    Setting(
        "bind",
        "settle",
        values.duration(0),
        'How long a folder must stay unchanged before it is bound; "0s": one listing is enough.',
        default="10m",
    ),
    Setting(
        "bind",
        "give_up_epochs",
        values.whole(1, 1000),
        "A page is given up after so many failed rounds, and ...",
        default=3,
    ),
    Setting("bind", "give_up_after", values.duration(0), "... so much time after its first failure.", default="24h"),
    Setting("bind", "keep_pages", values.switch, "Keep the single pages after their book is bound.", default=False),
    Setting(
        "notify",
        "urls",
        values.secrets,
        "References to addresses as Apprise takes them: who is told (needs the extra `notify`).",
        default=[],
        example=["env:NOTIFY_URL"],
    ),
    Setting(
        "notify",
        "on",
        values.choices("bound", "held", "failed", "source"),
        "What is worth a message: books, volumes that are held or fail, a source that refuses or is away.",
        default=["bound", "held", "failed", "source"],
    ),
    Setting(
        "notify",
        "limit",
        values.whole(1, 1000),
        "How many volumes of each kind a message names; it counts the rest.",
        default=20,
    ),
    Setting(
        SUBSCRIPTION,
        "path",
        values.server_path,
        "Folder on the server, as the account sees it; everything below belongs to it.",
        example="/comics",
        required=True,
    ),
    Setting(
        SUBSCRIPTION,
        "exclude",
        values.patterns,
        "What to leave out: gitignore patterns, relative to path, without case.",
        default=[],
        example=["raw/", "zz_credits*"],
    ),
    Setting(
        SUBSCRIPTION,
        "layout",
        values.layout,
        'How folders become volumes: "auto", or a pattern with {volume} or {chapter}, {series}, and {_} for any text.',
        default="auto",
        example="{series}/{volume}/{chapter}",
    ),
    Setting(
        SUBSCRIPTION,
        "library",
        values.library_key,
        "Where a book lies in the library; fields: {series} {volume} {number} {chapter} {subscription} {parent} {ext}.",
        default="{series}/{volume}.cbz",
        example="{series}/{series} {number:03}.cbz",
    ),
    Setting(
        SUBSCRIPTION,
        "series",
        values.series,
        "The series of all books, instead of what folders are called.",
        example="One Piece",
    ),
    Setting(
        SUBSCRIPTION,
        "strip",
        values.expressions,
        "What to take out of names: regular expressions, without case.",
        default=[],
        example=[r"更新至\d+话"],
    ),
    Setting(
        SUBSCRIPTION,
        "archives",
        values.choice("ignore", "copy"),
        'What to do with archives on the server: "ignore" or "copy".',
        default="ignore",
    ),
    Setting(
        SUBSCRIPTION,
        "existing",
        values.choice("keep", "adopt", "replace"),
        'What to do with a book that Pagebind did not make: "keep", "adopt" (if its pages match) or "replace".',
        default="keep",
    ),
    Setting(
        SUBSCRIPTION,
        "language",
        values.language,
        "The language of the books, for their ComicInfo.xml.",
        example="ja",
    ),
    Setting(
        SUBSCRIPTION,
        "reading_direction",
        values.choice("ltr", "rtl"),
        'The direction in which the books are read: "ltr" or "rtl".',
        example="rtl",
    ),
    Setting(
        SUBSCRIPTION,
        "reader",
        values.choice("kavita", "komga"),
        'Write the numbers of volumes where this reader wants them: "kavita" or "komga".',
        example="komga",
    ),
    Setting(SUBSCRIPTION, "comicinfo", values.switch, "Put a ComicInfo.xml into the books.", default=True),
    Setting(
        SUBSCRIPTION,
        "hash",
        values.choice("warn", "strict", "off"),
        'What a hash that differs from the listed one means: "warn", "strict" (the page fails) or "off".',
        default="warn",
    ),
    Setting(
        SUBSCRIPTION,
        "fix_extensions",
        values.switch,
        "Give pages the suffix of what they really are.",
        default=False,
    ),
    Setting(
        SUBSCRIPTION,
        "headers",
        values.headers,
        "Headers on downloads, besides those of [source].",
        default={},
        example={"Referer": "https://www.alipan.com/"},
    ),
    Setting(
        SUBSCRIPTION, "password", values.secret, "Reference to the folder's password.", example="env:COMICS_PASSWORD"
    ),
    Setting(
        SUBSCRIPTION,
        "list_per_second",
        values.rate,
        "As in [source], for this subscription; without it, the value there.",
        example=1,
    ),
    Setting(
        SUBSCRIPTION,
        "downloads_per_second",
        values.rate,
        "As in [source], for this subscription; without it, the value there.",
        example=1,
    ),
    Setting(
        SUBSCRIPTION,
        "bandwidth",
        values.bandwidth,
        "As in [source], for this subscription; without it, the value there.",
        example="5M",
    ),
    Setting(
        HOOK,
        "url",
        values.hook_url,
        "What is called, by POST, after a run that knows of new books: a reader's scan.",
        example="http://komga:25600/api/v1/libraries/0ABCDEFGHIJKL/scan",
        required=True,
    ),
    Setting(
        HOOK,
        "headers",
        values.secret_headers,
        "References to the values of headers.",
        default={},
        example={"X-API-Key": "env:KOMGA_API_KEY"},
    ),
    Setting(
        HOOK,
        "debounce",
        values.duration(0),
        "Time that lies between two calls at least; the next run makes up for one that was left out.",
        default="5m",
    ),
)
"""All settings of this version, in the order of the file."""

SECTIONS: Final = tuple(dict.fromkeys(setting.section for setting in SETTINGS))
