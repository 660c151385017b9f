"""Google's Secret Manager, by its REST API.

The library loads what gRPC needs either way; by REST it starts no threads, obeys the proxies of the environment, and
speaks to any server that a test puts in its place.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

import google_crc32c
from google.api_core.exceptions import (
    Forbidden,
    GoogleAPICallError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
)
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.protobuf.json_format import ParseError
from requests.exceptions import RequestException

from pagebind.adapters.secrets.quiet import mute
from pagebind.errors import ConfigError, PagebindError, SecretsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT: Final = 10.0
"""Seconds to connect, and between two bytes of an answer."""

_LATEST: Final = "/versions/latest"
_NOT_ENABLED: Final = re.compile(r"is in (DISABLED|DESTROYED) state")
_LOG_IN: Final = "run gcloud auth application-default login, or let GOOGLE_APPLICATION_CREDENTIALS name a key file"


class GoogleSecrets:
    """Reads versions of secrets. Safe for use by many threads.

    Args:
        emulator: ``host:port`` or URL of a server that stands in for Google's; it is sent no credentials.
    """

    def __init__(self, emulator: str | None = None) -> None:
        mute("google.cloud.secretmanager_v1.services.secret_manager_service.transports.rest")
        self._emulator = emulator
        self._made: SecretManagerServiceClient | None = None
        self._lock = Lock()

    def read(self, name: str, reference: str) -> bytes:
        """The content of the version ``name``, by one request.

        Raises:
            ConfigError: it is not there, not enabled, or not for this account; or there are no credentials.
            SecretsUnavailable: no answer, or one that is none.
        """
        client = self._client(reference)
        with _in_plain_words(name, reference):
            # Its own retries wait for minutes.
            answer = client.access_secret_version(request={"name": name}, retry=None, timeout=_TIMEOUT)
        data = bytes(answer.payload.data)
        if "data_crc32c" in answer.payload and answer.payload.data_crc32c != google_crc32c.value(data):
            raise SecretsUnavailable(f"{reference} came damaged", fix="try again")
        return data

    def _client(self, reference: str) -> SecretManagerServiceClient:
        with self._lock:
            if self._made is None:
                try:
                    self._made = _connect(self._emulator)
                except (GoogleAuthError, OSError, ValueError) as error:  # the latter two of a key file
                    what = f"{reference} cannot be read: there are no credentials for Google's Secret Manager"
                    raise ConfigError(what, fix=_LOG_IN) from error
            return self._made


def _connect(emulator: str | None) -> SecretManagerServiceClient:
    if not emulator:
        return SecretManagerServiceClient(transport="rest")
    anonymous = AnonymousCredentials()
    url = emulator if "://" in emulator else f"http://{emulator}"
    return SecretManagerServiceClient(transport="rest", credentials=anonymous, client_options={"api_endpoint": url})


@contextmanager
def _in_plain_words(name: str, reference: str) -> Iterator[None]:
    """Turn what the library raises into the errors of `read`."""
    try:
        yield
    except GoogleAPICallError as error:
        raise _refusal(error, name, reference) from error
    except GoogleAuthError as error:
        if isinstance(error, TransportError) or error.retryable:
            raise _no_answer(reference, error) from error
        raise _bad_credentials(reference) from error
    except RequestException as error:
        raise _no_answer(reference, error) from error
    except ParseError as error:
        # Without its cause: it quotes the answer.
        raise _no_answer(reference, error) from None


def _refusal(error: GoogleAPICallError, name: str, reference: str) -> PagebindError:
    text = str(error.message)
    match error:
        case NotFound():
            return ConfigError(
                f"{reference} leads nowhere: there is no such secret, or no such version of it",
                fix="make the secret and give it a version, or change the reference",
            )
        case Forbidden():
            return _forbidden(error, name, reference)
        case Unauthorized():
            return _bad_credentials(reference)
        case TooManyRequests() | ServerError():
            return SecretsUnavailable(
                f"{reference} cannot be read now: Google's Secret Manager answers {int(error.code or 0)}",
                fix="try again later",
            )
    if state := _NOT_ENABLED.search(text):
        which = "newest version" if name.endswith(_LATEST) else "version"
        return ConfigError(
            f"{reference} leads nowhere: its {which} is {state[1].lower()}", fix="enable it, or add a new version"
        )
    return ConfigError(
        f"{reference} is refused by Google's Secret Manager with {int(error.code or 0)}",
        fix="write gcp:projects/PROJECT/secrets/NAME",
    )


def _forbidden(error: GoogleAPICallError, name: str, reference: str) -> ConfigError:
    project = name.split("/")[1]
    if error.reason == "SERVICE_DISABLED":
        return ConfigError(
            f"{reference} cannot be read: the Secret Manager API is not enabled in {project}",
            fix=f"gcloud services enable secretmanager.googleapis.com --project {project}",
        )
    secret = name.split("/")[3]
    return ConfigError(
        f"{reference} may not be read by this account, or is not there",
        fix=f"grant roles/secretmanager.secretAccessor on the secret {secret} to this account, or change the reference",
    )


def _bad_credentials(reference: str) -> ConfigError:
    return ConfigError(f"{reference} cannot be read: Google refuses the credentials", fix=_LOG_IN)


def _no_answer(reference: str, error: Exception) -> SecretsUnavailable:
    return SecretsUnavailable(
        f"{reference} cannot be read now: Google's Secret Manager gives no answer ({type(error).__name__})",
        fix="check the network, or try again later",
    )
