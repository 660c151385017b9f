"""The three functions: decode the request, call the use case, answer so that the caller does the right thing.

::

    functions-framework --source functions/main.py --target poll

What each answers, and what the queue does next, is the table in docs/design.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import functions_framework

from pagebind import logs
from pagebind.serverless.instance import Instance

if TYPE_CHECKING:
    from flask import Request

    from pagebind.serverless.answers import HttpAnswer

logs.set_up_functions(os.environ)

INSTANCE = Instance(os.environ)
"""Kept from request to request, as long as the platform keeps the process."""


@functions_framework.http
def poll(request: Request) -> HttpAnswer:
    """Look at the server and hand out what is due; called by the scheduler, or by people."""
    from pagebind.serverless.poll import answer

    return answer(request, INSTANCE).http()


@functions_framework.http
def fetch(request: Request) -> HttpAnswer:
    """Stage one page; called by the queue."""
    from pagebind.serverless.fetch import answer

    return answer(request, INSTANCE).http()


@functions_framework.http
def finalize(request: Request) -> HttpAnswer:
    """Bind one book, if its pages are there; called by the queue."""
    from pagebind.serverless.finalize import answer

    return answer(request, INSTANCE).http()
