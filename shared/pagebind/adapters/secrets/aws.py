"""Amazon's secret stores: Secrets Manager, and the Parameter Store of Systems Manager.

Error codes: docs.aws.amazon.com, GetSecretValue of Secrets Manager and GetParameter of Systems Manager.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoRegionError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from pagebind.adapters.secrets.quiet import mute
from pagebind.errors import ConfigError, PagebindError, SecretsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10, tcp_keepalive=True)

_CREDENTIALS_FIX: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run as a role"

_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_NO_KEY: Final = frozenset({"DecryptionFailure", "InvalidKeyId"})
_NOT_THERE: Final = frozenset(
    {
        "InvalidParameterException",
        "ParameterNotFound",
        "ResourceNotFoundException",
        "ValidationException",  # what a name gets that this store would give to nothing
    }
)
_BUSY: Final = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})
_SERVER_ERROR: Final = 500


class _Store(Enum):
    """One of the two stores."""

    SECRETS = ("secretsmanager", "Secrets Manager", "secret", "GetSecretValue", "write its whole ARN")
    PARAMETERS = ("ssm", "Parameter Store", "parameter", "GetParameter", "write aws:ssm:NAME")

    def __init__(self, service: str, title: str, kept: str, operation: str, outright: str) -> None:
        self.service = service
        self.title = title
        self.kept = kept
        self.operation = operation
        self.outright = outright
        """How to refer to what this store keeps, and to nothing else."""

    @property
    def permission(self) -> str:
        return f"{self.service}:{self.operation}"


class AmazonSecrets:
    """Reads secrets and parameters with the credentials that boto3 finds. Safe for use by many threads."""

    def __init__(self) -> None:
        # boto3 prints what it signs, sends and gets: secrets, and the session tokens of roles.
        mute("botocore.auth", "botocore.endpoint", "botocore.parsers")
        self._session: boto3.session.Session | None = None
        self._clients: dict[tuple[_Store, str | None], Any] = {}
        self._lock = Lock()

    def read(self, name: str, reference: str) -> bytes:
        """What stands under a name or ARN. A name that does not say in which store is asked of one, then of the other.

        Raises:
            ConfigError: no store has it, or not for this account.
            SecretsUnavailable: no answer, or one that is none.
        """
        stores = _stores_of(name)
        region = name.split(":")[3] if name.startswith("arn:") else None
        for place, store in enumerate(stores):
            found = self._ask(_Question(reference, store, stores, place), name.removeprefix("ssm:"), region)
            if found is not None:
                return found
        titles = " nor ".join(store.title for store in stores)
        raise ConfigError(
            f"{reference} leads nowhere: "
            + (f"neither {titles} has it" if stores[1:] else f"{titles} does not have it"),
            fix=f"make the {' or '.join(store.kept for store in stores)}, or change the reference",
        )

    def _ask(self, asked: _Question, name: str, region: str | None) -> bytes | None:
        with _usable(asked.reference):
            client = self._client(asked.store, region)
            try:
                if asked.store is _Store.SECRETS:
                    answer = client.get_secret_value(SecretId=name)
                    content = answer.get("SecretString", answer.get("SecretBinary"))
                else:
                    content = client.get_parameter(Name=name, WithDecryption=True).get("Parameter", {}).get("Value")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _NOT_THERE:
                    return None
                raise asked.refusal(error) from error
        if content is None:
            raise _no_answer(asked.reference, f"{asked.store.title} gives an answer that is none")
        return content.encode() if isinstance(content, str) else bytes(content)

    def _client(self, store: _Store, region: str | None) -> Any:
        with self._lock:  # a session is not to be used by two threads at once, its clients are
            client = self._clients.get((store, region))
            if client is None:
                self._session = self._session or boto3.session.Session()
                client = self._session.client(store.service, region_name=region, config=_CONFIG)
                self._clients[store, region] = client
            return client


def _stores_of(name: str) -> tuple[_Store, ...]:
    """The stores to ask, in this order. Parameters are commonly named as paths, secrets seldom."""
    if name.startswith("ssm:") or (name.startswith("arn:") and name.split(":")[2] == "ssm"):
        return (_Store.PARAMETERS,)
    if name.startswith("arn:"):
        return (_Store.SECRETS,)
    if name.startswith("/"):
        return (_Store.PARAMETERS, _Store.SECRETS)
    return (_Store.SECRETS, _Store.PARAMETERS)


class _Question:
    """What is asked of which store, after which others."""

    def __init__(self, reference: str, store: _Store, stores: tuple[_Store, ...], place: int) -> None:
        self.reference = reference
        self.store = store
        self._before = stores[:place]
        self._after = stores[place + 1 :]

    def refusal(self, error: ClientError) -> PagebindError:
        """The error that an answer means; its text is only looked into, never passed on."""
        about: dict[str, str] = error.response.get("Error", {})
        code, text = about.get("Code", ""), about.get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _BUSY or status >= _SERVER_ERROR:
            return _no_answer(self.reference, f"{self.store.title} answers {code or status}")
        if code in _BAD_CREDENTIALS or error.operation_name != self.store.operation:
            return ConfigError(f"{self.reference} cannot be read: AWS refuses the credentials", fix=_CREDENTIALS_FIX)
        if code in _DENIED:
            return self._denied(for_key="kms" in text.lower())
        if code in _NO_KEY:
            return ConfigError(
                f"{self.reference} cannot be decrypted", fix="see whether its KMS key is there and enabled"
            )
        if "delet" in text:
            return ConfigError(f"{self.reference} leads nowhere: it is marked for deletion", fix="restore it")
        return ConfigError(f"{self.reference} is refused by {self.store.title}: {code}", fix="change the reference")

    def _denied(self, *, for_key: bool) -> ConfigError:
        store = self.store
        if for_key:
            return ConfigError(
                f"{self.reference} may not be decrypted by this account",
                fix="grant kms:Decrypt on its key to this account",
            )
        grant = f"grant {store.permission} on it to this account"
        for other in self._before:
            return ConfigError(
                f"{self.reference} leads nowhere: {other.title} does not have it, and {store.title} may not be asked",
                fix=f"make the {other.kept}, or, for a {store.kept}, {grant}",
            )
        otherwise = "".join(f"; for a {other.kept}, {other.outright}" for other in self._after)
        return ConfigError(
            f"{self.reference} may not be read from {store.title} by this account", fix=f"{grant}{otherwise}"
        )


@contextmanager
def _usable(reference: str) -> Iterator[None]:
    """Turn what boto3 raises where there is no answer at all. Raises: ConfigError, SecretsUnavailable."""
    try:
        yield
    except (NoConnection, HTTPClientError, MetadataRetrievalError, CredentialRetrievalError) as error:
        raise _no_answer(reference, f"AWS gives no answer ({type(error).__name__})") from error
    except ResponseParserError as error:
        # Without its cause: it quotes the answer.
        raise _no_answer(reference, f"AWS gives no answer ({type(error).__name__})") from None
    except NoRegionError as error:
        raise ConfigError(f"{reference} cannot be read: no AWS region is set", fix="set AWS_DEFAULT_REGION") from error
    except ProfileNotFound as error:
        raise ConfigError(
            f"{reference} cannot be read: there is no AWS profile {error.kwargs['profile']}",
            fix="correct AWS_PROFILE, or add it to ~/.aws/credentials",
        ) from error
    except BotoCoreError as error:
        raise ConfigError(
            f"{reference} cannot be read: AWS finds no credentials to use ({type(error).__name__})",
            fix=_CREDENTIALS_FIX,
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{reference} cannot be read: the address of AWS is no URL", fix="correct AWS_ENDPOINT_URL"
        ) from error


def _no_answer(reference: str, what: str) -> SecretsUnavailable:
    return SecretsUnavailable(f"{reference} cannot be read now: {what}", fix="check the network, or try again later")
