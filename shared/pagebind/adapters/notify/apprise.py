"""People's services by Apprise. Source: github.com/caronc/apprise, version 2.2, its ``Apprise`` and ``AppriseAsset``.

Apprise is imported when the first message is sent: it loads all of its services, which takes some tenths of a second.
"""

from __future__ import annotations

import logging
import re
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pagebind.adapters.installed import installed
from pagebind.adapters.notify.attempt import PATIENCE, all_within, value_of
from pagebind.errors import ConfigError, NotifyFailed, NotifyRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagebind.core.message import Message
    from pagebind.ports.secrets import Secret

log = logging.getLogger(__name__)

_telling: ContextVar[bool] = ContextVar("telling", default=False)

_LOCAL: Final = frozenset({"blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
"""Schemes that lead to no other machine: their programs would get what servers call their folders, and where Pagebind
runs by itself nobody looks at a desktop."""

_SHOWS_MARKDOWN: Final = frozenset({"Discord", "Guilded", "Mattermost"})
"""Apprise's names of services that take plain text for Markdown, which Apprise does not protect against."""

_MARKDOWN = re.compile(r"[\\*_~`|<>\[\]#]")
_MENTION = re.compile(
    r"@(?=_?\*{0,2}(?:everyone|here|channel|all|topic|stream)\b|[!&]?[0-9]{17,20})|<(?=users/)", re.IGNORECASE
)
"""What calls whole channels or single people, where it stands in a message: the name of a folder must not."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]{1,19})://")
_ANSWERED = re.compile(r"\berror=([0-9]{3})\b")
"""How the services of Apprise end a line that tells of a status of HTTP."""

_REFUSALS: Final = frozenset({401, 403, 404, 410})

_LISTS_ADDRESSES: Final = "write it as Apprise's own list of services does, for example ntfys://ntfy.sh/topic"

_MEND_IT: Final = "see whether the address is still right: its token, and whom it leads to"
_LOOK_AT_IT: Final = "see whether the service can be reached from here, and whether the address is right"


class AppriseNotifier:
    """See `pagebind.ports.notify.Notifier`. One reference; behind it stands one address, or several.

    Several are told side by side, and count as told where one of them was: to send again to all because of one would
    tell the others twice.

    Args:
        secret: the address, or addresses parted by blanks or commas, as Apprise takes them.
        patience: seconds that a message may take.
    """

    def __init__(self, secret: Secret, *, patience: float = PATIENCE) -> None:
        self._secret = secret
        self._patience = patience

    @property
    def name(self) -> str:
        """See `Notifier.name`."""
        return self._secret.reference

    def send(self, message: Message) -> None:
        """See `Notifier.send`. Where some of several addresses failed, a line of the log tells it instead."""
        outcomes = self.deliver(message)
        failures = [failure for failure in outcomes if failure is not None]
        if len(failures) == len(outcomes):
            raise failures[0]
        for failure in failures:
            about = {"notifier": self.name, "code": failure.code, "reason": failure.message, "fix": failure.fix}
            log.log(logging.WARNING if failure.retryable else logging.ERROR, "not notified", extra=about)

    def deliver(self, message: Message) -> list[NotifyFailed | None]:
        """Send a message, and tell for each address how that ended; None: it was taken.

        Raises:
            NotifyFailed: no address could be tried.
        """
        with _silenced():
            addresses = self._addresses()
            outcomes = all_within(self._patience, [partial(one.tell, message) for one in addresses])
        return [self._failure(one, outcome) for one, outcome in zip(addresses, outcomes, strict=True)]

    def check(self) -> list[NotifyFailed | None]:
        """See for each address whether Apprise takes it; None: it does. Nothing is sent.

        Raises:
            NotifyFailed: there is no address, or no Apprise.
        """
        with _silenced():
            return [self._failure(one, _Outcome(taken=True)) for one in self._addresses()]

    def _addresses(self) -> list[_Address]:
        text = value_of(self._secret)
        try:
            return self._made(text)
        except NotifyFailed:
            raise
        except Exception as error:  # noqa: BLE001  Apprise may do anything; a text of it may hold the address
            raise NotifyFailed(f"{self.name} cannot be used: Apprise fails with {type(error).__name__}") from None

    def _made(self, text: str) -> list[_Address]:
        apprise = _load()
        from apprise.utils.parse import parse_urls

        asset = apprise.AppriseAsset(
            app_id="Pagebind",
            service_timeout=0,  # with one, it sends in a pool that Python waits for at its end; the time is kept here
            http_redirects=False,  # a POST that is redirected arrives as a GET, and counts as sent
            interpret_emojis=False,
            storage_mode="memory",
            pgp_autogen=False,
            pem_autogen=False,
        )
        written = parse_urls(text)  # type: ignore[no-untyped-call]
        addresses = [_address(apprise, asset, one, self._patience) for one in written]
        if not addresses:
            raise NotifyRefused(f"{self.name} holds no address", fix=_LISTS_ADDRESSES)
        return addresses

    def _failure(self, address: _Address, outcome: _Outcome | None) -> NotifyFailed | None:
        who = f"{self.name} ({address.scheme}://)" if address.scheme else self.name
        if address.scheme in _LOCAL:
            return NotifyRefused(
                f"{who} leads to this machine itself, where nobody may be", fix="use a service on the network"
            )
        if address.sender is None:
            return NotifyRefused(f"{who} holds no address that Apprise takes", fix=_LISTS_ADDRESSES)
        if outcome is not None and outcome.taken:
            return None
        lost = f"{who} did not take the message"
        if outcome is None:
            return NotifyFailed(f"{lost} within {self._patience:g} s", fix=_LOOK_AT_IT)
        if outcome.status in _REFUSALS:
            return NotifyRefused(f"{lost}: it answered {outcome.status}", fix=_MEND_IT)
        why = outcome.error or (f"it answered {outcome.status}" if outcome.status else "")
        return NotifyFailed(f"{lost}: {why}" if why else lost, fix=_LOOK_AT_IT)


class _Outcome(NamedTuple):
    """How a service took a message. ``status``: of HTTP, or 0; ``error``: the class of what it raised, or nothing."""

    taken: bool
    status: int = 0
    error: str = ""


class _Address(NamedTuple):
    """One address.

    Attributes:
        scheme: as it is written; empty: it has none.
        sender: Apprise with this service alone; None where that is not to be had.
        as_markdown: whether its service takes plain text for Markdown.
    """

    scheme: str
    sender: Any
    as_markdown: bool = False

    def tell(self, message: Message) -> _Outcome:
        """Send the message; raises nothing."""
        if self.sender is None:
            return _Outcome(taken=False)
        title, body = (_harmless(text, as_markdown=self.as_markdown) for text in (message.title, message.body))
        try:
            result = self.sender.notify(
                title=title,
                body=body,
                notify_type=message.tone.value,
                body_format="markdown" if self.as_markdown else "text",
            )
            return _Outcome(bool(result), _status_in(result))
        except Exception as error:  # noqa: BLE001  services of Apprise raise what they like; a text may hold the address
            return _Outcome(taken=False, error=type(error).__name__)


def _address(apprise: Any, asset: Any, written: str, patience: float) -> _Address:
    found = _SCHEME.match(written)
    scheme = found[1].lower() if found else ""
    service = None if scheme in _LOCAL else apprise.Apprise.instantiate(written, asset=asset)
    if service is None:
        return _Address(scheme, None)
    chosen = vars(service)  # what the address itself says; all else is the class's
    for name in ("socket_connect_timeout", "socket_read_timeout"):
        if name not in chosen:  # Apprise's 4 s would make a slow service one that did not get what it got
            setattr(service, name, patience)
    if "overflow_mode" not in chosen:
        service.overflow_mode = apprise.OverflowMode.SPLIT  # else a service cuts what is longer than it likes
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    # Not by the scheme: the https:// address that Discord itself shows leads to the same service.
    return _Address(scheme, sender, service.service_name in _SHOWS_MARKDOWN)


def _load() -> Any:
    """Apprise, whose own lines nobody gets: they hold hosts and parts of addresses."""
    try:
        with installed("notify", "[notify] urls need"):
            import apprise
    except ConfigError as error:
        raise NotifyRefused(error.message, fix=error.fix) from error
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.WARNING)
    logger.propagate = False  # it has a handler of its own, so Python's last resort prints nothing either
    logger.addFilter(_statuses_alone)
    for name in ("oauthlib", "requests_oauthlib"):
        logging.getLogger(name).setLevel(logging.ERROR)  # below it they write what they sign
    logging.getLogger("urllib3.connectionpool").addFilter(_nothing_of_ours)
    return apprise


def _nothing_of_ours(_: logging.LogRecord) -> bool:
    """Drop what a library that others use too writes of a message that is being sent: paths, and tokens in them."""
    return not _telling.get()


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing that Apprise and its libraries say comes through.

    It stands around the threads, not in them: filters belong to the process, and a thread may outlive this.
    """
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # their texts hold hosts, and as errors they would break services
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """While this lasts, and in threads that begin in it, a message is being sent."""
    token = _telling.set(True)
    try:
        yield
    finally:
        _telling.reset(token)


def _statuses_alone(record: logging.LogRecord) -> bool:
    """Make of Apprise's line what `_status_in` reads, whoever else may listen; drop those that tell of no status."""
    try:
        found = _ANSWERED.search(record.getMessage())
    except Exception:  # noqa: BLE001  a line that cannot be made must not turn a message that arrived into one that did not
        return False
    record.msg, record.args, record.exc_info = found[0] if found else "", (), None
    return found is not None


def _harmless(text: str, *, as_markdown: bool) -> str:
    calling = _MENTION.sub("\\g<0>\N{ZERO WIDTH SPACE}", text)
    return _MARKDOWN.sub(r"\\\g<0>", calling) if as_markdown else calling


def _status_in(result: Any) -> int:
    """The status of HTTP that a service was refused with, or 0: Apprise tells it in words alone."""
    lines = (entry.message for one in result.results for attempt in one.attempts for entry in attempt.logs)
    return next((int(found[1]) for line in lines if (found := _ANSWERED.search(line))), 0)
