"""Google Cloud Tasks: one task for each page, and one for each book that may be ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagebind.adapters.dispatch import task_body
from pagebind.adapters.dispatch.task_names import fetch_name, finalize_name

if TYPE_CHECKING:
    from pagebind.ports.clock import Clock
    from pagebind.ports.dispatch import FetchTask, FinalizeTask


class Queues(NamedTuple):
    """Where tasks go.

    Attributes:
        fetch, finalize: names of the queues, ``projects/P/locations/L/queues/Q``.
        fetch_url, finalize_url: of the functions; they are also the audience of the calls' identity.
        service_account: whose identity that is; empty: calls carry none.
    """

    fetch: str
    finalize: str
    fetch_url: str
    finalize_url: str
    service_account: str = ""


class CloudTasksDispatch:
    """Implements `pagebind.ports.dispatch.Dispatch`."""

    durable = True

    def __init__(self, queues: Queues, clock: Clock, *, config: str) -> None:
        self._queues = queues
        self._clock = clock
        self._config = config

    def fetch(self, task: FetchTask) -> None:
        """See `Dispatch.fetch`."""
        raise NotImplementedError(fetch_name(task), task_body.dump(task, config=self._config))

    def finalize(self, task: FinalizeTask, *, delay: float) -> None:
        """See `Dispatch.finalize`."""
        raise NotImplementedError(finalize_name(task), delay)

    def flush(self) -> None:
        """See `Dispatch.flush`."""

    def close(self) -> None:
        """Give back threads and connections."""
