"""Reads of many small objects, made of botocore's parts without the layers between them.

A client takes 2.3 ms of processor time for a request, most of it to find out again what is the same for all; for the
heads and bodies of a volume's entries that is more than all else that a finalize does. Here a request takes a quarter
of that: it is signed and sent by the same classes of botocore. Only plain answers are taken; whatever else comes is
left to the client, which asks again and knows what it means.
"""

from __future__ import annotations

import os
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.adapters.stores.s3_client import Client

_FOUND: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
_OF_AN_OBJECT: Final = frozenset({"etag", "last-modified", "content-length"})
_OPERATIONS: Final = {"HEAD": "HeadObject", "GET": "GetObject"}
_PASSING: Final = 500
_PLACEHOLDER: Final = "KEY"


class Answer(NamedTuple):
    """A plain answer: its status is 200, 206 or 404; ``headers`` tell no case apart."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Reads:
    """HEAD and GET of objects in a bucket, with the credentials and settings of a client."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._starting = threading.Lock()
        self._sender: _Sender | None = None
        self._works = True

    def ask(self, method: str, name: str, headers: Mapping[str, str] | None = None) -> Answer | None:
        """What is answered about an object, by its full name in the bucket; None: the client is to ask."""
        if not self._works:
            return None
        try:
            answer = self._started().send(method, name, headers or {})
        except HTTPClientError:
            return None
        except BotoCoreError:  # no credentials to be had now, most likely
            self._works = False
            return None
        found = answer.status_code in _FOUND
        if answer.status_code == HTTPStatus.NOT_FOUND or (found and _names(answer.headers) >= _OF_AN_OBJECT):
            return Answer(answer.status_code, answer.headers, answer.content)
        if not found and answer.status_code < _PASSING:  # another region, another way to sign: it would be so each time
            self._works = False
        return None

    def _started(self) -> _Sender:
        with self._starting:
            self._sender = self._sender or _Sender(self._client, self._bucket)
            return self._sender


class _Sender:
    """What is the same for all requests, found out once."""

    def __init__(self, client: Client, bucket: str) -> None:
        sample = client.generate_presigned_url("head_object", Params={"Bucket": bucket, "Key": _PLACEHOLDER})
        self._base = sample.partition(_PLACEHOLDER)[0]
        self._credentials: Any = client._get_credentials()  # noqa: SLF001 - nothing public gives them
        self._region = client.meta.region_name
        self._events = client.meta.events
        config = client.meta.config
        self._session = URLLib3Session(
            verify=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
            proxies=config.proxies or get_environ_proxies(self._base),
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
        )

    def send(self, method: str, name: str, headers: Mapping[str, str]) -> Any:
        """The answer, with its body. Handlers of the client's event ``before-send`` are asked as it asks them.

        Raises:
            BotoCoreError: of which HTTPClientError is one.
        """
        request = AWSRequest(method, self._base + quote(name, safe="/~"), headers=dict(headers))
        request.context["payload_signing_enabled"] = False  # nothing is sent
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        prepared = request.prepare()
        prepared.stream_output = False
        event = f"before-send.s3.{_OPERATIONS[method]}"
        return self._events.emit_until_response(event, request=prepared)[1] or self._session.send(prepared)


def _names(headers: Mapping[str, str]) -> set[str]:
    return {name.lower() for name in headers}
