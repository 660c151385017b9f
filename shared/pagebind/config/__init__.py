"""The configuration: one frozen `Settings`, read once from a TOML file and the environment that the caller passes in.

Importing it costs next to nothing; what only mistakes or rare settings need is imported when they occur.
"""

from __future__ import annotations

from pagebind.config.locate import FILE_NAME, find_config, is_object, read
from pagebind.config.parse import parse, store_of
from pagebind.config.schema import SETTINGS, Setting
from pagebind.config.settings import (
    BindSettings,
    HookSettings,
    NotifySettings,
    Patterns,
    PollSettings,
    QueueSettings,
    Settings,
    SourceSettings,
    StoreSettings,
    Subscription,
)
from pagebind.config.template import template
from pagebind.config.values import LONGEST, parse_duration

__all__ = [
    "FILE_NAME",
    "LONGEST",
    "SETTINGS",
    "BindSettings",
    "HookSettings",
    "NotifySettings",
    "Patterns",
    "PollSettings",
    "QueueSettings",
    "Setting",
    "Settings",
    "SourceSettings",
    "StoreSettings",
    "Subscription",
    "find_config",
    "is_object",
    "parse",
    "parse_duration",
    "read",
    "store_of",
    "template",
]
