"""The file that `pagebind init` writes: every setting with its meaning, made from the schema, so it cannot go stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagebind.config.schema import HOOK, REPEATED, SECTIONS, SETTINGS, SUBSCRIPTION, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HEAD = """\
# Pagebind's configuration. A line "# key = value" shows a default or, where it says so, an example.
# A secret is never written here, only where it is: "env:NAME" (a variable), "file:/absolute/path",
# "gcp:projects/PROJECT/secrets/NAME" (Google's Secret Manager) or "aws:NAME" (Secrets Manager or Parameter Store).
# A variable PAGEBIND_<SECTION>_<KEY> goes before the value here, e.g. PAGEBIND_SOURCE_URL (not for subscriptions).
"""

_ABOUT = {
    "source": "The Alist or OpenList server.",
    "store": "Where pages and books are kept: in a folder, in Google Cloud Storage (gs://), or on S3 and its like (s3://).",
    "poll": "How often the server is looked at.",
    "queue": "Google's queues, where poll, fetch and finalize are functions of their own; not for one machine.",
    "bind": "When a folder becomes a book.",
    "notify": "Who is told of new books and of trouble.",
    SUBSCRIPTION: "What is watched. Write one such block for each folder on the server.",
    HOOK: "A reader that is to scan its library when there are new books. Write one such block for each.",
}


def template(store_url: str, values: Mapping[str, object] | None = None) -> str:
    """A commented configuration that `parse` accepts.

    Args:
        store_url: the work folder, ``file:///...``.
        values: further values by `Setting.name`, as one would write them in TOML. Without it the required ones and the
            token have example values; ``{"source.token": None}`` leaves the token a comment (guest).
    """
    token = next(setting for setting in SETTINGS if setting.name == "source.token")
    hooked = any(name.startswith(f"{HOOK}.") for name in values or ())
    required = {one.name: one.example for one in SETTINGS if one.required and (hooked or one.section != HOOK)}
    chosen = {**required, token.name: token.example, "store.url": store_url, **(values or {})}
    unknown = chosen.keys() - {setting.name for setting in SETTINGS}
    if unknown:
        raise ValueError(f"no such settings: {sorted(unknown)}")
    return "\n".join([_HEAD, *(_section(section, chosen) for section in SECTIONS)])


def _section(section: str, chosen: Mapping[str, object]) -> str:
    title = f"[[{section}]]" if section in REPEATED else f"[{section}]"
    used = section != HOOK or any(name.startswith(f"{section}.") for name in chosen)
    lines = [f"# {_ABOUT[section]}", title if used else f"# {title}"]
    for setting in SETTINGS:
        if setting.section == section:
            lines += _setting(setting, chosen.get(setting.name))
    return "\n".join(lines) + "\n"


def _setting(setting: Setting, value: object) -> Iterator[str]:
    if value is not None:
        yield f"# {setting.meaning}"
        yield setting.line(value)
        return
    note = ""
    if setting.default is None:
        note = " Example:"
    elif setting.example is not None:
        note = f" Example: {setting.line()}"
    yield f"# {setting.meaning}{note}"
    yield f"# {setting.line(setting.default)}"
