"""Readers of books, told by one POST without a body to scan their library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pagebind.adapters.notify.attempt import PATIENCE, all_within, value_of
from pagebind.errors import NotifyFailed, NotifyRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.ports.secrets import Secret

_REFUSED: Final = {
    401: "see whether the secrets of [[hook]] headers are right, and whether the reader wants others",
    403: "use the key of an account that may scan libraries; readers ask for an administrator's",
    404: "see whether [[hook]] url is right, and whether the library still has this id",
}


class Answer(Protocol):
    """An answer to a request; its body is never read."""

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Exchange(Protocol):
    """Makes one request, and follows nothing.

    Raises an exception where there is no answer; its ``reason``, if it has one, holds no part of the URL but its host.
    """

    def __call__(self, method: str, url: str, headers: list[tuple[str, str]], /) -> Answer:
        """The answer."""
        ...


class HttpHook:
    """See `pagebind.ports.notify.Hook`.

    Args:
        name: what messages call it; of the address nothing behind a ``?``.
        url: what is called.
        headers: values by name.
        debounce: seconds between two calls at least.
        exchange: makes the request.
        patience: seconds that a call may take.
    """

    def __init__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, Secret],
        debounce: float,
        exchange: Exchange,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._name = name
        self._url = url
        self._headers = headers
        self._debounce = debounce
        self._exchange = exchange
        self._patience = patience

    @property
    def name(self) -> str:
        """See `Hook.name`."""
        return self._name

    @property
    def debounce(self) -> float:
        """See `Hook.debounce`."""
        return self._debounce

    def call(self) -> None:
        """See `Hook.call`. Any answer of the kind 2xx means that the reader has understood."""
        headers = [("User-Agent", "pagebind"), *self._secret_headers()]
        outcome = all_within(self._patience, [lambda: self._post(headers)])[0]
        if outcome is None:
            raise NotifyFailed(
                f"{self._name} gave no answer within {self._patience:g} s", fix="see whether the reader runs"
            )
        if isinstance(outcome, NotifyFailed):
            raise outcome
        self._understand(outcome)

    def check(self) -> list[NotifyFailed | None]:
        """See whether all that a call needs is here; nobody is called.

        Raises:
            NotifyFailed: a secret is missing, or no header can hold it.
        """
        self._secret_headers()
        return [None]

    def _secret_headers(self) -> list[tuple[str, str]]:
        return [(name, self._value(name)) for name in self._headers]

    def _value(self, header: str) -> str:
        value = value_of(self._headers[header])
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise NotifyRefused(
                f"{self._headers[header].reference} cannot be sent as the header {header}: it holds characters that"
                " none may hold, or a blank at an end",
                fix="put only the secret there",
            )
        return value

    def _post(self, headers: list[tuple[str, str]]) -> int | NotifyFailed:
        try:
            answer = self._exchange("POST", self._url, headers)
            answer.close()
        except Exception as error:  # noqa: BLE001  whatever it is, no run ends by it; its text may hold the address
            reason = getattr(error, "reason", "") or type(error).__name__
            return NotifyFailed(f"{self._name} gave no answer: {reason}", fix="see whether the reader runs")
        return answer.status

    def _understand(self, status: int) -> None:
        if status in _REFUSED:
            raise NotifyRefused(f"{self._name} answered {status}", fix=_REFUSED[status])
        if status // 100 == 3:  # noqa: PLR2004  redirects
            raise NotifyFailed(
                f"{self._name} answered {status}, a redirect, which is not followed: it would get the headers too",
                fix="write the address that it leads to as [[hook]] url",
            )
        if status // 100 != 2:  # noqa: PLR2004  understood
            raise NotifyFailed(f"{self._name} answered {status}", fix="see what the reader's own log says")
